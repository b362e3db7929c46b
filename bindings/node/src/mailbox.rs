//! What waits for JavaScript, of all connections of one thread.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use hubwire::raw::{Listener, Notice};
use parking_lot::Mutex;
use tokio::time::{Duration, Instant};

use crate::chunk::Chunk;
use crate::news;

/// While more bytes wait than this, connections do not read from their sockets.
pub(crate) const LIMIT: usize = 8 << 20;
/// What JavaScript takes at once: so much is decoded in a moment, and then it is somebody else's turn.
const CHUNK: usize = 128 << 10;

/// Messages that come within this time of the last ones are told together. The finest that timers have.
const MOMENT: Duration = Duration::from_millis(1);

/// Tells JavaScript that there is something to fetch. Called from any thread; false if JavaScript is gone.
pub(crate) type Wake = Box<dyn Fn() -> bool + Send + Sync>;

pub(crate) struct Mailbox {
    wake: Wake,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// JSON text and MessagePack; each in its order, and a connection has one of them.
    chunks: [VecDeque<Chunk>; 2],
    is_turn_of_binary: bool,
    bytes: usize,
    /// JavaScript was told, and has not come yet.
    is_told: bool,
    /// JavaScript is told when a moment is over.
    is_timed: bool,
    /// When JavaScript had taken everything.
    asleep_since: Option<Instant>,
    is_closed: bool,
    waiting: Vec<Waker>,
}

impl Mailbox {
    pub(crate) fn new(wake: Wake) -> Arc<Self> {
        Arc::new(Self { wake, state: Mutex::default() })
    }

    /// Whether JavaScript has fallen behind.
    fn is_full(&self) -> bool {
        let state = self.state.lock();
        state.bytes >= LIMIT && !state.is_closed
    }

    /// Writes something for JavaScript, which has to be told by [`flush`](Self::flush).
    pub(crate) fn put(&self, is_binary: bool, write: impl FnOnce(&mut Chunk)) {
        let mut state = self.state.lock();
        if state.is_closed {
            return;
        }
        let chunks = &mut state.chunks[usize::from(is_binary)];
        if chunks.back().is_none_or(|chunk| chunk.len() >= CHUNK) {
            chunks.push_back(Chunk::new(is_binary));
        }
        let Some(chunk) = chunks.back_mut() else { return };
        let before = chunk.len();
        write(chunk);
        let after = chunk.len();
        state.bytes += after - before;
    }

    /// Puts a list behind the others, to the last one if that is short.
    fn put_list(&self, list: Chunk, is_binary: bool) {
        let mut state = self.state.lock();
        if state.is_closed {
            return;
        }
        state.bytes += list.len();
        let chunks = &mut state.chunks[usize::from(is_binary)];
        match chunks.back_mut().filter(|last| last.len() < CHUNK) {
            Some(last) => last.append(&list),
            None => chunks.push_back(list),
        }
    }

    /// Tells JavaScript that there is something, unless it knows.
    pub(crate) fn flush(&self) {
        let mut state = self.state.lock();
        let is_nothing = state.chunks.iter().all(VecDeque::is_empty);
        if is_nothing || std::mem::replace(&mut state.is_told, true) {
            return;
        }
        drop(state);
        if !(self.wake)() {
            self.close();
        }
    }

    /// As [`flush`](Self::flush), but not within a moment of the last time: waking JavaScript costs more than many messages.
    /// Where they come slowly, each is told at once.
    fn flush_soon(self: &Arc<Self>) {
        let mut state = self.state.lock();
        if state.is_told || state.is_timed {
            return;
        }
        let next = state.asleep_since.map(|asleep_since| asleep_since + MOMENT);
        let Some(next) = next.filter(|next| *next > Instant::now()) else {
            drop(state);
            return self.flush();
        };
        state.is_timed = true;
        let mailbox = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep_until(next).await;
            mailbox.state.lock().is_timed = false;
            mailbox.flush();
        });
    }

    /// JavaScript has other things to do, and is told again.
    pub(crate) fn pause(&self) {
        self.state.lock().is_told = false;
        self.flush();
    }

    /// The next list for JavaScript, which comes back until there is none, or [pauses](Self::pause).
    pub(crate) fn take(&self) -> Option<Taken> {
        let mut state = self.state.lock();
        // In turn, so that much of one encoding does not keep the other waiting.
        let turn = state.is_turn_of_binary;
        state.is_turn_of_binary = !turn;
        let is_binary = if state.chunks[usize::from(turn)].is_empty() { !turn } else { turn };
        let Some(chunk) = state.chunks[usize::from(is_binary)].pop_front() else {
            state.is_told = false;
            state.asleep_since = Some(Instant::now());
            return None;
        };
        let bytes = chunk.finish();
        // A little more than was counted: the lists have ends.
        state.bytes = state.bytes.saturating_sub(bytes.len());
        if state.chunks.iter().all(VecDeque::is_empty) {
            state.bytes = 0;
        }
        let waiting = if state.bytes < LIMIT { std::mem::take(&mut state.waiting) } else { Vec::new() };
        drop(state);
        for waker in waiting {
            waker.wake();
        }
        Some(if is_binary { Taken::Bytes(bytes) } else { Taken::Text(bytes) })
    }

    /// JavaScript is gone: nothing is kept from now on, and nobody waits for it.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.is_closed = true;
        state.chunks = Default::default();
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        for waker in waiting {
            waker.wake();
        }
    }
}

/// A whole list.
pub(crate) enum Taken {
    Text(Vec<u8>),
    Bytes(Vec<u8>),
}

impl std::fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mailbox").finish_non_exhaustive()
    }
}

/// Where the notices of one connection go.
pub(crate) struct Letters {
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) connection: u32,
    pub(crate) is_binary: bool,
    /// What JavaScript gets in one turn: the end of a connection with the ends of its calls.
    unsent: Option<Chunk>,
    /// Promises wait for some of it.
    is_awaited: bool,
    /// There is more in it than messages and items.
    is_urgent: bool,
}

impl Letters {
    pub(crate) fn new(mailbox: Arc<Mailbox>, connection: u32, is_binary: bool) -> Self {
        Self { mailbox, connection, is_binary, unsent: None, is_awaited: false, is_urgent: false }
    }
}

impl Listener for Letters {
    fn notice(&mut self, notice: Notice) -> Option<Notice> {
        if self.mailbox.is_full() {
            return Some(notice);
        }
        let unsent = self.unsent.get_or_insert_with(|| Chunk::new(self.is_binary));
        self.is_awaited |= news::is_awaited(&notice);
        self.is_urgent |= !news::is_one_of_many(&notice);
        news::write(unsent, self.connection, notice);
        None
    }

    fn turn_over(&mut self) {
        if std::mem::take(&mut self.is_awaited)
            && let Some(unsent) = &mut self.unsent
        {
            news::end_of_turn(unsent);
        }
        if self.unsent.as_ref().is_some_and(|unsent| unsent.len() >= CHUNK) {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if let Some(unsent) = self.unsent.take() {
            self.mailbox.put_list(unsent, self.is_binary);
        }
        if std::mem::take(&mut self.is_urgent) {
            self.mailbox.flush();
        } else {
            self.mailbox.flush_soon();
        }
    }

    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.mailbox.state.lock();
        if state.bytes < LIMIT || state.is_closed {
            return Poll::Ready(());
        }
        if !state.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            state.waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }
}
