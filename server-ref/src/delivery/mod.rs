//! Delivery beyond SignalR, as state machines without I/O, clock and tasks: `docs/delivery.md` is the specification.

pub mod batcher;
pub mod delta;
pub mod history;
pub mod pending;

pub mod calls {
    //! Calls that run once, however often they come.

    pub use crate::dedupe::{Begin, InvalidId, Key, Table};
}
