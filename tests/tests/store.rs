//! A store in a file under a connection: damaged, full, and the way back.
#![allow(clippy::unwrap_used, missing_docs)]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hubwire::client::{OutboxConfig, RetryPolicy};
use hubwire::{ErrorKind, HubConnection, HubConnectionBuilder, RedbStore, StoreReport};
use hubwire_server::testing::TestServer;
use hubwire_server::{Hub, HubError, Server};
use tokio::net::TcpListener;

type Seen = Arc<Mutex<Vec<u32>>>;

fn server(seen: &Seen) -> Server {
    let seen = seen.clone();
    let record = move |number: u32, _ballast: String| {
        let seen = seen.clone();
        async move {
            seen.lock().unwrap().push(number);
            Ok::<_, HubError>(())
        }
    };
    let hub = Hub::builder().method("Record", record).build().unwrap();
    Server::builder().hub("/hub", hub).build().unwrap()
}

async fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

fn builder(address: SocketAddr) -> HubConnectionBuilder {
    let soon = RetryPolicy::full_jitter(Duration::from_millis(10), Duration::from_millis(50));
    HubConnection::builder(format!("http://{address}/hub")).retry(soon)
}

/// Fails the test rather than hanging it.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("not in time")
}

#[tokio::test]
async fn a_damaged_store_is_set_aside_and_told_and_its_file_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.redb");
    let damaged = vec![0xa5; 100_000];
    std::fs::write(&path, &damaged).unwrap();
    let seen = Seen::default();
    let server = TestServer::start(server(&seen)).await.unwrap();
    let store = RedbStore::open(&path).unwrap();
    let connection = builder(server.address()).outbox_store(store).build().unwrap();
    let reports = soon(connection.store_reports()).await.unwrap();
    let [StoreReport::SetAside { to, .. }] = &reports[..] else { panic!("{reports:?}") };
    assert!(std::fs::read(to).unwrap() == damaged, "byte for byte");
    assert!(soon(connection.store_reports()).await.unwrap().is_empty(), "told once");
    soon(connection.start()).await.unwrap();
    let call = connection.call("Record").arguments((1, "")).durable();
    soon(soon(call.enqueue()).await.unwrap().completed::<()>()).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), [1]);
}

#[tokio::test]
async fn a_full_store_refuses_what_is_new_and_loses_nothing_of_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.redb");
    let address = free_address().await;
    let store = RedbStore::options().max_bytes(4 << 20).open(&path).unwrap();
    let mut outbox = OutboxConfig::default();
    // Not this limit, but that of the store.
    outbox.max_bytes = usize::MAX;
    let connection = builder(address).outbox(outbox.clone()).outbox_store(store).build().unwrap();
    let ballast = "x".repeat(20_000);
    let mut accepted = Vec::new();
    let refused = loop {
        let number = accepted.len() as u32;
        let call = connection.call("Record").arguments((number, &ballast)).durable();
        match soon(call.enqueue()).await {
            Ok(_) => accepted.push(number),
            Err(error) => break error,
        }
    };
    assert_eq!(refused.kind(), ErrorKind::Overflow);
    assert!(refused.detail().contains("outbox.redb"), "{refused}");
    assert!(accepted.len() >= 8, "{} calls were accepted", accepted.len());
    assert!(std::fs::metadata(&path).unwrap().len() <= 4 << 20);
    drop(connection);
    // The next process finds them all, and with each that is done there is room again.
    let seen = Seen::default();
    let _server = TestServer::start_at(server(&seen), address).await.unwrap();
    let store = soon(async {
        loop {
            // The one before lets go of the file when its task is over.
            match RedbStore::options().max_bytes(4 << 20).open(&path) {
                Ok(store) => break store,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    })
    .await;
    let connection = builder(address).outbox(outbox).outbox_store(store).build().unwrap();
    let restored = soon(connection.restored_calls()).await.unwrap();
    assert_eq!(restored.len(), accepted.len());
    soon(connection.start()).await.unwrap();
    for call in restored {
        soon(call.completed::<()>()).await.unwrap();
    }
    assert_eq!(*seen.lock().unwrap(), accepted);
    let call = connection.call("Record").arguments((1000, &ballast)).durable();
    soon(soon(call.enqueue()).await.unwrap().completed::<()>()).await.unwrap();
}

/// The server's limit for a message is 32 KiB: a larger one makes it close the connection, whoever sends it.
#[tokio::test]
async fn a_call_that_the_server_cannot_take_ends_and_the_next_gets_through() {
    let seen = Seen::default();
    let server = TestServer::start(server(&seen)).await.unwrap();
    let connection = builder(server.address()).outbox_store(hubwire::MemoryStore::new()).build().unwrap();
    let mut calls = Vec::new();
    for (number, len) in [(1_u32, 10), (2, 50_000), (3, 10)] {
        let call = connection.call("Record").arguments((number, "x".repeat(len))).durable();
        calls.push(soon(call.enqueue()).await.unwrap());
    }
    soon(connection.start()).await.unwrap();
    let mut results = Vec::new();
    for call in calls {
        results.push(soon(call.completed::<()>()).await.map_err(|error| error.kind()));
    }
    assert_eq!(results, [Ok(()), Err(ErrorKind::OutcomeUnknown), Ok(())]);
    let mut arrived = seen.lock().unwrap().clone();
    arrived.dedup();
    assert_eq!(arrived, [1, 3]);
}
