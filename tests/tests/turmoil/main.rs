//! Delivery in a simulated network, on tokio: partitions, late and lost messages, and hosts that crash. Time is virtual; the
//! peers, their transports and HTTP are the real ones.
#![allow(clippy::unwrap_used, missing_docs)]

mod world;

use e2e::delivery::Verdict;
use world::{Misfortune, Storage, World};

/// Runs one world, and says what went wrong in it.
fn run(seed: u64, storage: Storage, misfortunes: &[Misfortune]) -> Verdict {
    let verdict = World::new(seed, storage).run(misfortunes);
    println!("seed {seed}: {verdict:?}");
    assert_eq!(verdict.faults(), [], "seed {seed}");
    // Else it would not have shown much.
    assert!(
        verdict.accepted > 300 && verdict.streamed > 100 && verdict.completed > 100,
        "seed {seed}: {verdict:?}"
    );
    verdict
}

#[test]
fn a_good_network_delivers_everything_once() {
    let verdict = run(1, Storage::None, &[]);
    assert_eq!((verdict.unresolved, verdict.repeated_after_kill, verdict.gaps), (0, 0, 0));
    // Those before the client was there.
    assert!(verdict.declined < 10, "{verdict:?}");
}

#[test]
fn partitions_cost_time_and_nothing_else() {
    for seed in 1..=4 {
        let verdict = run(seed, Storage::None, &[Misfortune::Partition, Misfortune::OneWay]);
        assert_eq!((verdict.repeated_after_kill, verdict.gaps, verdict.unresolved), (0, 0, 0));
    }
}

#[test]
fn a_network_that_is_late_or_loses_messages_delivers_everything_once() {
    for seed in 1..=4 {
        let verdict = run(seed, Storage::None, &[Misfortune::Hold, Misfortune::Slow, Misfortune::Lossy]);
        assert_eq!((verdict.repeated_after_kill, verdict.gaps, verdict.unresolved), (0, 0, 0));
    }
}

#[test]
fn a_server_that_crashes_loses_nothing_that_it_took() {
    for seed in 1..=4 {
        run(seed, Storage::Memory, &[Misfortune::ServerCrash]);
    }
}

#[test]
fn a_server_with_a_file_that_crashes_loses_nothing_that_it_took() {
    for seed in 1..=2 {
        run(seed, Storage::File, &[Misfortune::ServerCrash, Misfortune::Partition]);
    }
}

#[test]
fn a_client_that_crashes_gets_what_it_had_not_acknowledged() {
    for seed in 1..=4 {
        run(seed, Storage::None, &[Misfortune::ClientCrash]);
    }
}

#[test]
fn everything_at_once() {
    for seed in 1..=6 {
        run(seed, Storage::Memory, &Misfortune::ALL);
    }
}

/// What only its memory had is gone: the judge notices, and the client says so of its stream.
#[test]
fn a_server_without_a_store_that_crashes_loses_what_it_took_and_the_client_says_so_of_its_stream() {
    let (mut lost, mut gaps) = (0, 0);
    for seed in 1..=4 {
        let verdict = World::new(seed, Storage::None).run(&[Misfortune::ServerCrash]);
        lost += verdict.lost.len();
        gaps += verdict.gaps;
        assert_eq!(Verdict { lost: Vec::new(), ..verdict }.faults(), [], "seed {seed}");
    }
    assert!(lost > 0 && gaps > 0, "{lost} {gaps}");
}

/// Messages do come again: a client that does not remember what it handled is noticed.
#[test]
fn a_client_without_a_memory_handles_messages_twice() {
    let twice = (1..=4).any(|seed| {
        let world = World::with_memory(seed, Storage::None, 0);
        !world.run(&[Misfortune::Partition]).duplicated.is_empty()
    });
    assert!(twice);
}
