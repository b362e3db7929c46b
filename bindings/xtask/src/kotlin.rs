//! `cargo xtask kotlin`: the Kotlin library, from the crate to the jar. Also its tests and its measurements.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::android;
use crate::arm64;
use crate::native;
use crate::process::{Heartbeat, build_binaries, program, root, run, run_and_read};
use crate::scenarios;
use crate::setup::{Need, target_folder};
use crate::steps::{self, Step};
use crate::summary::{self, Counts};

const FOLDER: &str = "bindings/kotlin";

pub(crate) const NEEDS: &[Need] = &[Need::Java, Need::Zig, Need::Arm64Java];

/// Each needs what those before have made.
const STEPS: [Step; 5] = [
    ("version", version),
    ("compile", native::compile),
    ("bindings", bindings),
    ("native library", native_library),
    ("jar", jar),
];

/// Build output, outside of the sources.
pub(crate) fn output() -> PathBuf {
    target_folder().join("kotlin")
}

pub(crate) fn command(args: &[String]) -> Result<()> {
    if let Some(other) = args.first() {
        return Err(format!("kotlin takes no arguments, not \"{other}\""));
    }
    Need::Java.provide()?;
    if summary::print(&steps::run("kotlin", &STEPS)).failed > 0 {
        return Err("the library is not built".into());
    }
    println!("kotlin: {} is ready", jar_file().display());
    Ok(())
}

/// `cargo xtask bench kotlin`: what messages and calls cost beside the official Java client. Slow machines are no failure.
pub(crate) fn bench(args: &[String]) -> Result<()> {
    command(&[])?;
    let programs = programs()?;
    println!("bench: some minutes; other programs disturb it");
    let mut maven = maven();
    maven.arg(format!("-Dhubwire.programs={}", programs.display()));
    maven.arg(format!("-Dbench={}", args.join(" ")));
    run(maven.args(["-Pbench", "verify"]))
}

pub(crate) fn suite() -> Result<Counts> {
    let mut counts = summary::print(&steps::run("kotlin", &STEPS));
    if counts.failed > 0 {
        return Ok(counts);
    }
    let _heartbeat = Heartbeat::start("tests on the JVM");
    let android = summary::print(&steps::run("kotlin", &android::STEPS));
    // In the jar when the tests are compiled.
    let arm64 = arm64::library();
    let programs = format!("-Dhubwire.programs={}", programs()?.display());
    let mut tests = maven();
    tests.arg(&programs);
    if android.failed == 0 {
        tests.arg(format!("-Dhubwire.shrunk={}", android::shrunk().display()));
    }
    counts.add(android);
    counts.add(scenarios::counted("kotlin", &run_and_read(tests.arg("verify"))?)?);
    counts.add(arm64::tests(arm64, maven().arg(&programs))?);
    Ok(counts)
}

pub(crate) fn maven() -> Command {
    let mut maven = maven_in(FOLDER, &output());
    for (name, folder) in [("hubwire.generated", generated()), ("hubwire.native", natives())] {
        maven.arg(format!("-D{name}={}", folder.display()));
    }
    maven
}

/// Maven in a folder of the repository, with another for what it builds.
pub(crate) fn maven_in(folder: &str, output: &Path) -> Command {
    let mut maven = program("mvn");
    maven.args(["--batch-mode", "--quiet"]).current_dir(root().join(folder));
    // Cargo puts its own folders there, and JNA looks there before it looks into the jar.
    maven.env_remove("LD_LIBRARY_PATH");
    maven.arg(format!("-Doutput={}", output.display()));
    maven
}

/// What the steps make.
pub(crate) fn jar_file() -> PathBuf {
    output().join("hubwire.jar")
}

/// The folder of the programs that tests talk to.
pub(crate) fn programs() -> Result<PathBuf> {
    let programs = build_binaries(&["interop-server", "fault-proxy"])?;
    let folder = programs.first().and_then(|program| program.parent()).map(Path::to_owned);
    folder.ok_or_else(|| "cargo did not build the programs".into())
}

fn generated() -> PathBuf {
    output().join("bindgen")
}

fn version() -> Result<()> {
    native::check_version("bindings/kotlin/pom.xml", "<artifactId>hubwire</artifactId>\n  <version>")
}

fn bindings() -> Result<()> {
    native::empty(&generated())?;
    run(program(native::bindgen()?).arg(native::shared()).arg(generated()).arg("kotlin"))
}

/// The libraries of the next jar: JNA looks in the folder of its platform.
pub(crate) fn natives() -> PathBuf {
    output().join("native")
}

fn native_library() -> Result<()> {
    let system = match std::env::consts::OS {
        "macos" => "darwin",
        "windows" => "win32",
        other => other,
    };
    let machine = std::env::consts::ARCH.replace("x86_64", "x86-64");
    native::ship(&natives().join(format!("{system}-{machine}")).join(native::shared_name()))
}

fn jar() -> Result<()> {
    forget_classes(&output())?;
    run(maven().args(["-DskipTests", "package"]))
}

/// The compiler leaves what it has made of code that is not there any more, and it would be in the jar.
pub(crate) fn forget_classes(output: &Path) -> Result<()> {
    native::empty(&output.join("classes"))?;
    native::empty(&output.join("test-classes"))
}
