//! Stateful reconnect over real sockets: nothing is lost and nothing comes twice.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use hubwire_server::testing::TestServer;
use hubwire_server::{Config, Context, DisconnectReason, Hub, HubError, HubOptions, Server, State};
use serde_json::{Value, json};
use support::{PATIENCE, Socket, config, negotiate};
use tokio::sync::{Notify, mpsc};

const PATH: &str = "/hubs/test";

#[derive(Clone)]
struct Signals {
    go: Arc<Notify>,
    ends: mpsc::UnboundedSender<Option<String>>,
}

async fn start(config: Config) -> (TestServer, Arc<Notify>, mpsc::UnboundedReceiver<Option<String>>) {
    let (sender, ends) = mpsc::unbounded_channel();
    let go = Arc::new(Notify::new());
    let hub = Hub::builder()
        .state(Signals { go: go.clone(), ends: sender })
        .method("Echo", async |value: Value| Ok::<_, HubError>(value))
        .method("Join", async |ctx: Context, group: String| ctx.groups().add(ctx.connection_id(), group))
        .method("Wait", async |State(signals): State<Signals>| {
            signals.go.notified().await;
            Ok::<_, HubError>("done")
        })
        .on_disconnected(async |State(signals): State<Signals>, reason: DisconnectReason| {
            let _ = signals.ends.send(reason.0.as_deref().map(str::to_owned));
            Ok::<_, HubError>(())
        })
        .build()
        .unwrap();
    let options = HubOptions { stateful_reconnect: true, ..HubOptions::default() };
    let server = Server::builder().config(config).hub_with(PATH, hub, options).build().unwrap();
    (TestServer::start(server).await.unwrap(), go, ends)
}

async fn ended(ends: &mut mpsc::UnboundedReceiver<Option<String>>) -> Option<String> {
    tokio::time::timeout(PATIENCE, ends.recv()).await.expect("an end").unwrap()
}

/// A connection with version 2, and the path to resume it with.
async fn connect(server: &TestServer) -> (Socket, String) {
    let response = negotiate(server, &format!("{PATH}?negotiateVersion=1&USESTATEFULRECONNECT=True")).await;
    assert_eq!(response["useStatefulReconnect"], true);
    let path = format!("{PATH}?id={}", response["connectionToken"].as_str().unwrap());
    let mut socket = Socket::open(server, &path).await.unwrap();
    socket.send_text("{\"protocol\":\"json\",\"version\":2}\u{1e}").await;
    assert_eq!(socket.receive().await, json!({}));
    socket.send(json!({"type": 6})).await;
    (socket, path)
}

/// The numbers of the next `count` messages.
async fn numbers(socket: &mut Socket, count: usize) -> Vec<Value> {
    let mut numbers = Vec::new();
    while numbers.len() < count {
        let message = socket.receive().await;
        if message["type"] == 1 {
            numbers.push(message["arguments"][0].clone());
        }
    }
    numbers
}

#[tokio::test]
async fn a_cut_socket_loses_and_repeats_nothing() {
    let mut config = config();
    config.limits.parallel_invocations = 2;
    let (server, go, mut ends) = start(config).await;
    let (mut socket, path) = connect(&server).await;
    assert_eq!(socket.call("Join", json!(["room"])).await, Ok(json!(true)));
    socket.invoke("w", "Wait", json!([])).await;
    let room = server.handle().hub(PATH).unwrap().group("room");
    room.send("N", (1,)).unwrap();
    assert_eq!(numbers(&mut socket, 1).await, [1]);
    // The completion and the first number are acknowledged, the rest is not.
    socket.send(json!({"type": 8, "sequenceId": 2})).await;
    assert_eq!(socket.call("Echo", json!(["x"])).await, Ok(json!("x")));
    room.send("N", (2,)).unwrap();
    assert_eq!(numbers(&mut socket, 1).await, [2]);
    socket.cut();
    // Sent while nobody is there, and a method that ends meanwhile.
    room.send("N", (3,)).unwrap();
    go.notify_one();
    assert_eq!(server.handle().statistics().connections, 1);
    let mut socket = Socket::open(&server, &path).await.unwrap();
    // Before its own sequence nothing of the client counts.
    socket.invoke("lost", "Echo", json!([0])).await;
    socket.send(json!({"type": 9, "sequenceId": 4})).await;
    socket.invoke("e", "Echo", json!(["after"])).await;
    assert_eq!(socket.receive().await, json!({"type": 9, "sequenceId": 3}));
    assert_eq!(socket.receive().await, json!({"type": 3, "invocationId": "call", "result": "x"}));
    let mut rest = Vec::new();
    while rest.len() < 4 {
        let message = socket.receive().await;
        if message["type"] != 8 {
            rest.push(message);
        }
    }
    assert_eq!(rest[0], json!({"type": 1, "target": "N", "arguments": [2]}));
    assert_eq!(rest.iter().filter(|message| message["arguments"][0] == 3).count(), 1);
    assert!(rest.contains(&json!({"type": 3, "invocationId": "w", "result": "done"})));
    assert!(rest.contains(&json!({"type": 3, "invocationId": "e", "result": "after"})));
    // An end that was said is final.
    socket.send(json!({"type": 7})).await;
    socket.rest().await;
    assert_eq!(ended(&mut ends).await, None);
    assert!(Socket::open(&server, &path).await.is_err());
}

#[tokio::test]
async fn many_cuts_under_load() {
    let (server, ..) = start(config()).await;
    let (mut socket, path) = connect(&server).await;
    let clients = server.handle().hub(PATH).unwrap();
    let (cuts, per_cut) = (100, 20);
    let mut expected = 0u64;
    let mut counted = 0u64;
    let mut sent = 0u64;
    let mut calls = 0u64;
    let (mut results, mut repeated) = (0u64, 0u64);
    // What the client counts: its own calls, and what it got.
    for cut in 0..cuts {
        for _ in 0..per_cut {
            clients.all().send("N", (sent,)).unwrap();
            sent += 1;
            socket.invoke(&calls.to_string(), "Echo", json!([calls])).await;
            calls += 1;
        }
        // Reads a part, acknowledges now and then, and cuts.
        for _ in 0..cut % (per_cut * 2) {
            let message = socket.receive().await;
            match message["type"].as_u64().unwrap() {
                1 => {
                    assert_eq!(message["arguments"][0], expected);
                    expected += 1;
                    counted += 1;
                }
                3 => {
                    assert_eq!(message["result"], results);
                    results += 1;
                    counted += 1;
                }
                8 => {}
                other => panic!("{other}"),
            }
        }
        if cut % 3 == 0 {
            socket.send(json!({"type": 8, "sequenceId": counted})).await;
        }
        socket.cut();
        socket = Socket::open(&server, &path).await.unwrap();
        // The client never saw an acknowledgement, so it repeats everything.
        socket.send(json!({"type": 9, "sequenceId": 1})).await;
        for call in 0..calls {
            socket.invoke(&call.to_string(), "Echo", json!([call])).await;
        }
        let first = socket.receive().await;
        assert_eq!(first["type"], 9);
        let first = first["sequenceId"].as_u64().unwrap();
        assert!(first <= counted + 1, "{first} leaves a gap behind {counted}");
        for _ in first..=counted {
            loop {
                let message = socket.receive().await;
                if message["type"] != 8 {
                    break;
                }
            }
            repeated += 1;
        }
    }
    while expected < sent || results < calls {
        let message = socket.receive().await;
        match message["type"].as_u64().unwrap() {
            1 => {
                assert_eq!(message["arguments"][0], expected);
                expected += 1;
            }
            3 => {
                assert_eq!(message["result"], results);
                results += 1;
            }
            _ => continue,
        }
        counted += 1;
        if counted.is_multiple_of(100) {
            // Or the server holds the rest back.
            socket.send(json!({"type": 8, "sequenceId": counted})).await;
        }
    }
    println!(
        "cuts {cuts}, sent {sent}, received {expected}, calls {calls}, results {results}, dropped as repeated {repeated}"
    );
    assert_eq!((expected, results), (sent, calls));
}

#[tokio::test]
async fn a_socket_that_looks_alive_is_replaced() {
    let (server, ..) = start(config()).await;
    let (mut old, path) = connect(&server).await;
    assert_eq!(old.call("Join", json!(["room"])).await, Ok(json!(true)));
    let mut new = Socket::open(&server, &path).await.unwrap();
    assert_eq!(new.receive().await, json!({"type": 9, "sequenceId": 1}));
    assert_eq!(new.receive().await["invocationId"], "call");
    server.handle().hub(PATH).unwrap().group("room").send("N", (5,)).unwrap();
    assert_eq!(numbers(&mut new, 1).await, [5]);
    assert_eq!(old.next().await, None);
    assert_eq!(server.handle().statistics().connections, 1);
}

#[tokio::test]
async fn after_the_window_the_connection_is_over() {
    let mut config = config();
    config.times.disconnect = Duration::from_millis(30);
    let (server, _, mut ends) = start(config).await;
    let (mut socket, path) = connect(&server).await;
    assert_eq!(socket.call("Echo", json!([1])).await, Ok(json!(1)));
    socket.cut();
    assert_eq!(ended(&mut ends).await, None);
    assert!(Socket::open(&server, &path).await.is_err());
    // Without version 2 it is over at once, although it was granted.
    let response = negotiate(&server, &format!("{PATH}?negotiateVersion=1&useStatefulReconnect=true")).await;
    let path = format!("{PATH}?id={}", response["connectionToken"].as_str().unwrap());
    let socket = Socket::connect(&server, &path).await;
    let other = Socket::open(&server, &path).await;
    assert!(other.is_err(), "409");
    socket.cut();
    assert!(ended(&mut ends).await.is_some());
}

#[tokio::test]
async fn only_those_who_ask_and_may_get_it() {
    let (server, ..) = start(config()).await;
    for query in ["", "&useStatefulReconnect=false", "&useStatefulReconnect=1"] {
        let response = negotiate(&server, &format!("{PATH}?negotiateVersion=1{query}")).await;
        assert!(!response.contains_key("useStatefulReconnect"), "{query}");
        let path = format!("{PATH}?id={}", response["connectionToken"].as_str().unwrap());
        let mut socket = Socket::open(&server, &path).await.unwrap();
        socket.send_text("{\"protocol\":\"json\",\"version\":2}\u{1e}").await;
        let error = "The server does not support version 2 of the 'json' protocol.";
        assert_eq!(socket.rest().await, [json!({ "error": error })]);
    }
    assert!(
        !negotiate(&server, &format!("{PATH}?useStatefulReconnect=true"))
            .await
            .contains_key("useStatefulReconnect")
    );
}

#[tokio::test]
async fn a_client_that_does_not_acknowledge_is_held_back_and_delays_nobody() {
    let mut config = config();
    config.limits.replay_bytes = 1000;
    config.limits.outbox_messages = 50;
    let (server, _, mut ends) = start(config).await;
    let (mut silent, _) = connect(&server).await;
    let (mut other, _) = connect(&server).await;
    let clients = server.handle().hub(PATH).unwrap();
    let text = "x".repeat(100);
    let mut number = 0;
    // Until the limit of what may wait for it is reached, and it is cut off.
    while server.handle().statistics().hubs[0].connections == 2 {
        clients.all().send("N", (number, &text)).unwrap();
        assert_eq!(numbers(&mut other, 1).await, [number]);
        number += 1;
        other.send(json!({"type": 8, "sequenceId": number})).await;
    }
    let got = silent.rest().await;
    let got = got.iter().filter(|message| message["type"] == 1).count();
    // The message that fills the buffer still leaves.
    let size = json!({"type": 1, "target": "N", "arguments": [10, text]}).to_string().len() + 1;
    assert_eq!(got, 1000usize.div_ceil(size));
    assert_eq!(ended(&mut ends).await.unwrap(), "The client takes messages too slowly.");
    assert!(number >= 50);
}
