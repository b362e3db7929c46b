//! Batches over real sockets: what Hubwire clients and others see of them, and that nothing overtakes anything.
#![allow(clippy::unwrap_used, missing_docs)]

mod raw;

use hubwire::HubConnection;
use hubwire::protocol::Encoding;
use hubwire_server::testing::TestServer;
use hubwire_server::{Config, Context, Hub, HubClients, HubError, Server};
use raw::Raw;
use serde_json::{Value, json};

async fn join(ctx: Context, group: String) -> Result<bool, HubError> {
    ctx.groups().add(ctx.connection_id(), &group)
}

/// With that window; by default one that no test waits for.
async fn start(change: impl FnOnce(&mut Config)) -> TestServer {
    let hub = Hub::builder().method("Join", join).build().unwrap();
    let mut config = Config::default();
    config.signalr.batching.window_ms = 600_000;
    change(&mut config);
    TestServer::start(Server::builder().config(config).hub("/hub", hub).build().unwrap()).await.unwrap()
}

fn clients(server: &TestServer) -> HubClients {
    server.handle().hub("/hub").unwrap()
}

/// A Hubwire client and another one, both in a group.
async fn members(server: &TestServer) -> (Raw, Raw) {
    let mut both = [Raw::connect(server, "/hub", "hubwire=1").await, Raw::connect(server, "/hub", "").await];
    for client in &mut both {
        client.invoke("Join", json!(["room"])).await;
    }
    both.into()
}

fn step(number: u64) -> Value {
    json!({"step": number})
}

#[tokio::test]
async fn hubwire_clients_get_one_message_and_others_each() {
    let server = start(|_| ()).await;
    let (mut announced, mut plain) = members(&server).await;
    let room = clients(&server).group("room");
    for number in 1..=3 {
        room.send_batched("Step", &step(number)).unwrap();
    }
    server.handle().batching("/hub").unwrap().flush();
    let message = announced.expect("StepBatch").await;
    assert_eq!((message.get("headers"), message["arguments"].as_array().unwrap().len()), (None, 1));
    let batch = message["arguments"][0].as_object().unwrap();
    let keys: Vec<_> = batch.keys().map(String::as_str).collect();
    let expected = [
        "batchId",
        "containsCriticalMessages",
        "count",
        "groupName",
        "hubName",
        "messages",
        "methodName",
        "priority",
        "timestamp",
        "totalSizeBytes",
    ];
    assert_eq!(keys, expected);
    assert_eq!(batch["messages"], json!([step(1), step(2), step(3)]));
    assert_eq!((&batch["count"], &batch["methodName"]), (&json!(3), &json!("Step")));
    assert_eq!((&batch["groupName"], &batch["hubName"]), (&json!("room"), &json!("/hub")));
    assert_eq!(batch["totalSizeBytes"], 3 * step(1).to_string().len());
    for number in 1..=3 {
        let message = json!({"type": 1, "target": "Step", "arguments": [step(number)]});
        assert_eq!(plain.receive().await, message);
    }
    // One alone is no batch.
    room.send_batched("Step", &step(4)).unwrap();
    server.handle().batching("/hub").unwrap().flush();
    for client in [&mut announced, &mut plain] {
        assert_eq!(client.expect("Step").await["arguments"], json!([step(4)]));
    }
    let statistics = server.handle().batching("/hub").unwrap().statistics();
    let counts =
        (statistics.total_messages_batched, statistics.total_batches_sent, statistics.network_calls_saved);
    assert_eq!(counts, (3, 1, 2));
    let json = serde_json::to_value(&statistics).unwrap();
    assert_eq!(json["messagesByMethod"], json!({"Step": 3}));
    assert!(json["averageBatchLatency"].as_str().unwrap().starts_with("00:0"), "{json}");
}

#[tokio::test]
async fn a_batch_leaves_by_itself_when_its_window_is_over() {
    let server = start(|config| config.signalr.batching.window_ms = 100).await;
    let (mut announced, _) = members(&server).await;
    for round in 0..3 {
        for number in 0..2 {
            clients(&server).all().send_batched("Step", &step(round * 2 + number)).unwrap();
        }
        let message = announced.expect("StepBatch").await;
        assert_eq!(message["arguments"][0]["messages"], json!([step(round * 2), step(round * 2 + 1)]));
    }
}

#[tokio::test]
async fn a_full_batch_leaves_at_once_and_nothing_of_it_is_lost() {
    let server = start(|config| config.signalr.batching.max_batch_size = 4).await;
    let (mut announced, mut plain) = members(&server).await;
    for number in 0..40 {
        clients(&server).group("room").send_batched("Step", &number).unwrap();
    }
    for round in 0..10 {
        let message = announced.expect("StepBatch").await;
        let numbers: Vec<_> = (round * 4..round * 4 + 4).collect();
        assert_eq!(message["arguments"][0]["messages"], json!(numbers));
    }
    for number in 0..40 {
        assert_eq!(plain.expect("Step").await["arguments"], json!([number]));
    }
}

#[tokio::test]
async fn what_is_sent_at_once_does_not_overtake() {
    let server = start(|_| ()).await;
    let (mut announced, _) = members(&server).await;
    let hub = clients(&server);
    hub.group("room").send_batched("Step", &1).unwrap();
    hub.all().send("Now", (2,)).unwrap();
    hub.all().send_batched_arguments("Pair", (3, "a")).unwrap();
    hub.all().send_batched_arguments("Pair", (4, "b")).unwrap();
    hub.client("nobody").send("Now", ()).unwrap();
    hub.group("room").send("Now", (5,)).unwrap();
    assert_eq!(announced.expect("Step").await["arguments"], json!([1]));
    assert_eq!(announced.expect("Now").await["arguments"], json!([2]));
    let message = announced.expect("PairBatch").await;
    let batch = &message["arguments"][0];
    assert_eq!(batch["messages"], json!([[3, "a"], [4, "b"]]));
    assert_eq!((&batch["argumentsPerMessage"], batch.get("groupName")), (&json!(2), None));
    assert_eq!(announced.expect("Now").await["arguments"], json!([5]));
}

#[tokio::test]
async fn paused_messages_leave_alone_and_what_waits_leaves_before() {
    let server = start(|_| ()).await;
    let (mut announced, _) = members(&server).await;
    let (hub, batching) = (clients(&server), server.handle().batching("/hub").unwrap());
    hub.all().send_batched("Step", &1).unwrap();
    hub.all().send_batched("Step", &2).unwrap();
    assert_eq!(batching.statistics().current_pending_messages, 2);
    batching.pause();
    hub.all().send_batched("Step", &3).unwrap();
    assert_eq!(announced.expect("StepBatch").await["arguments"][0]["messages"], json!([1, 2]));
    assert_eq!(announced.expect("Step").await["arguments"], json!([3]));
    assert!(!batching.statistics().is_batching_enabled);
    batching.resume();
    hub.all().send_batched("Step", &4).unwrap();
    // A shutdown sends what waits before it says goodbye.
    let farewell = async move { (announced.receive().await, announced.receive().await) };
    let ((last, goodbye), _) = tokio::join!(farewell, server.stop());
    assert_eq!((&last["target"], &last["arguments"]), (&json!("Step"), &json!([4])));
    assert_eq!(goodbye["type"], 7);
}

#[tokio::test]
async fn the_order_of_one_speaker_is_kept_whoever_flushes() {
    const MESSAGES: u64 = 3_000;
    let server = start(|config| config.signalr.batching.window_ms = 1).await;
    let (mut announced, mut plain) = members(&server).await;
    let handle = server.handle().clone();
    let speaker = std::thread::spawn(move || {
        let hub = handle.hub("/hub").unwrap();
        for number in 0..MESSAGES {
            match number % 5 {
                0 => hub.group("room").send("Step", (number,)).unwrap(),
                1 => hub.all().send("Step", (number,)).unwrap(),
                _ => hub.group("room").send_batched("Step", &number).unwrap(),
            }
        }
    });
    let batching = server.handle().batching("/hub").unwrap();
    let flusher = std::thread::spawn(move || {
        while !speaker.is_finished() {
            batching.flush();
        }
        speaker.join().unwrap();
        batching.flush();
    });
    for client in [&mut announced, &mut plain] {
        let mut next = 0;
        while next < MESSAGES {
            let message = client.receive().await;
            let numbers = match message["target"].as_str().unwrap() {
                "Step" => message["arguments"].clone(),
                other => {
                    assert_eq!(other, "StepBatch");
                    message["arguments"][0]["messages"].clone()
                }
            };
            for number in numbers.as_array().unwrap() {
                assert_eq!(*number, next);
                next += 1;
            }
        }
    }
    flusher.join().unwrap();
}

#[tokio::test]
async fn values_of_every_kind_arrive() {
    let server = start(|_| ()).await;
    for encoding in [Encoding::Json, Encoding::MessagePack] {
        let connection = HubConnection::builder(server.url("/hub")).encoding(encoding).build().unwrap();
        let (sender, mut got) = tokio::sync::mpsc::unbounded_channel();
        connection.on("Value", move |value: Value| drop(sender.send(value)));
        connection.start().await.unwrap();
        connection.invoke::<bool>("Join", ("room",)).await.unwrap();
        let values =
            [json!(1), json!(null), json!([1, 2]), json!({"a": 1}), json!("x"), json!([]), json!({})];
        for value in &values {
            clients(&server).group("room").send_batched("Value", value).unwrap();
        }
        server.handle().batching("/hub").unwrap().flush();
        for value in values {
            assert_eq!(got.recv().await, Some(value));
        }
        connection.stop().await;
    }
}
