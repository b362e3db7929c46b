//! What waits to leave for one client, and what others want of its connection task.

use std::collections::VecDeque;
use std::task::{Context, Waker};

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use hubwire::protocol::{Call, Payload};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::error::HubError;
use crate::session::{CallKey, UploadKey};

/// How much may wait for one client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutboxLimits {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
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
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    frames: VecDeque<Bytes>,
    bytes: usize,
    commands: Vec<Command>,
    overflowed: bool,
    closed: bool,
    /// Set only while the task sleeps, so that a method that sends does not wake its own task.
    waker: Option<Waker>,
}

impl Outbox {
    pub(crate) fn new(limits: OutboxLimits) -> Self {
        Self { limits, inner: Mutex::default() }
    }

    /// Appends whole messages. Returns whether the connection still takes them.
    pub(crate) fn push(&self, frame: Bytes) -> bool {
        let mut inner = self.inner.lock();
        if inner.closed || inner.overflowed {
            return false;
        }
        let bytes = inner.bytes + frame.len();
        if bytes > self.limits.bytes || inner.frames.len() >= self.limits.messages {
            inner.overflowed = true;
            inner.frames = VecDeque::new();
            inner.bytes = 0;
        } else {
            inner.bytes = bytes;
            inner.frames.push_back(frame);
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

    /// Takes what leaves next as one transport frame: one message, or as many as fit into `limit` bytes.
    pub(crate) fn take(&self, limit: usize) -> Option<Bytes> {
        let mut inner = self.inner.lock();
        let first = inner.frames.pop_front()?;
        let mut total = first.len();
        let mut more = Vec::new();
        while inner.frames.front().is_some_and(|next| total + next.len() <= limit)
            && let Some(next) = inner.frames.pop_front()
        {
            total += next.len();
            more.push(next);
        }
        inner.bytes -= total;
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
        let frame = inner.frames.pop_front_if(|frame| always || frame.len() <= limit)?;
        inner.bytes -= frame.len();
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
        Outbox::new(OutboxLimits { messages, bytes })
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
}
