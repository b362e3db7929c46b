//! What waits for the foreign side, of all connections of a process.

use std::future::poll_fn;
use std::task::{Poll, Waker};

use parking_lot::Mutex;

use crate::notice::Notice;

/// How many notices are handed over at once, about: as many as are read in a moment.
const BATCH: usize = 1_024;

/// What happened on one connection, in order.
#[derive(Clone, Debug, PartialEq, uniffi::Record)]
pub struct Batch {
    /// Its number.
    pub connection: u64,
    /// At least one.
    pub notices: Vec<Notice>,
}

#[derive(Debug, Default)]
struct State {
    batches: Vec<Batch>,
    notices: usize,
    /// Connections that something may still happen on.
    connections: usize,
    /// There were connections, and there are none: nobody comes to read any more.
    is_over: bool,
    reader: Option<Waker>,
}

/// Bounded by the connections, each of which counts what it has here.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    state: Mutex<State>,
}

impl Inbox {
    /// Another connection; false if nobody reads any more.
    pub(crate) fn join(&self) -> bool {
        let mut state = self.state.lock();
        if !state.is_over {
            state.connections += 1;
        }
        !state.is_over
    }

    /// Nothing happens any more on one of them.
    pub(crate) fn leave(&self) {
        let mut state = self.state.lock();
        state.connections -= 1;
        wake(state.reader.take());
    }

    pub(crate) fn put(&self, connection: u64, mut notices: Vec<Notice>) {
        let mut state = self.state.lock();
        state.notices += notices.len();
        match state.batches.last_mut().filter(|last| last.connection == connection) {
            Some(last) => last.notices.append(&mut notices),
            None => state.batches.push(Batch { connection, notices }),
        }
        wake(state.reader.take());
    }

    /// Waits for something; none when no connection is left.
    pub(crate) async fn take(&self) -> Option<Vec<Batch>> {
        poll_fn(|cx| {
            let mut state = self.state.lock();
            if state.batches.is_empty() {
                if state.connections == 0 {
                    state.is_over = true;
                    return Poll::Ready(None);
                }
                state.reader = Some(cx.waker().clone());
                return Poll::Pending;
            }
            if state.notices <= BATCH {
                state.notices = 0;
                return Poll::Ready(Some(std::mem::take(&mut state.batches)));
            }
            let mut count = 0;
            let enough = state.batches.iter().position(|batch| {
                count += batch.notices.len();
                count >= BATCH
            });
            let end = enough.map_or(state.batches.len(), |index| index + 1);
            let taken: Vec<Batch> = state.batches.drain(..end).collect();
            state.notices -= taken.iter().map(|batch| batch.notices.len()).sum::<usize>();
            Poll::Ready(Some(taken))
        })
        .await
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
