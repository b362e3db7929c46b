//! The results as people read them.

use std::fmt::Write;
use std::time::Duration;

use super::{Outcome, Result, Scenario};

const COLUMNS: [&str; 11] = [
    "failure",
    "lasted",
    "noticed",
    "tries",
    "first back",
    "last back",
    "limit",
    "calls",
    "unknown",
    "lost",
    "",
];

/// A scenario, and what its clients went through.
#[derive(Debug)]
pub struct Row<'a> {
    /// The scenario.
    pub scenario: &'a Scenario,
    /// The worst of it, unless a client never came back.
    pub worst: Option<Outcome>,
    /// The shortest time to recover.
    pub fastest: Duration,
    /// What is wrong.
    pub faults: Vec<String>,
}

impl<'a> Row<'a> {
    /// One scenario for several clients.
    pub fn new(scenario: &'a Scenario, outcomes: Vec<Result<Outcome>>) -> Self {
        let faults = outcomes.iter().flat_map(|outcome| match outcome {
            Ok(outcome) => scenario.faults(outcome),
            Err(error) => vec![error.clone()],
        });
        let faults = faults.map(|fault| format!("{}: {fault}", scenario.name)).collect();
        let fastest = outcomes.iter().flatten().map(|outcome| outcome.recovered).min().unwrap_or_default();
        let all: Result<Vec<Outcome>> = outcomes.into_iter().collect();
        let worst = all.ok().and_then(|outcomes| outcomes.into_iter().reduce(Outcome::worst));
        Self { scenario, worst, fastest, faults }
    }

    fn cells(&self) -> [String; 11] {
        let seconds = |time: Duration| format!("{:.1} s", time.as_secs_f64());
        let none = || "–".to_owned();
        let of = |cell: &dyn Fn(&Outcome) -> String| self.worst.as_ref().map_or_else(none, cell);
        let verdict = if self.faults.is_empty() { self.scenario.note.unwrap_or("") } else { "FAILED" };
        [
            self.scenario.name.to_owned(),
            of(&|outcome| seconds(outcome.lasted)),
            of(&|outcome| outcome.noticed.map_or_else(none, seconds)),
            of(&|outcome| outcome.tries.to_string()),
            of(&|_| seconds(self.fastest)),
            of(&|outcome| seconds(outcome.recovered)),
            format!("{} s", self.scenario.limit.as_secs()),
            of(&|outcome| outcome.calls.to_string()),
            of(&|outcome| outcome.unknown.to_string()),
            of(&|outcome| outcome.lost.len().to_string()),
            verdict.to_owned(),
        ]
    }
}

/// A line for every scenario.
pub fn aligned(rows: &[Row<'_>]) -> String {
    let lines: Vec<[String; 11]> =
        std::iter::once(COLUMNS.map(str::to_owned)).chain(rows.iter().map(Row::cells)).collect();
    let widths: [usize; 11] = std::array::from_fn(|column| {
        lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0)
    });
    let mut text = String::new();
    for line in &lines {
        let mut row = String::new();
        for (column, (cell, width)) in line.iter().zip(widths).enumerate() {
            // Only words begin at the left.
            let _ = match column {
                0 => write!(row, "{cell:width$}"),
                10 => write!(row, "  {cell}"),
                _ => write!(row, "  {cell:>width$}"),
            };
        }
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recovery::all;

    fn outcome(recovered: u64, tries: u64) -> Outcome {
        let [lasted, recovered] = [1, recovered].map(Duration::from_secs);
        Outcome { lasted, noticed: None, tries, recovered, calls: 7, unknown: 1, lost: Vec::new() }
    }

    #[test]
    fn a_row_shows_the_worst_client_and_fails_with_it() {
        let scenarios = all();
        let scenario = &scenarios[0];
        let row = Row::new(scenario, vec![Ok(outcome(2, 1)), Ok(outcome(29, 3))]);
        assert_eq!(row.faults, [] as [String; 0]);
        let text = aligned(&[row]);
        assert!(text.contains("2.0 s") && text.contains("29.0 s") && text.contains(" 14 "), "{text}");
        let lost = Outcome { lost: vec!["a call".to_owned()], ..outcome(2, 1) };
        let failures: [Result<Outcome>; 5] = [
            Ok(outcome(31, 1)),
            Ok(outcome(2, 0)),
            Ok(outcome(2, 99)),
            Ok(lost),
            Err("never came back".to_owned()),
        ];
        for failure in failures {
            let row = Row::new(scenario, vec![Ok(outcome(2, 1)), failure]);
            assert_eq!(row.faults.len(), 1, "{row:?}");
            let text = aligned(&[row]);
            assert!(text.contains("FAILED"), "{text}");
        }
    }
}
