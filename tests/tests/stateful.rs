//! Stateful reconnect over real sockets that are cut at random: nothing lost, nothing repeated, nothing out of order.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use e2e::proxy::{Faults, Proxy};
use hubwire::HubConnection;
use hubwire::client::ConnectionState;
use hubwire::protocol::{Encoding, Transport};
use hubwire_server::testing::TestServer;
use hubwire_server::{Context, Hub, HubError, HubOptions, Server, State};
use tokio::sync::mpsc;

/// What came from the client, in order.
#[derive(Default)]
struct Seen {
    received: std::sync::Mutex<Vec<u64>>,
    calls: AtomicU64,
}

async fn note(State(seen): State<Arc<Seen>>, number: u64) -> Result<(), HubError> {
    seen.received.lock().unwrap().push(number);
    Ok(())
}

async fn add(State(seen): State<Arc<Seen>>, a: u64, b: u64) -> Result<u64, HubError> {
    seen.calls.fetch_add(1, Ordering::Relaxed);
    Ok(a + b)
}

async fn push(ctx: Context, from: u64, count: u64) -> Result<(), HubError> {
    for number in from..from + count {
        ctx.clients().caller().send("Pushed", (number,))?;
    }
    Ok(())
}

async fn fails() -> Result<(), HubError> {
    Err(HubError::new("as asked"))
}

fn server(seen: &Arc<Seen>) -> Server {
    let hub = Hub::builder()
        .state(seen.clone())
        .method("Note", note)
        .method("Add", add)
        .method("Push", push)
        .method("Fails", fails)
        .build()
        .unwrap();
    let options = HubOptions { stateful_reconnect: true, ..HubOptions::default() };
    Server::builder().hub_with("/hub", hub, options).build().unwrap()
}

/// Fails the test rather than hanging it.
async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future)
        .await
        .unwrap_or_else(|_| panic!("{what}: not in time"))
}

/// A generator that is good enough to choose when to cut, and the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

const CUTS: usize = 100;

async fn survives_cuts(encoding: Encoding) {
    let seen = Arc::new(Seen::default());
    let server = TestServer::start(server(&seen)).await.unwrap();
    let proxy = Proxy::start(server.address()).await.unwrap();
    let connection = HubConnection::builder(format!("http://{}/hub", proxy.address()))
        .encoding(encoding)
        .transports([Transport::WebSockets])
        .stateful_reconnect(100_000)
        .build()
        .unwrap();
    let (sender, mut pushed) = mpsc::unbounded_channel();
    connection.on("Pushed", move |number: u64| sender.send(number).unwrap());
    soon("start", connection.start()).await.unwrap();
    let id = connection.connection_id();

    let (mut noted, mut asked, mut calls) = (0, 0, 0);
    let mut random = Random(7);
    for cut in 0..CUTS {
        let batch = 1 + random.next(40);
        let working = async {
            for _ in 0..batch {
                connection.send("Note", (noted,)).await.unwrap();
                noted += 1;
                connection.send("Push", (asked, 3)).await.unwrap();
                asked += 3;
                assert_eq!(connection.invoke::<u64>("Add", (calls, 1)).await, Ok(calls + 1), "cut {cut}");
                calls += 1;
            }
        };
        let cutting = async {
            tokio::time::sleep(Duration::from_micros(random.next(3000))).await;
            proxy.reset_all();
        };
        soon("work", async { tokio::join!(working, cutting) }).await;
        // There is one attempt to resume: the next cut must not hit it.
        assert_eq!(
            soon("resumed", connection.invoke::<u64>("Add", (calls, 1))).await,
            Ok(calls + 1),
            "cut {cut}"
        );
        calls += 1;
        assert_eq!(connection.state(), ConnectionState::Connected, "cut {cut}");
    }
    assert_eq!(connection.connection_id(), id, "it is one connection all along");

    let mut got = Vec::new();
    while (got.len() as u64) < asked {
        got.push(soon("pushes", pushed.recv()).await.unwrap());
    }
    // A call behind all others shows that nothing more is on its way.
    assert_eq!(soon("last call", connection.invoke::<u64>("Add", (1, 1))).await, Ok(2));
    got.extend(std::iter::from_fn(|| pushed.try_recv().ok()));
    let received = seen.received.lock().unwrap().clone();
    println!(
        "{}: {CUTS} cuts on {} sockets; client to server {noted} sent, {} received; calls {calls} made, {} run; \
         server to client {asked} sent, {} received",
        encoding.name(),
        proxy.accepted(),
        received.len(),
        seen.calls.load(Ordering::Relaxed) - 1,
        got.len(),
    );
    assert_eq!(received, (0..noted).collect::<Vec<_>>(), "client to server");
    assert_eq!(got, (0..asked).collect::<Vec<_>>(), "server to client");
    assert_eq!(seen.calls.load(Ordering::Relaxed), calls + 1, "each call ran once");
    assert!(proxy.accepted() > CUTS as u64 / 2, "the cuts did not hit");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_cuts_with_json() {
    survives_cuts(Encoding::Json).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_cuts_with_messagepack() {
    survives_cuts(Encoding::MessagePack).await;
}

async fn left(State(gone): State<Arc<tokio::sync::Notify>>) -> Result<(), HubError> {
    gone.notify_one();
    Ok(())
}

async fn echo(text: String) -> Result<String, HubError> {
    Ok(text)
}

/// The server gave the connection up while nothing came through: the client makes another, from the beginning.
#[tokio::test]
async fn what_the_server_has_given_up_is_replaced_by_another_connection() {
    let gone = Arc::new(tokio::sync::Notify::new());
    let hub = Hub::builder().state(gone.clone()).method("Echo", echo).on_disconnected(left).build().unwrap();
    let options = HubOptions { stateful_reconnect: true, ..HubOptions::default() };
    let mut config = hubwire_server::config::Config::default();
    config.times.client_timeout = Duration::from_millis(300);
    config.times.keep_alive = Duration::from_millis(100);
    config.times.disconnect = Duration::from_millis(100);
    let server = Server::builder().config(config).hub_with("/hub", hub, options).build().unwrap();
    let server = TestServer::start(server).await.unwrap();
    let proxy = Proxy::start(server.address()).await.unwrap();
    let connection = HubConnection::builder(format!("http://{}/hub", proxy.address()))
        .stateful_reconnect(100_000)
        .keep_alive_interval(Duration::from_millis(100))
        .server_timeout(Duration::from_millis(300))
        .build()
        .unwrap();
    let (sender, mut states) = mpsc::unbounded_channel();
    connection.on_state_change(move |change| sender.send(change.to).unwrap());
    soon("start", connection.start()).await.unwrap();
    let first = connection.connection_id();
    proxy.set(Faults::black_hole());
    soon("the server gives up", gone.notified()).await;
    proxy.set(Faults::default());
    for expected in [
        ConnectionState::Connecting,
        ConnectionState::Connected,
        ConnectionState::Reconnecting,
        ConnectionState::Connected,
    ] {
        assert_eq!(soon("state", states.recv()).await, Some(expected));
    }
    assert_ne!(connection.connection_id(), first);
    assert_eq!(soon("echo", connection.invoke::<String>("Echo", ("again",))).await, Ok("again".into()));
}
