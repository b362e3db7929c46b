#![allow(clippy::unwrap_used)]

use crate::ByteString;
use serde_json::{Value, json};

use crate::protocol::{Argument, Delta, DeltaOrder, Encoding, OpaquePayload, Payload};

/// The same in both encodings.
fn both(value: &Value) -> [Payload; 2] {
    [Encoding::Json, Encoding::MessagePack].map(|encoding| Payload::encode(encoding, value).unwrap())
}

#[test]
fn ids_are_texts_of_the_first_object() {
    let long = "x".repeat(129);
    for (arguments, expected) in [
        (json!([{"messageId": "a", "data": 1}]), Some("a")),
        (json!([{"a": {"messageId": "inner"}, "messageId": "b"}, 1, 2]), Some("b")),
        (json!([{"messageId": ""}]), None),
        (json!([{"messageId": long}]), None),
        (json!([{"messageId": 7}]), None),
        (json!([{"messageId": null}]), None),
        (json!([{"MessageId": "a"}]), None),
        (json!([1, {"messageId": "second"}]), None),
        (json!([]), None),
        (json!([[{"messageId": "nested"}]]), None),
    ] {
        for payload in both(&arguments) {
            assert_eq!(payload.message_id().as_deref(), expected, "{arguments}");
        }
    }
}

#[test]
fn batches_are_cut_into_members() {
    let batch = json!([{"batchId": "b", "count": 9, "methodName": "M", "messages": [
        {"messageId": "1", "x": 1}, {"x": 2}, 7, null, ["y"], {"messageId": 4}
    ]}]);
    for payload in both(&batch) {
        let members = payload.members().unwrap();
        let found: Vec<_> = members
            .iter()
            .map(|member| {
                let arguments =
                    member.arguments.as_ref().map(|arguments| arguments.decode::<Value>().unwrap());
                (arguments, member.message_id.as_deref())
            })
            .collect();
        assert_eq!(
            found,
            [
                (Some(json!([{"messageId": "1", "x": 1}])), Some("1")),
                (Some(json!([{"x": 2}])), None),
                (Some(json!([7])), None),
                (Some(json!([null])), None),
                (Some(json!([["y"]])), None),
                (Some(json!([{"messageId": 4}])), None),
            ]
        );
    }
    for flag in [json!(true), json!(2)] {
        let lists = json!([{"batchId": "b", "argumentsPerMessage": flag, "messages": [
            ["t", 1], [], {"messageId": "bad"}, [{"messageId": "2"}, 3]
        ]}]);
        for payload in both(&lists) {
            let members = payload.members().unwrap();
            let found: Vec<_> = members
                .iter()
                .map(|member| (member.arguments.is_some(), member.message_id.as_deref()))
                .collect();
            assert_eq!(found, [(true, None), (true, None), (false, Some("bad")), (true, Some("2"))]);
            let first = members[0].arguments.as_ref().unwrap();
            assert_eq!(first.decode::<Value>().unwrap(), json!(["t", 1]));
        }
    }
}

#[test]
fn what_only_looks_like_a_batch_is_none() {
    for arguments in [
        json!([{"messages": []}]),
        json!([{"batchId": 1, "messages": []}]),
        json!([{"batchId": "b", "messages": {}}]),
        json!([{"batchId": "b", "messages": []}, 1]),
        json!(["batchId"]),
        json!([]),
    ] {
        for payload in both(&arguments) {
            assert_eq!(payload.members().map(|members| members.len()), None, "{arguments}");
        }
    }
}

#[test]
fn changes_say_where_they_belong() {
    let keys: Vec<ByteString> = vec!["taskId".into(), "key".into()];
    let delta = |key: &str, order| Some(Delta { key: key.into(), order });
    for (object, expected) in [
        (json!({"taskId": "t", "status": "x"}), delta("t", DeltaOrder::Unordered)),
        (
            json!({"key": 7, "sequence": 2, "baseSequence": 1}),
            delta("7", DeltaOrder::Next { base: 1, sequence: 2 }),
        ),
        (json!({"taskId": "t", "sequence": 5, "full": true}), delta("t", DeltaOrder::Full(5))),
        (json!({"taskId": "t", "full": true}), delta("t", DeltaOrder::Full(0))),
        (json!({"taskId": "t", "sequence": "5", "baseSequence": 4}), delta("t", DeltaOrder::Malformed)),
        (json!({"taskId": "t", "sequence": 5}), delta("t", DeltaOrder::Malformed)),
        (json!({"taskId": "t", "sequence": 5, "baseSequence": 5}), delta("t", DeltaOrder::Malformed)),
        (json!({"taskId": "t", "sequence": -5, "full": true}), delta("t", DeltaOrder::Malformed)),
        (json!({"taskId": null, "sequence": 5}), None),
        (json!({"other": 1}), None),
        (json!(1), None),
    ] {
        for payload in both(&json!([object])) {
            assert_eq!(payload.delta(&keys), expected, "{object}");
        }
        for payload in both(&json!([object, 1])) {
            assert_eq!(payload.delta(&keys), None, "two arguments are no change");
        }
    }
}

#[test]
fn changes_are_merged() {
    let cases = [
        (json!({}), json!({"a": 1, "sequence": 1, "full": true}), true, json!({"a": 1})),
        (
            json!({"a": 1, "b": 2}),
            json!({"b": 3, "sequence": 2, "baseSequence": 1}),
            true,
            json!({"a": 1, "b": 3}),
        ),
        (json!({"a": 1, "b": 2}), json!({"b": null}), true, json!({"a": 1})),
        (json!({"a": 1, "b": 2}), json!({"b": null}), false, json!({"a": 1, "b": 2})),
        (json!({"a": 1, "b": 2}), json!({"cleared": ["a"], "b": 4}), false, json!({"b": 4})),
        (
            json!({"o": {"x": 1, "y": {"z": 2}}}),
            json!({"o": {"y": {"w": 3, "z": null}}}),
            true,
            json!({"o": {"x": 1, "y": {"w": 3}}}),
        ),
        (json!({"o": [1, 2]}), json!({"o": {"x": null, "y": 1}}), true, json!({"o": {"y": 1}})),
        (json!({"o": {"x": 1}}), json!({"o": [3]}), true, json!({"o": [3]})),
        (json!({"a\"b": 1}), json!({"ä": "é\n"}), true, json!({"a\"b": 1, "ä": "é\n"})),
    ];
    for (base, change, null_removes, expected) in &cases {
        let bases = both(&json!([base]));
        for (base, change) in bases.iter().zip(both(&json!([change]))) {
            let merged = change.apply(Some(base), *null_removes).unwrap();
            assert_eq!(merged.decode::<Value>().unwrap(), json!([expected]), "{change:?}");
        }
    }
}

#[test]
fn numbers_stay_as_they_were_written() {
    let base =
        Payload::from_encoded(Encoding::Json, (&br#"[{"n":12345678901234567890123,"f":1.10}]"#[..]).into());
    let change = Payload::from_encoded(Encoding::Json, (&br#"[{"m":0.30000000000000004}]"#[..]).into());
    let merged = change.unwrap().apply(Some(&base.unwrap()), true).unwrap();
    assert_eq!(&merged.bytes()[..], br#"[{"n":12345678901234567890123,"f":1.10,"m":0.30000000000000004}]"#);
}

#[test]
fn arguments_of_own_calls() {
    let texts: Vec<ByteString> = vec!["a\"".into(), "b".into()];
    for encoding in [Encoding::Json, Encoding::MessagePack] {
        let payload = Payload::from_arguments(encoding, &[Argument::Text("x"), Argument::Texts(&texts)]);
        assert_eq!(payload.decode::<Value>().unwrap(), json!(["x", ["a\"", "b"]]));
        let list = Payload::encode(encoding, &["p", "q"]).unwrap();
        assert_eq!(list.texts().unwrap(), ["p", "q"]);
        assert_eq!(Payload::encode(encoding, &[1]).unwrap().texts(), None);
    }
}

#[test]
fn nesting_costs_no_stack() {
    let deep =
        format!("[{{\"messageId\":\"m\",\"taskId\":\"t\",\"x\":{}1{}}}]", "[".repeat(100), "]".repeat(100));
    let payload = Payload::from_encoded(Encoding::Json, deep.into()).unwrap();
    assert_eq!(payload.message_id().as_deref(), Some("m"));
    let mut bytes = vec![0x91, 0x82, 0xa9];
    bytes.extend_from_slice(b"messageId");
    bytes.extend_from_slice(&[0xa1, b'm', 0xa1, b'x']);
    bytes.extend(std::iter::repeat_n(0x91, 100_000));
    bytes.push(1);
    let payload = Payload::from_encoded(Encoding::MessagePack, bytes.into()).unwrap();
    // Too deep to be looked into, and no reason to fall over.
    assert_eq!(payload.message_id(), None);
    assert!(payload.delta(&["x".into()]).is_none());
}
