//! The `recovery` suite: how clients come back, in real time, from every failure that is scripted.

use std::path::Path;

use crate::process::{Heartbeat, build_binaries, cargo, executables, program, root, run_and_read};
use crate::summary::Counts;
use crate::{Result, suites};

pub(crate) fn suite() -> Result<Counts> {
    let mut counts = Counts::default();
    // Simulated: the machine is the only limit.
    if root().join("tests/src/bin/reconnect-storm.rs").exists() {
        let mut build = cargo();
        build.args(["build", "--release", "-p", "e2e", "--bin", "reconnect-storm", suites::JOBS]);
        for storm in executables(build, &["reconnect-storm"])? {
            counts.add(Counts::check(ran(&storm, "the storm")?));
        }
    }
    let kills = run_and_read(
        cargo()
            .args(["test", "-p", "e2e", "--all-features", "--test", "kills", suites::JOBS])
            .args(["--", "--nocapture"]),
    )?;
    counts.add(suites::test_counts(&kills, "recovery"));
    for recovery in build_binaries(&["recovery"])? {
        counts.add(Counts::check(ran(&recovery, "the scripted failures")?));
    }
    Ok(counts)
}

fn ran(binary: &Path, what: &str) -> Result<Result<(), String>> {
    let _heartbeat = Heartbeat::start(what);
    let output = run_and_read(&mut program(binary))?;
    Ok(if output.success { Ok(()) } else { Err(format!("recovery: {what} failed, see above")) })
}
