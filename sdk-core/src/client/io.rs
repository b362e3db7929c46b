//! Everything that crosses the border of the core: what goes in, what comes out, and the ids in both.

use crate::ByteString;
use crate::text::{decimal, joined};
use alloc::string::String;
use alloc::vec::Vec;

use super::call::CallRequest;
use super::delivery::GapSource;
use super::outbox::OutboxProgress;
use super::quality::Quality;
use super::retry::RetryContext;
use super::state::{Cause, ConnectionState};
use super::stored::{Sequence, StoreOp, StoredCall};
use crate::protocol::{
    HandshakeRequest, HandshakeResponse, HubMessage, NegotiateResponse, ProtocolError, Transport,
};
use crate::{Error, Time};
use core::time::Duration;

/// Names one attempt to open a transport. It grows with every attempt; input for an old one is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkId(pub(super) u64);

/// Names one question to the outside, a token or a negotiate request. An answer to an old one is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub(super) u64);

/// Names what a store is asked to write. An answer to an old one is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BatchId(pub(super) u64);

/// Names a call of the application. The caller chooses it; it must not be in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub u64);

/// Names a stream that the application uploads. The caller chooses it; it must not be in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UploadId(pub u64);

/// Names a call of the server that waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReplyId(pub(super) u64);

/// Names a message of the server that the application has and the server wants to hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryId(pub(super) u64);

impl RequestId {
    /// The number, for languages that cannot hold the type.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The id of that number; one that is unknown does no harm.
    pub const fn from_raw(number: u64) -> Self {
        Self(number)
    }
}

impl BatchId {
    /// The number, for languages that cannot hold the type.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The id of that number; one that is unknown does no harm.
    pub const fn from_raw(number: u64) -> Self {
        Self(number)
    }
}

impl DeliveryId {
    /// The number, for languages that cannot hold the type.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The id of that number; one that is unknown does no harm.
    pub const fn from_raw(number: u64) -> Self {
        Self(number)
    }
}

impl ReplyId {
    /// The number, for languages that cannot hold the type.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The id of that number; one that is unknown does no harm.
    pub const fn from_raw(number: u64) -> Self {
        Self(number)
    }
}

/// What happened outside.
#[derive(Debug)]
pub enum Input<P> {
    /// The application wants something.
    Command(Command<P>),
    /// The answer to [`Output::Token`]: the token, none, or why there is none.
    Token(RequestId, Result<Option<String>, String>),
    /// The answer to [`Output::Negotiate`].
    Negotiated(RequestId, Result<NegotiateResponse, RequestFailure>),
    /// The answer to [`Output::Refresh`]: how long the token is valid now, in seconds, if the server says so.
    Refreshed(RequestId, Result<Option<u64>, RequestFailure>),
    /// The transport is open: bytes can be sent.
    Opened(LinkId),
    /// The first record of the transport, read as a handshake response.
    Handshake(LinkId, Result<HandshakeResponse, ProtocolError>),
    /// A message came.
    Message(LinkId, HubMessage<P>),
    /// Bytes came that are no message.
    Malformed(LinkId, ProtocolError),
    /// The transport failed to open, or is closed now. With an error unless the peer closed it cleanly.
    Closed(LinkId, Result<(), RequestFailure>),
    /// The application has fallen behind and the driver reads no more: silence is not the server's.
    Paused,
    /// The driver reads again.
    Resumed,
    /// The answer to [`Output::Retry`]: how long to wait before the next attempt, or that there is to be none.
    RetryAfter(RequestId, Option<Duration>),
    /// The answer to [`Output::Probe`].
    Pong(LinkId, u64),
    /// What the platform knows of the network and the application.
    Hint(Hint),
    /// What the store held when it was opened, each call with an id for its events. Before every other input.
    Restored {
        /// The first sequence that was never used.
        next: Sequence,
        /// The name of the store. Without one its calls are not named to servers.
        client_id: String,
        /// The calls that wait since an earlier process.
        calls: Vec<(CallId, Sequence, StoredCall<P>)>,
    },
    /// The answer to [`Output::Store`]: everything was written and will be there whatever happens, or nothing was.
    Stored(BatchId, Result<(), Error>),
    /// Time went by: the deadline of [`Output::Wait`] was reached.
    Tick,
}

/// What the application wants.
#[derive(Debug)]
pub enum Command<P> {
    /// Connect.
    Start,
    /// Disconnect; calls that wait end.
    Stop,
    /// Call a method.
    Call(CallRequest<P>),
    /// One item of an upload. Ignored when the stream has ended.
    Item {
        /// The stream.
        upload: UploadId,
        /// The item.
        item: P,
    },
    /// The end of an upload. Ignored when the stream has ended.
    EndUpload {
        /// The stream.
        upload: UploadId,
        /// Why, if it failed.
        error: Option<String>,
    },
    /// Take back a call. Ends it as cancelled at once and tells the server. Ignored when the call has ended.
    Cancel(CallId),
    /// All handlers of a message have ended, or one has failed, with the reason. Ignored when that was said before.
    Handled(DeliveryId, Result<(), String>),
    /// Acknowledge the message with that id ([`AckMode::Manual`](super::AckMode::Manual)).
    Acknowledge(String),
    /// The message with that id could not be handled, and why.
    Nack(String, String),
    /// Answer a call of the server. Ignored when nobody waits any more.
    Reply(ReplyId, Reply<P>),
}

/// What a platform may know. All of them are optional: without hints it takes longer to notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hint {
    /// There is a network again, or another one.
    Online,
    /// There is no network: attempts are made only at the longest delay, in case the platform is wrong.
    Offline,
    /// The machine was asleep.
    Resumed,
    /// The application is in front of its user.
    Foreground,
    /// It is not: attempts are made only at the longest delay.
    Background,
}

/// The answer to a call of the server.
#[derive(Debug)]
pub enum Reply<P> {
    /// The handler returned nothing.
    Void,
    /// The handler returned a value.
    Value(P),
    /// The handler failed.
    Error(String),
    /// No handler that returns a value is registered.
    NoHandler,
    /// More than one handler returned a value.
    ManyHandlers,
}

/// What the driver must do next.
#[derive(Debug, PartialEq)]
pub enum Output<P> {
    /// Ask the application for an access token and answer with [`Input::Token`].
    Token(RequestId),
    /// `POST` with an empty body and answer with [`Input::Negotiated`].
    Negotiate(RequestId, HttpRequest),
    /// `POST` with an empty body and the new token, and answer with [`Input::Refreshed`].
    Refresh(RequestId, HttpRequest),
    /// Open a transport and answer with [`Input::Opened`] or [`Input::Closed`].
    Open(LinkId, LinkRequest),
    /// Send the handshake; what comes next on that link is its response.
    Handshake(LinkId, HandshakeRequest),
    /// Send a message.
    Transmit(LinkId, HubMessage<P>),
    /// Close the transport in order, after what was sent before, and answer with [`Input::Closed`] when that is done.
    Shut(LinkId),
    /// Let go of the transport at once and without a close handshake: it does not answer. To a server a close handshake
    /// would mean that the connection is not to be resumed.
    Abandon(LinkId),
    /// A custom policy is to say when to try again; answer with [`Input::RetryAfter`].
    Retry(RequestId, RetryContext),
    /// Ping the peer, below the hub protocol, and answer with [`Input::Pong`] when the pong with this number comes.
    /// Only for WebSockets.
    Probe(LinkId, u64),
    /// Write this, all of it or nothing, and answer with [`Input::Stored`] once it will survive the end of the process.
    /// The next batch comes after the answer.
    Store(BatchId, Vec<StoreOp<P>>),
    /// Something the application should know.
    Event(Event<P>),
    /// Nothing more to do until input comes or this time is reached. The last output of every drain.
    Wait(Option<Time>),
}

/// A request over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRequest {
    /// Where, with its query.
    pub url: String,
    /// For the `Authorization: Bearer` header.
    pub token: Option<String>,
}

/// A transport to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkRequest {
    /// Which one.
    pub transport: Transport,
    /// Where, with its query, as an HTTP URL.
    pub url: String,
    /// The access token; a header where the platform allows one, else the query parameter `access_token`.
    pub token: Option<String>,
    /// It takes over from a transport that was lost (stateful reconnect): no handshake comes, only messages.
    pub resumes: bool,
}

/// Why a request or a transport failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestFailure {
    /// The server answered with another HTTP status than success.
    Status {
        /// The status code.
        code: u16,
        /// The server's text: the body, else the reason phrase.
        text: String,
        /// The header `Retry-After`, where it has a number of seconds (RFC 9110, section 10.2.3).
        retry_after: Option<Duration>,
    },
    /// The peer closed the WebSocket, with another status than normal closure.
    Closed {
        /// The status code (RFC 6455, section 7.4).
        code: u16,
        /// The peer's text; may be empty.
        reason: String,
    },
    /// No answer, or none that could be read to its end.
    Network(String),
    /// The answer is malformed.
    Protocol(ProtocolError),
}

impl RequestFailure {
    /// When the server wants to be asked again.
    pub(super) const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Whether the peer has judged what it got: unacceptable, malformed, against a policy, too big, or beyond it (RFC 6455,
    /// section 7.4.1).
    pub(super) const fn is_verdict(&self) -> bool {
        matches!(self, Self::Closed { code: 1002 | 1003 | 1007..=1009 | 1011, .. })
    }

    /// The same as an [`Error`].
    pub(super) fn into_error(self) -> Error {
        use crate::ErrorKind;
        match self {
            // The official clients' text.
            Self::Status { code, text, .. } => {
                let parts = [&text, ": Status code '", &decimal(code.into()), "'"];
                Error::new(ErrorKind::Refused, joined(&parts))
            }
            // The official clients' text.
            Self::Closed { code, reason } => {
                let reason = if reason.is_empty() { "no reason given" } else { &reason };
                let parts =
                    ["WebSocket closed with status code: ", &decimal(code.into()), " (", reason, ")."];
                Error::new(ErrorKind::Network, joined(&parts))
            }
            Self::Network(detail) => Error::new(ErrorKind::Network, detail),
            Self::Protocol(error) => error.into(),
        }
    }
}

/// Something the application should know.
#[derive(Debug, PartialEq)]
pub enum Event<P> {
    /// The connection went into another state.
    StateChanged {
        /// The new state.
        state: ConnectionState,
        /// What made it change.
        cause: Cause,
    },
    /// The server calls a method of the client.
    Invocation {
        /// The method.
        target: ByteString,
        /// Its argument list.
        arguments: P,
        /// Where the server waits for an answer: give one with [`Command::Reply`], exactly once.
        reply: Option<ReplyId>,
        /// Where the server wants to hear whether it was handled: answer with [`Command::Handled`], exactly once, after
        /// every handler has ended.
        delivery: Option<DeliveryId>,
    },
    /// Messages were lost that cannot be had any more. Comes before the next message of the same source.
    Gap {
        /// Where.
        source: GapSource,
        /// Why; of the kind [`Gap`](crate::ErrorKind::Gap).
        error: Error,
    },
    /// The server no longer waits for that answer.
    InvocationCancelled(ReplyId),
    /// A call has ended. Every call ends exactly once.
    Completed {
        /// Which one.
        call: CallId,
        /// Its value, nothing, or why it failed.
        result: Result<Option<P>, Error>,
    },
    /// An item of a stream.
    Item {
        /// The streaming call.
        call: CallId,
        /// The item.
        item: P,
    },
    /// The call waits in the outbox. A durable one will be sent, whatever becomes of this process.
    Queued(CallId),
    /// The call that the upload belongs to was sent: produce items.
    UploadStarted(UploadId),
    /// Nobody reads that upload any more: stop producing items.
    UploadStopped(UploadId),
    /// A transport that was lost was replaced by another, with nothing missing (stateful reconnect).
    Resumed,
    /// The attempt to connect failed, or the connection was lost; there will be another attempt.
    RetryScheduled {
        /// How many attempts have failed since the connection was lost.
        previous_retry_count: u32,
        /// How long until the next one.
        delay: Duration,
        /// What went wrong.
        reason: Error,
    },
    /// What waits in the outbox has changed.
    OutboxChanged(OutboxProgress),
    /// The store could not be written. What had to be forgotten will be tried again; what had to be kept was refused.
    StoreFailed(Error),
    /// A group that was joined could not be joined again after a new connection; it is not tried again.
    RejoinFailed {
        /// The method that was called.
        target: ByteString,
        /// Why.
        error: Error,
    },
    /// The grade of the connection's quality has changed.
    QualityChanged(Quality),
    /// The access token was refreshed in place, or could not be; the connection goes on until the server ends it.
    TokenRefreshed(Result<(), Error>),
}
