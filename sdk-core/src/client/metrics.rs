use core::time::Duration;

use super::outbox::OutboxProgress;
use super::quality::Quality;

/// What happened on a client since it was made, and how it stands. The same on every platform.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// How often a connection was established, reconnections included.
    pub connections: u64,
    /// How often a connection was established after one that was lost.
    pub reconnections: u64,
    /// How often a transport was replaced with nothing missing (stateful reconnect).
    pub resumes: u64,
    /// How often it was tried again to connect.
    pub retries: u64,
    /// Messages that were handed to the transport, pings included, repetitions of stateful reconnect not.
    pub messages_sent: u64,
    /// Messages that came, pings and repetitions included.
    pub messages_received: u64,
    /// Messages that came again and were dropped.
    pub duplicates_dropped: u64,
    /// Times that messages were lost for good.
    pub gaps: u64,
    /// Messages of the server that were acknowledged, repetitions included.
    pub acknowledged: u64,
    /// Messages of the server that were refused because a handler failed, or there was none.
    pub nacked: u64,
    /// Members of batches that were no messages.
    pub malformed: u64,
    /// Times that the server was asked for what was missing in streams.
    pub recoveries: u64,
    /// Times that the server was asked for an object as a whole.
    pub snapshots: u64,
    /// How long the last connection took, from its first step to the handshake, without the waiting between attempts.
    pub connect_latency: Option<Duration>,
    /// What waits in the outbox.
    pub outbox: OutboxProgress,
    /// The quality of the connection.
    pub quality: Quality,
}
