//! What the transports have in common, as the driver's loop sees them.

use std::task::{Context, Poll};

use bytes::Bytes;

use super::outgoing::Outgoing;
use crate::client::RequestFailure;

/// An open transport. It knows of bytes and of when they may go out, nothing of messages.
pub(super) trait Link: Send {
    /// What waits to leave.
    fn outgoing(&mut self) -> &mut Outgoing;

    /// Pings the peer below the hub protocol, where there is such a thing; the pong is a [`LinkEvent::Pong`].
    fn ping(&mut self, _number: u64) {}

    /// Closes in order, after what waits to leave; the end is a [`LinkEvent::Closed`].
    fn close(&mut self);

    /// Writes what can be written, and reads if that is wanted.
    fn poll(&mut self, cx: &mut Context<'_>, wanted: Wanted) -> Poll<LinkEvent>;
}

/// What the caller of [`Link::poll`] is interested in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    /// Frames that come.
    pub(super) read: bool,
    /// That everything has left.
    pub(super) flushed: bool,
}

/// What happened on a link.
#[derive(Debug)]
pub(super) enum LinkEvent {
    /// A frame came.
    Received(Bytes),
    /// Everything that was to be sent has left.
    Flushed,
    /// The peer has answered that ping.
    Pong(u64),
    /// It is over.
    Closed(Result<(), RequestFailure>),
}

impl From<Result<Option<Bytes>, RequestFailure>> for LinkEvent {
    /// Of a stream of frames: one of them, its end, or its failure.
    fn from(result: Result<Option<Bytes>, RequestFailure>) -> Self {
        match result {
            Ok(Some(frame)) => Self::Received(frame),
            Ok(None) => Self::Closed(Ok(())),
            Err(failure) => Self::Closed(Err(failure)),
        }
    }
}
