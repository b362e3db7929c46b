//! Any bytes in any pieces: the pieces must not matter, and the limit must hold.
#![no_main]

use arbitrary::Arbitrary;
use bytes::Bytes;
use hubwire::protocol::frame::FrameDecoder;
use hubwire::protocol::{Encoding, ProtocolError};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Case {
    binary: bool,
    limit: u8,
    pieces: Vec<u8>,
    bytes: Vec<u8>,
}

fn read(case: &Case, pieces: impl Iterator<Item = Bytes>) -> (Vec<Bytes>, Option<ProtocolError>) {
    let limit = usize::from(case.limit) + 1;
    let mut frames = FrameDecoder::new(limit);
    frames.begin(if case.binary { Encoding::MessagePack } else { Encoding::Json });
    let mut messages = Vec::new();
    for piece in pieces {
        frames.push(piece);
        loop {
            match frames.next() {
                Ok(Some(message)) => {
                    assert!(message.len() < limit);
                    messages.push(message);
                }
                Ok(None) => break,
                Err(error) => return (messages, Some(error)),
            }
        }
        assert!(frames.buffered() < limit.max(6));
    }
    (messages, None)
}

fuzz_target!(|case: Case| {
    let whole = Bytes::from(case.bytes.clone());
    let mut rest = whole.clone();
    let cuts = case.pieces.iter().map(|size| usize::from(*size) + 1).chain(std::iter::repeat(7));
    let pieces = cuts.map_while(|size| {
        let piece = rest.split_to(size.min(rest.len()));
        (!piece.is_empty()).then_some(piece)
    });
    let in_pieces = read(&case, pieces);
    let at_once = read(&case, std::iter::once(whole.clone()).filter(|bytes| !bytes.is_empty()));
    assert_eq!(in_pieces, at_once);
});
