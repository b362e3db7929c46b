//! Retry policies: exact tables, and the statistics of jitter over 10^5 delays. Seeds are fixed, so every run draws the
//! same numbers; `--nocapture` shows the figures.
#![allow(clippy::unwrap_used, clippy::disallowed_macros, missing_docs)]

use std::time::Duration;

use hubwire::client::RetryPolicy;
use proptest::prelude::*;

const SAMPLES: usize = 100_000;
const BINS: usize = 100;
/// The 0.1 % and 99.9 % quantiles of chi-square with 99 degrees of freedom. Below the lower one the delays are spread
/// more evenly than chance does it: by a counter, say.
const CHI_SQUARE: std::ops::RangeInclusive<f64> = 61.14..=148.23;
/// The 99.9 % quantile of |r| for unrelated sequences: r is normal with deviation 1/sqrt(N) then.
const CORRELATION: f64 = 3.29;

const BASE: u64 = 1_000;
const CAP: u64 = 30_000;

fn seconds<const N: usize>(delays: [u64; N]) -> [Duration; N] {
    delays.map(Duration::from_secs)
}

/// The delays of one client, in milliseconds.
fn millis(policy: RetryPolicy, seed: u64, count: usize) -> Vec<u64> {
    policy.delays(seed).take(count).map(|delay| delay.as_millis() as u64).collect()
}

/// The longest delay of the default policy before retry number `n`, in milliseconds.
fn longest(n: usize) -> u64 {
    (BASE << n.min(10)).min(CAP)
}

/// The delays before the retries `0..N` of `SAMPLES` clients, whose seeds are neighbours.
fn of_many_clients<const N: usize>() -> [Vec<u64>; N] {
    let mut delays = [const { Vec::new() }; N];
    for seed in 0..SAMPLES as u64 {
        for (of_retry, delay) in delays.iter_mut().zip(millis(RetryPolicy::default(), seed, N)) {
            of_retry.push(delay);
        }
    }
    delays
}

/// Whether the samples can be draws from `0..=max`, each number as likely as the others. Gives chi-square.
fn check_uniform(samples: &[u64], max: u64) -> Result<f64, String> {
    if let Some(outlier) = samples.iter().find(|sample| **sample > max) {
        return Err(format!("{outlier} is more than {max}"));
    }
    let bin = |sample: u64| (sample as u128 * BINS as u128 / (u128::from(max) + 1)) as usize;
    let mut found = [0_u64; BINS];
    for sample in samples {
        found[bin(*sample)] += 1;
    }
    // The bins need not have the same size: 1,001 numbers do not divide by 100.
    let mut size = [0_u64; BINS];
    for number in 0..=max {
        size[bin(number)] += 1;
    }
    let share = samples.len() as f64 / (max + 1) as f64;
    let chi_square = found
        .iter()
        .zip(size)
        .map(|(found, size)| {
            let expected = share * size as f64;
            (*found as f64 - expected).powi(2) / expected
        })
        .sum();
    if CHI_SQUARE.contains(&chi_square) {
        Ok(chi_square)
    } else {
        Err(format!("chi-square is {chi_square:.1}, not in {CHI_SQUARE:?}"))
    }
}

/// Pearson's correlation, if it is small enough for two sequences that have nothing to do with each other.
fn check_unrelated(left: &[u64], right: &[u64]) -> Result<f64, String> {
    assert_eq!(left.len(), right.len());
    let count = left.len() as f64;
    let mean = |values: &[u64]| values.iter().sum::<u64>() as f64 / count;
    let (left_mean, right_mean) = (mean(left), mean(right));
    let (mut product, mut left_square, mut right_square) = (0.0, 0.0, 0.0);
    for (left, right) in left.iter().zip(right) {
        let (left, right) = (*left as f64 - left_mean, *right as f64 - right_mean);
        product += left * right;
        left_square += left * left;
        right_square += right * right;
    }
    let correlation = product / (left_square * right_square).sqrt();
    if correlation.abs() <= CORRELATION / count.sqrt() {
        Ok(correlation)
    } else {
        Err(format!("the correlation is {correlation:.4}"))
    }
}

/// Each value with the one after it.
fn check_unrelated_to_next(values: &[u64]) -> Result<f64, String> {
    check_unrelated(&values[1..], &values[..values.len() - 1])
}

#[test]
fn each_retry_is_uniform_over_all_clients() {
    for (n, delays) in of_many_clients::<8>().iter().enumerate() {
        let max = longest(n);
        let chi_square = check_uniform(delays, max).unwrap_or_else(|error| panic!("retry {n}: {error}"));
        println!("retry {n}: up to {max} ms, chi-square {chi_square:.1}");
        // Both ends are reached, as far as that many draws can be expected to reach them.
        let margin = max / 1_000;
        assert!(*delays.iter().min().unwrap() <= margin, "retry {n}");
        assert!(*delays.iter().max().unwrap() >= max - margin, "retry {n}");
    }
}

#[test]
fn the_capped_state_is_uniform_for_one_client() {
    for seed in [0, 1, 0x5eed, u64::MAX] {
        let delays = millis(RetryPolicy::default(), seed, SAMPLES + 5);
        let chi_square = check_uniform(&delays[5..], CAP).unwrap_or_else(|error| panic!("{seed}: {error}"));
        println!("seed {seed:#x}: retries 5 to {}, chi-square {chi_square:.1}", delays.len());
    }
}

#[test]
fn no_delay_exceeds_its_longest_one() {
    for seed in 0..200 {
        for (n, delay) in millis(RetryPolicy::default(), seed, 500).into_iter().enumerate() {
            assert!(delay <= longest(n), "seed {seed}, retry {n}: {delay} ms");
        }
    }
}

#[test]
fn other_bases_caps_and_tables_are_uniform_too() {
    let policies = [
        (RetryPolicy::full_jitter(Duration::from_millis(100), Duration::from_millis(1_500)), 1_500),
        // A cap that is the base: the same range from the first retry on.
        (RetryPolicy::full_jitter(Duration::from_secs(4), Duration::from_secs(4)), 4_000),
        (RetryPolicy::conduit().with_jitter(true), 30_000),
    ];
    for (policy, max) in policies {
        let delays = millis(policy.clone(), 42, SAMPLES + 6);
        let chi_square =
            check_uniform(&delays[6..], max).unwrap_or_else(|error| panic!("{policy:?}: {error}"));
        println!("up to {max} ms, chi-square {chi_square:.1}");
    }
    let table = RetryPolicy::signalr().with_jitter(true);
    let mut delays = [const { Vec::new() }; 4];
    for seed in 0..SAMPLES as u64 {
        let of_client = millis(table.clone(), seed, 5);
        assert_eq!(of_client.len(), 4);
        for (of_retry, delay) in delays.iter_mut().zip(of_client) {
            of_retry.push(delay);
        }
    }
    assert!(delays[0].iter().all(|delay| *delay == 0), "a delay of zero stays zero");
    for (delays, max) in delays[1..].iter().zip([2_000, 10_000, 30_000]) {
        let chi_square = check_uniform(delays, max).unwrap_or_else(|error| panic!("{max}: {error}"));
        println!("table, up to {max} ms, chi-square {chi_square:.1}");
    }
}

/// The check above finds what other clients do wrong. The honest draws are the same in all of them.
#[test]
fn the_check_rejects_schedules_that_are_not_full_jitter() {
    let draws: Vec<f64> = millis(RetryPolicy::default(), 77, SAMPLES + 5)[5..]
        .iter()
        .map(|ms| *ms as f64 / CAP as f64)
        .collect();
    let honest: Vec<u64> = draws.iter().map(|draw| (draw * CAP as f64).round() as u64).collect();
    check_uniform(&honest, CAP).unwrap();
    let rejected = |name: &str, max: u64, delay: &dyn Fn(f64) -> u64| {
        let delays: Vec<u64> = draws.iter().map(|draw| delay(*draw)).collect();
        let error = check_uniform(&delays, max).expect_err(name);
        println!("{name}: {error}");
    };
    // Jitter first, then the cap. At retry 5 only the draws between 30 and 32 s collapse to the cap, ...
    let clamped = |n: u32| move |draw: f64| ((draw * (BASE << n) as f64) as u64).min(CAP);
    rejected("clamped at retry 5", CAP, &clamped(5));
    // ... and later nearly all of them.
    rejected("clamped at retry 10", CAP, &clamped(10));
    // Socket.IO: 50 % to 150 % of the doubled delay, then the cap.
    let socket_io = |n: u32| move |draw: f64| (((0.5 + draw) * (BASE << n) as f64) as u64).min(CAP);
    rejected("Socket.IO at retry 5", CAP, &socket_io(5));
    rejected("Socket.IO at retry 10", CAP, &socket_io(10));
    let collapsed: Vec<u64> = draws.iter().map(|draw| socket_io(10)(*draw)).collect();
    assert!(collapsed.iter().all(|delay| *delay == CAP), "from here on all clients come at the same moment");

    rejected("half jitter", CAP, &|draw| CAP / 2 + (draw * (CAP / 2) as f64) as u64);
    rejected("a draw that misses the top 1 %", CAP, &|draw| (draw * 0.99 * CAP as f64) as u64);
    rejected("beyond the cap", CAP, &|draw| (draw * (CAP + 100) as f64) as u64);
    rejected("twice the smaller", CAP, &|draw| (draw * draw * CAP as f64) as u64);

    let even: Vec<u64> = (0..SAMPLES as u64).map(|seed| seed % (CAP + 1)).collect();
    check_uniform(&even, CAP).expect_err("a counter is not random");
}

#[test]
fn a_delay_says_nothing_about_the_next_one() {
    for seed in [0, 1, 0x5eed, u64::MAX] {
        let delays = millis(RetryPolicy::default(), seed, SAMPLES + 5);
        let correlation = check_unrelated_to_next(&delays[5..]).unwrap();
        println!("seed {seed:#x}: lag 1, {correlation:+.4}");
    }
}

#[test]
fn clients_with_neighbouring_seeds_are_unrelated() {
    let client = |seed: u64| millis(RetryPolicy::default(), seed, SAMPLES + 5).split_off(5);
    for seed in [0, 1, 0x5eed, 1 << 32, u64::MAX] {
        let correlation = check_unrelated(&client(seed), &client(seed.wrapping_add(1))).unwrap();
        println!("seeds {seed:#x} and the next: {correlation:+.4}");
    }
    // The same retry of 10^5 clients, each with its neighbour; and with the client's next retry.
    let delays = of_many_clients::<6>();
    for (n, of_retry) in delays.iter().enumerate() {
        let neighbour = check_unrelated_to_next(of_retry).unwrap_or_else(|error| panic!("{n}: {error}"));
        println!("retry {n} of neighbours: {neighbour:+.4}");
    }
    for (n, pair) in delays.windows(2).enumerate() {
        check_unrelated(&pair[0], &pair[1]).unwrap_or_else(|error| panic!("{n}: {error}"));
    }
}

#[test]
fn the_check_rejects_what_is_related() {
    let delays = millis(RetryPolicy::default(), 3, SAMPLES + 5).split_off(5);
    check_unrelated(&delays, &delays).unwrap_err();
    // Two per cent of the one before.
    let leaking: Vec<u64> = delays.windows(2).map(|pair| pair[1] + pair[0] / 50).collect();
    check_unrelated_to_next(&leaking).unwrap_err();
    // A seed that is only multiplied, as by a generator that does not mix.
    let unmixed: Vec<u64> = (0..SAMPLES as u64).map(|seed| seed * 1_103 % (CAP + 1)).collect();
    check_unrelated_to_next(&unmixed).unwrap_err();
}

#[test]
fn the_same_seed_replays_and_another_one_does_not() {
    let client = |seed| millis(RetryPolicy::default(), seed, 50);
    let mut clients: Vec<Vec<u64>> = (0..1_000).map(client).collect();
    assert_eq!(clients, (0..1_000).map(client).collect::<Vec<_>>());
    clients.sort();
    clients.dedup();
    assert_eq!(clients.len(), 1_000);
}

#[test]
fn the_default_is_full_jitter_of_1_and_30_seconds_with_the_first_start() {
    let [base, cap] = seconds([1, 30]);
    assert_eq!(RetryPolicy::default(), RetryPolicy::full_jitter(base, cap));
    assert!(RetryPolicy::default().retries_first_start());
    // It never gives up.
    assert_eq!(RetryPolicy::default().delays(1).take(SAMPLES).count(), SAMPLES);
}

#[test]
fn presets_have_the_delays_of_their_systems() {
    let delays = |policy: RetryPolicy| policy.delays(9).take(12).collect::<Vec<_>>();
    assert_eq!(delays(RetryPolicy::signalr()), seconds([0, 2, 10, 30]));
    assert_eq!(delays(RetryPolicy::ailydian()), seconds([0, 2, 10, 30, 60]));
    assert_eq!(delays(RetryPolicy::conduit()), seconds([1, 2, 4, 8, 16, 30, 30, 30, 30, 30, 30, 30]));
    assert_eq!(delays(RetryPolicy::table(seconds([5, 1, 3]).to_vec())), seconds([5, 1, 3]));
    assert_eq!(delays(RetryPolicy::custom()), seconds([]));
    assert_eq!(delays(RetryPolicy::never()), seconds([]));
    assert_eq!(delays(RetryPolicy::table(Vec::new())), seconds([]));

    assert_eq!(RetryPolicy::table(seconds([0, 2, 10, 30]).to_vec()), RetryPolicy::signalr());
    assert_eq!(RetryPolicy::conduit().delays(0).take(SAMPLES).count(), SAMPLES);
}

#[test]
fn only_full_jitter_retries_the_first_start_unless_told() {
    let others = [
        RetryPolicy::signalr(),
        RetryPolicy::ailydian(),
        RetryPolicy::conduit(),
        RetryPolicy::table(Vec::new()),
        RetryPolicy::custom(),
        RetryPolicy::never(),
    ];
    for policy in others {
        assert!(!policy.retries_first_start(), "{policy:?}");
        assert!(policy.with_first_start(true).retries_first_start());
    }
    assert!(!RetryPolicy::default().with_first_start(false).retries_first_start());
}

#[test]
fn without_jitter_full_jitter_is_plain_doubling() {
    let delays: Vec<Duration> = RetryPolicy::default().with_jitter(false).delays(3).take(7).collect();
    assert_eq!(delays, seconds([1, 2, 4, 8, 16, 30, 30]));
    let table = RetryPolicy::signalr().with_jitter(true).with_jitter(false);
    assert_eq!(table, RetryPolicy::signalr());
}

#[test]
fn the_number_of_retries_can_be_limited() {
    for (policy, limit, count) in [
        (RetryPolicy::default(), 3, 3),
        (RetryPolicy::conduit(), 0, 0),
        (RetryPolicy::signalr(), 2, 2),
        (RetryPolicy::signalr(), u32::MAX, 4),
    ] {
        let mut delays = policy.with_max_retries(limit).delays(1);
        assert_eq!(delays.by_ref().count(), count);
        assert_eq!(delays.next(), None, "the end is the end");
    }
}

#[test]
fn absurd_policies_are_named() {
    let milli = Duration::from_millis(1);
    let [zero, second, minute, hour] = seconds([0, 1, 60, 3_600]);
    for (policy, says) in [
        (RetryPolicy::full_jitter(zero, minute), "without a pause"),
        (RetryPolicy::full_jitter(zero, zero), "without a pause"),
        (RetryPolicy::full_jitter(milli / 2, minute), "the base of the retry policy is 500µs"),
        (
            RetryPolicy::full_jitter(minute, second),
            "the cap of the retry policy is 1s, less than its base, 60s",
        ),
        (
            RetryPolicy::full_jitter(second, hour + milli),
            "the cap of the retry policy is 3600.001s, more than",
        ),
        (RetryPolicy::full_jitter(Duration::MAX, Duration::MAX), "more than the longest sane delay"),
        // Milliseconds taken for seconds.
        (RetryPolicy::table(seconds([0, 2_000, 10_000, 30_000]).to_vec()), "delay number 2"),
        (RetryPolicy::table(vec![second, Duration::MAX]), "delay number 1"),
        (RetryPolicy::custom().with_jitter(true), "cannot have jitter"),
    ] {
        let error = policy.check().expect_err(says);
        assert!(error.contains(says), "{error}");
        // It still works, one way or the other.
        assert!(policy.delays(1).take(50).count() <= 50);
    }
    for policy in [
        RetryPolicy::default(),
        RetryPolicy::default().with_jitter(false),
        RetryPolicy::signalr().with_jitter(true),
        RetryPolicy::ailydian(),
        RetryPolicy::conduit(),
        RetryPolicy::custom().with_max_retries(3),
        RetryPolicy::never(),
        RetryPolicy::table(Vec::new()),
        RetryPolicy::full_jitter(milli, milli),
        RetryPolicy::full_jitter(hour, hour),
        RetryPolicy::table(vec![zero, hour]),
    ] {
        assert_eq!(policy.check(), Ok(()), "{policy:?}");
    }
}

fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::ZERO),
        Just(Duration::MAX),
        (0..100_000_u64).prop_map(Duration::from_millis),
        (any::<u64>(), 0..1_000_000_000_u32).prop_map(|(seconds, nanos)| Duration::new(seconds, nanos)),
    ]
}

fn policy() -> impl Strategy<Value = RetryPolicy> {
    let base = prop_oneof![
        (duration(), duration()).prop_map(|(base, cap)| RetryPolicy::full_jitter(base, cap)),
        proptest::collection::vec(duration(), 0..6).prop_map(RetryPolicy::table),
        Just(RetryPolicy::signalr()),
        Just(RetryPolicy::ailydian()),
        Just(RetryPolicy::conduit()),
        Just(RetryPolicy::custom()),
        Just(RetryPolicy::never()),
    ];
    (base, proptest::option::of(any::<bool>()), proptest::option::of(any::<u32>())).prop_map(
        |(mut policy, jitter, retries)| {
            if let Some(jitter) = jitter {
                policy = policy.with_jitter(jitter);
            }
            if let Some(retries) = retries {
                policy = policy.with_max_retries(retries);
            }
            policy
        },
    )
}

proptest! {
    /// No policy panics, and each is the same for the same seed.
    #[test]
    fn any_policy_yields_delays(policy in policy(), seed in any::<u64>()) {
        let delays: Vec<Duration> = policy.clone().delays(seed).take(200).collect();
        prop_assert_eq!(&delays, &policy.clone().delays(seed).take(200).collect::<Vec<_>>());
        let _ = policy.check();
    }
}
