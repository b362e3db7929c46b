//! Which of many hubs have a connection: a limit, and an end for those that nobody uses.
//!
//! ```text
//!          connect              started            changed
//! Closed ----------> Starting ----------> Open <----------> Open
//!   ^  \   ^            |                  |  (connected or not)
//!   |   \  | room       | failed           | idle, in the way, or not wanted
//!   |    Queued         v                  v
//!   '---------------- Closed <--------- Stopping
//! ```
//! A pool does not know connections: it says which to start and to stop, and is told what became of that. The contract
//! is that of the [client](super): one input, then [`Pool::poll`] until it returns [`PoolOutput::Wait`].
//!
//! A hub is idle while nobody uses it, it has no work and nobody waits for its connection. Only idle hubs are stopped, so
//! that nothing is lost by it, and only what was stopped that way is started again by being used.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::vec::Vec;
use core::time::Duration;

use super::state::ConnectionState;
use crate::{Error, ErrorKind, Time};

/// Names a hub. The caller chooses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HubId(pub u32);

/// What a [`Pool`] holds at most, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolConfig {
    /// How many hubs may have a connection, or be about to have one. 100.
    pub max_connections: usize,
    /// How long a hub is idle before its connection is closed; never if none. 5 min.
    pub idle_after: Option<Duration>,
    /// How long somebody waits for a connection before hearing that it is late. It is made all the same. 30 s.
    pub connect_timeout: Duration,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            max_connections: 100,
            idle_after: Some(Duration::from_secs(5 * 60)),
            connect_timeout: Duration::from_secs(30),
        }
    }
}

/// What happened to the hubs of a pool.
#[derive(Debug)]
pub enum PoolInput {
    /// Somebody uses the hub. If the pool has closed it, it is started again. As many uses as releases.
    Use(HubId),
    /// Somebody does not use it any more.
    Release(HubId),
    /// Whether the hub has work that nobody holds a use for: calls that wait in its outbox, handlers that listen.
    Work(HubId, bool),
    /// Somebody waits for its connection; answered with [`PoolEvent::Answered`].
    Connect(HubId),
    /// As [`Connect`](Self::Connect) for each, in that order.
    ConnectAll(Vec<HubId>),
    /// Nobody wants its connection any more, used or not.
    Disconnect(HubId),
    /// As [`Disconnect`](Self::Disconnect) for every hub.
    DisconnectAll,
    /// The answer to [`PoolOutput::Start`]: the connection is there, or it could not be made and will not be tried again.
    Started(HubId, Result<(), Error>),
    /// The answer to [`PoolOutput::Stop`].
    Stopped(HubId),
    /// The state that its connection is in now. May be told at any time, and as often as one likes.
    Changed(HubId, ConnectionState),
    /// Time went by: the deadline of [`PoolOutput::Wait`] was reached.
    Tick,
}

/// What the driver of a pool must do next.
#[derive(Debug, PartialEq, Eq)]
pub enum PoolOutput {
    /// Start the connection and answer with [`PoolInput::Started`], however long it takes.
    Start(HubId),
    /// Stop it, whether it is connected yet or not, and answer with [`PoolInput::Stopped`].
    Stop(HubId),
    /// Something the application should know.
    Event(PoolEvent),
    /// Nothing more to do until input comes or this time is reached. The last output of every drain.
    Wait(Option<Time>),
}

/// Something the application should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PoolEvent {
    /// The answer to everybody who waits for a connection of this hub:
    /// - [`Overflow`](ErrorKind::Overflow) when there are as many as there may be, and none of them is idle;
    /// - [`Timeout`](ErrorKind::Timeout) when it is late: it is not given up;
    /// - [`Cancelled`](ErrorKind::Cancelled) when the hub was disconnected meanwhile;
    /// - else why the connection could not be made.
    Answered(HubId, Result<(), Error>),
    /// The pool stops a connection on its own account.
    Closing(HubId, CloseReason),
}

/// Why a [`Pool`] stops a connection that nobody asked it to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// It was idle for long enough.
    Idle,
    /// It was the one that was idle for longest when another one needed its place.
    Limit,
}

/// How far the connection of a hub is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Closed {
        /// The pool did that: its next use starts it again.
        resume: bool,
    },
    /// Waits for another one to stop.
    Queued,
    Starting,
    Open(ConnectionState),
    Stopping {
        resume: bool,
        /// Somebody wants it meanwhile.
        again: bool,
    },
}

#[derive(Debug)]
struct Hub {
    phase: Phase,
    uses: usize,
    has_work: bool,
    /// When those who wait for the connection hear that it is late.
    late_at: Option<Time>,
    /// Since when it has neither uses nor work.
    idle_since: Time,
}

impl Hub {
    const fn new(now: Time) -> Self {
        Self {
            phase: Phase::Closed { resume: false },
            uses: 0,
            has_work: false,
            late_at: None,
            idle_since: now,
        }
    }

    const fn is_idle(&self) -> bool {
        self.uses == 0 && !self.has_work && self.late_at.is_none()
    }

    /// It has a connection that may be stopped for being idle.
    const fn may_stop(&self) -> bool {
        self.is_idle() && matches!(self.phase, Phase::Starting | Phase::Open(_))
    }

    const fn state(&self) -> ConnectionState {
        match self.phase {
            Phase::Closed { .. } => ConnectionState::Disconnected,
            Phase::Queued | Phase::Starting => ConnectionState::Connecting,
            Phase::Open(state) => state,
            Phase::Stopping { .. } => ConnectionState::Disconnecting,
        }
    }
}

/// The hubs of one server, and which of them have a connection.
///
/// ```
/// use hubwire::Time;
/// use hubwire::client::{HubId, Pool, PoolConfig, PoolInput, PoolOutput};
///
/// let mut pool = Pool::new(PoolConfig::default());
/// pool.handle(Time::ZERO, PoolInput::Connect(HubId(1)));
/// assert_eq!(pool.poll(), PoolOutput::Start(HubId(1)));
/// assert_eq!(pool.poll(), PoolOutput::Wait(Some(Time::from_millis(30_000))));
/// ```
#[derive(Debug)]
pub struct Pool {
    config: PoolConfig,
    hubs: BTreeMap<HubId, Hub>,
    /// Those in [`Phase::Queued`], the first one first.
    queue: VecDeque<HubId>,
    out: VecDeque<PoolOutput>,
    now: Time,
}

impl Pool {
    /// A pool without hubs: each is there from the first input that names it.
    pub const fn new(config: PoolConfig) -> Self {
        Self { config, hubs: BTreeMap::new(), queue: VecDeque::new(), out: VecDeque::new(), now: Time::ZERO }
    }

    /// Every hub, by id, with its state: one that waits for its place counts as connecting.
    pub fn states(&self) -> impl Iterator<Item = (HubId, ConnectionState)> + '_ {
        self.hubs.iter().map(|(id, hub)| (*id, hub.state()))
    }

    /// The state of one hub; disconnected if it was never named.
    pub fn state(&self, id: HubId) -> ConnectionState {
        self.hubs.get(&id).map_or(ConnectionState::Disconnected, Hub::state)
    }

    /// Takes one input. `now` that lies before an earlier one counts as that one.
    pub fn handle(&mut self, now: Time, input: PoolInput) {
        self.now = self.now.max(now);
        match input {
            PoolInput::Use(id) => {
                let hub = self.hub(id);
                hub.uses = hub.uses.saturating_add(1);
                match &mut hub.phase {
                    Phase::Closed { resume: true } => self.start(id),
                    Phase::Stopping { resume: true, again } => *again = true,
                    _ => {}
                }
            }
            PoolInput::Release(id) => {
                let now = self.now;
                let hub = self.hub(id);
                hub.uses = hub.uses.saturating_sub(1);
                hub.idle_since = now;
            }
            PoolInput::Work(id, has_work) => {
                let now = self.now;
                let hub = self.hub(id);
                if hub.has_work != has_work {
                    hub.has_work = has_work;
                    hub.idle_since = now;
                }
            }
            PoolInput::Connect(id) => self.connect(id),
            PoolInput::ConnectAll(ids) => ids.into_iter().for_each(|id| self.connect(id)),
            PoolInput::Disconnect(id) => self.disconnect(id),
            PoolInput::DisconnectAll => {
                let ids: Vec<HubId> = self.hubs.keys().copied().collect();
                ids.into_iter().for_each(|id| self.disconnect(id));
            }
            PoolInput::Started(id, result) => self.started(id, result),
            PoolInput::Stopped(id) => self.stopped(id),
            PoolInput::Changed(id, state) => self.changed(id, state),
            PoolInput::Tick => {}
        }
        self.answer_late();
        self.close_idle();
        self.promote();
    }

    /// The next thing to do; [`PoolOutput::Wait`] when there is nothing left.
    pub fn poll(&mut self) -> PoolOutput {
        self.out.pop_front().unwrap_or_else(|| PoolOutput::Wait(self.next_deadline()))
    }

    fn next_deadline(&self) -> Option<Time> {
        let late = self.hubs.values().filter_map(|hub| hub.late_at);
        let idle = self.config.idle_after.into_iter().flat_map(|idle_after| {
            self.hubs.values().filter(|hub| hub.may_stop()).map(move |hub| hub.idle_since + idle_after)
        });
        late.chain(idle).min()
    }

    fn hub(&mut self, id: HubId) -> &mut Hub {
        let now = self.now;
        self.hubs.entry(id).or_insert_with(|| Hub::new(now))
    }

    fn connect(&mut self, id: HubId) {
        let late_at = self.now + self.config.connect_timeout;
        let hub = self.hub(id);
        // Whoever comes later waits with those who wait already.
        hub.late_at.get_or_insert(late_at);
        match &mut hub.phase {
            Phase::Open(ConnectionState::Connected) => self.answer(id, Ok(())),
            Phase::Open(_) | Phase::Starting | Phase::Queued => {}
            Phase::Stopping { again, .. } => *again = true,
            Phase::Closed { .. } => self.start(id),
        }
    }

    /// Starts a hub that is closed, now or when there is room, or says why not.
    fn start(&mut self, id: HubId) {
        let max = self.config.max_connections;
        // One that stops has a place, but nobody claims it.
        let claimed =
            self.count(|phase| !matches!(phase, Phase::Closed { .. } | Phase::Stopping { again: false, .. }));
        // More than one where connections were started without asking.
        let missing = (claimed + 1).saturating_sub(max);
        let mut idle: Vec<(Time, HubId)> = self
            .hubs
            .iter()
            .filter(|(other, hub)| **other != id && hub.may_stop())
            .map(|(other, hub)| (hub.idle_since, *other))
            .collect();
        if idle.len() < missing {
            let text = format!(
                "There are as many connections as max_connections allows, {max}, and none of them is idle."
            );
            return self.answer(id, Err(Error::new(ErrorKind::Overflow, text)));
        }
        idle.sort_unstable();
        for (_, longest) in idle.into_iter().take(missing) {
            self.close(longest, CloseReason::Limit);
        }
        self.hub(id).phase = Phase::Queued;
        self.queue.push_back(id);
    }

    fn count(&self, which: impl Fn(Phase) -> bool) -> usize {
        self.hubs.values().filter(|hub| which(hub.phase)).count()
    }

    /// Starts those who wait for a place, as far as there is room.
    fn promote(&mut self) {
        while let Some(id) = self.queue.front().copied()
            && self.count(|phase| !matches!(phase, Phase::Closed { .. } | Phase::Queued))
                < self.config.max_connections
        {
            self.queue.pop_front();
            let now = self.now;
            let hub = self.hub(id);
            hub.phase = Phase::Starting;
            hub.idle_since = now;
            self.out.push_back(PoolOutput::Start(id));
        }
    }

    fn close(&mut self, id: HubId, reason: CloseReason) {
        self.hub(id).phase = Phase::Stopping { resume: true, again: false };
        self.out.push_back(PoolOutput::Event(PoolEvent::Closing(id, reason)));
        self.out.push_back(PoolOutput::Stop(id));
    }

    fn close_idle(&mut self) {
        let Some(idle_after) = self.config.idle_after else { return };
        let due = |hub: &Hub| hub.may_stop() && hub.idle_since + idle_after <= self.now;
        let due: Vec<HubId> = self.hubs.iter().filter(|(_, hub)| due(hub)).map(|(id, _)| *id).collect();
        for id in due {
            self.close(id, CloseReason::Idle);
        }
    }

    fn disconnect(&mut self, id: HubId) {
        let hub = self.hub(id);
        match &mut hub.phase {
            Phase::Closed { resume } => *resume = false,
            Phase::Queued => {
                hub.phase = Phase::Closed { resume: false };
                self.queue.retain(|queued| *queued != id);
            }
            Phase::Starting | Phase::Open(_) => {
                hub.phase = Phase::Stopping { resume: false, again: false };
                self.out.push_back(PoolOutput::Stop(id));
            }
            Phase::Stopping { resume, again } => (*resume, *again) = (false, false),
        }
        self.answer(id, Err(Error::new(ErrorKind::Cancelled, "The hub was disconnected.")));
    }

    fn started(&mut self, id: HubId, result: Result<(), Error>) {
        let hub = self.hub(id);
        if hub.phase != Phase::Starting {
            return;
        }
        match result {
            Ok(()) => self.changed(id, ConnectionState::Connected),
            Err(error) => {
                hub.phase = Phase::Closed { resume: false };
                self.answer(id, Err(error));
            }
        }
    }

    fn stopped(&mut self, id: HubId) {
        let hub = self.hub(id);
        if let Phase::Stopping { resume, again } = hub.phase {
            hub.phase = Phase::Closed { resume };
            if again {
                self.start(id);
            }
        }
    }

    fn changed(&mut self, id: HubId, state: ConnectionState) {
        let now = self.now;
        let hub = self.hub(id);
        match (hub.phase, state) {
            // Whether the start has failed is told by its answer: this may be from before it.
            (Phase::Starting, ConnectionState::Disconnected | ConnectionState::Connecting)
            // The answer to the stop is what counts.
            | (Phase::Stopping { .. }, _)
            | (_, ConnectionState::Disconnecting) => {}
            (Phase::Open(_), ConnectionState::Disconnected) => {
                hub.phase = Phase::Closed { resume: false };
                self.answer(id, Err(Error::new(ErrorKind::Network, "The connection has ended.")));
            }
            (Phase::Closed { .. } | Phase::Queued, ConnectionState::Disconnected) => {}
            // Also where somebody has started it without asking: it counts from now on.
            (before, state) => {
                hub.phase = Phase::Open(state);
                if matches!(before, Phase::Closed { .. } | Phase::Queued) {
                    hub.idle_since = now;
                }
                if before == Phase::Queued {
                    self.queue.retain(|queued| *queued != id);
                }
                if state == ConnectionState::Connected {
                    self.answer(id, Ok(()));
                }
            }
        }
    }

    /// Answers those who wait for the hub, if anybody does; a refusal is told anyway.
    fn answer(&mut self, id: HubId, result: Result<(), Error>) {
        let now = self.now;
        let hub = self.hub(id);
        let is_asked = hub.late_at.take().is_some();
        if is_asked && hub.uses == 0 {
            // Whoever waited has used it until now.
            hub.idle_since = now;
        }
        let is_refused = matches!(&result, Err(error) if error.kind() == ErrorKind::Overflow);
        if is_asked || is_refused {
            self.out.push_back(PoolOutput::Event(PoolEvent::Answered(id, result)));
        }
    }

    fn answer_late(&mut self) {
        let late = |hub: &Hub| hub.late_at.is_some_and(|late_at| late_at <= self.now);
        let late: Vec<HubId> = self.hubs.iter().filter(|(_, hub)| late(hub)).map(|(id, _)| *id).collect();
        for id in late {
            let text = format!(
                "There was no connection within {:?}; it is still being made.",
                self.config.connect_timeout
            );
            self.answer(id, Err(Error::new(ErrorKind::Timeout, text)));
        }
    }
}
