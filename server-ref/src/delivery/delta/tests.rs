use bytestring::ByteString;
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn object(value: Value) -> Object {
    let Value::Object(object) = value else { panic!("{value}") };
    object
}

#[test]
fn patches_are_those_of_rfc_7396() {
    for (before, patch, after) in [
        (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
        (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
        (json!({"a": "b"}), json!({"a": null}), json!({})),
        (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
        (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
        (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
        (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
        (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
        (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
        (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
    ] {
        let mut result = object(before);
        apply(&object(patch), &mut result);
        assert_eq!(Value::Object(result), after);
    }
}

#[test]
fn null_means_that_it_is_not_there() {
    let old = object(json!({"a": 1, "b": 2, "c": {"d": 1, "e": 1}}));
    let new = object(json!({"a": 1, "b": null, "c": {"d": null, "e": 1}, "f": {"g": null}, "h": null}));
    let patch = diff(&old, &new);
    assert_eq!(Value::Object(patch.clone()), json!({"b": null, "c": {"d": null}, "f": {}}));
    let mut result = old;
    apply(&patch, &mut result);
    assert_eq!(result, without_nulls(new));
}

#[test]
fn what_has_no_patch_has_none() {
    // The second object would have to take the place of another one, of which the patches know nothing.
    for first in [json!({"a": null}), json!({"a": 1}), json!({"a": []}), json!({"b": {"a": 1}})] {
        let second = match first.get("b") {
            Some(_) => json!({"b": {"a": {"x": 1}}}),
            None => json!({"a": {"x": 1}}),
        };
        assert_eq!(compose(&object(first), &object(second)), None);
    }
}

fn key(destination: &'static str, key: &'static str) -> StateKey {
    StateKey { destination: destination.into(), target: "T".into(), key: key.into() }
}

#[test]
fn the_first_state_is_sent_as_a_whole_and_then_what_changed() {
    let mut states = States::new(Deltas::default());
    let mut update = |value| states.update(&key("g", "k"), object(value), 10);
    let first = update(json!({"a": 1, "b": null})).unwrap();
    assert_eq!((first.sequence, first.base, Value::Object(first.fields.clone())), (1, None, json!({"a": 1})));
    assert_eq!(update(json!({"a": 1})), None, "nothing changed");
    let second = update(json!({"a": 1, "b": 2})).unwrap();
    assert_eq!(
        (second.sequence, second.base, Value::Object(second.fields.clone())),
        (2, Some(1), json!({"b": 2}))
    );
    let third = update(json!({"b": 3})).unwrap();
    assert_eq!(Value::Object(third.fields.clone()), json!({"a": null, "b": 3}));
    // Together they are one; and with the whole object they are the whole object.
    let both = second.then(&third).unwrap();
    assert_eq!(
        (both.sequence, both.base, Value::Object(both.fields)),
        (3, Some(1), json!({"a": null, "b": 3}))
    );
    let whole = first.then(&second).and_then(|delta| delta.then(&third)).unwrap();
    assert_eq!(Some(whole), states.snapshot(&key("g", "k")));
    assert_eq!(first.then(&third), None, "one is missing in between");
    assert_eq!(third.then(&first), Some(first), "a whole one needs nothing before it");
}

#[test]
fn only_so_many_objects_are_known() {
    let mut states = States::new(Deltas { max_keys: 2, max_bytes: 100 });
    let mut n = 0;
    let mut update = |states: &mut States, name, bytes| {
        n += 1;
        states.update(&key("g", name), object(json!({"n": n})), bytes).unwrap().base.is_none()
    };
    assert!(update(&mut states, "a", 10) && update(&mut states, "b", 10));
    assert!(!update(&mut states, "a", 10));
    assert!(update(&mut states, "c", 10));
    assert!(update(&mut states, "b", 10), "it had changed least recently");
    assert_eq!((states.len(), states.bytes()), (2, 20));
    assert!(update(&mut states, "d", 95));
    assert_eq!((states.len(), states.bytes()), (1, 95));
    assert!(update(&mut states, "e", 101));
    assert!(states.is_empty());
    assert_eq!(states.bytes(), 0);
}

#[test]
fn a_destination_has_its_own_objects() {
    let mut states = States::new(Deltas::default());
    for (destination, name) in [("g", "b"), ("h", "a"), ("g", "a")] {
        states.update(&key(destination, name), object(json!({"n": 1})), 1);
    }
    let names = |states: &States, destination: &'static str| -> Vec<ByteString> {
        states.snapshots(&destination.into()).into_iter().map(|(key, _)| key.key).collect()
    };
    assert_eq!(names(&states, "g"), ["a", "b"]);
    assert!(states.forget(&key("g", "a")) && !states.forget(&key("g", "a")));
    assert_eq!(names(&states, "g"), ["b"]);
    assert_eq!(states.snapshot(&key("g", "a")), None);
}

fn value(nulls: bool) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(if nulls { Value::Null } else { json!(0) }),
        (0..3).prop_map(Value::from),
        Just(json!([])),
        Just(json!(["x"])),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop::collection::btree_map("[abc]", inner, 0..4)
            .prop_map(|entries| Value::Object(entries.into_iter().collect()))
    })
}

fn objects(nulls: bool) -> impl Strategy<Value = Object> {
    prop::collection::btree_map("[abc]", value(nulls), 0..4).prop_map(|entries| entries.into_iter().collect())
}

proptest! {
    #[test]
    fn a_difference_leads_from_one_to_the_other(old in objects(false), new in objects(false)) {
        let mut result = old.clone();
        apply(&diff(&old, &new), &mut result);
        prop_assert_eq!(&result, &new);
        prop_assert!(diff(&new, &new).is_empty());
    }

    #[test]
    fn nulls_are_left_out(old in objects(true), new in objects(true)) {
        let mut result = without_nulls(old);
        apply(&diff(&result, &new), &mut result);
        prop_assert_eq!(result, without_nulls(new));
    }

    #[test]
    fn one_patch_does_what_two_do(first in objects(true), second in objects(true), start in objects(false)) {
        let mut one_by_one = start.clone();
        apply(&first, &mut one_by_one);
        apply(&second, &mut one_by_one);
        if let Some(both) = compose(&first, &second) {
            let mut at_once = start;
            apply(&both, &mut at_once);
            prop_assert_eq!(at_once, one_by_one);
        }
    }
}
