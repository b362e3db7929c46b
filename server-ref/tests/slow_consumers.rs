//! Clients that do not read: they delay nobody, and what waits for them is bounded.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hubwire_server::transport::{MemoryClient, memory};
use hubwire_server::{Context, Hub, HubError, HubOptions, Principal, Server, ServerHandle, SlowConsumers};
use serde_json::{Value, json};
use support::config;
use tokio::sync::Notify;

const PATH: &str = "/hubs/test";

fn hub() -> Hub {
    Hub::builder()
        .method("Echo", async |value: Value| Ok::<_, HubError>(value))
        .on_connected(async |ctx: Context| ctx.groups().add(ctx.connection_id(), "all").map(|_| ()))
        .build()
        .unwrap()
}

async fn connect(handle: &ServerHandle) -> MemoryClient {
    let (transport, mut client) = memory(2);
    tokio::spawn(handle.accept(PATH, transport, Principal::anonymous()).unwrap());
    assert!(client.send("{\"protocol\":\"json\",\"version\":1}\u{1e}").await);
    assert_eq!(client.receive().await.unwrap(), "{}\u{1e}");
    client
}

/// The messages of a frame that are no pings.
fn messages(frame: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(frame).unwrap();
    let all = text.split_terminator('\u{1e}').map(|record| serde_json::from_str::<Value>(record).unwrap());
    all.filter(|message| message["type"] != 6).collect()
}

#[tokio::test]
async fn five_of_two_hundred_stop_reading() {
    const READERS: usize = 195;
    const STALLED: usize = 5;
    const MESSAGES: usize = 640;
    const BYTES: usize = 32 * 1024;
    let mut config = config();
    config.limits.outbox_bytes = 1024 * 1024;
    let server = Server::builder().config(config).hub(PATH, hub()).build().unwrap();
    let handle = server.handle();
    let received = Arc::new(AtomicUsize::new(0));
    let round = Arc::new(Notify::new());
    let mut stalled = Vec::new();
    for _ in 0..STALLED {
        stalled.push(connect(&handle).await);
    }
    let mut readers = Vec::new();
    for _ in 0..READERS {
        let mut client = connect(&handle).await;
        let (received, round) = (received.clone(), round.clone());
        readers.push(tokio::spawn(async move {
            let mut next = 0;
            while next < MESSAGES {
                let frame = client.receive().await.expect("readers stay connected");
                // Only the envelope, so that the test does not spend its time in a parser.
                let text = std::str::from_utf8(&frame).unwrap();
                for record in
                    text.split_terminator('\u{1e}').filter(|record| !record.starts_with("{\"type\":6"))
                {
                    let (number, rest) =
                        record.split_once("\"arguments\":[").unwrap().1.split_once(',').unwrap();
                    assert_eq!(number.parse::<usize>().unwrap(), next, "in order");
                    assert!(rest.len() > BYTES);
                    next += 1;
                    if received.fetch_add(1, Ordering::Relaxed) % READERS == READERS - 1 {
                        round.notify_one();
                    }
                }
            }
        }));
    }
    assert_eq!(handle.statistics().hubs[0].connections, READERS + STALLED);
    let group = handle.hub(PATH).unwrap().group("all");
    let text = "x".repeat(BYTES);
    let (mut slowest, mut slowest_while_stalled) = (Duration::ZERO, Duration::ZERO);
    let mut cut_after = None;
    for number in 0..MESSAGES {
        let start = Instant::now();
        group.send("News", (number, &text)).unwrap();
        // The sender goes as fast as those who read.
        tokio::time::timeout(support::PATIENCE, round.notified()).await.expect("nobody is delayed");
        let connections = handle.statistics().hubs[0].connections;
        if connections > READERS {
            slowest_while_stalled = slowest_while_stalled.max(start.elapsed());
        } else {
            cut_after.get_or_insert(number);
            slowest = slowest.max(start.elapsed());
        }
    }
    for reader in readers {
        reader.await.unwrap();
    }
    let statistics = handle.statistics();
    println!(
        "readers {READERS}, stalled {STALLED}, sent to each {} MB in {MESSAGES} messages, received {}, stalled ones \
         cut after {:?} messages, queued peak {} KiB, queued now {}, slowest round {slowest_while_stalled:?} with and \
         {slowest:?} without them",
        MESSAGES * BYTES / 1_000_000,
        received.load(Ordering::Relaxed),
        cut_after,
        statistics.queued_bytes_peak / 1024,
        statistics.queued_bytes,
    );
    assert_eq!(received.load(Ordering::Relaxed), READERS * MESSAGES);
    assert!(cut_after.is_some(), "those who do not read are disconnected");
    // What the limit allows each of those who do not read, and one message for each of the others.
    let message = BYTES + 100;
    let bound = STALLED * 1024 * 1024 + READERS * message;
    assert!(statistics.queued_bytes_peak <= bound as u64, "{} > {bound}", statistics.queued_bytes_peak);
    assert_eq!(statistics.queued_bytes, 0);
    drop(stalled);
}

#[tokio::test]
async fn with_drop_oldest_a_slow_client_gets_the_newest_and_every_result() {
    let mut config = config();
    config.limits.outbox_messages = 10;
    let options = HubOptions { slow_consumers: SlowConsumers::DropOldest, ..HubOptions::default() };
    let server = Server::builder().config(config).hub_with(PATH, hub(), options).build().unwrap();
    let handle = server.handle();
    let mut client = connect(&handle).await;
    let all = handle.hub(PATH).unwrap().all();
    all.send("News", ("first",)).unwrap();
    assert_eq!(messages(&client.receive().await.unwrap()).len(), 1);
    let call = json!({"type": 1, "invocationId": "1", "target": "Echo", "arguments": ["result"]});
    assert!(client.send(format!("{call}\u{1e}")).await);
    for number in 0..100 {
        all.send("News", (number,)).unwrap();
        // Lets the task fill the transport, which takes two frames.
        tokio::task::yield_now().await;
    }
    let mut results = 0;
    let mut numbers = Vec::new();
    while numbers.last() != Some(&99) {
        for message in messages(&client.receive().await.unwrap()) {
            match message["type"].as_u64() {
                Some(3) => results += 1,
                _ => numbers.push(message["arguments"][0].as_u64().unwrap()),
            }
        }
    }
    let dropped = handle.statistics().dropped;
    assert!(numbers.is_sorted() && dropped > 0);
    assert_eq!((results, numbers.len() as u64 + dropped), (1, 100));
}
