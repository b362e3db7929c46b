//! `cargo xtask lint`: format, clippy, rustdoc and cargo-deny. All of them run, also after a failure.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::Result;
use crate::process::{cargo, program, read, read_within, root, run, shown};
use crate::setup::cache_folder;
use crate::summary::{self, Counts, Outcome, Row};

const DENY_VERSION: &str = "0.20.2";
/// Fetching the advisories takes a few seconds where it works at all.
const ADVISORIES_LIMIT: Duration = Duration::from_secs(90);

type Step = (&'static str, fn() -> Outcome);

pub(crate) fn command() -> Result<()> {
    let steps: [Step; 6] = [
        ("fmt", || ran(run(cargo().args(["fmt", "--all", "--check"])))),
        ("fmt fuzz", format_of_fuzz_targets),
        ("clippy", || {
            ran(run(cargo().args([
                "clippy",
                "--workspace",
                "--all-targets",
                "--all-features",
                "--",
                "-D",
                "warnings",
            ])))
        }),
        ("rustdoc", || {
            ran(run(cargo()
                .args(["doc", "--workspace", "--no-deps", "--all-features"])
                .env("RUSTDOCFLAGS", "-Dwarnings")))
        }),
        (
            "deny",
            || ran(deny().and_then(|mut deny| run(deny.args(["check", "licenses", "bans", "sources"])))),
        ),
        ("deny advisories", advisories),
    ];
    let mut rows = Vec::new();
    for (name, step) in steps {
        println!("\n=== {name}");
        let started = Instant::now();
        rows.push(Row { name: name.into(), outcome: step(), took: started.elapsed() });
    }
    let total = summary::print(&rows);
    if total.failed == 0 { Ok(()) } else { Err(format!("{} of the lint steps failed", total.failed)) }
}

fn ran(result: Result<()>) -> Outcome {
    Outcome::Ran(Counts::check(result))
}

/// The fuzz targets are no member of the workspace, so `fmt --all` does not see them.
fn format_of_fuzz_targets() -> Outcome {
    let manifest = root().join("tests/fuzz/Cargo.toml");
    if !manifest.is_file() {
        return Outcome::Skipped("there is no tests/fuzz/Cargo.toml".into());
    }
    ran(run(cargo().args(["fmt", "--check", "--manifest-path"]).arg(manifest)))
}

/// cargo-deny of exactly our version: the one on the path, or one built once into the cache folder.
fn deny() -> Result<Command> {
    let tools = cache_folder().join("tools");
    let cached = tools.join("bin/cargo-deny");
    let fits = |path: &PathBuf| {
        let output = read(program(path).arg("--version"));
        output.is_ok_and(|output| output.stdout.trim() == format!("cargo-deny {DENY_VERSION}"))
    };
    let found = [PathBuf::from("cargo-deny"), cached.clone()].into_iter().find(fits);
    let path = if let Some(path) = found {
        path
    } else {
        println!("setup: cargo-deny {DENY_VERSION} into {} (once, some minutes)", tools.display());
        run(cargo()
            .args(["install", "cargo-deny", "--locked", "--version", DENY_VERSION, "--root"])
            .arg(&tools))?;
        cached
    };
    let mut deny = program(path);
    deny.arg("--manifest-path").arg(root().join("Cargo.toml")).args(["--workspace", "--all-features"]);
    Ok(deny)
}

/// The advisories come from a repository that not every machine can reach. Then they are not checked, and that is said.
fn advisories() -> Outcome {
    let mut deny = match deny() {
        Ok(deny) => deny,
        Err(error) => return ran(Err(error)),
    };
    deny.args(["check", "advisories"]);
    println!("$ {}", shown(&deny));
    let not_checked = |why: &str| {
        println!("  NOT CHECKED: {why}");
        Outcome::Skipped(format!(
            "NOT CHECKED: {why}; known vulnerabilities and yanked versions may be in use"
        ))
    };
    match read_within(&mut deny, ADVISORIES_LIMIT) {
        Err(error) => ran(Err(error)),
        Ok(None) => not_checked(&format!(
            "the advisory database did not come within {} s",
            ADVISORIES_LIMIT.as_secs()
        )),
        Ok(Some(output)) if output.success => ran(Ok(())),
        Ok(Some(output)) if fetch_failed(&output.stderr) => {
            not_checked("the advisory database could not be fetched")
        }
        Ok(Some(output)) => {
            println!("{}", output.stderr);
            ran(Err("cargo-deny found advisories".into()))
        }
    }
}

fn fetch_failed(stderr: &str) -> bool {
    stderr.contains("failed to fetch advisory database")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_failed_fetch_counts_as_not_checked() {
        assert!(fetch_failed(
            "2026 [ERROR] failed to fetch advisory database https://example.org/db: no route"
        ));
        assert!(!fetch_failed("error[vulnerability]: something bad in crate x"));
    }
}
