//! Does what the [`Pool`] says: the connections behind the ids, who waits for them, and the task with the timer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use ::tokio::runtime::Handle;
use ::tokio::sync::{oneshot, watch};
use ::tokio::time::{Instant, timeout_at};

use super::super::builder::HubConnectionBuilder;
use super::super::connection::HubConnection;
use super::super::tokio::Status;
use super::lease::{Lease, Releases};
use super::watchers::Watchers;
use crate::client::{ConnectionState, HubId, Pool, PoolConfig, PoolEvent, PoolInput, PoolOutput};
use crate::{Error, Time};

pub(super) type Configure = dyn Fn(&str, HubConnectionBuilder) -> HubConnectionBuilder + Send + Sync;

/// Who waits for a connection.
pub(super) type Waiter = oneshot::Sender<Result<(), Error>>;

/// What all handles of a manager have in common. Tasks hold it only while they work, so that the connections end with
/// the last handle.
pub(super) struct Shared {
    runtime: Handle,
    base_url: String,
    idle_after: Option<Duration>,
    configure: Arc<Configure>,
    hubs: Mutex<Hubs>,
    releases: Arc<Releases>,
    pub(super) watchers: Arc<Watchers>,
}

struct Hubs {
    pool: Pool,
    /// By id, which is the place in this list.
    list: Vec<Hub>,
    ids: HashMap<String, HubId>,
    waiters: HashMap<HubId, Vec<Waiter>>,
    origin: Instant,
    deadline: Option<Time>,
}

struct Hub {
    path: Arc<str>,
    /// Without a lease.
    connection: HubConnection,
    /// Closed when the last start is over and the pool knows what it came to.
    start: Option<oneshot::Receiver<()>>,
    /// Who waits for the stop that is under way.
    stopping: Vec<oneshot::Sender<()>>,
}

impl Shared {
    pub(super) fn new(
        runtime: Handle,
        base_url: String,
        config: PoolConfig,
        configure: Arc<Configure>,
    ) -> Arc<Self> {
        let releases = Arc::new(Releases::default());
        let hubs = Hubs {
            pool: Pool::new(config.clone()),
            list: Vec::new(),
            ids: HashMap::new(),
            waiters: HashMap::new(),
            origin: Instant::now(),
            deadline: None,
        };
        let shared = Arc::new(Self {
            runtime,
            base_url,
            idle_after: config.idle_after,
            configure,
            hubs: Mutex::new(hubs),
            releases: releases.clone(),
            watchers: Arc::default(),
        });
        shared.runtime.spawn(run(Arc::downgrade(&shared), releases));
        shared
    }

    fn hubs(&self) -> MutexGuard<'_, Hubs> {
        // The application's code runs without the lock, so a panic cannot leave it half changed.
        self.hubs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The id of the hub at that path, which is made if it is new.
    pub(super) fn id(self: &Arc<Self>, path: &str) -> Result<HubId, Error> {
        let path = format!("/{}", path.trim_start_matches('/'));
        if let Some(id) = self.hubs().ids.get(&path) {
            return Ok(*id);
        }
        let _runtime = self.runtime.enter();
        let builder = HubConnection::builder(format!("{}{path}", self.base_url));
        let connection = (self.configure)(&path, builder).build()?;
        let mut hubs = self.hubs();
        if let Some(id) = hubs.ids.get(&path).copied() {
            // Somebody else was faster.
            drop(hubs);
            drop(connection);
            return Ok(id);
        }
        let id = HubId(u32::try_from(hubs.list.len()).unwrap_or(u32::MAX));
        let name: Arc<str> = path.as_str().into();
        let (watchers, of) = (self.watchers.clone(), name.clone());
        connection.on_state_change(move |change| watchers.tell(&of, change));
        self.runtime.spawn(report(Arc::downgrade(self), id, connection.status()));
        hubs.list.push(Hub { path: name, connection, start: None, stopping: Vec::new() });
        hubs.ids.insert(path, id);
        Ok(id)
    }

    /// A handle of the hub, which is in use until the handle and all that was made from it are gone.
    pub(super) fn lease(self: &Arc<Self>, id: HubId) -> Result<HubConnection, Error> {
        let mut hubs = self.hubs();
        let lease = Arc::new(Lease::new(id, self.releases.clone()));
        let refused = self.input(&mut hubs, PoolInput::Use(id));
        let connection = hubs.list[id.0 as usize].connection.leased(lease);
        match refused.into_iter().find(|(refused, _)| *refused == id) {
            None => Ok(connection),
            Some((_, error)) => Err(error),
        }
    }

    /// Asks for connections, with those who want to know.
    pub(super) fn connect(self: &Arc<Self>, wanted: Vec<(HubId, Waiter)>) {
        let mut hubs = self.hubs();
        let ids = wanted.iter().map(|(id, _)| *id).collect();
        for (id, waiter) in wanted {
            hubs.waiters.entry(id).or_default().push(waiter);
        }
        self.input(&mut hubs, PoolInput::ConnectAll(ids));
    }

    /// Ends the connection of one hub, or of all. What is returned is closed when that is done.
    pub(super) fn disconnect(self: &Arc<Self>, id: Option<HubId>) -> Vec<oneshot::Receiver<()>> {
        let mut hubs = self.hubs();
        self.input(&mut hubs, id.map_or(PoolInput::DisconnectAll, PoolInput::Disconnect));
        let mut ended = Vec::new();
        for index in 0..hubs.list.len() {
            let hub = HubId(index as u32);
            if id.is_some_and(|id| id != hub) {
                continue;
            }
            if hubs.pool.state(hub) == ConnectionState::Disconnecting {
                let (waiter, stopped) = oneshot::channel();
                hubs.list[index].stopping.push(waiter);
                ended.push(stopped);
            } else {
                // In case that the application has started it just now.
                ended.push(hubs.list[index].connection.begin_stop());
            }
        }
        ended
    }

    pub(super) fn states(&self) -> Vec<(String, ConnectionState)> {
        let hubs = self.hubs();
        hubs.list.iter().map(|hub| (hub.path.to_string(), hub.connection.state())).collect()
    }

    /// Lets time pass, and says when to do that again.
    fn tick(self: &Arc<Self>) -> Option<Instant> {
        let mut hubs = self.hubs();
        self.input(&mut hubs, PoolInput::Tick);
        // Nobody says when the last handler of a hub is gone.
        let recheck = self.idle_after.filter(|_| hubs.list.iter().any(|hub| hub.is_listening_alone()));
        let recheck = recheck.map(|idle_after| hubs.now() + idle_after);
        let deadline = hubs.deadline.into_iter().chain(recheck).min();
        deadline.map(|deadline| hubs.origin + Duration::from_millis(deadline.as_millis()))
    }

    /// Gives the pool an input, with everything that it should know by then, and does what it says. Returns what it has
    /// refused.
    fn input(self: &Arc<Self>, hubs: &mut Hubs, input: PoolInput) -> Vec<(HubId, Error)> {
        let now = hubs.now();
        let mut refused = Vec::new();
        for id in self.releases.take() {
            self.step(hubs, now, PoolInput::Release(id), &mut refused);
        }
        for index in 0..hubs.list.len() {
            let has_work = hubs.list[index].has_work();
            self.step(hubs, now, PoolInput::Work(HubId(index as u32), has_work), &mut refused);
        }
        self.step(hubs, now, input, &mut refused);
        refused
    }

    fn step(
        self: &Arc<Self>,
        hubs: &mut Hubs,
        now: Time,
        input: PoolInput,
        refused: &mut Vec<(HubId, Error)>,
    ) {
        hubs.pool.handle(now, input);
        loop {
            match hubs.pool.poll() {
                PoolOutput::Start(id) => {
                    let hub = &mut hubs.list[id.0 as usize];
                    let start = hub.connection.start_detached();
                    let (over, start_over) = oneshot::channel();
                    hub.start = Some(start_over);
                    self.finish(id, Some(over), async move { PoolInput::Started(id, start.await) });
                }
                PoolOutput::Stop(id) => {
                    let hub = &mut hubs.list[id.0 as usize];
                    let stop = stop(hub.connection.clone(), hub.start.take());
                    self.finish(id, None, async move {
                        stop.await;
                        PoolInput::Stopped(id)
                    });
                }
                PoolOutput::Event(PoolEvent::Answered(id, result)) => {
                    let path = &hubs.list[id.0 as usize].path;
                    let result = result.map_err(|error| error.in_context(&format!("{path}: ")));
                    if let Err(error) = &result {
                        refused.push((id, error.clone()));
                    }
                    for waiter in hubs.waiters.remove(&id).unwrap_or_default() {
                        let _ = waiter.send(result.clone());
                    }
                }
                PoolOutput::Event(PoolEvent::Closing(id, reason)) => {
                    let path = &hubs.list[id.0 as usize].path;
                    tracing::debug!(%path, ?reason, "the connection of a hub is closed");
                }
                PoolOutput::Wait(deadline) => {
                    if hubs.deadline != deadline {
                        hubs.deadline = deadline;
                        self.releases.wake.notify_one();
                    }
                    return;
                }
            }
        }
    }

    /// Gives the pool the end of something, and the state that the connection is in then. `over` is closed behind that:
    /// a stop that waits for a start must not be told to the pool before it, or the end of this start would be taken for
    /// that of the next one.
    fn finish(
        self: &Arc<Self>,
        id: HubId,
        over: Option<oneshot::Sender<()>>,
        end: impl Future<Output = PoolInput> + Send + 'static,
    ) {
        let shared = Arc::downgrade(self);
        self.runtime.spawn(async move {
            let end = end.await;
            let Some(shared) = shared.upgrade() else { return };
            let mut hubs = shared.hubs();
            if matches!(end, PoolInput::Stopped(_)) {
                // Closing them answers.
                hubs.list[id.0 as usize].stopping.clear();
            }
            shared.input(&mut hubs, end);
            let state = hubs.list[id.0 as usize].connection.state();
            shared.input(&mut hubs, PoolInput::Changed(id, state));
            drop(hubs);
            drop(over);
        });
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // The task with the timer ends.
        self.releases.wake.notify_one();
    }
}

impl Hubs {
    fn now(&self) -> Time {
        Time::from_millis(u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}

impl Hub {
    /// Calls wait in the outbox, or handlers for messages.
    fn has_work(&self) -> bool {
        self.connection.outbox().depth > 0 || self.connection.is_listening()
    }

    fn is_listening_alone(&self) -> bool {
        self.connection.is_listening() && self.connection.state() != ConnectionState::Disconnected
    }
}

/// Stops a connection, even if its start is still on its way. Begun before this returns, while the manager is locked: a
/// call that is made from then on comes behind the stop, and waits for the next start instead of being lost with this
/// connection.
fn stop(
    connection: HubConnection,
    start_over: Option<oneshot::Receiver<()>>,
) -> impl Future<Output = ()> + Send + 'static {
    let stopped = connection.begin_stop();
    async move {
        let mut status = connection.status();
        let _ = stopped.await;
        let Some(mut start_over) = start_over else { return };
        let mut is_over = false;
        loop {
            // The start may have come behind the stop, and may even have ended well by now.
            if status.borrow_and_update().state != ConnectionState::Disconnected {
                let _ = connection.begin_stop().await;
            }
            if is_over {
                return;
            }
            ::tokio::select! {
                _ = &mut start_over => is_over = true,
                changed = status.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
            }
        }
    }
}

/// The timer of the pool, and the ears for leases that end.
async fn run(shared: Weak<Shared>, releases: Arc<Releases>) {
    loop {
        let Some(deadline) = shared.upgrade().map(|shared| shared.tick()) else { return };
        let woken = releases.wake.notified();
        match deadline {
            Some(deadline) => drop(timeout_at(deadline, woken).await),
            None => woken.await,
        }
    }
}

/// Tells the pool what the state of a connection is, and when it begins or ends to have work.
async fn report(shared: Weak<Shared>, id: HubId, mut status: watch::Receiver<Status>) {
    let mut known = (ConnectionState::Disconnected, false);
    loop {
        let current = {
            let status = status.borrow_and_update();
            (status.state, status.outbox.depth > 0)
        };
        if current != known {
            known = current;
            let Some(shared) = shared.upgrade() else { return };
            let mut hubs = shared.hubs();
            // What it is by now: it may have changed since.
            let state = hubs.list[id.0 as usize].connection.state();
            shared.input(&mut hubs, PoolInput::Changed(id, state));
        }
        if status.changed().await.is_err() {
            return;
        }
    }
}
