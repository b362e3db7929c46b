//! Many small messages as few larger ones.
//!
//! Messages of one method for one destination that come within a window leave together. [`Batcher`] decides what
//! leaves when: at the latest one window after the first member, earlier when a batch is full, or when something else
//! must not overtake it. After every call the driver sends what [`Batcher::poll`] hands out, in that order, and calls
//! [`Batcher::tick`] at the time that [`Batcher::deadline`] says:
//!
//! ```
//! use hubwire::Time;
//! use hubwire_server::delivery::batcher::{Batcher, Batching, Destination, Method};
//!
//! #[derive(Clone, Debug, PartialEq, Eq, Hash)]
//! struct Everybody;
//!
//! impl Destination for Everybody {
//!     fn overlaps(&self, _: &Self) -> bool {
//!         true
//!     }
//! }
//!
//! // Members are opaque; here they are numbers.
//! let mut batcher = Batcher::<Everybody, u32>::new(Batching::default());
//! let method = Method { name: "Progress".into(), arguments: None };
//! batcher.add(Time::ZERO, Everybody, method.clone(), 1, 10);
//! batcher.add(Time::from_millis(60), Everybody, method, 2, 10);
//! assert!(batcher.poll().is_none());
//! assert_eq!(batcher.deadline(), Some(Time::from_millis(100)));
//! batcher.tick(Time::from_millis(100));
//! assert_eq!(batcher.poll().map(|batch| batch.members), Some(vec![1, 2]));
//! ```

mod statistics;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::Hash;
use std::time::Duration;

use bytestring::ByteString;
use hubwire::Time;

pub use statistics::Totals;

/// When batches leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batching {
    /// How long the first member of a batch waits at most.
    pub window: Duration,
    /// Members of a batch.
    pub max_batch_size: usize,
    /// Bytes of all members of a batch, in the encoding in which they travel.
    pub max_batch_size_bytes: usize,
    /// Whether messages of several methods for one destination wait side by side. Otherwise all messages for a
    /// destination keep their order, and batches are smaller.
    pub group_by_method: bool,
    /// Members of all batches that wait. With more, the batch that waits longest leaves.
    pub max_pending: usize,
    /// Bytes of all batches that wait. With more, the batch that waits longest leaves.
    pub max_pending_bytes: usize,
}

impl Default for Batching {
    fn default() -> Self {
        Self {
            window: Duration::from_millis(100),
            max_batch_size: 50,
            max_batch_size_bytes: 256 * 1024,
            group_by_method: true,
            max_pending: 10_000,
            max_pending_bytes: 16 * 1024 * 1024,
        }
    }
}

/// To whom messages go.
pub trait Destination: Clone + Eq + Hash {
    /// Whether somebody may be meant by both.
    fn overlaps(&self, other: &Self) -> bool;
}

/// What the members of a batch have in common, besides the destination.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Method {
    /// The client method.
    pub name: ByteString,
    /// `None` if each member is the only argument of its call, otherwise how many arguments the list has that it is.
    pub arguments: Option<usize>,
}

/// What leaves together; alone if it is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch<D, M> {
    /// To whom.
    pub destination: D,
    /// What is called.
    pub method: Method,
    /// In the order in which they came; at least one.
    pub members: Vec<M>,
    /// Bytes of all members.
    pub bytes: usize,
}

/// The batches of one hub. See the [module documentation](self).
#[derive(Debug)]
pub struct Batcher<D, M> {
    limits: Batching,
    /// By the order in which they began, which is that in which they leave.
    open: BTreeMap<u64, Open<D, M>>,
    keys: HashMap<(D, Method), u64>,
    begun: u64,
    pending: usize,
    pending_bytes: usize,
    ready: VecDeque<Batch<D, M>>,
    paused: bool,
    totals: Totals,
}

#[derive(Debug)]
struct Open<D, M> {
    since: Time,
    batch: Batch<D, M>,
}

impl<D: Destination, M> Batcher<D, M> {
    /// Nothing waits.
    pub fn new(limits: Batching) -> Self {
        Self {
            limits,
            open: BTreeMap::new(),
            keys: HashMap::new(),
            begun: 0,
            pending: 0,
            pending_bytes: 0,
            ready: VecDeque::new(),
            paused: false,
            totals: Totals::default(),
        }
    }

    /// A message that may wait. `bytes` is how long it is on the wire.
    pub fn add(&mut self, now: Time, destination: D, method: Method, member: M, bytes: usize) {
        self.tick(now);
        if !self.limits.group_by_method {
            let other = |batch: &Batch<D, M>| {
                batch.destination.overlaps(&destination)
                    && (batch.destination != destination || batch.method != method)
            };
            self.flush_where(now, other);
        }
        let key = (destination, method);
        let found = self.keys.get(&key).copied();
        // What is full leaves before another batch takes its place.
        if let Some(begun) = found
            && let Some(open) = self.open.get(&begun)
            && open.batch.bytes + bytes > self.limits.max_batch_size_bytes
        {
            self.flush_one(now, begun);
        }
        let (destination, method) = key.clone();
        let begun = *self.keys.entry(key).or_insert_with(|| {
            self.begun += 1;
            self.begun
        });
        let open = self.open.entry(begun).or_insert_with(|| Open {
            since: now,
            batch: Batch { destination, method, members: Vec::new(), bytes: 0 },
        });
        open.batch.members.push(member);
        open.batch.bytes += bytes;
        self.pending += 1;
        self.pending_bytes += bytes;
        let full = open.batch.members.len() >= self.limits.max_batch_size
            || open.batch.bytes >= self.limits.max_batch_size_bytes;
        if full || self.paused {
            self.flush_one(now, begun);
        }
        while (self.pending > self.limits.max_pending || self.pending_bytes > self.limits.max_pending_bytes)
            && let Some(oldest) = self.open.keys().next().copied()
        {
            self.flush_one(now, oldest);
        }
    }

    /// Something is about to be sent at once: what may not be overtaken by it leaves first.
    pub fn barrier(&mut self, now: Time, destination: &D) {
        self.flush_where(now, |batch| batch.destination.overlaps(destination));
    }

    /// Everything leaves.
    pub fn flush_all(&mut self, now: Time) {
        self.flush_where(now, |_| true);
    }

    /// Everything leaves, and from now on each message at once.
    pub fn pause(&mut self, now: Time) {
        self.flush_all(now);
        self.paused = true;
    }

    /// Messages may wait again.
    pub const fn resume(&mut self) {
        self.paused = false;
    }

    /// Whether messages leave at once.
    pub const fn is_paused(&self) -> bool {
        self.paused
    }

    /// What has waited for a window leaves.
    pub fn tick(&mut self, now: Time) {
        while let Some((begun, open)) = self.open.first_key_value()
            && open.since + self.limits.window <= now
        {
            let begun = *begun;
            self.flush_one(now, begun);
        }
    }

    /// What leaves next.
    pub fn poll(&mut self) -> Option<Batch<D, M>> {
        self.ready.pop_front()
    }

    /// When the next batch has to leave.
    pub fn deadline(&self) -> Option<Time> {
        self.open.first_key_value().map(|(_, open)| open.since + self.limits.window)
    }

    /// How many members wait.
    pub const fn pending(&self) -> usize {
        self.pending
    }

    /// What left so far.
    pub const fn totals(&self) -> &Totals {
        &self.totals
    }

    fn flush_where(&mut self, now: Time, leaves: impl Fn(&Batch<D, M>) -> bool) {
        let begun: Vec<_> =
            self.open.iter().filter(|(_, open)| leaves(&open.batch)).map(|(begun, _)| *begun).collect();
        for begun in begun {
            self.flush_one(now, begun);
        }
    }

    fn flush_one(&mut self, now: Time, begun: u64) {
        let Some(Open { since, batch }) = self.open.remove(&begun) else { return };
        self.keys.remove(&(batch.destination.clone(), batch.method.clone()));
        self.pending -= batch.members.len();
        self.pending_bytes -= batch.bytes;
        self.totals.count(now, since, &batch.method.name, batch.members.len());
        self.ready.push_back(batch);
    }
}
