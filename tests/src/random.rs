//! Numbers that look random and are the same in every run with the same seed.

/// SplitMix64: one addition and three mixing steps, and a good start from any seed.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// A sequence of its own for each `stream` of a seed.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mixed = Self(seed).next() ^ stream;
        Self(Self(mixed).next())
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to `end`, without `end`; 0 when that is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        // The upper half of the product: unbiased enough for cuts and delays, and no division.
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_and_a_stream_give_one_sequence() {
        let take = |seed, stream| {
            let mut random = Random::new(seed, stream);
            std::array::from_fn::<u64, 8, _>(|_| random.below(1000))
        };
        assert_eq!(take(1, 2), take(1, 2));
        assert_ne!(take(1, 2), take(2, 1));
        assert_ne!(take(1, 2), take(1, 3));
        assert!(take(7, 7).iter().all(|&number| number < 1000));
    }
}
