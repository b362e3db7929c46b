//! The drivers: what the [core](crate::client) needs of a platform, and the public handle on top.

// Only drivers may ask the machine for the time and start tasks.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod builder;
mod call;
mod connection;
mod handlers;
mod stream;
mod tokio;

pub use self::tokio::{Connector, Io, TcpConnector};
pub use builder::HubConnectionBuilder;
pub use call::CallBuilder;
pub use connection::{HubConnection, StateChange};
pub use handlers::{AsyncHandler, Handler, Subscription};
pub use stream::ItemStream;
