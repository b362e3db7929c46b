//! Stateful reconnect: the bookkeeping of sequence ids, the same on both ends (hub protocol version 2).
//!
//! Messages of types 1 to 5 are counted on each end, from 1, and the counts go on over every transport of a connection.
//! The sender keeps what was not acknowledged ([`ReplayBuffer`]); the receiver counts what comes ([`SequenceTracker`]).
//! After a new transport both ends send `Sequence` first, which tells the id of the first message that follows, and then
//! replay the buffer.

use alloc::collections::VecDeque;

use super::ProtocolError;

/// The sending half: what was sent and not acknowledged.
///
/// `T` is a message as the sender keeps it, encoded or not.
#[derive(Debug)]
pub struct ReplayBuffer<T> {
    /// How many messages were ever sent; the id of the last one.
    total: u64,
    /// The last of them, in order, with their sizes.
    buffered: VecDeque<(T, usize)>,
    bytes: usize,
    limit: usize,
}

impl<T> ReplayBuffer<T> {
    /// `limit` is how many bytes may be buffered before [`is_full`](Self::is_full) says so.
    pub const fn new(limit: usize) -> Self {
        Self { total: 0, buffered: VecDeque::new(), bytes: 0, limit }
    }

    /// Keeps a message of that size until it is acknowledged.
    pub fn push(&mut self, message: T, bytes: usize) {
        self.total += 1;
        self.bytes += bytes;
        self.buffered.push_back((message, bytes));
    }

    /// The peer has everything up to that id.
    ///
    /// # Errors
    /// When so many were never sent: the peer counts otherwise, and nothing can be repaired.
    pub fn acknowledge(&mut self, sequence_id: u64) -> Result<(), ProtocolError> {
        if sequence_id > self.total {
            return Err(ProtocolError::Sequence("the peer acknowledged messages that were never sent"));
        }
        while self.first_id() <= sequence_id
            && let Some((_, bytes)) = self.buffered.pop_front()
        {
            self.bytes -= bytes;
        }
        Ok(())
    }

    /// The id for the `Sequence` message that begins a new transport: that of the oldest buffered message, or of the
    /// next one to be sent.
    pub fn first_id(&self) -> u64 {
        self.total + 1 - self.buffered.len() as u64
    }

    /// What has to be sent again on a new transport, in order.
    pub fn replay(&self) -> impl Iterator<Item = &T> {
        self.buffered.iter().map(|(message, _)| message)
    }

    /// Whether so much waits for an acknowledgement that new messages should wait.
    pub const fn is_full(&self) -> bool {
        self.bytes >= self.limit
    }

    /// How many bytes are buffered.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many messages were ever sent.
    pub const fn total(&self) -> u64 {
        self.total
    }
}

/// The receiving half: which message comes next, and what has to be acknowledged.
#[derive(Debug)]
pub struct SequenceTracker {
    /// The id of the next message that comes.
    next: u64,
    /// The highest id that was passed on.
    latest: u64,
    /// What the last acknowledgement said.
    acknowledged: u64,
    /// What the last `Sequence` said. A peer's buffer never begins earlier than it did before.
    floor: u64,
    /// A new transport began: nothing counts before its `Sequence`.
    awaiting: bool,
}

impl Default for SequenceTracker {
    fn default() -> Self {
        Self { next: 1, latest: 0, acknowledged: 0, floor: 1, awaiting: false }
    }
}

impl SequenceTracker {
    /// A counted message came. Returns whether it is new; one that came before must be dropped.
    ///
    /// Only for messages that [`is_sequenced`](super::HubMessage::is_sequenced).
    pub const fn accept(&mut self) -> bool {
        if self.awaiting {
            return false;
        }
        let id = self.next;
        self.next += 1;
        if id <= self.latest {
            // The peer did not get the acknowledgement, or it was lost with the transport: say it again.
            if id == self.latest {
                self.acknowledged = 0;
            }
            return false;
        }
        self.latest = id;
        true
    }

    /// A new transport began: until `Sequence` comes everything else is to be ignored.
    pub const fn transport_replaced(&mut self) {
        self.awaiting = true;
    }

    /// Whether everything but `Sequence` is to be ignored.
    pub const fn is_awaiting_sequence(&self) -> bool {
        self.awaiting
    }

    /// The peer tells the id of the next message.
    ///
    /// # Errors
    /// When messages would be missing, or the id lies before that of the last `Sequence`: without that check a peer could
    /// make everything after it look like a repetition.
    pub const fn sequence(&mut self, sequence_id: u64) -> Result<(), ProtocolError> {
        if sequence_id > self.next {
            // The official text.
            return Err(ProtocolError::Sequence(
                "Sequence ID greater than amount of messages we've received.",
            ));
        }
        if sequence_id < self.floor {
            return Err(ProtocolError::Sequence("the sequence id lies before an earlier one"));
        }
        self.floor = sequence_id;
        self.next = sequence_id;
        self.awaiting = false;
        Ok(())
    }

    /// What to acknowledge, if there is something new. Call it at most once per second.
    pub const fn acknowledge(&mut self) -> Option<u64> {
        if self.acknowledged == self.latest {
            return None;
        }
        self.acknowledged = self.latest;
        Some(self.latest)
    }

    /// Whether there is something to acknowledge.
    pub const fn owes_acknowledgement(&self) -> bool {
        self.acknowledged != self.latest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acknowledged_messages_are_forgotten_and_ids_go_on() {
        let mut buffer = ReplayBuffer::new(10);
        assert_eq!(buffer.first_id(), 1);
        for message in ["a", "b", "c"] {
            buffer.push(message, 4);
        }
        assert!(buffer.is_full());
        assert_eq!(buffer.first_id(), 1);
        buffer.acknowledge(2).unwrap();
        assert!(!buffer.is_full());
        assert_eq!((buffer.first_id(), buffer.bytes()), (3, 4));
        // An older acknowledgement that comes late changes nothing.
        buffer.acknowledge(1).unwrap();
        assert_eq!(buffer.replay().collect::<Vec<_>>(), [&"c"]);
        buffer.acknowledge(3).unwrap();
        assert_eq!((buffer.first_id(), buffer.bytes()), (4, 0));
        assert!(buffer.acknowledge(4).is_err());
    }

    #[test]
    fn a_replay_repeats_nothing_and_misses_nothing() {
        let mut tracker = SequenceTracker::default();
        for _ in 0..5 {
            assert!(tracker.accept());
        }
        assert_eq!(tracker.acknowledge(), Some(5));
        assert_eq!(tracker.acknowledge(), None);
        tracker.transport_replaced();
        assert!(!tracker.accept(), "nothing counts before the sequence");
        tracker.sequence(4).unwrap();
        assert!(!tracker.accept());
        assert!(!tracker.owes_acknowledgement());
        assert!(!tracker.accept());
        assert!(tracker.owes_acknowledgement(), "the last repetition is acknowledged again");
        assert!(tracker.accept(), "6 is new");
        assert_eq!(tracker.acknowledge(), Some(6));
    }

    #[test]
    fn sequences_that_cannot_be_are_refused() {
        let mut tracker = SequenceTracker::default();
        assert!(tracker.accept());
        tracker.transport_replaced();
        assert_eq!(
            tracker.sequence(3).unwrap_err().to_string(),
            "Sequence ID greater than amount of messages we've received."
        );
        assert!(tracker.sequence(0).is_err());
        assert!(tracker.is_awaiting_sequence());
        tracker.sequence(2).unwrap();
        assert!(tracker.accept());
        tracker.transport_replaced();
        assert!(tracker.sequence(1).is_err(), "it began at 2 before");
    }
}
