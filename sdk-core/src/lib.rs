//! Hubwire.
pub mod client;
#[cfg(feature = "tokio")]
mod driver;
mod error;
pub mod protocol;
mod time;

#[cfg(feature = "tokio")]
pub use driver::{
    AsyncHandler, CallBuilder, Connector, Handler, HubConnection, HubConnectionBuilder, Io, ItemStream,
    StateChange, Subscription, TcpConnector,
};
pub use error::{Error, ErrorKind};
pub use time::Time;
