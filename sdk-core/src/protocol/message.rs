use alloc::vec::Vec;
use core::time::Duration;

use crate::ByteString;

use super::Encoding;

/// For payloads that are numbers.
macro_rules! nothing_to_read {
    () => {
        fn from_arguments(_: Encoding, _: &[Argument<'_>]) -> Self {
            0
        }

        fn texts(&self) -> Option<Vec<ByteString>> {
            None
        }

        fn message_id(&self) -> Option<ByteString> {
            None
        }

        fn members(&self) -> Option<Vec<Member<Self>>> {
            None
        }

        fn delta(&self, _: &[ByteString]) -> Option<Delta> {
            None
        }

        fn apply(&self, _: Option<&Self>, _: bool) -> Option<Self> {
            None
        }
    };
}

/// What the state machines must know of a payload, which they otherwise only move.
pub trait OpaquePayload: Clone {
    /// How many bytes it takes on the wire, as far as is known; for limits.
    fn byte_len(&self) -> usize;

    /// Whether it is the same value, as far as can be told without reading it. Equal bytes are.
    fn is_same(&self, other: &Self) -> bool;

    /// An empty argument list.
    fn no_arguments(encoding: Encoding) -> Self;

    /// An argument list of texts: what the client itself calls methods with.
    fn from_arguments(encoding: Encoding, arguments: &[Argument<'_>]) -> Self;

    /// The texts, if the value is a list of texts.
    fn texts(&self) -> Option<Vec<ByteString>>;

    /// The text `messageId` of the first argument, if that is an object with one of 1 to
    /// [`MAX_MESSAGE_ID`](super::delivery::MAX_MESSAGE_ID) bytes.
    fn message_id(&self) -> Option<ByteString>;

    /// The members, if the argument list is a batch: one object with the text `batchId` and the list `messages`.
    fn members(&self) -> Option<Vec<Member<Self>>>;

    /// What a change belongs to, if the argument list is one object with one of these fields, the first that is there.
    fn delta(&self, keys: &[ByteString]) -> Option<Delta>;

    /// The object in this argument list merged into that of another one (RFC 7396), without the fields that are about the
    /// change. Fields that are null are removed, or left alone. `None` if there are no such objects.
    fn apply(&self, base: Option<&Self>, null_removes: bool) -> Option<Self>;
}

/// An argument of a call that the client itself makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument<'a> {
    /// A text.
    Text(&'a str),
    /// A list of texts.
    Texts(&'a [ByteString]),
}

/// A member of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member<P> {
    /// Its argument list; `None` if it is none.
    pub arguments: Option<P>,
    /// Its id, as far as it has one.
    pub message_id: Option<ByteString>,
}

/// What a change belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delta {
    /// Names the object among those of its method.
    pub key: ByteString,
    /// Its place among the changes of that object.
    pub order: DeltaOrder,
}

/// The place of a change among those of its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeltaOrder {
    /// The peer does not count: what is null has not changed.
    Unordered,
    /// The whole object, with that sequence number.
    Full(u64),
    /// A change of the object as it was.
    Next {
        /// The sequence number before.
        base: u64,
        /// The sequence number now; it is higher.
        sequence: u64,
    },
    /// The numbers are not numbers, or contradict each other.
    Malformed,
}

/// A payload that is a bare number, for tests and simulations. It is neither a list, nor a batch, nor a change.
impl OpaquePayload for u32 {
    fn byte_len(&self) -> usize {
        size_of::<Self>()
    }

    fn is_same(&self, other: &Self) -> bool {
        self == other
    }

    fn no_arguments(_: Encoding) -> Self {
        0
    }

    nothing_to_read!();
}

/// As for `u32`.
impl OpaquePayload for u8 {
    fn byte_len(&self) -> usize {
        size_of::<Self>()
    }

    fn is_same(&self, other: &Self) -> bool {
        self == other
    }

    fn no_arguments(_: Encoding) -> Self {
        0
    }

    nothing_to_read!();
}

/// One message of the hub protocol, with a payload that this crate moves and never reads.
///
/// `P` is whatever the platform keeps payloads in: a slice of the received bytes, a handle to a JavaScript value, a
/// number in a test. The arguments of a call are one payload: the whole argument list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HubMessage<P> {
    /// Type 1: calls a method; answered with a [`Completion`] if it has an id.
    Invocation(Invocation<P>),
    /// Type 2: one item of a stream, in either direction.
    StreamItem(StreamItem<P>),
    /// Type 3: the end of an invocation or of a stream.
    Completion(Completion<P>),
    /// Type 4: calls a streaming method.
    StreamInvocation(StreamInvocation<P>),
    /// Type 5: the caller no longer wants the results.
    CancelInvocation(CancelInvocation),
    /// Type 6: keeps the connection alive; never answered.
    Ping,
    /// Type 7: the sender ends the connection.
    Close(Close),
    /// Type 8: everything up to this sequence id was received (stateful reconnect only).
    Ack {
        /// The highest id received.
        sequence_id: u64,
    },
    /// Type 9: the id of the next message that follows (stateful reconnect only).
    Sequence {
        /// That id; the first message of a connection has 1.
        sequence_id: u64,
    },
}

impl<P> HubMessage<P> {
    /// The number of the message type in the specification.
    pub const fn message_type(&self) -> u8 {
        match self {
            Self::Invocation(_) => 1,
            Self::StreamItem(_) => 2,
            Self::Completion(_) => 3,
            Self::StreamInvocation(_) => 4,
            Self::CancelInvocation(_) => 5,
            Self::Ping => 6,
            Self::Close(_) => 7,
            Self::Ack { .. } => 8,
            Self::Sequence { .. } => 9,
        }
    }

    /// The payload of the types that have one.
    pub const fn payload(&self) -> Option<&P> {
        match self {
            Self::Invocation(message) => Some(&message.call.arguments),
            Self::StreamInvocation(message) => Some(&message.call.arguments),
            Self::StreamItem(message) => Some(&message.item),
            Self::Completion(Completion { outcome: Outcome::Value(value), .. }) => Some(value),
            _ => None,
        }
    }

    /// About how many bytes it takes on the wire, for limits: its payload, its texts and some for the envelope.
    pub fn byte_len(&self) -> usize
    where
        P: OpaquePayload,
    {
        const ENVELOPE: usize = 64;
        let texts = match self {
            Self::Invocation(message) => message.call.target.len(),
            Self::StreamInvocation(message) => message.call.target.len(),
            Self::Completion(Completion { outcome: Outcome::Error(error), .. }) => error.len(),
            _ => 0,
        };
        ENVELOPE + texts + self.payload().map_or(0, OpaquePayload::byte_len)
    }

    /// Whether stateful reconnect counts the message: types 1 to 5.
    pub const fn is_sequenced(&self) -> bool {
        self.message_type() <= 5
    }
}

/// Message headers: names are non-empty and unique. Sent only to peers that announced that they read them, because
/// older official clients fail on any header.
pub type Headers = Vec<(ByteString, ByteString)>;

/// What both kinds of call carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call<P> {
    /// Message headers, usually none.
    pub headers: Headers,
    /// The name of the method.
    pub target: ByteString,
    /// The list of arguments, without those that are streams.
    pub arguments: P,
    /// The streams the caller uploads with this call, in the order of the method's stream parameters.
    pub stream_ids: Vec<ByteString>,
}

impl<P> Call<P> {
    /// A call without headers and streams.
    pub fn new(target: impl Into<ByteString>, arguments: P) -> Self {
        Self { headers: Headers::new(), target: target.into(), arguments, stream_ids: Vec::new() }
    }
}

/// A call of a method that returns at most one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation<P> {
    /// Names the call in its [`Completion`]. Without an id the callee never answers.
    pub invocation_id: Option<ByteString>,
    /// What is called.
    pub call: Call<P>,
}

/// A call of a method that returns a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamInvocation<P> {
    /// Names the call in its items and its [`Completion`].
    pub invocation_id: ByteString,
    /// What is called.
    pub call: Call<P>,
}

/// One item of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamItem<P> {
    /// Message headers, usually none.
    pub headers: Headers,
    /// The id of the stream invocation, or of the uploaded stream.
    pub invocation_id: ByteString,
    /// The item.
    pub item: P,
}

/// The end of an invocation or stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion<P> {
    /// Message headers, usually none.
    pub headers: Headers,
    /// The id of the invocation, or of the uploaded stream.
    pub invocation_id: ByteString,
    /// How it ended.
    pub outcome: Outcome<P>,
}

impl<P> Completion<P> {
    /// A completion without headers.
    pub fn new(invocation_id: impl Into<ByteString>, outcome: Outcome<P>) -> Self {
        Self { headers: Headers::new(), invocation_id: invocation_id.into(), outcome }
    }
}

/// How an invocation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<P> {
    /// Without a value. Peers differ in whether a method without result sends this or a null value: treat them alike.
    Void,
    /// With a value, which may be null.
    Value(P),
    /// The callee says that it failed; the text is never empty.
    Error(ByteString),
}

/// The caller takes back a call, or stops listening to a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CancelInvocation {
    /// Message headers, usually none.
    pub headers: Headers,
    /// The id of the call.
    pub invocation_id: ByteString,
}

impl CancelInvocation {
    /// A cancellation without headers.
    pub fn new(invocation_id: impl Into<ByteString>) -> Self {
        Self { headers: Headers::new(), invocation_id: invocation_id.into() }
    }
}

/// The sender ends the connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Close {
    /// Why, if it is an error.
    pub error: Option<ByteString>,
    /// Whether the client may apply its reconnect policy. Without it the client stops for good.
    pub allow_reconnect: bool,
    /// When the client should come back, in whole milliseconds on the wire. Only to peers that announced that they
    /// read it.
    pub retry_after: Option<Duration>,
}

/// As it travels.
#[cfg(feature = "codec")]
pub(super) fn to_millis(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1000).saturating_add(u64::from(duration.subsec_millis()))
}
