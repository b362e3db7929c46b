//! Settings under the names that other servers with acknowledgements have for them.

use std::time::Duration;

use config::{ConfigError as ReadError, Map, Source, Value, ValueKind};
use serde::Deserialize;

use super::ConfigError;
use crate::delivery::batcher::Batching;
use crate::delivery::pending::DeliveryConfig;

/// How messages are delivered that clients acknowledge, for hubs that do not say it themselves.
///
/// Names can be written as here, or as `SignalR:Acknowledgment:MessageTimeoutSeconds`: as tables or with colons in a file, as
/// `SignalR__Acknowledgment__MessageTimeoutSeconds` in the environment, in any case.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SignalRConfig {
    /// Acknowledgements.
    pub acknowledgment: AcknowledgmentConfig,
    /// Retries and the circuit breaker.
    pub message_queue: MessageQueueConfig,
    /// Batches.
    pub batching: BatchingConfig,
}

/// How long and how often an acknowledgement is waited for.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AcknowledgmentConfig {
    /// How long one delivery waits for it, in seconds. `timeout_seconds` is the same.
    #[serde(alias = "timeout_seconds")]
    pub message_timeout_seconds: u64,
    /// How often a critical message is delivered again.
    pub max_retry_attempts: u32,
    /// How often what is known of ended messages is swept, in minutes. Deadlines do not wait for that.
    pub cleanup_interval_minutes: u64,
}

impl Default for AcknowledgmentConfig {
    fn default() -> Self {
        Self { message_timeout_seconds: 30, max_retry_attempts: 3, cleanup_interval_minutes: 5 }
    }
}

/// When a delivery is tried again.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MessageQueueConfig {
    /// How long the first retry waits, in seconds; each further one waits twice as long.
    pub initial_retry_delay_seconds: u64,
    /// No retry waits longer, in seconds.
    pub max_retry_delay_seconds: u64,
    /// How many recipients in a row have to fail for the circuit breaker to open.
    pub circuit_breaker_failure_threshold: usize,
    /// How long it stays open, in seconds.
    pub circuit_breaker_duration_seconds: u64,
    /// How many changes are given to the store at once.
    pub processing_batch_size: usize,
    /// Not a setting: see [`AcknowledgmentConfig::max_retry_attempts`]. Refused, because it would have no effect.
    pub max_retry_attempts: Option<u32>,
    /// Not a setting: messages are sent at once. Refused, because it would have no effect.
    pub processing_interval_ms: Option<u64>,
}

impl Default for MessageQueueConfig {
    fn default() -> Self {
        Self {
            initial_retry_delay_seconds: 2,
            max_retry_delay_seconds: 32,
            circuit_breaker_failure_threshold: 5,
            circuit_breaker_duration_seconds: 30,
            processing_batch_size: 100,
            max_retry_attempts: None,
            processing_interval_ms: None,
        }
    }
}

/// When the members of a batch leave; see [`Recipients::send_batched`](crate::Recipients::send_batched).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BatchingConfig {
    /// How long the first member of a batch waits at most, in milliseconds.
    pub window_ms: u64,
    /// Members of a batch.
    pub max_batch_size: usize,
    /// Bytes of the members of a batch, as they travel.
    pub max_batch_size_bytes: usize,
    /// Whether messages of several methods for one destination wait side by side, instead of in their order.
    pub group_by_method: bool,
    /// Members of all batches of a hub that wait at once.
    pub max_pending: usize,
    /// Bytes of all batches of a hub that wait at once.
    pub max_pending_bytes: usize,
}

impl Default for BatchingConfig {
    fn default() -> Self {
        let default = Batching::default();
        Self {
            window_ms: u64::try_from(default.window.as_millis()).unwrap_or(u64::MAX),
            max_batch_size: default.max_batch_size,
            max_batch_size_bytes: default.max_batch_size_bytes,
            group_by_method: default.group_by_method,
            max_pending: default.max_pending,
            max_pending_bytes: default.max_pending_bytes,
        }
    }
}

impl From<&BatchingConfig> for Batching {
    fn from(config: &BatchingConfig) -> Self {
        Self {
            window: Duration::from_millis(config.window_ms),
            max_batch_size: config.max_batch_size,
            max_batch_size_bytes: config.max_batch_size_bytes,
            group_by_method: config.group_by_method,
            max_pending: config.max_pending,
            max_pending_bytes: config.max_pending_bytes,
        }
    }
}

impl SignalRConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let (acknowledgment, queue, batching) = (&self.acknowledgment, &self.message_queue, &self.batching);
        if queue.max_retry_attempts.is_some() {
            return Err(ConfigError::new(
                "signalr.message_queue.max_retry_attempts",
                "has no effect, because there is one count of attempts: set \
                 signalr.acknowledgment.max_retry_attempts",
            ));
        }
        if queue.processing_interval_ms.is_some() {
            return Err(ConfigError::new(
                "signalr.message_queue.processing_interval_ms",
                "has no effect, because messages do not wait for an interval: remove it",
            ));
        }
        let positive = [
            ("signalr.acknowledgment.message_timeout_seconds", acknowledgment.message_timeout_seconds),
            ("signalr.acknowledgment.cleanup_interval_minutes", acknowledgment.cleanup_interval_minutes),
            ("signalr.message_queue.initial_retry_delay_seconds", queue.initial_retry_delay_seconds),
            (
                "signalr.message_queue.circuit_breaker_duration_seconds",
                queue.circuit_breaker_duration_seconds,
            ),
            (
                "signalr.message_queue.circuit_breaker_failure_threshold",
                queue.circuit_breaker_failure_threshold as u64,
            ),
            ("signalr.message_queue.processing_batch_size", queue.processing_batch_size as u64),
            ("signalr.batching.window_ms", batching.window_ms),
            ("signalr.batching.max_batch_size", batching.max_batch_size as u64),
            ("signalr.batching.max_batch_size_bytes", batching.max_batch_size_bytes as u64),
            ("signalr.batching.max_pending", batching.max_pending as u64),
            ("signalr.batching.max_pending_bytes", batching.max_pending_bytes as u64),
        ];
        if let Some((key, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(ConfigError::new(*key, "must be more than zero"));
        }
        if queue.max_retry_delay_seconds < queue.initial_retry_delay_seconds {
            return Err(ConfigError::new(
                "signalr.message_queue.max_retry_delay_seconds",
                "must not be less than signalr.message_queue.initial_retry_delay_seconds",
            ));
        }
        Ok(())
    }

    /// The settings of a hub.
    pub(crate) fn deliveries(&self) -> DeliveryConfig {
        let (acknowledgment, queue) = (&self.acknowledgment, &self.message_queue);
        DeliveryConfig {
            message_timeout: Duration::from_secs(acknowledgment.message_timeout_seconds),
            max_retry_attempts: acknowledgment.max_retry_attempts,
            cleanup_interval: Duration::from_secs(acknowledgment.cleanup_interval_minutes.saturating_mul(60)),
            initial_retry_delay: Duration::from_secs(queue.initial_retry_delay_seconds),
            max_retry_delay: Duration::from_secs(queue.max_retry_delay_seconds),
            failure_threshold: queue.circuit_breaker_failure_threshold,
            open_duration: Duration::from_secs(queue.circuit_breaker_duration_seconds),
            store_batch: queue.processing_batch_size,
            ..DeliveryConfig::default()
        }
    }
}

/// A source in which the section has its own names, however they are written.
#[derive(Clone, Debug)]
pub(super) struct OwnNames<S>(pub(super) S);

impl<S: Source + Clone + Send + Sync + 'static> Source for OwnNames<S> {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ReadError> {
        let mut all = Map::new();
        let mut section = Map::new();
        for (key, value) in self.0.collect()? {
            // The environment has paths with dots for keys.
            let mut path = key.split([':', '.']);
            match path.next().filter(|first| first.eq_ignore_ascii_case("signalr")) {
                Some(_) => insert(&mut section, &path.collect::<Vec<_>>(), value),
                None => drop(all.insert(key, value)),
            }
        }
        if !section.is_empty() {
            all.insert("signalr".into(), Value::from(section));
        }
        Ok(all)
    }
}

/// Puts a value where its path leads, under the names of this crate.
fn insert(section: &mut Map<String, Value>, path: &[&str], value: Value) {
    let Some((first, rest)) = path.split_first() else {
        match value.kind {
            ValueKind::Table(table) => {
                for (key, value) in table {
                    insert(section, &key.split(':').collect::<Vec<_>>(), value);
                }
            }
            // Refused when it is read: it should have been a table.
            _ => drop(section.insert("signalr".into(), value)),
        }
        return;
    };
    let name = own_name(first);
    if rest.is_empty() && !matches!(value.kind, ValueKind::Table(_)) {
        section.insert(name, value);
        return;
    }
    let inner = section.entry(name).or_insert_with(|| Value::from(Map::<String, Value>::new()));
    if !matches!(inner.kind, ValueKind::Table(_)) {
        inner.kind = ValueKind::Table(Map::new());
    }
    if let ValueKind::Table(table) = &mut inner.kind {
        insert(table, rest, value);
    }
}

/// What a name of others is here; one that nobody knows stays as it is, to be refused.
fn own_name(name: &str) -> String {
    const NAMES: [&str; 19] = [
        "acknowledgment",
        "message_queue",
        "message_timeout_seconds",
        "timeout_seconds",
        "max_retry_attempts",
        "cleanup_interval_minutes",
        "initial_retry_delay_seconds",
        "max_retry_delay_seconds",
        "circuit_breaker_failure_threshold",
        "circuit_breaker_duration_seconds",
        "processing_batch_size",
        "processing_interval_ms",
        "batching",
        "window_ms",
        "max_batch_size",
        "max_batch_size_bytes",
        "group_by_method",
        "max_pending",
        "max_pending_bytes",
    ];
    let squashed = |name: &str| name.replace('_', "").to_ascii_lowercase();
    let own = NAMES.iter().find(|own| squashed(own) == squashed(name));
    own.map_or_else(|| name.to_owned(), |own| (*own).to_owned())
}

/// The variables of the environment that have the section's name and no prefix of ours.
pub(super) fn environment(variables: impl Iterator<Item = (String, String)>) -> config::Environment {
    let is_ours = |name: &str| name.to_ascii_lowercase().replace(':', "__").starts_with("signalr__");
    let ours = variables.filter(|(name, _)| is_ours(name)).collect();
    config::Environment::default().separator("__").source(Some(ours))
}
