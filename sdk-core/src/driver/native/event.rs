use std::time::Duration;

use crate::Error;
use crate::client::{GapSource, OutboxProgress, Quality};

/// Something that happened on a connection besides messages and changes of its state.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ConnectionEvent {
    /// An attempt to connect failed, or the connection was lost; there will be another attempt.
    RetryScheduled {
        /// How many attempts have failed since the connection was lost, besides the one that lost it.
        previous_retry_count: u32,
        /// How long until the next one.
        delay: Duration,
        /// What went wrong.
        reason: Error,
    },
    /// A transport that was lost was replaced by another, with nothing missing (stateful reconnect).
    Resumed,
    /// What waits in the outbox has changed.
    OutboxChanged(OutboxProgress),
    /// The store of the outbox could not be written. Durable calls that it was to take have failed.
    StoreFailed(Error),
    /// A group that was joined could not be joined again after a new connection.
    RejoinFailed {
        /// The method that was called.
        target: String,
        /// Why.
        error: Error,
    },
    /// Messages of the server were lost that cannot be had any more. Comes before the next message of the same source.
    Gap {
        /// Where.
        source: GapSource,
        /// Why; of the kind [`Gap`](crate::ErrorKind::Gap).
        error: Error,
    },
    /// The grade of the connection's quality has changed.
    QualityChanged(Quality),
    /// The access token was refreshed in place, or could not be; the connection goes on until the server ends it.
    TokenRefreshed(Result<(), Error>),
}
