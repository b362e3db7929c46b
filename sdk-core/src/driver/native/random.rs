//! Randomness of the machine: for seeds, and for names that nobody must guess.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Any number, each as likely as the others.
pub(super) fn number() -> u64 {
    let mut bytes = [0; 8];
    match getrandom::fill(&mut bytes) {
        Ok(()) => u64::from_ne_bytes(bytes),
        // Without a source of the machine: the standard library's keys for hash tables are the next best.
        Err(_) => RandomState::new().build_hasher().finish(),
    }
}

/// The name of a client, or of a store, by which servers recognise its calls: 128 bits, as whoever knows it could stop
/// calls of that client by making them first.
pub(super) fn client_id(high: u64, low: u64) -> String {
    format!("{high:016x}{low:016x}")
}
