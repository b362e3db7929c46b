//! Hubwire.
pub mod protocol;
mod time;

pub use time::Time;
