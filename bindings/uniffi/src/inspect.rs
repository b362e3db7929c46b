//! Frames, taken apart and put together: for tests of the foreign side against the golden vectors, and for tools.

use bytes::Bytes;
use hubwire::protocol::{Completion, HubMessage, Outcome, Payload};

use crate::failure::HubFailure;
use crate::transcode::{from_json, to_json};
use crate::values::Encoding;

/// The default of connections: one that promises more is refused for that, and a shorter one that is cut off for being cut off.
const MAX_MESSAGE_SIZE: usize = 16 << 20;

/// A message of the hub protocol.
#[derive(Clone, Debug, Default, PartialEq, Eq, uniffi::Record)]
pub struct InspectedMessage {
    /// The number of the type.
    pub message_type: u8,
    /// Of invocations, items, completions and cancels.
    pub invocation_id: Option<String>,
    /// The method.
    pub target: Option<String>,
    /// The arguments, item or result as JSON, as an application gets it.
    pub payload: Option<Vec<u8>>,
    /// The same as it travels.
    pub encoded: Option<Vec<u8>>,
    /// The ids of uploads.
    pub stream_ids: Vec<String>,
    /// Of completions and closes.
    pub error: Option<String>,
}

/// Reads one message, with its length or separator. None for a type that is not known.
///
/// # Errors
/// When it is no message.
#[uniffi::export]
pub fn inspect(encoding: Encoding, frame: Vec<u8>) -> Result<Option<InspectedMessage>, HubFailure> {
    let wrong = |reason: String| HubFailure::Failed { kind: crate::failure::ErrorKind::Protocol, reason };
    let core = hubwire::protocol::Encoding::from(encoding);
    let mut frames = hubwire::protocol::frame::FrameDecoder::new(MAX_MESSAGE_SIZE);
    frames.begin(core);
    frames.push(Bytes::from(frame));
    let frame = frames.next().map_err(|error| wrong(error.to_string()))?;
    let frame = frame.ok_or_else(|| wrong("The message is not whole.".to_owned()))?;
    let Some(message) = core.decode(&frame).map_err(|error| wrong(error.to_string()))? else {
        return Ok(None);
    };
    let payload = message.payload();
    let json = payload.map(to_json).transpose().map_err(|error| wrong(error.to_string()))?;
    let mut found = InspectedMessage {
        message_type: message.message_type(),
        payload: json,
        encoded: payload.map(|payload| payload.bytes().to_vec()),
        ..InspectedMessage::default()
    };
    match &message {
        HubMessage::Invocation(message) => {
            found.invocation_id = message.invocation_id.as_ref().map(ToString::to_string);
            found.target = Some(message.call.target.to_string());
            found.stream_ids = message.call.stream_ids.iter().map(ToString::to_string).collect();
        }
        HubMessage::StreamInvocation(message) => {
            found.invocation_id = Some(message.invocation_id.to_string());
            found.target = Some(message.call.target.to_string());
            found.stream_ids = message.call.stream_ids.iter().map(ToString::to_string).collect();
        }
        HubMessage::StreamItem(message) => found.invocation_id = Some(message.invocation_id.to_string()),
        HubMessage::Completion(Completion { invocation_id, outcome, .. }) => {
            found.invocation_id = Some(invocation_id.to_string());
            if let Outcome::Error(error) = outcome {
                found.error = Some(error.to_string());
            }
        }
        HubMessage::CancelInvocation(message) => {
            found.invocation_id = Some(message.invocation_id.to_string())
        }
        HubMessage::Close(message) => found.error = message.error.as_ref().map(ToString::to_string),
        HubMessage::Ping | HubMessage::Ack { .. } | HubMessage::Sequence { .. } => {}
    }
    Ok(Some(found))
}

/// How JSON of the foreign side travels.
///
/// # Errors
/// When it cannot be sent in that encoding.
#[uniffi::export]
pub fn write_payload(encoding: Encoding, json: Vec<u8>) -> Result<Vec<u8>, HubFailure> {
    let payload: Payload = from_json(encoding.into(), Bytes::from(json))
        .map_err(|error| HubFailure::misuse(format!("The value cannot be sent: {error}")))?;
    Ok(payload.bytes().to_vec())
}
