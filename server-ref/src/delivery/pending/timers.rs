use std::collections::BTreeSet;

use hubwire::Time;

use super::io::{EntryId, RecipientId};

/// What is to happen at some time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A delivery was not acknowledged.
    Acknowledgement(EntryId),
    /// A message is to be delivered again.
    Retry(EntryId),
    /// A message is not to be delivered any more.
    Expiry(EntryId),
    /// A recipient did not come back.
    Away(RecipientId),
    /// The breaker was open long enough.
    Breaker,
    /// What could not be written is tried again.
    Store,
    /// Something may be out of its window.
    Sweep,
}

/// All deadlines, in one place.
#[derive(Debug, Default)]
pub(super) struct Timers(BTreeSet<(Time, Timer)>);

impl Timers {
    pub(super) fn set(&mut self, at: Time, timer: Timer) {
        self.0.insert((at, timer));
    }

    pub(super) fn clear(&mut self, at: Time, timer: Timer) {
        self.0.remove(&(at, timer));
    }

    pub(super) fn next(&self) -> Option<Time> {
        self.0.first().map(|(at, _)| *at)
    }

    /// Takes the first whose time has come.
    pub(super) fn due(&mut self, now: Time) -> Option<Timer> {
        if self.next()? > now {
            return None;
        }
        self.0.pop_first().map(|(_, timer)| timer)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
