use std::sync::Arc;

use tokio::time::Instant;

use crate::config::Settings;
use crate::dedupe::Deduper;
use crate::fanout::Fanout;
use crate::hub::Hub;
use crate::options::{HubOptions, SlowConsumers};
use crate::outbox::{OutboxLimits, Queued};
use crate::registry::Registry;
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
    pub(crate) stats: HubStats,
    pub(crate) queued: Arc<Queued>,
    /// If the hub has [`HubOptions::dedupe`].
    pub(crate) deduper: Option<Arc<Deduper>>,
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
