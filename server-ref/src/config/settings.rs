use std::sync::Arc;
use std::time::Duration;

use hubwire::protocol::{Transport, VERSION_STATEFUL};

use super::Config;
use crate::delivery::batcher::Batching;
use crate::outbox::OutboxLimits;
use crate::session::SessionConfig;

/// What the parts of a running server need of the [`Config`].
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) sessions: SessionConfigs,
    pub(crate) outbox: OutboxLimits,
    pub(crate) batching: Batching,
    pub(crate) detailed_errors: bool,
    pub(crate) message_bytes: usize,
    pub(crate) frame_bytes: usize,
    pub(crate) header_bytes: usize,
    pub(crate) coalesced_bytes: usize,
    pub(crate) read_buffer_bytes: usize,
    pub(crate) groups_per_connection: usize,
    pub(crate) connections: usize,
    pub(crate) connections_per_user: usize,
    pub(crate) negotiated: usize,
    pub(crate) negotiated_for: Duration,
    pub(crate) client_result_timeout: Duration,
    pub(crate) poll_timeout: Duration,
    pub(crate) request_timeout: Duration,
    /// How long expired tokens are still valid.
    pub(crate) leeway: Duration,
    pub(crate) close_timeout: Duration,
    pub(crate) shutdown_timeout: Duration,
    pub(crate) drain_window: Duration,
    pub(crate) origins: Vec<String>,
    pub(crate) status_page: bool,
    pub(crate) events: usize,
}

impl From<&Config> for Settings {
    fn from(config: &Config) -> Self {
        let (times, limits) = (&config.times, &config.limits);
        Self {
            sessions: SessionConfigs::new(SessionConfig {
                handshake_timeout: times.handshake,
                keep_alive: Some(times.keep_alive),
                client_timeout: Some(times.client_timeout),
                send_timeout: Some(times.send),
                disconnect_timeout: times.disconnect,
                replay_bytes: limits.replay_bytes,
                parallel_invocations: limits.parallel_invocations,
                invocation_queue: limits.invocation_queue,
                streams: limits.streams,
                upload_buffer: limits.upload_buffer,
                client_calls: limits.client_calls,
                detailed_errors: config.detailed_errors,
                ..SessionConfig::default()
            }),
            outbox: OutboxLimits {
                messages: limits.outbox_messages,
                bytes: limits.outbox_bytes,
                drop_oldest: false,
            },
            batching: Batching::from(&config.signalr.batching),
            detailed_errors: config.detailed_errors,
            message_bytes: limits.message_bytes,
            frame_bytes: limits.frame_bytes,
            header_bytes: limits.header_bytes,
            coalesced_bytes: limits.coalesced_bytes,
            read_buffer_bytes: limits.read_buffer_bytes,
            groups_per_connection: limits.groups_per_connection,
            connections: limits.connections,
            connections_per_user: limits.connections_per_user,
            negotiated: limits.negotiated,
            negotiated_for: times.negotiated,
            client_result_timeout: times.client_result,
            poll_timeout: times.poll,
            request_timeout: times.request,
            leeway: config.auth.leeway,
            close_timeout: times.close,
            shutdown_timeout: times.shutdown,
            drain_window: times.drain_window,
            origins: config.cors.origins.clone(),
            status_page: config.status_page || config.dev,
            events: limits.events,
        }
    }
}

/// The rules of sessions, which differ by transport. Shared by all connections.
#[derive(Debug)]
pub(crate) struct SessionConfigs {
    pub(crate) websocket: Arc<SessionConfig>,
    /// A WebSocket with stateful reconnect.
    pub(crate) stateful: Arc<SessionConfig>,
    pub(crate) server_sent_events: Arc<SessionConfig>,
    pub(crate) long_polling: Arc<SessionConfig>,
}

impl SessionConfigs {
    fn new(config: SessionConfig) -> Self {
        let server_sent_events = SessionConfig { formats: Transport::ServerSentEvents.formats(), ..config };
        // Polls show that the client is there, and a response is either taken or the next poll does not come.
        let long_polling =
            SessionConfig { keep_alive: None, client_timeout: None, send_timeout: None, ..config };
        let stateful = SessionConfig { max_version: VERSION_STATEFUL, ..config };
        Self {
            stateful: Arc::new(stateful),
            websocket: Arc::new(config),
            server_sent_events: Arc::new(server_sent_events),
            long_polling: Arc::new(long_polling),
        }
    }
}
