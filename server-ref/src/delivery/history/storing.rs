//! What waits for the store. One batch is on its way at a time; what comes meanwhile is the next.

use std::collections::HashMap;

use bytestring::ByteString;
use hubwire::Time;
use hubwire::protocol::delivery::Position;

use super::{BatchId, Entry, Op};

/// A message with the time at which it came and how much it takes of the limits.
pub(super) type Dated<P> = (Time, Entry<P>, usize);

/// A batch that the store has not answered.
#[derive(Debug)]
struct OnItsWay<P> {
    batch: BatchId,
    /// All but the messages, to be done again if the store fails.
    ops: Vec<Op<P>>,
    messages: Vec<Dated<P>>,
}

#[derive(Debug)]
pub(super) struct Storing<P> {
    next: u64,
    on_its_way: Option<OnItsWay<P>>,
    /// After a failure, when it is tried again.
    retry_at: Option<Time>,
    ops: Vec<Op<P>>,
    waiting: Vec<Dated<P>>,
    waiting_bytes: usize,
    /// How many messages of each stream the store does not have yet.
    of_stream: HashMap<ByteString, usize>,
    /// Cuts, which need not be done in time: only the last of each stream counts.
    trims: HashMap<ByteString, Position>,
}

impl<P> Default for Storing<P> {
    fn default() -> Self {
        Self {
            next: 0,
            on_its_way: None,
            retry_at: None,
            ops: Vec::new(),
            waiting: Vec::new(),
            waiting_bytes: 0,
            of_stream: HashMap::new(),
            trims: HashMap::new(),
        }
    }
}

impl<P: Clone> Storing<P> {
    pub(super) const fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    pub(super) fn is_idle(&self) -> bool {
        self.on_its_way.is_none() && self.ops.is_empty()
    }

    pub(super) fn has_waiting(&self, stream: &ByteString) -> bool {
        self.of_stream.contains_key(stream)
    }

    pub(super) fn open(&mut self, stream: ByteString, epoch: ByteString) {
        self.ops.push(Op::Open { stream, epoch });
    }

    pub(super) fn append(&mut self, at: Time, entry: Entry<P>, bytes: usize) {
        self.waiting_bytes += bytes;
        *self.of_stream.entry(entry.position.stream.clone()).or_default() += 1;
        self.ops.push(Op::Append { at, entry: entry.clone(), bytes });
        self.waiting.push((at, entry, bytes));
    }

    pub(super) fn trim(&mut self, position: Position) {
        self.trims.insert(position.stream.clone(), position);
    }

    pub(super) fn forget(&mut self, stream: ByteString, epoch: ByteString) {
        self.trims.remove(&stream);
        let opened = |op: &Op<P>| matches!(op, Op::Open { epoch: own, .. } if *own == epoch);
        let before = self.ops.len();
        // A stream that the store has not seen need not be forgotten: many that come and go leave nothing behind.
        if !self.has_waiting(&stream) {
            self.ops.retain(|op| !opened(op));
        }
        if self.ops.len() == before {
            self.ops.push(Op::Forget { stream, epoch });
        }
    }

    /// What the store has to do next, if it has nothing to do.
    pub(super) fn next_batch(&mut self, now: Time) -> Option<(BatchId, Vec<Op<P>>)> {
        if self.retry_at.is_some_and(|at| now < at) {
            return None;
        }
        self.retry_at = None;
        if self.on_its_way.is_some() || (self.ops.is_empty() && self.trims.is_empty()) {
            return None;
        }
        self.next += 1;
        let batch = BatchId(self.next);
        let mut ops = std::mem::take(&mut self.ops);
        ops.extend(self.trims.drain().map(|(_, position)| Op::Trim(position)));
        let others = ops.iter().filter(|op| !matches!(op, Op::Append { .. })).cloned().collect();
        self.on_its_way = Some(OnItsWay { batch, ops: others, messages: std::mem::take(&mut self.waiting) });
        Some((batch, ops))
    }

    /// When the store is asked again.
    pub(super) const fn retry_at(&self) -> Option<Time> {
        self.retry_at
    }

    /// The store has a batch. Returns the messages in it.
    pub(super) fn written(&mut self, batch: BatchId) -> Vec<Dated<P>> {
        let Some(ended) = self.on_its_way.take_if(|own| own.batch == batch) else { return Vec::new() };
        self.release(&ended.messages);
        ended.messages
    }

    /// The store could not take a batch. Returns the messages in it and those that wait behind it, in order: they have to
    /// be appended again. Everything else is done again.
    pub(super) fn failed(&mut self, batch: BatchId, retry_at: Time) -> Vec<Dated<P>> {
        let Some(ended) = self.on_its_way.take_if(|own| own.batch == batch) else { return Vec::new() };
        self.retry_at = Some(retry_at);
        let behind = std::mem::replace(&mut self.ops, ended.ops);
        self.ops.extend(behind.into_iter().filter(|op| !matches!(op, Op::Append { .. })));
        let mut messages = ended.messages;
        messages.append(&mut self.waiting);
        self.release(&messages);
        messages
    }

    fn release(&mut self, messages: &[Dated<P>]) {
        for (_, entry, bytes) in messages {
            self.waiting_bytes -= bytes;
            if let Some(count) = self.of_stream.get_mut(&entry.position.stream) {
                *count -= 1;
                if *count == 0 {
                    self.of_stream.remove(&entry.position.stream);
                }
            }
        }
    }
}
