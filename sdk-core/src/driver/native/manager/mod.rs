//! Many hubs of one server: one place to configure them, to connect and to disconnect them, and a limit.

mod builder;
mod hubs;
mod lease;
mod watchers;

use std::fmt;
use std::sync::Arc;

use ::tokio::sync::oneshot;

use super::connection::{HubConnection, StateChange, driver_gone};
use crate::Error;
use crate::client::ConnectionState;
pub use builder::HubManagerBuilder;
use hubs::Shared;
pub(super) use lease::Lease;
pub use watchers::HubSubscription;

/// The hubs of one server, each with one connection that all of the application shares.
///
/// Cheap to clone; all clones are the same manager. It holds the connections that it has made: when its last clone is
/// dropped they stop, except those that the application still holds a handle of.
///
/// ```no_run
/// # async fn token() -> Result<Option<String>, std::io::Error> { Ok(None) }
/// # async fn example() -> Result<(), hubwire::Error> {
/// use hubwire::HubManager;
///
/// let manager = HubManager::builder("https://example.org")
///     .configure(|hub| hub.access_token_factory(token))
///     .build()?;
/// manager.on_state_change(|path, change| println!("{path}: {}", change.to));
///
/// let chat = manager.hub("/hubs/chat")?;
/// chat.on("ReceiveMessage", |text: String| println!("{text}"));
/// for (path, result) in manager.connect_all(["/hubs/chat", "/hubs/notifications"]).await {
///     if let Err(error) = result {
///         println!("{path} is not there yet: {error}");
///     }
/// }
/// chat.invoke::<()>("JoinConversation", ("general",)).await?;
/// manager.disconnect_all().await;
/// # Ok(()) }
/// ```
///
/// # Idle hubs
///
/// A hub that nobody would miss is idle: there is no handle of its connection but the manager's own, no call, stream or
/// upload under way, nothing in its outbox and no handler registered with [`HubConnection::on`] and its like. After
/// five minutes of that its connection is closed; handlers of [`on_state_change`](Self::on_state_change) see it as
/// requested. [`hub`](Self::hub) and [`connect`](Self::connect) start it again.
///
/// That no message has come for a while does *not* make a hub idle: who listens wants the next one whenever it comes.
/// To let go of a hub, drop its handles and [`unsubscribe`](super::Subscription::unsubscribe) its handlers. A handler
/// that has captured a handle counts as one that holds it.
///
/// # The limit
///
/// At most 100 hubs have a connection, those included that are being made or made again. One more takes the place of
/// the one that is idle for longest, at once. When none is idle it is refused with
/// [`ErrorKind::Overflow`](crate::ErrorKind::Overflow): nothing that is in use is closed. A connection that the
/// application starts on its own, with [`HubConnection::start`], is counted but not refused.
#[derive(Clone)]
pub struct HubManager {
    shared: Arc<Shared>,
}

impl HubManager {
    /// Begins to configure a manager for the hubs below that address, `http://…` or `https://…`.
    pub fn builder(base_url: impl Into<String>) -> HubManagerBuilder {
        HubManagerBuilder::new(base_url)
    }

    const fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The connection of the hub at that path, below the address of the manager: always the same for the same path.
    ///
    /// The first time it is made, but not connected: register handlers, then [`connect`](Self::connect). One that was
    /// closed because it was idle is started again, in the background; calls wait until it is there.
    ///
    /// # Errors
    /// [`ErrorKind::Misuse`](crate::ErrorKind::Misuse) when the path or an option is invalid;
    /// [`ErrorKind::Overflow`](crate::ErrorKind::Overflow) when it was closed because it was idle, and there is no place
    /// for it now.
    pub fn hub(&self, path: &str) -> Result<HubConnection, Error> {
        self.shared.lease(self.shared.id(path)?)
    }

    /// Connects a hub and waits until that is done; returns at once when it is.
    ///
    /// # Errors
    /// - [`ErrorKind::Timeout`](crate::ErrorKind::Timeout) when it takes longer than 30 s. It is not given up: the
    ///   connection is still being made for as long as the retry policy says, and may be waited for with another call.
    /// - [`ErrorKind::Overflow`](crate::ErrorKind::Overflow) when the limit is reached and no hub is idle.
    /// - [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled) when the hub is disconnected meanwhile.
    /// - Those of [`hub`](Self::hub), and those of [`HubConnection::start`] when trying again would not help.
    pub async fn connect(&self, path: &str) -> Result<HubConnection, Error> {
        let mut results = self.connect_all([path]).await;
        results.pop().map_or_else(|| Err(driver_gone()), |(_, result)| result)
    }

    /// Connects hubs, all at the same time, and waits until each is connected, has failed or is late; that is, for no
    /// more than 30 s. Returns what became of each, in the order of the paths. See [`connect`](Self::connect) for the
    /// errors: one hub that fails changes nothing for the others.
    pub async fn connect_all<I>(&self, paths: I) -> Vec<(String, Result<HubConnection, Error>)>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        let mut wanted = Vec::new();
        let mut hubs = Vec::new();
        for path in paths {
            let path = path.as_ref();
            let hub = self.shared.id(path).and_then(|id| {
                let connection = self.shared.lease(id)?;
                let (waiter, answer) = oneshot::channel();
                wanted.push((id, waiter));
                Ok((connection, answer))
            });
            hubs.push((path.to_owned(), hub));
        }
        self.shared.connect(wanted);
        let mut results = Vec::with_capacity(hubs.len());
        for (path, hub) in hubs {
            let result = match hub {
                Ok((connection, answer)) => {
                    answer.await.unwrap_or_else(|_| Err(driver_gone())).map(|()| connection)
                }
                Err(error) => Err(error),
            };
            results.push((path, result));
        }
        results
    }

    /// Disconnects a hub, used or not, and returns when that is done. Calls that wait end with an error. Its connection
    /// and its handlers stay, for the next [`connect`](Self::connect).
    ///
    /// # Errors
    /// Those of [`hub`](Self::hub) for a path that is new.
    pub async fn disconnect(&self, path: &str) -> Result<(), Error> {
        let id = self.shared.id(path)?;
        for stopped in self.shared.disconnect(Some(id)) {
            // Closed when it is done.
            let _ = stopped.await;
        }
        Ok(())
    }

    /// As [`disconnect`](Self::disconnect), all hubs at the same time.
    pub async fn disconnect_all(&self) {
        for stopped in self.shared.disconnect(None) {
            let _ = stopped.await;
        }
    }

    /// Every hub that was used so far, by its path, with the state of its connection.
    pub fn states(&self) -> Vec<(String, ConnectionState)> {
        self.shared.states()
    }

    /// Calls `handler` on every change of the state of any hub, with its path; those to come included.
    pub fn on_state_change(
        &self,
        handler: impl Fn(&str, &StateChange) + Send + Sync + 'static,
    ) -> HubSubscription {
        self.shared.watchers.add(handler)
    }
}

impl fmt::Debug for HubManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubManager").field("states", &self.states()).finish_non_exhaustive()
    }
}
