//! What it came to, as people read it.

use std::fmt;
use std::time::Duration;

use super::{Noted, Verdict};

/// What was done to the peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Harm {
    Cut,
    ServerKilled,
    ClientKilled,
}

impl fmt::Display for Harm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cut => "connection cut",
            Self::ServerKilled => "server killed",
            Self::ClientKilled => "client killed",
        })
    }
}

/// When it was done, in microseconds of the Unix epoch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blow {
    pub(super) harm: Harm,
    pub(super) at: u64,
}

/// The first of them, and how many there are.
pub(super) fn some(numbers: &[u64]) -> String {
    let first: Vec<String> = numbers.iter().take(10).map(u64::to_string).collect();
    format!("{} ({}{})", numbers.len(), first.join(", "), if numbers.len() > 10 { ", …" } else { "" })
}

pub(super) fn verdict(verdict: &Verdict) -> String {
    let lines = [
        ("messages accepted", verdict.accepted),
        ("messages declined: no recipient was known", verdict.declined),
        ("messages refused by the server", verdict.failed),
        ("messages handled", verdict.handled),
        ("repeated after kill, to a new process", verdict.repeated_after_kill),
        ("lost", verdict.lost.len()),
        ("duplicated", verdict.duplicated.len()),
        ("reordered", verdict.reordered.len()),
        ("stream: messages that came", verdict.streamed),
        ("stream: gaps that were reported", verdict.gaps),
        ("stream: missing without a gap", verdict.silently_missing.len()),
        ("stream: again or out of order", verdict.streamed_again.len()),
        ("calls completed", verdict.completed),
        ("calls with an error, outcome unknown", verdict.unresolved),
        ("calls that ran twice", verdict.ran_twice.len()),
        ("calls completed that did not run", verdict.invented.len()),
    ];
    let mut text = String::new();
    for (what, count) in lines {
        text.push_str(&format!("{what:44}  {count:>7}\n"));
    }
    text
}

/// How soon the client handled messages again.
pub(super) fn recoveries(blows: &[Blow], notes: &[Noted]) -> String {
    let mut text =
        format!("{:16}{:>6}  {:>8}  {:>8}  {:>8}\n", "back after", "times", "median", "p99", "max");
    for harm in [Harm::Cut, Harm::ServerKilled, Harm::ClientKilled] {
        let of = blows.iter().filter(|blow| blow.harm == harm);
        let mut times: Vec<Duration> = of.filter_map(|blow| blow.recovery(notes)).collect();
        times.sort_unstable();
        let cell = |time: Option<Duration>| match time {
            Some(time) => format!("{:.0} ms", time.as_secs_f64() * 1_000.0),
            None => "–".to_owned(),
        };
        let (median, p99, max) = (at(&times, 50), at(&times, 99), times.last().copied());
        let (harm, [median, p99, max]) = (harm.to_string(), [median, p99, max].map(cell));
        text.push_str(&format!("{harm:16}{:>6}  {median:>8}  {p99:>8}  {max:>8}\n", times.len()));
    }
    text
}

/// The smallest of the sorted times that so many percent are not above.
fn at(sorted: &[Duration], percent: usize) -> Option<Duration> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::super::{Fact, Kind};
    use super::*;

    #[test]
    fn a_recovery_ends_with_the_first_message_over_a_new_connection() {
        let noted = |at, kind| Noted { at, fact: Fact { kind, number: 1 } };
        let notes = [
            noted(1_000, Kind::Connected),
            noted(2_000, Kind::Handled),
            // Still in the client when its connection was cut.
            noted(3_500, Kind::Handled),
            noted(8_000, Kind::Connected),
            noted(8_500, Kind::Streamed),
            noted(9_000, Kind::Handled),
        ];
        let cut = |at| Blow { harm: Harm::Cut, at };
        assert_eq!(cut(3_000).recovery(&notes), Some(Duration::from_millis(6)));
        assert_eq!(cut(8_000).recovery(&notes), None);
        let text = recoveries(&[cut(3_000), cut(8_000)], &notes);
        assert!(text.contains("6 ms") && text.contains("–"), "{text}");
    }

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let times: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!(at(&times, 50), Some(Duration::from_millis(100)));
        assert_eq!(at(&times, 99), Some(Duration::from_millis(198)));
        assert_eq!(at(&times[..1], 50), Some(Duration::from_millis(1)));
        assert_eq!(at(&[], 50), None);
    }

    #[test]
    fn long_lists_are_cut() {
        assert_eq!(some(&[1, 2]), "2 (1, 2)");
        assert!(some(&[7; 11]).ends_with("7, …)"));
    }
}
