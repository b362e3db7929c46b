//! The tests of Kotlin once more, on a JVM for ARM64 that is emulated here: the library as phones and newer servers have it. Part
//! of the suite `kotlin`.

use std::process::Command;

use crate::Result;
use crate::platforms;
use crate::process::{run_and_read, shown};
use crate::scenarios;
use crate::setup::{Need, arm64_java};
use crate::summary::Counts;

/// What has become of the library.
pub(crate) enum Library {
    Built,
    Failed(String),
    /// This machine cannot; that is said when the suite begins.
    NoTools,
}

pub(crate) fn library() -> Library {
    if [Need::Zig, Need::Arm64Java].iter().any(|need| need.provide().is_err()) {
        return Library::NoTools;
    }
    match platforms::build("aarch64-unknown-linux-gnu") {
        Ok(()) => Library::Built,
        Err(error) => Library::Failed(error),
    }
}

/// Runs what `maven` has compiled before.
pub(crate) fn tests(library: Library, maven: &mut Command) -> Result<Counts> {
    match library {
        Library::Built => {
            let java = arm64_java();
            maven.args(["jvm", "hubwire.java"].map(|name| format!("-D{name}={}", java.display())));
            println!("\n=== kotlin: on ARM64, emulated ({})", shown(maven));
            scenarios::counted("kotlin on ARM64", &run_and_read(maven.arg("surefire:test@default-test"))?)
        }
        Library::Failed(error) => Ok(Counts::failed(format!("kotlin on ARM64: {error}"))),
        Library::NoTools => {
            let mut counts = Counts::default();
            counts.skipped += 1;
            counts
                .notes
                .push("kotlin: not run: the tests on ARM64, for which this machine has no tools".into());
            Ok(counts)
        }
    }
}
