use hubwire::protocol::Transport;

use crate::delivery::pending::DeliveryConfig;
use crate::{Dedupe, Deltas, History};

/// How a hub is served. Each hub of a server can have its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubOptions {
    /// The transports that clients can use; the order does not matter. All by default.
    pub transports: Vec<Transport>,
    /// Whether clients that ask for it can come back after the loss of their WebSocket as if nothing had happened. Off by
    /// default, as in SignalR: connections are kept for a while when they are lost.
    pub stateful_reconnect: bool,
    /// Whether a connection ends when its token expires; the client may come back at once, with a newer one.
    pub close_on_authentication_expiration: bool,
    /// Whether clients may show a newer token while they are connected, with `POST {hub}/refresh`.
    pub authentication_refresh: bool,
    /// What happens to a client for which more waits than may.
    pub slow_consumers: SlowConsumers,
    /// What is remembered of calls that Hubwire clients may repeat, so that none runs twice. On by default; other clients
    /// are not concerned.
    pub dedupe: Option<Dedupe>,
    /// How messages are delivered that clients acknowledge ([`Recipients::reliable`](crate::Recipients::reliable)); `None`
    /// turns them and their hub methods off. On by default, and with the default values as the configuration says.
    pub acknowledgements: Option<DeliveryConfig>,
    /// What is kept of the messages of groups and users that are sent with [`publish`](crate::Recipients::publish), so that
    /// Hubwire clients get what they missed. Off by default.
    pub history: Option<History>,
    /// What is kept of objects that are sent with [`send_delta`](crate::Recipients::send_delta), so that Hubwire
    /// clients get only what changed. On by default.
    pub deltas: Option<Deltas>,
}

impl Default for HubOptions {
    fn default() -> Self {
        Self {
            transports: Transport::ALL.to_vec(),
            stateful_reconnect: false,
            close_on_authentication_expiration: false,
            authentication_refresh: false,
            slow_consumers: SlowConsumers::Disconnect,
            dedupe: Some(Dedupe::default()),
            acknowledgements: Some(DeliveryConfig::default()),
            history: None,
            deltas: Some(Deltas::default()),
        }
    }
}

/// What happens to a client that takes messages more slowly than they come, when its queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SlowConsumers {
    /// It is disconnected, and what waited for it is dropped.
    #[default]
    Disconnect,
    /// The oldest calls of its methods that expect no answer are dropped, and counted in
    /// [`Statistics::dropped`](crate::Statistics::dropped). Results, stream items and calls with an answer never are:
    /// if only those are left, it is disconnected.
    DropOldest,
}
