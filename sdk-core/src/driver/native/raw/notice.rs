use std::task::{Context, Poll};

use crate::client::{CallId, DeliveryId, ReplyId, RequestId, RetryContext, UploadId};
use crate::driver::native::{ConnectionEvent, StateChange};
use crate::protocol::Payload;
use crate::{ByteString, Error};

/// Something that happened on a connection.
#[derive(Debug)]
#[non_exhaustive]
pub enum Notice {
    /// The server calls a method of the client.
    Invocation {
        /// The method.
        target: ByteString,
        /// Its argument list.
        arguments: Payload,
        /// Where the server waits for an answer: give one with [`reply`](super::RawConnection::reply), exactly once.
        reply: Option<ReplyId>,
        /// Where the server wants to hear whether it was handled: say so with
        /// [`handled`](super::RawConnection::handled), exactly once, after every handler has ended.
        delivery: Option<DeliveryId>,
    },
    /// The server no longer waits for that answer.
    InvocationCancelled(ReplyId),
    /// The state has changed.
    State(StateChange),
    /// Something else happened.
    Event(ConnectionEvent),
    /// The call was accepted and waits: for a connection, or for the server. A durable one is in the store.
    Queued(CallId),
    /// An item of a stream.
    Item(CallId, Payload),
    /// The end of a call; every call has exactly one. Without a value where there is none.
    Completed(CallId, Result<Option<Payload>, Error>),
    /// Items of that stream are wanted now.
    UploadStarted(UploadId),
    /// Nobody wants more items of that stream.
    UploadStopped(UploadId),
    /// There is room for items of uploads again.
    Room,
    /// The connection could not be started, for it was started before, or its store cannot be read. What came of a start that
    /// was begun is told by the changes of the state.
    NotStarted(u64, Error),
    /// A stop is done. One for each.
    Stopped,
    /// The calls that the store held, and their methods; once, if there is a store, before everything else. Empty if it could not
    /// be read. They end as other calls do.
    Restored(Vec<(CallId, String)>),
    /// A custom policy is to say when to try again: answer with [`retry_after`](super::RawConnection::retry_after).
    Retry {
        /// The question.
        request: RequestId,
        /// What is known.
        context: RetryContext,
        /// The change of the state that goes with it, which is told here and not as [`State`](Self::State). It is none if
        /// the answer is that there is to be no other attempt: a connection that gives up at once was never reconnecting.
        change: Option<StateChange>,
    },
}

/// Takes what happens on a connection. Called on the connection's task, so it must not block.
pub trait Listener: Send + 'static {
    /// Takes a notice, or gives it back if there is no room. The connection does not read from its socket until it was taken.
    fn notice(&mut self, notice: Notice) -> Option<Notice>;

    /// Everything was told that one event came to, as the end of a connection with the ends of its calls: what was told since the
    /// last one belongs together.
    fn turn_over(&mut self) {}

    /// Nothing more is known for now: whoever reads what was told has something to read.
    fn flush(&mut self);

    /// Ready as soon as there is room again.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}
