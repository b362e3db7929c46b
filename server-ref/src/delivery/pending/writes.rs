//! What the store is asked to write: one batch at a time, and what comes meanwhile is the next one.

use std::collections::BTreeMap;

use super::io::{BatchId, EntryId, StoreOp};

#[derive(Debug)]
pub(super) struct Writes<P> {
    /// One change for each record: a later one takes the place of an earlier one.
    next: BTreeMap<EntryId, StoreOp<P>>,
    /// What the store writes now.
    writing: Option<(BatchId, Vec<StoreOp<P>>)>,
    last: u64,
    /// Whether there is only what failed before, which waits for its time.
    paused: bool,
}

impl<P> Default for Writes<P> {
    fn default() -> Self {
        Self { next: BTreeMap::new(), writing: None, last: 0, paused: false }
    }
}

impl<P: Clone> Writes<P> {
    pub(super) fn add(&mut self, op: StoreOp<P>) {
        self.next.insert(op.entry(), op);
        self.paused = false;
    }

    /// A new message ended that the store has not got, unless it is in the air: otherwise it never will.
    pub(super) fn withdraw(&mut self, entry: EntryId) {
        if self.next.remove(&entry).is_none() {
            self.add(StoreOp::Delete(entry));
        }
    }

    /// The next batch, if none is being written.
    pub(super) fn take(&mut self, limit: usize) -> Option<(BatchId, Vec<StoreOp<P>>)> {
        if self.writing.is_some() || self.paused || self.next.is_empty() {
            return None;
        }
        let mut ops = Vec::with_capacity(self.next.len().min(limit));
        while ops.len() < limit.max(1)
            && let Some((_, op)) = self.next.pop_first()
        {
            ops.push(op);
        }
        self.last += 1;
        let batch = (BatchId(self.last), ops);
        self.writing = Some(batch.clone());
        Some(batch)
    }

    /// What the batch was, if it is the one that is being written.
    pub(super) fn written(&mut self, batch: BatchId) -> Option<Vec<StoreOp<P>>> {
        self.writing.take_if(|(writing, _)| *writing == batch).map(|(_, ops)| ops)
    }

    /// Something could not be written and has to be: with whatever comes next, or when it is its time.
    pub(super) fn again(&mut self, op: StoreOp<P>) {
        self.paused |= self.next.is_empty();
        // What came meanwhile is what counts.
        self.next.entry(op.entry()).or_insert(op);
    }

    pub(super) const fn resume(&mut self) {
        self.paused = false;
    }

    pub(super) const fn is_paused(&self) -> bool {
        self.paused
    }

    pub(super) fn is_idle(&self) -> bool {
        self.writing.is_none() && self.next.is_empty()
    }
}
