//! What the decoder targets share.

use bytes::Bytes;
use hubwire::protocol::frame::FrameDecoder;
use hubwire::protocol::{Encoding, Payload};

/// Decodes one message; what is understood must survive being written and read again.
pub fn decode(encoding: Encoding, data: &[u8]) {
    let frame = Bytes::copy_from_slice(data);
    let Ok(Some(message)) = encoding.decode(&frame) else { return };
    if let Some(payload) = message.payload() {
        let _ = payload.decode::<serde_json::Value>();
        if let Ok(mut arguments) = payload.arguments() {
            for _ in 0..arguments.total() {
                let argument = arguments.take_raw().expect("counted");
                Payload::from_encoded(encoding, argument.bytes().clone()).expect("one value each");
            }
        }
    }
    let mut written = Vec::new();
    encoding.encode(&message, &mut written).expect("payloads of this encoding");
    let mut frames = FrameDecoder::new(usize::MAX);
    frames.begin(encoding);
    frames.push(written.into());
    let frame = frames.next().expect("well framed").expect("whole");
    assert_eq!(encoding.decode(&frame).expect("our own bytes"), Some(message));
    assert_eq!(frames.buffered(), 0);
}
