//! Delivery under fire: a server that sends numbered messages, a client that writes down what it handled, and the verdict on
//! what both wrote.
//!
//! - Messages that are acknowledged (`Show`), of which none may be lost, handled twice by one process, or out of order.
//! - Messages of a stream with history (`Tick`), of which none may be missing without a gap being reported.
//! - Calls (`Count`), of which none may run twice.
//!
//! The same [`server`] and [`client`] run in processes that are killed ([`run`]), and in simulated networks (the test
//! `turmoil`). What they say goes to notes that outlive them, each [`Fact`] as soon as it holds.

mod app;
mod fact;
mod judge;
mod notes;
mod processes;
mod run;
mod table;

pub use app::{GROUP, HUB, Pace, client, listen, server, speak};
pub use fact::{Fact, Kind, Noted};
pub use judge::{Verdict, judge};
pub use notes::{Note, Notes};
pub use processes::{listen_until_told, serve};
pub use run::run;

/// What a step came to; an error says what went wrong.
pub type Result<T> = std::result::Result<T, String>;

/// `Ok`, or what went wrong at what.
fn needed<T, E: std::fmt::Display>(what: &str, result: std::result::Result<T, E>) -> Result<T> {
    result.map_err(|error| format!("{what}: {error}"))
}
