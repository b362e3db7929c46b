//! The packages as they are published, installed into a project of their own.

use super::folder;
use crate::Result;
use crate::process::{Heartbeat, build_binaries, program, run_and_read};
use crate::summary::Counts;
use crate::web::counted;

/// The package must be built.
pub(super) fn suite() -> Result<Counts> {
    let mut node = program("node");
    node.arg(folder().join("test/packaging/packaging.mjs"));
    for server in build_binaries(&["interop-server"])? {
        node.arg("--server").arg(server);
    }
    let _heartbeat = Heartbeat::start("the packed package");
    Ok(counted("node", &run_and_read(&mut node)?))
}
