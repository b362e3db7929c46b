use hubwire::protocol::Transport;

/// How a hub is served. Each hub of a server can have its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubOptions {
    /// The transports that clients can use; the order does not matter. All by default.
    pub transports: Vec<Transport>,
    /// Whether clients that ask for it can come back after the loss of their WebSocket as if nothing had happened. Off by
    /// default, as in SignalR: connections are kept for a while when they are lost.
    pub stateful_reconnect: bool,
}

impl Default for HubOptions {
    fn default() -> Self {
        Self { transports: Transport::ALL.to_vec(), stateful_reconnect: false }
    }
}
