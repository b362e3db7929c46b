//! With a store.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hubwire_server::store::{Change, Loaded, MemoryStore, RedbDeliveryStore, StoreError};
use hubwire_server::{DeliveryStore, SendError};
use serde_json::{Value, json};

use crate::bench::{Bench, eager, message, options, soon};

/// Opens the file as soon as the server before has let go of it.
async fn open(path: &std::path::Path) -> Arc<dyn DeliveryStore> {
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

#[tokio::test]
async fn what_is_pending_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("messages");
    let mut limits = eager();
    limits.max_retry_attempts = 0;
    let bench = Bench::start_with(limits, Some(open(&path).await)).await;
    let mut client = bench.connect("alice", "device").await;
    let alice = bench.clients.user("alice").reliable(options());
    let mut confirmations = Vec::new();
    for id in ["1", "done", "dead", "2"] {
        confirmations.push(alice.clone().send("Show", message(id)).await.unwrap());
    }
    assert_eq!(client.ids().await, ["1", "done", "dead", "2"]);
    client.acknowledge("done").await;
    client.call("NackMessage", json!(["dead", "no"])).await.unwrap();
    // The server goes down while its client is there.
    let Bench { server, clients, .. } = bench;
    drop((clients, alice, client));
    soon("the shutdown", server.stop()).await.unwrap();
    drop(confirmations);

    let bench = Bench::start_with(limits, Some(open(&path).await)).await;
    assert_eq!(bench.pending(), 2);
    assert_eq!(bench.server.handle().requeue("/hub", "dead"), Some(1));
    let mut forger = bench.connect("mallory", "device").await;
    let mut client = bench.connect("alice", "device").await;
    let mut ids: [String; 3] = client.ids().await;
    // The requeued one was accepted again, before or after the client came.
    ids.sort();
    assert_eq!(ids, ["1", "2", "dead"]);
    let fresh = bench.clients.user("alice").reliable(options()).send("Show", message("3")).await.unwrap();
    assert_eq!(client.ids().await, ["3"]);
    assert_eq!(bench.pending(), 4, "what is new takes the place of nothing");
    client.call("AcknowledgeMessages", json!([["1", "2", "3", "dead"]])).await.unwrap();
    assert!(soon("the confirmation", fresh).await);
    assert_eq!(forger.call("GetMessageStatus", json!(["1"])).await, Ok(Value::Null));
    assert_eq!(forger.received.len(), 0);
    let Bench { server, clients, .. } = bench;
    drop((clients, client, forger));
    soon("the shutdown", server.stop()).await.unwrap();

    let bench = Bench::start_with(limits, Some(open(&path).await)).await;
    assert_eq!((bench.pending(), bench.server.handle().dead_letters("/hub").unwrap().len()), (0, 0));
}

/// A store that fails when it is told to.
#[derive(Debug, Default)]
struct Failing {
    inner: MemoryStore,
    fails: AtomicBool,
    panics: AtomicBool,
}

impl DeliveryStore for Failing {
    fn load(&self, table: &str) -> Result<Loaded, StoreError> {
        self.inner.load(table)
    }

    fn apply(&self, changes: &[Change]) -> Result<(), StoreError> {
        assert!(!self.panics.load(Ordering::SeqCst), "the test says so");
        match self.fails.load(Ordering::SeqCst) {
            true => Err(StoreError::Io("the disk is full".into())),
            false => self.inner.apply(changes),
        }
    }
}

#[tokio::test]
async fn what_cannot_be_stored_is_not_delivered() {
    let store = Arc::new(Failing::default());
    let bench = Bench::start_with(eager(), Some(store.clone())).await;
    let mut client = bench.connect("alice", "device").await;
    let alice = bench.clients.user("alice").reliable(options());
    for (switch, reason) in [(&store.fails, "the disk is full"), (&store.panics, "panicked")] {
        switch.store(true, Ordering::SeqCst);
        let Err(SendError::Refused(text)) = alice.clone().send("Show", message("lost")).await else {
            panic!("{reason}")
        };
        assert!(text.contains(reason), "{text}");
        switch.store(false, Ordering::SeqCst);
    }
    let confirmation = alice.send("Show", message("kept")).await.unwrap();
    assert_eq!(client.ids().await, ["kept"]);
    client.acknowledge("kept").await;
    assert!(soon("the confirmation", confirmation).await);
    let table = "deliveries /hub";
    let Bench { server, clients, .. } = bench;
    drop((clients, client));
    soon("the shutdown", server.stop()).await.unwrap();
    assert_eq!(store.load(table).unwrap().records, [], "nothing is left behind");
}
