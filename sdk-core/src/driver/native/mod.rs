//! The native client: the public handle, and the driver on tokio under it.

#[cfg(feature = "backoff")]
mod backoff_policy;
mod builder;
mod call;
mod connection;
mod event;
mod handlers;
mod manager;
mod queued;
mod random;
pub mod raw;
mod store;
mod stream;
mod tokio;

pub use self::tokio::{Connector, Io, Proxy, TcpConnector, TcpConnectorBuilder};
#[cfg(feature = "backoff")]
pub use backoff_policy::from_backoff;
pub use builder::HubConnectionBuilder;
pub use call::CallBuilder;
pub use connection::{HubConnection, StateChange};
pub use event::ConnectionEvent;
pub use handlers::{AsyncHandler, Handler, Subscription};
pub use manager::{HubManager, HubManagerBuilder, HubSubscription};
pub use queued::QueuedCall;
pub use store::{MemoryStore, OutboxStore, StoreError, StoreReport};
#[cfg(feature = "redb")]
pub use store::{RedbStore, RedbStoreOptions, WhenCorrupt};
pub use stream::ItemStream;
