use alloc::borrow::Cow;
use alloc::string::String;
use core::fmt;

use crate::text::{joined, numbered};

#[cfg(feature = "codec")]
use super::Encoding;

/// What a peer sent that the hub protocol does not allow.
///
/// Most of them are errors of the Rust codecs, and only there with the feature `codec`; other decoders report
/// [`Reported`](Self::Reported). The texts name the property or element that was wrong and never quote payloads.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A property the message type must have is absent.
    #[cfg(feature = "codec")]
    MissingProperty(&'static str),
    /// A property or element has the wrong type.
    #[cfg(feature = "codec")]
    WrongType {
        /// Its name in the specification.
        property: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// A text is not UTF-8.
    #[cfg(feature = "codec")]
    Utf8 {
        /// The name of the property in the specification.
        property: &'static str,
    },
    /// A completion has both `error` and `result`.
    #[cfg(feature = "codec")]
    ErrorAndResult,
    /// The bytes are not JSON.
    #[cfg(feature = "codec")]
    Json(Cow<'static, str>),
    /// The bytes are not MessagePack, or end in the middle of a value.
    #[cfg(feature = "codec")]
    MessagePack(&'static str),
    /// A MessagePack array has fewer elements than its message type needs.
    #[cfg(feature = "codec")]
    ShortArray {
        /// The message type (1 to 9), or 0 when the array is empty.
        message_type: i64,
        /// How many elements there are.
        len: u32,
    },
    /// The result kind of a completion is none of 1, 2 and 3.
    #[cfg(feature = "codec")]
    ResultKind(u64),
    /// A MessagePack length prefix is longer than five bytes or says more than 2^31 - 1 bytes.
    #[cfg(feature = "codec")]
    LengthPrefix,
    /// A message is larger than the receiver's limit.
    TooLarge {
        /// The limit in bytes, framing included.
        limit: usize,
    },
    /// A handshake is malformed.
    Handshake(Cow<'static, str>),
    /// A negotiate response is malformed.
    Negotiate(Cow<'static, str>),
    /// The counts of stateful reconnect do not fit.
    Sequence(&'static str),
    /// What a decoder outside this crate says.
    Reported(String),
    /// A payload was made for another encoding than the connection speaks. The caller's fault, not the peer's.
    #[cfg(feature = "codec")]
    PayloadEncoding {
        /// What the connection speaks.
        expected: Encoding,
    },
}

impl ProtocolError {
    /// What to tell people.
    pub fn text(&self) -> String {
        match self {
            // The official server's text, which users search for.
            Self::TooLarge { limit } => numbered(
                "The maximum message size of #B was exceeded. The message size can be configured in AddHubOptions.",
                &[*limit as u64],
            ),
            Self::Handshake(detail) => joined(&["Invalid handshake: ", detail, "."]),
            Self::Negotiate(detail) => joined(&["Invalid negotiate response: ", detail, "."]),
            Self::Sequence(detail) => (*detail).into(),
            Self::Reported(detail) => detail.clone(),
            #[cfg(feature = "codec")]
            _ => alloc::string::ToString::to_string(self),
        }
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // These two texts are the official server's.
            #[cfg(feature = "codec")]
            Self::MissingProperty(name) => write!(f, "Missing required property '{name}'."),
            #[cfg(feature = "codec")]
            Self::ErrorAndResult => {
                f.write_str("The 'error' and 'result' properties are mutually exclusive.")
            }
            #[cfg(feature = "codec")]
            Self::WrongType { property, expected } => write!(f, "Expected '{property}' to be {expected}."),
            #[cfg(feature = "codec")]
            Self::Utf8 { property } => write!(f, "Expected '{property}' to be UTF-8."),
            #[cfg(feature = "codec")]
            Self::Json(detail) => write!(f, "The message is not valid JSON: {detail}."),
            #[cfg(feature = "codec")]
            Self::MessagePack(detail) => write!(f, "The message is not valid MessagePack: it {detail}."),
            #[cfg(feature = "codec")]
            Self::ShortArray { message_type: 0, .. } => f.write_str("The message array is empty."),
            #[cfg(feature = "codec")]
            Self::ShortArray { message_type, len } => {
                write!(f, "The array of a message of type {message_type} has only {len} elements.")
            }
            #[cfg(feature = "codec")]
            Self::ResultKind(kind) => {
                write!(f, "The result kind {kind} of a completion is none of 1, 2 and 3.")
            }
            #[cfg(feature = "codec")]
            Self::LengthPrefix => {
                f.write_str("Messages over 2GB in size are not supported: bad length prefix.")
            }
            Self::TooLarge { .. }
            | Self::Handshake(_)
            | Self::Negotiate(_)
            | Self::Sequence(_)
            | Self::Reported(_) => f.write_str(&self.text()),
            #[cfg(feature = "codec")]
            Self::PayloadEncoding { expected } => {
                write!(f, "The payload is not encoded for the hub protocol '{}'.", expected.name())
            }
        }
    }
}

impl core::error::Error for ProtocolError {}
