//! What stateful reconnect adds to an established connection: counts in both directions, and what may have to be sent
//! again. See [`protocol::reliable`](crate::protocol::reliable) for the rules of the counts.

use crate::protocol::reliable::{ReplayBuffer, SequenceTracker};
use crate::protocol::{HubMessage, OpaquePayload, ProtocolError};

#[derive(Debug)]
pub(super) struct Stateful<P> {
    sent: ReplayBuffer<HubMessage<P>>,
    received: SequenceTracker,
    /// How often the transport was replaced since the last message that was new.
    fruitless: u8,
}

/// How often a transport is replaced without anything new coming through: a server that takes every transport and
/// closes it at once must not be called for ever.
const FRUITLESS_RESUMES: u8 = 3;

/// What to do with a message that came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Handle it.
    Handle,
    /// Handle it, and acknowledge it within a second.
    HandleAndAcknowledge,
    /// It is a repetition, or was for this layer only.
    Drop,
    /// A repetition that shows that an acknowledgement was lost.
    DropAndAcknowledge,
}

impl<P: OpaquePayload> Stateful<P> {
    pub(super) fn new(limit: usize) -> Self {
        Self { sent: ReplayBuffer::new(limit), received: SequenceTracker::default(), fruitless: 0 }
    }

    /// Keeps a message that goes out, if it counts.
    pub(super) fn keep(&mut self, message: &HubMessage<P>) {
        if message.is_sequenced() {
            self.sent.push(message.clone(), message.byte_len());
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.sent.is_full()
    }

    pub(super) fn receive(&mut self, message: &HubMessage<P>) -> Result<Verdict, ProtocolError> {
        Ok(match message {
            HubMessage::Sequence { sequence_id } => {
                self.received.sequence(*sequence_id)?;
                Verdict::Drop
            }
            _ if self.received.is_awaiting_sequence() => Verdict::Drop,
            HubMessage::Ack { sequence_id } => {
                self.sent.acknowledge(*sequence_id)?;
                Verdict::Drop
            }
            message if !message.is_sequenced() => {
                self.fruitless = 0;
                Verdict::Handle
            }
            _ if self.received.accept() => {
                self.fruitless = 0;
                Verdict::HandleAndAcknowledge
            }
            _ if self.received.owes_acknowledgement() => Verdict::DropAndAcknowledge,
            _ => Verdict::Drop,
        })
    }

    /// What to acknowledge, if there is something new.
    pub(super) fn acknowledgement(&mut self) -> Option<HubMessage<P>> {
        self.received.acknowledge().map(|sequence_id| HubMessage::Ack { sequence_id })
    }

    /// The transport was lost. Returns whether another may be opened.
    pub(super) const fn may_resume(&mut self) -> bool {
        self.fruitless += 1;
        self.fruitless <= FRUITLESS_RESUMES
    }

    /// A new transport is open: what has to be sent on it before anything else.
    pub(super) fn resume(&mut self, mut send: impl FnMut(HubMessage<P>)) {
        self.received.transport_replaced();
        send(HubMessage::Sequence { sequence_id: self.sent.first_id() });
        for message in self.sent.replay() {
            send(message.clone());
        }
    }
}
