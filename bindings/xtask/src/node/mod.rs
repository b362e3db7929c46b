//! `cargo xtask node`: the npm package `@hubwire/node`, from the crate to what is published. Also its tests and its
//! measurements.

mod packaging;
mod suite;
mod worker;

use std::fs;
use std::path::PathBuf;

use crate::Result;
use crate::process::{cargo, program, read, root, run};
use crate::setup::{Need, target_folder};
use crate::steps::{self, Step};
use crate::suites::JOBS;
use crate::summary::{self, Row};

pub(crate) use self::suite::{NEEDS, suite};

pub(crate) const PACKAGE: &str = "bindings/node";

/// How the native module is compiled.
const PROFILE: &str = "node";

/// Each needs what those before have made.
const STEPS: [Step; 4] =
    [("compile", compile), ("types", types), ("bundle", bundle), ("native module", native_module)];

fn folder() -> PathBuf {
    root().join(PACKAGE)
}

pub(crate) fn command(args: &[String]) -> Result<()> {
    if let Some(other) = args.first() {
        return Err(format!("node takes no arguments, not \"{other}\""));
    }
    Need::Npm(PACKAGE).provide()?;
    if summary::print(&build()).failed > 0 {
        return Err("the package is not built".into());
    }
    println!("node: {PACKAGE}/dist is ready");
    Ok(())
}

/// `cargo xtask bench node`: what messages cost beside the official client. Slow machines are no failure.
pub(crate) fn bench(args: &[String]) -> Result<()> {
    command(&[])?;
    println!("bench: some minutes; other programs disturb it");
    run(program("node").arg(folder().join("test/bench/run.mjs")).args(args))
}

/// Builds `dist`, and stops at the first step that fails.
fn build() -> Vec<Row> {
    steps::run("node", &STEPS)
}

fn compile() -> Result<()> {
    let mut build = cargo();
    run(build.args(["build", "--package", "hubwire-node", "--lib", "--profile", PROFILE, JOBS]))
}

fn types() -> Result<()> {
    // It may not be there yet; what else can be wrong, the compiler says.
    let _ = fs::remove_dir_all(folder().join("dist"));
    let tsc = folder().join("node_modules/.bin/tsc");
    run(program(tsc).current_dir(folder()).args(["--project", "tsconfig.json"]))
}

fn bundle() -> Result<()> {
    run(program("node").arg(folder().join("scripts/bundle.mjs")))
}

/// Puts the library where the package looks for it: `hubwire.<platform>.node`.
fn native_module() -> Result<()> {
    let platform = read(program("node").arg(folder().join("scripts/platform.mjs")))?;
    if !platform.success {
        return Err(format!("this platform has no name: {}", platform.stderr));
    }
    let library = format!("{}hubwire_node{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let library = target_folder().join(PROFILE).join(library);
    let module = folder().join(format!("dist/hubwire.{}.node", platform.stdout.trim()));
    let bytes = fs::copy(&library, &module).map_err(|error| format!("{}: {error}", library.display()))?;
    println!("  {}: {} kB", module.display(), bytes / 1_000);
    Ok(())
}
