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

/// Later than everything.
const NEVER: Time = Time::from_millis(u64::MAX);

/// A fixed table of deadlines.
#[derive(Debug)]
pub(super) struct Timers {
    deadlines: [Time; KINDS.len()],
    /// None of them is before this.
    earliest: Time,
}

impl Default for Timers {
    fn default() -> Self {
        Self { deadlines: [NEVER; KINDS.len()], earliest: NEVER }
    }
}

impl Timers {
    pub(super) const fn set(&mut self, timer: Timer, deadline: Time) {
        self.deadlines[timer as usize] = deadline;
        if deadline.as_millis() < self.earliest.as_millis() {
            self.earliest = deadline;
        }
    }

    pub(super) const fn is_set(&self, timer: Timer) -> bool {
        self.deadline(timer).is_some()
    }

    pub(super) const fn stop(&mut self, timer: Timer) {
        self.deadlines[timer as usize] = NEVER;
    }

    /// Stops everything that belongs to a connection.
    pub(super) fn stop_connection(&mut self) {
        self.deadlines[..OF_CONNECTION].fill(NEVER);
    }

    pub(super) const fn deadline(&self, timer: Timer) -> Option<Time> {
        let deadline = self.deadlines[timer as usize];
        if deadline.as_millis() == NEVER.as_millis() { None } else { Some(deadline) }
    }

    pub(super) const fn set_to(&mut self, timer: Timer, deadline: Option<Time>) {
        match deadline {
            Some(deadline) => self.set(timer, deadline),
            None => self.stop(timer),
        }
    }

    /// Whether none is due. Quick, for every message asks.
    pub(super) fn are_idle(&mut self, now: Time) -> bool {
        if self.earliest <= now {
            self.earliest = self.next().unwrap_or(NEVER);
        }
        now < self.earliest
    }

    /// Takes a timer that is due.
    pub(super) fn take_due(&mut self, now: Time) -> Option<Timer> {
        if self.are_idle(now) {
            return None;
        }
        KINDS.into_iter().find(|timer| self.take_if_due(*timer, now))
    }

    /// Takes that timer if it is due.
    pub(super) fn take_if_due(&mut self, timer: Timer, now: Time) -> bool {
        let is_due = self.deadlines[timer as usize] <= now && self.is_set(timer);
        if is_due {
            self.stop(timer);
        }
        is_due
    }

    /// The earliest deadline.
    pub(super) fn next(&self) -> Option<Time> {
        let mut first = NEVER;
        for deadline in self.deadlines {
            first = first.min(deadline);
        }
        (first < NEVER).then_some(first)
    }
}

/// The earlier one of two deadlines.
pub(super) fn earlier(one: Option<Time>, other: Option<Time>) -> Option<Time> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
