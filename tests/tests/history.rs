//! Streams with history over real sockets: what a client gets that was away, and what others see of it.
#![allow(clippy::unwrap_used, missing_docs)]

mod raw;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hubwire_server::testing::TestServer;
use hubwire_server::{Config, Context, History, Hub, HubError, HubOptions, SendError, Server, auth};
use raw::{Raw, offset, position};
use serde_json::{Value, json};

const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";

async fn join(ctx: Context, group: String) -> Result<bool, HubError> {
    ctx.groups().add(ctx.connection_id(), &group)
}

async fn leave(ctx: Context, group: String) -> Result<bool, HubError> {
    Ok(ctx.groups().remove(ctx.connection_id(), &group))
}

async fn start(history: History) -> TestServer {
    let hub = Hub::builder().method("Join", join).method("Leave", leave).build().unwrap();
    let options = HubOptions { history: Some(history), ..HubOptions::default() };
    let mut config = Config::default();
    config.auth.signing_key = Some(String::from_utf8(KEY.to_vec()).unwrap());
    let server = Server::builder().config(config).hub_with("/hub", hub, options).build().unwrap();
    TestServer::start(server).await.unwrap()
}

fn publish(server: &TestServer, group: &str, number: u64) {
    server.handle().hub("/hub").unwrap().group(group).publish("Said", (number,)).unwrap();
}

fn number(message: &Value) -> u64 {
    assert_eq!(message["target"], "Said", "{message}");
    message["arguments"][0].as_u64().unwrap()
}

/// A client in a group, and where that stood.
async fn member(server: &TestServer, group: &str) -> (Raw, String) {
    let mut client = Raw::connect(server, "/hub", "hubwire=1").await;
    let (joined, before) = client.invoke("Join", json!([group])).await;
    assert_eq!((joined, before.len()), (json!(true), 1));
    assert_eq!((&before[0]["target"], &before[0]["arguments"]), (&json!("HubwirePosition"), &json!([])));
    let start = position(&before[0]);
    (client, start)
}

#[tokio::test]
async fn what_was_missed_comes_in_order_with_live_traffic() {
    const MESSAGES: u64 = 2_000;
    let server = start(History { max_messages: 10_000, page_messages: 70, ..History::default() }).await;
    let (mut first, start) = member(&server, "room").await;
    assert!(start.ends_with("/0/group:room"), "{start}");
    publish(&server, "room", 1);
    let last = position(&first.expect("Said").await);
    drop(first);

    // Others speak all the time: while the client is away, while it asks and afterwards.
    let stop = Arc::new(AtomicBool::new(false));
    let (handle, stopped) = (server.handle().clone(), stop.clone());
    let speaker = std::thread::spawn(move || {
        let group = handle.hub("/hub").unwrap().group("room");
        let mut spoken = 1;
        while spoken < MESSAGES && !stopped.load(Ordering::Relaxed) {
            spoken += 1;
            group.publish("Said", (spoken,)).unwrap();
            std::thread::yield_now();
        }
    });
    let (mut client, start) = member(&server, "room").await;
    assert!(offset(&start) > 0);
    let mut seen = 1;
    let mut reached = last;
    loop {
        let (answers, before) = client.invoke("HubwireRecover", json!([[reached]])).await;
        // Live messages are ahead of what is still missing; they come again.
        for message in before {
            if offset(&position(&message)) == seen + 1 {
                seen += 1;
                assert_eq!(number(&message), seen);
            }
        }
        let answer = answers[0].as_str().unwrap();
        let (word, position) = answer.split_once(':').unwrap();
        position.clone_into(&mut reached);
        assert!(seen >= offset(&reached));
        if word == "complete" {
            break;
        }
        assert_eq!(word, "more");
    }
    // From here on nothing is missing and nothing comes twice.
    while seen < MESSAGES {
        let message = client.receive().await;
        seen += 1;
        assert_eq!((number(&message), offset(&position(&message))), (seen, seen));
    }
    stop.store(true, Ordering::Relaxed);
    speaker.join().unwrap();
    let statistics = server.handle().statistics().hubs[0].history.unwrap();
    assert_eq!((statistics.streams, statistics.messages), (1, MESSAGES as usize));
}

#[tokio::test]
async fn what_is_gone_is_said_to_be_lost() {
    let server = start(History { max_messages: 3, ..History::default() }).await;
    let (mut client, start) = member(&server, "room").await;
    for number in 1..=5 {
        publish(&server, "room", number);
    }
    for _ in 1..=5 {
        client.expect("Said").await;
    }
    let epoch = start.split_once('/').unwrap().0;
    let top = format!("{epoch}/5/group:room");
    for lost in [
        start.clone(),
        format!("{epoch}/1/group:room"),
        format!("{epoch}/6/group:room"),
        format!("{epoch}/18446744073709551615/group:room"),
        "other/5/group:room".to_owned(),
    ] {
        let (answers, before) = client.invoke("HubwireRecover", json!([[lost]])).await;
        assert_eq!((answers, before), (json!([format!("lost:{top}")]), vec![]), "{lost}");
    }
    let (answers, before) = client.invoke("HubwireRecover", json!([[format!("{epoch}/2/group:room")]])).await;
    assert_eq!(answers, json!([format!("complete:{top}")]));
    assert_eq!(before.iter().map(number).collect::<Vec<_>>(), [3, 4, 5]);
}

#[tokio::test]
async fn only_members_get_anything() {
    let server = start(History::default()).await;
    let (mut client, room) = member(&server, "room").await;
    let (_other, secret) = member(&server, "secret").await;
    publish(&server, "secret", 1);
    publish(&server, "room", 2);
    assert_eq!(number(&client.expect("Said").await), 2);
    let everything = json!([[secret, room, "e/0/user:alice", "e/0/nothing"]]);
    let (answers, before) = client.invoke("HubwireRecover", everything).await;
    assert_eq!((&answers[0], &answers[2], &answers[3]), (&json!("unsubscribed"), &answers[0], &answers[0]));
    assert!(answers[1].as_str().unwrap().starts_with("complete:"));
    assert_eq!(before.iter().map(number).collect::<Vec<_>>(), [2]);
    client.invoke("Leave", json!(["room"])).await;
    let (answers, before) = client.invoke("HubwireRecover", json!([[room]])).await;
    assert_eq!((answers, before), (json!(["unsubscribed"]), vec![]));
}

#[tokio::test]
async fn positions_that_are_none_fail_the_call_and_nothing_is_sent() {
    let server = start(History::default()).await;
    let (mut client, start) = member(&server, "room").await;
    publish(&server, "room", 1);
    client.expect("Said").await;
    for bad in ["", "x", "e/1", "e/-1/group:room", "e/01/group:room", "/1/group:room"] {
        let error = client.refused("HubwireRecover", json!([[start, bad]])).await;
        assert!(error.contains("index 1"), "{bad}: {error}");
    }
    let many = vec![start.clone(); 101];
    assert!(client.refused("HubwireRecover", json!([many])).await.contains("At most 100"));
    for arguments in [json!([]), json!([start]), json!([[1]]), json!([[start], 1])] {
        let error = client.refused("HubwireRecover", arguments).await;
        assert!(error.contains("HubException: The "), "{error}");
    }
    assert_eq!(client.invoke("hubwirerecover", json!([[]])).await, (json!([]), vec![]));
}

#[tokio::test]
async fn other_clients_see_nothing_but_signalr() {
    let server = start(History::default()).await;
    let mut plain = Raw::connect(&server, "/hub", "").await;
    assert_eq!(plain.invoke("Join", json!(["room"])).await, (json!(true), vec![]));
    publish(&server, "room", 1);
    assert_eq!(plain.receive().await, json!({"type": 1, "target": "Said", "arguments": [1]}));
    let error = plain.refused("HubwireRecover", json!([["e/0/group:room"]])).await;
    assert!(error.contains("Unknown hub method 'HubwireRecover'"), "{error}");
}

#[tokio::test]
async fn a_user_has_a_stream_over_all_connections() {
    let server = start(History::default()).await;
    let claims = json!({"sub": "alice"}).as_object().unwrap().clone();
    let token = auth::sign(KEY, claims, std::time::Duration::from_secs(60)).unwrap();
    let query = format!("hubwire=1&access_token={token}");
    let mut phone = Raw::connect(&server, "/hub", &query).await;
    let start = position(&phone.expect("HubwirePosition").await);
    assert!(start.ends_with("/0/user:alice"), "{start}");
    let hub = server.handle().hub("/hub").unwrap();
    hub.user("alice").publish("Said", (1,)).unwrap();
    assert_eq!(number(&phone.expect("Said").await), 1);
    drop(phone);
    hub.user("alice").publish("Said", (2,)).unwrap();
    let mut laptop = Raw::connect(&server, "/hub", &query).await;
    assert_eq!(offset(&position(&laptop.expect("HubwirePosition").await)), 2);
    let (_, before) = laptop.invoke("HubwireRecover", json!([[start]])).await;
    assert_eq!(before.iter().map(number).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(hub.all().publish("Said", ()).unwrap_err(), SendError::NoStream);
    assert_eq!(hub.group("").publish("Said", ()).unwrap_err(), SendError::EmptyGroupName);
}

#[tokio::test]
async fn every_member_sees_every_offset_whoever_speaks_and_whenever_it_joins() {
    const SPEAKERS: u64 = 4;
    const EACH: u64 = 500;
    let server = start(History::default()).await;
    let (mut first, _) = member(&server, "room").await;
    let speakers: Vec<_> = (0..SPEAKERS)
        .map(|_| {
            let handle = server.handle().clone();
            std::thread::spawn(move || {
                let group = handle.hub("/hub").unwrap().group("room");
                for number in 0..EACH {
                    group.publish("Said", (number,)).unwrap();
                }
            })
        })
        .collect();
    let mut late = Vec::new();
    for _ in 0..5 {
        let mut client = Raw::connect(&server, "/hub", "hubwire=1").await;
        let (_, before) = client.invoke("Join", json!(["room"])).await;
        late.push((client, before));
    }
    for expected in 1..=SPEAKERS * EACH {
        assert_eq!(offset(&position(&first.expect("Said").await)), expected);
    }
    for (mut client, before) in late {
        // What came with the answer comes first; it begins with where the stream stood.
        let mut reached = offset(&position(&before[0]));
        assert_eq!(before[0]["target"], "HubwirePosition");
        for message in &before[1..] {
            reached += 1;
            assert_eq!(offset(&position(message)), reached);
        }
        while reached < SPEAKERS * EACH {
            reached += 1;
            assert_eq!(offset(&position(&client.expect("Said").await)), reached);
        }
    }
    speakers.into_iter().for_each(|speaker| speaker.join().unwrap());
}
