//! What is known of messages after their end.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use bytestring::ByteString;
use hubwire::Time;

use super::io::{DeadLetter, EntryId, RecipientId, Status};

/// The statuses of messages that ended lately.
#[derive(Debug, Default)]
pub(super) struct Ended {
    statuses: HashMap<(RecipientId, ByteString), (Status, Time)>,
    queue: VecDeque<(Time, (RecipientId, ByteString))>,
}

impl Ended {
    pub(super) fn remember(
        &mut self,
        until: Time,
        limit: usize,
        recipient: RecipientId,
        message: ByteString,
        status: Status,
    ) {
        let key = (recipient, message);
        self.statuses.insert(key.clone(), (status, until));
        self.queue.push_back((until, key));
        while self.queue.len() > limit {
            self.forget_first();
        }
    }

    pub(super) fn get(&self, now: Time, recipient: &RecipientId, message: &ByteString) -> Option<Status> {
        let (status, until) = self.statuses.get(&(recipient.clone(), message.clone()))?;
        (*until > now).then_some(*status)
    }

    pub(super) fn purge(&mut self, now: Time) {
        while self.queue.front().is_some_and(|(until, _)| *until <= now) {
            self.forget_first();
        }
        if self.queue.is_empty() && self.queue.capacity() > 64 {
            *self = Self::default();
        }
    }

    fn forget_first(&mut self) {
        let Some((until, key)) = self.queue.pop_front() else { return };
        // The same message may have ended once more since.
        if self.statuses.get(&key).is_some_and(|(_, own)| *own == until) {
            self.statuses.remove(&key);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

/// The dead letters, the oldest first.
#[derive(Debug)]
pub(super) struct DeadLetters<P> {
    letters: BTreeMap<u64, DeadLetter<P>>,
    by_message: BTreeSet<(ByteString, u64)>,
    next: u64,
    bytes: usize,
    dropped: u64,
}

impl<P> Default for DeadLetters<P> {
    fn default() -> Self {
        Self { letters: BTreeMap::new(), by_message: BTreeSet::new(), next: 0, bytes: 0, dropped: 0 }
    }
}

impl<P> DeadLetters<P> {
    /// Adds one. Returns those that had to make room, which may be itself.
    pub(super) fn add(&mut self, letter: DeadLetter<P>, count: usize, bytes: usize) -> Vec<EntryId> {
        let place = self.next;
        self.next += 1;
        self.bytes += letter.message.bytes;
        self.by_message.insert((letter.message.id.clone(), place));
        self.letters.insert(place, letter);
        let mut dropped = Vec::new();
        while self.letters.len() > count || self.bytes > bytes {
            let Some((&oldest, _)) = self.letters.first_key_value() else { break };
            dropped.extend(self.remove(oldest).map(|letter| letter.entry));
            self.dropped += 1;
        }
        dropped
    }

    /// Where those with that message id are.
    pub(super) fn places(&self, message: &ByteString) -> Vec<u64> {
        let all = (message.clone(), 0)..=(message.clone(), u64::MAX);
        self.by_message.range(all).map(|(_, place)| *place).collect()
    }

    pub(super) fn get(&self, place: u64) -> Option<&DeadLetter<P>> {
        self.letters.get(&place)
    }

    pub(super) fn remove(&mut self, place: u64) -> Option<DeadLetter<P>> {
        let letter = self.letters.remove(&place)?;
        self.by_message.remove(&(letter.message.id.clone(), place));
        self.bytes -= letter.message.bytes;
        Some(letter)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &DeadLetter<P>> {
        self.letters.values()
    }

    pub(super) fn len(&self) -> usize {
        self.letters.len()
    }

    pub(super) const fn dropped(&self) -> u64 {
        self.dropped
    }
}
