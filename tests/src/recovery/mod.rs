//! How long clients need to come back: failures by script, in real time, with the defaults that applications get.
//!
//! Each [`Scenario`] has a client with calls under way all the time. What fails, when it is over, and what counts as the
//! end of the failure is in `scenarios`; what is measured in `subject`; `gate` and `server` are the parts that fail, along
//! with the [fault proxy](crate::proxy). [`idle`] measures the opposite: a client to which nothing happens.

mod gate;
pub mod idle;
mod scenarios;
mod server;
mod subject;
mod table;

pub use scenarios::{Scenario, Stage, all};
pub(crate) use server::free_address;
pub use server::{ServerProcess, serve};
pub use subject::Outcome;
pub use table::{Row, aligned};

/// What went wrong, in words for the person at the terminal.
pub type Result<T, E = String> = std::result::Result<T, E>;

/// The error of something that the scenario needs, not of the client.
fn needed<T, E: std::fmt::Display>(what: &str, result: Result<T, E>) -> Result<T> {
    result.map_err(|error| format!("{what}: {error}"))
}
