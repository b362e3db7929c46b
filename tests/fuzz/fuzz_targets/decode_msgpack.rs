//! Any bytes as a MessagePack hub message.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hubwire_fuzz::decode(
    hubwire::protocol::Encoding::MessagePack,
    data
));
