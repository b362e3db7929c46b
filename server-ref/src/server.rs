use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use axum::Router;
use axum::serve::Listener;
use tokio_util::sync::CancellationToken;

use crate::Principal;
use crate::admission::Admission;
use crate::auth::Authenticator;
use crate::clients::{Groups, HubClients};
use crate::config::{Config, Settings};
use crate::connection::ConnectionTask;
use crate::connection::builtin::ACKNOWLEDGEMENTS;
use crate::dedupe::Deduper;
use crate::delivery::pending::DeliveryConfig;
use crate::endpoint::{Clock, Endpoint};
use crate::error::BuildError;
use crate::fanout::{Fanout, HubBatching};
use crate::http::{self, HubRoute, Shared, Statistics, Status};
use crate::hub::Hub;
use crate::identity::{Announcement, Identity};
use crate::negotiate::{Tokens, random_id};
use crate::options::HubOptions;
use crate::outbox::Queued;
use crate::registry::Registry;
use crate::reliable::{DeadLetter, Reliable};
use crate::serve::serve;
use crate::shutdown::Shutdown;
use crate::stats::{EventLog, HubStats};
use crate::store::{DeliveryStore, RedbDeliveryStore};
use crate::transport::Transport;

/// A server with its hubs.
#[derive(Debug)]
#[must_use = "a server does nothing until it is served"]
pub struct Server {
    shared: Arc<Shared>,
}

impl Server {
    /// A server without hubs and with the default configuration.
    pub fn builder() -> ServerBuilder {
        ServerBuilder { config: Config::default(), hubs: Vec::new(), authenticator: None, store: None }
    }

    /// The way to reach the clients and to end the server from outside.
    pub fn handle(&self) -> ServerHandle {
        ServerHandle { shared: self.shared.clone() }
    }

    /// The server as a router, to serve it along with other routes.
    ///
    /// It answers everything that no other route does. Whoever serves it calls [`ServerHandle::shutdown`] in the end, and
    /// limits the time and size of request heads, which [`serve`](Self::serve) does itself.
    pub fn into_router(self) -> Router {
        Router::new().fallback(http::dispatch).with_state(self.shared)
    }

    /// Serves until `shutdown` completes, then tells all clients to come back later and waits for them to go.
    ///
    /// Small messages are delayed by the kernel unless the sockets have `TCP_NODELAY`, which is up to the listener:
    ///
    /// ```no_run
    /// # async fn serve(server: hubwire_server::Server) -> std::io::Result<()> {
    /// use axum::serve::ListenerExt;
    ///
    /// let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    /// let listener = listener.tap_io(|socket| {
    ///     // It works without, only slower.
    ///     let _ = socket.set_nodelay(true);
    /// });
    /// server.serve(listener, std::future::pending()).await
    /// # }
    /// ```
    ///
    /// # Errors
    /// Listeners deal with their errors themselves, so there are none today.
    pub async fn serve<L: Listener>(self, listener: L, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        let handle = self.handle();
        let stopping = CancellationToken::new();
        let serving = serve(listener, self.shared, stopping.clone());
        let stop = async {
            shutdown.await;
            // Requests are answered until then: a client that polls would not learn of the end otherwise.
            handle.shutdown().await;
            stopping.cancel();
            // Requests that are still being answered are not waited for any longer than connections were.
            tokio::time::sleep(handle.shared.settings.shutdown_timeout).await;
        };
        tokio::select! {
            () = serving => {}
            () = stop => {}
        }
        Ok(())
    }
}

/// Puts a [`Server`] together.
#[derive(Debug)]
#[must_use]
pub struct ServerBuilder {
    config: Config,
    hubs: Vec<(String, Hub, HubOptions)>,
    authenticator: Option<Authenticator>,
    store: Option<Arc<dyn DeliveryStore>>,
}

impl ServerBuilder {
    /// Adds a hub under a path such as `/hubs/chat`.
    pub fn hub(self, path: impl Into<String>, hub: Hub) -> Self {
        self.hub_with(path, hub, HubOptions::default())
    }

    /// Adds a hub under a path, served in its own way.
    pub fn hub_with(mut self, path: impl Into<String>, hub: Hub, options: HubOptions) -> Self {
        self.hubs.push((path.into(), hub, options));
        self
    }

    /// Sets the configuration; with a key in it, tokens are checked with that.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Sets how tokens are checked, instead of the configuration.
    pub fn authenticator(mut self, authenticator: Authenticator) -> Self {
        self.authenticator = Some(authenticator);
        self
    }

    /// Sets where messages are kept that are not acknowledged, instead of the configuration. Without a store they are lost
    /// when the server ends.
    pub fn store(mut self, store: impl DeliveryStore) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// Checks everything and completes the server. Reads the store, if there is one, which blocks. Call it inside of a tokio runtime.
    ///
    /// # Errors
    /// What cannot work.
    pub fn build(self) -> Result<Server, BuildError> {
        self.config.validate()?;
        let authenticator = match self.authenticator {
            Some(authenticator) => Some(authenticator),
            None => Authenticator::from_config(&self.config.auth)?,
        };
        let settings = Arc::new(Settings::from(&self.config));
        let events = Arc::new(EventLog::new(if settings.status_page { settings.events } else { 0 }));
        let clock = Clock::start();
        let shutdown = Arc::new(Shutdown::default());
        let queued = Arc::new(Queued::default());
        let store = match (self.store, &self.config.store.path) {
            (Some(store), _) => Some(store),
            (None, Some(path)) => Some(Arc::new(RedbDeliveryStore::open(path)?) as Arc<dyn DeliveryStore>),
            (None, None) => None,
        };
        let mut hubs = HashMap::new();
        for (path, hub, options) in self.hubs {
            if !path.starts_with('/') || path.ends_with('/') {
                return Err(BuildError::InvalidPath(path));
            }
            if hub.policy().is_some() && authenticator.is_none() {
                return Err(BuildError::NoAuthentication(path));
            }
            if options.transports.is_empty() {
                return Err(BuildError::NoTransports(path));
            }
            if options.dedupe.is_some_and(|dedupe| dedupe.max_entries == 0) {
                return Err(BuildError::NoDedupeEntries(path));
            }
            let stats = Arc::new(HubStats::default());
            let reliable = match options.acknowledgements {
                None => None,
                Some(limits) => {
                    let mut own = ACKNOWLEDGEMENTS.iter().filter(|name| hub.has_method(name));
                    if let Some(name) = own.next() {
                        return Err(BuildError::ReservedMethod((*name).into()));
                    }
                    let is_default = limits == DeliveryConfig::default();
                    let mut limits = if is_default { self.config.signalr.deliveries() } else { limits };
                    // More would not fit into the queue of a client: it would be cut off over and over.
                    let outbox = &settings.outbox;
                    limits.window = limits.window.min(outbox.messages / 2).max(1);
                    limits.window_bytes = limits.window_bytes.min(outbox.bytes / 2);
                    limits.recipient_bytes = limits.recipient_bytes.min(outbox.bytes);
                    let hub = path.to_lowercase();
                    Some(Reliable::new(&hub, limits, store.clone(), clock, stats.clone())?)
                }
            };
            if options.history.is_some_and(|history| history.max_streams == 0 || history.page_messages == 0) {
                return Err(BuildError::NoHistory(path));
            }
            let endpoint = Arc::new(Endpoint {
                path: path.clone(),
                hub,
                fanout: Fanout::new(&options, settings.batching, clock),
                deduper: options.dedupe.map(|limits| Deduper::new(limits, clock)),
                options,
                registry: Registry::default(),
                stats,
                reliable,
                queued: queued.clone(),
                events: events.clone(),
                settings: settings.clone(),
                clock,
                shutdown: shutdown.clone(),
            });
            let route = HubRoute { endpoint, tokens: Arc::new(Tokens::default()) };
            if hubs.insert(path.to_lowercase(), route).is_some() {
                return Err(BuildError::DuplicatePath(path));
            }
        }
        let admission = Arc::new(Admission::new(settings.connections, settings.connections_per_user));
        let status = Status::start();
        let shared =
            Shared { hubs, authenticator, settings, admission, events, status, clock, shutdown, queued };
        Ok(Server { shared: Arc::new(shared) })
    }
}

/// The way to a running server from outside of its hubs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ServerHandle {
    shared: Arc<Shared>,
}

impl ServerHandle {
    /// The clients of the hub at a path, which is compared without case; `None` if there is no such hub.
    pub fn hub(&self, path: &str) -> Option<HubClients> {
        let hub = self.shared.hubs.get(&path.to_lowercase())?;
        Some(HubClients::new(hub.endpoint.clone()))
    }

    /// The groups of the hub at a path; `None` if there is no such hub.
    pub fn groups(&self, path: &str) -> Option<Groups> {
        let hub = self.shared.hubs.get(&path.to_lowercase())?;
        Some(Groups::new(hub.endpoint.clone()))
    }

    /// The batches of the hub at a path; `None` if there is no such hub.
    pub fn batching(&self, path: &str) -> Option<HubBatching> {
        let hub = self.shared.hubs.get(&path.to_lowercase())?;
        Some(HubBatching::new(hub.endpoint.clone()))
    }

    /// Runs a connection over a transport of another kind. The future ends with the connection; spawn it.
    ///
    /// Who the principal is and may be is up to the caller: the policy of the hub is not applied. `None` if there is no
    /// such hub, no room for another connection, or the server is shutting down.
    pub fn accept<T: Transport>(
        &self,
        path: &str,
        transport: T,
        principal: Principal,
    ) -> Option<impl Future<Output = ()> + Send + use<T>> {
        self.accept_as(path, transport, principal, Some(Announcement::default()))
    }

    /// As [`accept`](Self::accept), for a client that announced itself or did not.
    pub(crate) fn accept_as<T: Transport>(
        &self,
        path: &str,
        transport: T,
        principal: Principal,
        announcement: Option<Announcement>,
    ) -> Option<impl Future<Output = ()> + Send + use<T>> {
        let hub = self.shared.hubs.get(&path.to_lowercase())?;
        let id = random_id().ok().filter(|_| !self.shared.shutdown.has_begun())?;
        let permit = self.shared.admission.admit(principal.user_id()).ok()?;
        let session = self.shared.settings.sessions.websocket.clone();
        let identity = Identity::new(principal, announcement);
        let task = ConnectionTask::new(hub.endpoint.clone(), transport, id.into(), identity, session);
        Some(async move {
            task.run().await;
            drop(permit);
        })
    }

    /// Messages of the hub at a path that could not be delivered, the oldest first; `None` if there is no such hub, or it
    /// has no acknowledgements.
    pub fn dead_letters(&self, path: &str) -> Option<Vec<DeadLetter>> {
        let endpoint = &self.shared.hubs.get(&path.to_lowercase())?.endpoint;
        endpoint.reliable.as_ref().map(|reliable| reliable.dead_letters(&endpoint.path))
    }

    /// Sends the dead letters with that id again, with all attempts and without a time limit. Returns how many there were,
    /// one for each recipient that has not got it; those for which there is no room stay. `None` as for
    /// [`dead_letters`](Self::dead_letters).
    pub fn requeue(&self, path: &str, message_id: &str) -> Option<usize> {
        let endpoint = &self.shared.hubs.get(&path.to_lowercase())?.endpoint;
        endpoint.reliable.as_ref().map(|reliable| reliable.requeue(message_id))
    }

    /// Delivers nothing new to the clients of the hub at a path that they have to acknowledge, until [`reset`](Self::reset).
    /// `false` if there is no such hub, or it has no acknowledgements.
    pub fn isolate(&self, path: &str) -> bool {
        self.circuit(path, true)
    }

    /// Closes the circuit breaker of the hub at a path: deliveries go on. `false` as for [`isolate`](Self::isolate).
    pub fn reset(&self, path: &str) -> bool {
        self.circuit(path, false)
    }

    fn circuit(&self, path: &str, isolated: bool) -> bool {
        let hub = self.shared.hubs.get(&path.to_lowercase());
        let reliable = hub.and_then(|hub| hub.endpoint.reliable.as_ref());
        reliable.inspect(|reliable| reliable.set_isolated(isolated)).is_some()
    }

    /// What the server does now.
    pub fn statistics(&self) -> Statistics {
        self.shared.statistics()
    }

    /// Ends all connections with an invitation to come back, refuses new ones, and waits for the end, as long as the
    /// configuration says: that of the connections, and that of methods that a client may ask for again. Returns whether
    /// all have ended.
    pub async fn shutdown(&self) -> bool {
        for hub in self.shared.hubs.values() {
            // Before the goodbyes, or nobody would get what waits.
            HubBatching::new(hub.endpoint.clone()).pause();
        }
        self.shared.shutdown.begin();
        let limit = self.shared.settings.shutdown_timeout;
        let ended = async {
            self.shared.admission.emptied().await;
            // Without connections no call begins any more.
            for hub in self.shared.hubs.values() {
                if let Some(deduper) = &hub.endpoint.deduper {
                    deduper.idle().await;
                }
                if let Some(reliable) = &hub.endpoint.reliable {
                    reliable.flushed().await;
                }
            }
        };
        tokio::time::timeout(limit, ended).await.is_ok()
    }
}
