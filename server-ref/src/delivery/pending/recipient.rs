use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytestring::ByteString;
use hubwire::Time;

use super::io::{EntryId, LinkKey, Message, RecipientId};

/// Where in its way a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The store has not got it yet.
    Storing,
    /// For a connection, for room in the window, or for the breaker.
    Waiting,
    /// Delivered. The place says in which order that was, the time when its acknowledgement is overdue: there is none
    /// while the recipient is away.
    InFlight { place: u64, overdue: Option<Time> },
    /// It failed, and is tried again at that time.
    Retrying(Time),
}

/// A message on its way to a recipient.
#[derive(Debug)]
pub(super) struct Entry<P> {
    pub(super) recipient: RecipientId,
    pub(super) message: Message<P>,
    pub(super) stage: Stage,
    /// In which order messages were sent.
    pub(super) order: u64,
    /// How often it failed.
    pub(super) failures: u32,
    pub(super) last_error: String,
    /// Whether the recipient may have seen it.
    pub(super) delivered: bool,
    /// What it was before it was requeued, until that is written: attempts, last error, reason.
    pub(super) revived: Option<(u32, String, String)>,
}

/// What waits: higher priorities first, then in the order of sending.
pub(super) type Turn = (Reverse<i32>, u64, EntryId);

impl<P> Entry<P> {
    pub(super) const fn turn(&self, id: EntryId) -> Turn {
        (Reverse(self.message.priority), self.order, id)
    }
}

/// Everything for one recipient.
#[derive(Debug, Default)]
pub(super) struct Recipient {
    /// Its connections, the newest last: that one counts.
    pub(super) links: Vec<LinkKey>,
    pub(super) by_message: HashMap<ByteString, EntryId>,
    /// In the order of delivery.
    pub(super) in_flight: BTreeMap<u64, EntryId>,
    pub(super) in_flight_bytes: usize,
    pub(super) waiting: BTreeSet<Turn>,
    /// Those whose acknowledgement did not come in time, and who have not failed otherwise since.
    pub(super) overdue: BTreeSet<EntryId>,
    pub(super) bytes: usize,
    /// Until when it is waited for, without a connection.
    pub(super) away_until: Option<Time>,
}

impl Recipient {
    pub(super) fn link(&self) -> Option<LinkKey> {
        self.links.last().copied()
    }

    /// Whether nothing is known of it.
    pub(super) fn is_blank(&self) -> bool {
        self.links.is_empty() && self.by_message.is_empty()
    }
}

/// Recipients that the breaker holds back, each once, first come first served.
#[derive(Debug, Default)]
pub(super) struct Held {
    queue: BTreeMap<u64, RecipientId>,
    places: HashMap<RecipientId, u64>,
    next: u64,
}

impl Held {
    pub(super) fn push(&mut self, recipient: &RecipientId) {
        if !self.places.contains_key(recipient) {
            self.places.insert(recipient.clone(), self.next);
            self.queue.insert(self.next, recipient.clone());
            self.next += 1;
        }
    }

    pub(super) fn pop(&mut self) -> Option<RecipientId> {
        let (_, recipient) = self.queue.pop_first()?;
        self.places.remove(&recipient);
        Some(recipient)
    }

    pub(super) fn remove(&mut self, recipient: &RecipientId) {
        if let Some(place) = self.places.remove(recipient) {
            self.queue.remove(&place);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }
}
