//! The running methods of one connection. They are polled by the connection's own task.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytestring::ByteString;
use futures_util::future::BoxFuture;
use futures_util::stream::{AbortHandle, Abortable, FuturesUnordered};
use futures_util::{FutureExt, StreamExt};
use hubwire::protocol::{Outcome, Payload};
use tokio::sync::{mpsc, oneshot};

use super::Connection;
use crate::dedupe::Ticket;
use crate::error::HubError;
use crate::hub::{Dispatched, ItemStream, RawUpload};
use crate::session::{CallKey, Input, UploadEvent, UploadKey};

/// Empty collections allocate nothing: most connections are idle.
#[derive(Default)]
pub(super) struct Methods {
    calls: Option<FuturesUnordered<Running>>,
    streams: Option<FuturesUnordered<NextItem>>,
    /// The way to stop the streams, from before they begin.
    aborts: HashMap<CallKey, AbortHandle>,
    uploads: HashMap<UploadKey, Upload>,
    replies: HashMap<ByteString, oneshot::Sender<Result<Payload, HubError>>>,
}

struct Upload {
    /// Until the end of the stream.
    sender: Option<mpsc::UnboundedSender<UploadEvent<Payload>>>,
    /// Until the method takes it.
    receiver: Option<mpsc::UnboundedReceiver<UploadEvent<Payload>>>,
}

struct Running {
    key: CallKey,
    method: BoxFuture<'static, Dispatched>,
    purpose: Purpose,
}

/// What a method runs for, besides its caller.
pub(super) enum Purpose {
    /// Nothing.
    Call,
    /// Its completion is remembered.
    Remembered(Ticket),
    /// It is no method, but waits for the end of one that runs elsewhere.
    Repetition,
}

impl Purpose {
    const fn ticket(&self) -> Option<&Ticket> {
        match self {
            Self::Remembered(ticket) => Some(ticket),
            Self::Call | Self::Repetition => None,
        }
    }

    /// The method ended.
    pub(super) fn fulfil(&mut self, outcome: &Outcome<Payload>) {
        if let Self::Remembered(ticket) = std::mem::replace(self, Self::Call) {
            ticket.finish(outcome);
        }
    }
}

impl Future for Running {
    type Output = (CallKey, Dispatched);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let key = self.key;
        let dispatched = std::task::ready!(self.method.poll_unpin(cx));
        if let Dispatched::Done(outcome) = &dispatched {
            self.purpose.fulfil(outcome);
        }
        Poll::Ready((key, dispatched))
    }
}

struct NextItem {
    key: CallKey,
    /// `None` only after completion.
    stream: Option<Abortable<ItemStream>>,
}

impl Future for NextItem {
    type Output = (CallKey, Option<Result<Payload, ByteString>>, Option<Abortable<ItemStream>>);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let item = match &mut self.stream {
            Some(stream) => std::task::ready!(stream.poll_next_unpin(cx)),
            None => None,
        };
        Poll::Ready((self.key, item, self.stream.take()))
    }
}

impl Methods {
    /// Starts a method. Most end at once and are never queued.
    pub(super) fn start(
        &mut self,
        key: CallKey,
        streaming: bool,
        mut method: BoxFuture<'static, Dispatched>,
        mut purpose: Purpose,
    ) -> Option<Input<Payload>> {
        if let Purpose::Remembered(ticket) = &mut purpose {
            method = ticket.durable(method);
        }
        if streaming {
            self.aborts.insert(key, AbortHandle::new_pair().0);
        }
        // Not the task's waker: if the method is not ready, the queue polls it once more with its own.
        let mut cx = Context::from_waker(std::task::Waker::noop());
        match method.poll_unpin(&mut cx) {
            Poll::Ready(dispatched) => {
                if let Dispatched::Done(outcome) = &dispatched {
                    purpose.fulfil(outcome);
                }
                self.dispatched(key, dispatched)
            }
            Poll::Pending => {
                self.calls.get_or_insert_default().push(Running { key, method, purpose });
                None
            }
        }
    }

    /// Waits for a method that runs elsewhere.
    pub(super) fn wait(
        &mut self,
        key: CallKey,
        outcome: impl Future<Output = Outcome<Payload>> + Send + 'static,
    ) -> Option<Input<Payload>> {
        self.start(key, false, Box::pin(outcome.map(Dispatched::Done)), Purpose::Repetition)
    }

    /// What a method came to.
    pub(super) fn poll_call(&mut self, cx: &mut Context<'_>) -> Option<Option<Input<Payload>>> {
        let calls = self.calls.as_mut()?;
        match calls.poll_next_unpin(cx) {
            Poll::Ready(Some((key, dispatched))) => Some(self.dispatched(key, dispatched)),
            Poll::Ready(None) => {
                self.calls = None;
                None
            }
            Poll::Pending => None,
        }
    }

    fn dispatched(&mut self, key: CallKey, dispatched: Dispatched) -> Option<Input<Payload>> {
        match dispatched {
            Dispatched::Done(outcome) => {
                self.aborts.remove(&key);
                Some(Input::Finished { call: key, outcome })
            }
            Dispatched::Stream(items) => {
                let (abort, registration) = AbortHandle::new_pair();
                let before = self.aborts.insert(key, abort.clone());
                if before.is_some_and(|before| before.is_aborted()) {
                    abort.abort();
                }
                let stream = Some(Abortable::new(items, registration));
                self.streams.get_or_insert_default().push(NextItem { key, stream });
                None
            }
        }
    }

    /// The next item of any stream.
    pub(super) fn poll_stream(&mut self, cx: &mut Context<'_>) -> Option<Input<Payload>> {
        let streams = self.streams.as_mut()?;
        match streams.poll_next_unpin(cx) {
            Poll::Ready(Some((call, Some(Ok(item)), stream))) => {
                streams.push(NextItem { key: call, stream });
                Some(Input::Item { call, item })
            }
            Poll::Ready(Some((call, end, _))) => {
                self.aborts.remove(&call);
                let outcome = match end {
                    Some(Err(text)) => Outcome::Error(text),
                    _ => Outcome::Void,
                };
                Some(Input::Finished { call, outcome })
            }
            Poll::Ready(None) => {
                self.streams = None;
                None
            }
            Poll::Pending => None,
        }
    }

    pub(super) const fn has_streams(&self) -> bool {
        self.streams.is_some()
    }

    pub(super) fn cancel(&mut self, key: CallKey) {
        if let Some(abort) = self.aborts.get(&key) {
            abort.abort();
        }
    }

    pub(super) fn open_upload(&mut self, key: UploadKey) {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.uploads.insert(key, Upload { sender: Some(sender), receiver: Some(receiver) });
    }

    pub(super) fn take_uploads(
        &mut self,
        keys: &[UploadKey],
        connection: &Arc<Connection>,
    ) -> Vec<RawUpload> {
        keys.iter()
            .filter_map(|key| {
                let upload = self.uploads.get_mut(key)?;
                let events = upload.receiver.take()?;
                if upload.sender.is_none() {
                    self.uploads.remove(key);
                }
                Some(RawUpload { key: *key, events, connection: connection.clone() })
            })
            .collect()
    }

    pub(super) fn upload(&mut self, key: UploadKey, event: UploadEvent<Payload>) {
        let ended = matches!(event, UploadEvent::End(_));
        let Some(upload) = self.uploads.get_mut(&key) else { return };
        if let Some(sender) = &upload.sender {
            // A method that dropped its stream does not want the rest.
            let _ = sender.send(event);
        }
        if ended {
            upload.sender = None;
            if upload.receiver.is_none() {
                self.uploads.remove(&key);
            }
        }
    }

    /// Nobody reads the stream any more.
    pub(super) fn close_upload(&mut self, key: UploadKey) {
        self.uploads.remove(&key);
    }

    pub(super) fn expect_reply(&mut self, id: ByteString, reply: oneshot::Sender<Result<Payload, HubError>>) {
        self.replies.insert(id, reply);
    }

    pub(super) fn forget_reply(&mut self, id: &ByteString) {
        self.replies.remove(id);
    }

    pub(super) fn reply(&mut self, id: &ByteString, result: Result<Payload, HubError>) {
        if let Some(reply) = self.replies.remove(id) {
            // Whoever waited may have given up.
            let _ = reply.send(result);
        }
    }

    /// The connection is over: streams stop, methods go on to their end without it.
    pub(super) fn detach(self) {
        // Who waited for a method of another connection asks again.
        let calls = self.calls.into_iter().flatten();
        let calls = calls.filter(|call| !matches!(call.purpose, Purpose::Repetition));
        let calls: FuturesUnordered<_> = calls.collect();
        if !calls.is_empty() {
            tokio::spawn(run_detached(calls));
        }
    }
}

/// Runs methods without their connection. Those whose client may come back for the result are asked to end when it did not
/// for too long: nothing else would ever tell them.
async fn run_detached(mut calls: FuturesUnordered<Running>) {
    let tickets = |calls: &FuturesUnordered<Running>| -> Option<Duration> {
        calls.iter().find_map(|call| call.purpose.ticket()).map(Ticket::patience)
    };
    while let Some(patience) = tickets(&calls) {
        let ended = async { while calls.next().await.is_some() {} };
        if tokio::time::timeout(patience, ended).await.is_ok() {
            return;
        }
        calls.iter().filter_map(|call| call.purpose.ticket()).for_each(Ticket::abandon);
    }
    while calls.next().await.is_some() {}
}
