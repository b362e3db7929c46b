//! A connection without handlers, futures and types: what bindings to other languages are built on.
//!
//! Everything that happens comes as a [`Notice`] to one [`Listener`], in order, with ids that the caller chose and payloads
//! as they travelled. Commands return at once. An application in Rust wants [`HubConnection`](crate::HubConnection).
//!
//! ```no_run
//! # fn example() -> Result<(), hubwire::Error> {
//! use std::task::{Context, Poll};
//!
//! use hubwire::HubConnection;
//! use hubwire::raw::{Listener, Notice};
//!
//! struct Print;
//!
//! impl Listener for Print {
//!     fn notice(&mut self, notice: Notice) -> Option<Notice> {
//!         println!("{notice:?}");
//!         None
//!     }
//!
//!     fn flush(&mut self) {}
//!
//!     fn poll_room(&mut self, _: &mut Context<'_>) -> Poll<()> {
//!         Poll::Ready(())
//!     }
//! }
//!
//! let connection = HubConnection::builder("https://example.org/hubs/chat").build_raw(Print)?;
//! connection.start(1)?;
//! # Ok(()) }
//! ```

mod connection;
#[cfg(feature = "redb")]
mod late_store;
mod notice;

pub use connection::{MAX_QUEUED, MAX_QUEUED_BYTES, RawConnection};
#[cfg(feature = "redb")]
pub use late_store::LateStore;
pub use notice::{Listener, Notice};

pub(in crate::driver::native) use connection::{Queued, RawRequest};

/// Ids of calls of the store begin with this.
pub const FIRST_RESTORED: u64 = 1 << 52;
/// Sends that [were over](RawConnection::call) when they were made have this in their ids. Other ids are below it.
pub const OVER: u64 = 1 << 51;
