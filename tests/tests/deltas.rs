//! Objects that are sent as changes, over real sockets.
#![allow(clippy::unwrap_used, missing_docs)]

mod raw;

use hubwire_server::testing::TestServer;
use hubwire_server::transport::memory;
use hubwire_server::{Context, DeltaKey, Hub, HubError, HubOptions, Principal, SendError, Server};
use raw::Raw;
use serde_json::{Value, json};

async fn join(ctx: Context, group: String) -> Result<bool, HubError> {
    ctx.groups().add(ctx.connection_id(), &group)
}

async fn leave(ctx: Context, group: String) -> Result<bool, HubError> {
    Ok(ctx.groups().remove(ctx.connection_id(), &group))
}

async fn start(options: HubOptions) -> TestServer {
    let hub = Hub::builder().method("Join", join).method("Leave", leave).build().unwrap();
    TestServer::start(Server::builder().hub_with("/hub", hub, options).build().unwrap()).await.unwrap()
}

fn update(server: &TestServer, task: &str, value: Value) {
    let group = server.handle().hub("/hub").unwrap().group("room");
    group.send_delta("Progress", &DeltaKey::new("taskId", task), &value).unwrap();
}

/// A client in the room, and what it got when it joined.
async fn member(server: &TestServer, query: &str) -> (Raw, Vec<Value>) {
    let mut client = Raw::connect(server, "/hub", query).await;
    let (_, before) = client.invoke("Join", json!(["room"])).await;
    (client, before)
}

#[tokio::test]
async fn hubwire_clients_get_what_changed_and_others_everything() {
    let server = start(HubOptions::default()).await;
    let (mut announced, before) = member(&server, "hubwire=1").await;
    assert_eq!(before, [] as [Value; 0]);
    let (mut plain, _) = member(&server, "").await;
    let expected = [
        json!({"taskId": "t", "percent": 1, "status": "running", "sequence": 1, "full": true}),
        json!({"taskId": "t", "percent": 2, "sequence": 2, "baseSequence": 1}),
        json!({"taskId": "t", "status": null, "sequence": 3, "baseSequence": 2}),
    ];
    let states = [
        json!({"percent": 1, "status": "running", "note": null}),
        json!({"percent": 2, "status": "running", "full": true, "sequence": 70}),
        json!({"percent": 2}),
    ];
    for (state, expected) in states.into_iter().zip(expected) {
        update(&server, "t", state.clone());
        update(&server, "t", state);
        assert_eq!(announced.expect("ProgressDelta").await["arguments"], json!([expected]));
    }
    for expected in [
        json!({"taskId": "t", "percent": 1, "status": "running", "note": null}),
        json!({"taskId": "t", "percent": 2, "status": "running", "full": true, "sequence": 70}),
        json!({"taskId": "t", "percent": 2}),
    ] {
        assert_eq!(plain.expect("Progress").await["arguments"], json!([expected]));
    }
}

#[tokio::test]
async fn who_joins_or_asks_gets_everything() {
    let server = start(HubOptions::default()).await;
    for (task, percent) in [("a", 1), ("a", 2), ("b", 7)] {
        update(&server, task, json!({"percent": percent}));
    }
    let (mut client, before) = member(&server, "hubwire=1").await;
    let full = |task, percent, sequence| {
        let object = json!({"taskId": task, "percent": percent, "sequence": sequence, "full": true});
        json!({"type": 1, "target": "ProgressDelta", "arguments": [object]})
    };
    assert_eq!(before, [full("a", 2, 2), full("b", 7, 1)]);
    assert_eq!(client.invoke("HubwireSnapshot", json!(["Progress", "b"])).await.1, [full("b", 7, 1)]);
    let (_, before) = member(&server, "").await;
    assert_eq!(before, [] as [Value; 0], "others get no method that they do not know");
    // What is not there, or not for this client, is refused, and the two cannot be told apart.
    let error = client.refused("HubwireSnapshot", json!(["Progress", "c"])).await;
    client.invoke("Leave", json!(["room"])).await;
    let foreign = client.refused("HubwireSnapshot", json!(["Progress", "b"])).await;
    assert_eq!(error.replace("'c'", "'b'"), foreign);
    client.refused("HubwireSnapshot", json!(["Progress"])).await;
    let key = DeltaKey::new("taskId", "a");
    let group = server.handle().hub("/hub").unwrap().group("room");
    assert!(group.forget_delta("Progress", &key) && !group.forget_delta("Progress", &key));
    assert_eq!(client.invoke("Join", json!(["room"])).await.1, [full("b", 7, 1)]);
    let all = server.handle().hub("/hub").unwrap().all();
    assert_eq!(all.send_delta("Progress", &key, &json!({})).unwrap_err(), SendError::NoStream);
    assert!(group.send_delta("Progress", &key, &1).is_err());
}

#[tokio::test]
async fn without_the_option_everybody_gets_everything() {
    let server = start(HubOptions { deltas: None, ..HubOptions::default() }).await;
    let (mut client, _) = member(&server, "hubwire=1").await;
    for _ in 0..2 {
        update(&server, "t", json!({"percent": 1}));
        let arguments = client.expect("Progress").await["arguments"].clone();
        assert_eq!(arguments, json!([{"taskId": "t", "percent": 1}]));
    }
    let error = client.refused("HubwireSnapshot", json!(["Progress", "t"])).await;
    assert!(error.contains("Unknown hub method"), "{error}");
}

#[tokio::test]
async fn a_client_that_does_not_keep_up_gets_few_that_say_the_same() {
    let server = start(HubOptions::default()).await;
    let (transport, mut client) = memory(1);
    tokio::spawn(server.handle().accept("/hub", transport, Principal::anonymous()).unwrap());
    client.send("{\"protocol\":\"json\",\"version\":1}\u{1e}").await;
    client.receive().await.unwrap();
    let join = json!({"type": 1, "invocationId": "1", "target": "Join", "arguments": ["room"]});
    client.send(format!("{join}\u{1e}")).await;
    client.receive().await.unwrap();
    // The tasks of the server run only when this one waits.
    let mut sent = 0;
    for burst in [10, 1, 300] {
        for _ in 0..burst {
            sent += 1;
            update(
                &server,
                "t",
                json!({"n": sent, "x": {"even": sent % 2 == 0, format!("k{}", sent % 7): sent}}),
            );
        }
        tokio::task::yield_now().await;
    }
    let (mut state, mut sequence, mut messages) = (json!({}), 0, 0);
    while sequence < sent {
        let frame = raw::soon("a delta", client.receive()).await.unwrap();
        for record in std::str::from_utf8(&frame).unwrap().split_terminator('\u{1e}') {
            let message: Value = serde_json::from_str(record).unwrap();
            let mut delta = message["arguments"][0].as_object().unwrap().clone();
            let base = delta.remove("baseSequence").map_or(0, |base| base.as_u64().unwrap());
            assert_eq!(base, sequence, "no hole");
            sequence = delta.remove("sequence").unwrap().as_u64().unwrap();
            delta.remove("full");
            hubwire_server::delivery::delta::apply(&delta, state.as_object_mut().unwrap());
            messages += 1;
        }
    }
    assert!(messages < 20, "{messages} messages");
    assert_eq!(
        state,
        json!({"taskId": "t", "n": sent, "x": {"even": sent % 2 == 0, format!("k{}", sent % 7): sent}})
    );
}

#[tokio::test]
async fn nothing_is_missing_between_joining_and_what_changes_then() {
    const UPDATES: u64 = 2_000;
    let server = start(HubOptions::default()).await;
    let handle = server.handle().clone();
    let speaker = std::thread::spawn(move || {
        let group = handle.hub("/hub").unwrap().group("room");
        for n in 1..=UPDATES {
            group.send_delta("Progress", &DeltaKey::new("taskId", "t"), &json!({"n": n})).unwrap();
        }
    });
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.push(member(&server, "hubwire=1").await);
    }
    for (mut client, mut waiting) in clients {
        let mut sequence = 0;
        while sequence < UPDATES {
            if waiting.is_empty() {
                waiting.push(client.expect("ProgressDelta").await);
            }
            for message in waiting.drain(..) {
                let delta = &message["arguments"][0];
                let base = delta.get("baseSequence").map_or(0, |base| base.as_u64().unwrap());
                assert!(base == sequence || delta["full"] == true, "{sequence}: {delta}");
                assert!(sequence == 0 || delta.get("full").is_none(), "the whole object comes once: {delta}");
                sequence = delta["sequence"].as_u64().unwrap();
                assert_eq!(delta["n"], sequence);
            }
        }
    }
    speaker.join().unwrap();
}
