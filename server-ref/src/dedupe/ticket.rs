//! What the connections hold of calls that run, or wait for one that runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use hubwire::protocol::{Outcome, Payload};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::{Deduper, Key, PAUSE};
use crate::hub::Dispatched;

/// What the caller gets if the store does not take the call.
pub(super) const NOT_STORED: &str = "The call did not run, because the server could not store it.";

/// What repetitions get if the method was dropped on its way, which only happens with the task of its connection.
const INTERRUPTED: &str = "The call was interrupted on the server, and may have had an effect or not.";

/// Of a call that runs. The call counts as running until this is used up.
#[derive(Debug)]
pub(crate) struct Ticket {
    pub(super) deduper: Arc<Deduper>,
    pub(super) key: Key,
    /// Set at the end of the call, which comes once.
    pub(super) ended: Arc<AtomicBool>,
    /// With a store: told when that has the call.
    pub(super) claimed: Option<oneshot::Receiver<Result<(), String>>>,
    pub(super) cancellation: CancellationToken,
}

impl Ticket {
    /// The call ended; its completion is remembered.
    pub(crate) fn finish(self, outcome: &Outcome<Payload>) {
        self.end(outcome);
    }

    fn end(&self, outcome: &Outcome<Payload>) {
        if !self.ended.swap(true, Ordering::AcqRel) {
            // Nobody waits for the store here.
            drop(self.deduper.finish(&self.key, outcome));
        }
    }

    /// The method, which with a store begins when that has the call, and ends when it has the completion.
    pub(crate) fn durable(
        &mut self,
        method: BoxFuture<'static, Dispatched>,
    ) -> BoxFuture<'static, Dispatched> {
        let Some(claimed) = self.claimed.take() else { return method };
        let (deduper, key, ended) = (self.deduper.clone(), self.key.clone(), self.ended.clone());
        let first = move || !ended.swap(true, Ordering::AcqRel);
        Box::pin(async move {
            if !matches!(claimed.await, Ok(Ok(()))) {
                let outcome = Outcome::Error(NOT_STORED.into());
                if first() {
                    deduper.refuse(&key, &outcome);
                }
                return Dispatched::Done(outcome);
            }
            let dispatched = method.await;
            if let Dispatched::Done(outcome) = &dispatched
                && first()
                && let Some(completed) = deduper.finish(&key, outcome)
            {
                // If the runtime ends before, so does the connection.
                let _ = completed.await;
            }
            dispatched
        })
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
        let running = inner.table.running(&self.key);
        if running.is_some_and(|running| !running.is_awaited()) {
            // Not under the lock: it wakes others.
            drop(inner);
            self.cancellation.cancel();
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.end(&Outcome::Error(INTERRUPTED.into()));
    }
}

/// Of a repetition whose first call still runs.
#[derive(Debug)]
pub(crate) struct Waiter {
    pub(super) outcome: oneshot::Receiver<Outcome<Payload>>,
    pub(super) cancellation: CancellationToken,
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
