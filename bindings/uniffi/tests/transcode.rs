//! JSON of the foreign side and MessagePack of the wire.
#![allow(clippy::unwrap_used, missing_docs)]

use bytes::Bytes;
use hubwire::protocol::{Encoding, Payload};
use hubwire_ffi::transcode::{MAX_DEPTH, from_json, to_json};
use proptest::prelude::*;
use rmpv::Value as Packed;
use serde_json::{Value, json};

fn pack(value: &Value) -> Payload {
    from_json(Encoding::MessagePack, Bytes::from(value.to_string())).unwrap()
}

fn unpacked(payload: &Payload) -> Packed {
    rmpv::decode::read_value(&mut &payload.bytes()[..]).unwrap()
}

fn packed(value: &Packed) -> Payload {
    let mut bytes = Vec::new();
    rmpv::encode::write_value(&mut bytes, value).unwrap();
    Payload::from_encoder(Encoding::MessagePack, bytes.into())
}

fn read(value: &Packed) -> Value {
    serde_json::from_slice(&to_json(&packed(value)).unwrap()).unwrap()
}

fn refused(value: Value) -> String {
    from_json(Encoding::MessagePack, Bytes::from(value.to_string())).unwrap_err().to_string()
}

#[test]
fn binary_data_are_base64() {
    assert_eq!(read(&Packed::Binary(vec![0, 255, 16])), json!("AP8Q"));
    assert_eq!(unpacked(&pack(&json!({"$binary": "AP8Q"}))), Packed::Binary(vec![0, 255, 16]));
    assert_eq!(unpacked(&pack(&json!("AP8Q"))), Packed::from("AP8Q"), "a text stays a text");
    assert!(refused(json!({"$binary": "?"})).contains("$binary"));
    assert!(refused(json!([{"$binary": 7}])).contains("$binary"));
    let two = json!({"$binary": "AP8Q", "other": 1});
    assert_eq!(read(&unpacked(&pack(&two))), two, "an object with more in it is an object");
}

/// The three forms of the specification, at their borders.
#[test]
fn times_are_texts() {
    for (data, text) in [
        (vec![0, 0, 0, 0], "1970-01-01T00:00:00Z"),
        (vec![255, 255, 255, 255], "2106-02-07T06:28:15Z"),
        ((1u64 << 32).to_be_bytes().to_vec(), "2106-02-07T06:28:16Z"),
        ((500_000_000u64 << 34 | 1).to_be_bytes().to_vec(), "1970-01-01T00:00:01.5Z"),
        (((1u64 << 34) - 1).to_be_bytes().to_vec(), "2514-05-30T01:53:03Z"),
        ([&1u32.to_be_bytes()[..], &(-1i64).to_be_bytes()].concat(), "1969-12-31T23:59:59.000000001Z"),
        ([&0u32.to_be_bytes()[..], &(1i64 << 34).to_be_bytes()].concat(), "2514-05-30T01:53:04Z"),
    ] {
        let packed = Packed::Ext(-1, data);
        assert_eq!(read(&packed), json!(text));
        assert_eq!(unpacked(&pack(&json!({"$timestamp": text}))), packed, "{text}");
    }
    assert_eq!(
        unpacked(&pack(&json!({"$timestamp": "2024-01-01T01:00:00+01:00"}))),
        unpacked(&pack(&json!({"$timestamp": "2024-01-01T00:00:00Z"})))
    );
    assert!(refused(json!({"$timestamp": "yesterday"})).contains("RFC 3339"));
}

#[test]
fn what_is_no_time_is_an_extension() {
    for data in [
        vec![],
        vec![1],
        vec![255; 8],
        [vec![255; 4], vec![0; 8]].concat(),
        [vec![0; 4], vec![127; 8]].concat(),
    ] {
        let value = read(&Packed::Ext(-1, data.clone()));
        assert_eq!(value["$extension"]["type"], -1, "{data:?}");
        assert_eq!(unpacked(&pack(&value)), Packed::Ext(-1, data));
    }
    assert!(refused(json!({"$extension": {"type": 128, "data": ""}})).contains("-128 to 127"));
    assert!(refused(json!({"$extension": {"type": 1}})).contains("base64"));
}

#[test]
fn json_has_no_other_keys_than_texts() {
    let map = Packed::Map(vec![(1.into(), "a".into()), (Packed::Nil, "b".into()), (true.into(), "c".into())]);
    assert_eq!(read(&map), json!({"1": "a", "null": "b", "true": "c"}));
}

#[test]
fn a_key_may_be_a_list_or_a_map() {
    let pair = Packed::Array(vec![1.into(), "a".into()]);
    let inner = Packed::Map(vec![(2.into(), pair.clone())]);
    let map = Packed::Map(vec![(pair.clone(), "x".into()), (inner, "y".into())]);
    assert_eq!(read(&map), json!({r#"[1,"a"]"#: "x", r#"{"2":[1,"a"]}"#: "y"}));
    // The values of a map have keys of their own.
    let nested = Packed::Map(vec![(1.into(), Packed::Map(vec![(pair, Packed::Nil)]))]);
    assert_eq!(read(&nested), json!({"1": {r#"[1,"a"]"#: null}}));
}

/// Every level of keys in keys would double the text: 300 bytes, and more of it than memory.
#[test]
fn keys_in_keys_end() {
    let nested = |depth: usize| {
        (0..depth).fold(Packed::from("key"), |inner, _| Packed::Map(vec![(inner, Packed::Nil)]))
    };
    assert_eq!(read(&nested(2)), json!({r#"{"key":null}"#: null}));
    for depth in 3..MAX_DEPTH {
        let error = to_json(&packed(&nested(depth))).unwrap_err().to_string();
        assert!(error.contains("a key has a key in it"), "{error}");
    }
}

#[test]
fn numbers_keep_their_64_bits() {
    for number in
        [json!(u64::MAX), json!(i64::MIN), json!(-1), json!(0.1), json!(1e300), json!(-32), json!(-33)]
    {
        assert_eq!(read(&unpacked(&pack(&number))), number);
    }
    assert_eq!(read(&Packed::F32(0.1)), json!(0.1), "the shortest text that is that number");
    for (number, text) in [(f64::NAN, "NaN"), (f64::INFINITY, "Infinity"), (f64::NEG_INFINITY, "-Infinity")] {
        assert_eq!(read(&Packed::F64(number)), json!(text));
        assert_eq!(read(&Packed::F32(number as f32)), json!(text));
    }
}

#[test]
fn texts_that_are_none_are_readable() {
    let payload = Payload::from_encoder(Encoding::MessagePack, Bytes::from_static(&[0xa2, b'a', 0xff]));
    assert_eq!(to_json(&payload).unwrap(), "\"a\u{fffd}\"".as_bytes());
}

#[test]
fn nesting_ends() {
    let nested = |depth: usize| (0..depth).fold(Packed::Nil, |inner, _| Packed::Array(vec![inner]));
    assert!(to_json(&packed(&nested(MAX_DEPTH - 1))).is_ok());
    let error = to_json(&packed(&nested(MAX_DEPTH))).unwrap_err().to_string();
    assert!(error.contains("128"), "{error}");
    for depth in 0..=MAX_DEPTH {
        let extension = (0..depth).fold(Packed::Ext(7, vec![1]), |inner, _| Packed::Array(vec![inner]));
        if let Ok(json) = to_json(&packed(&extension)) {
            serde_json::from_slice::<Value>(&json).unwrap();
        }
    }
    let deep = Payload::from_encoder(Encoding::MessagePack, vec![0x91; 1_000_000].into());
    assert!(to_json(&deep).is_err());
    let text = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(from_json(Encoding::MessagePack, Bytes::from(text)).is_err());
}

#[test]
fn json_stays_as_it_is_and_is_checked() {
    let text = r#"{"b": 1,  "a": 1.0, "$binary": "x"}"#;
    let payload = from_json(Encoding::Json, Bytes::from(text)).unwrap();
    assert_eq!(to_json(&payload).unwrap(), text.as_bytes());
    for wrong in ["", "{", "1 2", "nul", "\u{1e}", "[1,]"] {
        for encoding in [Encoding::Json, Encoding::MessagePack] {
            assert!(from_json(encoding, Bytes::from(wrong)).is_err(), "{wrong}");
        }
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::hash_map("[^$].{0,9}", inner, 0..8).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn what_went_there_comes_back(value in any_json()) {
        prop_assert_eq!(read(&unpacked(&pack(&value))), value);
    }

    #[test]
    fn anything_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let payload = Payload::from_encoder(Encoding::MessagePack, bytes.into());
        if let Ok(json) = to_json(&payload) {
            prop_assert!(serde_json::from_slice::<Value>(&json).is_ok(), "{}", String::from_utf8_lossy(&json));
        }
    }
}
