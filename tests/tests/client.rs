//! The Rust client over real sockets: against our server, and against servers that misbehave by script.
#![allow(clippy::unwrap_used, missing_docs)]

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::{SinkExt, Stream, StreamExt, stream};
use hubwire::client::{Cause, ConnectionState, RetryPolicy};
use hubwire::protocol::Encoding;
use hubwire::{ErrorKind, HubConnection, HubConnectionBuilder, TcpConnector};
use hubwire_server::config::Config;
use hubwire_server::testing::TestServer;
use hubwire_server::{Context, Hub, HubError, Server, State, UploadStream};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

const ENCODINGS: [Encoding; 2] = [Encoding::Json, Encoding::MessagePack];

/// What the hub's methods tell the test.
#[derive(Default)]
struct Seen {
    cancelled: Notify,
    disconnected: Notify,
    produced: AtomicUsize,
}

async fn echo(value: Value) -> Result<Value, HubError> {
    Ok(value)
}

async fn wait_for_ever(ctx: Context, State(seen): State<Arc<Seen>>) -> Result<(), HubError> {
    ctx.cancellation().cancelled().await;
    seen.cancelled.notify_one();
    Ok(())
}

async fn flood(
    State(seen): State<Arc<Seen>>,
    count: usize,
) -> Result<impl Stream<Item = Result<String, HubError>> + Send + 'static, HubError> {
    Ok(stream::iter(0..count).map(move |number| {
        seen.produced.fetch_add(1, Ordering::Relaxed);
        Ok(format!("{number:0>1000}"))
    }))
}

async fn push(ctx: Context, event: String, values: Vec<Value>) -> Result<(), HubError> {
    for value in values {
        ctx.clients().caller().send(&event, (value,))?;
    }
    Ok(())
}

async fn ask(ctx: Context, method: String, value: Value) -> Result<Value, HubError> {
    ctx.clients().caller().invoke(&method, (value,)).await
}

async fn count_items(mut items: UploadStream<Value>) -> Result<usize, HubError> {
    let mut count = 0;
    while let Some(item) = items.next().await {
        item?;
        count += 1;
    }
    Ok(count)
}

async fn left(State(seen): State<Arc<Seen>>) -> Result<(), HubError> {
    seen.disconnected.notify_one();
    Ok(())
}

const KEY: &str = "a key for these tests only, 32 bytes";

fn server(seen: &Arc<Seen>, config: Config) -> Server {
    let hub = Hub::builder()
        .state(seen.clone())
        .method("Echo", echo)
        .method("WaitForEver", wait_for_ever)
        .stream("Flood", flood)
        .method("Push", push)
        .method("Ask", ask)
        .method("CountItems", count_items)
        .on_disconnected(left)
        .build()
        .unwrap();
    Server::builder().config(config).hub("/hub", hub).build().unwrap()
}

async fn start() -> (TestServer, Arc<Seen>) {
    let seen = Arc::new(Seen::default());
    (TestServer::start(server(&seen, Config::default())).await.unwrap(), seen)
}

async fn connected(server: &TestServer, encoding: Encoding) -> HubConnection {
    let connection = HubConnection::builder(server.url("/hub")).encoding(encoding).build().unwrap();
    connection.start().await.unwrap();
    connection
}

/// Fails the test rather than hanging it.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("not in time")
}

#[tokio::test]
async fn dropping_a_call_takes_it_back_on_the_server() {
    let (server, seen) = start().await;
    for encoding in ENCODINGS {
        let connection = connected(&server, encoding).await;
        let call = tokio::spawn({
            let connection = connection.clone();
            async move { connection.invoke::<()>("WaitForEver", ()).await }
        });
        // The echo is behind the call, so the call is out when it comes back; methods that wait do not hold it up
        // because the echo is answered only after the first was cancelled.
        let echo = tokio::spawn({
            let connection = connection.clone();
            async move { connection.invoke::<i64>("Echo", (1,)).await }
        });
        tokio::task::yield_now().await;
        call.abort();
        soon(seen.cancelled.notified()).await;
        assert_eq!(soon(echo).await.unwrap(), Ok(1));
    }
}

#[tokio::test]
async fn the_last_handle_stops_the_connection() {
    let (server, seen) = start().await;
    let connection = connected(&server, Encoding::Json).await;
    let clone = connection.clone();
    drop(connection);
    assert_eq!(clone.invoke::<i64>("Echo", (7,)).await, Ok(7));
    drop(clone);
    soon(seen.disconnected.notified()).await;
}

#[tokio::test]
async fn a_stream_keeps_the_connection_and_dropping_it_ends_both() {
    let (server, seen) = start().await;
    let connection = connected(&server, Encoding::Json).await;
    let mut items = connection.stream::<String>("Flood", (1_000_000,)).await.unwrap();
    drop(connection);
    assert!(soon(items.next()).await.unwrap().is_ok());
    drop(items);
    soon(seen.disconnected.notified()).await;
}

/// A reader that does not read holds the server back, instead of filling memory on either side.
#[tokio::test]
async fn a_slow_reader_of_a_stream_holds_the_server_back_and_loses_nothing() {
    let (server, seen) = start().await;
    for encoding in ENCODINGS {
        const COUNT: usize = 60_000;
        seen.produced.store(0, Ordering::Relaxed);
        let connection =
            HubConnection::builder(server.url("/hub")).encoding(encoding).stream_buffer(16).build().unwrap();
        connection.start().await.unwrap();
        let mut items = connection.stream::<String>("Flood", (COUNT,)).await.unwrap();
        assert_eq!(soon(items.next()).await, Some(Ok(format!("{:0>1000}", 0))));
        // Produced until everything between is full, and then no more.
        let mut before = 0;
        soon(async {
            loop {
                tokio::time::sleep(Duration::from_millis(100)).await;
                let now = seen.produced.load(Ordering::Relaxed);
                if now == before && now > 0 {
                    break;
                }
                before = now;
            }
        })
        .await;
        assert!(before < COUNT, "the server produced all {COUNT} items for a reader that took one");
        for number in 1..COUNT {
            assert_eq!(soon(items.next()).await, Some(Ok(format!("{number:0>1000}"))));
        }
        assert_eq!(soon(items.next()).await, None);
    }
}

#[tokio::test]
async fn handlers_run_in_order_and_a_bad_one_stops_nobody() {
    let (server, _) = start().await;
    for encoding in ENCODINGS {
        let connection = connected(&server, encoding).await;
        let (sender, mut received) = mpsc::unbounded_channel();
        connection.on("Event", |_: i64| panic!("this handler always fails"));
        connection.on("Event", |_: String, _: String| unreachable!("there is one argument"));
        let sender_async = sender.clone();
        connection.on_async("event", move |value: Value| {
            let sender = sender_async.clone();
            async move {
                tokio::task::yield_now().await;
                sender.send(value).unwrap();
            }
        });
        let values: Vec<Value> = (0..500).map(Value::from).collect();
        connection.invoke::<()>("Push", ("Event", &values)).await.unwrap();
        for value in values {
            assert_eq!(soon(received.recv()).await, Some(value));
        }
        let other = connection.on("Other", move |value: Value| sender.send(value).unwrap());
        connection.invoke::<()>("Push", ("Other", [1])).await.unwrap();
        assert_eq!(soon(received.recv()).await, Some(Value::from(1)));
        other.unsubscribe();
        connection.off("EVENT");
        connection.invoke::<()>("Push", ("Other", [2])).await.unwrap();
        connection.invoke::<()>("Push", ("Event", [3])).await.unwrap();
        // Every sender is gone with its handler.
        assert_eq!(soon(received.recv()).await, None);
    }
}

#[tokio::test]
async fn results_of_the_client() {
    let (server, _) = start().await;
    let connection = connected(&server, Encoding::MessagePack).await;
    let failure = |text: &'static str| {
        let prefix = "An unexpected error occurred invoking 'Ask' on the server. HubException: ";
        format!("{prefix}{text}")
    };
    let detail = |result: Result<Value, hubwire::Error>| result.unwrap_err().detail().to_owned();
    let answer = connection.invoke::<Value>("Ask", ("Nobody", 1)).await;
    assert_eq!(detail(answer), failure("Client didn't provide a result."));
    // A result handler may call the server while the server waits for it.
    let inner = connection.clone();
    let first = connection.on_invoke("Twice", move |value: i64| {
        let inner = inner.clone();
        async move { inner.invoke::<i64>("Echo", (value * 2,)).await }
    });
    assert_eq!(soon(connection.invoke::<i64>("Ask", ("Twice", 21))).await, Ok(42));
    let answer = connection.invoke::<Value>("Ask", ("Twice", "text")).await;
    assert!(detail(answer).starts_with(&failure("Client failed to parse argument(s).")));
    let second = connection.on_invoke("Twice", |_: Value| async { Ok::<_, String>(1) });
    let answer = connection.invoke::<Value>("Ask", ("Twice", 21)).await;
    assert_eq!(detail(answer), failure("Client provided multiple results."));
    first.unsubscribe();
    second.unsubscribe();
    connection.on_invoke("Panics", |_: i64| async { if true { panic!("no") } else { Ok::<i64, String>(1) } });
    let answer = connection.invoke::<Value>("Ask", ("Panics", 1)).await;
    assert_eq!(detail(answer), failure("The handler panicked."));
    connection.stop().await;
}

#[tokio::test]
async fn uploads_larger_than_any_buffer() {
    let (server, _) = start().await;
    for encoding in ENCODINGS {
        let connection = connected(&server, encoding).await;
        let items = stream::iter(0..5_000).map(|number| format!("{number:0>1000}"));
        let counted = connection.call("CountItems").upload(items).invoke::<usize>();
        assert_eq!(soon(counted).await, Ok(5_000));
    }
}

#[tokio::test]
async fn what_cannot_be_encoded_is_the_callers_mistake_and_harms_nobody() {
    let (server, _) = start().await;
    let connection = connected(&server, Encoding::Json).await;
    let map = std::collections::BTreeMap::from([((1, 2), 3)]);
    let error = connection.invoke::<Value>("Echo", (map,)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misuse);
    assert!(error.detail().starts_with("The arguments of 'Echo' cannot be encoded: "), "{error}");
    let error = connection.invoke::<Value>("Echo", 5).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misuse, "{error}");
    assert_eq!(connection.invoke::<i64>("Echo", (1,)).await, Ok(1));
}

#[test]
fn invalid_options_are_named() {
    let error = HubConnection::builder("http://h/hub").build().unwrap_err();
    assert_eq!(
        (error.kind(), error.detail()),
        (ErrorKind::Misuse, "a HubConnection must be built within a tokio runtime")
    );
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let _entered = runtime.enter();
    let build = |change: fn(HubConnectionBuilder) -> HubConnectionBuilder| {
        let error = change(HubConnection::builder("http://h/hub")).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misuse);
        error.to_string()
    };
    assert!(build(|_| HubConnection::builder("ws://h/hub")).contains("must begin with http:// or https://"));
    assert!(build(|_| HubConnection::builder("http:///hub")).contains("http:///hub"));
    assert!(build(|_| HubConnection::builder("not a url")).contains("not a url"));
    assert!(build(|builder| builder.server_timeout(Duration::ZERO)).contains("server_timeout"));
    assert!(build(|builder| builder.max_message_size(0)).contains("max_message_size"));
    let text = build(|builder| builder.header("x-key", "secret\nvalue"));
    assert!(text.contains("x-key") && !text.contains("secret"), "{text}");
}

fn with_key() -> Config {
    let mut config = Config::default();
    config.auth.signing_key = Some(KEY.into());
    config
}

#[tokio::test]
async fn tokens_are_asked_for_each_start_and_refusals_are_told() {
    let seen = Arc::new(Seen::default());
    let server = TestServer::start(server(&seen, with_key())).await.unwrap();
    let error = HubConnection::builder(server.url("/hub")).access_token("forged").build().unwrap();
    let error = error.start().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.detail().contains("401"), "{error}");

    let asked = Arc::new(AtomicUsize::new(0));
    let factory = {
        let asked = asked.clone();
        move || {
            let number = asked.fetch_add(1, Ordering::Relaxed);
            async move {
                if number == 0 {
                    return Err("the vault is closed");
                }
                let claims = [("sub".to_owned(), Value::from("alice"))].into_iter().collect();
                Ok(Some(hubwire_server::auth::sign(KEY.as_bytes(), claims, Duration::from_secs(60)).unwrap()))
            }
        }
    };
    let connection = HubConnection::builder(server.url("/hub"))
        .access_token_factory(factory)
        .retry(RetryPolicy::never())
        .build()
        .unwrap();
    let error = connection.start().await.unwrap_err();
    assert_eq!(error.detail(), "The access token factory failed: the vault is closed");
    for asked_before in [1, 2] {
        assert_eq!(asked.load(Ordering::Relaxed), asked_before);
        connection.start().await.unwrap();
        assert_eq!(connection.start().await.unwrap_err().kind(), ErrorKind::Misuse, "started already");
        connection.stop().await;
    }
}

/// A listener that speaks TLS with a certificate of its own authority.
struct TlsListener {
    tcp: TcpListener,
    acceptor: tokio_rustls::TlsAcceptor,
}

impl axum::serve::Listener for TlsListener {
    type Io = tokio_rustls::server::TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let (tcp, address) = self.tcp.accept().await.unwrap();
            // A client that does not trust the certificate is refused here.
            if let Ok(tls) = self.acceptor.accept(tcp).await {
                return (tls, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

#[tokio::test]
async fn https_and_wss_with_a_private_authority() {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(certified.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = tcp.local_addr().unwrap().port();
    let listener = TlsListener { tcp, acceptor: tokio_rustls::TlsAcceptor::from(Arc::new(tls)) };
    let seen = Arc::new(Seen::default());
    tokio::spawn(server(&seen, Config::default()).serve(listener, std::future::pending()));

    let url = format!("https://localhost:{port}/hub");
    let untrusting = HubConnection::builder(&url).retry(RetryPolicy::never()).build().unwrap();
    let error = soon(untrusting.start()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(error.detail().contains("certificate"), "{error}");

    let mut roots = rustls::RootCertStore::empty();
    roots.add(certified.cert.der().clone()).unwrap();
    let connector = TcpConnector::with_roots(roots).unwrap();
    let connection = HubConnection::builder(&url).connector(connector).build().unwrap();
    soon(connection.start()).await.unwrap();
    assert_eq!(soon(connection.invoke::<String>("Echo", ("über TLS",))).await, Ok("über TLS".to_owned()));
    soon(connection.stop()).await;
}

type ServerSocket = WebSocketStream<TcpStream>;

/// A server that takes the handshake and then does what the script says.
async fn scripted<F>(script: impl Fn(ServerSocket) -> F + Send + 'static) -> String
where
    F: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hub", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            let mut socket = tokio_tungstenite::accept_async(tcp).await.unwrap();
            assert!(socket.next().await.unwrap().unwrap().is_text(), "the handshake is text");
            script(socket).await;
        }
    });
    url
}

async fn keep(socket: ServerSocket) {
    // Read until the client goes, so that the socket stays open.
    socket.for_each(|_| std::future::ready(())).await;
}

fn text(text: &str) -> Message {
    Message::Text(text.to_owned().into())
}

/// Connects to a scripted server and waits for the end. Gives the error of the start, or of the end.
async fn end_of(url: &str, change: fn(HubConnectionBuilder) -> HubConnectionBuilder) -> hubwire::Error {
    let connection = change(HubConnection::builder(url).skip_negotiation(true))
        .retry(RetryPolicy::never())
        .build()
        .unwrap();
    let (sender, mut causes) = mpsc::unbounded_channel();
    connection.on_state_change(move |change| {
        if change.to == ConnectionState::Disconnected {
            sender.send(change.cause.clone()).unwrap();
        }
    });
    let started = soon(connection.start()).await;
    let Some(Cause::Failed(error)) = soon(causes.recv()).await else { panic!("no failure") };
    if let Err(of_start) = started {
        assert_eq!(of_start, error);
    }
    error
}

#[tokio::test]
async fn servers_that_break_the_rules_are_left_with_a_reason() {
    const SHAKEN: &str = "{}\u{1e}";
    let cases: [(&str, Message, ErrorKind, &str); 7] = [
        ("not JSON", text("{}\u{1e}{nonsense}\u{1e}"), ErrorKind::Protocol, "not valid JSON"),
        ("no type", text("{}\u{1e}{}\u{1e}"), ErrorKind::Protocol, "Missing required property 'type'"),
        ("no target", text("{}\u{1e}{\"type\":1,\"arguments\":[]}\u{1e}"), ErrorKind::Protocol, "'target'"),
        ("hub message instead of handshake", text("{\"type\":6}\u{1e}"), ErrorKind::Protocol, "handshake"),
        (
            "handshake refused",
            text("{\"error\":\"go away\"}\u{1e}"),
            ErrorKind::Refused,
            "Server returned handshake error: go away",
        ),
        (
            "bytes that are no text",
            Message::Binary(b"{}\x1e{\"type\":\xff}\x1e".as_slice().into()),
            ErrorKind::Protocol,
            "UTF-8",
        ),
        (
            "close with an error",
            text("{}\u{1e}{\"type\":7,\"error\":\"broken\"}\u{1e}"),
            ErrorKind::Refused,
            "broken",
        ),
    ];
    for (name, frame, kind, detail) in cases {
        let url = scripted(move |mut socket| {
            let frame = frame.clone();
            async move {
                socket.send(frame).await.unwrap();
                keep(socket).await;
            }
        })
        .await;
        let error = end_of(&url, |builder| builder).await;
        assert_eq!(error.kind(), kind, "{name}: {error}");
        assert!(error.detail().contains(detail), "{name}: {error}");
    }

    let url = scripted(|mut socket| async move {
        socket.send(text(SHAKEN)).await.unwrap();
        socket.send(text(&format!("{{\"type\":1,\"target\":\"{}", "x".repeat(2000)))).await.unwrap();
        keep(socket).await;
    })
    .await;
    let error = end_of(&url, |builder| builder.max_message_size(1000)).await;
    assert!(matches!(error.kind(), ErrorKind::Overflow | ErrorKind::Network), "{error}");

    let url = scripted(|mut socket| async move {
        socket.send(text(SHAKEN)).await.unwrap();
        let reason = Utf8Bytes::from_static("out of memory");
        socket.close(Some(CloseFrame { code: CloseCode::Error, reason })).await.unwrap();
    })
    .await;
    let error = end_of(&url, |builder| builder).await;
    assert_eq!(error.detail(), "WebSocket closed with status code: 1011 (out of memory).");

    let url = scripted(|mut socket| async move {
        socket.send(text(SHAKEN)).await.unwrap();
        // Without a close frame.
        drop(socket);
    })
    .await;
    assert_eq!(end_of(&url, |builder| builder).await.kind(), ErrorKind::Network);

    let url = scripted(keep).await;
    let error = end_of(&url, |builder| builder.handshake_timeout(Duration::from_millis(50))).await;
    assert_eq!(
        (error.kind(), error.detail()),
        (ErrorKind::Timeout, "The server did not answer the handshake in time.")
    );

    let url = scripted(|mut socket| async move {
        socket.send(text(SHAKEN)).await.unwrap();
        keep(socket).await;
    })
    .await;
    let error = end_of(&url, |builder| builder.server_timeout(Duration::from_millis(50))).await;
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
}

/// What comes is taken however it is cut; what is odd but allowed changes nothing.
#[tokio::test]
async fn frames_need_not_be_messages() {
    let url = scripted(|mut socket| async move {
        let stream = "{}\u{1e}{\"type\":6}\u{1e}{\"type\":99,\"new\":true}\u{1e}\
                      {\"arguments\":[1],\"unknown\":{\"a\":[]},\"target\":\"Event\",\"type\":1}\u{1e}";
        for byte in stream.bytes() {
            socket.send(Message::Binary(vec![byte].into())).await.unwrap();
        }
        socket.send(Message::Ping(b"ping".as_slice().into())).await.unwrap();
        keep(socket).await;
    })
    .await;
    let connection =
        HubConnection::builder(&url).skip_negotiation(true).retry(RetryPolicy::never()).build().unwrap();
    let (sender, mut received) = mpsc::unbounded_channel();
    connection.on("event", move |value: i64| sender.send(value).unwrap());
    soon(connection.start()).await.unwrap();
    assert_eq!(soon(received.recv()).await, Some(1));
    assert_eq!(connection.state(), ConnectionState::Connected);
}

#[tokio::test]
async fn stopping_does_not_wait_for_a_server_that_does_not_close() {
    let url = scripted(|mut socket| async move {
        socket.send(text("{}\u{1e}")).await.unwrap();
        // Neither read nor written any more.
        std::future::pending::<()>().await;
    })
    .await;
    let connection =
        HubConnection::builder(&url).skip_negotiation(true).retry(RetryPolicy::never()).build().unwrap();
    soon(connection.start()).await.unwrap();
    let pending = tokio::spawn({
        let connection = connection.clone();
        async move { connection.invoke::<Value>("Echo", (1,)).await }
    });
    tokio::task::yield_now().await;
    soon(connection.stop()).await;
    assert_eq!(connection.state(), ConnectionState::Disconnected);
    let error = soon(pending).await.unwrap().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::OutcomeUnknown | ErrorKind::Misuse), "{error}");
}
