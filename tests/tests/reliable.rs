//! Messages that clients acknowledge, over real sockets. The client is a raw one, so that what it says and gets is spelled out.
#![allow(clippy::unwrap_used, missing_docs)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use hubwire::HubConnection;
use hubwire::protocol::Encoding;
use hubwire_server::store::{Change, Loaded, MemoryStore, RedbDeliveryStore, StoreError};
use hubwire_server::testing::TestServer;
use hubwire_server::{
    Acknowledgements, BuildError, Config, Context, DeliveryStore, DisconnectReason, Hub, HubClients,
    HubError, HubOptions, Outcome, ReliableOptions, SendError, Server, State, auth,
};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

const KEY: &str = "a key for tests that is long enough to be one";

/// Fails the test rather than hanging it.
async fn soon<T>(what: &str, future: impl IntoFuture<Output = T>) -> T {
    let future = future.into_future();
    tokio::time::timeout(Duration::from_secs(30), future)
        .await
        .unwrap_or_else(|_| panic!("{what}: not in time"))
}

/// The defaults, with retries that come at once.
fn eager() -> Acknowledgements {
    let mut limits = Acknowledgements::default();
    limits.initial_retry_delay = Duration::from_millis(1);
    limits
}

struct Bench {
    server: TestServer,
    clients: HubClients,
    /// Told of the end of every connection.
    ended: mpsc::UnboundedReceiver<()>,
}

async fn join(ctx: Context, group: String) -> Result<(), HubError> {
    ctx.groups().add(ctx.connection_id(), &group)?;
    Ok(())
}

async fn leave(ctx: Context, group: String) -> Result<bool, HubError> {
    Ok(ctx.groups().remove(ctx.connection_id(), &group))
}

async fn id(ctx: Context) -> Result<String, HubError> {
    Ok(ctx.connection_id().into())
}

/// Sends to the caller, and waits until it has it.
async fn tell_me(ctx: Context, text: String) -> Result<bool, HubError> {
    let send = ctx.clients().caller().reliable(ReliableOptions::default());
    Ok(send.send("Show", json!({"text": text})).await?.await)
}

fn server(
    limits: Acknowledgements,
    store: Option<Arc<dyn DeliveryStore>>,
    ended: mpsc::UnboundedSender<()>,
) -> Server {
    async fn goodbye(
        State(ended): State<mpsc::UnboundedSender<()>>,
        _: DisconnectReason,
    ) -> Result<(), HubError> {
        let _ = ended.send(());
        Ok(())
    }
    let hub = Hub::builder()
        .state(ended)
        .method("Join", join)
        .method("Leave", leave)
        .method("Id", id)
        .method("TellMe", tell_me)
        .on_disconnected(goodbye)
        .build()
        .unwrap();
    let mut config = Config::default();
    config.auth.signing_key = Some(KEY.into());
    let options = HubOptions { acknowledgements: Some(limits), ..HubOptions::default() };
    let builder = Server::builder().config(config).hub_with("/hub", hub, options);
    match store {
        Some(store) => builder.store(store).build().unwrap(),
        None => builder.build().unwrap(),
    }
}

impl Bench {
    async fn start(limits: Acknowledgements) -> Self {
        Self::start_with(limits, None).await
    }

    async fn start_with(limits: Acknowledgements, store: Option<Arc<dyn DeliveryStore>>) -> Self {
        let (sender, ended) = mpsc::unbounded_channel();
        let server = TestServer::start(server(limits, store, sender)).await.unwrap();
        let clients = server.handle().hub("/hub").unwrap();
        Self { server, clients, ended }
    }

    /// A user's connection, with that secret name; without one if it is empty.
    async fn connect(&self, user: &str, name: &str) -> Client {
        let claims = json!({"sub": user}).as_object().unwrap().clone();
        let token = auth::sign(KEY.as_bytes(), claims, Duration::from_secs(3600)).unwrap();
        let name = if name.is_empty() { String::new() } else { format!("&clientId={name}") };
        Client::open(&self.server, &format!("?hubwire=1{name}&access_token={token}")).await
    }

    /// Ends a connection, and waits until the server knows.
    async fn disconnect(&mut self, client: Client) {
        client.close().await;
        soon("the end of a connection", self.ended.recv()).await.unwrap();
    }

    fn pending(&self) -> usize {
        self.server.handle().statistics().hubs[0].reliable.unwrap().pending_messages
    }
}

struct Client {
    stream: WebSocketStream<TcpStream>,
    received: Vec<Value>,
    calls: u64,
}

impl Client {
    async fn open(server: &TestServer, query: &str) -> Self {
        let stream = TcpStream::connect(server.address()).await.unwrap();
        let url = server.ws_url(&format!("/hub{query}"));
        let (stream, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
        let mut client = Self { stream, received: Vec::new(), calls: 0 };
        client.send("{\"protocol\":\"json\",\"version\":1}\u{1e}".into()).await;
        assert_eq!(client.next().await, json!({}));
        client
    }

    async fn send(&mut self, text: String) {
        self.stream.send(Message::text(text)).await.unwrap();
    }

    /// The next record that is no ping.
    async fn next(&mut self) -> Value {
        loop {
            if !self.received.is_empty() {
                return self.received.remove(0);
            }
            let frame = soon("a message", self.stream.next()).await.unwrap().unwrap();
            if let Message::Text(text) = frame {
                let records =
                    text.split_terminator('\u{1e}').map(|record| serde_json::from_str(record).unwrap());
                self.received.extend(records.filter(|record: &Value| record["type"] != 6));
            }
        }
    }

    /// The next message for the method `Show`: its only argument, and its header.
    async fn shown(&mut self) -> (Value, Value) {
        let message = self.next().await;
        assert_eq!((&message["type"], &message["target"]), (&json!(1), &json!("Show")), "{message}");
        let header = message["headers"]["hubwire-message"].clone();
        let Value::Array(arguments) = &message["arguments"] else { panic!("{message}") };
        assert_eq!(arguments.len(), 1);
        (arguments[0].clone(), header)
    }

    /// The ids of the next messages.
    async fn ids<const N: usize>(&mut self) -> [String; N] {
        let mut ids = [const { String::new() }; N];
        for id in &mut ids {
            *id = self.shown().await.0["messageId"].as_str().unwrap().into();
        }
        ids
    }

    /// Calls a method. What comes before its completion is kept.
    async fn call(&mut self, target: &str, arguments: Value) -> Result<Value, String> {
        self.calls += 1;
        let id = self.calls.to_string();
        let call = json!({"type": 1, "invocationId": id, "target": target, "arguments": arguments});
        self.send(format!("{call}\u{1e}")).await;
        let mut kept = Vec::new();
        let completion = loop {
            let message = self.next().await;
            if message["type"] == 3 && message["invocationId"] == json!(id) {
                break message;
            }
            kept.push(message);
        };
        kept.append(&mut self.received);
        self.received = kept;
        match completion.get("error") {
            Some(error) => Err(error.as_str().unwrap().into()),
            None => Ok(completion["result"].clone()),
        }
    }

    async fn acknowledge(&mut self, id: &str) {
        self.call("AcknowledgeMessage", json!([id])).await.unwrap();
    }

    async fn close(mut self) {
        self.stream.close(None).await.unwrap();
        while let Some(Ok(_)) = self.stream.next().await {}
    }
}

fn message(id: &str) -> Value {
    json!({"messageId": id, "retryCount": 0, "text": "hello"})
}

fn options() -> ReliableOptions {
    ReliableOptions::default()
}

/// The outcomes without whom they are of.
async fn outcomes(confirmation: hubwire_server::Confirmation) -> Vec<Outcome> {
    soon("the outcomes", confirmation.outcomes()).await.into_iter().map(|(_, outcome)| outcome).collect()
}

#[tokio::test]
async fn an_acknowledged_message_is_confirmed() {
    let bench = Bench::start(eager()).await;
    let mut client = bench.connect("alice", "device-1").await;
    let alice = bench.clients.user("alice");
    let confirmation = alice.reliable(options()).send("Show", message("m1")).await.unwrap();
    assert_eq!((confirmation.message_id(), confirmation.recipients()), ("m1", 1));
    assert_eq!(client.shown().await, (message("m1"), json!("m1")));
    client.call("acknowledgemessage", json!(["m1"])).await.unwrap();
    assert!(soon("the confirmation", confirmation).await);
    // Without an id of its own it is wrapped.
    let confirmation = alice.reliable(options()).send("Show", json!({"text": "x"})).await.unwrap();
    let (wrapper, header) = client.shown().await;
    assert_eq!((&wrapper["data"], &wrapper["messageId"]), (&json!({"text": "x"}), &header));
    assert_eq!(header, json!(confirmation.message_id()));
    client.call("AcknowledgeMessages", json!([["other", header]])).await.unwrap();
    assert_eq!(
        soon("the outcomes", confirmation.outcomes()).await,
        [("alice".into(), Outcome::Acknowledged)]
    );
    // Nobody there is nobody who has it.
    let nobody = bench.clients.user("nobody").reliable(options()).send("Show", message("m")).await.unwrap();
    assert_eq!(nobody.recipients(), 0);
    assert!(!soon("nobody", nobody).await);
    let statistics = bench.server.handle().statistics().hubs[0].reliable.unwrap();
    assert_eq!((statistics.processed_messages, statistics.pending_messages, statistics.ignored), (2, 0, 1));
}

#[tokio::test]
async fn any_signalr_client_can_acknowledge() {
    let bench = Bench::start(eager()).await;
    // One that did not announce itself gets no header.
    let mut client = Client::open(&bench.server, "").await;
    let confirmation = bench.clients.all().reliable(options()).send("Show", message("m")).await.unwrap();
    assert_eq!(client.shown().await, (message("m"), Value::Null));
    client.acknowledge("m").await;
    assert!(soon("the confirmation", confirmation).await);
    for encoding in [Encoding::Json, Encoding::MessagePack] {
        let bench = Bench::start(eager()).await;
        let connection = HubConnection::builder(bench.server.url("/hub")).encoding(encoding).build().unwrap();
        let (sender, mut shown) = mpsc::unbounded_channel();
        connection.on("Show", move |message: Value| drop(sender.send(message)));
        soon("the start", connection.start()).await.unwrap();
        let confirmation = bench.clients.all().reliable(options()).send("Show", message("m")).await.unwrap();
        for retry in 0..2 {
            let mut expected = message("m");
            expected["retryCount"] = json!(retry);
            assert_eq!(soon("a message", shown.recv()).await, Some(expected));
            if retry == 0 {
                connection.invoke::<()>("NackMessage", ("m", "once more")).await.unwrap();
            }
        }
        connection.invoke::<()>("AcknowledgeMessage", ("m",)).await.unwrap();
        assert!(soon("the confirmation", confirmation).await);
        soon("the stop", connection.stop()).await;
    }
}

#[tokio::test]
async fn a_critical_message_comes_again_and_counts_its_attempts() {
    let bench = Bench::start(eager()).await;
    let mut client = bench.connect("alice", "device").await;
    let alice = bench.clients.user("alice");
    let confirmation = alice.reliable(options()).send("Show", message("m")).await.unwrap();
    for retry in 0..3 {
        let (shown, header) = client.shown().await;
        assert_eq!(
            (&shown["retryCount"], &shown["text"], header),
            (&json!(retry), &json!("hello"), json!("m"))
        );
        assert_eq!(client.call("GetMessageStatus", json!(["m"])).await, Ok(json!(0)));
        match retry {
            2 => client.acknowledge("m").await,
            _ => drop(client.call("NackMessage", json!(["m", "not now"])).await.unwrap()),
        }
    }
    assert!(soon("the confirmation", confirmation).await);
    assert_eq!(client.call("GetMessageStatus", json!(["m"])).await, Ok(json!(1)));
    // What is not critical has one attempt; the reason is cut.
    let confirmation = alice.reliable(options().critical(false)).send("Show", message("n")).await.unwrap();
    client.shown().await;
    client.call("NackMessage", json!(["n", "ä".repeat(600)])).await.unwrap();
    assert_eq!(outcomes(confirmation).await, [Outcome::Nacked("ä".repeat(512).into())]);
    assert_eq!(client.call("GetMessageStatus", json!(["n"])).await, Ok(json!(2)));
}

#[tokio::test]
async fn silence_is_a_failure_in_the_end() {
    let mut limits = eager();
    limits.message_timeout = Duration::from_millis(20);
    limits.max_retry_attempts = 1;
    let bench = Bench::start(limits).await;
    let mut client = bench.connect("alice", "device").await;
    let alice = bench.clients.user("alice");
    let confirmation = alice.reliable(options()).send("Show", message("m")).await.unwrap();
    assert_eq!(outcomes(confirmation).await, [Outcome::TimedOut]);
    assert_eq!(client.ids().await, ["m", "m"]);
    assert_eq!(client.call("GetMessageStatus", json!(["m"])).await, Ok(json!(3)));
    let letters = bench.server.handle().dead_letters("/HUB").unwrap();
    let letter = &letters[0];
    assert_eq!(
        (&*letter.message_id, &*letter.recipient, &*letter.hub, &*letter.method),
        ("m", "alice", "/hub", "Show")
    );
    assert_eq!((letter.attempts, &*letter.reason), (2, "Failed after 2 attempts"));
    assert!(letter.queued_at > 1_700_000_000_000);
    // It can be sent after all.
    assert_eq!(bench.server.handle().requeue("/hub", "other"), Some(0));
    assert_eq!(bench.server.handle().requeue("/other", "m"), None);
    assert_eq!(bench.server.handle().requeue("/hub", "m"), Some(1));
    assert_eq!(client.shown().await.0["retryCount"], 0);
    client.acknowledge("m").await;
    assert_eq!(bench.server.handle().dead_letters("/hub"), Some(Vec::new()));
    assert_eq!(bench.pending(), 0);
}

#[tokio::test]
async fn who_comes_back_gets_what_it_did_not_acknowledge_in_order() {
    let mut bench = Bench::start(eager()).await;
    let mut client = bench.connect("alice", "device").await;
    let alice = bench.clients.user("alice");
    let mut confirmations = Vec::new();
    for id in ["1", "2", "3"] {
        confirmations.push(alice.reliable(options()).send("Show", message(id)).await.unwrap());
    }
    assert_eq!(client.ids().await, ["1", "2", "3"]);
    client.acknowledge("2").await;
    bench.disconnect(client).await;
    for id in ["4", "5"] {
        let confirmation = alice.reliable(options()).send("Show", message(id)).await.unwrap();
        assert_eq!(confirmation.recipients(), 1);
        confirmations.push(confirmation);
    }
    // Another user with the same name, and another name of the same user, are somebody else.
    let mut forger = bench.connect("mallory", "device").await;
    let mut other = bench.connect("alice", "other-device").await;
    for id in ["1", "3", "4"] {
        assert_eq!(forger.call("GetMessageStatus", json!([id])).await, Ok(Value::Null));
        forger.acknowledge(id).await;
        other.call("NackMessage", json!([id])).await.unwrap();
    }
    let mut client = bench.connect("alice", "device").await;
    assert_eq!(client.ids().await, ["1", "3", "4", "5"]);
    let everyone = bench.clients.user("alice").reliable(options()).send("Show", message("6")).await.unwrap();
    assert_eq!(everyone.recipients(), 2);
    assert_eq!((client.ids().await, other.ids().await), (["6".to_owned()], ["6".to_owned()]));
    client.call("AcknowledgeMessages", json!([["1", "3", "4", "5", "6"]])).await.unwrap();
    other.acknowledge("6").await;
    for confirmation in confirmations {
        assert!(soon("a confirmation", confirmation).await);
    }
    assert!(soon("the last", everyone).await);
    assert_eq!((forger.received.len(), bench.pending()), (0, 0));
    // A new connection is no attempt.
    let statistics = bench.server.handle().statistics().hubs[0].reliable.unwrap();
    assert_eq!((statistics.retries, statistics.resends), (0, 2));
}

#[tokio::test]
async fn the_newest_connection_wins_while_the_old_one_is_not_known_to_be_lost() {
    let mut bench = Bench::start(eager()).await;
    let mut old = bench.connect("alice", "device").await;
    let alice = bench.clients.user("alice");
    let first = alice.reliable(options()).send("Show", message("1")).await.unwrap();
    old.shown().await;
    let mut new = bench.connect("alice", "device").await;
    assert_eq!(new.ids().await, ["1"]);
    let second = alice.reliable(options()).send("Show", message("2")).await.unwrap();
    assert_eq!(second.recipients(), 1);
    assert_eq!(new.ids().await, ["2"]);
    // What is still on its way over the old one counts.
    old.acknowledge("1").await;
    assert!(soon("the first", first).await);
    bench.disconnect(old).await;
    new.acknowledge("2").await;
    assert!(soon("the second", second).await);
}

#[tokio::test]
async fn without_a_name_the_end_of_the_connection_is_the_end() {
    let mut bench = Bench::start(eager()).await;
    let mut client = bench.connect("alice", "").await;
    let confirmation =
        bench.clients.user("alice").reliable(options()).send("Show", message("m")).await.unwrap();
    client.shown().await;
    bench.disconnect(client).await;
    assert_eq!(outcomes(confirmation).await, [Outcome::Disconnected]);
    let mut client = bench.connect("alice", "").await;
    assert_eq!(client.call("GetMessageStatus", json!(["m"])).await, Ok(Value::Null));
    assert_eq!(client.received.len(), 0);
    // With one it is, too, when it does not come back in time.
    let mut limits = eager();
    limits.session_window = Duration::from_millis(20);
    let mut bench = Bench::start(limits).await;
    let mut client = bench.connect("alice", "device").await;
    let confirmation =
        bench.clients.user("alice").reliable(options()).send("Show", message("m")).await.unwrap();
    client.shown().await;
    bench.disconnect(client).await;
    assert!(!soon("the confirmation", confirmation).await);
    assert_eq!(bench.server.handle().dead_letters("/hub").unwrap()[0].reason, "Connection disconnected");
}

#[tokio::test]
async fn a_group_includes_members_that_are_just_reconnecting() {
    let mut bench = Bench::start(eager()).await;
    let mut there = bench.connect("alice", "a").await;
    let mut away = bench.connect("bob", "b").await;
    let mut left = bench.connect("carol", "c").await;
    for client in [&mut there, &mut away, &mut left] {
        client.call("Join", json!(["news"])).await.unwrap();
    }
    let away_id = away.call("Id", json!([])).await.unwrap();
    assert_eq!(left.call("Leave", json!(["news"])).await, Ok(json!(true)));
    bench.disconnect(away).await;
    bench.disconnect(left).await;
    let news = bench.clients.group("news").reliable(options());
    let confirmation = news.clone().send("Show", message("1")).await.unwrap();
    assert_eq!(confirmation.recipients(), 2);
    // Its last connection stands for it, to be meant and to be excluded.
    let id = away_id.as_str().unwrap();
    let single = bench.clients.client(id).reliable(options()).send("Show", message("2")).await.unwrap();
    let others = bench
        .clients
        .group_except("news", [id])
        .reliable(options())
        .send("Show", message("3"))
        .await
        .unwrap();
    assert_eq!((single.recipients(), others.recipients()), (1, 1));
    assert_eq!(there.ids().await, ["1", "3"]);
    let mut back = bench.connect("bob", "b").await;
    assert_eq!(back.ids().await, ["1", "2"]);
    // Before it has joined again.
    let early = news.clone().send("Show", message("4")).await.unwrap();
    assert_eq!((early.recipients(), back.ids().await), (2, ["4".to_owned()]));
    // And not when it does not want to.
    back.call("Leave", json!(["news"])).await.unwrap();
    assert_eq!(news.send("Show", message("5")).await.unwrap().recipients(), 1);
    there.call("AcknowledgeMessages", json!([["1", "3", "4", "5"]])).await.unwrap();
    back.call("AcknowledgeMessages", json!([["1", "2", "4"]])).await.unwrap();
    for confirmation in [confirmation, single, others, early] {
        assert!(soon("a confirmation", confirmation).await);
    }
}

#[tokio::test]
async fn one_of_several_recipients_is_not_all() {
    let mut bench = Bench::start(eager()).await;
    let mut yes = bench.connect("alice", "a").await;
    let no = bench.connect("bob", "").await;
    let confirmation = bench.clients.all().reliable(options()).send("Show", message("m")).await.unwrap();
    yes.shown().await;
    yes.acknowledge("m").await;
    bench.disconnect(no).await;
    let mut outcomes = soon("the outcomes", confirmation.outcomes()).await;
    outcomes.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(outcomes, [("alice".into(), Outcome::Acknowledged), ("bob".into(), Outcome::Disconnected)]);
}

#[tokio::test]
async fn a_method_can_wait_for_its_own_caller() {
    let bench = Bench::start(eager()).await;
    let mut client = bench.connect("alice", "a").await;
    let call = json!({"type": 1, "invocationId": "x", "target": "TellMe", "arguments": ["hello"]});
    client.send(format!("{call}\u{1e}")).await;
    let (wrapper, _) = client.shown().await;
    client.acknowledge(wrapper["messageId"].as_str().unwrap()).await;
    let completion = client.next().await;
    assert_eq!((&completion["invocationId"], &completion["result"]), (&json!("x"), &json!(true)));
}

#[tokio::test]
async fn wrong_calls_are_answered_and_lose_nothing() {
    let bench = Bench::start(eager()).await;
    let mut client = bench.connect("alice", "a").await;
    let confirmation = bench.clients.all().reliable(options()).send("Show", message("m")).await.unwrap();
    client.shown().await;
    let many: Vec<_> = (0..101).map(|number| number.to_string()).collect();
    for (target, arguments) in [
        ("AcknowledgeMessage", json!([])),
        ("AcknowledgeMessage", json!(["m", "m"])),
        ("AcknowledgeMessage", json!([5])),
        ("AcknowledgeMessage", json!([null])),
        ("AcknowledgeMessages", json!(["m"])),
        ("AcknowledgeMessages", json!([["m", 5]])),
        ("AcknowledgeMessages", json!([many])),
        ("NackMessage", json!([])),
        ("NackMessage", json!(["m", 5])),
        ("NackMessage", json!(["m", "a", "b"])),
        ("GetMessageStatus", json!([])),
        ("GetMessageStatus", json!([{}])),
    ] {
        let error = client.call(target, arguments.clone()).await.unwrap_err();
        let expected = format!("Failed to invoke '{target}' due to an error on the server. HubException: ");
        assert!(error.starts_with(&expected), "{target} {arguments}: {error}");
    }
    let stream = json!({"type": 4, "invocationId": "s", "target": "AcknowledgeMessage", "arguments": ["m"]});
    client.send(format!("{stream}\u{1e}")).await;
    let error = client.next().await["error"].as_str().unwrap().to_owned();
    assert!(error.contains("with a streaming invocation"), "{error}");
    let upload = json!({"type": 1, "invocationId": "u", "target": "AcknowledgeMessage", "arguments": ["m"], "streamIds": ["1"]});
    client.send(format!("{upload}\u{1e}")).await;
    let error = client.next().await["error"].as_str().unwrap().to_owned();
    assert!(error.contains("1 stream(s)"), "{error}");
    assert_eq!(bench.pending(), 1);
    client.acknowledge("m").await;
    assert!(soon("the confirmation", confirmation).await);
}

#[tokio::test]
async fn what_cannot_be_sent_is_an_error() {
    let bench = Bench::start(eager()).await;
    let _client = bench.connect("alice", "a").await;
    let all = bench.clients.all().reliable(options());
    assert_eq!(all.clone().send("Show", "text").await.unwrap_err(), SendError::NoObject);
    let nameless = bench.clients.group("").reliable(options()).send("Show", message("m")).await;
    assert_eq!(nameless.unwrap_err(), SendError::EmptyGroupName);
    let _first = all.clone().send("Show", message("m")).await.unwrap();
    let Err(SendError::Refused(text)) = all.send("Show", message("m")).await else { panic!("twice") };
    assert!(text.contains("already registered"), "{text}");
    // Without acknowledgements neither the methods nor the sends are there, and the names are free.
    async fn own(id: String) -> Result<String, HubError> {
        Ok(id)
    }
    let hub = || Hub::builder().method("acknowledgeMessage", own).build().unwrap();
    let reserved = Server::builder().hub("/hub", hub()).build().unwrap_err();
    assert_eq!(reserved, BuildError::ReservedMethod("AcknowledgeMessage".into()));
    let off = HubOptions { acknowledgements: None, ..HubOptions::default() };
    let server =
        TestServer::start(Server::builder().hub_with("/hub", hub(), off).build().unwrap()).await.unwrap();
    let mut client = Client::open(&server, "").await;
    assert_eq!(client.call("AcknowledgeMessage", json!(["own"])).await, Ok(json!("own")));
    assert!(client.call("NackMessage", json!(["m"])).await.unwrap_err().contains("Unknown hub method"));
    let all = server.handle().hub("/hub").unwrap().all();
    assert_eq!(
        all.reliable(options()).send("Show", message("m")).await.unwrap_err(),
        SendError::NoAcknowledgements
    );
    assert_eq!(server.handle().dead_letters("/hub"), None);
}

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
    drop(clients);
    soon("the shutdown", server.stop()).await.unwrap();
    assert_eq!(store.load(table).unwrap().records, [], "nothing is left behind");
}
