//! Calls that run once, however often they come: the rules are in [`table`], here is what the connections share.
//!
//! The specification is `docs/delivery.md`.

mod key;
mod table;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hubwire::protocol::{Outcome, Payload};
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

use crate::endpoint::Clock;
use crate::negotiate::random_id;
pub(crate) use key::HEADER;
pub use key::{InvalidId, Key};
pub use table::{Begin, Table};

/// How long and how much a hub remembers of calls that must not run twice.
///
/// A client that announced itself (`hubwire=1` in its query) names a call with the header `hubwire-id`; when it repeats
/// the call, after a lost connection for example, the method does not run again: the client gets the completion of the
/// first time. `docs/delivery.md` is the specification.
///
/// Calls of different users are never taken for each other. Clients without a user are told apart only by the id that
/// they choose for themselves: it has to be random, and is a secret, which the server never logs.
///
/// What is remembered is lost when the server restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dedupe {
    /// How long a completion is remembered. Also how long a method goes on whose client is gone before its cancellation
    /// token fires.
    pub window: Duration,
    /// How many calls of a hub run or are remembered at once; at least one. The call that ended first makes room for a
    /// new one. If all run, the new one is refused.
    pub max_entries: usize,
    /// How many bytes of results a hub remembers. The results of the calls that ended first make room. Of a result that is
    /// larger on its own, only that there was one is remembered.
    pub max_bytes: usize,
}

impl Default for Dedupe {
    fn default() -> Self {
        Self { window: Duration::from_secs(600), max_entries: 100_000, max_bytes: 64 * 1024 * 1024 }
    }
}

/// What a hub remembers of calls that must not run twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct DedupeStatistics {
    /// Calls that run or whose completion is remembered.
    pub entries: usize,
    /// Those of them that run.
    pub running: usize,
    /// Bytes of results that are remembered.
    pub bytes: usize,
    /// Repetitions that got the completion of the first call, or wait for it, since the start.
    pub duplicates: u64,
    /// Completions forgotten before their time, because there was no room, since the start.
    pub evicted: u64,
}

/// The calls of one hub that must not run twice.
#[derive(Debug)]
pub(crate) struct Deduper {
    limits: Dedupe,
    /// A new one with each table, so that clients know when their calls are forgotten.
    epoch: Option<String>,
    clock: Clock,
    inner: Mutex<Inner>,
    duplicates: AtomicU64,
    /// Told whenever the last running call ends.
    idle: Notify,
}

#[derive(Debug)]
struct Inner {
    table: Table<Payload, InProgress>,
    /// Whether a task looks after what nobody asks for any more.
    swept: bool,
}

#[derive(Debug)]
struct InProgress {
    /// Whoever cancels the call, or a repetition of it, fires this.
    cancellation: CancellationToken,
    waiting: Vec<oneshot::Sender<Outcome<Payload>>>,
}

impl InProgress {
    fn is_awaited(&self) -> bool {
        self.waiting.iter().any(|waiting| !waiting.is_closed())
    }
}

/// What becomes of a call.
#[derive(Debug)]
pub(crate) enum Claim {
    /// It runs now.
    Run(Ticket),
    /// It runs already.
    Wait(Waiter),
    /// It ran.
    Done(Outcome<Payload>),
    /// There is no room for it.
    Full,
}

/// How often the memory of a hub is looked at where nobody calls, in parts of the window.
const SWEEPS: u32 = 4;

/// Nothing is looked at more often, however short the window is.
const PAUSE: Duration = Duration::from_secs(1);

impl Deduper {
    pub(crate) fn new(limits: Dedupe, clock: Clock) -> Arc<Self> {
        let inner = Mutex::new(Inner { table: Table::new(limits), swept: false });
        // Without randomness nobody can connect anyway.
        let epoch = random_id().ok();
        Arc::new(Self { limits, epoch, clock, inner, duplicates: AtomicU64::new(0), idle: Notify::new() })
    }

    pub(crate) const fn limits(&self) -> &Dedupe {
        &self.limits
    }

    /// Names what is remembered.
    pub(crate) fn epoch(&self) -> Option<&str> {
        self.epoch.as_deref()
    }

    /// It is the turn of a call.
    pub(crate) fn claim(self: &Arc<Self>, key: Key) -> Claim {
        let claim = self.begin(key);
        if matches!(claim, Claim::Wait(_) | Claim::Done(_)) {
            self.duplicates.fetch_add(1, Ordering::Relaxed);
        }
        claim
    }

    fn begin(self: &Arc<Self>, key: Key) -> Claim {
        let mut inner = self.inner.lock();
        let mut token = None;
        let running = || {
            let cancellation = token.insert(CancellationToken::new()).clone();
            InProgress { cancellation, waiting: Vec::new() }
        };
        let claim = match inner.table.begin(self.clock.now(), &key, running) {
            Begin::Started => {
                let cancellation = token.unwrap_or_default();
                Claim::Run(Ticket { deduper: self.clone(), key: Some(key), cancellation })
            }
            Begin::Running(running) => {
                // A client that comes again and again leaves little behind.
                if running.waiting.len() == running.waiting.capacity() {
                    running.waiting.retain(|waiting| !waiting.is_closed());
                }
                let (sender, outcome) = oneshot::channel();
                running.waiting.push(sender);
                Claim::Wait(Waiter { outcome, cancellation: running.cancellation.clone() })
            }
            Begin::Done(outcome) => Claim::Done(outcome),
            Begin::Full => Claim::Full,
        };
        let begin_sweep = matches!(claim, Claim::Run(_)) && !inner.swept;
        inner.swept |= begin_sweep;
        drop(inner);
        if begin_sweep {
            self.sweep();
        }
        claim
    }

    /// The caller took the call back before it was its turn.
    pub(crate) fn withdraw(self: &Arc<Self>, key: Key, outcome: Outcome<Payload>) {
        match self.begin(key) {
            Claim::Run(ticket) => ticket.finish(&outcome),
            // It is the same call, wherever it runs.
            Claim::Wait(waiter) => waiter.cancellation.cancel(),
            Claim::Done(_) | Claim::Full => {}
        }
    }

    fn finish(&self, key: &Key, outcome: &Outcome<Payload>) {
        let mut inner = self.inner.lock();
        let ended = inner.table.finish(self.clock.now(), key, outcome.clone());
        let idle = inner.table.len_running() == 0;
        drop(inner);
        for waiting in ended.into_iter().flat_map(|running| running.waiting) {
            // Its connection may be gone.
            let _ = waiting.send(outcome.clone());
        }
        if idle {
            self.idle.notify_waiters();
        }
    }

    /// Forgets in time what nobody asks for. One task, while there is anything, and it sleeps most of the time.
    fn sweep(self: &Arc<Self>) {
        let pause = (self.limits.window / SWEEPS).max(PAUSE);
        let deduper = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(pause).await;
                let Some(deduper) = deduper.upgrade() else { return };
                let mut inner = deduper.inner.lock();
                inner.table.purge(deduper.clock.now());
                if inner.table.is_empty() {
                    inner.swept = false;
                    return;
                }
            }
        });
    }

    /// Waits until no call runs.
    pub(crate) async fn idle(&self) {
        loop {
            let told = self.idle.notified();
            tokio::pin!(told);
            // Before the check, so that an end in between is not missed.
            told.as_mut().enable();
            if self.inner.lock().table.len_running() == 0 {
                return;
            }
            told.await;
        }
    }

    pub(crate) fn statistics(&self) -> DedupeStatistics {
        let mut inner = self.inner.lock();
        inner.table.purge(self.clock.now());
        DedupeStatistics {
            entries: inner.table.len(),
            running: inner.table.len_running(),
            bytes: inner.table.bytes(),
            duplicates: self.duplicates.load(Ordering::Relaxed),
            evicted: inner.table.evicted(),
        }
    }
}

/// What repetitions get if the method was dropped on its way, which only happens with the task of its connection.
const INTERRUPTED: &str = "The call was interrupted on the server, and may have had an effect or not.";

/// Of a call that runs. The call counts as running until this is used up.
#[derive(Debug)]
pub(crate) struct Ticket {
    deduper: Arc<Deduper>,
    /// Until the end of the call.
    key: Option<Key>,
    cancellation: CancellationToken,
}

impl Ticket {
    /// The call ended; its completion is remembered.
    pub(crate) fn finish(mut self, outcome: &Outcome<Payload>) {
        if let Some(key) = self.key.take() {
            self.deduper.finish(&key, outcome);
        }
    }

    /// Fires when the caller takes the call back, or did not ask for it for too long; not when its connection ends.
    pub(crate) const fn cancellation(&self) -> &CancellationToken {
        &self.cancellation
    }

    /// How long the method may go on without a connection.
    pub(crate) fn patience(&self) -> Duration {
        self.deduper.limits.window.max(PAUSE)
    }

    /// Nobody came back for a long time: asks the method to end, unless somebody waits for it.
    pub(crate) fn abandon(&self) {
        let inner = self.deduper.inner.lock();
        let running = self.key.as_ref().and_then(|key| inner.table.running(key));
        if running.is_some_and(|running| !running.is_awaited()) {
            // Not under the lock: it wakes others.
            drop(inner);
            self.cancellation.cancel();
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.deduper.finish(&key, &Outcome::Error(INTERRUPTED.into()));
        }
    }
}

/// Of a repetition whose first call still runs.
#[derive(Debug)]
pub(crate) struct Waiter {
    outcome: oneshot::Receiver<Outcome<Payload>>,
    cancellation: CancellationToken,
}

impl Waiter {
    /// How the first call ended.
    pub(crate) async fn outcome(self) -> Outcome<Payload> {
        // Every ticket ends with a completion.
        self.outcome.await.unwrap_or_else(|_| Outcome::Error(INTERRUPTED.into()))
    }

    /// Cancels the first call.
    pub(crate) const fn cancellation(&self) -> &CancellationToken {
        &self.cancellation
    }
}
