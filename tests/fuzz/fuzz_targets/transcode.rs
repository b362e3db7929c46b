//! Any bytes as MessagePack, as JSON of it, and as MessagePack of that again: what Kotlin and Swift get and give.
#![no_main]

use bytes::Bytes;
use hubwire::protocol::{Encoding, Payload};

// Not the crate: it has the whole driver with it.
#[path = "../../../bindings/uniffi/src/transcode.rs"]
#[allow(unreachable_pub)]
mod transcode;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = transcode::from_json(Encoding::MessagePack, Bytes::copy_from_slice(data));
    let received = Payload::from_encoder(Encoding::MessagePack, Bytes::copy_from_slice(data));
    let Ok(json) = transcode::to_json(&received) else { return };
    let _: serde_json::Value = serde_json::from_slice(&json).expect("it is JSON");
    // An application may give back what it got, unless it has one of the reserved members.
    if let Ok(back) = transcode::from_json(Encoding::MessagePack, Bytes::from(json)) {
        transcode::to_json(&back).expect("it is MessagePack");
    }
});
