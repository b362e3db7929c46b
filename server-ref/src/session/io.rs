use bytes::Bytes;
use std::time::Duration;

use bytestring::ByteString;
use hubwire::Time;
use hubwire::protocol::{
    Call, HandshakeRequest, HandshakeRequestError, HandshakeResponse, Headers, HubMessage, Outcome,
    ProtocolError,
};

use super::End;

/// Names a running method within its connection; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallKey(pub(crate) u64);

/// Names an uploaded stream within its connection; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UploadKey(pub(crate) u64);

/// What happens to a session.
#[derive(Clone, Debug)]
pub enum Input<P> {
    /// The first record came, and is a handshake or not.
    Handshake(Result<HandshakeRequest, HandshakeRequestError>),
    /// The connect hook ended. An error is the text for the client.
    Connected(Result<(), String>),
    /// A message came.
    Message(HubMessage<P>),
    /// The client sent something that is no message.
    Violation(ProtocolError),
    /// A message of an unknown type came, which is ignored but shows that the client is there.
    Unknown,
    /// A method ended, a stream of results included.
    Finished {
        /// Which one.
        call: CallKey,
        /// What its caller gets.
        outcome: Outcome<P>,
    },
    /// A streaming method produced an item.
    Item {
        /// Which one.
        call: CallKey,
        /// The item.
        item: P,
    },
    /// A method waits for an answer of a client, so others may start meanwhile.
    Release(CallKey),
    /// A method took an item out of an uploaded stream.
    Consumed(UploadKey),
    /// A method no longer reads an uploaded stream.
    Discard(UploadKey),
    /// The server calls a method of the client and expects a result.
    InvokeClient {
        /// Unique within the server, and no number: those are the client's own ids.
        id: ByteString,
        /// What to call.
        call: Call<P>,
    },
    /// Nobody waits for that result any more.
    ForgetClientCall(ByteString),
    /// Something left for the client that this session did not transmit itself.
    Sent,
    /// The transport takes no bytes, although some wait.
    Stalled,
    /// It does again.
    Flowing,
    /// More waits for the client than the limits allow.
    Overflow,
    /// The application ends the connection; the client shall not come back by itself.
    Abort,
    /// The application ends the connection with a Close message of its own.
    Close {
        /// The error for the client, if it is one.
        error: Option<String>,
        /// Whether the client may come back by itself.
        allow_reconnect: bool,
    },
    /// The server goes down; the client may come back.
    Shutdown {
        /// When, for a client that reads it.
        retry_after: Option<Duration>,
    },
    /// The client is not there for the moment: it has no poll open.
    Detached,
    /// It is there again.
    Attached,
    /// The connection ends at that time, unless this is said again with another.
    Expires(Option<Time>),
    /// The answer to the handshake has left the transport.
    HandshakeSent,
    /// With stateful reconnect: this counted message was given to the transport.
    Left(Bytes),
    /// With stateful reconnect: the client came with a new transport, whether or not the old one was lost.
    LinkReplaced,
    /// The transport ended. `None` is a proper close by the client.
    LinkLost(Option<String>),
    /// Time has passed.
    Tick,
}

/// What the driver must do.
#[derive(Clone, Debug)]
pub enum Output<P> {
    /// Send the answer to the handshake.
    Handshake(HandshakeResponse),
    /// The handshake succeeded: run the connect hook and report with [`Input::Connected`].
    Connect,
    /// Send a message.
    Transmit(HubMessage<P>),
    /// Make room for an uploaded stream; its call follows, maybe later.
    OpenUpload(UploadKey),
    /// Run a method and report with [`Input::Finished`].
    Run(MethodCall<P>),
    /// The caller takes the call back: tell the method, stop its stream. It still ends with [`Input::Finished`].
    Cancel(CallKey),
    /// The caller took a plain call with these headers back before its turn. It was answered.
    Withdrawn(Headers),
    /// Something came on an uploaded stream.
    Upload(UploadKey, UploadEvent<P>),
    /// The call of an uploaded stream is over, so nothing more comes on it.
    CloseUpload(UploadKey),
    /// The client answered a call of the server.
    ClientResult {
        /// The id of [`Input::InvokeClient`].
        id: ByteString,
        /// Its result.
        outcome: Outcome<P>,
    },
    /// With stateful reconnect: the transport is of no use any more. The client may come with another one.
    DropLink,
    /// With stateful reconnect: send these messages again, behind what was transmitted before.
    Replay(Vec<Bytes>),
    /// It is over: send what waits, close the transport, run the disconnect hook. Comes once.
    End(End),
    /// Nothing more to do until that time or the next input. Always the last output of a drain.
    Wait(Option<Time>),
}

/// A method to run.
#[derive(Clone, Debug)]
pub struct MethodCall<P> {
    /// Names it towards the session.
    pub key: CallKey,
    /// Whether the caller expects a stream.
    pub streaming: bool,
    /// Whether the caller expects an answer at all.
    pub blocking: bool,
    /// What the client called it.
    pub target: ByteString,
    /// The argument list.
    pub arguments: P,
    /// The uploaded streams, in the order of the method's stream parameters.
    pub uploads: Vec<UploadKey>,
    /// Message headers.
    pub headers: Headers,
}

/// What came on an uploaded stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UploadEvent<P> {
    /// An item. The method's buffer has room for it.
    Item(P),
    /// The end; the text is the client's error.
    End(Option<ByteString>),
}
