use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::Stream;
use hubwire::protocol::Payload;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::connection::Connection;
use crate::error::HubError;
use crate::outbox::Command;
use crate::session::{UploadEvent, UploadKey};

/// A stream that the client uploads with its call.
///
/// It ends after the client's last item; an item that cannot be read, or the client's own error, is its last item.
/// The session bounds how much waits in it: a client that is faster than the method is no longer read.
pub struct UploadStream<T> {
    raw: Option<RawUpload>,
    item: PhantomData<fn() -> T>,
}

/// The receiving end of an uploaded stream, before it is known what its items are.
pub(crate) struct RawUpload {
    pub(crate) key: UploadKey,
    // Unbounded, because it is the session that counts.
    pub(crate) events: UnboundedReceiver<UploadEvent<Payload>>,
    pub(crate) connection: Arc<Connection>,
}

impl Drop for RawUpload {
    fn drop(&mut self) {
        // If the connection is gone nothing more comes anyway.
        self.connection.outbox.command(Command::Discard(self.key));
    }
}

impl<T> UploadStream<T> {
    pub(super) const fn new(raw: Option<RawUpload>) -> Self {
        Self { raw, item: PhantomData }
    }
}

impl<T: DeserializeOwned> Stream for UploadStream<T> {
    type Item = Result<T, HubError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(raw) = &mut self.raw else { return Poll::Ready(None) };
        let Poll::Ready(event) = raw.events.poll_recv(cx) else { return Poll::Pending };
        let item = match event {
            Some(UploadEvent::Item(item)) => {
                raw.connection.outbox.command(Command::Consumed(raw.key));
                match item.decode() {
                    Ok(item) => return Poll::Ready(Some(Ok(item))),
                    Err(error) => Some(Err(HubError::named(
                        "InvalidDataException",
                        format!("An item of the uploaded stream cannot be read: {error}."),
                    ))),
                }
            }
            Some(UploadEvent::End(None)) => None,
            Some(UploadEvent::End(Some(error))) => Some(Err(HubError::new(error.to_string()))),
            None => Some(Err(HubError::named("OperationCanceledException", "The client disconnected."))),
        };
        self.raw = None;
        Poll::Ready(item)
    }
}

impl<T> fmt::Debug for UploadStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UploadStream").finish_non_exhaustive()
    }
}
