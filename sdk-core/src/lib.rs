//! Hubwire.
pub mod client;
mod error;
pub mod protocol;
mod time;

pub use error::{Error, ErrorKind};
pub use time::Time;
