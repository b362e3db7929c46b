use bytes::Bytes;
use bytestring::ByteString;
use hubwire::protocol::{Call, Encoding, HubMessage, Invocation, Payload};
use serde::Serialize;

use crate::error::SendError;

/// A call of client methods, encoded at most once for each encoding that a recipient speaks.
pub(crate) struct Broadcast<'a, A: ?Sized> {
    target: ByteString,
    arguments: &'a A,
    json: Option<Bytes>,
    message_pack: Option<Bytes>,
}

impl<'a, A: Serialize + ?Sized> Broadcast<'a, A> {
    pub(crate) fn new(target: impl Into<ByteString>, arguments: &'a A) -> Self {
        Self { target: target.into(), arguments, json: None, message_pack: None }
    }

    pub(crate) fn frame(&mut self, encoding: Encoding) -> Result<Bytes, SendError> {
        let slot = match encoding {
            Encoding::Json => &mut self.json,
            Encoding::MessagePack => &mut self.message_pack,
        };
        if let Some(frame) = slot {
            return Ok(frame.clone());
        }
        let call = call(encoding, self.target.clone(), self.arguments)?;
        let message = HubMessage::Invocation(Invocation { invocation_id: None, call });
        let frame = encode(encoding, &message);
        *slot = Some(frame.clone());
        Ok(frame)
    }
}

/// A call with arguments for one recipient.
pub(crate) fn call<A: Serialize + ?Sized>(
    encoding: Encoding,
    target: ByteString,
    arguments: &A,
) -> Result<Call<Payload>, SendError> {
    let arguments = Payload::encode_arguments(encoding, arguments).map_err(SendError::Arguments)?;
    Ok(Call::new(target, arguments))
}

/// A message with its framing.
pub(crate) fn encode(encoding: Encoding, message: &HubMessage<Payload>) -> Bytes {
    let size = message.payload().map_or(0, |payload| payload.bytes().len());
    let mut out = Vec::with_capacity(size + 96);
    if let Err(error) = encoding.encode(message, &mut out) {
        // Payloads are made for the connection they go to, so this is a mistake of this crate.
        tracing::error!(%error, "a message was not sent");
    }
    out.into()
}
