//! The list of scenarios that every package shows to work: what a suite says of them, and whether one is missing.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::Result;
use crate::process::{Output, root};
use crate::summary::Counts;

const LIST: &str = "tests/scenarios/scenarios.json";

/// What languages test beside the list begins with this.
const OWN: &str = "own.";

fn list() -> Result<Vec<Value>> {
    let text = fs::read_to_string(root().join(LIST)).map_err(|error| format!("{LIST}: {error}"))?;
    let list: Value = serde_json::from_str(&text).map_err(|error| format!("{LIST}: {error}"))?;
    let list = list["scenarios"].as_array().filter(|list| !list.is_empty());
    Ok(list.ok_or_else(|| format!("{LIST} has no scenarios"))?.clone())
}

fn id(scenario: &Value) -> String {
    scenario["id"].as_str().unwrap_or_default().to_owned()
}

/// Counts `ok ID`, `FAIL ID: reason` and `skip ID: reason`, and what is missing of the list or unknown to it.
pub(crate) fn counted(language: &str, output: &Output) -> Result<Counts> {
    let ids = list()?.iter().map(id).collect();
    Ok(count(language, &ids, output))
}

/// The same of tests beside the list.
pub(crate) fn counted_own(language: &str, output: &Output) -> Counts {
    count(language, &BTreeSet::new(), output)
}

fn count(language: &str, ids: &BTreeSet<String>, output: &Output) -> Counts {
    let mut counts = Counts::default();
    let mut ran = BTreeSet::new();
    for line in output.stdout.lines() {
        let Some((verdict, rest)) = line.split_once(' ') else { continue };
        // A line of a verdict has a name and nothing, or a name and a reason.
        let (name, reason) = rest.split_once(": ").unwrap_or((rest, ""));
        if name.is_empty() || name.contains(' ') {
            continue;
        }
        match verdict {
            "ok" => counts.passed += 1,
            "FAIL" => counts.add(Counts::failed(format!("{language}: {name}: {reason}"))),
            "skip" => {
                counts.skipped += 1;
                counts.notes.push(format!("{language}: not run: {name}: {reason}"));
            }
            _ => continue,
        }
        ran.insert(name.to_owned());
    }
    for missing in ids.difference(&ran) {
        counts.add(Counts::failed(format!("{language}: the scenario {missing} was not run")));
    }
    for unknown in ran.difference(ids).filter(|name| !name.starts_with(OWN)) {
        counts.add(Counts::failed(format!("{language}: {unknown} is not in {LIST}")));
    }
    if !output.success && counts.failed == 0 {
        counts.add(Counts::failed(format!("{language}: the tests did not come to their end")));
    }
    counts
}

/// The tests of TypeScript have names of their own, which the list has: each of them must have passed.
pub(crate) fn in_typescript(output: &Output) -> Result<Counts> {
    Ok(named(&list()?, output))
}

fn named(list: &[Value], output: &Output) -> Counts {
    let passed: BTreeSet<&str> = output
        .stdout
        .lines()
        .filter_map(|line| line.strip_prefix("pass  "))
        .map(|line| line.rsplit_once("  (").map_or(line, |(name, _)| name))
        .collect();
    let mut counts = Counts::default();
    for scenario in list {
        let (id, test) = (id(scenario), &scenario["typescript"]);
        match (test.as_str(), test["not"].as_str()) {
            (Some(name), _) if passed.contains(name) => {}
            (Some(name), _) => {
                counts.add(Counts::failed(format!("typescript: the scenario {id} has not passed: {name}")));
            }
            (None, Some(_)) => {}
            (None, None) => counts.add(Counts::failed(format!("typescript: the scenario {id} has no test"))),
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn output(stdout: &str) -> Output {
        Output { success: true, stdout: stdout.into(), stderr: String::new() }
    }

    fn ids() -> BTreeSet<String> {
        ["a", "b.c"].map(String::from).into()
    }

    #[test]
    fn all_of_the_list_and_more() {
        let text = "ok a\nok to be true\nskip b.c: no network\nok own.d\n2 passed, 0 failed\n";
        let counts = count("swift", &ids(), &output(text));
        assert_eq!((counts.passed, counts.failed, counts.skipped), (2, 0, 1));
        assert_eq!(counts.notes, ["swift: not run: b.c: no network"]);
    }

    #[test]
    fn what_failed_or_is_missing_or_unknown_is_named() {
        let counts = count("kotlin", &ids(), &output("FAIL a: 1: is not 2\nok e\n"));
        assert_eq!(counts.failed, 3);
        let text = counts.notes.join("\n");
        assert!(
            text.contains("a: 1: is not 2") && text.contains("b.c was not run") && text.contains("e is not")
        );
    }

    #[test]
    fn names_of_typescript() {
        let list = [
            json!({"id": "a", "typescript": "x.mjs > y"}),
            json!({"id": "b", "typescript": {"not": "one thread"}}),
            json!({"id": "c"}),
            json!({"id": "d", "typescript": "x.mjs > z"}),
        ];
        let counts = named(&list, &output("pass  x.mjs > y  (3 ms)\nfail  x.mjs > z  (3 ms)\n"));
        assert_eq!(counts.failed, 2, "{:?}", counts.notes);
    }

    #[test]
    fn the_list_is_one() {
        let list = list().unwrap();
        let ids: BTreeSet<String> = list.iter().map(id).collect();
        assert_eq!(ids.len(), list.len(), "ids are unique");
        assert!(
            list.iter().all(|scenario| scenario["what"].is_string() && !scenario["typescript"].is_null())
        );
    }
}
