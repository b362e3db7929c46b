//! A call, as the application makes it.

use alloc::vec::Vec;
use core::time::Duration;

use crate::ByteString;

use super::io::{CallId, UploadId};
use super::stored::{CallKind, Priority};

/// A call of a method of the hub. What becomes of it when there is no connection, or when the connection is lost, is
/// in the [table](super#calls-and-lost-connections).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallRequest<P> {
    /// Names it in events; it must not be in use.
    pub call: CallId,
    /// How the method is called.
    pub kind: CallKind,
    /// The method.
    pub target: ByteString,
    /// Its argument list.
    pub arguments: P,
    /// Streams that feed its stream parameters, in their order.
    pub uploads: Vec<UploadId>,
    /// What may be asked for besides.
    pub options: CallOptions,
}

impl<P> CallRequest<P> {
    /// A call without uploads and options.
    pub fn new(call: CallId, kind: CallKind, target: impl Into<ByteString>, arguments: P) -> Self {
        let target = target.into();
        Self { call, kind, target, arguments, uploads: Vec::new(), options: CallOptions::default() }
    }
}

/// What may be asked for a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallOptions {
    /// The longest time from making the call to its end, the time in the queue included. Past it the call ends with
    /// [`Timeout`](crate::ErrorKind::Timeout) and is taken back on the server.
    /// [`Config::call_timeout`](super::Config::call_timeout) unless set; a stream has none unless set.
    pub timeout: Option<Duration>,
    /// The longest time in the queue: past it the call is not worth sending.
    pub expires_after: Option<Duration>,
    /// Which queued calls leave first.
    pub priority: Priority,
    /// While the call is queued, a later one with the same key takes its place.
    pub supersede_key: Option<ByteString>,
    /// The method may run twice for one call. Where the connection is lost before the completion the call is then made
    /// again instead of ending with [`OutcomeUnknown`](crate::ErrorKind::OutcomeUnknown). A send so marked asks for a
    /// completion: without one nobody knows whether it arrived.
    pub idempotent: bool,
    /// Keep the call in the store until the server has completed it, over the end of the process. Includes
    /// [`idempotent`](Self::idempotent): a process that was killed does not know what it had sent. Not for streams.
    pub durable: bool,
    /// Without a connection the call waits for one. If not, it fails at once, as with the official clients.
    pub queue: bool,
}

impl Default for CallOptions {
    fn default() -> Self {
        Self {
            timeout: None,
            expires_after: None,
            priority: Priority::default(),
            supersede_key: None,
            idempotent: false,
            durable: false,
            queue: true,
        }
    }
}
