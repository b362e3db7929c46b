//! Delivery between our client and our server, over real sockets that are cut, in both encodings.
#![allow(clippy::unwrap_used, missing_docs)]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use e2e::proxy::Proxy;
use hubwire::client::{AckMode, ConnectionState, GapSource, RetryPolicy};
use hubwire::protocol::Encoding;
use hubwire::{ConnectionEvent, HubConnection, HubConnectionBuilder};
use hubwire_server::delivery::history::History;
use hubwire_server::testing::TestServer;
use hubwire_server::{
    Acknowledgements, Context, DeltaKey, Hub, HubClients, HubError, HubOptions, ReliableOptions, Server,
};
use serde_json::{Value, json};
use tokio::sync::mpsc;

const ENCODINGS: [Encoding; 2] = [Encoding::Json, Encoding::MessagePack];

async fn join(ctx: Context, group: String) -> Result<(), HubError> {
    ctx.groups().add(ctx.connection_id(), &group)?;
    Ok(())
}

async fn id(ctx: Context) -> Result<String, HubError> {
    Ok(ctx.connection_id().into())
}

fn server() -> Server {
    let hub = Hub::builder().method("Join", join).method("Id", id).build().unwrap();
    let mut acknowledgements = Acknowledgements::default();
    acknowledgements.initial_retry_delay = Duration::from_millis(1);
    let options = HubOptions {
        acknowledgements: Some(acknowledgements),
        history: Some(History { page_messages: 7, ..History::default() }),
        ..HubOptions::default()
    };
    Server::builder().hub_with("/hub", hub, options).build().unwrap()
}

struct World {
    server: TestServer,
    proxy: Proxy,
    clients: HubClients,
}

impl World {
    async fn start() -> Self {
        let server = TestServer::start(server()).await.unwrap();
        let proxy = Proxy::start(server.address()).await.unwrap();
        let clients = server.handle().hub("/hub").unwrap();
        Self { server, proxy, clients }
    }

    fn builder(&self, encoding: Encoding) -> HubConnectionBuilder {
        builder(self.proxy.address()).encoding(encoding)
    }
}

fn builder(address: SocketAddr) -> HubConnectionBuilder {
    HubConnection::builder(format!("http://{address}/hub"))
        .retry(RetryPolicy::full_jitter(Duration::from_millis(10), Duration::from_millis(50)))
        .lasting(Duration::ZERO)
        .rejoin("Join", "Leave")
}

/// Fails the test rather than hanging it.
async fn soon<T>(what: &str, future: impl IntoFuture<Output = T>) -> T {
    let future = future.into_future();
    tokio::time::timeout(Duration::from_secs(30), future)
        .await
        .unwrap_or_else(|_| panic!("{what}: not in time"))
}

fn numbers(connection: &HubConnection, target: &str) -> mpsc::UnboundedReceiver<u64> {
    let (sender, receiver) = mpsc::unbounded_channel();
    connection.on(target, move |message: Value| {
        let number = message["number"].as_u64().or_else(|| message["data"]["number"].as_u64());
        let _ = sender.send(number.or_else(|| message.as_u64()).unwrap());
    });
    receiver
}

async fn take(receiver: &mut mpsc::UnboundedReceiver<u64>, count: usize) -> Vec<u64> {
    let mut all = Vec::new();
    while all.len() < count {
        all.push(soon("a message", receiver.recv()).await.unwrap());
    }
    all
}

#[tokio::test]
async fn reliable_messages_arrive_once_and_in_order_while_the_connection_is_cut() {
    for encoding in ENCODINGS {
        let world = World::start().await;
        let connection = world.builder(encoding).build().unwrap();
        let mut seen = numbers(&connection, "Show");
        connection.start().await.unwrap();
        connection.invoke::<()>("Join", ("g",)).await.unwrap();
        let mut confirmations = Vec::new();
        for number in 0..200 {
            // Both forms of a message.
            let message = match number % 2 {
                0 => json!({"messageId": format!("m{number}"), "number": number}),
                _ => json!({"number": number}),
            };
            let send = world.clients.group("g").reliable(ReliableOptions::default());
            let confirmation = send.send("Show", message).await.unwrap();
            assert_eq!(confirmation.recipients(), 1, "who is coming back is a recipient, too");
            confirmations.push(confirmation);
            if number % 20 == 10 {
                soon("another connection", connection.wait_for(ConnectionState::Connected)).await;
                world.proxy.reset_all();
                // Some are sent before it notices, some while it is away.
                if number % 40 == 10 {
                    soon("the loss", connection.wait_for(ConnectionState::Reconnecting)).await;
                }
            }
        }
        assert_eq!(take(&mut seen, 200).await, (0..200).collect::<Vec<_>>(), "{encoding:?}");
        for confirmation in confirmations {
            assert!(soon("a confirmation", confirmation).await);
        }
        assert!(seen.try_recv().is_err(), "nothing came twice");
        let metrics = connection.metrics().await.unwrap();
        assert!(metrics.reconnections >= 3 && metrics.acknowledged >= 200, "{metrics:?}");
        connection.stop().await;
    }
}

#[tokio::test]
async fn a_handler_that_fails_gets_the_message_again() {
    let world = World::start().await;
    let connection = world.builder(Encoding::Json).build().unwrap();
    let tries = Arc::new(Mutex::new(Vec::new()));
    let seen = tries.clone();
    connection.on_fallible("Show", move |message: Value| {
        let mut seen = seen.lock().unwrap();
        seen.push(message["retryCount"].as_u64().unwrap());
        let result = if seen.len() < 3 { Err("not yet") } else { Ok(()) };
        async move { result }
    });
    connection.start().await.unwrap();
    let id = connection.invoke::<String>("Id", ()).await.unwrap();
    let message = json!({"messageId": "m", "retryCount": 0});
    let send = world.clients.client(id).reliable(ReliableOptions::default());
    assert!(soon("the confirmation", send.send("Show", message).await.unwrap()).await);
    assert_eq!(*tries.lock().unwrap(), [0, 1, 2]);
    connection.stop().await;
}

#[tokio::test]
async fn what_has_no_handler_or_is_left_to_the_application_is_not_acknowledged() {
    let world = World::start().await;
    let connection = world.builder(Encoding::Json).ack_mode("Manual", AckMode::Manual).build().unwrap();
    let (sender, mut ids) = mpsc::unbounded_channel();
    connection.on("Manual", move |message: Value| {
        let _ = sender.send(message["messageId"].as_str().unwrap().to_owned());
    });
    connection.start().await.unwrap();
    let id = connection.invoke::<String>("Id", ()).await.unwrap();
    let options = || ReliableOptions::default().critical(false);
    let nobody = world.clients.client(&id).reliable(options()).send("Nobody", json!({})).await.unwrap();
    assert!(!soon("the end", nobody).await, "there is no handler");
    let manual =
        world.clients.client(&id).reliable(options()).send("Manual", json!({"messageId": "a"})).await;
    assert_eq!(soon("the message", ids.recv()).await.unwrap(), "a");
    connection.acknowledge("a");
    assert!(soon("the confirmation", manual.unwrap()).await);
    let refused =
        world.clients.client(&id).reliable(options()).send("Manual", json!({"messageId": "b"})).await;
    soon("the message", ids.recv()).await.unwrap();
    connection.nack("b", "no");
    assert!(!soon("the refusal", refused.unwrap()).await);
    connection.stop().await;
}

#[tokio::test]
async fn published_messages_that_were_missed_come_in_order() {
    for encoding in ENCODINGS {
        let world = World::start().await;
        let connection = world.builder(encoding).build().unwrap();
        let mut seen = numbers(&connection, "News");
        connection.start().await.unwrap();
        connection.invoke::<()>("Join", ("g",)).await.unwrap();
        for round in 0..5_u64 {
            for number in 0..40 {
                world.clients.group("g").publish("News", (round * 40 + number,)).unwrap();
                if number == 20 {
                    world.proxy.reset_all();
                }
            }
            let expected: Vec<_> = (round * 40..(round + 1) * 40).collect();
            assert_eq!(take(&mut seen, 40).await, expected, "{encoding:?}");
        }
        let metrics = connection.metrics().await.unwrap();
        assert_eq!(metrics.gaps, 0);
        assert!(metrics.recoveries > 0, "nothing was ever missing: {metrics:?}");
        // Another process goes on where this one was.
        let positions = connection.positions().await.unwrap();
        connection.stop().await;
        world.clients.group("g").publish("News", (1000,)).unwrap();
        let other = world.builder(encoding).positions(positions).build().unwrap();
        let mut seen = numbers(&other, "News");
        other.start().await.unwrap();
        other.invoke::<()>("Join", ("g",)).await.unwrap();
        assert_eq!(take(&mut seen, 1).await, [1000]);
        other.stop().await;
    }
}

#[tokio::test]
async fn a_server_that_has_forgotten_leaves_a_gap() {
    let world = World::start().await;
    let connection = world.builder(Encoding::Json).build().unwrap();
    let (sender, mut gaps) = mpsc::unbounded_channel();
    connection.on_event(move |event| {
        if let ConnectionEvent::Gap { source, .. } = event {
            let _ = sender.send(source.clone());
        }
    });
    let mut seen = numbers(&connection, "News");
    connection.start().await.unwrap();
    connection.invoke::<()>("Join", ("g",)).await.unwrap();
    world.clients.group("g").publish("News", (1,)).unwrap();
    assert_eq!(take(&mut seen, 1).await, [1]);
    let address = world.server.address();
    world.server.stop().await.unwrap();
    let server = TestServer::start_at(server(), address).await.unwrap();
    let gap = soon("the gap", gaps.recv()).await.unwrap();
    assert_eq!(gap, GapSource::Stream("group:g".into()));
    server.handle().hub("/hub").unwrap().group("g").publish("News", (2,)).unwrap();
    assert_eq!(take(&mut seen, 1).await, [2]);
    connection.stop().await;
}

#[tokio::test]
async fn batches_come_apart_and_objects_come_whole() {
    for encoding in ENCODINGS {
        let world = World::start().await;
        let connection = world.builder(encoding).build().unwrap();
        let mut seen = numbers(&connection, "Step");
        let (sender, mut objects) = mpsc::unbounded_channel();
        connection.on("Task", move |object: Value| drop(sender.send(object)));
        connection.start().await.unwrap();
        connection.invoke::<()>("Join", ("g",)).await.unwrap();
        for number in 0..120 {
            world.clients.group("g").send_batched("Step", &json!({"number": number})).unwrap();
        }
        assert_eq!(take(&mut seen, 120).await, (0..120).collect::<Vec<_>>(), "{encoding:?}");

        let key = DeltaKey::new("taskId", "7");
        let mut task = json!({"taskId": "7", "percent": 0, "meta": {"a": 1, "b": [1, 2]}});
        for percent in 0..30 {
            task["percent"] = percent.into();
            match percent {
                10 => task["meta"] = json!({"b": [3]}),
                15 => drop(world.proxy.reset_all()),
                _ => {}
            }
            world.clients.group("g").send_delta("Task", &key, &task).unwrap();
        }
        let last = loop {
            let object = soon("an object", objects.recv()).await.unwrap();
            if object["percent"] == 29 {
                break object;
            }
        };
        assert_eq!(last, task, "{encoding:?}");
        connection.stop().await;
    }
}
