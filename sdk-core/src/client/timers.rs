use crate::Time;

/// What the core waits for. Each kind has at most one deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    /// The answer to a token or negotiate request.
    Request,
    /// The transport to open.
    Open,
    /// The handshake response.
    Handshake,
    /// The time to send a ping.
    KeepAlive,
    /// The server to be heard of.
    ServerTimeout,
    /// The transport to close.
    Close,
    /// The time to acknowledge what came (stateful reconnect).
    Acknowledge,
    /// The time to refresh the access token in place.
    Refresh,
}

const KINDS: [Timer; 8] = [
    Timer::Request,
    Timer::Open,
    Timer::Handshake,
    Timer::KeepAlive,
    Timer::ServerTimeout,
    Timer::Close,
    Timer::Acknowledge,
    Timer::Refresh,
];

/// A fixed table of deadlines.
#[derive(Debug, Default)]
pub(super) struct Timers([Option<Time>; KINDS.len()]);

impl Timers {
    pub(super) const fn set(&mut self, timer: Timer, deadline: Time) {
        self.0[timer as usize] = Some(deadline);
    }

    pub(super) const fn is_set(&self, timer: Timer) -> bool {
        self.0[timer as usize].is_some()
    }

    pub(super) const fn stop(&mut self, timer: Timer) {
        self.0[timer as usize] = None;
    }

    pub(super) const fn stop_all(&mut self) {
        self.0 = [None; KINDS.len()];
    }

    /// Takes a timer that is due.
    pub(super) fn take_due(&mut self, now: Time) -> Option<Timer> {
        let timer = KINDS
            .into_iter()
            .find(|timer| self.0[*timer as usize].is_some_and(|deadline| deadline <= now))?;
        self.stop(timer);
        Some(timer)
    }

    /// The earliest deadline.
    pub(super) fn next(&self) -> Option<Time> {
        self.0.iter().flatten().copied().min()
    }
}
