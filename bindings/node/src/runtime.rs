//! The threads on which all connections of a process live.

use std::sync::OnceLock;

use hubwire::{Error, ErrorKind};
use tokio::runtime::{Builder, Runtime};

/// Reading and writing sockets is little work; JavaScript has most of it.
const THREADS: usize = 2;

/// The runtime, which is made with the first connection and lives as long as the process: connections of a worker thread
/// are closed in order after the thread has ended.
pub(crate) fn runtime() -> Result<&'static Runtime, Error> {
    static RUNTIME: OnceLock<Result<Runtime, String>> = OnceLock::new();
    let made = RUNTIME.get_or_init(|| {
        let mut builder = Builder::new_multi_thread();
        let made = builder.worker_threads(THREADS).thread_name("hubwire").enable_all().build();
        made.map_err(|error| error.to_string())
    });
    made.as_ref().map_err(|error| {
        Error::new(ErrorKind::Overflow, format!("The threads of the connections cannot be started: {error}"))
    })
}
