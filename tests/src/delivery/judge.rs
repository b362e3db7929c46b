//! What became of the promises.

use std::collections::{BTreeMap, BTreeSet};

use super::{Fact, Kind};

/// What the notes of a server and of a client come to. Lists are of numbers, and empty if all is well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Messages that the server took.
    pub accepted: usize,
    /// Messages for which it knew no recipient.
    pub declined: usize,
    /// Messages that it refused.
    pub failed: usize,
    /// Messages that were handled, each once.
    pub handled: usize,
    /// Messages that a process handled that began after another one had. The acknowledgement died with that.
    pub repeated_after_kill: usize,
    /// Messages of the stream that came.
    pub streamed: usize,
    /// Gaps that were reported.
    pub gaps: usize,
    /// Calls that were completed.
    pub completed: usize,
    /// Calls that ended with an error.
    pub unresolved: usize,
    /// Accepted and never handled.
    pub lost: Vec<u64>,
    /// Handled twice by one process.
    pub duplicated: Vec<u64>,
    /// Handled behind a later one by one process, without having been refused.
    pub reordered: Vec<u64>,
    /// Of the stream: missing in front of a message without a gap having been reported, or behind the last one.
    pub silently_missing: Vec<u64>,
    /// Of the stream: came again, or behind a later one.
    pub streamed_again: Vec<u64>,
    /// Calls that ran twice.
    pub ran_twice: Vec<u64>,
    /// Calls that were completed and did not run.
    pub invented: Vec<u64>,
}

impl Verdict {
    /// What is wrong, by name.
    pub fn faults(&self) -> Vec<(&'static str, &[u64])> {
        let all: [(&str, &[u64]); 7] = [
            ("lost", &self.lost),
            ("duplicated", &self.duplicated),
            ("reordered", &self.reordered),
            ("missing in the stream without a gap", &self.silently_missing),
            ("again in the stream", &self.streamed_again),
            ("calls that ran twice", &self.ran_twice),
            ("calls that were completed and did not run", &self.invented),
        ];
        all.into_iter().filter(|(_, numbers)| !numbers.is_empty()).collect()
    }
}

/// One process of the client.
#[derive(Default)]
struct Life {
    handled: BTreeSet<u64>,
    highest: u64,
    streamed: Option<u64>,
    gap: bool,
}

/// Compares what a server promised with what a client handled; both as they were written down, over all processes.
pub fn judge(server: &[Fact], client: &[Fact]) -> Verdict {
    let of = |facts: &[Fact], kind| -> BTreeSet<u64> {
        facts.iter().filter(|fact| fact.kind == kind).map(|fact| fact.number).collect()
    };
    let (accepted, published) = (of(server, Kind::Accepted), of(server, Kind::Published));
    // One that failed may come after others. That it failed may have been before the process that handles it began.
    let refused = of(client, Kind::Refused);
    let mut verdict = Verdict {
        accepted: accepted.len(),
        declined: of(server, Kind::Declined).len(),
        failed: of(server, Kind::Failed).len(),
        unresolved: of(client, Kind::Unresolved).len(),
        ..Verdict::default()
    };
    let mut handled = BTreeSet::new();
    let mut life = Life::default();
    for &Fact { kind, number } in client {
        match kind {
            Kind::Began => life = Life::default(),
            Kind::Handled => {
                if !life.handled.insert(number) {
                    verdict.duplicated.push(number);
                } else if !handled.insert(number) {
                    verdict.repeated_after_kill += 1;
                }
                if refused.contains(&number) {
                    continue;
                }
                if number < life.highest {
                    verdict.reordered.push(number);
                }
                life.highest = life.highest.max(number);
            }
            Kind::Gap => {
                verdict.gaps += 1;
                life.gap = true;
            }
            Kind::Streamed => {
                verdict.streamed += 1;
                match life.streamed {
                    Some(last) if number <= last => verdict.streamed_again.push(number),
                    Some(last) if !life.gap => {
                        verdict.silently_missing.extend(published.range(last + 1..number))
                    }
                    _ => {}
                }
                life.gap = false;
                life.streamed = Some(number.max(life.streamed.unwrap_or(0)));
            }
            _ => {}
        }
    }
    // Whoever is connected at the end has to be up to date.
    if !life.gap {
        verdict.silently_missing.extend(published.range(life.streamed.map_or(0, |last| last + 1)..));
    }
    verdict.handled = handled.len();
    verdict.lost = accepted.difference(&handled).copied().collect();
    let mut runs: BTreeMap<u64, usize> = BTreeMap::new();
    for fact in server.iter().filter(|fact| fact.kind == Kind::Ran) {
        *runs.entry(fact.number).or_default() += 1;
    }
    verdict.ran_twice = runs.iter().filter(|(_, times)| **times > 1).map(|(number, _)| *number).collect();
    let completed = of(client, Kind::Completed);
    verdict.completed = completed.len();
    verdict.invented = completed.into_iter().filter(|number| !runs.contains_key(number)).collect();
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(all: &[(Kind, &[u64])]) -> Vec<Fact> {
        let each = |(kind, numbers): &(Kind, &[u64])| {
            let kind = *kind;
            numbers.iter().map(move |&number| Fact { kind, number }).collect::<Vec<_>>()
        };
        all.iter().flat_map(each).collect()
    }

    #[test]
    fn what_is_well_is_well() {
        use Kind::*;
        let server = facts(&[(Accepted, &[1, 2, 3, 4]), (Published, &[1, 2, 3, 4]), (Ran, &[1, 2])]);
        let client = facts(&[
            (Began, &[0]),
            (Refused, &[1]),
            (Handled, &[2, 1, 3]),
            (Streamed, &[1]),
            (Gap, &[0]),
            (Streamed, &[3]),
            (Completed, &[1]),
            (Unresolved, &[2]),
            (Began, &[0]),
            (Handled, &[3, 4]),
            (Streamed, &[4]),
        ]);
        let verdict = judge(&server, &client);
        assert_eq!(verdict.faults(), []);
        assert_eq!((verdict.handled, verdict.repeated_after_kill, verdict.gaps), (4, 1, 1));
        assert_eq!((verdict.completed, verdict.unresolved, verdict.streamed), (1, 1, 3));
    }

    #[test]
    fn each_kind_of_wrong_is_found() {
        use Kind::*;
        let server = facts(&[(Accepted, &[1, 2, 3, 4]), (Published, &[1, 2, 3, 4, 5]), (Ran, &[1, 1])]);
        let client =
            facts(&[(Began, &[0]), (Handled, &[2, 1, 2, 4]), (Streamed, &[1, 3, 3, 4]), (Completed, &[7])]);
        let verdict = judge(&server, &client);
        assert_eq!(verdict.lost, [3]);
        assert_eq!(verdict.duplicated, [2]);
        assert_eq!(verdict.reordered, [1]);
        assert_eq!(verdict.silently_missing, [2, 5]);
        assert_eq!(verdict.streamed_again, [3]);
        assert_eq!((verdict.ran_twice.as_slice(), verdict.invented.as_slice()), (&[1][..], &[7][..]));
        assert_eq!(verdict.faults().len(), 7);
    }
}
