use hubwire::protocol::Transport;

/// How a hub is served. Each hub of a server can have its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubOptions {
    /// The transports that clients can use; the order does not matter. All by default.
    pub transports: Vec<Transport>,
}

impl Default for HubOptions {
    fn default() -> Self {
        Self { transports: Transport::ALL.to_vec() }
    }
}
