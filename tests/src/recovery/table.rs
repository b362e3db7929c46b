//! The results as people read them.

use std::fmt::Write;
use std::time::Duration;

use super::{Outcome, Result, Scenario};

const COLUMNS: [&str; 10] = [
    "failure",
    "lasted",
    "noticed after",
    "tries",
    "recovered after",
    "limit",
    "calls",
    "unknown",
    "lost",
    "",
];

/// A line for every scenario.
pub fn aligned(rows: &[(&Scenario, Result<Outcome>)]) -> String {
    let cells = rows.iter().map(|(scenario, outcome)| cells(scenario, outcome));
    let lines: Vec<[String; 10]> = std::iter::once(COLUMNS.map(str::to_owned)).chain(cells).collect();
    let widths: [usize; 10] = std::array::from_fn(|column| {
        lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0)
    });
    let mut text = String::new();
    for line in &lines {
        let mut row = String::new();
        for (column, (cell, width)) in line.iter().zip(widths).enumerate() {
            // Only words begin at the left.
            let _ = match column {
                0 => write!(row, "{cell:width$}"),
                9 => write!(row, "  {cell}"),
                _ => write!(row, "  {cell:>width$}"),
            };
        }
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text
}

fn cells(scenario: &Scenario, outcome: &Result<Outcome>) -> [String; 10] {
    let seconds = |time: Duration| format!("{:.1} s", time.as_secs_f64());
    let limit = format!("{} s", scenario.limit.as_secs());
    let name = scenario.name.to_owned();
    let none = || "–".to_owned();
    let Ok(outcome) = outcome else {
        let [a, b, c, d] = std::array::from_fn(|_| none());
        let [e, f, g] = std::array::from_fn(|_| none());
        return [name, a, b, c, d, limit, e, f, g, "FAILED".to_owned()];
    };
    let verdict = if scenario.faults(outcome).is_empty() { scenario.note.unwrap_or("") } else { "FAILED" };
    [
        name,
        seconds(outcome.lasted),
        outcome.noticed.map_or_else(none, seconds),
        outcome.tries.to_string(),
        seconds(outcome.recovered),
        limit,
        outcome.calls.to_string(),
        outcome.unknown.to_string(),
        outcome.lost.len().to_string(),
        verdict.to_owned(),
    ]
}
