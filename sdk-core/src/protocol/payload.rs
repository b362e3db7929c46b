use std::fmt;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::ByteString;

use super::message::{Argument, Delta, Member};
use super::{Encoding, OpaquePayload, envelope, json, msgpack};

/// One value, or the whole argument list of a call, as the bytes that travel.
///
/// Cloning shares the bytes. Nothing is parsed until [`decode`](Self::decode) or [`arguments`](Self::arguments).
#[derive(Clone, PartialEq, Eq)]
pub struct Payload {
    encoding: Encoding,
    bytes: Bytes,
}

impl Payload {
    /// Encodes a value.
    ///
    /// # Errors
    /// When the value's `Serialize` fails, or it has something the encoding cannot express (a map with keys that are
    /// not strings in JSON).
    pub fn encode<T: Serialize + ?Sized>(encoding: Encoding, value: &T) -> Result<Self, PayloadError> {
        let bytes = match encoding {
            Encoding::Json => serde_json::to_vec(value).map_err(|error| PayloadError(error.to_string()))?,
            // With names, as the official servers write objects.
            Encoding::MessagePack => {
                rmp_serde::to_vec_named(value).map_err(|error| PayloadError(error.to_string()))?
            }
        };
        Ok(Self { encoding, bytes: bytes.into() })
    }

    /// Encodes an argument list: a tuple, a slice, or `()` for none.
    ///
    /// # Errors
    /// As [`encode`](Self::encode), and when the value is not a list.
    pub fn encode_arguments<T: Serialize + ?Sized>(
        encoding: Encoding,
        arguments: &T,
    ) -> Result<Self, PayloadError> {
        let payload = Self::encode(encoding, arguments)?;
        if payload.is_list() {
            return Ok(payload);
        }
        if payload.is_null() {
            return Ok(Self::no_arguments(encoding));
        }
        Err(PayloadError("the arguments of a call must be a tuple, a slice or ()".into()))
    }

    /// An empty argument list.
    pub const fn no_arguments(encoding: Encoding) -> Self {
        let bytes: &[u8] = match encoding {
            Encoding::Json => b"[]",
            Encoding::MessagePack => &[0x90],
        };
        Self { encoding, bytes: Bytes::from_static(bytes) }
    }

    /// The null value.
    pub const fn null(encoding: Encoding) -> Self {
        let bytes: &[u8] = match encoding {
            Encoding::Json => b"null",
            Encoding::MessagePack => &[0xc0],
        };
        Self { encoding, bytes: Bytes::from_static(bytes) }
    }

    /// Takes bytes that are one value already.
    ///
    /// # Errors
    /// When they are not exactly one well-formed value of the encoding: sent as they are they would break the
    /// connection for every other call.
    pub fn from_encoded(encoding: Encoding, bytes: Bytes) -> Result<Self, PayloadError> {
        let bytes = match encoding {
            Encoding::Json => {
                let value: &serde_json::value::RawValue =
                    serde_json::from_slice(&bytes).map_err(|error| PayloadError(error.to_string()))?;
                bytes.slice_ref(value.get().as_bytes())
            }
            Encoding::MessagePack => {
                let len = msgpack::value_len(&bytes).map_err(|error| PayloadError(error.to_string()))?;
                if len != bytes.len() {
                    return Err(PayloadError("more than one value".into()));
                }
                bytes
            }
        };
        Ok(Self { encoding, bytes })
    }

    /// Takes bytes as an encoder of that encoding has made them, without reading them. What is not exactly one value would
    /// break the connection for every other call: where the bytes come from elsewhere,
    /// [`from_encoded`](Self::from_encoded) is the way.
    pub const fn from_encoder(encoding: Encoding, bytes: Bytes) -> Self {
        Self { encoding, bytes }
    }

    /// For the codecs, which cut values out of a frame they have walked.
    pub(in crate::protocol) const fn from_frame(encoding: Encoding, bytes: Bytes) -> Self {
        Self { encoding, bytes }
    }

    /// Decodes the value.
    ///
    /// # Errors
    /// When it is not what `T` expects; the text says where.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, PayloadError> {
        match self.encoding {
            Encoding::Json => {
                serde_json::from_slice(&self.bytes).map_err(|error| PayloadError(error.to_string()))
            }
            Encoding::MessagePack => {
                rmp_serde::from_slice(&self.bytes).map_err(|error| PayloadError(error.to_string()))
            }
        }
    }

    /// The same value in that encoding.
    ///
    /// # Errors
    /// When the other encoding cannot express it: binary data, extensions and keys that are not strings in JSON.
    pub fn to_encoding(&self, encoding: Encoding) -> Result<Self, PayloadError> {
        if encoding == self.encoding {
            return Ok(self.clone());
        }
        Self::encode(encoding, &self.decode::<serde_json::Value>()?)
    }

    /// Reads an argument list one argument at a time.
    ///
    /// # Errors
    /// When the payload is not a list.
    pub fn arguments(&self) -> Result<ArgumentsDecoder<'_>, PayloadError> {
        let values = match self.encoding {
            Encoding::Json => json::elements(&self.bytes)?,
            Encoding::MessagePack => msgpack::elements(&self.bytes)?,
        };
        Ok(ArgumentsDecoder { payload: self, values, next: 0 })
    }

    /// The encoding of the bytes.
    pub const fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// The bytes: JSON text or MessagePack.
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Whether the value is null (nil).
    pub fn is_null(&self) -> bool {
        self.bytes == Self::null(self.encoding).bytes
    }

    /// Whether the value is a list, as arguments are.
    pub fn is_list(&self) -> bool {
        match self.encoding {
            Encoding::Json => self.bytes.first() == Some(&b'['),
            Encoding::MessagePack => self.bytes.first().is_some_and(|first| msgpack::is_array(*first)),
        }
    }
}

impl OpaquePayload for Payload {
    fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    fn is_same(&self, other: &Self) -> bool {
        self == other
    }

    fn no_arguments(encoding: Encoding) -> Self {
        Self::no_arguments(encoding)
    }

    fn from_arguments(encoding: Encoding, arguments: &[Argument<'_>]) -> Self {
        envelope::from_arguments(encoding, arguments)
    }

    fn texts(&self) -> Option<Vec<ByteString>> {
        self.text_list()
    }

    fn message_id(&self) -> Option<ByteString> {
        self.message_id()
    }

    fn members(&self) -> Option<Vec<Member<Self>>> {
        self.batch_members()
    }

    fn delta(&self, keys: &[ByteString]) -> Option<Delta> {
        self.delta_head(keys)
    }

    fn apply(&self, base: Option<&Self>, null_removes: bool) -> Option<Self> {
        self.merged(base, null_removes)
    }
}

impl fmt::Debug for Payload {
    // Payloads are the application's: they do not belong in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({}, {} bytes)", self.encoding.name(), self.bytes.len())
    }
}

/// The arguments of a call, decoded one after the other.
#[derive(Debug)]
pub struct ArgumentsDecoder<'a> {
    payload: &'a Payload,
    values: Vec<std::ops::Range<usize>>,
    next: usize,
}

impl ArgumentsDecoder<'_> {
    /// How many arguments there are in all.
    pub fn total(&self) -> usize {
        self.values.len()
    }

    /// How many were taken already.
    pub const fn taken(&self) -> usize {
        self.next
    }

    /// Decodes the next argument.
    ///
    /// # Errors
    /// When there is none left, or it is not what `T` expects.
    pub fn take<T: DeserializeOwned>(&mut self) -> Result<T, PayloadError> {
        self.take_raw()?.decode()
    }

    /// The next argument as bytes.
    ///
    /// # Errors
    /// When there is none left.
    pub fn take_raw(&mut self) -> Result<Payload, PayloadError> {
        let range =
            self.values.get(self.next).cloned().ok_or_else(|| PayloadError("too few arguments".into()))?;
        self.next += 1;
        Ok(Payload { encoding: self.payload.encoding, bytes: self.payload.bytes.slice(range) })
    }
}

/// A value that could not be encoded or decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayloadError(pub(super) String);

impl PayloadError {
    /// With that text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for PayloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for PayloadError {}
