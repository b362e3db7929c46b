//! What is compiled for Apple's platforms alone, compiled here against stand-ins for the modules of their SDK, and driven by them.
//! `bindings/swift/Tests/Apple/README.md` says what that shows, and what it does not.

use std::fs;
use std::path::{Path, PathBuf};

use super::{FOLDER, output, snippets, suite_options, swiftc};
use crate::Result;
use crate::process::{program, root, run, run_and_read};
use crate::scenarios;
use crate::summary::Counts;

/// The modules of the SDK that the package imports, besides Foundation and Dispatch.
const MODULES: [&str; 4] = ["Network", "ObjectiveC", "UIKit", "os"];

const STRICT: [&str; 2] = ["-strict-concurrency=complete", "-warnings-as-errors"];

/// Compiles the package with the stand-ins, runs the tests that need them, and compiles what documentation shows.
pub(super) fn check(programs: &[PathBuf]) -> Result<Counts> {
    let mut counts = Counts::default();
    if !cfg!(target_os = "linux") {
        counts.skipped += 1;
        counts.notes.push("swift: not run: the stand-ins for Apple's SDK, which are for Linux".into());
        return Ok(counts);
    }
    println!("\n=== swift: stand-ins for Apple's SDK");
    let built = library();
    let is_built = built.is_ok();
    counts.add(Counts::check(built));
    counts.add(Counts::check(older_sdk()));
    if is_built {
        counts.add(Counts::check(snippets::check(&folder())));
        match drive() {
            Ok(binary) => {
                let mut tests = program(binary);
                suite_options(&mut tests, programs);
                counts.add(scenarios::counted_own("swift", &run_and_read(&mut tests)?));
            }
            Err(error) => counts.add(Counts::failed(error)),
        }
    }
    Ok(counts)
}

fn folder() -> PathBuf {
    output().join("apple")
}

/// The files in a folder of the package and those below it.
pub(super) fn sources(folder: impl AsRef<Path>) -> Result<Vec<PathBuf>> {
    let folder = root().join(FOLDER).join(folder);
    let mut found = Vec::new();
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "swift") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn stand_in(module: &str) -> String {
    format!("Tests/Apple/StandIns/{module}.swift")
}

/// The stand-ins and the package, as libraries.
fn library() -> Result<()> {
    let folder = folder();
    crate::native::empty(&folder)?;
    for module in MODULES {
        compile(module, &folder, &[root().join(FOLDER).join(stand_in(module))])?;
    }
    compile("Hubwire", &folder, &sources("Sources/Hubwire")?)
}

fn compile(module: &str, folder: &Path, sources: &[PathBuf]) -> Result<()> {
    let mut compiler = swiftc(folder);
    compiler.args(STRICT).args(["-parse-as-library", "-emit-library", "-static", "-emit-module"]);
    compiler.args(["-module-name", module, "-o"]).arg(folder.join(format!("lib{module}.a")));
    run(compiler.args(sources))
}

/// The package with an SDK that says less of what may be used on which thread. Only its types are checked.
fn older_sdk() -> Result<()> {
    let folder = output().join("apple-older");
    crate::native::empty(&folder)?;
    for module in MODULES {
        let mut compiler = swiftc(&folder);
        compiler.args(["-parse-as-library", "-DOLDER_SDK", "-emit-module", "-module-name", module, "-o"]);
        run(compiler.arg(folder.join(format!("{module}.swiftmodule"))).arg(stand_in(module)))?;
    }
    let mut compiler = swiftc(&folder);
    compiler.args(STRICT).args(["-typecheck", "-module-name", "Hubwire"]);
    run(compiler.args(sources("Sources/Hubwire")?))
}

/// The program of the tests.
fn drive() -> Result<PathBuf> {
    let folder = folder();
    let binary = folder.join("drive");
    let mut compiler = swiftc(&folder);
    compiler.args(["-module-name", "Drive", "-o"]).arg(&binary).arg("-L").arg(&folder);
    compiler.args(sources("Tests/Apple/Drive")?).args(sources("Tests/Suite/Support")?);
    compiler.args([
        "-lHubwire",
        ".build/debug/HubwireFFI.build/HubwireFFI.swift.o",
        "-Lgenerated/lib",
        "-lhubwire_ffi",
    ]);
    run(compiler.args(MODULES.map(|module| format!("-l{module}"))))?;
    Ok(binary)
}
