//! Counting what ran, and the table at the end.

use std::time::Duration;

/// How many checks passed, failed and were left out, and what to say about them.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
    /// Lines for below the table.
    pub(crate) notes: Vec<String>,
}

impl Counts {
    pub(crate) fn passed(passed: usize) -> Self {
        Self { passed, ..Self::default() }
    }

    pub(crate) fn failed(note: impl Into<String>) -> Self {
        Self { failed: 1, notes: vec![note.into()], ..Self::default() }
    }

    /// One check: passed, or failed with the error as its note.
    pub(crate) fn check(result: Result<(), String>) -> Self {
        result.map_or_else(Self::failed, |()| Self::passed(1))
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.notes.extend(other.notes);
    }
}

/// How one suite or step ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    Ran(Counts),
    /// It could not run here, for this reason.
    Skipped(String),
}

/// A line of the table.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) outcome: Outcome,
    pub(crate) took: Duration,
}

/// Prints the table and the notes; returns the totals.
pub(crate) fn print(rows: &[Row]) -> Counts {
    let mut total = Counts::default();
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
    println!();
    for row in rows {
        let name = &row.name;
        let took = format!("{:.1} s", row.took.as_secs_f32());
        match &row.outcome {
            Outcome::Skipped(reason) => println!("  skipped  {name:width$}  {took:>8}  {reason}"),
            Outcome::Ran(counts) => {
                let word = if counts.failed > 0 { "FAILED" } else { "ok" };
                println!("  {word:7}  {name:width$}  {took:>8}  {}", line(counts));
                total.add(counts.clone());
            }
        }
    }
    for note in &total.notes {
        println!("  - {note}");
    }
    println!();
    total
}

/// `N passed, N failed[, N skipped]`.
pub(crate) fn line(counts: &Counts) -> String {
    let Counts { passed, failed, skipped, .. } = counts;
    match skipped {
        0 => format!("{passed} passed, {failed} failed"),
        _ => format!("{passed} passed, {failed} failed, {skipped} skipped"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_names_skips_only_when_there_are_any() {
        assert_eq!(line(&Counts::passed(3)), "3 passed, 0 failed");
        let some = Counts { passed: 1, failed: 2, skipped: 4, notes: vec![] };
        assert_eq!(line(&some), "1 passed, 2 failed, 4 skipped");
    }

    #[test]
    fn adding_keeps_every_note() {
        let mut total = Counts::check(Ok(()));
        total.add(Counts::check(Err("broken".into())));
        total.add(Counts::failed("worse"));
        assert_eq!(
            total,
            Counts { passed: 1, failed: 2, skipped: 0, notes: vec!["broken".into(), "worse".into()] }
        );
    }
}
