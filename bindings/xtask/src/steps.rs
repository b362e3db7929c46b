//! Steps of which each needs what those before have made.

use std::time::Instant;

use crate::Result;
use crate::summary::{Counts, Outcome, Row};

/// A step and its name.
pub(crate) type Step = (&'static str, fn() -> Result<()>);

/// Runs them, for `what`, up to the first that fails.
pub(crate) fn run(what: &str, steps: &[Step]) -> Vec<Row> {
    let mut rows = Vec::new();
    for (name, step) in steps {
        println!("\n=== {what}: {name}");
        let started = Instant::now();
        let result = step();
        let failed = result.is_err();
        let counts = Counts::check(result.map_err(|error| format!("{name}: {error}")));
        rows.push(Row { name: (*name).into(), outcome: Outcome::Ran(counts), took: started.elapsed() });
        if failed {
            break;
        }
    }
    rows
}
