//! The configuration of a connection and of calls. What is missing has the default of the core.

use std::time::Duration;

use hubwire::client::{CallOptions, DeliveryConfig, JoinRule, OutboxConfig, RetryPolicy};
use hubwire::protocol::delivery::Position;
use hubwire::{HubConnection, HubConnectionBuilder, Proxy};

use crate::failure::HubFailure;
use crate::values::{AckMode, Encoding, FullPolicy, Priority, Transport};

/// When to try again. Delays are in milliseconds.
#[derive(Clone, Debug, uniffi::Enum)]
pub enum RetrySchedule {
    /// Drawn from zero to `base`, twice that, … up to `cap`, for ever.
    FullJitter {
        /// The first.
        base: f64,
        /// The last.
        cap: f64,
    },
    /// Doubling from 1 s to 30 s for a minute, then every 30 s, for ever.
    Conduit,
    /// Those delays, then the end.
    Table {
        /// One for each attempt.
        delays: Vec<f64>,
    },
    /// Ask with `Notice::Retry`.
    Custom,
    /// Give up at once.
    Never,
}

/// A header of every HTTP request.
#[derive(Clone, uniffi::Record)]
pub struct Header {
    /// Its name.
    pub name: String,
    /// Its value, which may be a secret.
    pub value: String,
}

impl std::fmt::Debug for Header {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Header").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A method that joins something, and the one that leaves it.
#[derive(Clone, Debug, uniffi::Record)]
pub struct Join {
    /// What is called again after a new connection.
    pub join: String,
    /// What ends that.
    pub leave: Option<String>,
}

/// Who acknowledges the messages of one method.
#[derive(Clone, Debug, uniffi::Record)]
pub struct TargetAcks {
    /// The method.
    pub target: String,
    /// Who.
    pub mode: AckMode,
}

/// What may wait for a connection.
#[derive(Clone, Debug, Default, uniffi::Record)]
pub struct OutboxSettings {
    /// How many calls; 0 turns the outbox off.
    #[uniffi(default = None)]
    pub max_items: Option<u64>,
    /// How many bytes they may have.
    #[uniffi(default = None)]
    pub max_bytes: Option<u64>,
    /// How many queued calls may be without completion while the queue is emptied.
    #[uniffi(default = None)]
    pub window: Option<u64>,
    /// What happens to one more.
    #[uniffi(default = None)]
    pub when_full: Option<FullPolicy>,
}

/// What happens between the server and the handlers. The names are those of the core.
#[derive(Clone, Debug, Default, uniffi::Record)]
pub struct DeliverySettings {
    /// Who acknowledges, where nothing is said of the target.
    #[uniffi(default = None)]
    pub acks: Option<AckMode>,
    /// Who acknowledges single methods.
    #[uniffi(default = [])]
    pub targets: Vec<TargetAcks>,
    /// How long acknowledgements are collected, in milliseconds.
    #[uniffi(default = None)]
    pub ack_delay: Option<f64>,
    /// How many handled messages are recognised when they come again.
    #[uniffi(default = None)]
    pub ack_window: Option<u64>,
    /// How many messages may be with handlers at one time.
    #[uniffi(default = None)]
    pub max_unacknowledged: Option<u64>,
    /// Whether batches become messages.
    #[uniffi(default = None)]
    pub unpack_batches: Option<bool>,
    /// Whether changes are merged.
    #[uniffi(default = None)]
    pub merge_deltas: Option<bool>,
    /// The fields that may name the object of a change.
    #[uniffi(default = None)]
    pub delta_keys: Option<Vec<String>>,
    /// How many objects are kept.
    #[uniffi(default = None)]
    pub max_objects: Option<u64>,
    /// How many bytes they may have.
    #[uniffi(default = None)]
    pub max_object_bytes: Option<u64>,
    /// How many changes of one object wait for it.
    #[uniffi(default = None)]
    pub max_held_deltas: Option<u64>,
    /// Of how many streams the position is remembered.
    #[uniffi(default = None)]
    pub max_streams: Option<u64>,
}

/// Everything that a connection is told once. Times are in milliseconds.
#[derive(Clone, uniffi::Record)]
pub struct Settings {
    /// The address of the hub.
    pub url: String,
    /// How messages travel.
    pub encoding: Encoding,
    /// The transports that may be used; all unless set.
    #[uniffi(default = None)]
    pub transports: Option<Vec<Transport>>,
    /// Connects the WebSocket at once.
    #[uniffi(default = false)]
    pub skip_negotiation: bool,
    /// Whether to ask with `Notice::Token`.
    #[uniffi(default = false)]
    pub has_token_factory: bool,
    /// The longest silence of the client.
    #[uniffi(default = None)]
    pub keep_alive_interval: Option<f64>,
    /// The longest silence of the server.
    #[uniffi(default = None)]
    pub server_timeout: Option<f64>,
    /// For the handshake response.
    #[uniffi(default = None)]
    pub handshake_timeout: Option<f64>,
    /// For the token, negotiating and opening, each.
    #[uniffi(default = None)]
    pub request_timeout: Option<f64>,
    /// For closing in order.
    #[uniffi(default = None)]
    pub close_timeout: Option<f64>,
    /// Asks for stateful reconnect, with that room in bytes.
    #[uniffi(default = None)]
    pub stateful_reconnect: Option<u64>,
    /// Refreshes the token in place.
    #[uniffi(default = false)]
    pub token_refresh: bool,
    /// When to try again.
    #[uniffi(default = None)]
    pub retry: Option<RetrySchedule>,
    /// Whether delays are drawn between zero and that of the schedule.
    #[uniffi(default = None)]
    pub retry_jitter: Option<bool>,
    /// Whether a first start is tried again.
    #[uniffi(default = None)]
    pub retry_first_start: Option<bool>,
    /// After how many attempts to give up.
    #[uniffi(default = None)]
    pub max_retries: Option<u32>,
    /// What may wait.
    #[uniffi(default = None)]
    pub outbox: Option<OutboxSettings>,
    /// The path of the store of durable calls.
    #[uniffi(default = None)]
    pub store: Option<String>,
    /// What happens to messages.
    #[uniffi(default = None)]
    pub delivery: Option<DeliverySettings>,
    /// Where an earlier connection stood.
    #[uniffi(default = [])]
    pub positions: Vec<String>,
    /// What is joined again.
    #[uniffi(default = [])]
    pub joins: Vec<Join>,
    /// From making a call to its end.
    #[uniffi(default = None)]
    pub call_timeout: Option<f64>,
    /// A hub method that answers at once.
    #[uniffi(default = None)]
    pub ping_method: Option<String>,
    /// Who the client is over several connections.
    #[uniffi(default = None)]
    pub session_id: Option<String>,
    /// Whether the server is told that this client understands its extensions.
    #[uniffi(default = None)]
    pub announce: Option<bool>,
    /// The largest message that is accepted, in bytes.
    #[uniffi(default = None)]
    pub max_message_size: Option<u64>,
    /// For every HTTP request.
    #[uniffi(default = [])]
    pub headers: Vec<Header>,
    /// The URL of a proxy; empty for none, whatever the environment says.
    #[uniffi(default = None)]
    pub proxy: Option<String>,
    /// Certificates of authorities to trust beside the well-known ones, each a PEM text.
    #[uniffi(default = [])]
    pub root_certificates: Vec<String>,
}

impl std::fmt::Debug for Settings {
    // Headers, the session and a proxy's password are secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("url", &self.url)
            .field("encoding", &self.encoding)
            .finish_non_exhaustive()
    }
}

/// What may be asked for one call. Times are in milliseconds.
#[derive(Clone, Debug, uniffi::Record)]
pub struct CallSettings {
    /// From making the call to its end.
    #[uniffi(default = None)]
    pub timeout: Option<f64>,
    /// In the outbox.
    #[uniffi(default = None)]
    pub expires_after: Option<f64>,
    /// What leaves first.
    #[uniffi(default = None)]
    pub priority: Option<Priority>,
    /// Takes the place of the queued call with the same key.
    #[uniffi(default = None)]
    pub supersede_key: Option<String>,
    /// The method may run twice.
    #[uniffi(default = false)]
    pub idempotent: bool,
    /// Outlives the process.
    #[uniffi(default = false)]
    pub durable: bool,
    /// Waits for a connection.
    #[uniffi(default = true)]
    pub queue: bool,
}

/// A time, or what is wrong with that option.
pub(crate) fn time(name: &str, millis: f64) -> Result<Duration, HubFailure> {
    Duration::try_from_secs_f64(millis / 1_000.0)
        .map_err(|_| HubFailure::misuse(format!("The option '{name}' is no time: {millis} ms.")))
}

fn optional_time(name: &str, millis: Option<f64>) -> Result<Option<Duration>, HubFailure> {
    millis.map(|millis| time(name, millis)).transpose()
}

/// A number of things in memory: what does not fit is as good as everything.
fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

impl Settings {
    /// The connection that is configured, without what has to be asked.
    pub(crate) fn builder(self) -> Result<HubConnectionBuilder, HubFailure> {
        let retry = self.retry_policy()?;
        let mut builder = HubConnection::builder(self.url)
            .encoding(self.encoding.into())
            .skip_negotiation(self.skip_negotiation)
            .token_refresh(self.token_refresh)
            .retry(retry);
        if let Some(transports) = self.transports {
            builder = builder.transports(transports.into_iter().map(Into::into).collect::<Vec<_>>());
        }
        for Header { name, value } in self.headers {
            builder = builder.header(name, value);
        }
        type Setter = fn(HubConnectionBuilder, Duration) -> HubConnectionBuilder;
        let times: [(&str, Option<f64>, Setter); 6] = [
            ("keepAliveInterval", self.keep_alive_interval, HubConnectionBuilder::keep_alive_interval),
            ("serverTimeout", self.server_timeout, HubConnectionBuilder::server_timeout),
            ("handshakeTimeout", self.handshake_timeout, HubConnectionBuilder::handshake_timeout),
            ("requestTimeout", self.request_timeout, HubConnectionBuilder::request_timeout),
            ("closeTimeout", self.close_timeout, HubConnectionBuilder::close_timeout),
            ("callTimeout", self.call_timeout, HubConnectionBuilder::call_timeout),
        ];
        for (name, millis, setter) in times {
            if let Some(time) = optional_time(name, millis)? {
                builder = setter(builder, time);
            }
        }
        if let Some(bytes) = self.stateful_reconnect {
            // With no room at all nothing would ever be sent.
            builder = builder.stateful_reconnect(size(bytes).max(1));
        }
        if let Some(outbox) = self.outbox {
            builder = builder.outbox(outbox.config());
        }
        if let Some(delivery) = self.delivery {
            builder = builder.delivery(delivery.config()?);
        }
        let parsed = |text: &String| {
            Position::parse(&text.as_str().into())
                .ok_or_else(|| HubFailure::misuse(format!("'{text}' is no position of a stream.")))
        };
        builder = builder.positions(self.positions.iter().map(parsed).collect::<Result<Vec<_>, _>>()?);
        for Join { join, leave } in self.joins {
            builder = builder.rejoin_rule(JoinRule { join: join.into(), leave: leave.map(Into::into) });
        }
        if let Some(method) = &self.ping_method {
            builder = builder.ping_method(method);
        }
        if let Some(id) = &self.session_id {
            builder = builder.session_id(id);
        }
        if let Some(announce) = self.announce {
            builder = builder.announce(announce);
        }
        if let Some(bytes) = self.max_message_size {
            builder = builder.max_message_size(size(bytes));
        }
        match self.proxy.as_deref() {
            None => {}
            Some("") => builder = builder.proxy(Proxy::none()),
            Some(url) => builder = builder.proxy(Proxy::parse(url)?),
        }
        for pem in self.root_certificates {
            builder = builder.root_certificates(pem);
        }
        Ok(builder)
    }

    fn retry_policy(&self) -> Result<RetryPolicy, HubFailure> {
        let mut policy = match &self.retry {
            Some(RetrySchedule::FullJitter { base, cap }) => {
                RetryPolicy::full_jitter(time("base", *base)?, time("cap", *cap)?)
            }
            Some(RetrySchedule::Conduit) => RetryPolicy::conduit(),
            Some(RetrySchedule::Table { delays }) => {
                let delays = delays.iter().map(|delay| time("delays", *delay));
                RetryPolicy::table(delays.collect::<Result<Vec<_>, _>>()?)
            }
            Some(RetrySchedule::Custom) => RetryPolicy::custom(),
            Some(RetrySchedule::Never) => RetryPolicy::never(),
            None => RetryPolicy::default(),
        };
        if let Some(jitter) = self.retry_jitter {
            policy = policy.with_jitter(jitter);
        }
        if let Some(retried) = self.retry_first_start {
            policy = policy.with_first_start(retried);
        }
        if let Some(retries) = self.max_retries {
            policy = policy.with_max_retries(retries);
        }
        Ok(policy)
    }
}

impl OutboxSettings {
    fn config(&self) -> OutboxConfig {
        let mut outbox = OutboxConfig::default();
        outbox.max_items = self.max_items.map_or(outbox.max_items, size);
        outbox.max_bytes = self.max_bytes.map_or(outbox.max_bytes, size);
        outbox.window = self.window.map_or(outbox.window, size);
        outbox.when_full = self.when_full.map_or(outbox.when_full, Into::into);
        outbox
    }
}

impl DeliverySettings {
    fn config(self) -> Result<DeliveryConfig, HubFailure> {
        let mut delivery = DeliveryConfig::default();
        delivery.acks = self.acks.map_or(delivery.acks, Into::into);
        let targets =
            self.targets.into_iter().map(|TargetAcks { target, mode }| (target.into(), mode.into()));
        delivery.targets = targets.collect();
        delivery.ack_delay = optional_time("ackDelay", self.ack_delay)?.unwrap_or(delivery.ack_delay);
        delivery.ack_window = self.ack_window.map_or(delivery.ack_window, size);
        delivery.max_unacknowledged = self.max_unacknowledged.map_or(delivery.max_unacknowledged, size);
        delivery.unpack_batches = self.unpack_batches.unwrap_or(delivery.unpack_batches);
        delivery.merge_deltas = self.merge_deltas.unwrap_or(delivery.merge_deltas);
        if let Some(keys) = self.delta_keys {
            delivery.delta_keys = keys.into_iter().map(Into::into).collect();
        }
        delivery.max_objects = self.max_objects.map_or(delivery.max_objects, size);
        delivery.max_object_bytes = self.max_object_bytes.map_or(delivery.max_object_bytes, size);
        delivery.max_held_deltas = self.max_held_deltas.map_or(delivery.max_held_deltas, size);
        delivery.max_streams = self.max_streams.map_or(delivery.max_streams, size);
        Ok(delivery)
    }
}

impl CallSettings {
    pub(crate) fn options(self) -> Result<CallOptions, HubFailure> {
        Ok(CallOptions {
            timeout: optional_time("timeout", self.timeout)?,
            expires_after: optional_time("expiresAfter", self.expires_after)?,
            priority: self.priority.unwrap_or(Priority::Normal).into(),
            supersede_key: self.supersede_key.map(Into::into),
            idempotent: self.idempotent,
            durable: self.durable,
            queue: self.queue,
        })
    }
}
