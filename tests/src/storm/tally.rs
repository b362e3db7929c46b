//! What a server sees of its clients, counted.

use std::time::Duration;

/// How long one bin of the histograms is.
const BIN: Duration = Duration::from_millis(100);
const BINS_PER_SECOND: u64 = 10;

/// The counts of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    pub(super) clients: u64,
    pub(super) gave_up: u64,
    outage: Duration,
    attempts: Histogram,
    successes: Histogram,
    failures: u64,
    /// When each client was back, in milliseconds since the drop.
    back: Vec<u64>,
}

impl Tally {
    pub(super) fn new(clients: u64, outage: Duration) -> Self {
        Self {
            clients,
            gave_up: 0,
            outage,
            attempts: Histogram::default(),
            successes: Histogram::default(),
            failures: 0,
            back: Vec::new(),
        }
    }

    pub(super) fn attempted(&mut self, since_drop: Duration, succeeded: bool) {
        self.attempts.count(since_drop);
        if succeeded {
            self.successes.count(since_drop);
        } else {
            self.failures += 1;
        }
    }

    pub(super) fn came_back(&mut self, since_drop: Duration) {
        self.back.push(u64::try_from(since_drop.as_millis()).unwrap_or(u64::MAX));
    }

    pub(super) fn finish(mut self) -> Self {
        self.back.sort_unstable();
        self
    }

    /// The most attempts per second, over any 100 ms.
    pub fn peak_attempts(&self) -> u64 {
        self.attempts.peak()
    }

    /// The most successful attempts per second, over any 100 ms.
    pub fn peak_successes(&self) -> u64 {
        self.successes.peak()
    }

    /// The most successful attempts within ten bins that follow each other. Less noisy than the peak where few clients
    /// are simulated.
    pub fn busiest_second(&self) -> u64 {
        self.successes.busiest_second()
    }

    /// The attempts that failed, per client.
    pub fn wasted(&self) -> f64 {
        self.failures as f64 / self.clients as f64
    }

    /// How many clients have a connection again.
    pub const fn back(&self) -> usize {
        self.back.len()
    }

    /// The time from the return of the server until that share of those who came back are there. None when nobody
    /// came back.
    pub fn time_back(&self, share: f64) -> Option<Duration> {
        let last = self.back.len().checked_sub(1)?;
        let since_drop = Duration::from_millis(self.back[(last as f64 * share).round() as usize]);
        Some(since_drop.saturating_sub(self.outage))
    }

    /// The share of the clients that will not try again.
    pub fn gave_up(&self) -> f64 {
        self.gave_up as f64 / self.clients as f64
    }
}

/// Events by the time they happened at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Histogram(Vec<u64>);

impl Histogram {
    fn count(&mut self, at: Duration) {
        let bin = usize::try_from(at.as_millis() / BIN.as_millis()).unwrap_or(usize::MAX);
        if self.0.len() <= bin {
            self.0.resize(bin + 1, 0);
        }
        self.0[bin] += 1;
    }

    fn peak(&self) -> u64 {
        self.0.iter().copied().max().unwrap_or(0) * BINS_PER_SECOND
    }

    fn busiest_second(&self) -> u64 {
        let windows = self.0.windows(BINS_PER_SECOND as usize).map(|window| window.iter().sum());
        // Shorter than a second, all of it is within one.
        windows.max().unwrap_or_else(|| self.0.iter().sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_bin_and_by_second() {
        let mut tally = Tally::new(4, Duration::from_secs(1));
        for (millis, succeeded) in [(0, false), (950, false), (1_000, true), (1_099, true), (1_100, true)] {
            tally.attempted(Duration::from_millis(millis), succeeded);
            if succeeded {
                tally.came_back(Duration::from_millis(millis));
            }
        }
        tally.gave_up = 1;
        let tally = tally.finish();
        assert_eq!((tally.peak_attempts(), tally.peak_successes(), tally.busiest_second()), (20, 20, 3));
        assert_eq!((tally.wasted(), tally.gave_up(), tally.back()), (0.5, 0.25, 3));
        assert_eq!(tally.time_back(0.5), Some(Duration::from_millis(99)));
        assert_eq!(tally.time_back(1.0), Some(Duration::from_millis(100)));
    }

    #[test]
    fn nobody_came_back() {
        let tally = Tally::new(1, Duration::ZERO).finish();
        assert_eq!((tally.peak_attempts(), tally.busiest_second(), tally.time_back(0.5)), (0, 0, None));
    }
}
