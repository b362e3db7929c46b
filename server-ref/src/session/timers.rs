//! What happens by itself: deadlines, and links that come and go.

use std::collections::VecDeque;

use hubwire::Time;
use hubwire::protocol::{HandshakeRequestError, HubMessage};

use super::{End, Output, Phase, Session};

impl<P> Session<P> {
    /// Goes on without a link, if the client can come back. Returns whether it can.
    pub(super) fn lose_link(&mut self, now: Time) -> bool {
        let Some(reliable) = self.reliable.as_mut().filter(|reliable| reliable.was_answered()) else {
            return false;
        };
        reliable.link_lost();
        self.stalled_since = None;
        if self.detached_since.is_none() {
            self.detached_since = Some(now);
            self.outputs.push_back(Output::DropLink);
        }
        true
    }

    pub(super) fn replace_link(&mut self, now: Time) {
        let Some(reliable) = self.reliable.as_mut() else { return };
        let (sequence_id, replay) = reliable.link_replaced();
        self.stalled_since = None;
        self.detached_since = None;
        self.last_received = now;
        self.transmit(now, HubMessage::Sequence { sequence_id });
        if !replay.is_empty() {
            self.outputs.push_back(Output::Replay(replay));
        }
    }

    pub(super) fn handle_tick(&mut self, now: Time) {
        if self.detached_deadline().is_some_and(|at| now >= at) {
            return self.end(End::Abandoned);
        }
        if self.phase == Phase::Handshaking {
            if now >= self.last_received + self.config.handshake_timeout {
                let error = HandshakeRequestError::Canceled;
                self.refuse_handshake(error.to_string(), &error);
            }
            return;
        }
        // Timers fire when little happens, which is the time to give back what busier times allocated.
        self.calls.release_memory();
        self.uploads.release_memory();
        if self.outputs.is_empty() {
            self.outputs = VecDeque::new();
        }
        if self.stall_deadline().is_some_and(|at| now >= at) {
            // Its client may not have noticed yet that the link is dead, and can come back with another.
            if !self.lose_link(now) {
                self.end(End::SlowConsumer);
            }
            return;
        }
        if self.timeout_deadline().is_some_and(|at| now >= at) {
            if !self.lose_link(now) {
                self.close_with(End::ClientTimeout, true);
            }
            return;
        }
        if let Some(sequence_id) = self.reliable.as_mut().and_then(|reliable| reliable.tick(now)) {
            self.transmit(now, HubMessage::Ack { sequence_id });
        }
        if self.ping_deadline().is_some_and(|at| now >= at) {
            self.transmit(now, HubMessage::Ping);
        }
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        let deadlines = match self.phase {
            Phase::Ended => return None,
            Phase::Handshaking => [Some(self.last_received + self.config.handshake_timeout), None, None],
            Phase::Connecting | Phase::Connected => {
                [self.ping_deadline(), self.timeout_deadline(), self.stall_deadline()]
            }
        };
        let reliable = self.reliable.as_ref().and_then(|reliable| reliable.deadline());
        deadlines.into_iter().chain([self.detached_deadline(), reliable]).flatten().min()
    }

    fn ping_deadline(&self) -> Option<Time> {
        // No use in pings behind bytes that do not leave.
        let useful = self.stalled_since.is_none() && self.detached_since.is_none();
        self.config.keep_alive.filter(|_| useful).map(|after| self.last_sent + after)
    }

    fn timeout_deadline(&self) -> Option<Time> {
        self.config
            .client_timeout
            .filter(|_| self.detached_since.is_none() && !self.is_timeout_suspended())
            .map(|after| self.last_received + after)
    }

    fn stall_deadline(&self) -> Option<Time> {
        Some(self.stalled_since? + self.config.send_timeout?)
    }

    fn detached_deadline(&self) -> Option<Time> {
        self.detached_since.map(|since| since + self.config.disconnect_timeout)
    }

    /// A client is not timed out while it is the server that keeps it waiting.
    pub(super) fn is_timeout_suspended(&self) -> bool {
        self.phase != Phase::Connected || self.calls.holds_slots() || !self.wants_input()
    }
}
