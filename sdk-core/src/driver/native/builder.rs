use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::runtime::Handle;

use super::connection::HubConnection;
use super::random;
use super::store::OutboxStore;
use super::tokio::{Connector, Options, Proxy, TcpConnector};
use crate::client::{AckMode, Config, DeliveryConfig, JoinRule, OutboxConfig, RetryContext, RetryPolicy};
use crate::protocol::delivery::{Position, is_client_id};
use crate::protocol::{Encoding, Transport};
use crate::{Error, ErrorKind};

pub(super) type TokenFactory =
    Arc<dyn Fn() -> BoxFuture<'static, Result<Option<String>, String>> + Send + Sync>;

pub(super) type RetryFunction = Arc<dyn Fn(&RetryContext) -> Option<Duration> + Send + Sync>;

/// Configures a [`HubConnection`]. Made by [`HubConnection::builder`].
#[must_use = "a builder does nothing until `build`"]
pub struct HubConnectionBuilder {
    config: Config,
    headers: Vec<(String, String)>,
    token_factory: Option<TokenFactory>,
    connector: Option<Arc<dyn Connector>>,
    /// Used where nothing else says how to connect.
    shared_connector: Option<Arc<dyn Connector>>,
    proxy: Option<Proxy>,
    root_certificates: Vec<Vec<u8>>,
    max_message_size: usize,
    stream_buffer: usize,
    retry: Option<RetryFunction>,
    store: Option<Box<dyn OutboxStore>>,
    seed: Option<u64>,
}

impl HubConnectionBuilder {
    pub(super) fn new(url: impl Into<String>) -> Self {
        let mut config = Config::new(url);
        config.can_probe = true;
        Self {
            config,
            headers: Vec::new(),
            token_factory: None,
            connector: None,
            shared_connector: None,
            proxy: None,
            root_certificates: Vec::new(),
            max_message_size: 16 << 20,
            stream_buffer: 256,
            retry: None,
            store: None,
            seed: None,
        }
    }

    /// The hub protocol; JSON unless set.
    pub const fn encoding(mut self, encoding: Encoding) -> Self {
        self.config.encoding = encoding;
        self
    }

    /// One access token for every connection, sent as `Authorization: Bearer`.
    pub fn access_token(self, token: impl Into<String>) -> Self {
        let token = token.into();
        self.access_token_factory(move || {
            let token = token.clone();
            async move { Ok::<_, std::convert::Infallible>(Some(token)) }
        })
    }

    /// Asked for an access token before every connection. `None` connects without one.
    pub fn access_token_factory<F, Fut, E>(mut self, factory: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Option<String>, E>> + Send + 'static,
        E: fmt::Display,
    {
        self.token_factory =
            Some(Arc::new(move || factory().map(|token| token.map_err(|error| error.to_string())).boxed()));
        self.config.has_token_factory = true;
        self
    }

    /// A header for every HTTP request, the WebSocket's included. Wins over the library's own.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Connects the WebSocket without negotiating first. The connection id is unknown then, and the server cannot
    /// redirect.
    pub const fn skip_negotiation(mut self, skip: bool) -> Self {
        self.config.skip_negotiation = skip;
        self
    }

    /// The transports that may be used; all unless set. The server's order decides which is tried first.
    pub fn transports(mut self, transports: impl Into<Vec<Transport>>) -> Self {
        self.config.transports = transports.into();
        self
    }

    /// Asks for stateful reconnect, with room for that many bytes of messages that the server has not acknowledged;
    /// the official clients have 100,000. With a server that grants it, a WebSocket that is lost is replaced by another
    /// and no message is lost or repeated, if that happens within the server's window (usually 15 s).
    pub const fn stateful_reconnect(mut self, buffer_bytes: usize) -> Self {
        self.config.stateful_reconnect = Some(buffer_bytes);
        self
    }

    /// Refreshes the access token in place before it expires, where the server supports that (.NET 11).
    pub const fn token_refresh(mut self, refresh: bool) -> Self {
        self.config.token_refresh = refresh;
        self
    }

    /// When to try again after the connection was lost, or could not be made; full jitter up to 30 s, for ever, unless
    /// set. [`RetryPolicy::never`] ends the connection when it is lost.
    ///
    /// A first start is tried again too, unless trying again cannot help: a status 4xx other than 408, 425 and 429, or
    /// an answer that is not SignalR's, ends it with that error. Once connected, everything is tried again but a close
    /// with which the server says that the client must not come back.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.config.retry = policy;
        self.retry = None;
        self
    }

    /// As [`retry`](Self::retry), with a function that says how long to wait, or with `None` that it was enough. It
    /// must not block.
    pub fn retry_with(
        mut self,
        policy: impl Fn(&RetryContext) -> Option<Duration> + Send + Sync + 'static,
    ) -> Self {
        self.config.retry = RetryPolicy::custom().with_first_start(true);
        self.retry = Some(Arc::new(policy));
        self
    }

    /// How long a connection has to last so that the next one is made without a pause, whatever the policy says: 5 s unless
    /// set. Zero only where connections are known to be cut often.
    pub const fn lasting(mut self, time: Duration) -> Self {
        self.config.lasting = time;
        self
    }

    /// What may wait for a connection, and how much of it.
    pub fn outbox(mut self, outbox: OutboxConfig) -> Self {
        self.config.outbox = outbox;
        self
    }

    /// Where durable calls are kept until the server has completed them.
    pub fn outbox_store(mut self, store: impl OutboxStore) -> Self {
        self.config.has_store = true;
        self.store = Some(Box::new(store));
        self
    }

    /// A method that joins something for the life of the connection, and the one that leaves it, for example
    /// `JoinConversation` and `LeaveConversation`. Calls of it that succeeded are made again after a new connection, in
    /// order, before everything that was queued; leaving with the same arguments ends that.
    pub fn rejoin(self, join: &str, leave: &str) -> Self {
        self.rejoin_rule(JoinRule::new(join, leave))
    }

    /// As [`rejoin`](Self::rejoin), also for a method that joins what no other leaves.
    pub fn rejoin_rule(mut self, rule: JoinRule) -> Self {
        self.config.joins.push(rule);
        self
    }

    /// Which messages of the server are acknowledged and by whom, and what is remembered for that.
    pub fn delivery(mut self, delivery: DeliveryConfig) -> Self {
        self.config.delivery = delivery;
        self
    }

    /// Who acknowledges the messages of one method, whatever the server says of itself.
    pub fn ack_mode(mut self, target: &str, mode: AckMode) -> Self {
        self.config.delivery.targets.retain(|(name, _)| !name.eq_ignore_ascii_case(target));
        self.config.delivery.targets.push((target.into(), mode));
        self
    }

    /// Where an earlier process stood in streams with history; what came since then is asked for as soon as the server
    /// says that the connection is subscribed.
    pub fn positions(mut self, positions: Vec<Position>) -> Self {
        self.config.positions = positions;
        self
    }

    /// Names this client to servers that keep messages for it until it comes back; random unless set, and that of an outbox
    /// store goes first. A name that outlives the process gets what the process before was sent and did not acknowledge. It
    /// is a secret, and must not be used by two at a time. 1 to 64 of the characters `A-Z`, `a-z`, `0-9`, `-` and `_`.
    pub fn session_id(mut self, id: &str) -> Self {
        self.config.session_id = Some(id.to_owned());
        self
    }

    /// The longest time from making a call to its end, the time in the queue included; none unless set. Streams have
    /// none.
    pub const fn call_timeout(mut self, timeout: Duration) -> Self {
        self.config.call_timeout = Some(timeout);
        self
    }

    /// A hub method without arguments that answers at once, often `Ping`: it measures the round-trip time where the
    /// transport is no WebSocket.
    pub fn ping_method(mut self, method: &str) -> Self {
        self.config.ping_method = Some(method.into());
        self
    }

    /// Whether to tell the server, in the query, that this client reads what only Hubwire servers send: when to
    /// come back after a restart. On unless set.
    pub const fn announce(mut self, announce: bool) -> Self {
        self.config.announce = announce;
        self
    }

    /// Where the jitter comes from; random unless set. Clients with one seed reconnect at the same moments.
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The longest time without sending anything before a ping goes out; 15 s unless set.
    pub const fn keep_alive_interval(mut self, interval: Duration) -> Self {
        self.config.keep_alive_interval = interval;
        self
    }

    /// The longest time without receiving anything before the connection counts as lost; 30 s unless set.
    pub const fn server_timeout(mut self, timeout: Duration) -> Self {
        self.config.server_timeout = timeout;
        self
    }

    /// The longest time for a connection to close in order when it is stopped; 5 s unless set.
    pub const fn close_timeout(mut self, timeout: Duration) -> Self {
        self.config.close_timeout = timeout;
        self
    }

    /// The longest time for the handshake response; 15 s unless set.
    pub const fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.config.handshake_timeout = timeout;
        self
    }

    /// The longest time for the token, for negotiating and for opening the transport, each; 30 s unless set.
    pub const fn request_timeout(mut self, timeout: Duration) -> Self {
        self.config.request_timeout = timeout;
        self
    }

    /// The largest message to accept, in bytes; 16 MiB unless set. A larger one closes the connection.
    pub const fn max_message_size(mut self, bytes: usize) -> Self {
        self.max_message_size = bytes;
        self
    }

    /// How many items of a stream wait for a slow reader before the connection stops reading; 256 unless set.
    pub const fn stream_buffer(mut self, items: usize) -> Self {
        self.stream_buffer = items;
        self
    }

    /// What opens TCP and TLS connections: [`TcpConnector`] unless set. Not together with [`proxy`](Self::proxy) and
    /// [`root_certificates`](Self::root_certificates), which are the connector's then: [`TcpConnector::builder`].
    pub fn connector(mut self, connector: impl Connector) -> Self {
        self.connector = Some(Arc::new(connector));
        self
    }

    /// The proxy; that of the environment unless set ([`Proxy::from_environment`]).
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.proxy = Some(proxy);
        self
    }

    /// Trusts the certificates in a PEM text, one or more, beside the Mozilla root certificates: for a private authority. To
    /// trust nobody else, see [`TcpConnectorBuilder::only_root_certificates`](crate::TcpConnectorBuilder::only_root_certificates).
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificates.push(pem.into());
        self
    }

    /// What connects unless the application says something else.
    pub(super) fn shared_connector(mut self, connector: Arc<dyn Connector>) -> Self {
        self.shared_connector = Some(connector);
        self
    }

    fn take_connector(&mut self) -> Result<Arc<dyn Connector>, Error> {
        let configured = self.proxy.is_some() || !self.root_certificates.is_empty();
        match (self.connector.take(), self.shared_connector.take()) {
            (Some(_), _) if configured => Err(Error::new(
                ErrorKind::Misuse,
                "proxy and root_certificates are for the connector of this library, and another one is set",
            )),
            (Some(connector), _) => Ok(connector),
            (None, Some(shared)) if !configured => Ok(shared),
            (None, _) => {
                let mut connector = TcpConnector::builder();
                for pem in &self.root_certificates {
                    connector = connector.add_root_certificates(pem)?;
                }
                let proxy = self.proxy.take().unwrap_or_default();
                Ok(Arc::new(connector.proxy(proxy).build()?))
            }
        }
    }

    /// Whether the address may be one of a hub.
    pub(super) fn check_url(&self) -> Result<(), Error> {
        check_url(&self.config.url).map_err(|text| Error::new(ErrorKind::Misuse, text))
    }

    /// Makes the connection, not connected yet.
    ///
    /// # Errors
    /// [`ErrorKind::Misuse`] when an option is invalid (the text names it), or when called outside a tokio runtime.
    pub fn build(mut self) -> Result<HubConnection, Error> {
        // A binding leaves it to the start, as the official client does.
        if self.config.skip_negotiation {
            if !self.config.transports.contains(&Transport::WebSockets) {
                return Err(Error::new(ErrorKind::Misuse, "skip_negotiation needs the transport WebSockets"));
            }
            self.config.transports = vec![Transport::WebSockets];
        }
        let (runtime, config, options) = self.prepare()?;
        Ok(HubConnection::spawn(&runtime, config, options))
    }

    /// Everything that a connection is made of, checked.
    pub(super) fn prepare(mut self) -> Result<(Handle, Config, Options), Error> {
        let misuse = |text: String| Error::new(ErrorKind::Misuse, text);
        let runtime = Handle::try_current()
            .map_err(|_| misuse("a HubConnection must be built within a tokio runtime".into()))?;
        check_url(&self.config.url).map_err(misuse)?;
        for (name, duration) in [
            ("keep_alive_interval", self.config.keep_alive_interval),
            ("server_timeout", self.config.server_timeout),
            ("handshake_timeout", self.config.handshake_timeout),
            ("request_timeout", self.config.request_timeout),
        ] {
            if duration.is_zero() {
                return Err(misuse(format!("{name} must be longer than zero")));
            }
        }
        for (name, size) in
            [("max_message_size", self.max_message_size), ("stream_buffer", self.stream_buffer)]
        {
            if size == 0 {
                return Err(misuse(format!("{name} must be at least 1")));
            }
        }
        self.config.retry.check().map_err(misuse)?;
        if self.config.outbox.window == 0 {
            return Err(misuse("the window of the outbox must be at least 1".into()));
        }
        if self.config.call_timeout.is_some_and(|timeout| timeout.is_zero()) {
            return Err(misuse("call_timeout must be longer than zero".into()));
        }
        let connector = self.take_connector()?;
        let mut headers = HeaderMap::new();
        for (name, value) in self.headers {
            let parsed = HeaderName::try_from(&name).ok().zip(HeaderValue::try_from(value).ok());
            // The value may be a secret: the text names only the header.
            let (name, value) = parsed.ok_or_else(|| misuse(format!("the header '{name}' is invalid")))?;
            headers.append(name, value);
        }
        let mut config = self.config;
        if let Some(id) = config.session_id.as_deref().filter(|id| !is_client_id(id)) {
            return Err(misuse(format!(
                "'{id}' is no session id: it must have 1 to 64 of A-Z, a-z, 0-9, - and _"
            )));
        }
        config.client_id = Some(random::client_id(random::number(), random::number()));
        Ok((
            runtime,
            config,
            Options {
                headers,
                token_factory: self.token_factory,
                connector,
                max_message_size: self.max_message_size,
                stream_buffer: self.stream_buffer,
                retry: self.retry,
                store: self.store,
                seed: self.seed.unwrap_or_else(random::number),
            },
        ))
    }
}

fn check_url(url: &str) -> Result<(), String> {
    let uri: http::Uri = url.parse().map_err(|error| format!("the url '{url}' is invalid: {error}"))?;
    match uri.scheme_str() {
        Some("http" | "https") if uri.host().is_some_and(|host| !host.is_empty()) => Ok(()),
        Some("http" | "https") => Err(format!("the url '{url}' has no host")),
        _ => Err(format!("the url '{url}' must begin with http:// or https://")),
    }
}

impl fmt::Debug for HubConnectionBuilder {
    // Headers, tokens and the name of the session are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = Config { session_id: None, ..self.config.clone() };
        f.debug_struct("HubConnectionBuilder").field("config", &config).finish_non_exhaustive()
    }
}
