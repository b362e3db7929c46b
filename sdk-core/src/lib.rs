//! SignalR hubs from Rust: one client core for every platform, and the native driver on top of it.
//!
//! ```no_run
//! # #[cfg(feature = "tokio")]
//! # async fn example() -> Result<(), hubwire::Error> {
//! use futures_util::StreamExt;
//! use hubwire::HubConnection;
//!
//! let connection = HubConnection::builder("https://example.org/hubs/chat").build()?;
//! connection.on("ReceiveMessage", |user: String, text: String| println!("{user}: {text}"));
//! connection.start().await?;
//!
//! let total: i64 = connection.invoke("Add", (40, 2)).await?;
//! connection.send("SendMessage", ("me", format!("it is {total}"))).await?;
//! let mut numbers = connection.stream::<i64>("Count", (10,)).await?;
//! while let Some(number) = numbers.next().await {
//!     println!("{}", number?);
//! }
//! connection.stop().await;
//! # Ok(()) }
//! ```
//!
//! # Layers
//!
//! ```text
//! protocol  <-  client  <-  driver (tokio or web)  <-  HubConnection, or TypeScript
//! ```
//! - [`protocol`]: what travels. Plain types, and behind the feature `codec` the two encodings.
//! - [`client`]: the connection as a state machine without I/O, generic over an opaque payload. Its documentation has
//!   the contract between it and a driver.
//! - [`HubConnection`]: the native client, behind the feature `tokio`.
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `tokio` (default) | the native driver over WebSockets and HTTP; implies `codec` |
//! | `redb` | `RedbStore`, which keeps queued calls in a file; implies `tokio` |
//! | `web` | the driver of browsers, on `wasm32-unknown-unknown` only; for the npm package `@hubwire/web` |
//! | `codec` | the Rust codecs for JSON and MessagePack, with serde |
//! | `backoff` | a `backoff::backoff::Backoff` as a custom retry policy; implies `tokio`. The crate is unmaintained and its random source cannot be seeded |
//!
//! Without features there is the bare core, which builds for `wasm32-unknown-unknown` and has no serde in it.

#![cfg_attr(not(feature = "codec"), no_std)]

extern crate alloc;

pub mod client;
#[cfg(any(feature = "tokio", all(feature = "web", target_arch = "wasm32")))]
mod driver;
mod error;
pub mod protocol;
mod text;
mod time;

#[cfg(feature = "backoff")]
pub use driver::from_backoff;
#[cfg(all(feature = "web", target_arch = "wasm32"))]
pub use driver::web;
#[cfg(feature = "tokio")]
pub use driver::{
    AsyncHandler, CallBuilder, ConnectionEvent, Connector, Handler, HubConnection, HubConnectionBuilder,
    HubManager, HubManagerBuilder, HubSubscription, Io, ItemStream, MemoryStore, OutboxStore, Proxy,
    QueuedCall, StateChange, StoreError, StoreReport, Subscription, TcpConnector, TcpConnectorBuilder, raw,
};
#[cfg(feature = "redb")]
pub use driver::{RedbStore, RedbStoreOptions, WhenCorrupt};
pub use error::{Error, ErrorKind};
pub use text::ByteString;
pub use time::Time;
