//! Streams with history: [`Streams`] with its clock, its locks and its clients.

use std::sync::Arc;
use std::time::Duration;

use bytestring::ByteString;
use hubwire::protocol::Payload;
use hubwire::protocol::delivery::{POSITION, Position, Recovery};
use parking_lot::Mutex;
use serde::Serialize;
use tokio::runtime::Handle;

use super::encoded::{Arguments, Frames, call};
use super::{destination, is_subscribed};
use crate::clients::Recipients;
use crate::connection::Connection;
use crate::delivery::history::{Full, History, HistoryStatistics, Input, Output, Room, Streams};
use crate::endpoint::{Clock, Endpoint};
use crate::error::SendError;
use crate::negotiate::random_id;
use crate::registry::Target;

/// The streams of one hub.
///
/// Its lock is held for a moment only. What makes the order is the lock of the destination around it.
#[derive(Debug)]
pub(super) struct Keeper {
    clock: Clock,
    inner: Mutex<Inner>,
    runtime: Option<Handle>,
}

#[derive(Debug)]
struct Inner {
    streams: Streams<Arguments>,
    /// Whether a task looks after what nobody asks for any more.
    swept: bool,
}

/// How often old messages are looked for where nobody sends, in parts of their time.
const SWEEPS: u32 = 4;

/// They are not looked for more often, however short their time is.
const PAUSE: Duration = Duration::from_secs(1);

impl Keeper {
    /// `None` without randomness: then nobody can connect anyway.
    pub(super) fn new(limits: History, clock: Clock) -> Option<Arc<Self>> {
        let streams = Streams::new(limits, random_id().ok()?.into(), false);
        let inner = Mutex::new(Inner { streams, swept: false });
        Some(Arc::new(Self { clock, inner, runtime: Handle::try_current().ok() }))
    }

    /// Tells a client where a stream stands that it follows from now on.
    pub(super) fn tell_position(self: &Arc<Self>, connection: &Connection, stream: &ByteString) {
        let position = self.inner.lock().streams.position(self.clock.now(), stream);
        let encoding = connection.encoding;
        let frame = call(encoding, POSITION.into(), Payload::no_arguments(encoding), Some(&position));
        connection.outbox.push(frame);
    }

    fn publish(
        self: &Arc<Self>,
        stream: &ByteString,
        target: &str,
        arguments: Arguments,
    ) -> Result<(Position, Vec<Output<Arguments>>), Full> {
        let mut inner = self.inner.lock();
        let bytes = target.len() + stream.len() + arguments.len();
        let position = inner.streams.publish(self.clock.now(), stream, target.into(), arguments, bytes)?;
        let mut outputs = Vec::new();
        loop {
            match inner.streams.poll() {
                Output::Wait(_) => break,
                output => outputs.push(output),
            }
        }
        let begin_sweep = !inner.swept;
        inner.swept = true;
        drop(inner);
        if begin_sweep {
            self.sweep();
        }
        Ok((position, outputs))
    }

    /// Forgets in time what nobody asks for. One task, while there is anything, and it sleeps most of the time.
    fn sweep(self: &Arc<Self>) {
        let Some(runtime) = &self.runtime else { return };
        let pause = (self.inner.lock().streams.limits().max_age / SWEEPS).max(PAUSE);
        let keeper = Arc::downgrade(self);
        runtime.spawn(async move {
            loop {
                tokio::time::sleep(pause).await;
                let Some(keeper) = keeper.upgrade() else { return };
                let mut inner = keeper.inner.lock();
                inner.streams.handle(keeper.clock.now(), Input::Tick);
                if inner.streams.messages() == 0 {
                    inner.swept = false;
                    return;
                }
            }
        });
    }

    /// Sends what came in a stream after a position.
    fn recover(&self, connection: &Connection, after: &Position, room: &mut Room) -> (u64, Recovery) {
        let page = self.inner.lock().streams.page(self.clock.now(), after, room);
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
        let (position, outputs) =
            history.publish(&stream, target, arguments).map_err(|Full| SendError::HistoryFull)?;
        for output in outputs {
            if let Output::Publish { position, target, payload, .. } = output {
                hand_out(endpoint, to, position.as_ref(), &target, &payload)?;
            }
        }
        Ok(position)
    }
}

fn hand_out(
    endpoint: &Endpoint,
    to: &Target,
    position: Option<&Position>,
    target: &ByteString,
    arguments: &Arguments,
) -> Result<(), SendError> {
    let mut frames = Frames::default();
    let mut sent = 0;
    for connection in endpoint.registry.recipients(to) {
        let frame = frames.get(&connection, |encoding, announced| {
            let position = position.filter(|_| announced);
            Ok(call(encoding, target.clone(), arguments.get(encoding).clone(), position))
        })?;
        sent += u64::from(connection.outbox.push_best_effort(frame));
    }
    endpoint.stats.sent(sent);
    Ok(())
}
