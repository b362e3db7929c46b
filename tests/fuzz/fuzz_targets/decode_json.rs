//! Any bytes as a JSON hub message.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hubwire_fuzz::decode(hubwire::protocol::Encoding::Json, data));
