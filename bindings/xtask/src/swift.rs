//! `cargo xtask swift`: the Swift package, with what is generated where SwiftPM looks for it. Also its tests.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::Result;
use crate::native::{self, Language};
use crate::process::{Heartbeat, build_binaries, program, root, run, run_and_read};
use crate::scenarios;
use crate::setup::{Need, swift_program, target_folder};
use crate::steps::{self, Step};
use crate::summary::{self, Counts};

const FOLDER: &str = "bindings/swift";

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
    let mut tests = swift();
    tests.args(["run", "hubwire-suite"]);
    for (option, binary) in
        ["--server", "--proxy"].iter().zip(build_binaries(&["interop-server", "fault-proxy"])?)
    {
        tests.arg(option).arg(binary);
    }
    let _heartbeat = Heartbeat::start("tests in Swift");
    counts.add(scenarios::counted("swift", &run_and_read(&mut tests)?)?);
    Ok(counts)
}

/// SwiftPM in the folder of the package, with its output elsewhere.
fn swift() -> Command {
    let mut swift = program(swift_program());
    swift.current_dir(root().join(FOLDER)).env("SWIFTPM_BUILD_DIR", target_folder().join("swift"));
    swift
}

fn version() -> Result<()> {
    native::check_version("bindings/swift/Package.swift", "let version = \"")
}

/// What bindgen writes, as the package wants it: the C module, the Swift module, the library.
fn bindings() -> Result<()> {
    let from = target_folder().join("swift-bindgen");
    native::bindings(Language::Swift, &from)?;
    let to = root().join(FOLDER).join("generated");
    let copy = |file: &Path, folder: &str, name: &str| -> Result<()> {
        let folder = to.join(folder);
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let copied = fs::copy(file, folder.join(name));
        copied.map(drop).map_err(|error| format!("{}: {error}", file.display()))
    };
    native::empty(&to)?;
    copy(&from.join("CHubwire.h"), "CHubwire", "CHubwire.h")?;
    copy(&from.join("CHubwire.modulemap"), "CHubwire", "module.modulemap")?;
    copy(&from.join("HubwireFFI.swift"), "HubwireFFI", "HubwireFFI.swift")?;
    copy(&native::archive(), "lib", "libhubwire_ffi.a")
}

fn build() -> Result<()> {
    run(swift().arg("build"))
}
