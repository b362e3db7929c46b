//! Batches: [`Batcher`] with its clock, its timer and its clients.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use hubwire::protocol::Encoding;
use hubwire::protocol::delivery::BATCH_SUFFIX;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::runtime::Handle;

use super::encoded::{Frames, call};
use super::envelope::{Envelope, Importance, Member};
use crate::clients::Recipients;
use crate::delivery::batcher::{Batch, Batcher, Batching, Destination, Method, Totals};
use crate::endpoint::{Clock, Endpoint};
use crate::error::SendError;
use crate::registry::Target;
use crate::timestamp::iso;

impl Destination for Target {
    fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Connections(one), Self::Connections(other)) => one.iter().any(|id| other.contains(id)),
            // Who is in a group or belongs to a user is not looked up for that.
            _ => true,
        }
    }
}

/// The batches of one hub.
#[derive(Debug)]
pub(super) struct Batches {
    clock: Clock,
    /// Held until everything that left is in the outboxes, so that nothing comes in between.
    inner: Mutex<Inner>,
    /// How many members wait, so that hubs without batches pay nothing.
    pending: AtomicUsize,
    runtime: Option<Handle>,
}

#[derive(Debug)]
struct Inner {
    batcher: Batcher<Target, Member>,
    /// Whether a task looks at the clock.
    timed: bool,
}

impl Batches {
    pub(super) fn new(limits: Batching, clock: Clock) -> Self {
        let runtime = Handle::try_current().ok();
        let mut batcher = Batcher::new(limits);
        if runtime.is_none() {
            // Nobody would look at the clock.
            batcher.pause(clock.now());
        }
        let inner = Mutex::new(Inner { batcher, timed: false });
        Self { clock, inner, pending: AtomicUsize::new(0), runtime }
    }

    /// Does something with the batches, and sends what leaves thereby.
    fn change(&self, endpoint: &Arc<Endpoint>, change: impl FnOnce(&mut Batcher<Target, Member>)) {
        let mut inner = self.inner.lock();
        change(&mut inner.batcher);
        while let Some(batch) = inner.batcher.poll() {
            hand_out(endpoint, batch);
        }
        self.pending.store(inner.batcher.pending(), Ordering::Release);
        if inner.batcher.pending() > 0 && !inner.timed {
            inner.timed = true;
            drop(inner);
            self.look_at_the_clock(endpoint);
        }
    }

    /// One task, while anything waits.
    fn look_at_the_clock(&self, endpoint: &Arc<Endpoint>) {
        let Some(runtime) = &self.runtime else { return };
        let (clock, endpoint) = (self.clock, Arc::downgrade(endpoint));
        runtime.spawn(async move {
            loop {
                let deadline = {
                    let Some(endpoint) = endpoint.upgrade() else { return };
                    let batches = &endpoint.fanout.batches;
                    batches.change(&endpoint, |batcher| batcher.tick(clock.now()));
                    let mut inner = batches.inner.lock();
                    let deadline = inner.batcher.deadline();
                    inner.timed = deadline.is_some();
                    deadline
                };
                let Some(deadline) = deadline else { return };
                tokio::time::sleep_until(clock.instant(deadline)).await;
            }
        });
    }

    fn statistics(&self) -> BatchingStatistics {
        let inner = self.inner.lock();
        let totals = inner.batcher.totals();
        let ago = totals.last.map(|last| self.clock.now().since(last));
        BatchingStatistics::new(totals, inner.batcher.pending(), !inner.batcher.is_paused(), ago)
    }
}

/// What batches of a hub saved, with the names of the wire.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct BatchingStatistics {
    /// Messages that left in batches since the start. One that left alone is none of them.
    pub total_messages_batched: u64,
    /// Batches since the start.
    pub total_batches_sent: u64,
    /// Messages in a batch.
    pub average_messages_per_batch: f64,
    /// Messages that wait now.
    pub current_pending_messages: usize,
    /// When the last batch left: ISO 8601 in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_batch_sent_at: Option<String>,
    /// How long the first member of a batch waited: `hh:mm:ss.fffffff`.
    pub average_batch_latency: String,
    /// Messages that did not have to be sent apart.
    pub network_calls_saved: u64,
    /// Whether messages wait for others.
    pub is_batching_enabled: bool,
    /// Messages that left in batches, by client method. Behind the first thousand methods all count as `*`.
    pub messages_by_method: std::collections::BTreeMap<String, u64>,
    /// How many of the messages did not have to be sent apart, in percent.
    pub batch_efficiency_percentage: f64,
}

impl BatchingStatistics {
    fn new(totals: &Totals, pending: usize, enabled: bool, last: Option<Duration>) -> Self {
        let (messages, batches) = (totals.messages as f64, totals.batches.max(1) as f64);
        let latency = totals.waited / u32::try_from(totals.batches.max(1)).unwrap_or(u32::MAX);
        let by_method = totals.by_method.iter().map(|(name, count)| (name.to_string(), *count));
        Self {
            total_messages_batched: totals.messages,
            total_batches_sent: totals.batches,
            average_messages_per_batch: messages / batches,
            current_pending_messages: pending,
            last_batch_sent_at: last.and_then(|ago| SystemTime::now().checked_sub(ago)).map(iso),
            average_batch_latency: time_span(latency),
            network_calls_saved: totals.saved(),
            is_batching_enabled: enabled,
            messages_by_method: by_method.collect(),
            batch_efficiency_percentage: totals.saved() as f64 * 100.0 / messages.max(1.0),
        }
    }
}

/// As .NET writes times.
fn time_span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}.{:07}", seconds % 60, duration.subsec_nanos() / 100)
}

/// Sends a batch: Hubwire clients get it as one, others its members.
fn hand_out(endpoint: &Arc<Endpoint>, batch: Batch<Target, Member>) {
    let Batch { destination, method, members, .. } = batch;
    let recipients = endpoint.registry.recipients(&destination);
    if recipients.is_empty() {
        return;
    }
    let envelope =
        (members.len() > 1).then(|| Envelope::new(&endpoint.path, &destination, &method, &members));
    let (mut together, mut apart) = (Frames::default(), vec![Frames::default(); members.len()]);
    let batch_name = format!("{}{BATCH_SUFFIX}", method.name);
    let mut sent = 0;
    for connection in recipients {
        let announced = connection.identity.is_announced();
        let frame = envelope.as_ref().filter(|_| announced).map(|envelope| {
            let make = |encoding: Encoding, _| {
                Ok(call(encoding, batch_name.as_str().into(), envelope.arguments(encoding)?, None))
            };
            together.get(&connection, make)
        });
        match frame {
            Some(Ok(frame)) => sent += u64::from(connection.outbox.push_best_effort(frame)),
            failed => {
                if let Some(Err(error)) = failed {
                    // Nothing is lost by that: its members go one by one.
                    tracing::error!(%error, "a batch could not be encoded");
                }
                for (member, frames) in members.iter().zip(&mut apart) {
                    let make = |encoding, _| {
                        Ok(call(encoding, method.name.clone(), member.arguments(encoding)?, None))
                    };
                    match frames.get(&connection, make) {
                        Ok(frame) => sent += u64::from(connection.outbox.push_best_effort(frame)),
                        Err(error) => tracing::error!(%error, "a message was not sent"),
                    }
                }
            }
        }
    }
    endpoint.stats.sent(sent);
}

impl super::Fanout {
    /// Whether anything waits to leave together.
    pub(crate) fn has_batches(&self) -> bool {
        self.batches.pending.load(Ordering::Acquire) > 0
    }

    /// Something is about to be sent at once: what may not be overtaken by it leaves first.
    pub(crate) fn barrier(&self, endpoint: &Arc<Endpoint>, target: &Target) {
        if self.has_batches() {
            let now = self.batches.clock.now();
            self.batches.change(endpoint, |batcher| batcher.barrier(now, target));
        }
    }
}

impl Recipients {
    /// Calls a method with one argument of each of the clients, but not at once: calls that come within a window
    /// leave together, as `[signalr.batching]` of the configuration says. Hubwire clients get `<Method>Batch` with
    /// all of them, others the calls themselves, at the same time.
    ///
    /// What is sent to any of them at once, with [`send`](Self::send) for example, does not overtake it. Results of
    /// methods and items of streams may. Recipients are those who are there when the batch leaves.
    ///
    /// # Errors
    /// When the argument cannot be written in both encodings, or a group has no name.
    pub fn send_batched<A: Serialize + ?Sized>(&self, target: &str, argument: &A) -> Result<(), SendError> {
        self.add(target, None, Member::of_argument(argument)?)
    }

    /// As [`send_batched`](Self::send_batched), and the batch says how much it matters.
    ///
    /// # Errors
    /// As [`send_batched`](Self::send_batched).
    pub fn send_batched_as<A: Serialize + ?Sized>(
        &self,
        target: &str,
        argument: &A,
        importance: Importance,
    ) -> Result<(), SendError> {
        let mut member = Member::of_argument(argument)?;
        member.importance = importance;
        self.add(target, None, member)
    }

    /// As [`send_batched`](Self::send_batched), for a method with any number of arguments: a tuple, a slice, or `()`.
    ///
    /// # Errors
    /// As [`send_batched`](Self::send_batched).
    pub fn send_batched_arguments<A: Serialize>(&self, target: &str, arguments: A) -> Result<(), SendError> {
        let (member, count) = Member::of_arguments(&arguments)?;
        self.add(target, Some(count), member)
    }

    fn add(&self, target: &str, arguments: Option<usize>, member: Member) -> Result<(), SendError> {
        let (endpoint, to) = self.check()?;
        let batches = &endpoint.fanout.batches;
        let method = Method { name: target.into(), arguments };
        let (now, bytes) = (batches.clock.now(), member.len());
        batches.change(endpoint, |batcher| batcher.add(now, to.clone(), method, member, bytes));
        Ok(())
    }
}

/// The batches of one hub, from outside.
#[derive(Clone, Debug)]
pub struct HubBatching {
    endpoint: Arc<Endpoint>,
}

impl HubBatching {
    pub(crate) const fn new(endpoint: Arc<Endpoint>) -> Self {
        Self { endpoint }
    }

    /// What batches saved so far.
    pub fn statistics(&self) -> BatchingStatistics {
        self.endpoint.fanout.batches.statistics()
    }

    /// Sends what waits, and from now on each message at once.
    pub fn pause(&self) {
        let batches = &self.endpoint.fanout.batches;
        batches.change(&self.endpoint, |batcher| batcher.pause(batches.clock.now()));
    }

    /// Lets messages wait for others again. Nothing happens on a server that was built outside of a runtime: nobody
    /// would look at the clock.
    pub fn resume(&self) {
        let batches = &self.endpoint.fanout.batches;
        if batches.runtime.is_some() {
            batches.change(&self.endpoint, Batcher::resume);
        }
    }

    /// Sends what waits.
    pub fn flush(&self) {
        let batches = &self.endpoint.fanout.batches;
        batches.change(&self.endpoint, |batcher| batcher.flush_all(batches.clock.now()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_dotnet_does() {
        assert_eq!(time_span(Duration::from_millis(100)), "00:00:00.1000000");
        assert_eq!(time_span(Duration::from_nanos(3_723_000_000_100)), "01:02:03.0000001");
    }
}
