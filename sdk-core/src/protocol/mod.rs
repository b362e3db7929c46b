//! The hub protocol: what both ends put on the wire.
//!
//! [`HubMessage`] is the decoded form of every message, generic over an opaque payload. The modules behind the
//! cargo feature `codec` turn bytes into messages and back: [`frame`] cuts a byte stream into messages, [`json`]
//! and [`msgpack`] are the two encodings, [`Payload`] is a slice of the received bytes that the application decodes
//! at its own edge. Without `codec` (the browser) only the plain types exist and JavaScript does the decoding.
//!
//! The rules follow the SignalR hub protocol and transport protocol specifications and, where those and the
//! official implementations disagree, the implementations.

pub mod delivery;
mod error;
mod handshake;
mod message;
mod negotiate;
pub mod reliable;

#[cfg(feature = "codec")]
mod envelope;
#[cfg(feature = "codec")]
pub mod frame;
#[cfg(feature = "codec")]
pub mod json;
#[cfg(feature = "codec")]
pub mod msgpack;
#[cfg(feature = "codec")]
mod payload;

pub use error::ProtocolError;
#[cfg(feature = "codec")]
pub use handshake::HandshakeRequestError;
pub use handshake::{HandshakeRequest, HandshakeResponse};
pub use message::{
    Argument, Call, CancelInvocation, Close, Completion, Delta, DeltaOrder, Headers, HubMessage, Invocation,
    Member, OpaquePayload, Outcome, StreamInvocation, StreamItem,
};
pub use negotiate::{
    AvailableTransport, Extensions, Feature, NegotiateResponse, Negotiated, Redirect, TransferFormat,
    TransferFormats, Transport,
};
#[cfg(feature = "codec")]
pub use payload::{ArgumentsDecoder, Payload, PayloadError};

#[cfg(feature = "codec")]
use bytes::Bytes;

/// The version that adds stateful reconnect ([`HubMessage::Ack`], [`HubMessage::Sequence`]); the highest one known.
pub const VERSION_STATEFUL: u8 = 2;
/// The version every peer speaks.
pub const VERSION: u8 = 1;

/// How hub messages are written: the hub protocols `json` and `messagepack`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Encoding {
    /// UTF-8 JSON records ended by 0x1E.
    Json,
    /// MessagePack arrays behind a variable-length size.
    MessagePack,
}

impl Encoding {
    /// The name in the handshake.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::MessagePack => "messagepack",
        }
    }

    /// The encoding of that handshake name; names are case-sensitive.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "json" => Some(Self::Json),
            "messagepack" => Some(Self::MessagePack),
            _ => None,
        }
    }

    /// What a transport must be able to carry for this encoding.
    pub const fn transfer_format(self) -> TransferFormat {
        match self {
            Self::Json => TransferFormat::Text,
            Self::MessagePack => TransferFormat::Binary,
        }
    }

    /// Decodes one message, cut out by [`frame::FrameDecoder`].
    ///
    /// `None` is a message of a type this version does not know, which readers ignore.
    ///
    /// # Errors
    /// What is wrong with it; the connection cannot go on then.
    #[cfg(feature = "codec")]
    pub fn decode(self, frame: &Bytes) -> Result<Option<HubMessage<Payload>>, ProtocolError> {
        match self {
            Self::Json => json::decode(frame),
            Self::MessagePack => msgpack::decode(frame),
        }
    }

    /// Appends the message with its framing to `out`.
    ///
    /// # Errors
    /// [`ProtocolError::PayloadEncoding`] when a payload was made for the other encoding; `out` is unchanged then.
    #[cfg(feature = "codec")]
    pub fn encode(self, message: &HubMessage<Payload>, out: &mut Vec<u8>) -> Result<(), ProtocolError> {
        if message.payload().is_some_and(|payload| payload.encoding() != self) {
            return Err(ProtocolError::PayloadEncoding { expected: self });
        }
        match self {
            Self::Json => json::encode(message, out),
            Self::MessagePack => msgpack::encode(message, out),
        }
        Ok(())
    }
}
