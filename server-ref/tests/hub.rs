//! What hub methods can do and what their callers get, over a real socket.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{Stream, StreamExt, stream};
use hubwire_server::hub::{MethodInfo, Next, Reply};
use hubwire_server::{
    BuildError, CancellationToken, Context, DisconnectReason, Hub, HubError, HubFilter, Policy, State,
    UploadStream,
};
use serde_json::{Value, json};
use support::{Socket, config, start, start_with};
use tokio::sync::{Notify, mpsc};

const PATH: &str = "/hubs/test";

/// What the tests wait for instead of sleeping.
#[derive(Clone)]
struct Signals {
    go: Arc<Notify>,
    events: mpsc::UnboundedSender<String>,
}

fn signals() -> (Signals, mpsc::UnboundedReceiver<String>) {
    let (events, received) = mpsc::unbounded_channel();
    (Signals { go: Arc::new(Notify::new()), events }, received)
}

impl Signals {
    fn tell(&self, event: impl Into<String>) {
        let _ = self.events.send(event.into());
    }
}

async fn next(events: &mut mpsc::UnboundedReceiver<String>) -> String {
    tokio::time::timeout(support::PATIENCE, events.recv()).await.expect("an event").unwrap()
}

async fn echo(value: Value) -> Result<Value, HubError> {
    Ok(value)
}

async fn count(to: u32) -> Result<impl Stream<Item = Result<u32, HubError>>, HubError> {
    Ok(stream::iter((0..to).map(Ok)))
}

#[tokio::test]
async fn values_void_and_several_arguments() {
    let hub = Hub::builder()
        .method("Echo", echo)
        .method("Add", async |a: i64, b: i64| Ok::<_, HubError>(a + b))
        .method("Nothing", async || Ok::<_, HubError>(()))
        .method(
            "Ten",
            async |_: Context, a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8, i: u8, j: u8| {
                Ok::<_, HubError>([a, b, c, d, e, f, g, h, i, j])
            },
        )
        .build()
        .unwrap();
    let server = start(PATH, hub).await;
    let mut client = Socket::connect(&server, PATH).await;
    let value = json!({"text": "naïve 🎉 \"quoted\"", "list": [1, 2.5, null, true]});
    assert_eq!(client.call("Echo", json!([value])).await, Ok(value));
    // Names have no case.
    assert_eq!(client.call("aDD", json!([2, 40])).await, Ok(json!(42)));
    let ten = json!([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(client.call("Ten", ten.clone()).await, Ok(ten));
    client.invoke("1", "Nothing", json!([])).await;
    assert_eq!(client.receive().await, json!({"type": 3, "invocationId": "1", "result": null}));
}

/// A hub with a method for each way to fail.
fn failing() -> Hub {
    struct NotSerialisable;

    impl serde::Serialize for NotSerialisable {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("no form"))
        }
    }

    Hub::builder()
        .method("Echo", echo)
        .method("Typed", async |_: u32, _: String| Ok::<_, HubError>(()))
        .method("Hub", async || Err::<(), _>(HubError::new("my text")))
        .method("Named", async || Err::<(), _>(HubError::named("InvalidOperationException", "secret")))
        .method("Io", async || Err::<(), _>(std::io::Error::other("disk")))
        .method("Panic", async || -> Result<(), HubError> { panic!("expected in this test") })
        .method("Unserialisable", async || Ok::<_, HubError>(NotSerialisable))
        .method("Broken", async || Ok::<_, HubError>(()))
        .authorize_method("Broken", Policy::predicate(|_| panic!("expected in this test")))
        .method("Admin", async || Ok::<_, HubError>(()))
        .authorize_method("admin", Policy::role("admin"))
        .stream("Count", count)
        .stream("Midway", async |named: bool| {
            let error = match named {
                true => HubError::named("InvalidOperationException", "secret"),
                false => HubError::new("enough"),
            };
            Ok::<_, HubError>(stream::iter([Ok(1), Err(error), Ok(2)]))
        })
        .stream("StreamPanic", async || {
            Ok::<_, HubError>(stream::iter(0..2).map(|item| match item {
                0 => Ok::<_, HubError>(item),
                _ => panic!("expected in this test"),
            }))
        })
        .stream("NoStream", async || {
            Err::<stream::Empty<Result<(), HubError>>, _>(HubError::new("not today"))
        })
        .method("Upload", async |_: UploadStream<u32>| Ok::<_, HubError>(()))
        .build()
        .unwrap()
}

#[tokio::test]
async fn errors_have_the_official_texts() {
    let server = start(PATH, failing()).await;
    let mut client = Socket::connect(&server, PATH).await;
    for (target, arguments, expected) in [
        (
            "Hub",
            json!([]),
            "An unexpected error occurred invoking 'Hub' on the server. HubException: my text",
        ),
        ("Named", json!([]), "An unexpected error occurred invoking 'Named' on the server."),
        ("Io", json!([]), "An unexpected error occurred invoking 'Io' on the server."),
        ("Panic", json!([]), "An unexpected error occurred invoking 'Panic' on the server."),
        (
            "Unserialisable",
            json!([]),
            "An unexpected error occurred invoking 'Unserialisable' on the server.",
        ),
        ("Missing", json!([]), "Unknown hub method 'Missing'"),
        ("Admin", json!([]), "Failed to invoke 'Admin' because user is unauthorized"),
        ("Broken", json!([]), "Failed to invoke 'Broken' because user is unauthorized"),
        ("Echo", json!([]), "Failed to invoke 'Echo' due to an error on the server."),
        ("Echo", json!([1, 2]), "Failed to invoke 'Echo' due to an error on the server."),
        ("Typed", json!(["x", "y"]), "Failed to invoke 'Typed' due to an error on the server."),
        (
            "Count",
            json!([1]),
            "The client attempted to invoke the streaming 'Count' method with a non-streaming invocation.",
        ),
        (
            "Upload",
            json!([]),
            "An unexpected error occurred invoking 'Upload' on the server. HubException: Client sent 0 stream(s), \
             Hub method expects 1.",
        ),
    ] {
        assert_eq!(client.call(target, arguments).await, Err(expected.into()), "{target}");
    }
    // The connection has survived all of it.
    assert_eq!(client.call("Echo", json!([1])).await, Ok(json!(1)));
}

#[tokio::test]
async fn detailed_errors_show_more() {
    let mut config = config();
    config.detailed_errors = true;
    let server = start_with(config, PATH, failing()).await;
    let mut client = Socket::connect(&server, PATH).await;
    for (target, arguments, expected) in [
        (
            "Named",
            json!([]),
            "An unexpected error occurred invoking 'Named' on the server. InvalidOperationException: secret",
        ),
        (
            "Echo",
            json!([]),
            "Failed to invoke 'Echo' due to an error on the server. InvalidDataException: Invocation provides 0 \
             argument(s) but target expects 1.",
        ),
    ] {
        assert_eq!(client.call(target, arguments).await, Err(expected.into()));
    }
    let error = client.call("Typed", json!([1, 2])).await.unwrap_err();
    let expected = "Failed to invoke 'Typed' due to an error on the server. InvalidDataException: Error binding \
                    arguments. Make sure that the types of the provided values match the types of the hub method \
                    being invoked. Argument 2: ";
    assert!(error.starts_with(expected), "{error}");
}

async fn stream_of(client: &mut Socket, target: &str, arguments: Value) -> Vec<Value> {
    client.send(json!({"type": 4, "invocationId": "s", "target": target, "arguments": arguments})).await;
    let mut messages = Vec::new();
    loop {
        let message = client.receive().await;
        let is_last = message["type"] == 3;
        messages.push(message);
        if is_last {
            return messages;
        }
    }
}

#[tokio::test]
async fn streams_deliver_their_items_and_then_their_end() {
    let server = start(PATH, failing()).await;
    let mut client = Socket::connect(&server, PATH).await;
    let item = |item: u32| json!({"type": 2, "invocationId": "s", "item": item});
    let end = |error: &str| json!({"type": 3, "invocationId": "s", "error": error});
    assert_eq!(
        stream_of(&mut client, "count", json!([2])).await,
        [item(0), item(1), json!({"type": 3, "invocationId": "s"})]
    );
    let midway = "An error occurred on the server while streaming results.";
    assert_eq!(
        stream_of(&mut client, "Midway", json!([false])).await,
        [item(1), end(&format!("{midway} HubException: enough"))]
    );
    assert_eq!(stream_of(&mut client, "Midway", json!([true])).await, [item(1), end(midway)]);
    assert_eq!(stream_of(&mut client, "StreamPanic", json!([])).await, [item(0), end(midway)]);
    assert_eq!(
        stream_of(&mut client, "NoStream", json!([])).await,
        [end("An unexpected error occurred invoking 'NoStream' on the server. HubException: not today")]
    );
    assert_eq!(
        stream_of(&mut client, "Echo", json!([1])).await,
        [end("The client attempted to invoke the non-streaming 'Echo' method with a streaming invocation.")]
    );
}

#[tokio::test]
async fn calls_without_an_id_are_never_answered() {
    let server = start(PATH, failing()).await;
    let mut client = Socket::connect(&server, PATH).await;
    for (target, arguments) in [
        ("Echo", json!([1])),
        ("Echo", json!([])),
        ("Missing", json!([])),
        ("Hub", json!([])),
        ("Panic", json!([])),
        ("Admin", json!([])),
    ] {
        client.send(json!({"type": 1, "target": target, "arguments": arguments})).await;
    }
    client.invoke("1", "Echo", json!(["last"])).await;
    assert_eq!(client.receive().await["result"], "last", "and nothing before it");
}

#[tokio::test]
async fn a_slow_method_delays_neither_cancels_nor_streams_nor_client_results() {
    let (signals, mut events) = signals();
    let hub = Hub::builder()
        .state(signals.clone())
        .method("Id", async |ctx: Context| Ok::<_, HubError>(ctx.connection_id().to_owned()))
        .method("Slow", async |State(signals): State<Signals>| {
            signals.tell("slow started");
            signals.go.notified().await;
            Ok::<_, HubError>("slow")
        })
        .stream("Endless", async |State(signals): State<Signals>, cancel: CancellationToken| {
            tokio::spawn(async move {
                cancel.cancelled().await;
                signals.tell("cancelled");
            });
            Ok::<_, HubError>(stream::iter([1]).chain(stream::pending()).map(Ok::<i32, HubError>))
        })
        .method("Sum", async |State(signals): State<Signals>, mut items: UploadStream<u32>| {
            let mut sum = 0;
            while let Some(item) = items.next().await {
                sum += item?;
                signals.tell(format!("item {sum}"));
            }
            Ok::<_, HubError>(sum)
        })
        .build()
        .unwrap();
    let server = start(PATH, hub).await;
    let mut client = Socket::connect(&server, PATH).await;
    let id = client.call("Id", json!([])).await.unwrap();
    client.send(json!({"type": 4, "invocationId": "e", "target": "Endless", "arguments": []})).await;
    assert_eq!(client.receive().await["item"], 1);
    client
        .send(
            json!({"type": 1, "invocationId": "u", "target": "Sum", "arguments": [], "streamIds": ["items"]}),
        )
        .await;
    client.invoke("slow", "Slow", json!([])).await;
    assert_eq!(next(&mut events).await, "slow started");
    // A second plain call has to wait; everything else goes on.
    client.invoke("waits", "Slow", json!([])).await;
    client.send(json!({"type": 2, "invocationId": "items", "item": 40})).await;
    assert_eq!(next(&mut events).await, "item 40");
    client.send(json!({"type": 5, "invocationId": "e"})).await;
    assert_eq!(client.receive().await, json!({"type": 3, "invocationId": "e"}));
    assert_eq!(next(&mut events).await, "cancelled");
    client.send(json!({"type": 2, "invocationId": "items", "item": 2})).await;
    client.send(json!({"type": 3, "invocationId": "items"})).await;
    assert_eq!(client.receive().await, json!({"type": 3, "invocationId": "u", "result": 42}));
    assert_eq!(next(&mut events).await, "item 42");
    client.send(json!({"type": 6})).await;
    // Nor does it delay the answer of the client to a question of the server.
    let clients = server.handle().hub(PATH).unwrap();
    let asked =
        tokio::spawn(async move { clients.client(id.as_str().unwrap()).invoke::<u32>("Ask", ()).await });
    let question = client.receive().await;
    client.send(json!({"type": 3, "invocationId": question["invocationId"], "result": 5})).await;
    assert_eq!(asked.await.unwrap(), Ok(5));
    signals.go.notify_one();
    assert_eq!(client.receive().await["invocationId"], "slow");
    assert_eq!(next(&mut events).await, "slow started");
    signals.go.notify_one();
    assert_eq!(client.receive().await["invocationId"], "waits");
}

#[tokio::test]
async fn uploads_fail_with_the_text_of_the_client() {
    let hub = Hub::builder()
        .method("Sum", async |mut items: UploadStream<u32>| {
            let mut sum = 0;
            while let Some(item) = items.next().await {
                sum += item?;
            }
            Ok::<_, HubError>(sum)
        })
        .method("First", async |mut items: UploadStream<u32>| items.next().await.transpose())
        .build()
        .unwrap();
    let server = start(PATH, hub).await;
    let mut client = Socket::connect(&server, PATH).await;
    let begin = |target: &str, stream: &str| json!({"type": 1, "invocationId": "u", "target": target, "arguments": [], "streamIds": [stream]});
    client.send(begin("Sum", "a")).await;
    client.send(json!({"type": 3, "invocationId": "a", "error": "disk full"})).await;
    assert_eq!(
        client.receive().await["error"],
        "An unexpected error occurred invoking 'Sum' on the server. HubException: disk full"
    );
    client.send(begin("Sum", "b")).await;
    client.send(json!({"type": 2, "invocationId": "b", "item": "text"})).await;
    assert_eq!(client.receive().await["error"], "An unexpected error occurred invoking 'Sum' on the server.");
    // More items than fit, to a method that takes one: the rest is dropped, the connection goes on.
    client.send(begin("First", "c")).await;
    for item in 0..100 {
        client.send(json!({"type": 2, "invocationId": "c", "item": item})).await;
    }
    assert_eq!(client.receive().await["result"], 0);
    client.send(begin("Sum", "d")).await;
    client.send(json!({"type": 3, "invocationId": "d"})).await;
    assert_eq!(client.receive().await["result"], 0);
}

#[tokio::test]
async fn hooks_items_and_abort() {
    let (signals, mut events) = signals();
    #[derive(Clone)]
    struct Name(String);
    let hub = Hub::builder()
        .state(signals)
        .method("Bye", async |ctx: Context| {
            ctx.abort();
            Ok::<_, HubError>(())
        })
        .on_connected(async |ctx: Context, State(signals): State<Signals>| {
            let user = ctx.user_id().unwrap_or("nobody").to_owned();
            if user == "eve" {
                return Err(HubError::new("not you"));
            }
            ctx.items().insert(Name(user.clone()));
            ctx.clients().caller().send("Hello", (&user,))?;
            signals.tell(format!("+{user}"));
            Ok(())
        })
        .on_disconnected(
            async |ctx: Context,
                   State(signals): State<Signals>,
                   DisconnectReason(reason): DisconnectReason| {
                let name = ctx.items().get::<Name>().map_or_else(String::new, |name| name.0);
                signals.tell(format!("-{name} {}", reason.is_some()));
                Ok::<_, HubError>(())
            },
        )
        .build()
        .unwrap();
    let server = start(PATH, hub).await;
    let mut alice = Socket::connect_as(&server, PATH, "alice").await;
    assert_eq!(alice.event().await, ("Hello".into(), json!(["alice"])));
    assert_eq!(next(&mut events).await, "+alice");
    alice.invoke("1", "Bye", json!([])).await;
    let rest = alice.rest().await;
    assert_eq!(rest.last().unwrap(), &json!({"type": 7}), "without an invitation to come back: {rest:?}");
    assert_eq!(next(&mut events).await, "-alice false");
    // A client that says goodbye gets the answer of the official server.
    let mut bob = Socket::connect_as(&server, PATH, "bob").await;
    bob.event().await;
    bob.send(json!({"type": 7})).await;
    assert_eq!(bob.rest().await, [json!({"type": 7, "allowReconnect": true})]);
    assert_eq!((next(&mut events).await, next(&mut events).await), ("+bob".into(), "-bob false".into()));
    // A hook that fails refuses the connection; the disconnect hook does not run.
    let mut eve = Socket::connect_as(&server, PATH, "eve").await;
    let error = "Connection closed with an error. HubException: not you";
    assert_eq!(eve.rest().await, [json!({"type": 7, "error": error})]);
    let dave = Socket::connect_as(&server, PATH, "dave").await;
    dave.cut();
    assert_eq!((next(&mut events).await, next(&mut events).await), ("+dave".into(), "-dave true".into()));
}

#[tokio::test]
async fn methods_learn_that_their_client_is_gone() {
    let (signals, mut events) = signals();
    let hub = Hub::builder()
        .state(signals)
        .method("Wait", async |State(signals): State<Signals>, cancel: CancellationToken| {
            signals.tell("waits");
            cancel.cancelled().await;
            // It goes on to its end after the connection's.
            tokio::task::yield_now().await;
            signals.tell("cancelled");
            Ok::<_, HubError>(())
        })
        .build()
        .unwrap();
    let server = start(PATH, hub).await;
    let mut client = Socket::connect(&server, PATH).await;
    client.invoke("1", "Wait", json!([])).await;
    assert_eq!(next(&mut events).await, "waits");
    // First by a cancellation, then by a lost connection.
    client.send(json!({"type": 5, "invocationId": "1"})).await;
    assert_eq!(next(&mut events).await, "cancelled");
    assert_eq!(client.receive().await["invocationId"], "1");
    client.invoke("2", "Wait", json!([])).await;
    assert_eq!(next(&mut events).await, "waits");
    client.cut();
    assert_eq!(next(&mut events).await, "cancelled");
}

#[tokio::test]
async fn filters_wrap_methods_in_order() {
    struct Tag(&'static str, Arc<AtomicUsize>);

    impl HubFilter for Tag {
        fn invoke<'a>(
            &'a self,
            call: &'a MethodInfo,
            next: Next<'a>,
        ) -> futures_util::future::BoxFuture<'a, Result<Reply, HubError>> {
            Box::pin(async move {
                self.1.fetch_add(1, Ordering::Relaxed);
                if call.name() == "Blocked" {
                    return Err(HubError::new(format!("blocked by {}", self.0)));
                }
                call.context().clients().caller().send("Before", (self.0,))?;
                let result = next.run().await;
                call.context().clients().caller().send("After", (self.0,))?;
                result
            })
        }
    }

    let calls = Arc::new(AtomicUsize::new(0));
    let hub = Hub::builder()
        .filter(Tag("outer", calls.clone()))
        .filter(Tag("inner", calls.clone()))
        .method("Echo", echo)
        .method("Blocked", echo)
        .build()
        .unwrap();
    let server = start(PATH, hub).await;
    let mut client = Socket::connect(&server, PATH).await;
    client.invoke("1", "echo", json!([1])).await;
    for (target, tag) in [("Before", "outer"), ("Before", "inner"), ("After", "inner"), ("After", "outer")] {
        assert_eq!(client.event().await, (target.into(), json!([tag])));
    }
    assert_eq!(client.receive().await["result"], 1);
    let error = client.call("Blocked", json!([1])).await.unwrap_err();
    assert!(error.ends_with("HubException: blocked by outer"), "{error}");
    assert_eq!(calls.load(Ordering::Relaxed), 3);
}

#[test]
fn mistakes_are_found_when_a_hub_is_built() {
    let hub = Hub::builder().method("Echo", echo).method("ECHO", echo).build();
    assert_eq!(hub.unwrap_err(), BuildError::DuplicateMethod("ECHO".into()));
    let hub = Hub::builder().authorize_method("Nope", Policy::authenticated()).build();
    assert_eq!(hub.unwrap_err(), BuildError::UnknownMethod("Nope".into()));
    let hub = Hub::builder().on_connected(async |_: String| Ok::<_, HubError>(())).build();
    assert_eq!(hub.unwrap_err(), BuildError::HookParameters("on_connected"));
}

#[tokio::test]
async fn a_connection_whose_task_is_dropped_is_forgotten() {
    let server = start(PATH, failing()).await;
    let (transport, mut client) = hubwire_server::transport::memory(8);
    let task = server.handle().accept(PATH, transport, hubwire_server::Principal::anonymous()).unwrap();
    let task = tokio::spawn(task);
    client.send("{\"protocol\":\"json\",\"version\":1}\u{1e}").await;
    client.receive().await.unwrap();
    assert_eq!(server.handle().statistics().hubs[0].connections, 1);
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    let statistics = server.handle().statistics();
    assert_eq!((statistics.connections, statistics.hubs[0].connections), (0, 0));
}
