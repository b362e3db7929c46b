//! What becomes of a connection and its calls when the server comes and goes, over real sockets.
#![allow(clippy::unwrap_used, missing_docs)]

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use e2e::proxy::{Faults, Lane, Proxy};
use hubwire::client::{Cause, ConnectionState, Grade, Hint, OutboxConfig, RetryContext, RetryPolicy};
use hubwire::protocol::{Encoding, Payload, Transport};
use hubwire::{
    ConnectionEvent, ErrorKind, HubConnection, HubConnectionBuilder, MemoryStore, OutboxStore, StateChange,
    StoreError,
};
use hubwire_server::testing::TestServer;
use hubwire_server::{Context, Hub, HubError, Server};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// The numbers that the server was given, in order.
type Seen = Arc<Mutex<Vec<u32>>>;

fn server(seen: &Seen) -> Server {
    let record = {
        let seen = seen.clone();
        move |number: u32| {
            let seen = seen.clone();
            async move {
                seen.lock().unwrap().push(number);
                Ok::<_, HubError>(number)
            }
        }
    };
    async fn join(ctx: Context, group: String) -> Result<(), HubError> {
        ctx.groups().add(ctx.connection_id(), &group)?;
        Ok(())
    }
    async fn publish(ctx: Context, group: String, text: String) -> Result<(), HubError> {
        ctx.clients().group(&group).send("Published", (text,))?;
        Ok(())
    }
    async fn never() -> Result<(), HubError> {
        std::future::pending().await
    }
    async fn push(ctx: Context, count: u32) -> Result<(), HubError> {
        for number in 0..count {
            ctx.clients().caller().send("Pushed", (number,))?;
        }
        Ok(())
    }
    let hub = Hub::builder()
        .method("Record", record)
        .method("Push", push)
        .method("Join", join)
        .method("Publish", publish)
        .method("Never", never);
    Server::builder().hub("/hub", hub.build().unwrap()).build().unwrap()
}

/// An address where nobody listens.
async fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

fn builder(address: SocketAddr) -> HubConnectionBuilder {
    HubConnection::builder(format!("http://{address}/hub"))
}

/// Tries again without a pause worth mentioning.
fn eager() -> RetryPolicy {
    RetryPolicy::full_jitter(Duration::from_millis(10), Duration::from_millis(50))
}

/// Fails the test rather than hanging it.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future).await.expect("not in time")
}

fn changes(connection: &HubConnection) -> mpsc::UnboundedReceiver<StateChange> {
    let (sender, receiver) = mpsc::unbounded_channel();
    connection.on_state_change(move |change| drop(sender.send(change.clone())));
    receiver
}

fn events(connection: &HubConnection) -> mpsc::UnboundedReceiver<ConnectionEvent> {
    let (sender, receiver) = mpsc::unbounded_channel();
    connection.on_event(move |event| drop(sender.send(event.clone())));
    receiver
}

#[tokio::test]
async fn a_client_that_is_there_before_its_server_loses_nothing() {
    let seen = Seen::default();
    let address = free_address().await;
    for encoding in [Encoding::Json, Encoding::MessagePack] {
        seen.lock().unwrap().clear();
        let connection = builder(address).encoding(encoding).retry(eager()).build().unwrap();
        let mut events = events(&connection);
        let started = tokio::spawn({
            let connection = connection.clone();
            async move { connection.start().await }
        });
        let calls: Vec<_> = (0..20)
            .map(|number| {
                let connection = connection.clone();
                tokio::spawn(async move { connection.invoke::<u32>("Record", (number,)).await })
            })
            .collect();
        // It has noticed that nobody is there.
        let retry = async {
            loop {
                if let Some(ConnectionEvent::RetryScheduled { previous_retry_count: 3, reason, .. }) =
                    events.recv().await
                {
                    return reason;
                }
            }
        };
        assert_eq!(soon(retry).await.kind(), ErrorKind::Network);
        assert_eq!(connection.state(), ConnectionState::Connecting);
        assert_eq!(connection.outbox().depth, 20);
        let server = TestServer::start_at(server(&seen), address).await.unwrap();
        soon(started).await.unwrap().unwrap();
        for (number, call) in (0..).zip(calls) {
            assert_eq!(soon(call).await.unwrap(), Ok(number));
        }
        let mut arrived = seen.lock().unwrap().clone();
        arrived.sort_unstable();
        assert_eq!(arrived, (0..20).collect::<Vec<_>>());
        assert_eq!(connection.outbox().depth, 0);
        soon(connection.stop()).await;
        server.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_server_that_restarts_is_followed_and_groups_are_joined_again() {
    for transport in Transport::ALL {
        let seen = Seen::default();
        let first = TestServer::start(server(&seen)).await.unwrap();
        let address = first.address();
        let connection =
            builder(address).transports([transport]).retry(eager()).rejoin("Join", "Leave").build().unwrap();
        let mut changes = changes(&connection);
        let mut received = {
            let (sender, receiver) = mpsc::unbounded_channel();
            connection.on("Published", move |text: String| drop(sender.send(text)));
            receiver
        };
        soon(connection.start()).await.unwrap();
        let first_id = connection.connection_id();
        soon(connection.invoke::<()>("Join", ("news",))).await.unwrap();
        soon(first.stop()).await.unwrap();
        // Says that it goes, and means it.
        let mut change = soon(changes.recv()).await.unwrap();
        while change.to != ConnectionState::Reconnecting {
            change = soon(changes.recv()).await.unwrap();
        }
        assert_eq!(change.cause, Cause::ServerClosed { allow_reconnect: true }, "{transport:?}");
        let publish = tokio::spawn({
            let connection = connection.clone();
            async move { connection.invoke::<()>("Publish", ("news", "back")).await }
        });
        let _second = TestServer::start_at(server(&seen), address).await.unwrap();
        let change = soon(changes.recv()).await.unwrap();
        let Cause::Established { connection_id, previous_connection_id } = change.cause else {
            panic!("{change:?}")
        };
        assert_eq!(previous_connection_id, first_id);
        assert_ne!(connection_id, first_id);
        soon(publish).await.unwrap().unwrap();
        assert_eq!(soon(received.recv()).await.unwrap(), "back", "{transport:?}: the group was joined first");
        soon(connection.stop()).await;
    }
}

#[tokio::test]
async fn a_server_that_goes_down_says_when_to_come_back_to_those_who_read_it() {
    let address = free_address().await;
    for announced in [true, false] {
        let mut config = hubwire_server::Config::default();
        config.times.drain_window = Duration::from_secs(1000);
        let hub = Hub::builder().method("Record", async |number: u32| Ok::<_, HubError>(number));
        let server = Server::builder().config(config).hub("/hub", hub.build().unwrap()).build().unwrap();
        let server = TestServer::start_at(server, address).await.unwrap();
        let mut clients = Vec::new();
        for _ in 0..8 {
            let connection = builder(address).retry(eager()).announce(announced).build().unwrap();
            let events = events(&connection);
            soon(connection.start()).await.unwrap();
            clients.push((connection, events));
        }
        soon(server.stop()).await.unwrap();
        let mut delays = Vec::new();
        for (connection, events) in &mut clients {
            let delay = loop {
                if let Some(ConnectionEvent::RetryScheduled { delay, .. }) = soon(events.recv()).await {
                    break delay;
                }
            };
            delays.push(delay);
            soon(connection.stop()).await;
        }
        delays.sort_unstable();
        if announced {
            let gaps = delays.windows(2).map(|pair| pair[1] - pair[0]);
            assert!(
                gaps.clone().all(|gap| gap > Duration::from_secs(40)),
                "spread over the window: {delays:?}"
            );
        } else {
            assert!(delays.iter().all(|delay| *delay <= Duration::from_millis(10)), "{delays:?}");
        }
    }
}

#[tokio::test]
async fn durable_calls_are_sent_by_the_next_connection_with_the_store() {
    let store = MemoryStore::new();
    let address = free_address().await;
    // A process that never finds its server.
    let connection = builder(address).retry(eager()).outbox_store(store.clone()).build().unwrap();
    let mut calls = Vec::new();
    for number in 0..5_u32 {
        calls.push(soon(connection.call("Record").arguments((number,)).durable().enqueue()).await.unwrap());
    }
    calls[3].cancel();
    let cancelled = soon(calls.remove(3).completed::<u32>()).await.unwrap_err();
    assert_eq!(cancelled.kind(), ErrorKind::Cancelled);
    drop((calls, connection));
    // The next one, with another encoding.
    let seen = Seen::default();
    let _server = TestServer::start_at(server(&seen), address).await.unwrap();
    let connection = builder(address)
        .encoding(Encoding::MessagePack)
        .retry(eager())
        .outbox_store(store.clone())
        .build()
        .unwrap();
    let restored = soon(connection.restored_calls()).await.unwrap();
    assert!(soon(connection.restored_calls()).await.unwrap().is_empty(), "each once");
    soon(connection.start()).await.unwrap();
    let mut results = Vec::new();
    for call in restored {
        assert_eq!(call.target(), "Record");
        results.push(soon(call.completed::<u32>()).await.unwrap());
    }
    assert_eq!(results, [0, 1, 2, 4]);
    assert_eq!(*seen.lock().unwrap(), [0, 1, 2, 4]);
    soon(connection.stop()).await;
    drop(connection);
    assert!(store.clone().load().unwrap().calls.is_empty(), "confirmed and forgotten");
}

/// A store that cannot be used.
struct Broken {
    load: bool,
}

impl OutboxStore for Broken {
    fn load(&mut self) -> Result<hubwire::client::Restored<Payload>, StoreError> {
        match self.load {
            true => Ok(hubwire::client::Restored::default()),
            false => Err(StoreError::Io("the disk is on fire".into())),
        }
    }

    fn apply(&mut self, _: &[hubwire::client::StoreOp<Payload>]) -> Result<(), StoreError> {
        Err(StoreError::Full("no room".into()))
    }
}

#[tokio::test]
async fn a_store_that_cannot_be_used_is_told_and_keeps_no_promise_falsely() {
    let seen = Seen::default();
    let server = TestServer::start(server(&seen)).await.unwrap();
    let connection = builder(server.address()).outbox_store(Broken { load: true }).build().unwrap();
    let mut events = events(&connection);
    soon(connection.start()).await.unwrap();
    let refused = soon(connection.call("Record").arguments((1,)).durable().enqueue()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Overflow);
    assert!(refused.detail().contains("no room"), "{refused}");
    loop {
        if let ConnectionEvent::StoreFailed(error) = soon(events.recv()).await.unwrap() {
            assert_eq!(error.kind(), ErrorKind::Overflow);
            break;
        }
    }
    assert_eq!(soon(connection.invoke::<u32>("Record", (2,))).await, Ok(2), "what needs no store works");
    assert_eq!(*seen.lock().unwrap(), [2]);
    // What cannot be read might hold calls: going on would lose them.
    let connection = builder(server.address()).outbox_store(Broken { load: false }).build().unwrap();
    let error = soon(connection.start()).await.unwrap_err();
    assert!(error.detail().contains("the disk is on fire"), "{error}");
    let refused = soon(connection.call("Record").arguments((1,)).durable().enqueue()).await.unwrap_err();
    assert!(refused.detail().contains("the disk is on fire"), "{refused}");
}

/// A store with a mistake in it.
struct Panicking;

impl OutboxStore for Panicking {
    fn load(&mut self) -> Result<hubwire::client::Restored<Payload>, StoreError> {
        Ok(hubwire::client::Restored::default())
    }

    fn apply(&mut self, _: &[hubwire::client::StoreOp<Payload>]) -> Result<(), StoreError> {
        panic!("a mistake")
    }
}

#[tokio::test]
async fn a_store_that_panics_fails_its_calls_and_hangs_nobody() {
    let seen = Seen::default();
    let server = TestServer::start(server(&seen)).await.unwrap();
    let connection = builder(server.address()).outbox_store(Panicking).build().unwrap();
    soon(connection.start()).await.unwrap();
    for _ in 0..2 {
        let refused = soon(connection.call("Record").arguments((1,)).durable().enqueue()).await.unwrap_err();
        assert!(refused.detail().contains("panicked"), "{refused}");
    }
    assert_eq!(soon(connection.invoke::<u32>("Record", (2,))).await, Ok(2), "what needs no store works");
}

#[tokio::test]
async fn a_policy_of_the_application_decides() {
    let address = free_address().await;
    let asked = Arc::new(Mutex::new(Vec::<RetryContext>::new()));
    let policy = {
        let asked = asked.clone();
        move |context: &RetryContext| {
            asked.lock().unwrap().push(context.clone());
            (context.previous_retry_count < 3).then_some(Duration::from_millis(1))
        }
    };
    let connection = builder(address).retry_with(policy).build().unwrap();
    let error = soon(connection.start()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    let asked = asked.lock().unwrap();
    assert_eq!(asked.iter().map(|context| context.previous_retry_count).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert!(asked.windows(2).all(|pair| pair[0].elapsed <= pair[1].elapsed));
}

#[tokio::test]
async fn a_token_factory_that_fails_is_asked_again() {
    let seen = Seen::default();
    let server = TestServer::start(server(&seen)).await.unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let factory = {
        let asked = asked.clone();
        move || {
            let number = asked.fetch_add(1, Ordering::Relaxed);
            async move { if number < 3 { Err("the vault is closed") } else { Ok(None) } }
        }
    };
    let connection = builder(server.address()).access_token_factory(factory).retry(eager()).build().unwrap();
    soon(connection.start()).await.unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 4);
}

#[tokio::test]
async fn a_hint_finds_a_dead_connection_in_seconds() {
    let seen = Seen::default();
    let server = TestServer::start(server(&seen)).await.unwrap();
    let proxy = Proxy::start(server.address()).await.unwrap();
    let connection = builder(proxy.address()).retry(eager()).build().unwrap();
    let mut changes = changes(&connection);
    soon(connection.start()).await.unwrap();
    assert_eq!(connection.quality().grade, Grade::Good);
    // What the server says does not arrive any more.
    proxy.set(Faults { to_client: Lane { hole: true, ..Lane::default() }, ..Faults::default() });
    let call = tokio::spawn({
        let connection = connection.clone();
        async move { connection.call("Record").arguments((7,)).idempotent().invoke::<u32>().await }
    });
    connection.hint(Hint::Resumed);
    let began = std::time::Instant::now();
    let mut change = soon(changes.recv()).await.unwrap();
    while change.to != ConnectionState::Reconnecting {
        change = soon(changes.recv()).await.unwrap();
    }
    assert!(began.elapsed() < Duration::from_secs(15), "much sooner than the server timeout");
    let Cause::Failed(error) = change.cause else { panic!("{change:?}") };
    assert_eq!(error.kind(), ErrorKind::Timeout);
    proxy.set(Faults::default());
    assert_eq!(soon(call).await.unwrap(), Ok(7), "made again on the next connection");
    let metrics = soon(connection.metrics()).await.unwrap();
    assert_eq!((metrics.connections, metrics.reconnections), (2, 1));
    assert!(metrics.quality.rtt.is_some() && metrics.connect_latency.is_some());
    assert_eq!(*seen.lock().unwrap(), [7], "the server recognised it");
}

#[tokio::test]
async fn timeouts_and_limits_of_calls() {
    let seen = Seen::default();
    let server = TestServer::start(server(&seen)).await.unwrap();
    let connection = builder(server.address()).retry(eager()).build().unwrap();
    soon(connection.start()).await.unwrap();
    let limited = connection.call("Never").timeout(Duration::from_millis(20));
    assert_eq!(soon(limited.invoke::<()>()).await.unwrap_err().kind(), ErrorKind::Timeout);
    // Without a connection.
    let mut outbox = OutboxConfig::default();
    outbox.max_items = 1;
    let connection = builder(free_address().await).outbox(outbox).build().unwrap();
    let expiring = connection.call("Record").arguments((1,)).expires_after(Duration::from_millis(20));
    let expiring = soon(expiring.enqueue()).await.unwrap();
    let full = soon(connection.call("Record").arguments((2,)).enqueue()).await.unwrap_err();
    assert_eq!(full.kind(), ErrorKind::Overflow);
    let at_once = soon(connection.call("Record").arguments((3,)).unqueued().send()).await.unwrap_err();
    assert_eq!(at_once.kind(), ErrorKind::Misuse);
    assert_eq!(soon(expiring.completed::<u32>()).await.unwrap_err().kind(), ErrorKind::Timeout);
    assert!(seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn absurd_options_are_refused_with_their_name() {
    let refused = |change: fn(HubConnectionBuilder) -> HubConnectionBuilder| {
        change(HubConnection::builder("http://h/hub")).build().unwrap_err().detail().to_owned()
    };
    let zero = refused(|builder| builder.retry(RetryPolicy::full_jitter(Duration::ZERO, Duration::ZERO)));
    assert!(zero.contains("base"), "{zero}");
    let upside_down = refused(|builder| {
        builder.retry(RetryPolicy::full_jitter(Duration::from_secs(2), Duration::from_secs(1)))
    });
    assert!(upside_down.contains("cap"), "{upside_down}");
    let endless = refused(|builder| builder.retry(RetryPolicy::table(vec![Duration::MAX])));
    assert!(endless.contains("delay number 0"), "{endless}");
    let closed = refused(|builder| {
        let mut outbox = OutboxConfig::default();
        outbox.window = 0;
        builder.outbox(outbox)
    });
    assert!(closed.contains("window"), "{closed}");
    let timeout = refused(|builder| builder.call_timeout(Duration::ZERO));
    assert!(timeout.contains("call_timeout"), "{timeout}");
}

#[tokio::test]
async fn a_handler_that_takes_its_time_does_not_keep_the_connection_from_coming_back() {
    let seen = Seen::default();
    let first = TestServer::start(server(&seen)).await.unwrap();
    let address = first.address();
    // It notices by what it sends, since it does not read.
    let keep_alive = Duration::from_millis(200);
    let connection = builder(address).retry(eager()).keep_alive_interval(keep_alive).build().unwrap();
    let (release, released) = tokio::sync::watch::channel(false);
    let (sender, mut received) = mpsc::unbounded_channel();
    connection.on_async("Pushed", move |number: u32| {
        let (mut released, sender) = (released.clone(), sender.clone());
        async move {
            let _ = released.wait_for(|released| *released).await;
            let _ = sender.send(number);
        }
    });
    soon(connection.start()).await.unwrap();
    // More than waits in any queue: the client stops reading.
    soon(connection.send("Push", (2000,))).await.unwrap();
    soon(async {
        while first.handle().statistics().hubs.iter().all(|hub| hub.sent < 2000) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    soon(first.stop()).await.unwrap();
    soon(connection.wait_for(ConnectionState::Reconnecting)).await;
    let _second = TestServer::start_at(server(&seen), address).await.unwrap();
    soon(connection.wait_for(ConnectionState::Connected)).await;
    assert!(received.try_recv().is_err(), "the handler still waits");
    release.send(true).unwrap();
    assert_eq!(soon(connection.invoke::<u32>("Record", (1,))).await, Ok(1));
    assert_eq!(soon(received.recv()).await, Some(0));
}

/// HTTP keeps connections for the next request; after a silence they are as dead as the WebSocket.
#[tokio::test]
async fn what_died_with_a_connection_is_not_used_to_make_the_next() {
    let seen = Seen::default();
    let server = TestServer::start(server(&seen)).await.unwrap();
    let proxy = Proxy::start(server.address()).await.unwrap();
    let timeout = Duration::from_millis(500);
    let connection = builder(proxy.address()).retry(eager()).server_timeout(timeout).build().unwrap();
    soon(connection.start()).await.unwrap();
    // New connections work.
    for open in proxy.connections() {
        open.set(&Faults::black_hole());
    }
    let call = connection.call("Record").arguments((7,)).idempotent().invoke::<u32>();
    // The request timeout, 30 s, must not be what ends a request on a dead connection.
    let result = tokio::time::timeout(Duration::from_secs(10), call).await.expect("not in time");
    assert_eq!(result, Ok(7));
}
