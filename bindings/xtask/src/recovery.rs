//! The `recovery` suite: how clients come back, in real time, from every failure that is scripted.

use std::path::Path;

use crate::Result;
use crate::process::{Heartbeat, build_binaries, cargo, executables, program, run_and_read};
use crate::suites::{JOBS, test_counts};
use crate::summary::Counts;

pub(crate) fn suite() -> Result<Counts> {
    let mut counts = Counts::default();
    let mut storm = cargo();
    // Simulated, so the processor is the only limit.
    storm.args(["build", "--workspace", "--all-features", "--release", "--bin", "reconnect-storm", JOBS]);
    for storm in executables(storm, &["reconnect-storm"])? {
        counts.add(ran(&storm, "the storm")?);
    }
    let mut kills = cargo();
    kills.args(["test", "--workspace", "--all-features", "--test", "kills", JOBS, "--", "--nocapture"]);
    counts.add(test_counts(&run_and_read(&mut kills)?, "recovery"));
    for recovery in build_binaries(&["recovery"])? {
        counts.add(ran(&recovery, "the scripted failures")?);
    }
    Ok(counts)
}

fn ran(binary: &Path, what: &str) -> Result<Counts> {
    let _heartbeat = Heartbeat::start(what);
    let output = run_and_read(&mut program(binary))?;
    let failed = || format!("recovery: {what} failed, see above");
    Ok(Counts::check(if output.success { Ok(()) } else { Err(failed()) }))
}
