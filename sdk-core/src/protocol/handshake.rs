use super::Encoding;
#[cfg(feature = "codec")]
use super::{ProtocolError, frame::RECORD_SEPARATOR};

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
        format!("{{\"protocol\":\"{}\",\"version\":{}}}\u{1e}", self.encoding.name(), self.version)
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
        version: i64,
    },
    /// Not a handshake at all; the text says what is wrong and is for logs and detailed errors.
    Malformed(String),
    /// It did not come in time, or was larger than the limit.
    Canceled,
}

#[cfg(feature = "codec")]
impl std::fmt::Display for HandshakeRequestError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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
impl std::error::Error for HandshakeRequestError {}

#[cfg(feature = "codec")]
mod codec {
    use serde::{Deserialize, Serialize};

    use super::super::VERSION_STATEFUL;
    use super::{
        Encoding, HandshakeRequest, HandshakeRequestError, HandshakeResponse, ProtocolError, RECORD_SEPARATOR,
    };

    #[derive(Deserialize)]
    struct RequestWire {
        protocol: String,
        version: i64,
    }

    #[derive(Deserialize)]
    struct ResponseWire {
        error: Option<String>,
        #[serde(rename = "type")]
        message_type: Option<serde::de::IgnoredAny>,
    }

    #[derive(Serialize)]
    struct ErrorWire<'a> {
        error: &'a str,
    }

    impl HandshakeRequest {
        /// Reads a request, without its terminator. Any version up to the highest known is accepted.
        ///
        /// # Errors
        /// Why it must be refused.
        pub fn decode(record: &[u8]) -> Result<Self, HandshakeRequestError> {
            let wire: RequestWire = serde_json::from_slice(record)
                .map_err(|error| HandshakeRequestError::Malformed(error.to_string()))?;
            let Some(encoding) = Encoding::from_name(&wire.protocol) else {
                return Err(HandshakeRequestError::UnknownProtocol(wire.protocol));
            };
            match u8::try_from(wire.version) {
                Ok(version) if version <= VERSION_STATEFUL => Ok(Self { encoding, version }),
                _ => Err(HandshakeRequestError::UnsupportedVersion {
                    protocol: wire.protocol,
                    version: wire.version,
                }),
            }
        }
    }

    impl HandshakeResponse {
        /// Reads a response, without its terminator. Unknown properties are ignored.
        ///
        /// # Errors
        /// When it is not a JSON object, or is a hub message: then the peer is not shaking hands.
        pub fn decode(record: &[u8]) -> Result<Self, ProtocolError> {
            let wire: ResponseWire = serde_json::from_slice(record)
                .map_err(|error| ProtocolError::Handshake(error.to_string().into()))?;
            if wire.message_type.is_some() {
                return Err(ProtocolError::Handshake(
                    "expected a handshake response, got a hub message".into(),
                ));
            }
            Ok(Self { error: wire.error.filter(|error| !error.is_empty()) })
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
