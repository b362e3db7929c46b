//! The simulation finds nothing wrong, and finds what is made wrong.
#![allow(missing_docs)]

use e2e::sim::{Mutation, Violation, Weather, run};

const STEPS: u64 = 3000;

/// Enough to meet each kind of fault many times; `cargo xtask sim` is for more.
#[test]
fn nothing_is_lost_repeated_reordered_or_missing_without_a_word() {
    let mut total = (0, 0, 0);
    for seed in 0..60 {
        let summary = run(seed, STEPS, Weather::default(), Mutation::None);
        assert_eq!(summary.violations, [], "seed {seed}");
        total = (total.0 + summary.messages, total.1 + summary.gaps, total.2 + summary.repetitions);
    }
    assert!(total.0 > 80_000, "little was tried: {total:?}");
    assert!(total.1 > 0 && total.2 > 0, "nothing was at stake: {total:?}");
}

/// The same seed is the same world, or a failure could not be looked at again.
#[test]
fn a_seed_replays_exactly() {
    let worlds = [0; 2].map(|_| run(7, STEPS, Weather::default(), Mutation::None));
    assert_eq!(format!("{:?}", worlds[0]), format!("{:?}", worlds[1]));
    let broken = [0; 2].map(|_| run(3, STEPS, Weather::default(), Mutation::NoDedupe));
    assert_eq!(broken[0].violations, broken[1].violations);
}

/// In how many seeds each broken rule must be noticed at the latest.
const WITHIN: u64 = 25;

#[test]
fn broken_rules_are_noticed() {
    let mut missed = Vec::new();
    for mutation in Mutation::ALL {
        let noticed =
            (0..WITHIN).find(|seed| !run(*seed, STEPS, Weather::default(), mutation).violations.is_empty());
        match noticed {
            Some(seed) => println!("{mutation:?} is noticed with seed {seed}"),
            None => missed.push(mutation),
        }
    }
    assert_eq!(missed, [], "not noticed within {WITHIN} seeds");
}

/// Broken rules are called what they are.
#[test]
fn violations_are_of_the_right_kind() {
    let kinds = |mutation| -> Vec<Violation> {
        (0..WITHIN).flat_map(|seed| run(seed, STEPS, Weather::default(), mutation).violations).collect()
    };
    assert!(kinds(Mutation::NoDedupe).iter().any(|found| matches!(found, Violation::Duplicated(_))));
    assert!(kinds(Mutation::SilentGaps).iter().any(|found| matches!(found, Violation::SilentGap(_))));
    assert!(kinds(Mutation::NoBaseSequence).iter().any(|found| matches!(found, Violation::Corrupt(_))));
    assert!(kinds(Mutation::ResendBackwards).iter().any(|found| matches!(found, Violation::Reordered(_))));
    assert!(kinds(Mutation::AckBeforeHandler).iter().any(|found| matches!(found, Violation::Lost(_))));
}
