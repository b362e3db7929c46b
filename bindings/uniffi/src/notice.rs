//! What happened on a connection.

use crate::failure::Fault;
use crate::values::{ConnectionEvent, RestoredCall, StateChange};

/// Something that happened. Payloads are JSON, in UTF-8.
#[derive(Clone, Debug, PartialEq, uniffi::Enum)]
pub enum Notice {
    /// The server calls a method of the client.
    Invocation {
        /// The method.
        target: String,
        /// Each argument.
        arguments: Vec<Vec<u8>>,
        /// Where the server waits for an answer: give one with `reply…`, exactly once.
        reply: Option<u64>,
        /// Where the server wants to hear whether it was handled: say so with `handled`, exactly once.
        delivery: Option<u64>,
        /// What is to be released when it was handled.
        cost: u32,
    },
    /// As an invocation, but its arguments cannot be given as JSON. It is answered already.
    Unreadable {
        /// The method.
        target: String,
        /// Why.
        reason: String,
    },
    /// The server no longer waits for that answer.
    InvocationCancelled {
        /// Which.
        reply: u64,
    },
    /// An item of a stream.
    Item {
        /// The call.
        call: u64,
        /// The item.
        value: Vec<u8>,
        /// What is to be released when it was taken.
        cost: u32,
    },
    /// The end of a call; every call has exactly one, this or `Failed`.
    Completed {
        /// The call.
        call: u64,
        /// What it gave, if anything.
        value: Option<Vec<u8>>,
    },
    /// The end of a call that came to nothing.
    Failed {
        /// The call.
        call: u64,
        /// Why.
        fault: Fault,
    },
    /// The call was accepted and waits. A durable one is in the store.
    Queued {
        /// The call.
        call: u64,
    },
    /// The calls that the store held; once, if there is a store, before everything else.
    Restored {
        /// They end as other calls do.
        calls: Vec<RestoredCall>,
    },
    /// Items of that upload are wanted now.
    UploadStarted {
        /// The upload.
        upload: u64,
    },
    /// Nobody wants more of them.
    UploadStopped {
        /// The upload.
        upload: u64,
    },
    /// There is room for items of uploads again.
    Room,
    /// The state has changed.
    State {
        /// How.
        change: StateChange,
    },
    /// A start is over. Comes behind the change of the state that ended it.
    Started {
        /// Of the start.
        ticket: u64,
        /// Why it came to nothing.
        fault: Option<Fault>,
    },
    /// A stop is done.
    Stopped {
        /// Of the stop.
        ticket: u64,
    },
    /// Something else.
    Event {
        /// What.
        event: ConnectionEvent,
    },
    /// A custom policy is to say when to try again: answer with `retry_after`.
    Retry {
        /// The question.
        request: u64,
        /// How many attempts have failed.
        previous_retry_count: u32,
        /// For how long there has been no connection, in milliseconds.
        elapsed: f64,
        /// What went wrong.
        fault: Fault,
        /// The change of the state that goes with it, unless the answer is that there is to be no other attempt.
        change: Option<StateChange>,
    },
    /// An access token is wanted: answer with `token`.
    Token {
        /// The question.
        question: u64,
    },
    /// Nothing more happens on this connection: it was let go, or its end was not foreseen.
    Ended,
}
