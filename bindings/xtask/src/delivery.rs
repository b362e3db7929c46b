//! The `delivery` suite: what is promised holds on real transports, in simulated networks and between processes that are killed.

use crate::Result;
use crate::process::{Heartbeat, build_binaries, cargo, program, run_and_read};
use crate::suites::{JOBS, test_counts};
use crate::summary::Counts;

/// With less the two processes could not both be killed.
const SHORTEST: u32 = 3;

/// The connection is cut for so many seconds.
pub(crate) fn suite(seconds: u32) -> Result<Counts> {
    let mut counts = Counts::default();
    let mut simulated = cargo();
    simulated.args(["test", "--workspace", "--all-features", "--test", "turmoil", JOBS]);
    counts.add(test_counts(&run_and_read(&mut simulated)?, "delivery"));
    for binary in build_binaries(&["delivery"])? {
        let _heartbeat = Heartbeat::start("cuts and kills");
        let output = run_and_read(program(binary).args(["--seconds", &seconds.max(SHORTEST).to_string()]))?;
        let failed = || "delivery: cuts and kills failed, see above".to_owned();
        counts.add(Counts::check(if output.success { Ok(()) } else { Err(failed()) }));
    }
    Ok(counts)
}
