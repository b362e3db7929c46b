//! Configuration: one struct, from a TOML file, `HUBWIRE_*` environment variables and flags, checked once.

mod duration;
mod list;
mod settings;
mod signalr;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

pub(crate) use duration::deserialize as duration;
pub use duration::parse_duration;
pub(crate) use settings::Settings;
pub use signalr::{AcknowledgmentConfig, BatchingConfig, MessageQueueConfig, SignalRConfig};

/// Everything that can be configured. Unknown keys are refused.
///
/// In a file the keys are those of these structs; in the environment they are upper-case behind `HUBWIRE_`, with two
/// underscores between a section and its key: `HUBWIRE_LIMITS__MESSAGE_BYTES=65536`. Times are texts such as `500ms`,
/// `15s`, `2m` or `1h`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where the binary listens. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// For development: runs without a configured key, on this machine only, with the status page.
    pub dev: bool,
    /// Whether the status page is served at `/` and its data at `/status.json`, to everybody.
    pub status_page: bool,
    /// Whether clients see the texts of errors that were not meant for them.
    pub detailed_errors: bool,
    /// Checking of access tokens.
    pub auth: AuthConfig,
    /// Times.
    pub times: Times,
    /// Sizes and numbers.
    pub limits: Limits,
    /// Cross-origin requests.
    pub cors: CorsConfig,
    /// The chat hub.
    pub chat: crate::hubs::ChatConfig,
    /// Messages that clients acknowledge, and batches. In a file and in the environment the names of another system are
    /// understood, too: `[SignalR.Batching]` with `WindowMs`, and `SignalR__Batching__WindowMs`.
    pub signalr: SignalRConfig,
    /// What survives the end of the server.
    pub store: StoreConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            dev: false,
            status_page: false,
            detailed_errors: false,
            auth: AuthConfig::default(),
            times: Times::default(),
            limits: Limits::default(),
            cors: CorsConfig::default(),
            chat: crate::hubs::ChatConfig::default(),
            signalr: SignalRConfig::default(),
            store: StoreConfig::default(),
        }
    }
}

/// How access tokens are checked: JSON Web Tokens signed with HS256 and a shared key, or with RS256 or ES256.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuthConfig {
    /// The shared key, at least 32 bytes.
    pub signing_key: Option<String>,
    /// A file with the shared key; surrounding white space is ignored.
    pub signing_key_file: Option<PathBuf>,
    /// A file with public keys for RS256 and ES256: a JSON Web Key Set, or one key. Read when the server starts.
    pub jwks_file: Option<PathBuf>,
    /// What the `iss` claim must be.
    pub issuer: Option<String>,
    /// What the `aud` claim must be or contain.
    pub audience: Option<String>,
    /// Claims that every token must have, besides `exp`.
    #[serde(deserialize_with = "list::deserialize")]
    pub required_claims: Vec<String>,
    /// How far clocks may be apart.
    #[serde(deserialize_with = "duration::deserialize")]
    pub leeway: Duration,
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self {
            signing_key: None,
            signing_key_file: None,
            jwks_file: None,
            issuer: None,
            audience: None,
            required_claims: Vec::new(),
            leeway: Duration::from_secs(30),
        }
    }
}

impl AuthConfig {
    /// The key, from the setting or from the file.
    ///
    /// # Errors
    /// When both are set, the file cannot be read, or the key is too short.
    pub fn key(&self) -> Result<Option<Vec<u8>>, ConfigError> {
        let (name, key) = match (&self.signing_key, &self.signing_key_file) {
            (Some(_), Some(_)) => {
                return Err(ConfigError::new("auth.signing_key", "is set together with signing_key_file"));
            }
            (Some(key), None) => ("auth.signing_key", key.clone().into_bytes()),
            (None, Some(path)) => {
                let key = std::fs::read(path).map_err(|error| {
                    ConfigError::new("auth.signing_key_file", format!("cannot be read: {error}"))
                })?;
                ("auth.signing_key_file", key.trim_ascii().to_vec())
            }
            (None, None) => return Ok(None),
        };
        if key.len() < MIN_KEY {
            return Err(ConfigError::new(name, format!("must be a key of at least {MIN_KEY} bytes")));
        }
        Ok(Some(key))
    }
}

/// A shorter key than the hash weakens HS256 (RFC 7518, section 3.2).
const MIN_KEY: usize = 32;

impl fmt::Debug for AuthConfig {
    // The key does not belong in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthConfig")
            .field("signing_key", &self.signing_key.as_ref().map(|_| "redacted"))
            .field("signing_key_file", &self.signing_key_file)
            .field("jwks_file", &self.jwks_file)
            .field("issuer", &self.issuer)
            .field("audience", &self.audience)
            .finish_non_exhaustive()
    }
}

/// Times; the defaults are SignalR's, where SignalR has one.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Times {
    /// How long the handshake may take.
    #[serde(deserialize_with = "duration::deserialize")]
    pub handshake: Duration,
    /// The client is pinged when nothing was sent for that long.
    #[serde(deserialize_with = "duration::deserialize")]
    pub keep_alive: Duration,
    /// A client is gone when nothing came for that long; at least twice its own ping interval.
    #[serde(deserialize_with = "duration::deserialize")]
    pub client_timeout: Duration,
    /// A client that takes nothing for that long is cut off.
    #[serde(deserialize_with = "duration::deserialize")]
    pub send: Duration,
    /// How long a connection is kept while its client is not there: between two polls, or until it resumes.
    #[serde(deserialize_with = "duration::deserialize")]
    pub disconnect: Duration,
    /// How long a poll waits for messages.
    #[serde(deserialize_with = "duration::deserialize")]
    pub poll: Duration,
    /// How long reading a request may take: its headers, and the body of a POST.
    #[serde(deserialize_with = "duration::deserialize")]
    pub request: Duration,
    /// How long the server waits for the result of a client's method.
    #[serde(deserialize_with = "duration::deserialize")]
    pub client_result: Duration,
    /// How long a negotiated connection may take to open its transport.
    #[serde(deserialize_with = "duration::deserialize")]
    pub negotiated: Duration,
    /// How long the last messages and the closing of a transport may take.
    #[serde(deserialize_with = "duration::deserialize")]
    pub close: Duration,
    /// How long a graceful shutdown waits for connections to end.
    #[serde(deserialize_with = "duration::deserialize")]
    pub shutdown: Duration,
    /// After a graceful shutdown, the time over which clients come back. Hubwire clients only: others have a schedule
    /// of their own.
    #[serde(deserialize_with = "duration::deserialize")]
    pub drain_window: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            handshake: Duration::from_millis(15_000),
            keep_alive: Duration::from_millis(15_000),
            client_timeout: Duration::from_millis(30_000),
            send: Duration::from_millis(10_000),
            disconnect: Duration::from_millis(15_000),
            poll: Duration::from_millis(90_000),
            request: Duration::from_millis(30_000),
            client_result: Duration::from_millis(30_000),
            negotiated: Duration::from_millis(15_000),
            close: Duration::from_millis(5_000),
            shutdown: Duration::from_millis(10_000),
            drain_window: Duration::from_millis(5_000),
        }
    }
}

/// Sizes and numbers. Everything that grows is bounded by one of them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// Connections of one user at once.
    pub connections_per_user: usize,
    /// Negotiated connections that have not opened their transport.
    pub negotiated: usize,
    /// The largest message from a client.
    pub message_bytes: usize,
    /// The largest frame from a client, which may hold several messages.
    pub frame_bytes: usize,
    /// The head of a request; at least 8192.
    pub header_bytes: usize,
    /// Methods of one client that run at once, streaming ones not counted.
    pub parallel_invocations: usize,
    /// Calls of one client that wait for their turn.
    pub invocation_queue: usize,
    /// Streams of one client at once, in both directions together.
    pub streams: usize,
    /// Items of an uploaded stream that wait for the method.
    pub upload_buffer: usize,
    /// Calls that wait for the result of one client.
    pub client_calls: usize,
    /// Groups that one connection can be in.
    pub groups_per_connection: usize,
    /// Messages that wait for one client; with more it is disconnected.
    pub outbox_messages: usize,
    /// Bytes that wait for one client; with more it is disconnected.
    pub outbox_bytes: usize,
    /// With stateful reconnect: bytes that one client has not acknowledged; with more the rest waits.
    pub replay_bytes: usize,
    /// Waiting messages leave together in frames of up to this size.
    pub coalesced_bytes: usize,
    /// The read buffer of each WebSocket. Small, because every idle connection has one.
    pub read_buffer_bytes: usize,
    /// Events that the status page shows.
    pub events: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            connections_per_user: 100,
            negotiated: 20_000,
            message_bytes: 32 * 1024,
            frame_bytes: 256 * 1024,
            header_bytes: 16 * 1024,
            parallel_invocations: 1,
            invocation_queue: 16,
            streams: 100,
            upload_buffer: 10,
            client_calls: 100,
            groups_per_connection: 1_000,
            outbox_messages: 10_000,
            outbox_bytes: 4 * 1024 * 1024,
            replay_bytes: 100_000,
            coalesced_bytes: 64 * 1024,
            read_buffer_bytes: 1024,
            events: 100,
        }
    }
}

/// Which pages of other origins may use the server.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CorsConfig {
    /// Origins such as `https://app.example`. `*` is not possible: SignalR's clients send credentials.
    #[serde(deserialize_with = "list::deserialize")]
    pub origins: Vec<String>,
}

/// Where the server keeps what survives its end.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// A file, which is made if it is not there; one server at a time has it. Without one, messages that are not
    /// acknowledged are lost when the server ends.
    pub path: Option<PathBuf>,
}

impl Config {
    /// Reads the file, if there is one, and then the environment, which wins.
    ///
    /// # Errors
    /// What is wrong, with the name of the key. Nothing is checked beyond types yet; see [`validate`](Self::validate).
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        let environment = config::Environment::with_prefix("HUBWIRE").prefix_separator("_").separator("__");
        let variables = std::env::vars_os();
        let texts =
            variables.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self::load_from(file, environment, texts)
    }

    fn load_from(
        file: Option<&Path>,
        environment: config::Environment,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut builder = config::Config::builder();
        if let Some(file) = file {
            let file = config::File::from(file).format(config::FileFormat::Toml);
            builder = builder.add_source(signalr::OwnNames(file));
        }
        let builder = builder
            .add_source(signalr::OwnNames(signalr::environment(variables)))
            .add_source(signalr::OwnNames(environment));
        let read = builder.build().and_then(config::Config::try_deserialize::<Self>);
        read.map_err(ConfigError::from)
    }

    /// Checks everything once.
    ///
    /// # Errors
    /// The first key whose value is not possible, and why.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let times = &self.times;
        let positive = [
            ("times.handshake", times.handshake),
            ("times.keep_alive", times.keep_alive),
            ("times.client_timeout", times.client_timeout),
            ("times.send", times.send),
            ("times.disconnect", times.disconnect),
            ("times.poll", times.poll),
            ("times.request", times.request),
            ("times.client_result", times.client_result),
            ("times.negotiated", times.negotiated),
            ("times.close", times.close),
            ("times.shutdown", times.shutdown),
        ];
        if let Some((key, _)) = positive.iter().find(|(_, time)| time.is_zero()) {
            return Err(ConfigError::new(*key, "must be more than zero"));
        }
        if times.client_timeout <= times.keep_alive {
            return Err(ConfigError::new(
                "times.client_timeout",
                "must be longer than times.keep_alive, or clients that are there count as gone",
            ));
        }
        let limits = &self.limits;
        let positive = [
            ("limits.connections", limits.connections),
            ("limits.connections_per_user", limits.connections_per_user),
            ("limits.negotiated", limits.negotiated),
            ("limits.message_bytes", limits.message_bytes),
            ("limits.frame_bytes", limits.frame_bytes),
            ("limits.parallel_invocations", limits.parallel_invocations),
            ("limits.invocation_queue", limits.invocation_queue),
            ("limits.streams", limits.streams),
            ("limits.upload_buffer", limits.upload_buffer),
            ("limits.client_calls", limits.client_calls),
            ("limits.groups_per_connection", limits.groups_per_connection),
            ("limits.outbox_messages", limits.outbox_messages),
            ("limits.outbox_bytes", limits.outbox_bytes),
            ("limits.replay_bytes", limits.replay_bytes),
            ("limits.coalesced_bytes", limits.coalesced_bytes),
            ("limits.read_buffer_bytes", limits.read_buffer_bytes),
        ];
        if let Some((key, _)) = positive.iter().find(|(_, limit)| *limit == 0) {
            return Err(ConfigError::new(*key, "must be more than zero"));
        }
        if limits.header_bytes < 8192 {
            return Err(ConfigError::new("limits.header_bytes", "must be at least 8192"));
        }
        if limits.frame_bytes < limits.message_bytes {
            return Err(ConfigError::new("limits.frame_bytes", "must not be less than limits.message_bytes"));
        }
        if self.dev && !self.listen.ip().is_loopback() {
            return Err(ConfigError::new(
                "listen",
                "must be an address of this machine in development (dev)",
            ));
        }
        for origin in &self.cors.origins {
            let is_origin = origin
                .split_once("://")
                .is_some_and(|(scheme, host)| !scheme.is_empty() && !host.is_empty() && !host.contains('/'));
            if origin == "*" {
                return Err(ConfigError::new(
                    "cors.origins",
                    "must list origins: with credentials, which clients send, browsers refuse '*'",
                ));
            }
            if !is_origin {
                let text = format!("has '{origin}', which is no origin such as 'https://app.example'");
                return Err(ConfigError::new("cors.origins", text));
            }
        }
        crate::auth::Authenticator::from_config(&self.auth)?;
        self.signalr.validate()?;
        self.chat.validate()
    }
}

/// What is wrong with the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    key: String,
    problem: String,
}

impl ConfigError {
    /// `problem` completes a sentence that begins with the key.
    pub(crate) fn new(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { key: key.into(), problem: problem.into() }
    }

    /// The key, such as `limits.message_bytes`; empty if the file as a whole cannot be read.
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl From<config::ConfigError> for ConfigError {
    fn from(error: config::ConfigError) -> Self {
        let key = match &error {
            config::ConfigError::NotFound(key) => key.clone(),
            config::ConfigError::Type { key: Some(key), .. }
            | config::ConfigError::At { key: Some(key), .. } => key.clone(),
            _ => String::new(),
        };
        Self { key, problem: error.to_string() }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problem.contains(&self.key) {
            true => write!(f, "configuration: {}", self.problem),
            false => write!(f, "configuration: {} {}", self.key, self.problem),
        }
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests;
