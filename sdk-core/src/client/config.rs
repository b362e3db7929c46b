use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use crate::ByteString;

use super::delivery::DeliveryConfig;
use super::joins::JoinRule;
use super::outbox::OutboxConfig;
use super::retry::RetryPolicy;
use crate::protocol::delivery::Position;
use crate::protocol::{Encoding, Transport};

/// How a [`Client`](super::Client) connects and what it holds at most.
///
/// The times are those of the official clients; see the documentation of each field.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The address of the hub, with scheme `http` or `https` and its own query.
    pub url: String,
    /// The hub protocol.
    pub encoding: Encoding,
    /// The transports that may be used, among those the driver has. The server's order decides.
    pub transports: Vec<Transport>,
    /// Connect without negotiating. Only with WebSockets as the one transport.
    pub skip_negotiation: bool,
    /// Whether there is a token factory to ask before connecting.
    pub has_token_factory: bool,
    /// The longest time without sending anything before a ping goes out. 15 s.
    pub keep_alive_interval: Duration,
    /// The longest time without receiving anything before the connection counts as lost. 30 s; at least twice the
    /// server's keep-alive interval.
    pub server_timeout: Duration,
    /// The longest time for the handshake response. 15 s.
    pub handshake_timeout: Duration,
    /// The longest time for the token, for negotiating and for opening a transport, each. 30 s.
    pub request_timeout: Duration,
    /// The longest time to wait for the transport to close in order. 5 s.
    pub close_timeout: Duration,
    /// Ask for stateful reconnect, with room for that many bytes of messages that the server has not acknowledged.
    /// Off unless set; 100,000 in the official clients. New calls wait while the room is used up.
    pub stateful_reconnect: Option<usize>,
    /// Refresh the access token in place before it expires, where the server supports that.
    pub token_refresh: bool,
    /// When to try again after a connection was lost, or could not be made. Full jitter up to 30 s, for ever.
    pub retry: RetryPolicy,
    /// A connection that was lost sooner than this is followed by a pause that doubles from one second to 30, whatever the
    /// policy says: a server that takes every connection and drops it must not be called in a loop. 5 s; zero for none.
    pub lasting: Duration,
    /// What may wait for a connection.
    pub outbox: OutboxConfig,
    /// What is acknowledged, unpacked, merged, and remembered for that.
    pub delivery: DeliveryConfig,
    /// Where an earlier process stood in streams with history, as [`Client::positions`](super::Client::positions) said.
    pub positions: Vec<Position>,
    /// Whether there is a store for durable calls.
    pub has_store: bool,
    /// Methods that join something for the life of the connection: what was joined is joined again after a new one.
    pub joins: Vec<JoinRule>,
    /// The longest time from making a call to its end, for calls that do not say. None.
    pub call_timeout: Option<Duration>,
    /// Whether the platform can ping a WebSocket below the hub protocol.
    pub can_probe: bool,
    /// A hub method without arguments that answers at once, to measure the round-trip time where the transport cannot
    /// be pinged. None.
    pub ping_method: Option<ByteString>,
    /// Names the calls of this client to servers that recognise repetitions: 1 to 64 of the characters `A-Z`, `a-z`,
    /// `0-9`, `-` and `_`, never used by another client or process. Calls are not named without.
    pub client_id: Option<String>,
    /// Names this client to servers that keep messages for it until it comes back: a secret of it, likewise. That of the
    /// store goes first, and without either it is [`client_id`](Self::client_id). Unlike that it may outlive the process.
    pub session_id: Option<String>,
    /// Tell the server, in the query, that this client reads the headers and fields of Hubwire servers.
    pub announce: bool,
    /// How many redirects of the negotiation are followed. 100.
    pub max_redirects: u32,
    /// How many calls may wait for their end at one time. 65,536.
    pub max_pending_calls: usize,
    /// How many calls of the server may wait for an answer at one time. 1,024.
    pub max_pending_replies: usize,
}

impl Config {
    /// The defaults, for that address.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            encoding: Encoding::Json,
            transports: Transport::ALL.to_vec(),
            skip_negotiation: false,
            has_token_factory: false,
            keep_alive_interval: Duration::from_secs(15),
            server_timeout: Duration::from_secs(30),
            handshake_timeout: Duration::from_secs(15),
            request_timeout: Duration::from_secs(30),
            close_timeout: Duration::from_secs(5),
            stateful_reconnect: None,
            token_refresh: false,
            retry: RetryPolicy::default(),
            lasting: Duration::from_secs(5),
            outbox: OutboxConfig::default(),
            delivery: DeliveryConfig::default(),
            positions: Vec::new(),
            has_store: false,
            joins: Vec::new(),
            call_timeout: None,
            can_probe: false,
            ping_method: None,
            client_id: None,
            session_id: None,
            announce: true,
            max_redirects: 100,
            max_pending_calls: 65_536,
            max_pending_replies: 1_024,
        }
    }
}
