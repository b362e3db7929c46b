//! `cargo xtask sim`: clients and a server with everything that can go wrong, as fast as the machine can.

use crate::Result;
use crate::process::{Heartbeat, cargo, executables, program, run_and_read};
use crate::suites::JOBS;
use crate::summary::Counts;

/// What CI simulates at least, and the seeds that take it there.
const MESSAGES: &str = "2000000";
const SEEDS: &str = "1300";

pub(crate) fn command(args: &[String]) -> Result<()> {
    run(args)
}

pub(crate) fn suite() -> Result<Counts> {
    let _heartbeat = Heartbeat::start("the simulation");
    let args = ["--seeds", SEEDS, "--at-least", MESSAGES].map(String::from);
    Ok(Counts::check(run(&args)))
}

fn run(args: &[String]) -> Result<()> {
    let mut build = cargo();
    build.args(["build", "--workspace", "--all-features", "--profile", "sim", "--bin", "sim", JOBS]);
    for sim in executables(build, &["sim"])? {
        let mut program = program(&sim);
        program.args(args);
        if !run_and_read(&mut program)?.success {
            return Err("sim: something is wrong, see above".into());
        }
    }
    Ok(())
}
