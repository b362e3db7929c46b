//! Streams with history: [`Streams`] with its clock, its locks and its clients.

use std::fmt;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use bytestring::ByteString;
use hubwire::Time;
use hubwire::protocol::Payload;
use hubwire::protocol::delivery::{POSITION, Position, Recovery};
use parking_lot::Mutex;
use serde::Serialize;
use tokio::runtime::Handle;

use super::encoded::{Arguments, Frames, call};
use super::stored::Table;
use super::{destination, is_subscribed, recipients};
use crate::clients::Recipients;
use crate::connection::Connection;
use crate::delivery::history::{
    BatchId, Full, History, HistoryStatistics, Input, Op, Output, RETRY_STORE, Room, Streams,
};
use crate::endpoint::{Clock, Endpoint};
use crate::error::SendError;
use crate::negotiate::random_id;
use crate::registry::Target;
use crate::stats::now_millis;
use crate::store::{StoreError, Writer};

/// The streams of one hub.
///
/// Its lock is held for a moment only. What makes the order is the lock of the destination around it.
pub(super) struct Keeper {
    clock: Clock,
    /// Times are milliseconds since 1970 as they were when the server began, so that what is stored means the same to the
    /// next one; from there on by the clock of the runtime.
    origin: u64,
    inner: Mutex<Inner>,
    writer: Option<Arc<Writer>>,
    endpoint: OnceLock<Weak<Endpoint>>,
    runtime: Option<Handle>,
}

struct Inner {
    streams: Streams<Arguments>,
    /// With a store.
    table: Option<Table>,
    /// Whether a task looks after what nobody asks for any more.
    swept: bool,
}

/// A message that is handed out to whoever is subscribed.
struct Published {
    stream: ByteString,
    position: Option<Position>,
    target: ByteString,
    arguments: Arguments,
}

/// How often old messages are looked for where nobody sends, in parts of their time.
const SWEEPS: u32 = 4;

/// They are not looked for more often, however short their time is.
const PAUSE: Duration = Duration::from_secs(1);

impl Keeper {
    /// With what the store has for the hub. `None` without randomness: then nobody can connect anyway.
    pub(super) fn new(
        hub: &str,
        limits: History,
        clock: Clock,
        writer: Option<Arc<Writer>>,
    ) -> Result<Option<Arc<Self>>, StoreError> {
        let Ok(instance) = random_id() else { return Ok(None) };
        let streams = Streams::new(limits, instance.into(), writer.is_some());
        let table = writer.is_some().then(|| Table::new(hub));
        let keeper = Self {
            clock,
            origin: now_millis().saturating_sub(clock.now().as_millis()),
            inner: Mutex::new(Inner { streams, table, swept: false }),
            writer,
            endpoint: OnceLock::new(),
            runtime: Handle::try_current().ok(),
        };
        if let Some(writer) = &keeper.writer {
            let now = keeper.now();
            let inner = &mut *keeper.inner.lock();
            if let Some(table) = &mut inner.table {
                let restored = table.restore(writer.store(), now)?;
                inner.streams.handle(now, Input::Restored(restored));
            }
        }
        Ok(Some(Arc::new(keeper)))
    }

    /// The hub is complete: what the store gave begins to age.
    pub(super) fn started(self: &Arc<Self>, endpoint: &Arc<Endpoint>) {
        // Once for each hub.
        let _ = self.endpoint.set(Arc::downgrade(endpoint));
        if self.writer.is_some() {
            let _ = self.with(|streams, now| streams.handle(now, Input::Tick));
            self.sweep();
        }
    }

    fn now(&self) -> Time {
        Time::from_millis(self.origin.saturating_add(self.clock.now().as_millis()))
    }

    /// Does something with the streams, and what follows from it but the messages, which are left to the caller.
    fn with<R>(
        self: &Arc<Self>,
        act: impl FnOnce(&mut Streams<Arguments>, Time) -> R,
    ) -> (R, Vec<Published>) {
        let mut inner = self.inner.lock();
        let result = act(&mut inner.streams, self.now());
        let mut published = Vec::new();
        loop {
            match inner.streams.poll() {
                Output::Publish { stream, position, target, payload } => {
                    published.push(Published { stream, position, target, arguments: payload });
                }
                Output::Store(batch, ops) => self.write(&mut inner, batch, &ops),
                Output::Wait(_) => return (result, published),
            }
        }
    }

    /// Has a batch written. There is one at a time.
    fn write(self: &Arc<Self>, inner: &mut Inner, batch: BatchId, ops: &[Op<Arguments>]) {
        let (Some(writer), Some(table)) = (&self.writer, &mut inner.table) else { return };
        let mut streams: Vec<_> = ops.iter().filter_map(appended).cloned().collect();
        streams.dedup();
        let changes = table.changes(ops);
        let this = Arc::downgrade(self);
        writer.write(changes, move |result| {
            if let Some(this) = this.upgrade() {
                this.stored(batch, result.is_ok(), &streams);
            }
        });
    }

    /// The store has a batch, or failed. Its messages are handed out.
    fn stored(self: &Arc<Self>, batch: BatchId, stored: bool, streams: &[ByteString]) {
        let Some(endpoint) = self.endpoint.get().and_then(Weak::upgrade) else { return };
        {
            // From before a stream is said to be there until everybody has it: who comes in between would get a message
            // twice, or never.
            let _order = endpoint.fanout.order.lock_all(streams);
            if let Some(table) = &mut self.inner.lock().table {
                table.applied(stored);
            }
            let ((), published) = self.with(|streams, now| {
                streams.handle(now, Input::Stored { batch, stored });
            });
            hand_out_all(&endpoint, published);
        }
        if !stored && let Some(runtime) = &self.runtime {
            let keeper = Arc::downgrade(self);
            runtime.spawn(async move {
                tokio::time::sleep(RETRY_STORE).await;
                if let Some(keeper) = keeper.upgrade() {
                    keeper.tick();
                }
            });
        }
    }

    fn tick(self: &Arc<Self>) {
        // It hands nothing out: what waits, waits for the store.
        let _ = self.with(|streams, now| streams.handle(now, Input::Tick));
    }

    /// Tells a client where a stream stands that it follows from now on.
    pub(super) fn tell_position(self: &Arc<Self>, connection: &Connection, stream: &ByteString) {
        let (position, _) = self.with(|streams, now| streams.position(now, stream));
        let encoding = connection.encoding;
        let frame = call(encoding, POSITION.into(), Payload::no_arguments(encoding), Some(&position));
        connection.outbox.push(frame);
    }

    fn publish(
        self: &Arc<Self>,
        stream: &ByteString,
        target: &str,
        arguments: Arguments,
    ) -> Result<(Position, Vec<Published>), Full> {
        let bytes = target.len() + stream.len() + arguments.len();
        let (position, published) =
            self.with(|streams, now| streams.publish(now, stream, target.into(), arguments, bytes));
        self.sweep();
        Ok((position?, published))
    }

    /// Forgets in time what nobody asks for. One task, while there is anything, and it sleeps most of the time.
    fn sweep(self: &Arc<Self>) {
        let Some(runtime) = &self.runtime else { return };
        let pause = {
            let mut inner = self.inner.lock();
            if std::mem::replace(&mut inner.swept, true) {
                return;
            }
            (inner.streams.limits().max_age / SWEEPS).max(PAUSE)
        };
        let keeper = Arc::downgrade(self);
        runtime.spawn(async move {
            loop {
                tokio::time::sleep(pause).await;
                let Some(keeper) = keeper.upgrade() else { return };
                keeper.tick();
                let mut inner = keeper.inner.lock();
                if inner.streams.messages() == 0 {
                    inner.swept = false;
                    return;
                }
            }
        });
    }

    /// Sends what came in a stream after a position.
    fn recover(
        self: &Arc<Self>,
        connection: &Connection,
        after: &Position,
        room: &mut Room,
    ) -> (u64, Recovery) {
        let (page, _) = self.with(|streams, now| streams.page(now, after, room));
        let mut sent = 0;
        for entry in page.entries {
            let arguments = entry.payload.get(connection.encoding).clone();
            let frame = call(connection.encoding, entry.target, arguments, Some(&entry.position));
            sent += u64::from(connection.outbox.push(frame));
        }
        (sent, page.recovery)
    }

    fn statistics(&self) -> HistoryStatistics {
        let inner = self.inner.lock();
        HistoryStatistics {
            streams: inner.streams.len(),
            messages: inner.streams.messages(),
            bytes: inner.streams.bytes(),
        }
    }
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper").finish_non_exhaustive()
    }
}

/// The stream that gets a message by it.
const fn appended<P>(op: &Op<P>) -> Option<&ByteString> {
    match op {
        Op::Append { entry, .. } => Some(&entry.position.stream),
        _ => None,
    }
}

impl super::Fanout {
    /// Sends a client what it missed after each position, and says how far that goes.
    pub(crate) fn recover(
        &self,
        endpoint: &Endpoint,
        connection: &Connection,
        positions: &[Position],
    ) -> Vec<Recovery> {
        let Some(history) = &self.history else { return Vec::new() };
        // What else is sent meanwhile must find room, too.
        let (messages, bytes) = connection.outbox.free();
        let mut room = history.inner.lock().streams.room().within(messages / 2, bytes / 2);
        let recover = |position: &Position| {
            let _order = self.order.lock(&position.stream);
            if !is_subscribed(endpoint, connection, &position.stream) {
                return Recovery::Unsubscribed;
            }
            let (sent, recovery) = history.recover(connection, position, &mut room);
            endpoint.stats.sent(sent);
            recovery
        };
        positions.iter().map(recover).collect()
    }

    pub(crate) fn history_statistics(&self) -> Option<HistoryStatistics> {
        self.history.as_ref().map(|history| history.statistics())
    }
}

impl Recipients {
    /// Calls a method of each of the clients, which are those of a group or of a user, and keeps the call for those
    /// that are not connected now: on a hub with [`HubOptions::history`](crate::HubOptions::history). Returns its
    /// place in the stream.
    ///
    /// All clients see the calls of one stream in the same order. Hubwire clients get the position with each.
    ///
    /// With a store it leaves when the store has it, so that a server that restarts goes on where this one ended; this method
    /// does not wait for that. If the store fails it leaves all the same, but cannot be had again.
    ///
    /// # Errors
    /// When the arguments cannot be written in both encodings, a group has no name, the recipients are no stream, or
    /// the hub keeps none.
    pub fn publish<A: Serialize>(&self, target: &str, arguments: A) -> Result<Position, SendError> {
        let (endpoint, to) = self.check()?;
        let stream = destination(to).ok_or(SendError::NoStream)?;
        let history = endpoint.fanout.history.as_ref().ok_or(SendError::NoHistory)?;
        let arguments = Arguments::new(&arguments)?;
        endpoint.fanout.barrier(endpoint, to);
        let _order = endpoint.fanout.order.lock(&stream);
        let (position, published) =
            history.publish(&stream, target, arguments).map_err(|Full| SendError::HistoryFull)?;
        for message in published {
            hand_out(endpoint, to, &message)?;
        }
        Ok(position)
    }
}

/// Hands out what the store has, or cannot have.
fn hand_out_all(endpoint: &Endpoint, published: Vec<Published>) {
    for message in published {
        let Some(to) = recipients(&message.stream) else { continue };
        if let Err(error) = hand_out(endpoint, &to, &message) {
            // Both encodings are there already.
            tracing::error!(%error, "a message of a stream could not be sent");
        }
    }
}

fn hand_out(endpoint: &Endpoint, to: &Target, message: &Published) -> Result<(), SendError> {
    let Published { position, target, arguments, .. } = message;
    let mut frames = Frames::default();
    let mut sent = 0;
    for connection in endpoint.registry.recipients(to) {
        let frame = frames.get(&connection, |encoding, announced| {
            let position = position.as_ref().filter(|_| announced);
            Ok(call(encoding, target.clone(), arguments.get(encoding).clone(), position))
        })?;
        sent += u64::from(connection.outbox.push_best_effort(frame));
    }
    endpoint.stats.sent(sent);
    Ok(())
}
