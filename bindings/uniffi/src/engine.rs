//! The thread of the connections: the foreign side's, which lends it to the runtime.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::{Builder, Handle, Runtime};

use crate::connection::Connection;
use crate::failure::{ErrorKind, HubFailure};
use crate::inbox::{Batch, Inbox};
use crate::settings::Settings;

/// For stores that still write when the last connection is gone. They run on threads of their own.
const LAST_WRITES: Duration = Duration::from_secs(2);

/// A connection, and who has to be read from for it to get on.
#[derive(Debug, uniffi::Record)]
pub struct Opened {
    /// Not connected yet.
    pub connection: Arc<Connection>,
    /// With the first connection: what a new thread is to call [`next`](Reader::next) on until there is nothing more. The
    /// connections of the process come to nothing without.
    pub reader: Option<Arc<Reader>>,
}

/// What the foreign side reads, on a thread of its own.
#[derive(Debug, uniffi::Object)]
pub struct Reader {
    inbox: Arc<Inbox>,
    runtime: Mutex<Option<Runtime>>,
}

/// Where new connections go.
struct Engine {
    inbox: Arc<Inbox>,
    handle: Handle,
}

static CURRENT: Mutex<Option<Engine>> = Mutex::new(None);

/// Makes a connection.
///
/// # Errors
/// Misuse when a setting is not possible, with its name; overflow when the system has no room for another.
#[uniffi::export]
pub fn connect(settings: Settings) -> Result<Opened, HubFailure> {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let number = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    let mut current = CURRENT.lock();
    if let Some(engine) = current.as_ref().filter(|engine| engine.inbox.join()) {
        let connection = Connection::open(number, settings, &engine.handle, &engine.inbox)?;
        return Ok(Opened { connection, reader: None });
    }
    let runtime =
        Builder::new_current_thread().enable_all().thread_name("hubwire").build().map_err(|error| {
            let reason = format!("The thread of the connections cannot be set up: {error}");
            HubFailure::Failed { kind: ErrorKind::Overflow, reason }
        })?;
    let (inbox, handle) = (Arc::<Inbox>::default(), runtime.handle().clone());
    inbox.join();
    let connection = Connection::open(number, settings, &handle, &inbox)?;
    *current = Some(Engine { inbox: inbox.clone(), handle });
    let reader = Reader { inbox, runtime: Mutex::new(Some(runtime)) };
    Ok(Opened { connection, reader: Some(Arc::new(reader)) })
}

#[uniffi::export]
impl Reader {
    /// Reads and writes sockets until something has happened, and returns it; none when no connection is left.
    pub fn next(&self) -> Option<Vec<Batch>> {
        let mut runtime = self.runtime.lock();
        let news = runtime.as_ref()?.block_on(self.inbox.take());
        if news.is_none()
            && let Some(runtime) = runtime.take()
        {
            runtime.shutdown_timeout(LAST_WRITES);
        }
        news
    }
}
