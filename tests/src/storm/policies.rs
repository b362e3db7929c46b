//! Who takes part: our policies, and the schedules of other clients as their sources have them by default.

use std::fmt;
use std::time::Duration;

use hubwire::client::{RetryContext, RetryPolicy};

use super::DRAIN_WINDOW;
use crate::random::Random;

/// A schedule that is not one of ours: the delay before the next attempt.
type Schedule = fn(&RetryContext, &mut Random) -> Duration;

/// One row of the table: a policy, and how the server says goodbye to clients that have it.
#[derive(Clone)]
pub struct Contender {
    /// What the table calls it.
    pub name: &'static str,
    pub(super) retry: RetryPolicy,
    /// Answers for [`RetryPolicy::custom`].
    pub(super) schedule: Option<Schedule>,
    pub(super) farewell: Farewell,
}

/// How the connections end.
#[derive(Clone, Copy, Debug)]
pub(super) enum Farewell {
    /// The transport breaks.
    Crash,
    /// A Close with a time to come back, drawn for each client by itself.
    DrawnSlots,
    /// A Close with a time to come back, handed out so that the times so far are always spread evenly.
    EvenSlots,
}

impl Farewell {
    /// When the server asks client number `index` to come back.
    pub(super) fn slot(self, index: u64, random: &mut Random) -> Option<Duration> {
        /// 2^64 divided by the golden ratio: multiples of it, cut to 64 bits, fill the range evenly from the first on
        /// (Weyl sequence).
        const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
        let window = u64::try_from(DRAIN_WINDOW.as_millis()).unwrap_or(u64::MAX);
        let millis = match self {
            Self::Crash => return None,
            Self::DrawnSlots => random.below(window),
            Self::EvenSlots => ((u128::from(GOLDEN.wrapping_mul(index)) * u128::from(window)) >> 64) as u64,
        };
        Some(Duration::from_millis(millis))
    }
}

impl Contender {
    const fn ours(name: &'static str, retry: RetryPolicy, farewell: Farewell) -> Self {
        Self { name, retry, schedule: None, farewell }
    }

    const fn peer(name: &'static str, schedule: Schedule) -> Self {
        Self { name, retry: RetryPolicy::custom(), schedule: Some(schedule), farewell: Farewell::Crash }
    }
}

impl fmt::Debug for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contender").field("name", &self.name).finish_non_exhaustive()
    }
}

/// All of them, in the order of the table.
pub fn contenders() -> Vec<Contender> {
    let default = RetryPolicy::default;
    vec![
        Contender::ours("hubwire (default)", default(), Farewell::Crash),
        Contender::ours("hubwire, drain, slots drawn", default(), Farewell::DrawnSlots),
        Contender::ours("hubwire, drain, slots even", default(), Farewell::EvenSlots),
        Contender::ours("preset conduit", RetryPolicy::conduit(), Farewell::Crash),
        Contender::ours("preset ailydian", RetryPolicy::ailydian(), Farewell::Crash),
        Contender::ours("preset signalr", RetryPolicy::signalr(), Farewell::Crash),
        Contender::ours(
            "preset signalr, jittered",
            RetryPolicy::signalr().with_jitter(true),
            Farewell::Crash,
        ),
        Contender::peer("Phoenix", phoenix),
        Contender::peer("Azure Web PubSub", web_pubsub),
        Contender::peer("pusher-js", pusher),
        Contender::peer("Socket.IO", socket_io),
        Contender::peer("Ably", ably),
        Contender::peer("centrifuge-js", centrifuge),
    ]
}

/// phoenix 1.8, `assets/js/phoenix/socket.js`, `reconnectAfterMs`: a table, then 5 s. No jitter.
fn phoenix(context: &RetryContext, _: &mut Random) -> Duration {
    const TABLE: [u64; 9] = [10, 50, 100, 150, 200, 250, 500, 1_000, 2_000];
    Duration::from_millis(TABLE.get(context.previous_retry_count as usize).copied().unwrap_or(5_000))
}

/// @azure/web-pubsub-client, `reconnectRetryOptions`: its delay stays at the base of 1 s by default. No jitter.
const fn web_pubsub(_: &RetryContext, _: &mut Random) -> Duration {
    Duration::from_secs(1)
}

/// pusher-js 8, `core/connection/connection_manager.ts`: at once after a connection that was open, then `retryIn(1000)`.
const fn pusher(context: &RetryContext, _: &mut Random) -> Duration {
    Duration::from_secs(if context.previous_retry_count == 0 { 0 } else { 1 })
}

/// socket.io-client 4.8, `lib/contrib/backo2.ts` with `reconnectionDelay` 1 s, `reconnectionDelayMax` 5 s and
/// `randomizationFactor` 0.5. The limit comes after the jitter: once the delay before it is 16 s, what is left is
/// always exactly 5 s.
fn socket_io(context: &RetryContext, random: &mut Random) -> Duration {
    let delay = 1_000 << context.previous_retry_count.min(20);
    let deviation = random.below(delay / 2);
    let delay = if random.below(2) == 0 { delay - deviation } else { delay + deviation };
    Duration::from_millis(delay.min(5_000))
}

/// ably-js 2, `getRetryTime` of `common/lib/util/utils.ts` (RTB1 of the features specification): at once after a
/// connection that was open, then `disconnectedRetryTimeout`, 15 s, times (n + 2) / 3 up to 2, times 0.8 to 1.
fn ably(context: &RetryContext, random: &mut Random) -> Duration {
    let Some(earlier) = context.previous_retry_count.checked_sub(1) else { return Duration::ZERO };
    // n is 1 for the first that waits.
    let delay = (5_000 * (u64::from(earlier) + 3)).min(30_000);
    Duration::from_millis(delay - random.below(delay / 5 + 1))
}

/// centrifuge 5.8, `backoff` of `src/utils.ts` with `minReconnectDelay` 0.5 s and `maxReconnectDelay` 20 s: full jitter
/// on top of the shortest delay.
fn centrifuge(context: &RetryContext, random: &mut Random) -> Duration {
    let spread = (500 << context.previous_retry_count.min(31)).min(20_000);
    Duration::from_millis((500 + random.below(spread + 1)).min(20_000))
}

#[cfg(test)]
mod tests {
    use hubwire::{Error, ErrorKind};

    use super::*;

    fn delays(schedule: Schedule, seed: u64) -> Vec<u128> {
        let mut random = Random::new(seed, 0);
        let delay = |previous_retry_count| {
            let reason = Error::new(ErrorKind::Network, "lost");
            let context = RetryContext { previous_retry_count, elapsed: Duration::ZERO, reason };
            schedule(&context, &mut random).as_millis()
        };
        (0..12).map(delay).collect()
    }

    /// For each attempt the shortest and the longest delay of many clients.
    fn bounds(schedule: Schedule) -> Vec<(u128, u128)> {
        let all: Vec<Vec<u128>> = (0..20_000).map(|seed| delays(schedule, seed)).collect();
        let of = |attempt: usize| all.iter().map(move |delays| delays[attempt]);
        (0..12).map(|attempt| (of(attempt).min().unwrap(), of(attempt).max().unwrap())).collect()
    }

    #[test]
    fn schedules_without_jitter_are_those_published() {
        assert_eq!(delays(phoenix, 1)[..], [10, 50, 100, 150, 200, 250, 500, 1000, 2000, 5000, 5000, 5000]);
        assert_eq!(delays(web_pubsub, 1), [1000; 12]);
        assert_eq!(delays(pusher, 1)[..3], [0, 1000, 1000]);
    }

    /// What the clamp does: the first three are spread, the fourth is cut, and nothing is left of the jitter after that.
    #[test]
    fn the_jitter_of_socket_io_collapses() {
        let bounds = bounds(socket_io);
        assert_eq!(bounds[..2], [(501, 1499), (1001, 2999)]);
        assert_eq!((bounds[2].0 / 10, bounds[2].1), (200, 5000));
        assert_eq!(bounds[3].1, 5000);
        assert!(bounds[4..].iter().all(|bounds| *bounds == (5000, 5000)), "{bounds:?}");
    }

    #[test]
    fn the_others_reach_their_bounds_and_stay_within() {
        let near = |(least, most): (u128, u128), expected: (u128, u128)| {
            least >= expected.0
                && most <= expected.1
                && least - expected.0 <= expected.1 / 100
                && expected.1 - most <= expected.1 / 100
        };
        let ably = bounds(ably);
        let expected = [(0, 0), (12_000, 15_000), (16_000, 20_000), (20_000, 25_000), (24_000, 30_000)];
        for (bounds, expected) in ably.iter().zip(expected) {
            assert!(near(*bounds, expected), "{bounds:?} {expected:?}");
        }
        assert!(near(ably[11], (24_000, 30_000)));
        let centrifuge = bounds(centrifuge);
        for (bounds, expected) in centrifuge.iter().zip([(500, 1_000), (500, 1_500), (500, 2_500)]) {
            assert!(near(*bounds, expected), "{bounds:?} {expected:?}");
        }
        assert!(near(centrifuge[11], (500, 20_000)));
    }

    /// Neighbours are two gaps apart at most, at any number of clients.
    #[test]
    fn even_slots_are_even_from_the_first_client_on() {
        let mut random = Random::new(1, 1);
        for clients in [10, 300, 5_000] {
            let mut slots: Vec<u128> = (0..clients)
                .map(|index| Farewell::EvenSlots.slot(index, &mut random).unwrap().as_millis())
                .collect();
            slots.sort_unstable();
            let gap = DRAIN_WINDOW.as_millis() / u128::from(clients);
            assert!(slots.windows(2).all(|pair| pair[1] - pair[0] <= 2 * gap + 1), "{clients} clients");
            assert!(slots.iter().all(|slot| *slot < DRAIN_WINDOW.as_millis()));
        }
    }
}
