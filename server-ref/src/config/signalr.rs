//! Settings whose names are those of another system, and how they are spelled there.

use std::time::Duration;

use config::{Map, Source, Value, ValueKind};
use serde::Deserialize;

use super::ConfigError;
use crate::delivery::batcher::Batching;

/// Settings with the names of another system.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SignalrConfig {
    /// Batches.
    pub batching: BatchingConfig,
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

impl SignalrConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let batching = &self.batching;
        let zero = [
            ("signalr.batching.window_ms", batching.window_ms == 0),
            ("signalr.batching.max_batch_size", batching.max_batch_size == 0),
            ("signalr.batching.max_batch_size_bytes", batching.max_batch_size_bytes == 0),
            ("signalr.batching.max_pending", batching.max_pending == 0),
            ("signalr.batching.max_pending_bytes", batching.max_pending_bytes == 0),
        ];
        match zero.iter().find(|(_, zero)| *zero) {
            Some((key, _)) => Err(ConfigError::new(*key, "must be more than zero")),
            None => Ok(()),
        }
    }
}

/// The keys that have a spelling of the other system.
const KEYS: [(&str, &str); 4] = [
    ("batching", "window_ms"),
    ("batching", "max_batch_size"),
    ("batching", "max_batch_size_bytes"),
    ("batching", "group_by_method"),
];

/// A name without case and underscores: both spellings are the same then.
fn folded(name: &str) -> String {
    name.chars().filter(|char| *char != '_').flat_map(char::to_lowercase).collect()
}

/// Our name of an environment variable such as `SignalR__Batching__WindowMs`; `None` for all others.
pub(super) fn variable(name: &str) -> Option<String> {
    let name = name.replace(':', "__");
    let (prefix, rest) =
        name.split_once("__").filter(|(prefix, _)| prefix.eq_ignore_ascii_case("SignalR"))?;
    let known = rest.split_once("__").and_then(|(section, key)| {
        let is = |(own_section, own_key): &&(&str, &str)| {
            folded(own_section) == folded(section) && folded(own_key) == folded(key)
        };
        KEYS.iter().find(is)
    });
    let rest = known.map_or_else(|| rest.to_owned(), |(section, key)| format!("{section}__{key}"));
    // What is not known is refused later, under its own name.
    Some(format!("HUBWIRE_{prefix}__{rest}").to_uppercase())
}

/// A source in which the names of the other system become ours.
#[derive(Clone, Debug)]
pub(super) struct Spelled<S>(pub(super) S);

impl<S: Source + Clone + Send + Sync + 'static> Source for Spelled<S> {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, config::ConfigError> {
        let tables = self.0.collect()?;
        let spell = |(name, value): (String, Value)| match name.eq_ignore_ascii_case("signalr") {
            true => ("signalr".to_owned(), spelled(value)),
            false => (name, value),
        };
        Ok(tables.into_iter().map(spell).collect())
    }
}

/// All names below in lower case with underscores.
fn spelled(mut value: Value) -> Value {
    if let ValueKind::Table(table) = value.kind {
        let table = table.into_iter().map(|(name, value)| (snake_case(&name), spelled(value)));
        value.kind = ValueKind::Table(table.collect());
    }
    value
}

fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for (index, char) in name.char_indices() {
        if char.is_ascii_uppercase() && index > 0 {
            snake.push('_');
        }
        snake.push(char.to_ascii_lowercase());
    }
    snake
}
