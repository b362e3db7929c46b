//! A server for SignalR hubs, as a library; the binary `hubwire-server` is a thin layer on top.
//!
//! Hub methods are plain async functions, registered by name. Their parameters are the arguments of the call; those
//! of special types come from the server:
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use futures_util::{Stream, stream};
//! use hubwire_server::{Context, Hub, HubError, Policy, Server, State};
//!
//! struct Lobby {
//!     welcome: String,
//! }
//!
//! async fn join(ctx: Context, State(lobby): State<Arc<Lobby>>, room: String) -> Result<String, HubError> {
//!     ctx.groups().add(ctx.connection_id(), &room)?;
//!     ctx.clients().others_in_group(&room).send("Joined", (ctx.connection_id(),))?;
//!     Ok(lobby.welcome.clone())
//! }
//!
//! async fn count(to: u32) -> Result<impl Stream<Item = Result<u32, HubError>>, HubError> {
//!     Ok(stream::iter((0..to).map(Ok)))
//! }
//!
//! # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
//! let hub = Hub::builder()
//!     .state(Arc::new(Lobby { welcome: "Hello".into() }))
//!     .method("Join", join)
//!     .stream("Count", count)
//!     .build()?;
//! let server = Server::builder().hub("/hubs/lobby", hub).build()?;
//! let handle = server.handle();
//! tokio::spawn(async move {
//!     // From outside of a hub method:
//!     let clients = handle.hub("/hubs/lobby").expect("it was added");
//!     clients.all().send("News", ("The lobby is open.",))
//! });
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
//! server.serve(listener, async { tokio::signal::ctrl_c().await.unwrap_or(()) }).await?;
//! # Ok(())
//! # }
//! ```
//!
//! [`HubOptions`] say how a hub is served: over which transports, whether connections survive the loss of their socket,
//! what happens when a token expires or a client does not keep up, and what is remembered so that calls which are repeated
//! after a lost connection do not run twice.
//!
//! What must not be lost is sent with [`Recipients::reliable`]: it is delivered until the client acknowledges it, over its next
//! connection if need be, and after a restart of the server if that has a [`store`]:
//!
//! ```no_run
//! # use hubwire_server::{HubClients, ReliableOptions, SendError};
//! # async fn pay(clients: HubClients) -> Result<(), SendError> {
//! let send = clients.user("alice").reliable(ReliableOptions::default().priority(5));
//! let confirmation = send.send("Paid", serde_json::json!({"messageId": "order-17", "amount": 5})).await?;
//! if !confirmation.await {
//!     // At least one of her devices has not got it.
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The layers, from the wire up: a [`transport`] carries frames; one task per connection cuts them into messages and
//! asks the sans-IO [`session`] what to do; the [`hub`] finds and runs methods; [`clients`] reaches other connections
//! through their bounded queues. A client that does not keep up delays nobody.

mod admission;
pub mod auth;
pub mod clients;
pub mod config;
mod connection;
mod context;
mod dedupe;
pub mod delivery;
mod endpoint;
mod error;
mod fanout;
mod http;
pub mod hub;
pub mod hubs;
mod identity;
mod negotiate;
mod options;
mod outbox;
mod principal;
mod registry;
mod reliable;
mod serve;
mod server;
pub mod session;
mod sessions;
mod shutdown;
mod stats;
pub mod store;
pub mod testing;
mod timestamp;
pub mod transport;

pub use clients::{
    CallerClients, Client, Confirmation, Envelope, Groups, HubClients, Recipients, ReliableOptions,
    ReliableSend,
};
pub use config::Config;
pub use connection::Items;
pub use context::Context;
pub use dedupe::{Dedupe, DedupeStatistics};
pub use delivery::batcher::Batching;
pub use delivery::delta::Deltas;
pub use delivery::history::{History, HistoryStatistics};
pub use delivery::pending::{DeliveryConfig as Acknowledgements, DeliveryStatistics, Outcome};
pub use error::{BuildError, HubError, SendError};
pub use fanout::{BatchingStatistics, DeltaKey, HubBatching, Importance};
pub use http::{HubStatistics, Statistics};
pub use hub::{DisconnectReason, Hub, HubBuilder, HubFilter, Policy, State, UploadStream};
pub use hubwire::protocol::Transport as TransportKind;
pub use options::{HubOptions, SlowConsumers};
pub use principal::Principal;
pub use reliable::DeadLetter;
pub use server::{Server, ServerBuilder, ServerHandle};
pub use stats::Event;
pub use store::DeliveryStore;
pub use tokio_util::sync::CancellationToken;
