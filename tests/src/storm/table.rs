//! The results as people read them.

use std::fmt::Write;
use std::time::Duration;

use super::tally::Tally;

const COLUMNS: [&str; 7] =
    ["policy", "peak tries/s", "peak back/s", "wasted/client", "back p50", "back p99", "gave up"];

/// One line of a table.
#[derive(Clone, Debug)]
pub struct Row {
    /// The name of the policy.
    pub name: &'static str,
    /// What it did.
    pub tally: Tally,
}

impl Row {
    fn cells(&self) -> [String; 7] {
        let tally = &self.tally;
        let seconds = |time: Option<Duration>| {
            time.map_or_else(|| "–".to_owned(), |time| format!("{:.1} s", time.as_secs_f64()))
        };
        [
            self.name.to_owned(),
            grouped(tally.peak_attempts()),
            grouped(tally.peak_successes()),
            format!("{:.1}", tally.wasted()),
            seconds(tally.time_back(0.5)),
            seconds(tally.time_back(0.99)),
            format!("{:.0} %", tally.gave_up() * 100.0),
        ]
    }
}

/// For a terminal.
pub fn aligned(rows: &[Row]) -> String {
    let lines = lines(rows);
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 7] = std::array::from_fn(width);
    let mut text = String::new();
    for line in &lines {
        for (column, (cell, width)) in line.iter().zip(widths).enumerate() {
            // Only names begin at the left.
            let _ = match column {
                0 => write!(text, "{cell:width$}"),
                _ => write!(text, "  {cell:>width$}"),
            };
        }
        text.push('\n');
    }
    text
}

/// For a page on GitHub.
pub fn markdown(rows: &[Row]) -> String {
    let mut lines = lines(rows).into_iter().map(|line| format!("| {} |\n", line.join(" | ")));
    let head = lines.next().unwrap_or_default();
    format!("{head}|---|{}\n{}", "---:|".repeat(COLUMNS.len() - 1), lines.collect::<String>())
}

fn lines(rows: &[Row]) -> Vec<[String; 7]> {
    std::iter::once(COLUMNS.map(str::to_owned)).chain(rows.iter().map(Row::cells)).collect()
}

/// With a comma before every third digit.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_digits() {
        let groups = [0, 7, 999, 1_000, 102_000, 1_000_000].map(grouped);
        assert_eq!(groups, ["0", "7", "999", "1,000", "102,000", "1,000,000"]);
    }

    #[test]
    fn both_forms_have_a_line_for_every_row() {
        let row = |name| Row { name, tally: Tally::new(1, Duration::ZERO) };
        let rows = [row("a"), row("a longer one")];
        let text = aligned(&rows);
        let widths: Vec<usize> = text.lines().map(|line| line.chars().count()).collect();
        assert_eq!(widths, [widths[0]; 3], "{text}");
        let page = markdown(&rows);
        assert_eq!(page.lines().count(), 4);
        assert!(page.lines().all(|line| line.matches('|').count() == COLUMNS.len() + 1), "{page}");
    }
}
