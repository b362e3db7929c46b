//! The configuration of a connection, and the options of calls, as JavaScript writes them: JSON whose names are those of
//! `backend.ts`. What is missing has its default.

use std::collections::BTreeMap;
use std::time::Duration;

use hubwire::client::{
    AckMode, CallOptions, DeliveryConfig, FullPolicy, JoinRule, OutboxConfig, Priority, RetryPolicy,
};
use hubwire::protocol::delivery::Position;
use hubwire::protocol::{Encoding, Transport};
use hubwire::{Error, ErrorKind, HubConnection, HubConnectionBuilder};
use serde::{Deserialize, Deserializer};

use crate::network::{Network, connector};

/// A time in milliseconds, which JavaScript may give with a fraction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Millis(pub(crate) Duration);

impl<'de> Deserialize<'de> for Millis {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let millis = f64::deserialize(deserializer)?;
        let time = Duration::try_from_secs_f64(millis / 1_000.0);
        time.map(Self).map_err(|_| serde::de::Error::custom(format!("{millis} is no time in milliseconds")))
    }
}

impl From<Millis> for Duration {
    fn from(millis: Millis) -> Self {
        millis.0
    }
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Acks {
    Auto,
    Manual,
    Off,
}

impl From<Acks> for AckMode {
    fn from(acks: Acks) -> Self {
        match acks {
            Acks::Auto => Self::Auto,
            Acks::Manual => Self::Manual,
            Acks::Off => Self::Off,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Full {
    Reject,
    DropOldest,
    DropNewest,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Outbox {
    max_items: Option<usize>,
    max_bytes: Option<usize>,
    window: Option<usize>,
    when_full: Option<Full>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Delivery {
    acks: Option<Acks>,
    targets: Vec<(String, Acks)>,
    ack_delay: Option<Millis>,
    ack_window: Option<usize>,
    max_unacknowledged: Option<usize>,
    unpack_batches: Option<bool>,
    merge_deltas: Option<bool>,
    delta_keys: Option<Vec<String>>,
    max_objects: Option<usize>,
    max_object_bytes: Option<usize>,
    max_held_deltas: Option<usize>,
    max_streams: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
enum Retry {
    FullJitter { base: Millis, cap: Millis },
    Conduit,
    Table { delays: Vec<Millis> },
    Custom,
    Never,
}

#[derive(Debug, Deserialize)]
struct Join {
    join: String,
    leave: Option<String>,
}

/// The address and what is needed to get there.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Http {
    headers: BTreeMap<String, String>,
    /// The longest time for one request.
    timeout: Option<Millis>,
}

/// Everything that a connection is told once.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Settings {
    url: String,
    encoding: String,
    transports: Option<Vec<String>>,
    #[serde(default)]
    skip_negotiation: bool,
    #[serde(default)]
    pub(crate) has_token_factory: bool,
    keep_alive_interval: Option<Millis>,
    server_timeout: Option<Millis>,
    handshake_timeout: Option<Millis>,
    request_timeout: Option<Millis>,
    close_timeout: Option<Millis>,
    stateful_reconnect: Option<usize>,
    #[serde(default)]
    token_refresh: bool,
    retry: Option<Retry>,
    retry_jitter: Option<bool>,
    retry_first_start: Option<bool>,
    max_retries: Option<u32>,
    #[serde(default)]
    outbox: Outbox,
    /// The path of the store of durable calls.
    pub(crate) store: Option<String>,
    #[serde(default)]
    delivery: Delivery,
    #[serde(default)]
    positions: Vec<String>,
    #[serde(default)]
    joins: Vec<Join>,
    call_timeout: Option<Millis>,
    ping_method: Option<String>,
    session_id: Option<String>,
    announce: Option<bool>,
    max_message_size: Option<usize>,
    #[serde(default)]
    http: Http,
    #[serde(default)]
    network: Network,
}

fn misuse(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::Misuse, text.into())
}

/// Reads JSON of JavaScript; an error names the option.
fn read<'a, T: Deserialize<'a>>(text: &'a str, what: &str) -> Result<T, Error> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        // Where in our own text it is helps nobody.
        let inner = error.into_inner().to_string();
        let reason = inner.split(" at line ").next().unwrap_or_default();
        misuse(format!("The option '{path}' of {what} is not possible: {}", in_plain_words(reason)))
    })
}

/// Without the names of types, which JavaScript does not have.
fn in_plain_words(reason: &str) -> String {
    const TYPES: [(&str, &str); 5] = [
        ("expected f64", "expected a number"),
        ("expected usize", "expected a whole number that is not negative"),
        ("expected u32", "expected a whole number that is not negative"),
        ("expected struct ", "expected an object: "),
        ("expected value", "expected a string"),
    ];
    let known = TYPES.iter().find(|(of_rust, _)| reason.contains(of_rust));
    known.map_or_else(|| reason.to_owned(), |(of_rust, words)| reason.replace(of_rust, words))
}

impl Settings {
    pub(crate) fn read(text: &str) -> Result<Self, Error> {
        read(text, "the connection")
    }

    pub(crate) fn encoding(&self) -> Result<Encoding, Error> {
        [Encoding::Json, Encoding::MessagePack]
            .into_iter()
            .find(|encoding| encoding.name() == self.encoding)
            .ok_or_else(|| misuse(format!("The encoding '{}' is not known.", self.encoding)))
    }

    /// The connection that is configured, without what has to call JavaScript.
    pub(crate) fn builder(self) -> Result<HubConnectionBuilder, Error> {
        let encoding = self.encoding()?;
        let retry = self.retry_policy();
        let mut builder = HubConnection::builder(self.url)
            .encoding(encoding)
            .skip_negotiation(self.skip_negotiation)
            .token_refresh(self.token_refresh)
            .connector(connector(self.network)?)
            .retry(retry)
            .outbox(outbox(&self.outbox))
            .delivery(delivery(self.delivery));
        if let Some(names) = self.transports {
            let known = |name: &String| {
                Transport::from_name(name)
                    .ok_or_else(|| misuse(format!("The transport '{name}' is not known.")))
            };
            builder = builder.transports(names.iter().map(known).collect::<Result<Vec<_>, _>>()?);
        }
        for (name, value) in self.http.headers {
            builder = builder.header(name, value);
        }
        let request_timeout =
            self.request_timeout.into_iter().chain(self.http.timeout).map(|time| time.0).min();
        let set = |time: Option<Millis>| time.map(|time| time.0);
        type Setter = fn(HubConnectionBuilder, Duration) -> HubConnectionBuilder;
        let times: [(Option<Duration>, Setter); 6] = [
            (set(self.keep_alive_interval), HubConnectionBuilder::keep_alive_interval),
            (set(self.server_timeout), HubConnectionBuilder::server_timeout),
            (set(self.handshake_timeout), HubConnectionBuilder::handshake_timeout),
            (request_timeout, HubConnectionBuilder::request_timeout),
            (set(self.close_timeout), HubConnectionBuilder::close_timeout),
            (set(self.call_timeout), HubConnectionBuilder::call_timeout),
        ];
        for (time, setter) in times {
            if let Some(time) = time {
                builder = setter(builder, time);
            }
        }
        if let Some(bytes) = self.stateful_reconnect {
            // With no room at all nothing would ever be sent.
            builder = builder.stateful_reconnect(bytes.max(1));
        }
        let parsed = |text: &String| {
            Position::parse(&text.as_str().into())
                .ok_or_else(|| misuse(format!("'{text}' is no position of a stream.")))
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
            builder = builder.max_message_size(bytes);
        }
        Ok(builder)
    }

    fn retry_policy(&self) -> RetryPolicy {
        let mut policy = match &self.retry {
            Some(Retry::FullJitter { base, cap }) => RetryPolicy::full_jitter(base.0, cap.0),
            Some(Retry::Conduit) => RetryPolicy::conduit(),
            Some(Retry::Table { delays }) => {
                RetryPolicy::table(delays.iter().map(|delay| delay.0).collect::<Vec<_>>())
            }
            Some(Retry::Custom) => RetryPolicy::custom(),
            Some(Retry::Never) => RetryPolicy::never(),
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
        policy
    }
}

fn outbox(from: &Outbox) -> OutboxConfig {
    let mut outbox = OutboxConfig::default();
    outbox.max_items = from.max_items.unwrap_or(outbox.max_items);
    outbox.max_bytes = from.max_bytes.unwrap_or(outbox.max_bytes);
    outbox.window = from.window.unwrap_or(outbox.window);
    outbox.when_full = match from.when_full {
        Some(Full::DropOldest) => FullPolicy::DropOldest,
        Some(Full::DropNewest) => FullPolicy::DropNewest,
        Some(Full::Reject) | None => FullPolicy::Reject,
    };
    outbox
}

fn delivery(from: Delivery) -> DeliveryConfig {
    let mut delivery = DeliveryConfig::default();
    delivery.acks = from.acks.map_or(delivery.acks, AckMode::from);
    delivery.targets = from.targets.into_iter().map(|(name, mode)| (name.into(), mode.into())).collect();
    delivery.ack_delay = from.ack_delay.map_or(delivery.ack_delay, Duration::from);
    delivery.ack_window = from.ack_window.unwrap_or(delivery.ack_window);
    delivery.max_unacknowledged = from.max_unacknowledged.unwrap_or(delivery.max_unacknowledged);
    delivery.unpack_batches = from.unpack_batches.unwrap_or(delivery.unpack_batches);
    delivery.merge_deltas = from.merge_deltas.unwrap_or(delivery.merge_deltas);
    if let Some(keys) = from.delta_keys {
        delivery.delta_keys = keys.into_iter().map(Into::into).collect();
    }
    delivery.max_objects = from.max_objects.unwrap_or(delivery.max_objects);
    delivery.max_object_bytes = from.max_object_bytes.unwrap_or(delivery.max_object_bytes);
    delivery.max_held_deltas = from.max_held_deltas.unwrap_or(delivery.max_held_deltas);
    delivery.max_streams = from.max_streams.unwrap_or(delivery.max_streams);
    delivery
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Importance {
    Low,
    Normal,
    High,
    Critical,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Call {
    timeout: Option<Millis>,
    expires_after: Option<Millis>,
    priority: Option<Importance>,
    supersede_key: Option<String>,
    idempotent: bool,
    durable: bool,
    queue: Option<bool>,
}

/// The options of a call.
pub(crate) fn call_options(text: &str) -> Result<CallOptions, Error> {
    let from: Call = read(text, "the call")?;
    Ok(CallOptions {
        timeout: from.timeout.map(Duration::from),
        expires_after: from.expires_after.map(Duration::from),
        priority: match from.priority {
            Some(Importance::Low) => Priority::Low,
            Some(Importance::High) => Priority::High,
            Some(Importance::Critical) => Priority::Critical,
            Some(Importance::Normal) | None => Priority::Normal,
        },
        supersede_key: from.supersede_key.map(Into::into),
        idempotent: from.idempotent,
        durable: from.durable,
        queue: from.queue.unwrap_or(true),
    })
}
