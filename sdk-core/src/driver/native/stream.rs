use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::Stream;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use super::call::CancelOnDrop;
use crate::protocol::Payload;
use crate::{Error, ErrorKind};

/// The items of a streaming method.
///
/// Ends after the last item, or with one error. Items that wait are bounded: a reader that falls behind makes the
/// connection stop reading, for every call. Dropping the stream cancels it on the server.
pub struct ItemStream<T> {
    items: mpsc::Receiver<Result<Payload, Error>>,
    guard: CancelOnDrop,
    item: PhantomData<fn() -> T>,
}

impl<T> ItemStream<T> {
    pub(super) const fn new(items: mpsc::Receiver<Result<Payload, Error>>, guard: CancelOnDrop) -> Self {
        Self { items, guard, item: PhantomData }
    }
}

impl<T: DeserializeOwned> Stream for ItemStream<T> {
    type Item = Result<T, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = match ready!(self.items.poll_recv(cx)) {
            Some(Ok(item)) => item,
            end => {
                self.guard.disarm();
                return Poll::Ready(end.and_then(Result::err).map(Err));
            }
        };
        Poll::Ready(Some(item.decode().map_err(|error| {
            Error::new(ErrorKind::Protocol, format!("An item of the stream is of another type: {error}"))
        })))
    }
}

impl<T> fmt::Debug for ItemStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ItemStream").finish_non_exhaustive()
    }
}
