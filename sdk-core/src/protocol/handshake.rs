use super::Encoding;
#[cfg(feature = "codec")]
use super::{ProtocolError, frame::RECORD_SEPARATOR};
use crate::text::{decimal, joined};
use alloc::string::String;

/// The first message of a connection, from the client. JSON under either encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandshakeRequest {
    /// The hub protocol of everything that follows.
    pub encoding: Encoding,
    /// Its version: [`VERSION`](super::VERSION), or [`VERSION_STATEFUL`](super::VERSION_STATEFUL) when negotiated.
    pub version: u8,
}

impl HandshakeRequest {
    /// The message with its terminator.
    pub fn to_text(self) -> String {
        let version = decimal(self.version.into());
        joined(&["{\"protocol\":\"", self.encoding.name(), "\",\"version\":", &version, "}\u{1e}"])
    }
}

/// The answer to a [`HandshakeRequest`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HandshakeResponse {
    /// Why the server refuses the connection; absent when it accepts.
    pub error: Option<String>,
}

/// Why a server refuses a handshake. The texts are those of the official server, which clients show to users.
#[cfg(feature = "codec")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HandshakeRequestError {
    /// The name is no hub protocol this server speaks.
    UnknownProtocol(String),
    /// The version is newer than this server.
    UnsupportedVersion {
        /// The protocol asked for.
        protocol: String,
        /// Its version.
        version: i32,
    },
    /// Not a handshake at all; the text says what is wrong and is for logs and detailed errors.
    Malformed(String),
    /// It did not come in time, or was larger than the limit.
    Canceled,
}

#[cfg(feature = "codec")]
impl core::fmt::Display for HandshakeRequestError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::UnknownProtocol(name) => write!(f, "The protocol '{name}' is not supported."),
            Self::UnsupportedVersion { protocol, version } => {
                write!(f, "The server does not support version {version} of the '{protocol}' protocol.")
            }
            Self::Malformed(_) => f.write_str("An unexpected error occurred during connection handshake."),
            Self::Canceled => f.write_str("Handshake was canceled."),
        }
    }
}

#[cfg(feature = "codec")]
impl core::error::Error for HandshakeRequestError {}

#[cfg(feature = "codec")]
mod codec {
    use alloc::borrow::Cow;

    use serde::Serialize;
    use serde_json::Value;

    use super::super::VERSION_STATEFUL;
    use super::super::json::object;
    use super::{
        Encoding, HandshakeRequest, HandshakeRequestError, HandshakeResponse, ProtocolError, RECORD_SEPARATOR,
    };

    #[derive(Serialize)]
    struct ErrorWire<'a> {
        error: &'a str,
    }

    impl HandshakeRequest {
        /// Reads a request, without its terminator. Versions up to the highest known are accepted.
        ///
        /// # Errors
        /// Why it must be refused.
        pub fn decode(record: &[u8]) -> Result<Self, HandshakeRequestError> {
            let malformed = |text: Cow<'static, str>| HandshakeRequestError::Malformed(text.into_owned());
            let request = object(record).map_err(malformed)?;
            let protocol = request
                .field("protocol", "a string", Value::as_str)
                .map_err(malformed)?
                .ok_or_else(|| malformed("'protocol' is missing".into()))?;
            let version = request
                .field("version", "a 32-bit integer", |value| i32::try_from(value.as_i64()?).ok())
                .map_err(malformed)?
                .ok_or_else(|| malformed("'version' is missing".into()))?;
            let Some(encoding) = Encoding::from_name(protocol) else {
                return Err(HandshakeRequestError::UnknownProtocol(protocol.to_owned()));
            };
            match u8::try_from(version) {
                Ok(known) if known <= VERSION_STATEFUL => Ok(Self { encoding, version: known }),
                _ => {
                    Err(HandshakeRequestError::UnsupportedVersion { protocol: protocol.to_owned(), version })
                }
            }
        }
    }

    impl HandshakeResponse {
        /// Reads a response, without its terminator. Unknown properties are ignored.
        ///
        /// # Errors
        /// When it is not a JSON object, or is a hub message: then the peer is not shaking hands.
        pub fn decode(record: &[u8]) -> Result<Self, ProtocolError> {
            let response = object(record).map_err(ProtocolError::Handshake)?;
            if response.has("type") {
                let text = "expected a handshake response, got a hub message (it has a 'type')";
                return Err(ProtocolError::Handshake(text.into()));
            }
            Ok(Self { error: response.text("error").map_err(ProtocolError::Handshake)? })
        }

        /// Appends the response with its terminator.
        pub fn encode(&self, out: &mut Vec<u8>) {
            match &self.error {
                None => out.extend_from_slice(b"{}"),
                Some(error) => {
                    // Writing a string to a vector cannot fail.
                    let _ = serde_json::to_writer(&mut *out, &ErrorWire { error });
                }
            }
            out.push(RECORD_SEPARATOR);
        }
    }
}
