//! `cargo xtask test`: which suites there are, what each needs, and the verdict.

use std::time::{Duration, Instant};

use crate::process::{Output, cargo, in_ci, run_and_read};
use crate::setup::Need;
use crate::summary::{self, Counts, Outcome, Row};
use crate::{Result, delivery, demo, fuzz, interop, kotlin, node, recovery, sim, swift, vectors, wasm, web};

struct Suite {
    name: &'static str,
    about: &'static str,
    needs: &'static [Need],
    run: fn(&Options) -> Result<Outcome>,
}

/// Linking a test program takes more than a gigabyte, so more jobs need more memory than most machines have to spare.
pub(crate) const JOBS: &str = "-j2";

const SUITES: [Suite; 13] = [
    Suite {
        name: "rust",
        about: "unit, integration and doc tests of the workspace",
        needs: &[Need::Tinyproxy],
        run: |_| rust().map(Outcome::Ran),
    },
    Suite {
        name: "wasm",
        about: "the core for browsers: builds, lints, and has no codec in it",
        needs: &[Need::WasmTarget],
        run: |_| wasm::suite().map(Outcome::Ran),
    },
    Suite {
        name: "vectors",
        about: "the golden vectors are what the generator writes",
        needs: &[Need::Npm("tests/vectors/generate")],
        run: |_| vectors::check().map(Outcome::Ran),
    },
    Suite {
        name: "interop",
        about: "clients of others with our server, our client with a server of others",
        needs: &[
            Need::Npm("tests/interop/ts"),
            Need::Maven,
            Need::Python,
            Need::Go("go-client"),
            Need::Go("go-server"),
        ],
        run: |_| interop::suite().map(Outcome::Ran),
    },
    Suite {
        name: "recovery",
        about: "clients come back from scripted failures and from being killed, and are still when idle",
        needs: &[],
        run: |_| recovery::suite().map(Outcome::Ran),
    },
    Suite {
        name: "sim",
        about: "two million simulated messages with every fault: none lost, repeated, reordered or missing in silence",
        needs: &[],
        run: |_| sim::suite().map(Outcome::Ran),
    },
    Suite {
        name: "delivery",
        about: "messages arrive once and in order, in simulated networks and between processes that are killed",
        needs: &[],
        run: |options| delivery::suite(options.seconds).map(Outcome::Ran),
    },
    Suite {
        name: "web",
        about: "the browser package: builds, is small enough, works in Chromium and in the bundlers",
        needs: web::NEEDS,
        run: |_| web::suite().map(Outcome::Ran),
    },
    Suite {
        name: "node",
        about: "the Node package: builds, and works in processes and worker threads",
        needs: node::NEEDS,
        run: |_| node::suite().map(Outcome::Ran),
    },
    Suite {
        name: "kotlin",
        about: "the Kotlin library: builds, is small enough, works on the JVM, and has what Android needs",
        needs: kotlin::NEEDS,
        run: |_| kotlin::suite().map(Outcome::Ran),
    },
    Suite {
        name: "swift",
        about: "the Swift package: builds, and works on this system",
        needs: swift::NEEDS,
        run: |_| swift::suite().map(Outcome::Ran),
    },
    Suite {
        name: "fuzz",
        about: "each fuzz target for a while",
        needs: &[],
        run: |options| fuzz::suite(options.seconds),
    },
    Suite {
        name: "demo",
        about: "the demo finds everything it expects",
        needs: &[],
        run: |_| demo::check().map(Outcome::Ran),
    },
];

#[derive(Debug, PartialEq, Eq)]
struct Options {
    suites: Vec<&'static str>,
    /// For the suites that can go on for any time.
    seconds: u32,
}

pub(crate) fn list() -> String {
    SUITES.iter().map(|suite| format!("  {:8}  {}", suite.name, suite.about)).collect::<Vec<_>>().join("\n")
}

fn options(args: &[String]) -> Result<Options> {
    let mut found = Options { suites: Vec::new(), seconds: 60 };
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        if arg == "--seconds" {
            let value = rest.next().ok_or("--seconds needs a number")?;
            found.seconds = value
                .parse()
                .ok()
                .filter(|&n| n > 0)
                .ok_or_else(|| format!("--seconds: \"{value}\" is not a number of seconds"))?;
            continue;
        }
        let suite = SUITES.iter().find(|suite| suite.name == arg);
        let suite =
            suite.ok_or_else(|| format!("there is no suite \"{arg}\"; the suites are\n{}", list()))?;
        if !found.suites.contains(&suite.name) {
            found.suites.push(suite.name);
        }
    }
    if found.suites.is_empty() {
        found.suites = SUITES.iter().map(|suite| suite.name).collect();
    }
    Ok(found)
}

pub(crate) fn command(args: &[String]) -> Result<()> {
    let options = options(args)?;
    println!("test: {}", options.suites.join(", "));
    let chosen: Vec<&Suite> = SUITES.iter().filter(|suite| options.suites.contains(&suite.name)).collect();
    // All setup comes first, so that a missing tool is known before the long suites run.
    let missing: Vec<Option<String>> = chosen.iter().map(|suite| missing(suite)).collect();
    let rows: Vec<Row> = chosen
        .iter()
        .zip(missing)
        .map(|(suite, missing)| match missing {
            Some(reason) => {
                Row { name: suite.name.into(), outcome: Outcome::Skipped(reason), took: Duration::ZERO }
            }
            None => run_suite(suite, &options),
        })
        .collect();
    verdict(&rows, in_ci())
}

/// What a suite cannot do without here.
fn missing(suite: &Suite) -> Option<String> {
    suite.needs.iter().find_map(|need| {
        let reason = need.provide().err()?;
        if !need.is_optional() || in_ci() {
            return Some(reason);
        }
        println!("setup: {reason}; suite {} goes on without it", suite.name);
        None
    })
}

fn run_suite(suite: &Suite, options: &Options) -> Row {
    println!("\n=== {}: {}", suite.name, suite.about);
    let started = Instant::now();
    let outcome = (suite.run)(options)
        .unwrap_or_else(|error| Outcome::Ran(Counts::failed(format!("{}: {error}", suite.name))));
    Row { name: suite.name.into(), outcome, took: started.elapsed() }
}

/// Prints the table; the last line is `N passed, N failed[, N skipped]`.
fn verdict(rows: &[Row], strict: bool) -> Result<()> {
    let mut total = summary::print(rows);
    for row in rows {
        if let (Outcome::Skipped(reason), name) = (&row.outcome, &row.name) {
            println!("suite {name} was skipped: {reason}");
            if strict {
                total.failed += 1;
            } else {
                total.skipped += 1;
            }
        }
    }
    println!("{}", summary::line(&total));
    if total.failed == 0 { Ok(()) } else { Err(String::new()) }
}

fn rust() -> Result<Counts> {
    let output =
        run_and_read(cargo().args(["test", "--workspace", "--all-features", "--no-fail-fast", JOBS]))?;
    Ok(test_counts(&output, "rust"))
}

/// What a `cargo test` of a suite has counted.
pub(crate) fn test_counts(output: &Output, suite: &str) -> Counts {
    let mut counts = test_results(&output.stdout, suite);
    if !output.success && counts.failed == 0 {
        let note = format!("{suite}: a test program did not compile or did not end by itself");
        counts.add(Counts::failed(note));
    }
    counts
}

/// Adds up the `test result:` lines of cargo, and names what failed.
fn test_results(text: &str, suite: &str) -> Counts {
    let mut counts = Counts::default();
    for line in text.lines() {
        if let Some(result) = line.strip_prefix("test result: ") {
            let number = |what: &str| {
                let words: Vec<&str> =
                    result.split([' ', ';', '.']).filter(|word| !word.is_empty()).collect();
                words
                    .windows(2)
                    .find(|pair| pair[1] == what)
                    .and_then(|pair| pair[0].parse().ok())
                    .unwrap_or(0)
            };
            counts.passed += number("passed");
            counts.failed += number("failed");
            counts.skipped += number("ignored");
        } else if let Some(name) =
            line.strip_prefix("test ").and_then(|line| line.strip_suffix(" ... FAILED"))
        {
            counts.notes.push(format!("{suite}: {name}"));
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn no_suite_named_means_all() {
        assert_eq!(options(&[]).unwrap().suites.len(), SUITES.len());
    }

    #[test]
    fn an_unknown_suite_is_refused_with_the_list() {
        let error = options(&words("rust vektors")).unwrap_err();
        assert!(
            error.contains("vektors") && SUITES.iter().all(|suite| error.contains(suite.name)),
            "{error}"
        );
    }

    #[test]
    fn suites_and_seconds_in_any_order() {
        let want = Options { suites: vec!["fuzz", "rust"], seconds: 5 };
        assert_eq!(options(&words("fuzz --seconds 5 rust fuzz")), Ok(want));
        assert!(options(&words("--seconds 0")).is_err());
        assert!(options(&words("--seconds")).is_err());
    }

    #[test]
    fn results_of_all_test_programs_are_added() {
        let text = "\
test a ... ok
test b::c ... FAILED
test result: FAILED. 12 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.00s
test result: ok. 30 passed; 0 failed; 0 ignored; 0 measured; 4 filtered out; finished in 1.23s
";
        let want = Counts { passed: 42, failed: 1, skipped: 2, notes: vec!["rust: b::c".into()] };
        assert_eq!(test_results(text, "rust"), want);
    }

    #[test]
    fn a_skipped_suite_fails_only_when_strict() {
        let rows = || {
            [Row {
                name: "wasm".into(),
                outcome: Outcome::Skipped("no toolchain".into()),
                took: Duration::ZERO,
            }]
        };
        assert!(verdict(&rows(), false).is_ok());
        assert!(verdict(&rows(), true).is_err());
    }
}
