//! Streams with history whose server ends and begins again on the same store.
#![allow(clippy::unwrap_used, missing_docs)]

mod raw;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use hubwire_server::store::{Change, Loaded, MemoryStore, RedbDeliveryStore, StoreError};
use hubwire_server::testing::TestServer;
use hubwire_server::{Context, DeliveryStore, History, Hub, HubError, HubOptions, Server};
use raw::{Raw, offset, position, soon};
use serde_json::{Value, json};

/// Opens the file as soon as the server before has let go of it.
async fn open(path: &Path) -> Arc<dyn DeliveryStore> {
    let opened = async {
        loop {
            match RedbDeliveryStore::open(path) {
                Ok(store) => return store,
                Err(StoreError::InUse(_)) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        }
    };
    Arc::new(soon("the store", opened).await)
}

async fn join(ctx: Context, group: String) -> Result<bool, HubError> {
    ctx.groups().add(ctx.connection_id(), &group)
}

async fn start(history: History, store: Arc<dyn DeliveryStore>) -> TestServer {
    let hub = Hub::builder().method("Join", join).build().unwrap();
    let options = HubOptions { history: Some(history), ..HubOptions::default() };
    let server = Server::builder().hub_with("/hub", hub, options).store(store).build().unwrap();
    TestServer::start(server).await.unwrap()
}

fn publish(server: &TestServer, group: &str, numbers: std::ops::RangeInclusive<u64>) {
    let group = server.handle().hub("/hub").unwrap().group(group);
    for number in numbers {
        group.publish("Said", (number,)).unwrap();
    }
}

/// A client in a group, and where that stood.
async fn member(server: &TestServer, group: &str) -> (Raw, String) {
    let mut client = Raw::connect(server, "/hub", "hubwire=1").await;
    let (joined, before) = client.invoke("Join", json!([group])).await;
    assert_eq!((joined, before.len()), (json!(true), 1));
    let start = position(&before[0]);
    (client, start)
}

/// Number and position of the next messages.
async fn said(client: &mut Raw, count: usize) -> Vec<(u64, String)> {
    let mut all = Vec::new();
    for _ in 0..count {
        let message = client.expect("Said").await;
        all.push((message["arguments"][0].as_u64().unwrap(), position(&message)));
    }
    all
}

/// The numbers that a client gets after a position, and the answer.
async fn recover(client: &mut Raw, after: &str) -> (Vec<u64>, String) {
    let (answers, before) = client.invoke("HubwireRecover", json!([[after]])).await;
    let number = |message: &Value| message["arguments"][0].as_u64().unwrap();
    (before.iter().map(number).collect(), answers[0].as_str().unwrap().into())
}

#[tokio::test]
async fn a_client_misses_nothing_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let history = History { max_messages: 5, ..History::default() };
    let server = start(history, open(&path).await).await;
    let (mut client, begin) = member(&server, "room").await;
    publish(&server, "room", 1..=2);
    let seen = said(&mut client, 2).await;
    assert_eq!((seen[0].0, seen[1].0, offset(&seen[1].1)), (1, 2, 2));
    // It is away when the server ends; what the server took at last is there all the same.
    drop(client);
    publish(&server, "room", 3..=4);
    soon("the shutdown", server.stop()).await.unwrap();

    let server = start(history, open(&path).await).await;
    let (mut client, top) = member(&server, "room").await;
    assert_eq!(offset(&top), 4, "it goes on where it was");
    assert_eq!(recover(&mut client, &seen[1].1).await, (vec![3, 4], format!("complete:{top}")));
    assert_eq!(recover(&mut client, &begin).await.0, [1, 2, 3, 4]);
    publish(&server, "room", 5..=7);
    let live = said(&mut client, 3).await;
    assert_eq!((live[0].0, offset(&live[0].1), offset(&live[2].1)), (5, 5, 7));
    drop(client);
    soon("the shutdown", server.stop()).await.unwrap();

    // What gave way is gone from the store, too.
    let server = start(history, open(&path).await).await;
    assert_eq!(server.handle().statistics().hubs[0].history.unwrap().messages, 5);
    let (mut client, top) = member(&server, "room").await;
    assert_eq!(top, live[2].1);
    assert_eq!(recover(&mut client, &seen[1].1).await, (vec![3, 4, 5, 6, 7], format!("complete:{top}")));
    assert_eq!(recover(&mut client, &seen[0].1).await, (vec![], format!("lost:{top}")));
}

/// A store that fails when it is told to, and whether it then does what it was asked all the same.
#[derive(Debug, Default)]
struct Failing {
    inner: MemoryStore,
    fails: AtomicBool,
    writes: AtomicBool,
    failures: AtomicUsize,
}

impl DeliveryStore for Failing {
    fn load(&self, table: &str) -> Result<Loaded, StoreError> {
        self.inner.load(table)
    }

    fn apply(&self, changes: &[Change]) -> Result<(), StoreError> {
        let fails = self.fails.load(Ordering::SeqCst);
        if !fails || self.writes.load(Ordering::SeqCst) {
            self.inner.apply(changes)?;
        }
        match fails {
            true => {
                self.failures.fetch_add(1, Ordering::SeqCst);
                Err(StoreError::Io("the disk is full".into()))
            }
            false => Ok(()),
        }
    }
}

#[tokio::test]
async fn a_store_that_fails_leaves_no_hole_that_nobody_sees() {
    for writes in [false, true] {
        let store = Arc::new(Failing::default());
        store.writes.store(writes, Ordering::SeqCst);
        let server = start(History::default(), store.clone()).await;
        let (mut client, _) = member(&server, "room").await;
        publish(&server, "room", 1..=1);
        let before = said(&mut client, 1).await.remove(0).1;
        store.fails.store(true, Ordering::SeqCst);
        publish(&server, "room", 2..=2);
        let failed = async {
            while store.failures.load(Ordering::SeqCst) == 0 {
                tokio::task::yield_now().await;
            }
        };
        soon("the failure", failed).await;
        store.fails.store(false, Ordering::SeqCst);
        publish(&server, "room", 3..=3);
        let after = said(&mut client, 2).await;
        assert_eq!((after[0].0, after[1].0), (2, 3), "in order, and each once");
        drop(client);
        soon("the shutdown", server.stop()).await.unwrap();

        let server = start(History::default(), store.clone()).await;
        let (mut client, top) = member(&server, "room").await;
        assert_eq!(top, after[1].1);
        assert_eq!(recover(&mut client, &after[0].1).await, (vec![3], format!("complete:{top}")));
        // Either it goes on, or the client is told that it does not.
        let (numbers, answer) = recover(&mut client, &before).await;
        match answer.starts_with("complete") {
            true => assert_eq!(numbers, [2, 3]),
            false => assert_eq!((numbers, answer), (vec![], format!("lost:{top}"))),
        }
    }
}

#[tokio::test]
async fn a_damaged_stream_begins_again_and_the_others_go_on() {
    let store = Arc::new(MemoryStore::new());
    let server = start(History::default(), store.clone()).await;
    let (mut client, _) = member(&server, "broken").await;
    let (mut other, _) = member(&server, "whole").await;
    publish(&server, "broken", 1..=3);
    publish(&server, "whole", 1..=3);
    let broken = said(&mut client, 3).await.remove(0).1;
    let whole = said(&mut other, 3).await.remove(0).1;
    drop((client, other));
    soon("the shutdown", server.stop()).await.unwrap();
    // One in the middle is gone, as if it had been damaged and set aside.
    let records = store.load("history /hub").unwrap().records;
    let is_second =
        |key: &[u8]| key.ends_with(&2_u64.to_be_bytes()) && key.windows(6).any(|part| part == b"broken");
    let (key, _) = records.into_iter().find(|(key, _)| is_second(key)).unwrap();
    store.apply(&[Change::Delete { table: "history /hub".into(), key }]).unwrap();

    let server = start(History::default(), store).await;
    let (mut client, top) = member(&server, "broken").await;
    assert_eq!(offset(&top), 0, "{top}");
    assert_eq!(recover(&mut client, &broken).await, (vec![], format!("lost:{top}")));
    let (mut other, top) = member(&server, "whole").await;
    assert_eq!(recover(&mut other, &whole).await, (vec![2, 3], format!("complete:{top}")));
}
