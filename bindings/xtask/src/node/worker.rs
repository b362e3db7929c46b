//! The worker of `examples/worker-node`, with the package as it was built: its types, and what becomes of tasks when it or
//! the server is killed.

use crate::Result;
use crate::process::{Heartbeat, build_binaries, program, root, run, run_and_read};
use crate::summary::Counts;
use crate::web::counted;

pub(super) const FOLDER: &str = "examples/worker-node";

/// The package must be built.
pub(super) fn suite() -> Result<Counts> {
    let folder = root().join(FOLDER);
    let mut build = program("npm");
    let mut counts = Counts::check(
        run(build.args(["run", "--silent", "build"]).current_dir(&folder))
            .map_err(|error| format!("{FOLDER}: {error}")),
    );
    if counts.failed > 0 {
        return Ok(counts);
    }
    let mut node = program("node");
    node.arg(folder.join("test/run.mjs"));
    for server in build_binaries(&["worker-node-server"])? {
        node.arg("--server").arg(server);
    }
    let _heartbeat = Heartbeat::start("the worker in Node");
    counts.add(counted("node", &run_and_read(&mut node)?));
    Ok(counts)
}
