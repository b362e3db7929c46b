//! The `wasm` suite: the core as browsers get it, without the native codecs.

use std::process::Command;

use crate::Result;
use crate::process::{cargo, read, run, shown};
use crate::setup::{WASM_TARGET, wasm_environment};
use crate::summary::Counts;

/// What must not be in the browser's core: JavaScript decodes payloads there, and each of these costs kilobytes.
const BARRED: [&str; 19] = [
    "chrono",
    "futures-util",
    "getrandom",
    "http",
    "hyper",
    "rand",
    "regex",
    "reqwest",
    "ring",
    "rmp",
    "rmp-serde",
    "rustls",
    "serde",
    "serde_core",
    "serde_json",
    "tokio",
    "tokio-tungstenite",
    "tracing",
    "url",
];

fn core(subcommand: &[&str]) -> Result<Command> {
    let mut command = cargo();
    command.args(subcommand).args(["--package", "hubwire", "--no-default-features", "--target", WASM_TARGET]);
    command.envs(wasm_environment()?);
    Ok(command)
}

pub(crate) fn suite() -> Result<Counts> {
    let mut counts = Counts::check(run(&mut core(&["build", "--lib"])?));
    counts.add(clippy()?);
    let tree = core(&["tree", "--edges", "normal", "--prefix", "none", "--format", "{p}"])?;
    counts.add(Counts::check(check_dependencies(tree)));
    Ok(counts)
}

/// Lints the core alone, then the binding with the driver for browsers: the linters of the whole workspace see neither.
fn clippy() -> Result<Counts> {
    // The last resort of wasm-target.sh builds with a compiler of Debian's, whose library clippy cannot read.
    if wasm_environment()?.iter().any(|(name, _)| name == "RUSTC") {
        let note = "wasm: not linted, the standard library for wasm32 is of another compiler".to_owned();
        return Ok(Counts { skipped: 1, notes: vec![note], ..Counts::default() });
    }
    let mut counts = Counts::check(run(core(&["clippy", "--lib"])?.args(["--", "-D", "warnings"])));
    let binding = ["--package", "hubwire-web", "--lib", "--target", WASM_TARGET];
    let mut clippy = cargo();
    clippy.arg("clippy").args(binding).args(["--", "-D", "warnings"]).envs(wasm_environment()?);
    counts.add(Counts::check(run(&mut clippy)));
    let mut doc = cargo();
    doc.args(["doc", "--no-deps"]).args(binding).env("RUSTDOCFLAGS", "-Dwarnings").envs(wasm_environment()?);
    counts.add(Counts::check(run(&mut doc)));
    Ok(counts)
}

/// Fails when something is among the dependencies that must not be in a browser.
pub(crate) fn check_dependencies(mut tree: Command) -> Result<()> {
    println!("$ {}", shown(&tree));
    let output = read(&mut tree)?;
    if !output.success {
        return Err(format!("cargo tree failed: {}", output.stderr.trim()));
    }
    let packages = packages(&output.stdout);
    println!("  {}", packages.join(", "));
    let barred: Vec<&str> = packages.into_iter().filter(|name| BARRED.contains(name)).collect();
    if barred.is_empty() {
        Ok(())
    } else {
        Err(format!("the core for browsers depends on {}", barred.join(", ")))
    }
}

/// The names in `name v1.2.3 …` lines, each once.
fn packages(tree: &str) -> Vec<&str> {
    let mut names: Vec<&str> = tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_come_out_of_the_tree_once() {
        let tree = "hubwire v0.1.0 (/x/sdk-core)\nbytes v1.12.0\nbytestring v1.5.0\nbytes v1.12.0 (*)\n";
        assert_eq!(packages(tree), ["bytes", "bytestring", "hubwire"]);
    }

    #[test]
    fn the_barred_names_are_sorted() {
        assert!(BARRED.is_sorted());
    }
}
