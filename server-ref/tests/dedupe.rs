//! Calls that carry `hubwire-id` run once, over however many connections they come.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use hubwire::protocol::frame::FrameDecoder;
use hubwire::protocol::{Call, Encoding, HandshakeResponse, HubMessage, Invocation, Outcome, Payload};
use hubwire_server::testing::TestServer;
use hubwire_server::transport::{MemoryClient, memory};
use hubwire_server::{
    BuildError, CancellationToken, Context, Dedupe, DedupeStatistics, Hub, HubError, HubOptions, Principal,
    Server, ServerHandle, State, UploadStream,
};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use support::requests::{get, poll_as, post, records};
use support::{PATIENCE, Socket, config, http, user};
use tokio::sync::{Notify, mpsc};

const PATH: &str = "/hubs/test";
const OTHER: &str = "/hubs/other";
const ANNOUNCED: &str = "/hubs/test?hubwire=1";

#[derive(Clone)]
struct Signals {
    go: Arc<Notify>,
    runs: Arc<AtomicUsize>,
    events: mpsc::UnboundedSender<&'static str>,
}

impl Signals {
    /// Counts a run, and tells the ones apart.
    fn run(&self) -> usize {
        self.runs.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn tell(&self, event: &'static str) {
        let _ = self.events.send(event);
    }
}

struct Binary;

impl Serialize for Binary {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&[1, 2, 3])
    }
}

async fn slow(State(signals): State<Signals>, ctx: Context) -> Result<usize, HubError> {
    signals.tell("began");
    signals.go.notified().await;
    // The caller may be gone; whoever else is there is not.
    ctx.clients().caller().send("You", ())?;
    ctx.clients().others().send("Others", ())?;
    signals.tell("ended");
    Ok(signals.run())
}

async fn until_canceled(
    State(signals): State<Signals>,
    canceled: CancellationToken,
) -> Result<usize, HubError> {
    signals.tell("began");
    tokio::select! {
        () = canceled.cancelled() => signals.tell("canceled"),
        () = signals.go.notified() => {}
    }
    match canceled.is_cancelled() {
        true => Err(HubError::new(format!("canceled in run {}", signals.run()))),
        false => Ok(signals.run()),
    }
}

async fn numbers(
    State(signals): State<Signals>,
) -> Result<impl Stream<Item = Result<usize, HubError>>, HubError> {
    Ok(stream::iter([Ok(signals.run())]))
}

fn hub(signals: &Signals) -> Hub {
    Hub::builder()
        .state(signals.clone())
        .method("Count", async |State(signals): State<Signals>, _: Value| Ok::<_, HubError>(signals.run()))
        .method("Object", async |State(signals): State<Signals>| {
            Ok::<_, HubError>(json!({"run": signals.run(), "texts": ["a", null, 1.5]}))
        })
        .method("Nothing", async |State(signals): State<Signals>| {
            signals.run();
            Ok::<_, HubError>(())
        })
        .method("Fail", async |State(signals): State<Signals>| {
            Err::<(), _>(HubError::new(format!("run {}", signals.run())))
        })
        .method("Panic", async |State(signals): State<Signals>| {
            assert_eq!(signals.run(), 0, "a panic on purpose");
            Ok::<_, HubError>(())
        })
        .method("Binary", async |State(signals): State<Signals>| {
            signals.run();
            Ok::<_, HubError>(Binary)
        })
        .method("Long", async |length: usize| Ok::<_, HubError>("x".repeat(length)))
        .method("Slow", slow)
        .method("UntilCanceled", until_canceled)
        .method("Upload", async |State(signals): State<Signals>, mut items: UploadStream<u32>| {
            while items.next().await.is_some() {}
            Ok::<_, HubError>(signals.run())
        })
        .stream("Numbers", numbers)
        .on_disconnected(async |State(signals): State<Signals>| {
            signals.tell("gone");
            Ok::<_, HubError>(())
        })
        .build()
        .unwrap()
}

/// A server with two hubs that count together, and what its methods tell.
struct Bench {
    signals: Signals,
    events: mpsc::UnboundedReceiver<&'static str>,
    server: Server,
}

struct Running {
    signals: Signals,
    events: mpsc::UnboundedReceiver<&'static str>,
    server: TestServer,
}

fn bench_with(dedupe: Option<Dedupe>, parallel: usize) -> Bench {
    let (sender, events) = mpsc::unbounded_channel();
    let signals =
        Signals { go: Arc::new(Notify::new()), runs: Arc::new(AtomicUsize::new(0)), events: sender };
    let mut config = config();
    config.limits.parallel_invocations = parallel;
    let options = HubOptions { dedupe, ..HubOptions::default() };
    let server = Server::builder()
        .config(config)
        .hub_with(PATH, hub(&signals), options)
        .hub(OTHER, hub(&signals))
        .build()
        .unwrap();
    Bench { signals, events, server }
}

async fn start_with(dedupe: Option<Dedupe>, parallel: usize) -> Running {
    let Bench { signals, events, server } = bench_with(dedupe, parallel);
    Running { signals, events, server: TestServer::start(server).await.unwrap() }
}

async fn start() -> Running {
    start_with(Some(Dedupe::default()), 1).await
}

fn limits(change: impl FnOnce(&mut Dedupe)) -> Option<Dedupe> {
    let mut dedupe = Dedupe::default();
    change(&mut dedupe);
    Some(dedupe)
}

impl Running {
    fn runs(&self) -> usize {
        self.signals.runs.load(Ordering::SeqCst)
    }

    async fn event(&mut self) -> &'static str {
        tokio::time::timeout(PATIENCE, self.events.recv()).await.expect("an event").unwrap()
    }

    fn statistics(&self) -> DedupeStatistics {
        statistics(self.server.handle())
    }
}

fn statistics(handle: &ServerHandle) -> DedupeStatistics {
    let hubs = handle.statistics().hubs;
    hubs.into_iter().find(|hub| hub.path == PATH).unwrap().dedupe.unwrap()
}

/// An invocation with a `hubwire-id`.
fn call(invocation: &str, id: &str, target: &str, arguments: Value) -> Value {
    json!({
        "type": 1, "headers": {"hubwire-id": id}, "invocationId": invocation, "target": target, "arguments": arguments
    })
}

/// Calls and returns the completion without the id, which differs.
async fn complete(socket: &mut Socket, id: &str, target: &str, arguments: Value) -> Value {
    socket.send(call("i", id, target, arguments)).await;
    completion(socket, "i").await
}

async fn completion(socket: &mut Socket, invocation: &str) -> Value {
    loop {
        let mut message = socket.receive().await;
        if message["type"] == 3 {
            assert_eq!(message["invocationId"], invocation, "{message}");
            message.as_object_mut().unwrap().remove("invocationId");
            return message;
        }
    }
}

fn result(value: impl Serialize) -> Value {
    json!({"type": 3, "result": value})
}

#[tokio::test]
async fn a_repetition_on_the_same_connection_gets_the_same_completion() {
    let bench = start().await;
    let mut socket = Socket::connect(&bench.server, ANNOUNCED).await;
    assert_eq!(complete(&mut socket, "c/1", "Count", json!([0])).await, result(1));
    assert_eq!(complete(&mut socket, "c/1", "Count", json!([0])).await, result(1));
    assert_eq!(complete(&mut socket, "c/1", "Count", json!(["arguments are not compared"])).await, result(1));
    assert_eq!(complete(&mut socket, "c/2", "Count", json!([0])).await, result(2));
    assert_eq!(complete(&mut socket, "C/1", "Count", json!([0])).await, result(3), "another client");
    // All in one frame.
    let three: String = ["x", "y", "z"]
        .map(|invocation| format!("{}\u{1e}", call(invocation, "c/3", "Object", json!([]))))
        .concat();
    socket.send_text(&three).await;
    let expected = result(json!({"run": 4, "texts": ["a", null, 1.5]}));
    for invocation in ["x", "y", "z"] {
        assert_eq!(completion(&mut socket, invocation).await, expected);
    }
    assert_eq!(bench.runs(), 4);
    // The order of calls is that of the client, repetitions included.
    socket.send(call("a", "c/5", "Count", json!([0]))).await;
    socket.send(call("b", "c/1", "Count", json!([0]))).await;
    socket.send(call("c", "c/6", "Count", json!([0]))).await;
    for (invocation, run) in [("a", 5), ("b", 1), ("c", 6)] {
        assert_eq!(completion(&mut socket, invocation).await, result(run));
    }
    let statistics = bench.statistics();
    assert_eq!((statistics.entries, statistics.running, statistics.duplicates), (6, 0, 5));
    assert_eq!(statistics.evicted, 0);
}

#[tokio::test]
async fn a_repetition_of_a_running_call_waits_for_it() {
    let mut bench = start_with(Some(Dedupe::default()), 2).await;
    let mut socket = Socket::connect(&bench.server, ANNOUNCED).await;
    socket.send(call("first", "c/1", "Slow", json!([]))).await;
    assert_eq!(bench.event().await, "began");
    socket.send(call("again", "c/1", "Slow", json!([]))).await;
    // It has a place of its own, so that a third call has to wait for its turn.
    socket.send(call("third", "c/2", "Count", json!([0]))).await;
    let mut other = Socket::connect(&bench.server, ANNOUNCED).await;
    other.send(call("other", "c/1", "Slow", json!([]))).await;
    other.send(call("free", "c/3", "Count", json!([0]))).await;
    assert_eq!(completion(&mut other, "free").await, result(1), "and the connection goes on");
    assert_eq!(bench.statistics().running, 1);
    bench.signals.go.notify_one();
    assert_eq!(completion(&mut other, "other").await, result(2));
    let mut completions = Vec::new();
    while completions.len() < 3 {
        let message = socket.receive().await;
        if message["type"] == 3 {
            completions
                .push((message["invocationId"].as_str().unwrap().to_owned(), message["result"].clone()));
        }
    }
    completions.sort_by(|one, other| one.0.cmp(&other.0));
    let expected = [("again", 2), ("first", 2), ("third", 3)];
    assert_eq!(completions, expected.map(|(id, run)| (id.to_owned(), json!(run))));
    assert_eq!((bench.runs(), bench.statistics().duplicates), (3, 2));
}

#[tokio::test]
async fn a_method_survives_its_connection_and_the_next_one_gets_the_result() {
    let mut bench = start().await;
    for (round, repeat_early) in [(1, true), (2, false)] {
        let id = format!("c/{round}");
        let mut first = Socket::connect(&bench.server, ANNOUNCED).await;
        first.send(call("1", &id, "Slow", json!([]))).await;
        assert_eq!(bench.event().await, "began");
        first.cut();
        assert_eq!(bench.event().await, "gone");
        let mut second = Socket::connect(&bench.server, ANNOUNCED).await;
        if repeat_early {
            second.send(call("7", &id, "Slow", json!([]))).await;
        }
        bench.signals.go.notify_one();
        assert_eq!(bench.event().await, "ended");
        assert_eq!(second.event().await, ("Others".into(), json!([])), "its context still reaches others");
        if !repeat_early {
            second.send(call("7", &id, "Slow", json!([]))).await;
        }
        assert_eq!(completion(&mut second, "7").await, result(round));
        second.close().await;
        assert_eq!(bench.event().await, "gone");
    }
    assert_eq!((bench.runs(), bench.statistics().duplicates), (2, 2));
}

#[tokio::test]
async fn a_call_that_only_waited_when_its_connection_was_lost_runs_later() {
    let mut bench = start().await;
    let mut first = Socket::connect(&bench.server, ANNOUNCED).await;
    first.send(call("1", "c/1", "Slow", json!([]))).await;
    first.send(call("2", "c/2", "Count", json!([0]))).await;
    assert_eq!(bench.event().await, "began");
    first.cut();
    assert_eq!(bench.event().await, "gone");
    bench.signals.go.notify_one();
    let mut second = Socket::connect(&bench.server, ANNOUNCED).await;
    assert_eq!(complete(&mut second, "c/1", "Slow", json!([])).await, result(1));
    assert_eq!(complete(&mut second, "c/2", "Count", json!([0])).await, result(2));
}

#[tokio::test]
async fn users_hubs_and_clients_without_a_user_share_nothing() {
    let bench = start().await;
    let connect = async |path: &str, name: Option<&str>| {
        let token = name.map(|name| format!("&access_token={}", user(name))).unwrap_or_default();
        Socket::connect(&bench.server, &format!("{path}?hubwire=1{token}")).await
    };
    let mut run = 0;
    for (path, name) in [(PATH, Some("alice")), (PATH, Some("bob")), (PATH, None), (OTHER, Some("alice"))] {
        run += 1;
        for _ in 0..2 {
            let mut socket = connect(path, name).await;
            assert_eq!(complete(&mut socket, "c/1", "Count", json!([0])).await, result(run), "{name:?}");
        }
    }
}

#[tokio::test]
async fn others_are_served_as_before() {
    let bench = start().await;
    for path in [PATH, "/hubs/test?hubwire=2", "/hubs/test?hubwire"] {
        let before = bench.runs();
        let mut socket = Socket::connect(&bench.server, path).await;
        for run in 1..=2 {
            assert_eq!(complete(&mut socket, "c/1", "Count", json!([0])).await, result(before + run));
        }
        assert_eq!(complete(&mut socket, "not an id", "Count", json!([0])).await, result(before + 3));
    }
    let before = bench.runs();
    let mut socket = Socket::connect(&bench.server, ANNOUNCED).await;
    for run in 1..=2 {
        assert_eq!(socket.call("Count", json!([0])).await, Ok(json!(before + run)), "without the header");
    }
    assert_eq!(bench.statistics().entries, 0);
    let off = start_with(None, 1).await;
    let mut socket = Socket::connect(&off.server, ANNOUNCED).await;
    for run in 1..=2 {
        assert_eq!(complete(&mut socket, "c/1", "Count", json!([0])).await, result(run));
    }
    assert_eq!(off.server.handle().statistics().hubs[1].dedupe, None);
}

#[tokio::test]
async fn calls_of_other_kinds_run_each_time() {
    let bench = start().await;
    let mut socket = Socket::connect(&bench.server, ANNOUNCED).await;
    let headers = json!({"hubwire-id": "c/1"});
    for _ in 0..2 {
        socket.send(json!({"type": 1, "headers": headers, "target": "Count", "arguments": [0]})).await;
    }
    for run in 3..=4 {
        socket
            .send(json!({"type": 4, "headers": headers, "invocationId": "s", "target": "Numbers", "arguments": []}))
            .await;
        assert_eq!(socket.receive().await["item"], run);
        assert_eq!(completion(&mut socket, "s").await["type"], 3);
    }
    for run in 5..=6 {
        socket
            .send(json!({
                "type": 1, "headers": headers, "invocationId": "u", "target": "Upload", "arguments": [],
                "streamIds": ["1"],
            }))
            .await;
        socket.send(json!({"type": 3, "invocationId": "1"})).await;
        assert_eq!(completion(&mut socket, "u").await, result(run));
    }
    assert_eq!(bench.statistics().entries, 0);
}

#[tokio::test]
async fn ids_that_are_none_are_refused_and_the_connection_goes_on() {
    let bench = start().await;
    let mut socket = Socket::connect(&bench.server, ANNOUNCED).await;
    let expected = "Failed to invoke 'Count' due to an error on the server. HubException: The header 'hubwire-id' is \
                    no '<clientId>/<n>'.";
    for id in ["", "c", "c/", "/1", "c/01", "c/-1", "c/18446744073709551616", "a b/1", "c/1/2"] {
        let refused = complete(&mut socket, id, "Count", json!([0])).await;
        assert_eq!(refused, json!({"type": 3, "error": expected}), "{id}");
    }
    assert_eq!(bench.runs(), 0);
    let last = format!("c/{}", u64::MAX);
    assert_eq!(complete(&mut socket, &last, "Count", json!([0])).await, result(1));
    assert_eq!(complete(&mut socket, &last, "Count", json!([0])).await, result(1));
}

#[tokio::test]
async fn every_kind_of_completion_is_remembered() {
    let bench = start().await;
    let mut socket = Socket::connect(&bench.server, ANNOUNCED).await;
    for (n, target, runs) in
        [("1", "Nothing", 1), ("2", "Fail", 1), ("3", "Panic", 1), ("4", "Unknown", 0), ("5", "Count", 0)]
    {
        let before = bench.runs();
        let first = complete(&mut socket, &format!("c/{n}"), target, json!([])).await;
        assert_eq!(complete(&mut socket, &format!("c/{n}"), target, json!([])).await, first);
        assert_eq!(first.get("error").is_some(), target != "Nothing", "{first}");
        assert_eq!(bench.runs(), before + runs, "{target}");
    }
}

#[tokio::test]
async fn who_takes_a_call_back_gets_its_end_again() {
    let mut bench = start().await;
    let canceled = |run: usize| {
        let text = format!(
            "An unexpected error occurred invoking 'UntilCanceled' on the server. HubException: canceled in run {run}"
        );
        json!({"type": 3, "error": text})
    };
    let mut first = Socket::connect(&bench.server, ANNOUNCED).await;
    first.send(call("1", "c/1", "UntilCanceled", json!([]))).await;
    assert_eq!(bench.event().await, "began");
    first.send(json!({"type": 5, "invocationId": "1"})).await;
    assert_eq!(completion(&mut first, "1").await, canceled(1));
    assert_eq!(bench.event().await, "canceled");
    assert_eq!(complete(&mut first, "c/1", "UntilCanceled", json!([])).await, canceled(1));

    // Over another connection, while it runs without one.
    first.send(call("2", "c/2", "UntilCanceled", json!([]))).await;
    assert_eq!(bench.event().await, "began");
    first.cut();
    assert_eq!(bench.event().await, "gone", "which does not cancel it");
    let mut second = Socket::connect(&bench.server, ANNOUNCED).await;
    second.send(call("3", "c/2", "UntilCanceled", json!([]))).await;
    second.send(json!({"type": 5, "invocationId": "3"})).await;
    assert_eq!(completion(&mut second, "3").await, canceled(2));
    assert_eq!(bench.event().await, "canceled");

    // Before its turn.
    second.send(call("4", "c/4", "Slow", json!([]))).await;
    assert_eq!(bench.event().await, "began");
    second.send(call("5", "c/5", "Count", json!([0]))).await;
    second.send(json!({"type": 5, "invocationId": "5"})).await;
    let never_ran = json!({"type": 3, "error": "The invocation was canceled by the client."});
    assert_eq!(completion(&mut second, "5").await, never_ran);
    bench.signals.go.notify_one();
    assert_eq!(completion(&mut second, "4").await, result(3));
    assert_eq!(complete(&mut second, "c/5", "Count", json!([0])).await, never_ran);
    assert_eq!(bench.runs(), 3);
}

#[tokio::test]
async fn full_tables_refuse_and_the_oldest_result_gives_way() {
    let mut bench = start_with(limits(|dedupe| dedupe.max_entries = 2), 8).await;
    let mut socket = Socket::connect(&bench.server, ANNOUNCED).await;
    for n in 1..=2 {
        socket.send(call(&n.to_string(), &format!("c/{n}"), "Slow", json!([]))).await;
        assert_eq!(bench.event().await, "began");
    }
    let refused = complete(&mut socket, "c/3", "Count", json!([0])).await;
    let expected = "Failed to invoke 'Count' due to an error on the server. HubException: 2 calls with a 'hubwire-id' \
                    run already.";
    assert_eq!(refused, json!({"type": 3, "error": expected}));
    assert_eq!(bench.runs(), 0);
    assert_eq!(
        socket.call("Count", json!([0])).await,
        Ok(json!(1)),
        "calls without the header are not concerned"
    );
    bench.signals.go.notify_one();
    assert_eq!(completion(&mut socket, "1").await, result(2));
    assert_eq!(
        complete(&mut socket, "c/3", "Count", json!([0])).await,
        result(3),
        "a refusal is not remembered"
    );
    assert_eq!(complete(&mut socket, "c/3", "Count", json!([0])).await, result(3));
    bench.signals.go.notify_one();
    assert_eq!(completion(&mut socket, "2").await, result(4));
    let statistics = bench.statistics();
    assert_eq!((statistics.entries, statistics.evicted), (2, 1));

    let bytes = start_with(limits(|dedupe| dedupe.max_bytes = 100), 1).await;
    let mut socket = Socket::connect(&bytes.server, ANNOUNCED).await;
    let long = "x".repeat(99);
    assert_eq!(complete(&mut socket, "c/1", "Count", json!([0])).await, result(1));
    assert_eq!(
        complete(&mut socket, "c/2", "Long", json!([99])).await,
        result(&long),
        "the first call gets it"
    );
    let lost = json!({"type": 3, "error": "The result of the call was too large to be remembered."});
    assert_eq!(complete(&mut socket, "c/2", "Long", json!([99])).await, lost);
    assert_eq!(complete(&mut socket, "c/1", "Count", json!([0])).await, result(1));
    assert_eq!(complete(&mut socket, "c/3", "Long", json!([98])).await, result(&long[1..]));
    assert_eq!(bytes.statistics().bytes, 100);
    assert_eq!(complete(&mut socket, "c/1", "Count", json!([0])).await, result(2), "it gave way");

    let options = HubOptions { dedupe: limits(|dedupe| dedupe.max_entries = 0), ..HubOptions::default() };
    let server = Server::builder().hub_with(PATH, Hub::builder().build().unwrap(), options).build();
    assert_eq!(server.unwrap_err(), BuildError::NoDedupeEntries(PATH.into()));
}

#[tokio::test]
async fn the_feature_is_named_to_those_who_read_it() {
    let negotiate = async |bench: &Running, query: &str| {
        let request = format!("POST {PATH}/negotiate?{query} HTTP/1.1\r\ncontent-length: 0\r\n\r\n");
        let (status, _, mut body) = http(&bench.server, &request).await;
        assert_eq!(status, 200);
        let response: Value = serde_json::from_str(&body).unwrap();
        for name in ["connectionId", "connectionToken"] {
            if let Some(id) = response[name].as_str() {
                body = body.replace(id, "*");
            }
        }
        if let Some(epoch) = response["hubwire"]["epoch"].as_str() {
            assert_eq!(epoch.len(), 22);
            body = body.replace(epoch, "*");
        }
        body
    };
    let transports = "\"availableTransports\":[{\"transport\":\"WebSockets\",\"transferFormats\":[\"Text\",\"Binary\"]},\
                      {\"transport\":\"ServerSentEvents\",\"transferFormats\":[\"Text\"]},\
                      {\"transport\":\"LongPolling\",\"transferFormats\":[\"Text\",\"Binary\"]}]";
    let (on, off) = (start().await, start_with(None, 1).await);
    let plain =
        format!("{{\"negotiateVersion\":1,\"connectionId\":\"*\",\"connectionToken\":\"*\",{transports}}}");
    let with = |features: &str| {
        let end = format!(",\"hubwire\":{{\"version\":1,\"features\":{features}}}}}");
        format!("{}{end}", plain.strip_suffix('}').unwrap())
    };
    for query in ["negotiateVersion=1", "negotiateVersion=1&hubwire=0", "hubwire=&negotiateVersion=1"] {
        assert_eq!(negotiate(&on, query).await, plain, "{query}");
        assert_eq!(negotiate(&off, query).await, plain, "{query}");
    }
    let announced = with("[\"dedupe\",\"ack\",\"delta\"],\"epoch\":\"*\",\"dedupeWindowMs\":600000");
    assert_eq!(negotiate(&on, "negotiateVersion=1&hubwire=1").await, announced);
    assert_eq!(negotiate(&off, "negotiateVersion=1&hubwire=1").await, with("[\"ack\",\"delta\"]"));
    let old = format!("{{\"negotiateVersion\":0,\"connectionId\":\"*\",{transports}}}");
    assert_eq!(negotiate(&on, "").await, old);
    assert_ne!(negotiate(&on, "hubwire=1").await, old);
    // What is remembered has a name, which another server does not have.
    let epoch = async |bench: &Running, path: &str| {
        support::negotiate(&bench.server, &format!("{path}?hubwire=1")).await["hubwire"]["epoch"].clone()
    };
    let (first, other) = (epoch(&on, PATH).await, epoch(&start().await, PATH).await);
    assert!(first.is_string() && first != other);
    assert_eq!(epoch(&on, PATH).await, first);
}

#[tokio::test]
async fn it_is_the_same_over_every_transport() {
    let bench = start().await;
    let mut socket = Socket::connect(&bench.server, ANNOUNCED).await;
    assert_eq!(complete(&mut socket, "c/1", "Count", json!([0])).await, result(1));
    let path = poll_as(&bench.server, ANNOUNCED).await;
    for (invocation, id, run) in [("a", "c/1", 1), ("b", "c/2", 2)] {
        let body = format!("{}\u{1e}", call(invocation, id, "Count", json!([0])));
        assert_eq!(post(&bench.server, &path, &body).await.0, 200);
        let completion = json!({"type": 3, "invocationId": invocation, "result": run});
        assert_eq!(records(&get(&bench.server, &path).await.2), [completion]);
    }
    assert_eq!(complete(&mut socket, "c/2", "Count", json!([0])).await, result(2));
}

#[tokio::test]
async fn shutdown_waits_for_methods_that_have_no_connection_any_more() {
    let mut bench = start().await;
    let mut socket = Socket::connect(&bench.server, ANNOUNCED).await;
    socket.send(call("1", "c/1", "Slow", json!([]))).await;
    assert_eq!(bench.event().await, "began");
    let handle = bench.server.handle().clone();
    let mut stopped = tokio::spawn(async move { handle.shutdown().await });
    assert_eq!(socket.rest().await, [json!({"type": 7, "allowReconnect": true, "retryAfterMs": 0})]);
    assert_eq!(bench.event().await, "gone");
    // The connection is over; only the method is left.
    let early = tokio::time::timeout(Duration::from_millis(50), &mut stopped).await;
    assert!(early.is_err(), "it did not wait");
    assert_eq!(bench.statistics().running, 1);
    bench.signals.go.notify_one();
    assert_eq!(bench.event().await, "ended");
    assert!(tokio::time::timeout(PATIENCE, stopped).await.expect("an end").unwrap(), "in time");
}

/// A client without sockets, in either encoding: the time of these tests is virtual.
struct Peer {
    client: MemoryClient,
    decoder: FrameDecoder,
    encoding: Encoding,
}

impl Peer {
    async fn connect(handle: &ServerHandle, encoding: Encoding) -> Self {
        Self::connect_with(handle, encoding, |task| drop(tokio::spawn(task))).await
    }

    async fn connect_with(
        handle: &ServerHandle,
        encoding: Encoding,
        spawn: impl FnOnce(std::pin::Pin<Box<dyn Future<Output = ()> + Send>>),
    ) -> Self {
        let (transport, mut client) = memory(8);
        spawn(Box::pin(handle.accept(PATH, transport, Principal::anonymous()).unwrap()));
        let name = encoding.name();
        assert!(client.send(format!("{{\"protocol\":\"{name}\",\"version\":1}}\u{1e}")).await);
        let answer = client.receive().await.unwrap();
        assert_eq!(HandshakeResponse::decode(answer.strip_suffix(b"\x1e").unwrap()).unwrap().error, None);
        let mut decoder = FrameDecoder::new(1 << 20);
        decoder.begin(encoding);
        Self { client, decoder, encoding }
    }

    async fn send(&self, invocation: &str, id: &str, target: &str) {
        let mut call = Call::new(target.to_owned(), Payload::no_arguments(self.encoding));
        call.headers.push(("hubwire-id".into(), id.into()));
        let message = HubMessage::Invocation(Invocation { invocation_id: Some(invocation.into()), call });
        let mut bytes = Vec::new();
        self.encoding.encode(&message, &mut bytes).unwrap();
        assert!(self.client.send(bytes).await);
    }

    async fn outcome(&mut self, invocation: &str) -> Outcome<Payload> {
        loop {
            while let Some(frame) = self.decoder.next().unwrap() {
                if let Some(HubMessage::Completion(completion)) = self.encoding.decode(&frame).unwrap() {
                    assert_eq!(completion.invocation_id, invocation);
                    return completion.outcome;
                }
            }
            self.decoder.push(self.client.receive().await.expect("the connection is open"));
        }
    }

    async fn call(&mut self, id: &str, target: &str) -> Outcome<Payload> {
        self.send("i", id, target).await;
        self.outcome("i").await
    }
}

fn number(encoding: Encoding, number: usize) -> Outcome<Payload> {
    Outcome::Value(Payload::encode(encoding, &number).unwrap())
}

#[tokio::test]
async fn a_result_is_translated_for_the_other_encoding() {
    let Bench { signals, events: _events, server } = bench_with(Some(Dedupe::default()), 1);
    let handle = server.handle();
    for (round, (first, second)) in
        [(Encoding::Json, Encoding::MessagePack), (Encoding::MessagePack, Encoding::Json)]
            .into_iter()
            .enumerate()
    {
        let id = |n: usize| format!("c{round}/{n}");
        let mut first = Peer::connect(&handle, first).await;
        let mut second = Peer::connect(&handle, second).await;
        let before = signals.runs.load(Ordering::SeqCst);
        let Outcome::Value(value) = first.call(&id(1), "Object").await else { panic!("it has a value") };
        let Outcome::Value(again) = second.call(&id(1), "Object").await else { panic!("it has a value") };
        assert_eq!((value.encoding(), again.encoding()), (first.encoding, second.encoding));
        let expected = json!({"run": before + 1, "texts": ["a", null, 1.5]});
        assert_eq!(value.decode::<Value>().unwrap(), expected);
        assert_eq!(again.decode::<Value>().unwrap(), expected);
        // One that waits for the other.
        first.send("w", &id(2), "UntilCanceled").await;
        while statistics(&handle).running == 0 {
            tokio::task::yield_now().await;
        }
        second.send("v", &id(2), "UntilCanceled").await;
        while statistics(&handle).duplicates < 2 + 4 * round as u64 {
            tokio::task::yield_now().await;
        }
        signals.go.notify_one();
        assert_eq!(first.outcome("w").await, number(first.encoding, before + 2));
        assert_eq!(second.outcome("v").await, number(second.encoding, before + 2));
        assert_eq!(first.call(&id(3), "Fail").await, second.call(&id(3), "Fail").await);

        let bytes = first.call(&id(4), "Binary").await;
        assert!(matches!(bytes, Outcome::Value(_)));
        match second.call(&id(4), "Binary").await {
            // JSON has them as a list, which MessagePack can have as well.
            Outcome::Value(list) => assert_eq!(list.decode::<Vec<u8>>().unwrap(), [1, 2, 3]),
            Outcome::Error(text) => {
                assert_eq!(second.encoding, Encoding::Json);
                let expected = "Failed to invoke 'Binary' due to an error on the server. HubException: The result of \
                                the first call cannot be written as 'json': ";
                assert!(text.starts_with(expected), "{text}");
            }
            Outcome::Void => panic!("it has a value"),
        }
        assert_eq!(first.call(&id(4), "Binary").await, bytes);
        assert_eq!(signals.runs.load(Ordering::SeqCst), before + 4);
    }
}

#[tokio::test(start_paused = true)]
async fn after_the_window_it_runs_again() {
    let Bench { signals, events: _events, server } =
        bench_with(limits(|dedupe| dedupe.window = Duration::from_secs(60)), 1);
    let handle = server.handle();
    let call = async |n: u32| {
        let mut peer = Peer::connect(&handle, Encoding::Json).await;
        peer.call(&format!("c/{n}"), "Object").await
    };
    let first = call(1).await;
    tokio::time::sleep(Duration::from_secs(59)).await;
    assert_eq!(call(1).await, first);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_ne!(call(1).await, first);
    assert_eq!(signals.runs.load(Ordering::SeqCst), 2);
    assert_eq!(statistics(&handle).entries, 1);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(statistics(&handle).entries, 0);
}

#[tokio::test(start_paused = true)]
async fn a_method_that_nobody_asks_for_is_told_to_end_after_the_window() {
    let Bench { signals, mut events, server } =
        bench_with(limits(|dedupe| dedupe.window = Duration::from_secs(60)), 1);
    let handle = server.handle();
    let mut peer = Peer::connect(&handle, Encoding::Json).await;
    peer.send("1", "c/1", "UntilCanceled").await;
    assert_eq!(events.recv().await, Some("began"));
    peer.client.close();
    assert_eq!(events.recv().await, Some("gone"));
    // Somebody waits when the window ends.
    tokio::time::sleep(Duration::from_secs(50)).await;
    let mut second = Peer::connect(&handle, Encoding::Json).await;
    second.send("2", "c/1", "UntilCanceled").await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert!(events.try_recv().is_err(), "it goes on");
    second.client.close();
    assert_eq!(events.recv().await, Some("gone"));
    tokio::time::sleep(Duration::from_secs(49)).await;
    assert!(events.try_recv().is_err(), "it goes on");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(events.try_recv(), Ok("canceled"));
    assert_eq!(signals.runs.load(Ordering::SeqCst), 1);
    // The end is remembered as any other.
    let mut third = Peer::connect(&handle, Encoding::Json).await;
    let Outcome::Error(text) = third.call("c/1", "UntilCanceled").await else { panic!("it failed") };
    assert!(text.ends_with("HubException: canceled in run 1"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn without_a_window_only_running_calls_are_shared() {
    let Bench { signals, mut events, server } =
        bench_with(limits(|dedupe| dedupe.window = Duration::ZERO), 1);
    let handle = server.handle();
    let mut first = Peer::connect(&handle, Encoding::Json).await;
    first.send("1", "c/1", "UntilCanceled").await;
    assert_eq!(events.recv().await, Some("began"));
    let mut second = Peer::connect(&handle, Encoding::Json).await;
    second.send("2", "c/1", "UntilCanceled").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    signals.go.notify_one();
    assert_eq!(first.outcome("1").await, number(Encoding::Json, 1));
    assert_eq!(second.outcome("2").await, number(Encoding::Json, 1));
    second.send("3", "c/1", "UntilCanceled").await;
    assert_eq!(events.recv().await, Some("began"));
    second.client.close();
    assert_eq!(events.recv().await, Some("gone"));
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert!(events.try_recv().is_err(), "even then a client may come back for it");
    assert_eq!(events.recv().await, Some("canceled"));
}

#[tokio::test]
async fn a_method_that_was_dropped_with_its_task_does_not_run_twice() {
    let Bench { signals, mut events, server } = bench_with(Some(Dedupe::default()), 1);
    let handle = server.handle();
    let mut task = None;
    let first = Peer::connect_with(&handle, Encoding::Json, |future| task = Some(tokio::spawn(future))).await;
    first.send("1", "c/1", "Slow").await;
    assert_eq!(events.recv().await, Some("began"));
    let task = task.unwrap();
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    let mut second = Peer::connect(&handle, Encoding::Json).await;
    let Outcome::Error(text) = second.call("c/1", "Slow").await else { panic!("nobody knows its end") };
    assert_eq!(text, "The call was interrupted on the server, and may have had an effect or not.");
    assert_eq!(signals.runs.load(Ordering::SeqCst), 0);
    assert_eq!(statistics(&handle).running, 0);
}
