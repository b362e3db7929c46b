//! What the server does with messages that are to be acknowledged: [`pending`](crate::delivery::pending) has the rules, here
//! are connections, time and the store.

mod content;
mod progress;
mod record;
mod table;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use bytestring::ByteString;
use hubwire::Time;
use parking_lot::{Mutex, MutexGuard};
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};

use crate::connection::Connection;
use crate::delivery::pending::{
    BatchId, Deliveries, DeliveryConfig, DeliveryStatistics, EntryId, Input, LinkKey, Message, Output,
    RecipientId, Status, StoreOp,
};
use crate::endpoint::Clock;
use crate::registry::{Registry, Target};
use crate::sessions::{Away, Sessions};
use crate::stats::{HubStats, now_millis};
use crate::store::{DeliveryStore, StoreError};
pub(crate) use content::Content;
pub(crate) use progress::Outcomes;
use progress::Progress;
use table::Table;

/// The messages of one hub that are to be acknowledged.
pub(crate) struct Reliable {
    clock: Clock,
    /// The time of the engine: milliseconds since 1970 as they were when the server began, so that what is stored means
    /// the same to the next one; from there on by the clock of the runtime.
    origin: u64,
    session_window: Duration,
    inner: Mutex<Inner>,
    pub(crate) sessions: Sessions,
    table: Option<Table>,
    stats: Arc<HubStats>,
    runtime: OnceLock<Handle>,
    /// Told when the next deadline is an earlier one, and at the end.
    wake: Arc<Notify>,
    /// Told when a batch was written.
    written: Notify,
}

struct Inner {
    engine: Deliveries<Arc<Content>>,
    links: HashMap<LinkKey, (Arc<Connection>, RecipientId)>,
    waiting: HashMap<EntryId, (Arc<Progress>, usize)>,
    next_entry: u64,
    deadline: Option<Time>,
    /// Whether a task waits for the deadlines, and for which.
    timed: bool,
    armed: Option<Time>,
    requeued: usize,
}

/// A message that could not be delivered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct DeadLetter {
    /// Its id.
    pub message_id: String,
    /// For whom it was: the user; of nobody's connection its public id.
    pub recipient: String,
    /// The path of the hub.
    pub hub: String,
    /// The method that was to be called.
    pub method: String,
    /// When it was sent, in milliseconds since 1970.
    pub queued_at: u64,
    /// How often it was delivered, new connections not counted.
    pub attempts: u32,
    /// What the last attempt came to.
    pub last_error: String,
    /// Why it was given up.
    pub reason: String,
}

/// How a message is sent.
pub(crate) struct Sending {
    pub(crate) priority: i32,
    pub(crate) critical: bool,
    pub(crate) expires_after: Option<Duration>,
    pub(crate) timeout: Option<Duration>,
}

/// A message that was taken.
pub(crate) struct Sent {
    pub(crate) recipients: usize,
    pub(crate) outcomes: oneshot::Receiver<Outcomes>,
}

/// How many recipients of one message are dealt with before others have their turn.
const CHUNK: usize = 256;

impl Reliable {
    /// With what the store has for the hub.
    pub(crate) fn new(
        hub: &str,
        config: DeliveryConfig,
        store: Option<Arc<dyn DeliveryStore>>,
        clock: Clock,
        stats: Arc<HubStats>,
    ) -> Result<Arc<Self>, StoreError> {
        let table = store.map(|store| Table::new(store, hub));
        let engine = match table {
            Some(_) => Deliveries::with_store(config),
            None => Deliveries::new(config),
        };
        let inner = Inner {
            engine,
            links: HashMap::new(),
            waiting: HashMap::new(),
            next_entry: 1,
            deadline: None,
            timed: false,
            armed: None,
            requeued: 0,
        };
        let elapsed = clock.now().as_millis();
        let this = Arc::new(Self {
            clock,
            origin: now_millis().saturating_sub(elapsed),
            session_window: config.session_window,
            inner: Mutex::new(inner),
            sessions: Sessions::default(),
            table,
            stats,
            runtime: OnceLock::new(),
            wake: Arc::default(),
            written: Notify::new(),
        });
        if let Some(table) = &this.table {
            let (entries, dead_letters) = table.restore()?;
            let ids =
                entries.iter().map(|stored| stored.entry).chain(dead_letters.iter().map(|dead| dead.entry));
            let mut inner = this.inner.lock();
            inner.next_entry = ids.map(|entry| entry.0 + 1).max().unwrap_or(1);
            this.input(&mut inner, Input::Restored { entries, dead_letters });
        }
        Ok(this)
    }

    fn now(&self) -> Time {
        Time::from_millis(self.origin.saturating_add(self.clock.now().as_millis()))
    }

    /// Sends to everybody whom the target means: connections, and sessions that were among them a short while ago.
    pub(crate) async fn send(
        self: &Arc<Self>,
        registry: &Registry,
        target: &Target,
        content: Content,
        sending: Sending,
    ) -> Result<Sent, String> {
        let recipients = self.recipients(registry, target);
        let count = recipients.len();
        let (progress, (accepted, outcomes)) = Progress::new(&recipients);
        let (progress, content) = (Arc::new(progress), Arc::new(content));
        let size = content.size();
        for (chunk, recipients) in recipients.chunks(CHUNK).enumerate() {
            let now = self.now();
            let mut inner = self.inner.lock();
            for (index, recipient) in (chunk * CHUNK..).zip(recipients) {
                let entry = EntryId(inner.next_entry);
                inner.next_entry += 1;
                inner.waiting.insert(entry, (progress.clone(), index));
                let message = Message {
                    id: content.id().clone(),
                    target: content.target.clone(),
                    payload: content.clone(),
                    bytes: size,
                    priority: sending.priority,
                    critical: sending.critical,
                    expires_at: sending.expires_after.map(|after| now + after),
                    timeout: sending.timeout,
                    queued_at: now,
                    ephemeral: !recipient.is_session(),
                };
                inner.engine.handle(now, Input::Send { entry, recipient: recipient.clone(), message });
            }
            self.drain(&mut inner);
        }
        // Without recipients there is nothing to wait for.
        if count > 0 {
            accepted.await.unwrap_or_else(|_| Err("The server has ended.".into()))?;
        }
        Ok(Sent { recipients: count, outcomes })
    }

    fn recipients(&self, registry: &Registry, target: &Target) -> Vec<RecipientId> {
        let connections = registry.recipients(target);
        let mut all = Vec::with_capacity(connections.len());
        for connections in connections.chunks(CHUNK) {
            let inner = self.inner.lock();
            all.extend(connections.iter().map(|connection| {
                let link = inner.links.get(&LinkKey(connection.key));
                link.map_or_else(|| recipient_of(connection), |(_, recipient)| recipient.clone())
            }));
        }
        all.extend(self.sessions.matching(self.now(), target));
        // A session may have several connections, and be among those that were lost as well.
        let mut seen = HashSet::with_capacity(all.len());
        all.retain(|recipient| seen.insert(recipient.clone()));
        all
    }

    /// A connection can be delivered to.
    pub(crate) fn attached(self: &Arc<Self>, connection: &Arc<Connection>) {
        let recipient = recipient_of(connection);
        let link = LinkKey(connection.key);
        let mut inner = self.inner.lock();
        if recipient.is_session() {
            self.sessions.returned(self.now(), &recipient);
        }
        inner.links.insert(link, (connection.clone(), recipient.clone()));
        self.input(&mut inner, Input::Attached { recipient, link });
    }

    /// A connection is over; it is still in the registry. May come several times.
    pub(crate) fn leaving(&self, connection: &Connection, groups: Vec<Arc<str>>) {
        let inner = self.inner.lock();
        let Some((_, recipient)) = inner.links.get(&LinkKey(connection.key)) else { return };
        let recipient = recipient.clone();
        if !recipient.is_session() {
            return;
        }
        // Under the lock, so that it does not come after a return that follows.
        let now = self.now();
        let away = Away {
            until: now + self.session_window,
            user: connection.identity.principal().user_id().map(Into::into),
            groups: groups.iter().map(|group| group.to_string()).collect(),
            connection: connection.id.clone(),
        };
        self.sessions.left(now, recipient.clone(), away);
        if inner.engine.connections(&recipient) > 1 {
            self.sessions.returned(now, &recipient);
        }
    }

    /// A connection is over and not in the registry any more. May come several times.
    pub(crate) fn detached(self: &Arc<Self>, connection: &Connection) {
        let link = LinkKey(connection.key);
        let mut inner = self.inner.lock();
        let Some((gone, recipient)) = inner.links.remove(&link) else { return };
        self.input(&mut inner, Input::Detached { recipient, link });
        drop(inner);
        drop(gone);
    }

    /// A connection leaves a group by will.
    pub(crate) fn left_group(&self, connection_id: &str, registry: &Registry, group: &str) {
        let Some(connection) = registry.connection(connection_id) else { return };
        let recipient = recipient_of(&connection);
        if recipient.is_session() {
            self.sessions.left_group(&recipient, group);
        }
    }

    pub(crate) fn acknowledge(
        self: &Arc<Self>,
        connection: &Connection,
        ids: impl IntoIterator<Item = ByteString>,
    ) {
        let mut inner = self.inner.lock();
        for message_id in ids {
            if let Some((link, recipient)) = inner.link(connection) {
                self.input(&mut inner, Input::Acknowledged { link, recipient, message_id });
            }
        }
    }

    pub(crate) fn nack(
        self: &Arc<Self>,
        connection: &Connection,
        message_id: ByteString,
        reason: ByteString,
    ) {
        let mut inner = self.inner.lock();
        if let Some((link, recipient)) = inner.link(connection) {
            self.input(&mut inner, Input::Nacked { link, recipient, message_id, reason });
        }
    }

    pub(crate) fn status(&self, connection: &Connection, message_id: &ByteString) -> Option<Status> {
        let inner = self.inner.lock();
        let (_, recipient) = inner.links.get(&LinkKey(connection.key))?;
        inner.engine.status(recipient, message_id)
    }

    pub(crate) fn statistics(&self) -> DeliveryStatistics {
        self.inner.lock().engine.statistics()
    }

    pub(crate) fn dead_letters(&self, hub: &str) -> Vec<DeadLetter> {
        let inner = self.inner.lock();
        let letters = inner.engine.dead_letters();
        letters
            .map(|letter| DeadLetter {
                message_id: letter.message.id.to_string(),
                recipient: letter.recipient.label().into(),
                hub: hub.into(),
                method: letter.message.target.to_string(),
                queued_at: letter.message.queued_at.as_millis(),
                attempts: letter.attempts,
                last_error: letter.last_error.clone(),
                reason: letter.reason.clone(),
            })
            .collect()
    }

    /// Sends dead letters again. Returns how many there were with that id.
    pub(crate) fn requeue(self: &Arc<Self>, message_id: &str) -> usize {
        let mut inner = self.inner.lock();
        inner.requeued = 0;
        self.input(&mut inner, Input::Requeue { message_id: message_id.into() });
        inner.requeued
    }

    /// Stops new deliveries by hand, or lets them go on.
    pub(crate) fn set_isolated(self: &Arc<Self>, isolated: bool) {
        let mut inner = self.inner.lock();
        match isolated {
            true => inner.engine.isolate(),
            false => inner.engine.reset(),
        }
        self.drain(&mut inner);
    }

    /// Waits until everything is in the store.
    pub(crate) async fn flushed(&self) {
        loop {
            let written = self.written.notified();
            if self.inner.lock().engine.is_written() {
                return;
            }
            written.await;
        }
    }

    fn input(self: &Arc<Self>, inner: &mut MutexGuard<'_, Inner>, input: Input<Arc<Content>>) {
        inner.engine.handle(self.now(), input);
        self.drain(inner);
    }

    fn drain(self: &Arc<Self>, inner: &mut MutexGuard<'_, Inner>) {
        let mut sent = 0;
        let deadline = loop {
            match inner.engine.poll() {
                Output::Deliver { link, message, retry_count, .. } => {
                    // A connection that does not take it is about to end, and to be detached.
                    if let Some((connection, _)) = inner.links.get(&link) {
                        let announced = connection.identity.is_announced();
                        let frame = message.payload.frame(connection.encoding, announced, retry_count);
                        sent += u64::from(connection.outbox.push(frame));
                    }
                }
                Output::Accepted(entry) => {
                    if let Some((progress, index)) = inner.waiting.get(&entry) {
                        progress.accepted(*index);
                    }
                }
                Output::Confirmed(entry, outcome) => {
                    if let Some((progress, index)) = inner.waiting.remove(&entry) {
                        progress.ended(index, outcome);
                    }
                }
                Output::Requeued { entries, .. } => inner.requeued = entries,
                Output::Store(batch, ops) => self.write(batch, ops),
                Output::Wait(deadline) => break deadline,
            }
        };
        if sent > 0 {
            self.stats.sent(sent);
        }
        inner.deadline = deadline;
        let Some(deadline) = deadline else { return };
        if !inner.timed {
            let Some(runtime) = self.runtime() else { return };
            inner.timed = true;
            runtime.spawn(keep_time(Arc::downgrade(self), self.wake.clone()));
        } else if inner.armed.is_none_or(|armed| deadline < armed) {
            self.wake.notify_one();
        }
    }

    /// The runtime that the server was built in, or first used in.
    fn runtime(&self) -> Option<&Handle> {
        if self.runtime.get().is_none()
            && let Ok(handle) = Handle::try_current()
        {
            // If somebody else was faster, theirs is as good.
            let _ = self.runtime.set(handle);
        }
        self.runtime.get()
    }

    /// Has a batch written by a thread that may block.
    fn write(self: &Arc<Self>, batch: BatchId, ops: Vec<StoreOp<Arc<Content>>>) {
        let Some(table) = self.table.clone() else { return };
        let this = self.clone();
        let write = move || {
            let result = table.apply(&ops);
            if let Err(error) = &result {
                tracing::error!(table = table.name(), error, "messages could not be stored");
            }
            this.input(&mut this.inner.lock(), Input::Stored(batch, result));
            this.written.notify_waiters();
        };
        match self.runtime() {
            Some(runtime) => drop(runtime.spawn_blocking(write)),
            // Whoever is outside of a runtime may block; but not here, where the lock is held.
            None => drop(std::thread::spawn(write)),
        }
    }
}

impl Drop for Reliable {
    fn drop(&mut self) {
        // The task that waits for deadlines sees that nobody is left.
        self.wake.notify_one();
    }
}

impl fmt::Debug for Reliable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reliable").finish_non_exhaustive()
    }
}

impl Inner {
    /// Whose connection it is, while it is one.
    fn link(&self, connection: &Connection) -> Option<(LinkKey, RecipientId)> {
        let link = LinkKey(connection.key);
        self.links.get(&link).map(|(_, recipient)| (link, recipient.clone()))
    }
}

/// Whom a connection belongs to, as far as messages are concerned.
fn recipient_of(connection: &Connection) -> RecipientId {
    let principal = connection.identity.principal();
    match connection.identity.client_id() {
        Some(client_id) => RecipientId::session(principal.user_id(), client_id),
        None => RecipientId::connection(&connection.id, principal.user_id()),
    }
}

/// Wakes the engine of one hub at its deadlines, until the hub is gone.
async fn keep_time(reliable: Weak<Reliable>, wake: Arc<Notify>) {
    loop {
        let at = {
            let Some(this) = reliable.upgrade() else { return };
            let mut inner = this.inner.lock();
            if inner.deadline.is_some_and(|deadline| deadline <= this.now()) {
                this.input(&mut inner, Input::Tick);
            }
            inner.armed = inner.deadline;
            let since_start = |at: Time| Time::from_millis(at.as_millis().saturating_sub(this.origin));
            inner.deadline.map(|at| this.clock.instant(since_start(at)))
        };
        match at {
            Some(at) => tokio::select! {
                () = tokio::time::sleep_until(at) => {}
                () = wake.notified() => {}
            },
            None => wake.notified().await,
        }
    }
}
