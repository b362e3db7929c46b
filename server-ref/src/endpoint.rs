use std::sync::Arc;

use tokio::time::Instant;

use crate::config::Settings;
use crate::connection::Connection;
use crate::dedupe::Deduper;
use crate::fanout::Fanout;
use crate::hub::Hub;
use crate::options::{HubOptions, SlowConsumers};
use crate::outbox::{OutboxLimits, Queued};
use crate::registry::Registry;
use crate::reliable::Reliable;
use crate::shutdown::Shutdown;
use crate::stats::{EventLog, HubStats};
use hubwire::Time;

/// One hub under its path, with everybody connected to it.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) path: String,
    pub(crate) hub: Hub,
    pub(crate) options: HubOptions,
    pub(crate) registry: Registry,
    pub(crate) stats: Arc<HubStats>,
    pub(crate) queued: Arc<Queued>,
    /// If the hub has [`HubOptions::dedupe`].
    pub(crate) deduper: Option<Arc<Deduper>>,
    /// If the hub has [`HubOptions::acknowledgements`].
    pub(crate) reliable: Option<Arc<Reliable>>,
    pub(crate) fanout: Fanout,
    pub(crate) events: Arc<EventLog>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) clock: Clock,
    pub(crate) shutdown: Arc<Shutdown>,
}

impl Endpoint {
    pub(crate) fn outbox_limits(&self) -> OutboxLimits {
        let drop_oldest = self.options.slow_consumers == SlowConsumers::DropOldest;
        OutboxLimits { drop_oldest, ..self.settings.outbox }
    }

    /// The connection is there. What awaits its acknowledgement comes before it can be found: whoever finds it can deliver
    /// to it.
    pub(crate) fn add(&self, connection: &Arc<Connection>) {
        if let Some(reliable) = &self.reliable {
            reliable.attached(connection);
        }
        self.registry.add(connection);
    }

    /// The connection is over. May come several times. Its session is known to be away before it cannot be found any more,
    /// so that no message misses it.
    pub(crate) fn remove(&self, connection: &Connection) {
        if let Some(reliable) = &self.reliable {
            reliable.leaving(connection, self.registry.groups_of(connection.key));
        }
        self.registry.remove(connection);
        if let Some(reliable) = &self.reliable {
            reliable.detached(connection);
        }
    }
}

/// The time of the sessions: since the server was built, by the clock of the runtime.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn now(self) -> Time {
        Time::from_millis(u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    pub(crate) fn instant(self, time: Time) -> Instant {
        self.0 + time.since(Time::ZERO)
    }
}
