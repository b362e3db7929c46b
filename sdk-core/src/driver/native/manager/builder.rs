use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::super::builder::HubConnectionBuilder;
use super::super::tokio::TcpConnector;
use super::HubManager;
use super::hubs::{Configure, Shared};
use crate::client::PoolConfig;
use crate::{Error, ErrorKind};

/// Configures a [`HubManager`]. Made by [`HubManager::builder`].
#[must_use = "a builder does nothing until `build`"]
pub struct HubManagerBuilder {
    base_url: String,
    config: PoolConfig,
    configure: Option<Arc<Configure>>,
}

impl HubManagerBuilder {
    pub(super) fn new(base_url: impl Into<String>) -> Self {
        Self { base_url: base_url.into(), config: PoolConfig::default(), configure: None }
    }

    /// What all hubs have in common: the access token, headers, the retry policy, the encoding and so on. Called once
    /// for each hub, when it is used for the first time.
    pub fn configure(
        self,
        configure: impl Fn(HubConnectionBuilder) -> HubConnectionBuilder + Send + Sync + 'static,
    ) -> Self {
        self.configure_each(move |_, builder| configure(builder))
    }

    /// As [`configure`](Self::configure), with the path of the hub: for what cannot be shared, as the store of an outbox.
    pub fn configure_each(
        mut self,
        configure: impl Fn(&str, HubConnectionBuilder) -> HubConnectionBuilder + Send + Sync + 'static,
    ) -> Self {
        self.configure = Some(Arc::new(configure));
        self
    }

    /// How many hubs may have a connection, or be about to have one; 100 unless set.
    pub const fn max_connections(mut self, connections: usize) -> Self {
        self.config.max_connections = connections;
        self
    }

    /// How long a hub is idle before its connection is closed; 5 min unless set, never with `None`.
    pub const fn idle_after(mut self, time: Option<Duration>) -> Self {
        self.config.idle_after = time;
        self
    }

    /// How long [`HubManager::connect`] waits for a connection; 30 s unless set.
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.config.connect_timeout = timeout;
        self
    }

    /// Makes the manager; nothing is connected yet.
    ///
    /// # Errors
    /// [`ErrorKind::Misuse`] when an option is invalid (the text names it), or when called outside a tokio runtime.
    pub fn build(self) -> Result<HubManager, Error> {
        let misuse = |text: &str| Error::new(ErrorKind::Misuse, text.to_owned());
        let runtime = ::tokio::runtime::Handle::try_current()
            .map_err(|_| misuse("a HubManager must be built within a tokio runtime"))?;
        if self.config.max_connections == 0 {
            return Err(misuse("max_connections must be at least 1"));
        }
        if self.config.idle_after.is_some_and(|time| time.is_zero()) {
            return Err(misuse("idle_after must be longer than zero"));
        }
        if self.config.connect_timeout.is_zero() {
            return Err(misuse("connect_timeout must be longer than zero"));
        }
        // One for all hubs: they share what TLS needs to know.
        let connector = Arc::new(TcpConnector::new()?);
        let configure = self.configure;
        let configure: Arc<Configure> = Arc::new(move |path, builder| {
            let builder = builder.shared_connector(connector.clone());
            match &configure {
                Some(configure) => configure(path, builder),
                None => builder,
            }
        });
        // A wrong address is the same mistake for every hub.
        HubConnectionBuilder::new(&*self.base_url).check_url()?;
        let base_url = self.base_url.trim_end_matches('/').to_owned();
        Ok(HubManager::new(Shared::new(runtime, base_url, self.config, configure)))
    }
}

impl fmt::Debug for HubManagerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubManagerBuilder")
            .field("base_url", &self.base_url)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
