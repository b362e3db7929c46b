//! What one connection tells, on its way to the inbox.

use std::collections::{HashSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock, Weak};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use hubwire::client::{CallId, Cause, ConnectionState, DeliveryId, Reply, ReplyId};
use hubwire::protocol::Payload;
use hubwire::raw::{Listener, Notice as Raw, RawConnection};
use hubwire::{Error, ErrorKind};
use parking_lot::Mutex;
use tokio::time::Sleep;

use crate::failure::Fault;
use crate::inbox::Inbox;
use crate::notice::Notice;
use crate::transcode::to_json;
use crate::values::{ConnectionEvent, RestoredCall, millis};

/// While messages and items of so many bytes were not released, the connection does not read from its socket, unless a call
/// waits for its end. A single one may be larger.
pub const LIMIT: usize = 8 << 20;
/// The same while a call waits: the handler that nothing gets on without may be what waits for it, and its end is behind the
/// messages.
const HARD_LIMIT: usize = 32 << 20;
/// When nothing was released for so long with that much, calls fail, of which one is what everything waits for.
const PATIENCE: Duration = Duration::from_secs(10);
/// What a message takes besides its bytes.
const OVERHEAD: usize = 64;
/// So many are handed over before others had their turn.
const TURN: usize = 256;

/// What a connection and its listener both know.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// The connection, which is stopped when nobody else holds it.
    pub(crate) raw: OnceLock<Weak<RawConnection>>,
    room: Mutex<Room>,
    /// Starts and stops that nobody was told the end of.
    pub(crate) waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Room {
    /// Handed over and not released.
    held: usize,
    /// Grows with each release.
    releases: u64,
    /// Calls, but no streams, whose end was not told.
    calls: HashSet<u64>,
    waker: Option<Waker>,
}

impl Room {
    fn is_full(&self) -> bool {
        self.held >= if self.calls.is_empty() { LIMIT } else { HARD_LIMIT }
    }

    /// Who waits for room, if there is some.
    fn wake(&mut self) -> Option<Waker> {
        if self.is_full() { None } else { self.waker.take() }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Waiting {
    /// That the connection has not begun with.
    pub(crate) starts: VecDeque<u64>,
    /// That it is at.
    begun: Vec<u64>,
    pub(crate) stops: VecDeque<u64>,
}

impl Shared {
    fn with_raw(&self, command: impl FnOnce(&RawConnection)) {
        if let Some(raw) = self.raw.get().and_then(Weak::upgrade) {
            command(&raw);
        }
    }

    /// Answers an invocation that cannot be handed over.
    fn refuse(&self, reply: Option<ReplyId>, delivery: Option<DeliveryId>, reason: &str) {
        self.with_raw(|raw| {
            if let Some(reply) = reply {
                // An error is no payload, so there is nothing that it could be wrong about.
                let _ = raw.reply(reply, Reply::Error(reason.to_owned()));
            }
            if let Some(delivery) = delivery {
                raw.handled(delivery, Err(reason.to_owned()));
            }
        });
    }

    fn is_full(&self) -> bool {
        self.room.lock().is_full()
    }

    fn hold(&self, cost: usize) -> u32 {
        self.room.lock().held += cost;
        u32::try_from(cost).unwrap_or(u32::MAX)
    }

    pub(crate) fn release(&self, cost: usize) {
        let mut room = self.room.lock();
        room.held = room.held.saturating_sub(cost);
        room.releases += 1;
        let waker = room.wake();
        drop(room);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The end of a call will be waited for.
    pub(crate) fn begin_call(&self, call: u64) {
        let mut room = self.room.lock();
        room.calls.insert(call);
        // The limit is another now. Somebody who waits at the other one has to see to it that it has an end.
        let waker = room.waker.take();
        drop(room);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// It will not, or is not any more.
    pub(crate) fn end_call(&self, call: u64) {
        self.room.lock().calls.remove(&call);
    }
}

/// The listener of one connection.
pub(crate) struct Letters {
    inbox: Arc<Inbox>,
    shared: Arc<Shared>,
    connection: u64,
    unsent: Vec<Notice>,
    /// Since there is no room and a call waits: until when, and how often something had been released.
    stalled: Option<(Pin<Box<Sleep>>, u64)>,
}

impl Letters {
    /// For a connection that has [joined](Inbox::join) the inbox.
    pub(crate) fn new(inbox: Arc<Inbox>, shared: Arc<Shared>, connection: u64) -> Self {
        Self { inbox, shared, connection, unsent: Vec::new(), stalled: None }
    }

    fn invocation(
        &mut self,
        target: &str,
        arguments: &Payload,
        reply: Option<u64>,
        delivery: Option<u64>,
    ) -> Result<Notice, String> {
        let mut decoder = arguments.arguments().map_err(|error| error.to_string())?;
        let count = decoder.total();
        let mut list = Vec::with_capacity(count);
        for index in 0..count {
            let argument = decoder.take_raw().map_err(|error| error.to_string())?;
            list.push(to_json(&argument).map_err(|error| format!("argument {}: {error}", index + 1))?);
        }
        let bytes = list.iter().map(Vec::len).sum::<usize>();
        let cost = self.shared.hold(OVERHEAD + bytes);
        Ok(Notice::Invocation { target: target.to_owned(), arguments: list, reply, delivery, cost })
    }

    /// Calls fail when nothing else would ever get on.
    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (releases, waits) = {
            let room = self.shared.room.lock();
            (room.releases, !room.calls.is_empty())
        };
        if !waits {
            self.stalled = None;
            return Poll::Pending;
        }
        if self.stalled.as_ref().is_none_or(|(_, before)| *before != releases) {
            self.stalled = Some((Box::pin(tokio::time::sleep(PATIENCE)), releases));
        }
        if let Some((sleep, _)) = &mut self.stalled {
            ready!(sleep.as_mut().poll(cx));
        }
        self.stalled = None;
        let mut calls: Vec<u64> = self.shared.room.lock().calls.drain().collect();
        calls.sort_unstable();
        for call in calls {
            self.shared.with_raw(|raw| raw.cancel(CallId(call)));
            let reason = format!(
                "{} MiB of messages wait for handlers, of which none has ended for {} s, and the end of the call is behind them.",
                HARD_LIMIT >> 20,
                PATIENCE.as_secs()
            );
            let fault = Fault { kind: crate::failure::ErrorKind::Overflow, reason };
            self.unsent.push(Notice::Failed { call, fault });
        }
        self.flush();
        Poll::Ready(())
    }

    fn add(&mut self, notice: Raw) {
        if let Raw::Completed(call, _) = &notice {
            self.shared.end_call(call.0);
        }
        let notice = match notice {
            Raw::Invocation { target, arguments, reply, delivery } => {
                let ids = (reply.map(|reply| reply.get()), delivery.map(|delivery| delivery.get()));
                match self.invocation(&target, &arguments, ids.0, ids.1) {
                    Ok(invocation) => invocation,
                    Err(reason) => {
                        let reason = format!("The arguments of '{target}' cannot be read: {reason}");
                        self.shared.refuse(reply, delivery, &reason);
                        Notice::Unreadable { target: target.to_string(), reason }
                    }
                }
            }
            Raw::Item(call, item) => match to_json(&item) {
                Ok(value) => {
                    let cost = self.shared.hold(OVERHEAD + value.len());
                    Notice::Item { call: call.0, value, cost }
                }
                Err(error) => {
                    self.shared.with_raw(|raw| raw.cancel(call));
                    Notice::Failed {
                        call: call.0,
                        fault: protocol(format!("An item of the stream cannot be read: {error}")),
                    }
                }
            },
            Raw::Completed(call, Ok(None)) => Notice::Completed { call: call.0, value: None },
            Raw::Completed(call, Ok(Some(value))) => match to_json(&value) {
                Ok(value) => Notice::Completed { call: call.0, value: Some(value) },
                Err(error) => Notice::Failed {
                    call: call.0,
                    fault: protocol(format!("The result cannot be read: {error}")),
                },
            },
            Raw::Completed(call, Err(error)) => Notice::Failed { call: call.0, fault: Fault::from(&error) },
            Raw::InvocationCancelled(reply) => Notice::InvocationCancelled { reply: reply.get() },
            Raw::Queued(call) => Notice::Queued { call: call.0 },
            Raw::UploadStarted(upload) => Notice::UploadStarted { upload: upload.0 },
            Raw::UploadStopped(upload) => Notice::UploadStopped { upload: upload.0 },
            Raw::Room => Notice::Room,
            Raw::NotStarted(ticket, error) => {
                self.shared.waiting.lock().starts.retain(|waiting| *waiting != ticket);
                Notice::Started { ticket, fault: Some(Fault::from(&error)) }
            }
            Raw::Stopped => {
                let Some(ticket) = self.shared.waiting.lock().stops.pop_front() else { return };
                Notice::Stopped { ticket }
            }
            Raw::Restored(calls) => {
                let calls = calls.into_iter().map(|(call, target)| RestoredCall { call: call.0, target });
                Notice::Restored { calls: calls.collect() }
            }
            Raw::Retry { request, context, change } => Notice::Retry {
                request: request.get(),
                previous_retry_count: context.previous_retry_count,
                elapsed: millis(context.elapsed),
                fault: Fault::from(&context.reason),
                change: change.map(Into::into),
            },
            Raw::State(change) => return self.state(change),
            Raw::Event(event) => match ConnectionEvent::of(event) {
                Some(event) => Notice::Event { event },
                None => return,
            },
            // The core has notices that this version does not know.
            _ => return,
        };
        self.unsent.push(notice);
    }

    fn state(&mut self, change: hubwire::StateChange) {
        let ended = match (&change.to, &change.cause) {
            (ConnectionState::Connected, _) => Some(None),
            (ConnectionState::Disconnected, Cause::Failed(error)) => Some(Some(Fault::from(error))),
            (ConnectionState::Disconnected, cause) => {
                let reason = match cause {
                    Cause::ServerClosed { .. } => {
                        Error::new(ErrorKind::Refused, "The server closed the connection.")
                    }
                    _ => Error::new(ErrorKind::Cancelled, "The connection was stopped before it was made."),
                };
                Some(Some(Fault::from(&reason)))
            }
            _ => None,
        };
        if (change.from, change.to) == (ConnectionState::Disconnected, ConnectionState::Connecting) {
            let mut waiting = self.shared.waiting.lock();
            let first = waiting.starts.pop_front();
            waiting.begun.extend(first);
        }
        self.unsent.push(Notice::State { change: change.into() });
        if let Some(fault) = ended {
            for ticket in std::mem::take(&mut self.shared.waiting.lock().begun) {
                self.unsent.push(Notice::Started { ticket, fault: fault.clone() });
            }
        }
    }
}

fn protocol(reason: String) -> Fault {
    Fault { kind: crate::failure::ErrorKind::Protocol, reason }
}

impl Listener for Letters {
    fn notice(&mut self, notice: Raw) -> Option<Raw> {
        if self.shared.is_full() {
            return Some(notice);
        }
        self.add(notice);
        None
    }

    fn turn_over(&mut self) {
        if self.unsent.len() >= TURN {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if !self.unsent.is_empty() {
            self.inbox.put(self.connection, std::mem::take(&mut self.unsent));
        }
    }

    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        {
            let mut room = self.shared.room.lock();
            if !room.is_full() {
                self.stalled = None;
                return Poll::Ready(());
            }
            room.waker = Some(cx.waker().clone());
        }
        // What failed then is no reason to read: the messages are still there.
        while self.poll_stalled(cx).is_ready() {}
        Poll::Pending
    }
}

impl Drop for Letters {
    fn drop(&mut self) {
        self.unsent.push(Notice::Ended);
        self.flush();
        self.inbox.leave();
    }
}

#[cfg(test)]
mod tests;
