//! The time of the core: milliseconds of the Unix epoch that never go back, whatever is done to the machine's clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::Time;

/// Less than this between the two clocks is drift, more is a sleep or somebody who set the clock.
const TOLERANCE: Duration = Duration::from_secs(2);

/// The monotonic clock stands still while the machine sleeps, and the other one may be set at any time. Together they
/// tell how long a sleep was: without that, a connection that died meanwhile would look alive for as long as its
/// timeout.
#[derive(Debug)]
pub(super) struct Clock {
    began: Instant,
    reading: Reading,
}

/// The arithmetic, apart from the clocks.
#[derive(Debug)]
struct Reading {
    /// When it began, by the clock that may be set.
    origin: Duration,
    /// What the monotonic clock has missed.
    asleep: Duration,
    /// How far the other one was set back.
    set_back: Duration,
}

impl Clock {
    pub(super) fn new() -> Self {
        let reading = Reading { origin: wall(), asleep: Duration::ZERO, set_back: Duration::ZERO };
        Self { began: Instant::now(), reading }
    }

    pub(super) fn now(&mut self) -> Time {
        self.reading.at(self.began.elapsed(), wall())
    }

    /// When to wake up for a deadline.
    pub(super) fn instant(&mut self, deadline: Time) -> Instant {
        let now = self.now();
        Instant::now() + deadline.since(now)
    }
}

impl Reading {
    fn at(&mut self, elapsed: Duration, wall: Duration) -> Time {
        let expected = self.origin + elapsed + self.asleep;
        let shown = wall + self.set_back;
        if shown > expected + TOLERANCE {
            self.asleep += shown - expected;
        } else if expected > shown + TOLERANCE {
            self.set_back += expected - shown;
        }
        let now = self.origin + elapsed + self.asleep;
        Time::from_millis(u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
    }
}

fn wall() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn reading() -> Reading {
        Reading { origin: seconds(1000), asleep: Duration::ZERO, set_back: Duration::ZERO }
    }

    #[test]
    fn a_sleep_counts_and_goes_on_counting() {
        let mut reading = reading();
        assert_eq!(reading.at(seconds(10), seconds(1010)), Time::from_millis(1_010_000));
        // An hour of sleep: only the wall clock has seen it.
        assert_eq!(reading.at(seconds(11), seconds(4611)), Time::from_millis(4_611_000));
        assert_eq!(reading.at(seconds(12), seconds(4612)), Time::from_millis(4_612_000));
        assert_eq!(reading.at(seconds(13), seconds(8213)), Time::from_millis(8_213_000));
    }

    #[test]
    fn a_clock_that_is_set_back_changes_nothing_and_hides_no_sleep() {
        let mut reading = reading();
        assert_eq!(reading.at(seconds(10), seconds(10)), Time::from_millis(1_010_000));
        assert_eq!(reading.at(seconds(11), seconds(11)), Time::from_millis(1_011_000));
        assert_eq!(reading.at(seconds(12), seconds(112)), Time::from_millis(1_112_000));
    }

    #[test]
    fn drift_is_not_a_sleep() {
        let mut reading = reading();
        assert_eq!(reading.at(seconds(10), seconds(1011)), Time::from_millis(1_010_000));
        assert_eq!(reading.at(seconds(20), seconds(1019)), Time::from_millis(1_020_000));
    }
}
