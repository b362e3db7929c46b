//! The border to Kotlin and Swift: connections of the [`hubwire`] core, for the libraries in `bindings/kotlin` and
//! `bindings/swift`. Nothing here is meant for applications.
//!
//! All connections of a process share one thread. The foreign side makes it, when [`connect`] gives a [`Reader`], and calls
//! [`Reader::next`] on it until there is nothing more: sockets are read and written inside that call, and it returns with what
//! happened. So what happened is handed over where it was read, without a hop to another thread and without a call into
//! foreign code, and it comes in batches as large as the foreign side is slow. The call returns for the last time when no
//! connection is left; neither the thread nor a socket outlives the connections.
//!
//! - Commands are methods of a [`Connection`], of any thread, and return at once. Their ends come as a [`Notice`].
//! - Payloads are JSON at this border, whatever travels: see [`transcode`].
//! - Messages and items count until they are [released](Connection::release). While a connection has more than
//!   [`LIMIT`] of them it does not read from its socket, so a server feels how slow its client is. It is more while a call
//!   waits, since a handler may be what waits for it.
//! - No error is a panic: what cannot be done is a [`HubFailure`], with the kinds of the core.

mod connection;
mod engine;
mod failure;
mod inbox;
mod inspect;
mod letters;
mod notice;
mod settings;
pub mod transcode;
mod values;

pub use connection::Connection;
pub use engine::{Opened, Reader, connect};
pub use failure::{ErrorKind, Fault, HubFailure};
pub use inbox::Batch;
pub use inspect::{InspectedMessage, inspect, write_payload};
pub use letters::LIMIT;
pub use notice::Notice;
pub use settings::{
    CallSettings, DeliverySettings, Header, Join, OutboxSettings, RetrySchedule, Settings, TargetAcks,
};
pub use values::{
    AckMode, CallKind, Cause, ConnectionEvent, ConnectionState, Encoding, FullPolicy, GapSource, Grade, Hint,
    Metrics, OutboxProgress, Priority, Quality, RestoredCall, StateChange, Transport,
};

uniffi::setup_scaffolding!();
