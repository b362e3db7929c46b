//! Any bytes as the messages that come before the hub protocol.
#![no_main]

use hubwire::protocol::{HandshakeRequest, HandshakeResponse, NegotiateResponse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(request) = HandshakeRequest::decode(data) {
        let text = request.to_text();
        assert_eq!(HandshakeRequest::decode(text.trim_end_matches('\u{1e}').as_bytes()), Ok(request));
    }
    if let Ok(response) = HandshakeResponse::decode(data) {
        let mut written = Vec::new();
        response.encode(&mut written);
        assert_eq!(written.pop(), Some(0x1e));
        assert_eq!(HandshakeResponse::decode(&written), Ok(response));
    }
    if let Ok(response) = NegotiateResponse::decode(data) {
        assert_eq!(NegotiateResponse::decode(&response.encode()), Ok(response));
    }
});
