//! Values and messages in both encodings.

use bytes::Bytes;
use bytestring::ByteString;
use hubwire::protocol::delivery::{POSITION_HEADER, Position};
use hubwire::protocol::{Call, Encoding, HubMessage, Invocation, Payload};
use serde::Serialize;

use crate::connection::Connection;
use crate::error::SendError;
use crate::registry::encode;

/// An argument list in both encodings: translated later, values that only one of them has would change.
#[derive(Clone, Debug)]
pub(super) struct Arguments {
    json: Payload,
    message_pack: Payload,
}

impl Arguments {
    pub(super) fn new<A: Serialize + ?Sized>(arguments: &A) -> Result<Self, SendError> {
        let encode = |encoding| Payload::encode_arguments(encoding, arguments).map_err(SendError::Arguments);
        Ok(Self { json: encode(Encoding::Json)?, message_pack: encode(Encoding::MessagePack)? })
    }

    /// What was encoded before.
    pub(super) const fn from_parts(json: Payload, message_pack: Payload) -> Self {
        Self { json, message_pack }
    }

    pub(super) const fn get(&self, encoding: Encoding) -> &Payload {
        match encoding {
            Encoding::Json => &self.json,
            Encoding::MessagePack => &self.message_pack,
        }
    }

    /// How many bytes both take.
    pub(super) fn len(&self) -> usize {
        self.json.bytes().len() + self.message_pack.bytes().len()
    }
}

/// A call of a client method, with a position for those who read it.
pub(super) fn call(
    encoding: Encoding,
    target: ByteString,
    arguments: Payload,
    position: Option<&Position>,
) -> Bytes {
    let mut call = Call::new(target, arguments);
    call.headers.extend(position.map(|position| (POSITION_HEADER.into(), position.to_string().into())));
    encode(encoding, &HubMessage::Invocation(Invocation { invocation_id: None, call }))
}

/// One message for many clients, encoded at most once for each kind of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Frames {
    /// By encoding, and whether the client announced itself.
    frames: [Option<Bytes>; 4],
}

impl Frames {
    pub(super) fn get(
        &mut self,
        connection: &Connection,
        make: impl FnOnce(Encoding, bool) -> Result<Bytes, SendError>,
    ) -> Result<Bytes, SendError> {
        let (encoding, announced) = (connection.encoding, connection.identity.is_announced());
        let index = usize::from(encoding == Encoding::MessagePack) * 2 + usize::from(announced);
        if let Some(frame) = &self.frames[index] {
            return Ok(frame.clone());
        }
        let frame = make(encoding, announced)?;
        self.frames[index] = Some(frame.clone());
        Ok(frame)
    }
}
