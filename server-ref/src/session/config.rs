use std::time::Duration;

use hubwire::protocol::{TransferFormats, VERSION};

/// The limits and times of a [`Session`](super::Session). The defaults are SignalR's, where SignalR has one.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// How long the handshake may take.
    pub handshake_timeout: Duration,
    /// Ping when nothing was sent for that long. `None` on transports that need no pings.
    pub keep_alive: Option<Duration>,
    /// The client is gone when nothing came for that long. `None` on transports that cannot tell.
    pub client_timeout: Option<Duration>,
    /// The connection is cut when the transport takes nothing for that long. `None` on transports that take everything.
    pub send_timeout: Option<Duration>,
    /// How long a connection is kept while the client is not there: between polls, or until it resumes.
    pub disconnect_timeout: Duration,
    /// How many methods of one client run at once. Streaming ones do not count.
    pub parallel_invocations: usize,
    /// How many more calls wait for their turn before the connection is no longer read.
    pub invocation_queue: usize,
    /// How many streams of one client are open at once, in both directions together.
    pub streams: usize,
    /// How many items of an uploaded stream wait for the method before the connection is no longer read.
    pub upload_buffer: usize,
    /// How many calls may wait for an answer of the client.
    pub client_calls: usize,
    /// Whether clients see the texts of errors that were not meant for them.
    pub detailed_errors: bool,
    /// The highest version of the hub protocol: 2 allows stateful reconnect.
    pub max_version: u8,
    /// With stateful reconnect, how many bytes may wait for the client's acknowledgement before nothing more leaves.
    pub replay_bytes: usize,
    /// What the transport can carry.
    pub formats: TransferFormats,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            handshake_timeout: Duration::from_secs(15),
            keep_alive: Some(Duration::from_secs(15)),
            client_timeout: Some(Duration::from_secs(30)),
            send_timeout: Some(Duration::from_secs(10)),
            disconnect_timeout: Duration::from_secs(15),
            parallel_invocations: 1,
            invocation_queue: 16,
            streams: 100,
            upload_buffer: 10,
            client_calls: 100,
            detailed_errors: false,
            max_version: VERSION,
            replay_bytes: 100_000,
            formats: TransferFormats { text: true, binary: true },
        }
    }
}
