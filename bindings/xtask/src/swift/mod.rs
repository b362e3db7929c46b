//! `cargo xtask swift`: the Swift package, with what is generated where SwiftPM looks for it. Also its tests.

mod apple;
mod snippets;

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::native;
use crate::process::{Heartbeat, build_binaries, program, root, run, run_and_read};
use crate::scenarios;
use crate::setup::{Need, swift_program, target_folder};
use crate::steps::{self, Step};
use crate::summary::{self, Counts};

const FOLDER: &str = "bindings/swift";
const EXAMPLE: &str = "examples/chat-swift";

pub(crate) const NEEDS: &[Need] = &[Need::Swift];

/// Each needs what those before have made.
const STEPS: [Step; 4] =
    [("version", version), ("compile", native::compile), ("bindings", bindings), ("build", build)];

pub(crate) fn command(args: &[String]) -> Result<()> {
    if let Some(other) = args.first() {
        return Err(format!("swift takes no arguments, not \"{other}\""));
    }
    Need::Swift.provide()?;
    if summary::print(&steps::run("swift", &STEPS)).failed > 0 {
        return Err("the package is not built".into());
    }
    println!("swift: {FOLDER} is ready");
    Ok(())
}

pub(crate) fn suite() -> Result<Counts> {
    let mut counts = summary::print(&steps::run("swift", &STEPS));
    if counts.failed > 0 {
        return Ok(counts);
    }
    let built = example();
    let is_built = built.is_ok();
    counts.add(Counts::check(built));
    let _heartbeat = Heartbeat::start("tests in Swift");
    let programs = build_binaries(&["interop-server", "fault-proxy"])?;
    let mut tests = swift();
    tests.args(["run", "hubwire-suite"]);
    suite_options(&mut tests, &programs);
    if is_built {
        tests.arg("--example").arg(root().join(EXAMPLE).join(".build/debug/ChatSwift"));
    }
    counts.add(scenarios::counted("swift", &run_and_read(&mut tests)?)?);
    counts.add(apple::check(&programs)?);
    Ok(counts)
}

/// What suites in Swift read and run.
fn suite_options(tests: &mut Command, programs: &[PathBuf]) {
    for (option, file) in [("--scenarios", "scenarios/scenarios.json"), ("--vectors", "vectors")] {
        tests.arg(option).arg(root().join("tests").join(file));
    }
    for (option, program) in ["--server", "--proxy"].iter().zip(programs) {
        tests.arg(option).arg(program);
    }
}

/// Build output beside SwiftPM's own.
fn output() -> PathBuf {
    target_folder().join("swift")
}

/// The compiler by itself, in the folder of the package, with the modules of that folder before those that SwiftPM has built.
fn swiftc(modules: &Path) -> Command {
    let mut swiftc = program(swift_program().with_file_name("swiftc"));
    swiftc.current_dir(root().join(FOLDER)).args(["-swift-version", "6", "-I"]).arg(modules);
    swiftc.args([
        "-I",
        ".build/debug/Modules",
        "-Xcc",
        "-fmodule-map-file=generated/CHubwire/module.modulemap",
    ]);
    swiftc
}

/// SwiftPM in the folder of the package.
fn swift() -> Command {
    let mut swift = program(swift_program());
    swift.current_dir(root().join(FOLDER));
    swift
}

fn version() -> Result<()> {
    native::check_version("bindings/swift/Package.swift", "let version = \"")
}

/// What bindgen writes, and the library, as the package wants them.
fn bindings() -> Result<()> {
    let script = root().join(FOLDER).join("scripts/generate.sh");
    run(program("bash").arg(script).arg(native::folder()).arg(native::bindgen()?))
}

fn build() -> Result<()> {
    run(swift().arg("build"))
}

/// The chat for the terminal, which uses what is public.
fn example() -> Result<()> {
    run(swift().arg("build").arg("--package-path").arg(root().join(EXAMPLE)))
}
