//! What waits to leave for one client, and what others want of its connection task.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Waker};

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use hubwire::protocol::{Call, Payload};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::oneshot;

use crate::delivery::delta::{Delta, StateKey};
use crate::error::HubError;
use crate::session::{CallKey, UploadKey};

/// How much may wait for one client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutboxLimits {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
    /// Whether calls of client methods without an answer are dropped, oldest first, before the client is disconnected.
    pub(crate) drop_oldest: bool,
}

/// What waits for all clients together.
#[derive(Debug, Default)]
pub(crate) struct Queued {
    bytes: AtomicU64,
    peak: AtomicU64,
    dropped: AtomicU64,
}

impl Queued {
    /// Bytes now, the most there were, and messages dropped.
    pub(crate) fn totals(&self) -> (u64, u64, u64) {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (load(&self.bytes), load(&self.peak), load(&self.dropped))
    }

    fn add(&self, bytes: usize) {
        let now = self.bytes.fetch_add(bytes as u64, Ordering::Relaxed) + bytes as u64;
        // Mostly a read, which processors can share.
        if self.peak.load(Ordering::Relaxed) < now {
            self.peak.fetch_max(now, Ordering::Relaxed);
        }
    }

    fn remove(&self, bytes: usize) {
        if bytes > 0 {
            self.bytes.fetch_sub(bytes as u64, Ordering::Relaxed);
        }
    }
}

/// What a connection task is asked to do.
#[derive(Debug)]
pub(crate) enum Command {
    Abort,
    Close { error: Option<String>, allow_reconnect: bool },
    Release(CallKey),
    Consumed(UploadKey),
    Discard(UploadKey),
    InvokeClient { id: ByteString, call: Call<Payload>, reply: oneshot::Sender<Result<Payload, HubError>> },
    ForgetClientCall(ByteString),
}

/// The queue of one connection. Any thread pushes, the connection's task takes.
///
/// A client that lets the queue grow over its limits is disconnected: its messages are dropped at once, the memory is
/// free before the task even runs. An empty queue has no allocation.
#[derive(Debug)]
pub(crate) struct Outbox {
    limits: OutboxLimits,
    queued: Arc<Queued>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    frames: VecDeque<Waiting>,
    bytes: usize,
    commands: Vec<Command>,
    overflowed: bool,
    closed: bool,
    /// How many of the frames are deltas.
    deltas: usize,
    /// Set only while the task sleeps, so that a method that sends does not wake its own task.
    waker: Option<Waker>,
}

#[derive(Debug)]
struct Waiting {
    frame: Bytes,
    best_effort: bool,
    delta: Option<WaitingDelta>,
}

/// What a frame says that the next one of the same object may be put together with.
#[derive(Debug)]
pub(crate) struct WaitingDelta {
    pub(crate) key: Arc<StateKey>,
    pub(crate) delta: Arc<Delta>,
}

impl Inner {
    /// Takes the first frame, if it may leave.
    fn pop_if(&mut self, may: impl FnOnce(&Bytes) -> bool) -> Option<Bytes> {
        let taken = self.frames.pop_front_if(|next| may(&next.frame))?;
        self.deltas -= usize::from(taken.delta.is_some());
        Some(taken.frame)
    }

    /// Takes a frame out of the line.
    fn remove(&mut self, index: usize) -> Option<Bytes> {
        let taken = self.frames.remove(index)?;
        self.deltas -= usize::from(taken.delta.is_some());
        self.bytes -= taken.frame.len();
        Some(taken.frame)
    }
}

impl Outbox {
    pub(crate) fn new(limits: OutboxLimits, queued: Arc<Queued>) -> Self {
        Self { limits, queued, inner: Mutex::default() }
    }

    /// Appends whole messages. Returns whether the connection still takes them.
    pub(crate) fn push(&self, frame: Bytes) -> bool {
        self.append(self.inner.lock(), Waiting { frame, best_effort: false, delta: None })
    }

    /// As [`push`](Self::push), for what may be dropped for a slow client where the hub says so.
    pub(crate) fn push_best_effort(&self, frame: Bytes) -> bool {
        let best_effort = self.limits.drop_oldest;
        self.append(self.inner.lock(), Waiting { frame, best_effort, delta: None })
    }

    /// As [`push_best_effort`](Self::push_best_effort), for what changed in an object. If what changed before in the
    /// same object still waits, and `merge` can make one of both, that takes the place of both, at the end of the
    /// line.
    pub(crate) fn push_delta(
        &self,
        frame: Bytes,
        waiting: WaitingDelta,
        merge: impl FnOnce(&Delta) -> Option<(Bytes, Arc<Delta>)>,
    ) -> bool {
        let best_effort = self.limits.drop_oldest;
        let mut inner = self.inner.lock();
        let mut message = Waiting { frame, best_effort, delta: None };
        let mut delta = waiting.delta;
        let is_same = |other: &Waiting| other.delta.as_ref().is_some_and(|other| other.key == waiting.key);
        // Only a client that does not keep up has any that wait.
        if inner.deltas > 0
            && let Some(index) = inner.frames.iter().rposition(is_same)
            && let Some(before) = inner.frames.get(index).and_then(|before| before.delta.as_ref())
            && let Some((frame, both)) = merge(&before.delta)
        {
            let removed = inner.remove(index).map_or(0, |frame| frame.len());
            self.queued.remove(removed);
            (message.frame, delta) = (frame, both);
        }
        message.delta = Some(WaitingDelta { key: waiting.key, delta });
        self.append(inner, message)
    }

    fn append(&self, mut inner: MutexGuard<'_, Inner>, message: Waiting) -> bool {
        if inner.closed || inner.overflowed {
            return false;
        }
        let len = message.frame.len();
        let fits = |inner: &Inner| {
            inner.bytes + len <= self.limits.bytes && inner.frames.len() < self.limits.messages
        };
        while !fits(&inner)
            && self.limits.drop_oldest
            && let Some(oldest) = inner.frames.iter().position(|waiting| waiting.best_effort)
            && let Some(dropped) = inner.remove(oldest)
        {
            self.queued.remove(dropped.len());
            self.queued.dropped.fetch_add(1, Ordering::Relaxed);
        }
        if fits(&inner) {
            inner.bytes += len;
            self.queued.add(len);
            inner.deltas += usize::from(message.delta.is_some());
            inner.frames.push_back(message);
        } else {
            inner.overflowed = true;
            inner.frames = VecDeque::new();
            inner.deltas = 0;
            self.queued.remove(std::mem::take(&mut inner.bytes));
        }
        let accepted = !inner.overflowed;
        let waker = inner.waker.take();
        drop(inner);
        if let Some(waker) = waker {
            waker.wake();
        }
        accepted
    }

    /// Asks the task for something. Returns whether the connection still takes it.
    pub(crate) fn command(&self, command: Command) -> bool {
        let mut inner = self.inner.lock();
        if inner.closed {
            return false;
        }
        inner.commands.push(command);
        let waker = inner.waker.take();
        drop(inner);
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }

    /// What the task was asked to do, and whether more waits than may.
    pub(crate) fn take_commands(&self) -> (Vec<Command>, bool) {
        let mut inner = self.inner.lock();
        (std::mem::take(&mut inner.commands), inner.overflowed)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.inner.lock().frames.is_empty()
    }

    /// How many bytes wait.
    pub(crate) fn bytes(&self) -> usize {
        self.inner.lock().bytes
    }

    /// How many messages and bytes may still come to wait.
    pub(crate) fn free(&self) -> (usize, usize) {
        let inner = self.inner.lock();
        let messages = self.limits.messages.saturating_sub(inner.frames.len());
        (messages, self.limits.bytes.saturating_sub(inner.bytes))
    }

    /// Takes what leaves next as one transport frame: one message, or as many as fit into `limit` bytes.
    pub(crate) fn take(&self, limit: usize) -> Option<Bytes> {
        let mut inner = self.inner.lock();
        let first = inner.pop_if(|_| true)?;
        let mut total = first.len();
        let mut more = Vec::new();
        while let Some(next) = inner.pop_if(|next| total + next.len() <= limit) {
            total += next.len();
            more.push(next);
        }
        inner.bytes -= total;
        self.queued.remove(total);
        if inner.frames.is_empty() && inner.frames.capacity() > 16 {
            inner.frames = VecDeque::new();
        }
        drop(inner);
        if more.is_empty() {
            return Some(first);
        }
        let mut joined = BytesMut::with_capacity(total);
        joined.extend_from_slice(&first);
        for frame in &more {
            joined.extend_from_slice(frame);
        }
        Some(joined.freeze())
    }

    /// Takes the next message if it fits into `limit` bytes, or in any case with `always`.
    pub(crate) fn take_one(&self, limit: usize, always: bool) -> Option<Bytes> {
        let mut inner = self.inner.lock();
        let frame = inner.pop_if(|next| always || next.len() <= limit)?;
        inner.bytes -= frame.len();
        self.queued.remove(frame.len());
        Some(frame)
    }

    /// Arranges for the task to be woken by the next push or command. Returns whether there is one already.
    pub(crate) fn park(&self, cx: &Context<'_>, ignore_frames: bool) -> bool {
        let mut inner = self.inner.lock();
        if !inner.commands.is_empty() || inner.overflowed || (!ignore_frames && !inner.frames.is_empty()) {
            return true;
        }
        match &inner.waker {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            _ => inner.waker = Some(cx.waker().clone()),
        }
        false
    }

    /// Gives back what the queue does not need now.
    pub(crate) fn release_memory(&self) {
        let mut inner = self.inner.lock();
        if inner.frames.is_empty() {
            inner.frames = VecDeque::new();
        }
    }

    /// The connection is over: takes nothing more and forgets everything.
    pub(crate) fn close(&self) {
        let mut inner = self.inner.lock();
        let commands = std::mem::take(&mut inner.commands);
        self.queued.remove(inner.bytes);
        *inner = Inner { closed: true, ..Inner::default() };
        drop(inner);
        // Their reply channels wake other tasks, which may want this lock.
        drop(commands);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbox(messages: usize, bytes: usize) -> Outbox {
        Outbox::new(OutboxLimits { messages, bytes, drop_oldest: false }, Arc::default())
    }

    #[test]
    fn what_waits_leaves_together_up_to_the_limit() {
        let outbox = outbox(10, 100);
        for frame in ["aa", "bb", "cc"] {
            assert!(outbox.push(Bytes::from_static(frame.as_bytes())));
        }
        assert_eq!(outbox.take(4).unwrap(), "aabb");
        assert_eq!(outbox.bytes(), 2);
        // One message leaves alone even if it is larger than the limit: messages are not cut.
        assert_eq!(outbox.take(1).unwrap(), "cc");
        assert_eq!(outbox.take(1), None);
    }

    #[test]
    fn more_than_the_limits_drops_everything_and_takes_nothing_more() {
        for outbox in [outbox(2, 100), outbox(10, 4)] {
            assert!(outbox.push(Bytes::from_static(b"aa")));
            assert!(outbox.push(Bytes::from_static(b"bb")));
            assert!(!outbox.push(Bytes::from_static(b"c")));
            assert!(outbox.take_commands().1);
            assert_eq!(outbox.bytes(), 0);
            assert!(!outbox.push(Bytes::from_static(b"d")));
        }
    }

    #[test]
    fn a_closed_outbox_takes_nothing() {
        let outbox = outbox(1, 1);
        outbox.close();
        assert!(!outbox.push(Bytes::new()));
        assert!(!outbox.command(Command::Abort));
    }

    #[test]
    fn what_may_be_dropped_makes_room_oldest_first() {
        let queued = Arc::new(Queued::default());
        let limits = OutboxLimits { messages: 10, bytes: 6, drop_oldest: true };
        let outbox = Outbox::new(limits, queued.clone());
        assert!(outbox.push(Bytes::from_static(b"aa")));
        for frame in [&b"bb"[..], b"cc", b"dd", b"ee"] {
            assert!(outbox.push_best_effort(Bytes::from_static(frame)));
        }
        assert_eq!(queued.totals(), (6, 6, 2));
        assert!(outbox.push(Bytes::from_static(b"ffff")));
        assert_eq!(outbox.take(6).unwrap(), "aaffff");
        assert_eq!(queued.totals(), (0, 6, 4));
        // What must arrive is never dropped in silence.
        assert!(outbox.push(Bytes::from_static(b"gggg")));
        assert!(!outbox.push(Bytes::from_static(b"hhhh")));
        assert_eq!(queued.totals().0, 0);
        // A connection that is over holds nothing.
        let outbox = Outbox::new(limits, queued.clone());
        assert!(outbox.push(Bytes::from_static(b"aa")));
        outbox.close();
        assert_eq!(queued.totals().0, 0);
    }

    fn delta(sequence: u64, key: &'static str) -> WaitingDelta {
        let key = StateKey { destination: "g".into(), target: "T".into(), key: key.into() };
        let base = (sequence > 1).then(|| sequence - 1);
        let fields = serde_json::Map::from_iter([("n".to_owned(), sequence.into())]);
        WaitingDelta { key: Arc::new(key), delta: Arc::new(Delta { sequence, base, fields }) }
    }

    fn push(outbox: &Outbox, sequence: u64, key: &'static str) {
        let waiting = delta(sequence, key);
        let next = waiting.delta.clone();
        let text = |delta: &Delta| Bytes::from(format!("{key}{:?}-{};", delta.base, delta.sequence));
        let merge = |before: &Delta| before.then(&next).map(|both| (text(&both), Arc::new(both)));
        assert!(outbox.push_delta(text(&next), waiting, merge));
    }

    #[test]
    fn deltas_of_one_object_that_wait_become_one() {
        let queued = Arc::new(Queued::default());
        let limits = OutboxLimits { messages: 10, bytes: 1_000, drop_oldest: false };
        let outbox = Outbox::new(limits, queued.clone());
        for sequence in 2..=50 {
            push(&outbox, sequence, "a");
        }
        assert!(outbox.push(Bytes::from_static(b"x;")));
        push(&outbox, 7, "b");
        push(&outbox, 51, "a");
        // What was put together is where the last of them is.
        assert_eq!(queued.totals().0, outbox.bytes() as u64);
        assert_eq!(outbox.take(1_000).unwrap(), "x;bSome(6)-7;aSome(1)-51;");
        assert_eq!((outbox.bytes(), queued.totals().0), (0, 0));
        // What has left stays as it was, and what does not follow stays apart.
        push(&outbox, 52, "a");
        push(&outbox, 54, "a");
        push(&outbox, 55, "a");
        assert_eq!(outbox.take_one(1_000, true).unwrap(), "aSome(51)-52;");
        assert_eq!(outbox.take_one(1_000, true).unwrap(), "aSome(53)-55;");
        assert_eq!(outbox.inner.lock().deltas, 0);
    }
}
