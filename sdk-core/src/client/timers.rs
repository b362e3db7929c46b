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
    /// The time to try again to connect.
    Retry,
    /// The answer to a question whether the peer is still there.
    Liveness,
    /// The time to acknowledge messages of the server.
    Confirm,
    /// The answer to a question that the client asks by itself.
    Question,
    /// The first call to be late, or not worth sending any more.
    Deadline,
    /// The time to write again what the store could not forget.
    Store,
}

/// What does not end with a connection is at the end.
const KINDS: [Timer; 14] = [
    Timer::Request,
    Timer::Open,
    Timer::Handshake,
    Timer::KeepAlive,
    Timer::ServerTimeout,
    Timer::Close,
    Timer::Acknowledge,
    Timer::Refresh,
    Timer::Retry,
    Timer::Liveness,
    Timer::Confirm,
    Timer::Question,
    Timer::Deadline,
    Timer::Store,
];

/// How many belong to one connection, or to the way to it.
const OF_CONNECTION: usize = Timer::Deadline as usize;

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

    /// Stops everything that belongs to a connection.
    pub(super) fn stop_connection(&mut self) {
        self.0[..OF_CONNECTION].fill(None);
    }

    pub(super) const fn deadline(&self, timer: Timer) -> Option<Time> {
        self.0[timer as usize]
    }

    pub(super) const fn set_to(&mut self, timer: Timer, deadline: Option<Time>) {
        self.0[timer as usize] = deadline;
    }

    /// Takes a timer that is due.
    pub(super) fn take_due(&mut self, now: Time) -> Option<Timer> {
        KINDS.into_iter().find(|timer| self.take_if_due(*timer, now))
    }

    /// Takes that timer if it is due.
    pub(super) fn take_if_due(&mut self, timer: Timer, now: Time) -> bool {
        self.0[timer as usize].take_if(|deadline| *deadline <= now).is_some()
    }

    /// The earliest deadline.
    pub(super) fn next(&self) -> Option<Time> {
        let mut first = None;
        for deadline in self.0 {
            first = earlier(first, deadline);
        }
        first
    }
}

/// The earlier one of two deadlines.
pub(super) fn earlier(one: Option<Time>, other: Option<Time>) -> Option<Time> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
