use std::time::Duration;

use bytes::Bytes;
use hubwire::Time;
use hubwire::protocol::reliable::{ReplayBuffer, SequenceTracker};
use hubwire::protocol::{HubMessage, ProtocolError};

/// The longest time between a message and its acknowledgement, and the shortest between two acknowledgements.
const ACKNOWLEDGE_AFTER: Duration = Duration::from_secs(1);

/// How long a client that says nothing may take to begin counting. The official TypeScript client does not count what
/// it gets in the same turn of its event loop as the answer to the handshake, but it pings right after that turn.
const SETTLE: Duration = Duration::from_millis(100);

/// Stateful reconnect: what is counted, and when it may leave.
pub(super) struct Reliable {
    replay: ReplayBuffer<Bytes>,
    tracker: SequenceTracker,
    acknowledge_at: Option<Time>,
    opening: Opening,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opening {
    /// The answer to the handshake has not left.
    Answering,
    /// It has; the client begins to count when it sends something, or at that time.
    Settling(Time),
    Open,
}

/// What becomes of a message from the client.
pub(super) enum Verdict {
    Pass,
    Ignore,
    Violation(ProtocolError),
}

impl From<Result<(), ProtocolError>> for Verdict {
    fn from(result: Result<(), ProtocolError>) -> Self {
        result.map_or_else(Self::Violation, |()| Self::Ignore)
    }
}

impl Reliable {
    pub(super) fn new(replay_bytes: usize) -> Box<Self> {
        Box::new(Self {
            replay: ReplayBuffer::new(replay_bytes),
            tracker: SequenceTracker::default(),
            acknowledge_at: None,
            opening: Opening::Answering,
        })
    }

    /// Whether the client knows that the handshake succeeded, as far as that can be known.
    pub(super) fn was_answered(&self) -> bool {
        self.opening != Opening::Answering
    }

    pub(super) fn may_transmit(&self) -> bool {
        self.opening == Opening::Open && !self.replay.is_full()
    }

    pub(super) fn answered(&mut self, now: Time) {
        if self.opening == Opening::Answering {
            self.opening = Opening::Settling(now + SETTLE);
        }
    }

    pub(super) fn left(&mut self, frame: Bytes) {
        let bytes = frame.len();
        self.replay.push(frame, bytes);
    }

    /// Everything from the client passes here.
    pub(super) fn receive<P>(&mut self, now: Time, message: &HubMessage<P>) -> Verdict {
        if matches!(self.opening, Opening::Settling(_)) {
            self.opening = Opening::Open;
        }
        if let HubMessage::Sequence { sequence_id } = message {
            return self.tracker.sequence(*sequence_id).into();
        }
        if self.tracker.is_awaiting_sequence() {
            return Verdict::Ignore;
        }
        if let HubMessage::Ack { sequence_id } = message {
            return self.replay.acknowledge(*sequence_id).into();
        }
        if !message.is_sequenced() {
            return Verdict::Pass;
        }
        let new = self.tracker.accept();
        if self.tracker.owes_acknowledgement() {
            self.acknowledge_at.get_or_insert(now + ACKNOWLEDGE_AFTER);
        }
        if new { Verdict::Pass } else { Verdict::Ignore }
    }

    /// The id to acknowledge now, if it is time.
    pub(super) fn tick(&mut self, now: Time) -> Option<u64> {
        if let Opening::Settling(until) = self.opening
            && now >= until
        {
            self.opening = Opening::Open;
        }
        self.acknowledge_at.take_if(|at| now >= *at)?;
        self.tracker.acknowledge()
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        let settled = match self.opening {
            Opening::Settling(until) => Some(until),
            Opening::Answering | Opening::Open => None,
        };
        settled.into_iter().chain(self.acknowledge_at).min()
    }

    pub(super) fn link_lost(&mut self) {
        // What was not acknowledged comes again and is acknowledged then.
        self.acknowledge_at = None;
        self.opening = Opening::Open;
    }

    /// The id for the first message on a new link, and what has to be sent again behind it.
    pub(super) fn link_replaced(&mut self) -> (u64, Vec<Bytes>) {
        self.link_lost();
        self.tracker.transport_replaced();
        (self.replay.first_id(), self.replay.replay().cloned().collect())
    }
}
