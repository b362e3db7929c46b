//! Messages that clients acknowledge, with time as the tests have it: no socket, and a clock that stands still.
#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Duration;

use hubwire_server::transport::{MemoryClient, memory};
use hubwire_server::{Config, Hub, HubClients, Outcome, Principal, ReliableOptions, Server, ServerHandle};
use serde_json::{Value, json};
use tokio::time::Instant;

struct Peer {
    client: MemoryClient,
    task: tokio::task::JoinHandle<()>,
}

impl Peer {
    async fn connect(handle: &ServerHandle) -> Self {
        let (transport, mut client) = memory(8);
        let task = tokio::spawn(handle.accept("/hub", transport, Principal::anonymous()).unwrap());
        assert!(client.send("{\"protocol\":\"json\",\"version\":1}\u{1e}").await);
        assert_eq!(client.receive().await.unwrap(), "{}\u{1e}");
        Self { client, task }
    }

    /// The next calls in one frame. Answers pings, so that the server does not give up.
    async fn receive(&mut self) -> Option<Vec<Value>> {
        loop {
            let frame = self.client.receive().await?;
            let text = std::str::from_utf8(&frame).unwrap();
            let all =
                text.split_terminator('\u{1e}').map(|record| serde_json::from_str::<Value>(record).unwrap());
            let calls: Vec<_> = all.filter(|message| message["type"] == 1).collect();
            if !calls.is_empty() {
                return Some(calls);
            }
            assert!(self.client.send("{\"type\":6}\u{1e}").await);
        }
    }
}

fn server() -> (Server, HubClients) {
    let server = Server::builder().hub("/hub", Hub::builder().build().unwrap()).build().unwrap();
    let clients = server.handle().hub("/hub").unwrap();
    (server, clients)
}

#[tokio::test(start_paused = true)]
async fn retries_come_when_the_schedule_says() {
    let (server, clients) = server();
    let mut peer = Peer::connect(&server.handle()).await;
    let start = Instant::now();
    let confirmation = clients
        .all()
        .reliable(ReliableOptions::default())
        .send("Show", json!({"messageId": "m"}))
        .await
        .unwrap();
    let mut times = Vec::new();
    let mut outcomes = std::pin::pin!(confirmation.outcomes());
    let outcomes = loop {
        tokio::select! {
            biased;
            calls = peer.receive() => {
                let retry = calls.unwrap()[0]["arguments"][0]["retryCount"].as_u64().unwrap_or(0);
                times.push((retry, start.elapsed().as_secs()));
            }
            outcomes = &mut outcomes => break outcomes,
        }
    };
    // Thirty seconds of silence each time, and then two, four and eight.
    assert_eq!(times, [(0, 0), (1, 32), (2, 66), (3, 104)]);
    assert_eq!((outcomes.len(), &outcomes[0].1, start.elapsed().as_secs()), (1, &Outcome::TimedOut, 134));
    let letters = server.handle().dead_letters("/hub").unwrap();
    assert_eq!((letters[0].attempts, &*letters[0].reason), (4, "Failed after 4 attempts"));
}

#[tokio::test(start_paused = true)]
async fn a_connection_whose_task_is_dropped_is_gone() {
    let (server, clients) = server();
    let mut peer = Peer::connect(&server.handle()).await;
    let start = Instant::now();
    let send = clients.all().reliable(ReliableOptions::default());
    let confirmation = send.send("Show", json!({"messageId": "m"})).await.unwrap();
    peer.receive().await.unwrap();
    peer.task.abort();
    let outcomes = confirmation.outcomes().await;
    assert_eq!((&outcomes[0].1, start.elapsed()), (&Outcome::Disconnected, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn the_breaker_of_a_hub_can_be_used_by_hand() {
    let (server, clients) = server();
    let handle = server.handle();
    let mut peer = Peer::connect(&handle).await;
    assert!(handle.isolate("/hub") && !handle.isolate("/other") && !handle.reset("/other"));
    let send = clients.all().reliable(ReliableOptions::default());
    let confirmation = send.send("Show", json!({"messageId": "m"})).await.unwrap();
    let state = || handle.statistics().hubs[0].reliable.unwrap().circuit_breaker_state;
    assert_eq!(state(), 3);
    let nothing = tokio::time::timeout(Duration::from_secs(1000), peer.receive()).await;
    assert!(nothing.is_err(), "nothing leaves");
    assert!(handle.reset("/HUB"));
    assert_eq!(peer.receive().await.unwrap().len(), 1);
    assert_eq!(state(), 0);
    let ack = "{\"type\":1,\"target\":\"AcknowledgeMessage\",\"arguments\":[\"m\"]}\u{1e}";
    assert!(peer.client.send(ack).await);
    assert!(confirmation.await);
}

#[tokio::test(start_paused = true)]
async fn what_a_client_does_not_acknowledge_is_bounded() {
    let (server, clients) = server();
    let mut peer = Peer::connect(&server.handle()).await;
    for number in 0..300 {
        let send = clients.all().reliable(ReliableOptions::default());
        drop(send.send("Show", json!({"messageId": number.to_string()})).await.unwrap());
    }
    let mut received = 0;
    while let Ok(calls) = tokio::time::timeout(Duration::from_secs(1), peer.receive()).await {
        received += calls.unwrap().len();
    }
    assert_eq!(received, 256);
    let ids: Vec<_> = (0..100).map(|number| number.to_string()).collect();
    let ack = json!({"type": 1, "target": "AcknowledgeMessages", "arguments": [ids]});
    assert!(peer.client.send(format!("{ack}\u{1e}")).await);
    let mut rest = 0;
    while rest < 44 {
        rest += peer.receive().await.unwrap().len();
    }
    assert_eq!(rest, 44);
    assert_eq!(server.handle().statistics().hubs[0].reliable.unwrap().pending_messages, 200);
}

#[tokio::test(start_paused = true)]
async fn no_more_leaves_than_fits_into_the_queue_of_a_client() {
    let mut config = Config::default();
    (config.limits.outbox_messages, config.limits.outbox_bytes) = (20, 20_000);
    let server =
        Server::builder().config(config).hub("/hub", Hub::builder().build().unwrap()).build().unwrap();
    let clients = server.handle().hub("/hub").unwrap();
    let mut peer = Peer::connect(&server.handle()).await;
    let all = clients.all().reliable(ReliableOptions::default());
    let mut confirmations = Vec::new();
    for number in 0..30 {
        let message = json!({"messageId": number.to_string(), "text": "x".repeat(100)});
        confirmations.push(all.clone().send("Show", message).await.unwrap());
    }
    let large = json!({"messageId": "large", "text": "x".repeat(20_000)});
    let error = all.clone().send("Show", large).await.unwrap_err().to_string();
    assert!(error.contains("20000 bytes"), "{error}");
    let mut received = 0;
    while received < 30 {
        for call in peer.receive().await.expect("the connection holds") {
            let ack = json!({"type": 1, "target": "AcknowledgeMessage", "arguments": [call["arguments"][0]["messageId"]]});
            assert!(peer.client.send(format!("{ack}\u{1e}")).await);
            received += 1;
        }
    }
    for confirmation in confirmations {
        assert!(confirmation.await);
    }
}
