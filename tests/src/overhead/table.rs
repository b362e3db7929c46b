//! The costs as people read them, and what they must at least save.

use super::{Cost, Way};

/// A way to send, and what it cost.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// How updates were sent.
    pub way: Way,
    /// What that cost.
    pub cost: Cost,
}

/// How much of `before` is saved with `after`, in percent.
fn saved(before: u64, after: u64) -> f64 {
    100.0 - after as f64 * 100.0 / before.max(1) as f64
}

/// How many members a full batch has, unless the configuration says otherwise.
const FULL: usize = 50;

/// What batches, in the same encoding as the first row, must save of its frames and of its overhead, in percent; full
/// ones of short updates also of all bytes. Not of those that are much longer than their overhead: batches do not make them smaller.
const BATCHES_SAVE: f64 = 50.0;

/// What is wrong with the costs; the first row is the one that others are compared with.
pub fn faults(rows: &[Row]) -> Vec<String> {
    let Some((first, others)) = rows.split_first() else { return vec!["nothing was measured".to_owned()] };
    let mut faults = Vec::new();
    for Row { way, cost } in others {
        if cost.updates != first.cost.updates {
            faults.push(format!("{}: {} updates arrived", way.name, cost.updates));
        }
        if way.batch.is_none() || way.encoding != first.way.encoding {
            continue;
        }
        let mut of = vec![
            ("frames", first.cost.frames, cost.frames),
            ("overhead", first.cost.overhead(), cost.overhead()),
        ];
        if way.positional && way.batch >= Some(FULL) {
            of.push(("bytes", first.cost.total(), cost.total()));
        }
        for (what, before, after) in of {
            let saved = saved(before, after);
            if saved < BATCHES_SAVE {
                faults.push(format!("{}: only {saved:.1} % of the {what} is saved", way.name));
            }
        }
    }
    faults
}

/// A line for every way.
pub fn table(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.way.name.chars().count()).max().unwrap_or_default();
    let mut text = format!(
        "{:width$}  {:>7}  {:>9}  {:>9}  {:>9}  {:>8}  {:>9}  {:>9}  {:>6}  {:>8}  {:>6}\n",
        "",
        "frames",
        "updates B",
        "payload B",
        "WS head B",
        "segments",
        "TCP/IP B",
        "total B",
        "frames",
        "overhead",
        "total"
    );
    for Row { way, cost } in rows {
        let first = rows.first().map_or(*cost, |row| row.cost);
        let change = |of: fn(&Cost) -> u64| match *cost == first {
            true => String::new(),
            false => format!("{:+.1}%", -saved(of(&first), of(cost))),
        };
        text.push_str(&format!(
            "{:width$}  {:>7}  {:>9}  {:>9}  {:>9}  {:>8}  {:>9}  {:>9}  {:>6}  {:>8}  {:>6}\n",
            way.name,
            cost.frames,
            cost.content,
            cost.payload,
            cost.frame_headers,
            cost.segments,
            cost.segment_headers(),
            cost.total(),
            change(|cost| cost.frames),
            change(Cost::overhead),
            change(Cost::total),
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(frames: u64, payload: u64, updates: u64) -> [Row; 2] {
        let [one, batched] = [Way::all()[0], Way::all()[1]];
        let cost =
            Cost { updates: 100, frames: 100, content: 1_000, payload: 2_000, frame_headers: 0, segments: 0 };
        [Row { way: one, cost }, Row { way: batched, cost: Cost { updates, frames, payload, ..cost } }]
    }

    #[test]
    fn batches_that_save_too_little_are_faults() {
        assert_eq!(faults(&rows(50, 1_500, 100)), [] as [String; 0]);
        for (frames, payload, updates) in [(51, 1_500, 100), (50, 1_501, 100), (50, 1_500, 99)] {
            assert_eq!(faults(&rows(frames, payload, updates)).len(), 1);
        }
        assert_eq!(faults(&[]).len(), 1);
    }

    #[test]
    fn the_table_says_what_is_saved() {
        let text = table(&rows(10, 1_100, 100));
        assert_eq!(text.matches("-90.0%").count(), 2, "{text}");
        assert!(text.contains("-45.0%"), "{text}");
        assert_eq!(text.lines().count(), 3);
    }
}
