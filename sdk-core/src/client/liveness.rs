//! Whether the peer is still there, and what the platform knows about that.

use core::time::Duration;

use super::Client;
use super::calls::{Owner, Pending};
use super::io::{Hint, LinkId, Output};
use super::quality::Probe;
use super::timers::Timer;
use crate::Time;
use crate::protocol::{Call, HubMessage, Invocation, OpaquePayload};

/// How often the round-trip time is measured at most. Only together with a message that goes out anyway: a connection
/// that is idle must not wake the machine more often than its keep-alive.
const PROBE_INTERVAL: Duration = Duration::from_secs(10);
/// How long the answer may take when there is reason to believe that the connection is dead.
const LIVENESS_TIMEOUT: Duration = Duration::from_secs(5);

/// What the platform said last.
#[derive(Debug, Default)]
pub(super) struct Hints {
    offline: bool,
    background: bool,
    /// When the platform last said something that makes a connection look dead and an attempt look promising.
    doubted: Option<Time>,
}

impl Hints {
    /// Attempts to connect would most likely be in vain, or are not urgent.
    pub(super) const fn discourage(&self) -> bool {
        self.offline || self.background
    }

    /// Whether the platform has said a moment ago that an attempt would most likely succeed. Only once.
    pub(super) fn take_doubt(&mut self, now: Time) -> bool {
        let doubted = self.doubted.take();
        doubted.is_some_and(|at| now.since(at) <= LIVENESS_TIMEOUT) && !self.discourage()
    }

    /// Timers may be late.
    pub(super) const fn is_background(&self) -> bool {
        self.background
    }
}

impl<P: OpaquePayload> Client<P> {
    pub(super) fn handle_hint(&mut self, hint: Hint) {
        match hint {
            Hint::Offline => self.hints.offline = true,
            Hint::Background => self.hints.background = true,
            Hint::Online | Hint::Resumed => self.hints.offline = false,
            Hint::Foreground => self.hints.background = false,
        }
        match hint {
            Hint::Offline | Hint::Background => {}
            Hint::Online | Hint::Resumed | Hint::Foreground => {
                self.hurry();
                self.doubt();
            }
        }
    }

    /// The connection may be dead without anybody having said so: asks, with little patience.
    fn doubt(&mut self) {
        self.hints.doubted = Some(self.now);
        if self.phase.connected().is_some() && self.ask() {
            self.set_timer(Timer::Liveness, LIVENESS_TIMEOUT);
        }
    }

    /// Measures the round-trip time, if it was not measured for a while.
    pub(super) fn probe_if_due(&mut self) {
        if self.monitor.is_due(self.now, PROBE_INTERVAL) {
            self.ask();
        }
    }

    /// Asks the peer for a sign of life. Returns whether there is a way to.
    fn ask(&mut self) -> bool {
        let Some(link) = self.phase.connected() else { return false };
        if self.config.can_probe && self.established.is_websocket {
            self.last_probe += 1;
            self.monitor.ask(Probe::Ping(self.last_probe), self.now, PROBE_INTERVAL);
            self.out.push_back(Output::Probe(link, self.last_probe));
            return true;
        }
        let Some(target) = self.config.ping_method.clone() else { return false };
        let is_asked = self.monitor.is_asked(Probe::Call);
        self.monitor.ask(Probe::Call, self.now, PROBE_INTERVAL);
        if !is_asked {
            let invocation_id = Some(self.calls.open(Pending::own(Owner::Probe)));
            let call = Call::new(target, P::no_arguments(self.config.encoding));
            self.send(HubMessage::Invocation(Invocation { invocation_id, call }));
        }
        true
    }

    pub(super) fn handle_pong(&mut self, link: LinkId, number: u64) {
        if self.phase.connected() == Some(link) {
            self.heard();
            self.monitor.answered(Probe::Ping(number), self.now);
        }
    }

    /// The hub method for it has answered; that it exists does not matter.
    pub(super) fn probe_answered(&mut self) {
        self.monitor.answered(Probe::Call, self.now);
    }

    /// Something came from the server.
    pub(super) fn heard(&mut self) {
        self.timers.stop(Timer::Liveness);
        // What is not read cannot be late.
        if !self.established.inherent_keep_alive && !self.paused {
            self.set_timer(Timer::ServerTimeout, self.config.server_timeout);
        }
    }
}
