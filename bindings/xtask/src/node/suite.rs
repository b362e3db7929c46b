//! The `node` suite: the package as it is shipped, in Node.

use super::{PACKAGE, build, folder, packaging, worker};
use crate::Result;
use crate::process::{Heartbeat, build_binaries, program, run_and_read};
use crate::scenarios;
use crate::setup::Need;
use crate::summary::{self, Counts};
use crate::web::counted;

pub(crate) const NEEDS: &[Need] = &[Need::Npm(PACKAGE), Need::Npm("bindings/web"), Need::Npm(worker::FOLDER)];

pub(crate) fn suite() -> Result<Counts> {
    let mut counts = summary::print(&build());
    if counts.failed > 0 {
        return Ok(counts);
    }
    // Each for itself: one that fails says nothing of the others.
    counts.add(packaging::suite()?);
    counts.add(worker::suite()?);
    let mut node = program("node");
    node.arg(folder().join("test/run.mjs"));
    for (option, binary) in
        ["--server", "--proxy"].iter().zip(build_binaries(&["interop-server", "fault-proxy"])?)
    {
        node.arg(option).arg(binary);
    }
    let _heartbeat = Heartbeat::start("tests in Node");
    let output = run_and_read(&mut node)?;
    counts.add(counted("node", &output));
    counts.add(scenarios::in_typescript(&output)?);
    Ok(counts)
}
