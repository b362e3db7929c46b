use std::fmt;

use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use super::connection::{HubConnection, driver_gone};
use super::tokio::Control;
use crate::client::CallId;
use crate::protocol::Payload;
use crate::{Error, ErrorKind};

/// A call that was accepted and may still wait: for a connection, or for the server. Dropping it changes nothing.
///
/// Made by [`CallBuilder::enqueue`](super::CallBuilder::enqueue) and
/// [`HubConnection::restored_calls`].
pub struct QueuedCall {
    connection: HubConnection,
    call: CallId,
    target: String,
    result: oneshot::Receiver<Result<Option<Payload>, Error>>,
}

impl QueuedCall {
    pub(super) const fn new(
        connection: HubConnection,
        call: CallId,
        target: String,
        result: oneshot::Receiver<Result<Option<Payload>, Error>>,
    ) -> Self {
        Self { connection, call, target, result }
    }

    /// The method.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Takes the call back. While it is queued it is not sent at all then; later the server is told. Does nothing when
    /// it has ended.
    pub fn cancel(&self) {
        self.connection.control(Control::Cancel(self.call));
    }

    /// Waits for the end of the call, as [`HubConnection::invoke`] does.
    ///
    /// # Errors
    /// Those of [`HubConnection::invoke`]; [`ErrorKind::Timeout`] when it expired in the queue,
    /// [`ErrorKind::Overflow`] when it was dropped from a full one, [`ErrorKind::Cancelled`] when it was taken back,
    /// superseded, or the connection is gone: a durable call stays in its store then.
    pub async fn completed<T: DeserializeOwned>(self) -> Result<T, Error> {
        let encoding = self.connection.encoding();
        let target = self.target;
        let result = self.result.await.unwrap_or_else(|_| Err(driver_gone()))?;
        result.unwrap_or_else(|| Payload::null(encoding)).decode().map_err(|error| {
            Error::new(ErrorKind::Protocol, format!("The result of '{target}' is of another type: {error}"))
        })
    }
}

impl fmt::Debug for QueuedCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueuedCall").field("target", &self.target).finish_non_exhaustive()
    }
}
