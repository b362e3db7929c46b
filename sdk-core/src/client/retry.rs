//! When to try again: how long a client waits before each attempt, and when it gives up.
//!
//! The default is full jitter (Brooker, "Exponential backoff and jitter", 2015): the whole delay is drawn, not a part of
//! it, so that the clients of a server that comes back do not come back in waves.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::iter;
use core::time::Duration;

use super::random::Random;
use crate::{Error, ErrorKind};

/// Nobody waits longer than an hour for a connection, but 10,000 ms that were written as 10,000 s are more than that.
const LONGEST: Duration = Duration::from_secs(60 * 60);
/// Delays are drawn in whole milliseconds: less than this would always be nothing.
const SHORTEST_BASE: Duration = Duration::from_millis(1);

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What is known when the next attempt to connect is decided; the `RetryContext` of the official clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryContext {
    /// How many attempts have failed since the connection was lost, or after the first start failed: 0 before the first
    /// retry.
    pub previous_retry_count: u32,
    /// The time since the connection was lost, or since the first start failed: zero before the first retry.
    pub elapsed: Duration,
    /// Why the last attempt failed; before the first retry, why the connection was lost.
    pub reason: Error,
}

/// How long to wait before each attempt to connect again, and when to give up.
///
/// The default is [`full_jitter`](Self::full_jitter) with 1 s and 30 s. A delay is the time from one failure to the next
/// attempt; how long an attempt may take is limited by the timeouts of [`Config`](super::Config).
///
/// ```
/// use std::time::Duration;
/// use hubwire::client::RetryPolicy;
///
/// let official: Vec<Duration> = RetryPolicy::signalr().delays(0).collect();
/// assert_eq!(official, [0, 2, 10, 30].map(Duration::from_secs));
///
/// // The same, but with the first start, and not all clients at the same moment.
/// let gentle = RetryPolicy::signalr().with_first_start(true).with_jitter(true);
/// assert!(gentle.check().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    schedule: Schedule,
    jitter: bool,
    first_start: bool,
    max_retries: Option<u32>,
}

/// The delays before jitter.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Schedule {
    /// The base, doubled with every attempt up to the cap; nothing but the cap once that much time has passed.
    Doubling {
        base: Duration,
        cap: Duration,
        cap_after: Option<Duration>,
    },
    /// One delay for each attempt, then the end.
    Table(Cow<'static, [Duration]>),
    /// The application's decision.
    Custom,
    Never,
}

/// What to do after a failed attempt.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Try again after that time.
    After(Duration),
    /// Ask the application.
    Ask,
    /// Give up.
    Stop,
}

impl RetryPolicy {
    const fn new(schedule: Schedule) -> Self {
        Self { schedule, jitter: false, first_start: false, max_retries: None }
    }

    /// Full jitter: retry number n, counted from 0, comes after a time between zero and the smaller one of `cap` and
    /// `base` x 2^n, in whole milliseconds, each as likely as the others. For ever, and also when the first start fails.
    pub const fn full_jitter(base: Duration, cap: Duration) -> Self {
        Self::new(Schedule::Doubling { base, cap, cap_after: None }).with_jitter(true).with_first_start(true)
    }

    /// The default of the official clients' `withAutomaticReconnect()`: 0, 2, 10 and 30 s, then the end. A first start
    /// that fails is not retried.
    ///
    /// All clients of a server come back at the same moment. [`with_jitter`](Self::with_jitter) spreads them, except
    /// over the first attempt, whose delay is zero.
    pub const fn signalr() -> Self {
        const DELAYS: &[Duration] = &[seconds(0), seconds(2), seconds(10), seconds(30)];
        Self::new(Schedule::Table(Cow::Borrowed(DELAYS)))
    }

    /// As [`signalr`](Self::signalr), with five attempts: 0, 2, 10, 30 and 60 s, then the end.
    pub const fn ailydian() -> Self {
        const DELAYS: &[Duration] = &[seconds(0), seconds(2), seconds(10), seconds(30), seconds(60)];
        Self::new(Schedule::Table(Cow::Borrowed(DELAYS)))
    }

    /// 1, 2, 4, 8, 16, then 30 s, and always 30 s once 60 s have passed since the connection was lost. For ever, but a
    /// first start that fails is not retried.
    pub const fn conduit() -> Self {
        Self::new(Schedule::Doubling { base: seconds(1), cap: seconds(30), cap_after: Some(seconds(60)) })
    }

    /// As [`signalr`](Self::signalr), with other delays: one for each attempt, then the end. No delays are the same as
    /// [`never`](Self::never).
    pub fn table(delays: Vec<Duration>) -> Self {
        Self::new(Schedule::Table(delays.into()))
    }

    /// Asks the application before each attempt. As in the official clients a first start that fails is not retried; see
    /// [`with_first_start`](Self::with_first_start).
    pub const fn custom() -> Self {
        Self::new(Schedule::Custom)
    }

    /// Gives up at once.
    pub const fn never() -> Self {
        Self::new(Schedule::Never)
    }

    /// Whether a first start that fails is retried, with the same delays as a connection that was lost.
    #[must_use]
    pub const fn with_first_start(mut self, retried: bool) -> Self {
        self.first_start = retried;
        self
    }

    /// Whether a delay is only the longest one, and what is waited is drawn between zero and it, in whole milliseconds.
    /// On for [`full_jitter`](Self::full_jitter), which without it becomes plain doubling, and off for the others. A
    /// delay of zero stays zero. Not for [`custom`](Self::custom) policies, which say themselves how long to wait.
    #[must_use]
    pub const fn with_jitter(mut self, jitter: bool) -> Self {
        self.jitter = jitter;
        self
    }

    /// Gives up after that many retries, if not before. 0 is the same as [`never`](Self::never).
    #[must_use]
    pub const fn with_max_retries(mut self, retries: u32) -> Self {
        self.max_retries = Some(retries);
        self
    }

    /// Whether the policy makes sense. One that does not works all the same: it neither panics nor overflows.
    ///
    /// # Errors
    /// What is wrong, for people:
    /// - a base of less than 1 ms, which would call the server without a pause;
    /// - a cap that is below the base;
    /// - a delay of more than an hour, most likely milliseconds taken for seconds;
    /// - jitter on a custom policy, where it would do nothing.
    pub fn check(&self) -> Result<(), String> {
        let too_long = |name: &str, delay: Duration| {
            Err(format!(
                "{name} of the retry policy is {delay:?}, more than the longest sane delay, {LONGEST:?}"
            ))
        };
        match &self.schedule {
            Schedule::Doubling { base, .. } if *base < SHORTEST_BASE => Err(format!(
                "the base of the retry policy is {base:?}; less than {SHORTEST_BASE:?} would retry without a pause"
            )),
            Schedule::Doubling { base, cap, .. } if cap < base => {
                Err(format!("the cap of the retry policy is {cap:?}, less than its base, {base:?}"))
            }
            Schedule::Doubling { cap, .. } if *cap > LONGEST => too_long("the cap", *cap),
            Schedule::Table(delays) => match delays.iter().position(|delay| *delay > LONGEST) {
                Some(index) => too_long(&format!("delay number {index}"), delays[index]),
                None => Ok(()),
            },
            Schedule::Custom if self.jitter => {
                Err("a custom retry policy chooses its own delays: it cannot have jitter".into())
            }
            Schedule::Doubling { .. } | Schedule::Custom | Schedule::Never => Ok(()),
        }
    }

    /// Whether a first start that fails is retried.
    pub const fn retries_first_start(&self) -> bool {
        self.first_start
    }

    pub(super) fn decide(&self, context: &RetryContext, random: &mut Random) -> Decision {
        let retry = context.previous_retry_count;
        if self.max_retries.is_some_and(|max| retry >= max) {
            return Decision::Stop;
        }
        let delay = match &self.schedule {
            Schedule::Doubling { cap, cap_after: Some(limit), .. } if context.elapsed >= *limit => Some(*cap),
            Schedule::Doubling { base, cap, .. } => Some(doubled(*base, *cap, retry)),
            Schedule::Table(delays) => {
                usize::try_from(retry).ok().and_then(|index| delays.get(index)).copied()
            }
            Schedule::Custom => return Decision::Ask,
            Schedule::Never => None,
        };
        match delay {
            None => Decision::Stop,
            Some(delay) if self.jitter => Decision::After(random.up_to(delay)),
            Some(delay) => Decision::After(delay),
        }
    }

    /// The delays that one client with that seed waits when no attempt succeeds and none takes any time; for simulations
    /// and tests. Ends when the policy gives up; without an end for one that does not. A custom policy yields nothing,
    /// since only the application knows.
    pub fn delays(self, seed: u64) -> impl Iterator<Item = Duration> {
        let mut random = Random::new(seed);
        let mut context = RetryContext {
            previous_retry_count: 0,
            elapsed: Duration::ZERO,
            reason: Error::new(ErrorKind::Network, "The connection was lost."),
        };
        iter::from_fn(move || {
            let Decision::After(delay) = self.decide(&context, &mut random) else { return None };
            context.previous_retry_count = context.previous_retry_count.saturating_add(1);
            context.elapsed = context.elapsed.saturating_add(delay);
            Some(delay)
        })
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::full_jitter(seconds(1), seconds(30))
    }
}

/// The smaller one of `cap` and `base` x 2^`times`.
fn doubled(base: Duration, cap: Duration, times: u32) -> Duration {
    let mut delay = base;
    // At most 94 rounds lie between the shortest and the longest duration.
    for _ in 0..times {
        if delay >= cap || delay.is_zero() {
            break;
        }
        delay = delay.saturating_mul(2);
    }
    delay.min(cap)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn context(previous_retry_count: u32, elapsed: Duration) -> RetryContext {
        RetryContext { previous_retry_count, elapsed, reason: Error::new(ErrorKind::Network, "lost") }
    }

    fn decide(policy: &RetryPolicy, previous_retry_count: u32, elapsed: Duration) -> Decision {
        policy.decide(&context(previous_retry_count, elapsed), &mut Random::new(1))
    }

    #[test]
    fn a_table_goes_by_the_count_and_not_by_the_time() {
        let table = [0, 2, 10, 30].map(seconds);
        for elapsed in [Duration::ZERO, Duration::MAX] {
            for (count, delay) in (0..).zip(table) {
                assert_eq!(decide(&RetryPolicy::signalr(), count, elapsed), Decision::After(delay));
            }
            for count in [4, 5, u32::MAX] {
                assert_eq!(decide(&RetryPolicy::signalr(), count, elapsed), Decision::Stop);
            }
        }
    }

    /// An attempt takes time too: a few slow ones use up the minute before the delays have grown.
    #[test]
    fn conduit_stops_doubling_after_a_minute() {
        let policy = RetryPolicy::conduit();
        let minute = seconds(60);
        let within = minute - Duration::from_millis(1);
        for (count, delay) in [(0, 1), (1, 2), (2, 4), (3, 8), (4, 16), (5, 30), (6, 30), (u32::MAX, 30)] {
            assert_eq!(decide(&policy, count, within), Decision::After(seconds(delay)), "{count}");
            for elapsed in [minute, Duration::MAX] {
                assert_eq!(decide(&policy, count, elapsed), Decision::After(seconds(30)), "{count}");
            }
        }
    }

    #[test]
    fn full_jitter_does_not_go_by_the_time() {
        let longest = |elapsed| {
            let mut random = Random::new(9);
            let policy = RetryPolicy::default();
            (0..1_000).map(move |_| match policy.decide(&context(0, elapsed), &mut random) {
                Decision::After(delay) => delay,
                other => panic!("{other:?}"),
            })
        };
        assert!(longest(Duration::MAX).eq(longest(Duration::ZERO)));
        assert!(longest(Duration::MAX).all(|delay| delay <= seconds(1)));
    }

    #[test]
    fn custom_asks_until_its_limit() {
        let policy = RetryPolicy::custom();
        for count in [0, 1, u32::MAX] {
            assert_eq!(decide(&policy, count, Duration::MAX), Decision::Ask);
        }
        let policy = policy.with_max_retries(2);
        let decided: Vec<Decision> = (0..4).map(|count| decide(&policy, count, Duration::ZERO)).collect();
        assert_eq!(decided, [Decision::Ask, Decision::Ask, Decision::Stop, Decision::Stop]);
    }

    #[test]
    fn never_stops_at_once() {
        assert_eq!(decide(&RetryPolicy::never(), 0, Duration::ZERO), Decision::Stop);
        assert_eq!(decide(&RetryPolicy::table(Vec::new()), 0, Duration::ZERO), Decision::Stop);
        assert_eq!(decide(&RetryPolicy::default().with_max_retries(0), 0, Duration::ZERO), Decision::Stop);
    }

    #[test]
    fn a_policy_without_jitter_draws_nothing() {
        let mut random = Random::new(2);
        let _ = RetryPolicy::conduit().decide(&context(3, Duration::ZERO), &mut random);
        assert_eq!(random.below(u64::MAX), Random::new(2).below(u64::MAX));
    }

    #[test]
    fn the_longest_durations_and_counts_saturate() {
        let nanosecond = Duration::from_nanos(1);
        assert_eq!(doubled(nanosecond, Duration::MAX, 10), nanosecond * 1024);
        assert_eq!(doubled(nanosecond, Duration::MAX, 40), Duration::from_nanos(1 << 40));
        for base in [nanosecond, seconds(1), Duration::MAX / 2, Duration::MAX] {
            assert_eq!(doubled(base, Duration::MAX, u32::MAX), Duration::MAX);
            assert_eq!(doubled(base, nanosecond, u32::MAX), nanosecond);
        }
        assert_eq!(doubled(Duration::ZERO, Duration::MAX, u32::MAX), Duration::ZERO);

        let policy = RetryPolicy::full_jitter(Duration::MAX, Duration::MAX);
        assert_eq!(
            decide(&policy.with_jitter(false), u32::MAX, Duration::MAX),
            Decision::After(Duration::MAX)
        );
    }

    fn duration() -> impl Strategy<Value = Duration> {
        prop_oneof![
            Just(Duration::ZERO),
            Just(Duration::MAX),
            (0..100_000_u64).prop_map(Duration::from_millis),
            (any::<u64>(), 0..1_000_000_000_u32).prop_map(|(seconds, nanos)| Duration::new(seconds, nanos)),
        ]
    }

    fn schedule() -> impl Strategy<Value = Schedule> {
        prop_oneof![
            (duration(), duration(), proptest::option::of(duration()))
                .prop_map(|(base, cap, cap_after)| Schedule::Doubling { base, cap, cap_after }),
            proptest::collection::vec(duration(), 0..6).prop_map(|delays| Schedule::Table(delays.into())),
            Just(Schedule::Custom),
            Just(Schedule::Never),
        ]
    }

    proptest! {
        /// Any policy decides in any situation, and jitter only ever shortens.
        #[test]
        fn every_policy_decides(
            schedule in schedule(),
            max_retries in proptest::option::of(any::<u32>()),
            count in prop_oneof![0..40_u32, any::<u32>(), Just(u32::MAX)],
            elapsed in duration(),
            seed in any::<u64>(),
        ) {
            let plain = RetryPolicy { max_retries, ..RetryPolicy::new(schedule) };
            let context = context(count, elapsed);
            let longest = plain.decide(&context, &mut Random::new(seed));
            let drawn = plain.clone().with_jitter(true).decide(&context, &mut Random::new(seed));
            match (drawn, longest) {
                (Decision::After(drawn), Decision::After(longest)) => prop_assert!(drawn <= longest),
                (drawn, longest) => prop_assert_eq!(drawn, longest),
            }
            let _ = plain.check();
        }
    }
}
