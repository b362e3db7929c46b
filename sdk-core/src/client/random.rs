//! The core's only randomness: numbers that follow from a seed, so that every run can be replayed.
//!
//! SplitMix64 from its public definition: Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
//! OOPSLA 2014, with the constants of Vigna's `splitmix64.c`. It mixes its counter thoroughly, so that neighbouring
//! seeds give unrelated numbers. Nothing secret may come from it.

use core::time::Duration;

/// A generator with 2^64 states; two with the same seed give the same numbers.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of `0..bound`, each as likely as the others. 0 for bound 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        let Some(last) = bound.checked_sub(1) else { return 0 };
        // A remainder would favour small numbers. The mask covers less than twice the range, so that two draws are
        // enough on average.
        let mask = u64::MAX.checked_shr(last.leading_zeros()).unwrap_or(0);
        loop {
            let drawn = self.next() & mask;
            if drawn <= last {
                return drawn;
            }
        }
    }

    /// One of the whole milliseconds from zero to `duration`, both included, each as likely as the others.
    pub(super) fn up_to(&mut self, duration: Duration) -> Duration {
        let millis =
            duration.as_secs().saturating_mul(1000).saturating_add(u64::from(duration.subsec_millis()));
        Duration::from_millis(self.up_to_millis(millis))
    }

    /// One of the numbers from zero to that one, both included, each as likely as the others.
    pub(super) fn up_to_millis(&mut self, millis: u64) -> u64 {
        match millis.checked_add(1) {
            Some(bound) => self.below(bound),
            None => self.next(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_the_published_numbers() {
        let mut random = Random::new(0);
        let drawn: Vec<u64> = (0..3).map(|_| random.next()).collect();
        assert_eq!(drawn, [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4, 0x06c4_5d18_8009_454f]);
        let mut random = Random::new(1_234_567);
        let drawn: Vec<u64> = (0..5).map(|_| random.next()).collect();
        let published = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        assert_eq!(drawn, published);
    }

    #[test]
    fn stays_below_its_bound_and_reaches_all_of_it() {
        let mut random = Random::new(7);
        for bound in [0, 1] {
            assert_eq!(random.below(bound), 0);
        }
        for bound in [2, 3, 7, 8, 9, 100] {
            let mut seen = vec![0; bound as usize];
            for _ in 0..bound * 100 {
                seen[random.below(bound) as usize] += 1;
            }
            assert!(seen.iter().all(|count| *count > 0), "bound {bound}: {seen:?}");
        }
        assert!((0..1000).all(|_| random.below(u64::MAX) < u64::MAX));
    }

    /// With three quarters of the range as the bound, a remainder would give numbers of the lowest third half the time.
    #[test]
    fn has_no_bias_to_small_numbers() {
        let third = 1 << 62;
        let mut random = Random::new(11);
        let low = (0..30_000).filter(|_| random.below(3 * third) < third).count();
        // Four standard deviations around 10,000.
        assert!((9_674..=10_326).contains(&low), "{low}");
    }

    #[test]
    fn draws_whole_milliseconds_with_both_ends() {
        let mut random = Random::new(3);
        let limit = Duration::from_micros(3_900);
        let mut seen = [false; 4];
        for _ in 0..200 {
            let drawn = random.up_to(limit);
            assert_eq!(drawn.subsec_nanos() % 1_000_000, 0);
            seen[drawn.as_millis() as usize] = true;
        }
        assert_eq!(seen, [true; 4]);
        assert_eq!(random.up_to(Duration::ZERO), Duration::ZERO);
        assert_eq!(random.up_to(Duration::from_micros(999)), Duration::ZERO);
    }

    #[test]
    fn draws_up_to_the_longest_duration() {
        let mut random = Random::new(5);
        let hundred_million_years = Duration::from_secs(3_155_692_600_000_000);
        assert!((0..64).any(|_| random.up_to(Duration::MAX) > hundred_million_years));
        let longest = Duration::from_millis(u64::MAX);
        assert!((0..64).all(|_| random.up_to(longest) <= longest));
    }
}
