//! The `fuzz` suite: builds the targets of `tests/fuzz` for libFuzzer and runs each for a while.
//!
//! It does what `cargo fuzz` does, without the need to install it: coverage and address sanitizer flags for the target
//! alone, and the toolchain that has unstable flags.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::Result;
use crate::process::{Heartbeat, executables, host, program, read, root, seconds, shown};
use crate::summary::{Counts, Outcome};

const FOLDER: &str = "tests/fuzz";
const AT_ONCE: usize = 2;

/// What libFuzzer needs from the compiler: counters on every edge, and operands of comparisons.
const FLAGS: [&str; 10] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
    "-Cdebug-assertions",
    "-Coverflow-checks",
    "-Zsanitizer=address",
];

pub(crate) fn suite(limit: u32) -> Result<Outcome> {
    let names = targets(&root().join(FOLDER).join("fuzz_targets"));
    if names.is_empty() {
        return Ok(Outcome::Skipped(format!("there are no targets in {FOLDER}/fuzz_targets")));
    }
    println!("fuzz: {} targets, {limit} s each, {AT_ONCE} at a time", names.len());
    let binaries = build(&names)?;
    let queue = Mutex::new(names.into_iter().zip(binaries).collect::<VecDeque<_>>());
    let total = Mutex::new(Counts::default());
    let _heartbeat = Heartbeat::start("fuzz");
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                while let Some((name, binary)) = next() {
                    let result = fuzz(&name, &binary, limit);
                    total.lock().unwrap_or_else(PoisonError::into_inner).add(Counts::check(result));
                }
            });
        }
    });
    Ok(Outcome::Ran(total.into_inner().unwrap_or_else(PoisonError::into_inner)))
}

/// The names of `*.rs` in the folder, sorted; none when there is no such folder.
fn targets(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let sources = paths.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let mut names: Vec<String> =
        sources.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
    names.sort();
    names
}

fn build(names: &[String]) -> Result<Vec<PathBuf>> {
    let host = host()?;
    let mut command = unstable_cargo();
    command
        .args(["build", "--release", "--target", &host, "--manifest-path"])
        .arg(root().join(FOLDER).join("Cargo.toml"));
    command.args(names.iter().flat_map(|name| ["--bin", name]));
    // With --target the flags reach the targets only, not build scripts and macros.
    command.env("RUSTFLAGS", FLAGS.join(" "));
    executables(command, &names.iter().map(String::as_str).collect::<Vec<_>>())
}

/// A cargo that accepts unstable flags: nightly's, or else the stable one told to accept them.
fn unstable_cargo() -> Command {
    let toolchains =
        read(program("rustup").args(["toolchain", "list"])).map(|output| output.stdout).unwrap_or_default();
    if toolchains.lines().any(|line| line.starts_with("nightly")) {
        let mut cargo = program("rustup");
        cargo.args(["run", "nightly", "cargo"]);
        // They name the toolchain that runs this program.
        for name in ["RUSTUP_TOOLCHAIN", "CARGO", "RUSTC", "RUSTDOC"] {
            cargo.env_remove(name);
        }
        cargo
    } else {
        let mut cargo = crate::process::cargo();
        cargo.env("RUSTC_BOOTSTRAP", "1");
        cargo
    }
}

/// Runs one target. The corpus grows from run to run; committed seeds and dictionaries are used where there are any.
fn fuzz(name: &str, binary: &Path, limit: u32) -> Result<()> {
    let folder = root().join(FOLDER);
    let (corpus, artifacts) = (folder.join("corpus").join(name), folder.join("artifacts").join(name));
    for folder in [&corpus, &artifacts] {
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    let mut run = program(binary);
    run.arg(&corpus);
    let seeds = folder.join("seeds").join(name);
    if seeds.is_dir() {
        run.arg(seeds);
    }
    let dictionary = folder.join("dictionaries").join(format!("{name}.dict"));
    if dictionary.is_file() {
        run.arg(format!("-dict={}", dictionary.display()));
    }
    run.arg(format!("-artifact_prefix={}/", artifacts.display()));
    run.args([
        &format!("-max_total_time={limit}"),
        "-timeout=10",
        "-rss_limit_mb=2048",
        "-print_final_stats=1",
    ]);
    println!("$ {} (corpus {}/corpus/{name})", shown(&program(binary)), FOLDER);
    let started = Instant::now();
    let output = read(run.stdin(Stdio::null()))?;
    if output.success {
        println!("  {name}: {} ({})", statistics(&output.stderr), seconds(started));
        return Ok(());
    }
    let lines: Vec<&str> = output.stderr.lines().collect();
    println!("{}", lines[lines.len().saturating_sub(60)..].join("\n"));
    let artifact = artifact(&output.stderr).unwrap_or("(none written)");
    Err(format!("fuzz: {name} failed on {artifact}\n      replay: {} {artifact}", binary.display()))
}

/// What libFuzzer found out, from its last lines.
fn statistics(stderr: &str) -> String {
    let number = |name: &str| stderr.lines().find_map(|line| line.strip_prefix(name)).map_or("?", str::trim);
    let coverage =
        stderr.lines().rev().find_map(|line| line.split_once("cov: ")?.1.split_whitespace().next());
    let (runs, rate) = (number("stat::number_of_executed_units:"), number("stat::average_exec_per_sec:"));
    format!("{runs} runs, {rate} per second, {} edges", coverage.unwrap_or("?"))
}

fn artifact(stderr: &str) -> Option<&str> {
    stderr.lines().find_map(|line| Some(line.split_once("Test unit written to ")?.1.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
#2\tINITED cov: 10 ft: 11 corp: 1/1b exec/s: 0 rss: 30Mb
#900\tDONE   cov: 125 ft: 300 corp: 20/1Kb lim: 8 exec/s: 450 rss: 40Mb
stat::number_of_executed_units: 900
stat::average_exec_per_sec:     450
";

    #[test]
    fn statistics_are_those_of_the_end() {
        assert_eq!(statistics(LOG), "900 runs, 450 per second, 125 edges");
        assert_eq!(statistics(""), "? runs, ? per second, ? edges");
    }

    #[test]
    fn the_artifact_is_found() {
        let log = "==1==ERROR\nartifact_prefix='/x/'; Test unit written to /x/crash-0a\nBase64: \n";
        assert_eq!(artifact(log), Some("/x/crash-0a"));
        assert_eq!(artifact(LOG), None);
    }

    #[test]
    fn a_missing_folder_has_no_targets() {
        assert!(targets(Path::new("/no/such/folder")).is_empty());
    }
}
