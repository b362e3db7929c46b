//! A schedule of the crate `backoff` as a retry policy.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use backoff::backoff::Backoff;

use crate::client::RetryContext;

/// The delays of a [`Backoff`] for a [custom](crate::client::RetryPolicy::custom) retry policy. It is reset before the
/// first retry after each lost connection; where it says `None` the client gives up.
///
/// Of the context only [`previous_retry_count`](RetryContext::previous_retry_count) is used. Two things differ from
/// [the client's own schedules](crate::client::RetryPolicy):
/// - [`ExponentialBackoff`](backoff::ExponentialBackoff) draws from the random source of the machine, which cannot be
///   seeded, and reads the clock by itself: a run cannot be replayed, and virtual time does not reach it.
/// - It gives up after 15 minutes unless its `max_elapsed_time` says otherwise, and it varies a delay by half of it only.
///
/// The crate `backoff` is unmaintained (RUSTSEC-2025-0012); prefer the client's own schedules for what is new.
///
/// ```
/// use std::time::Duration;
/// use backoff::ExponentialBackoffBuilder;
/// use hubwire::client::RetryContext;
/// use hubwire::{Error, ErrorKind};
///
/// let schedule = ExponentialBackoffBuilder::new()
///     .with_initial_interval(Duration::from_secs(1))
///     .with_max_elapsed_time(None)
///     .build();
/// let next_delay = hubwire::from_backoff(schedule);
///
/// let reason = Error::new(ErrorKind::Network, "The connection was lost.");
/// let first = RetryContext { previous_retry_count: 0, elapsed: Duration::ZERO, reason };
/// let delay = next_delay(&first).expect("it never gives up");
/// assert!(delay >= Duration::from_millis(500) && delay <= Duration::from_millis(1_501));
/// ```
pub fn from_backoff<B: Backoff + Send + 'static>(
    backoff: B,
) -> impl Fn(&RetryContext) -> Option<Duration> + Send + Sync + 'static {
    let backoff = Mutex::new(backoff);
    move |context| {
        // A schedule that panicked is asked again: at worst its next delay is a wrong one.
        let mut backoff = backoff.lock().unwrap_or_else(PoisonError::into_inner);
        if context.previous_retry_count == 0 {
            backoff.reset();
        }
        backoff.next_backoff()
    }
}

#[cfg(test)]
mod tests {
    use backoff::ExponentialBackoffBuilder;
    use backoff::backoff::{Constant, Stop};

    use super::*;
    use crate::{Error, ErrorKind};

    fn context(previous_retry_count: u32) -> RetryContext {
        let reason = Error::new(ErrorKind::Network, "lost");
        RetryContext { previous_retry_count, elapsed: Duration::ZERO, reason }
    }

    /// As many delays as it has seconds left, each its own number.
    struct Countdown {
        from: u64,
        left: u64,
    }

    impl Backoff for Countdown {
        fn reset(&mut self) {
            self.left = self.from;
        }

        fn next_backoff(&mut self) -> Option<Duration> {
            let delay = Duration::from_secs(self.left);
            self.left = self.left.checked_sub(1)?;
            Some(delay)
        }
    }

    fn delays(policy: impl Fn(&RetryContext) -> Option<Duration>) -> Vec<u64> {
        (0..).map_while(|count| policy(&context(count))).map(|delay| delay.as_secs()).collect()
    }

    #[test]
    fn gives_the_delays_until_there_are_none() {
        assert_eq!(delays(from_backoff(Countdown { from: 3, left: 3 })), [3, 2, 1]);
        assert_eq!(from_backoff(Stop {})(&context(0)), None);
    }

    #[test]
    fn starts_anew_with_every_lost_connection() {
        // It was used before.
        let policy = from_backoff(Countdown { from: 3, left: 1 });
        assert_eq!(delays(&policy), [3, 2, 1]);
        assert_eq!(policy(&context(3)), None);
        assert_eq!(delays(&policy), [3, 2, 1]);
        assert_eq!(policy(&context(0)), Some(Duration::from_secs(3)));
        assert_eq!(policy(&context(1)), Some(Duration::from_secs(2)));
        assert_eq!(policy(&context(0)), Some(Duration::from_secs(3)));
    }

    #[test]
    fn takes_the_schedules_of_the_crate() {
        let constant = from_backoff(Constant::new(Duration::from_secs(7)));
        assert_eq!(constant(&context(5)), Some(Duration::from_secs(7)));

        let exponential = ExponentialBackoffBuilder::new()
            .with_initial_interval(Duration::from_secs(1))
            .with_multiplier(2.0)
            .with_randomization_factor(0.0)
            .with_max_interval(Duration::from_secs(5))
            .with_max_elapsed_time(None)
            .build();
        let policy = from_backoff(exponential);
        for _ in 0..2 {
            let seconds: Vec<u64> =
                (0..5).filter_map(|count| policy(&context(count))).map(|delay| delay.as_secs()).collect();
            assert_eq!(seconds, [1, 2, 4, 5, 5]);
        }
    }

    #[test]
    fn goes_on_after_a_schedule_that_panicked() {
        struct Once(bool);
        impl Backoff for Once {
            fn next_backoff(&mut self) -> Option<Duration> {
                assert!(std::mem::replace(&mut self.0, true), "panics once");
                Some(Duration::from_secs(1))
            }
        }
        let policy = from_backoff(Once(false));
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| policy(&context(0))));
        assert!(panicked.is_err());
        assert_eq!(policy(&context(1)), Some(Duration::from_secs(1)));
    }

    #[test]
    fn can_be_shared_between_threads() {
        fn shared<T: Send + Sync + 'static>(_: &T) {}
        shared(&from_backoff(Constant::new(Duration::ZERO)));
    }
}
