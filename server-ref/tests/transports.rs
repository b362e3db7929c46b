//! Long polling and Server-Sent Events over real sockets.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod support;

use std::time::Duration;

use hubwire_server::testing::TestServer;
use hubwire_server::{
    BuildError, Context, DisconnectReason, Hub, HubError, HubOptions, Server, State, TransportKind,
};
use serde_json::{Value, json};
use support::requests::{Events, delete, get, negotiated, poll_as, post, records};
use support::{PATIENCE, Socket, config, http, negotiate, start, start_with, user};
use tokio::sync::mpsc;

const PATH: &str = "/hubs/test";

fn invocation(id: &str, target: &str, arguments: Value) -> String {
    json!({"type": 1, "invocationId": id, "target": target, "arguments": arguments}).to_string() + "\u{1e}"
}

/// What the hub tells of the ends of connections.
type Ends = mpsc::UnboundedReceiver<Option<String>>;

fn hub() -> (Hub, Ends) {
    let (sender, ends) = mpsc::unbounded_channel();
    let hub = Hub::builder()
        .state(sender)
        .method("Echo", async |value: Value| Ok::<_, HubError>(value))
        .method("User", async |ctx: Context| Ok::<_, HubError>(ctx.user_id().map(str::to_owned)))
        .method("Number", async |ctx: Context| Ok::<_, HubError>(ctx.claim("number").cloned()))
        .method("Abort", async |ctx: Context| {
            ctx.abort();
            Ok::<_, HubError>(())
        })
        .on_disconnected(
            async |State(ends): State<mpsc::UnboundedSender<Option<String>>>, reason: DisconnectReason| {
                let _ = ends.send(reason.0.as_deref().map(str::to_owned));
                Ok::<_, HubError>(())
            },
        )
        .build()
        .unwrap();
    (hub, ends)
}

async fn ended(ends: &mut Ends) -> Option<String> {
    tokio::time::timeout(PATIENCE, ends.recv()).await.expect("an end").unwrap()
}

async fn start_only(transport: TransportKind) -> TestServer {
    let options = HubOptions { transports: vec![transport], ..HubOptions::default() };
    let server = Server::builder().config(config()).hub_with(PATH, hub().0, options).build().unwrap();
    TestServer::start(server).await.unwrap()
}

#[tokio::test]
async fn a_conversation_over_long_polling() {
    let (hub, mut ends) = hub();
    let server = start(PATH, hub).await;
    let path = negotiated(&server, PATH).await;
    let (status, head, body) = get(&server, &path).await;
    assert_eq!((status, body.as_str()), (200, ""), "the first poll is answered at once");
    for line in [
        "content-type: application/octet-stream",
        "content-length: 0",
        "cache-control: no-cache, no-store",
        "pragma: no-cache",
    ] {
        assert!(head.contains(line), "{line} in {head}");
    }
    let (status, head, body) = post(&server, &path, support::requests::HANDSHAKE).await;
    assert_eq!((status, body.as_str()), (200, ""));
    assert!(head.contains("content-type: text/plain"), "{head}");
    let (status, head, body) = get(&server, &format!("{path}&_=123")).await;
    assert_eq!((status, body.as_str()), (200, "{}\u{1e}"));
    assert!(head.contains("content-type: application/octet-stream") && head.contains("content-length: 3"));
    // Several messages in one POST, and one message in several.
    let two = invocation("1", "Echo", json!(["a"])) + &invocation("2", "Echo", json!(["b"]));
    let (first, second) = two.split_at(two.len() - 20);
    for part in [first, second] {
        assert_eq!(post(&server, &path, part).await.0, 200);
    }
    let mut results = Vec::new();
    while results.len() < 2 {
        results.extend(records(&get(&server, &path).await.2));
    }
    assert_eq!(
        results,
        [
            json!({"type": 3, "invocationId": "1", "result": "a"}),
            json!({"type": 3, "invocationId": "2", "result": "b"})
        ]
    );
    // A poll that waits gets what comes.
    let waiting = get(&server, &path);
    let push = async {
        server.handle().hub(PATH).unwrap().all().send("News", ("x",)).unwrap();
    };
    let ((_, _, body), ()) = tokio::join!(waiting, push);
    assert_eq!(records(&body), [json!({"type": 1, "target": "News", "arguments": ["x"]})]);
    assert_eq!(delete(&server, &path).await.0, 202);
    assert_eq!(ended(&mut ends).await, None);
    for gone in [get(&server, &path).await, post(&server, &path, "").await, delete(&server, &path).await] {
        assert_eq!((gone.0, gone.2.as_str()), (404, "No Connection with that ID"));
    }
}

#[tokio::test]
async fn message_pack_over_long_polling() {
    let server = start(PATH, hub().0).await;
    let path = negotiated(&server, PATH).await;
    get(&server, &path).await;
    // The handshake and a call of `Echo` with `x` in one body.
    let call = "\u{e}\u{96}\u{1}\u{80}\u{a1}1\u{a4}Echo\u{91}\u{a1}x\u{90}";
    let call: Vec<u8> = call.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    let mut body = b"{\"protocol\":\"messagepack\",\"version\":1}\x1e".to_vec();
    body.extend(call);
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(server.address()).await.unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body).await.unwrap();
    stream.read_to_end(&mut Vec::new()).await.unwrap();
    let mut received = Vec::new();
    while received.len() < 11 {
        let mut stream = tokio::net::TcpStream::connect(server.address()).await.unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut response = Vec::new();
        stream.read_to_end(&mut response).await.unwrap();
        let at = response.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
        received.extend_from_slice(&response[at + 4..]);
    }
    assert_eq!(received, b"{}\x1e\x08\x95\x03\x80\xa11\x03\xa1x");
}

#[tokio::test]
async fn a_poll_ends_when_nothing_comes_and_when_another_comes() {
    let mut config = config();
    config.times.poll = Duration::from_millis(20);
    let server = start_with(config, PATH, hub().0).await;
    let path = poll_as(&server, PATH).await;
    let (status, head, body) = get(&server, &path).await;
    assert_eq!((status, body.as_str()), (200, ""));
    assert!(head.contains("content-length: 0"), "{head}");

    let server = start(PATH, hub().0).await;
    let path = poll_as(&server, PATH).await;
    let mut polls: Vec<_> = (0..2).map(|_| Box::pin(get(&server, &path))).collect();
    let second = polls.pop().unwrap();
    let first = polls.pop().unwrap();
    // Whichever comes first is superseded by the other.
    let ended = futures_util::future::select(first, second).await;
    let ((status, _, body), other) = match ended {
        futures_util::future::Either::Left(ended) => ended,
        futures_util::future::Either::Right(ended) => ended,
    };
    assert_eq!((status, body.as_str()), (204, ""));
    server.handle().hub(PATH).unwrap().all().send("News", ()).unwrap();
    assert_eq!(records(&other.await.2)[0]["target"], "News");
}

#[tokio::test]
async fn the_end_reaches_a_client_that_polls() {
    let (hub, mut ends) = hub();
    let server = start(PATH, hub).await;
    // With a poll that waits when it is deleted.
    let path = poll_as(&server, PATH).await;
    let (poll, (status, ..)) = tokio::join!(get(&server, &path), async {
        // The poll has to be there first, or it finds nothing.
        while !server.handle().statistics().hubs.iter().any(|hub| hub.connections == 1) {
            tokio::task::yield_now().await;
        }
        delete(&server, &path).await
    });
    assert!(poll.0 == 204 || poll.0 == 404, "{poll:?}");
    assert_eq!(status, 202);
    assert_eq!(ended(&mut ends).await, None);
    // By the server: first the message, then the end.
    let path = poll_as(&server, PATH).await;
    post(&server, &path, &invocation("1", "Abort", json!([]))).await;
    let mut received = Vec::new();
    loop {
        let (status, _, body) = get(&server, &path).await;
        if status == 204 {
            break;
        }
        assert_eq!(status, 200);
        received.extend(records(&body));
    }
    assert_eq!(received.last(), Some(&json!({"type": 7})));
    assert_eq!(ended(&mut ends).await, None);
    // By the end of the server, which a client between two polls learns, too.
    let path = poll_as(&server, PATH).await;
    let handle = server.handle().clone();
    let stopped = tokio::spawn(async move { handle.shutdown().await });
    while !stopped.is_finished() {
        let (status, _, body) = get(&server, &path).await;
        if status == 204 {
            break;
        }
        assert!(body.is_empty() || records(&body) == [json!({"type": 7, "allowReconnect": true})], "{body}");
    }
    assert!(stopped.await.unwrap());
}

#[tokio::test]
async fn a_client_that_stops_polling_is_gone_after_a_while() {
    let (hub, mut ends) = hub();
    let mut config = config();
    config.times.disconnect = Duration::from_millis(50);
    // Neither pings nor the client timeout play a part.
    config.times.keep_alive = Duration::from_millis(1);
    config.times.client_timeout = Duration::from_millis(2);
    config.times.poll = Duration::from_millis(100);
    let server = start_with(config, PATH, hub).await;
    let path = poll_as(&server, PATH).await;
    for _ in 0..2 {
        assert_eq!(get(&server, &path).await.2, "", "no pings");
    }
    assert_eq!(ended(&mut ends).await, None);
    let gone = get(&server, &path).await;
    assert!(gone.0 == 404 || gone.0 == 204, "{gone:?}");
    // Also one that never came back from its first poll.
    let path = negotiated(&server, PATH).await;
    get(&server, &path).await;
    while server.handle().statistics().connections > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_conversation_over_server_sent_events() {
    let (hub, mut ends) = hub();
    let server = start(PATH, hub).await;
    let (mut events, path) = Events::connect(&server, PATH).await;
    let head = events.head.to_lowercase();
    assert!(head.starts_with("http/1.1 200 ok"), "{head}");
    for line in [
        "content-type: text/event-stream",
        "cache-control: no-cache, no-store",
        "pragma: no-cache",
        "content-encoding: identity",
    ] {
        assert!(head.contains(line), "{line} in {head}");
    }
    let (status, _, body) = post(&server, &path, &invocation("1", "Echo", json!(["naïve\n🎉"]))).await;
    assert_eq!((status, body.as_str()), (200, ""));
    let expected = json!({"type": 3, "invocationId": "1", "result": "naïve\n🎉"});
    assert_eq!(events.records().await.unwrap(), [expected]);
    // A second stream, a poll, and a socket with that id.
    let (status, ..) =
        http(&server, &format!("GET {path} HTTP/1.1\r\naccept: text/event-stream\r\n\r\n")).await;
    assert_eq!(status, 409);
    let refused = (400, "Cannot change transports mid-connection".to_owned());
    let (status, _, body) = get(&server, &path).await;
    assert_eq!((status, body), refused);
    assert!(Socket::open(&server, &path).await.is_err());
    let (status, _, body) = delete(&server, &path).await;
    assert_eq!((status, body.as_str()), (400, "Cannot terminate this connection using the DELETE endpoint."));
    // The end of the response is the end of the connection, on either side.
    post(&server, &path, &invocation("2", "Abort", json!([]))).await;
    let mut last = Vec::new();
    while let Some(records) = events.records().await {
        last = records;
    }
    assert_eq!(last.last(), Some(&json!({"type": 7})));
    assert_eq!(ended(&mut ends).await, None);
    let (events, path) = Events::connect(&server, PATH).await;
    drop(events);
    assert_eq!(ended(&mut ends).await, None);
    assert_eq!(post(&server, &path, "x").await.0, 404);
}

#[tokio::test]
async fn events_are_pinged_and_time_out() {
    let (hub, mut ends) = hub();
    let mut config = config();
    config.times.keep_alive = Duration::from_millis(20);
    // Far behind the first ping, also where this thread has to wait for the processor.
    config.times.client_timeout = Duration::from_secs(2);
    let server = start_with(config, PATH, hub).await;
    let (mut events, _) = Events::connect(&server, PATH).await;
    assert_eq!(events.records().await.unwrap(), [json!({"type": 6})]);
    let error = ended(&mut ends).await.unwrap();
    assert!(error.contains("ClientTimeoutInterval"), "{error}");
}

#[tokio::test]
async fn an_event_stream_that_is_not_read_is_cut_off_and_delays_nobody() {
    let mut config = config();
    config.limits.outbox_messages = 16;
    let server = start_with(config, PATH, hub().0).await;
    let (lazy, _) = Events::connect(&server, PATH).await;
    let (mut reader, _) = Events::connect(&server, PATH).await;
    let clients = server.handle().hub(PATH).unwrap();
    let text = "x".repeat(100_000);
    let mut sent = 0;
    while server.handle().statistics().hubs[0].connections == 2 {
        clients.all().send("News", (sent, &text)).unwrap();
        let mut event = String::new();
        while !event.ends_with("\r\n\r\n") {
            event += &reader.chunk().await.unwrap();
        }
        assert!(event.contains(&format!("\"arguments\":[{sent},")));
        sent += 1;
    }
    drop(lazy);
    assert_eq!(server.handle().statistics().queued_bytes, 0);
}

#[tokio::test]
async fn events_carry_no_binary_protocol() {
    let server = start(PATH, hub().0).await;
    let path = negotiated(&server, PATH).await;
    let mut events = Events::open(&server, &path).await;
    events.chunk().await;
    post(&server, &path, "{\"protocol\":\"messagepack\",\"version\":1}\u{1e}").await;
    let error = "Cannot use the 'messagepack' protocol on the current transport. The transport does not support \
                 'Binary' transfer format.";
    assert_eq!(events.records().await.unwrap(), [json!({ "error": error })]);
    assert_eq!(events.records().await, None);
}

#[tokio::test]
async fn only_what_is_offered_can_be_used() {
    for transport in TransportKind::ALL {
        let server = start_only(transport).await;
        let response = negotiate(&server, &format!("{PATH}?negotiateVersion=1")).await;
        let offered = response["availableTransports"].as_array().unwrap();
        assert_eq!(offered.len(), 1);
        assert_eq!(offered[0]["transport"], transport.name());
        let path = negotiated(&server, PATH).await;
        for (other, headers) in [
            (
                TransportKind::WebSockets,
                "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                 sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
            ),
            (TransportKind::ServerSentEvents, "accept: text/event-stream"),
            (TransportKind::LongPolling, "accept: */*"),
        ] {
            if other == transport {
                continue;
            }
            let (status, _, body) = http(&server, &format!("GET {path} HTTP/1.1\r\n{headers}\r\n\r\n")).await;
            let expected = format!("{} transport not supported by this end point type", other.name());
            assert_eq!((status, body), (404, expected));
        }
    }
    let options = HubOptions { transports: Vec::new(), ..HubOptions::default() };
    let error = Server::builder().hub_with(PATH, hub().0, options).build().unwrap_err();
    assert_eq!(error, BuildError::NoTransports(PATH.into()));
}

#[tokio::test]
async fn bodies_have_the_limits_of_frames_and_messages() {
    let mut config = config();
    config.detailed_errors = true;
    config.limits.message_bytes = 1000;
    config.limits.frame_bytes = 2000;
    let server = start_with(config, PATH, hub().0).await;
    for (size, status) in [(1500, 200), (2500, 413)] {
        let path = poll_as(&server, PATH).await;
        let body = invocation("1", "Echo", json!(["x".repeat(size)]));
        assert_eq!(post(&server, &path, &body).await.0, status);
        let close = records(&get(&server, &path).await.2);
        let error = close[0]["error"].as_str().unwrap();
        assert!(error.contains("The maximum message size of 1000B was exceeded."), "{error}");
        assert_eq!(get(&server, &path).await.0, 204);
    }
}

#[tokio::test]
async fn a_connection_belongs_to_its_user_on_every_request() {
    let server = start(PATH, hub().0).await;
    let alice = poll_as(&server, &format!("{PATH}?access_token={}", user("alice"))).await;
    let id = alice.split("&id=").nth(1).unwrap();
    let bob = format!("{PATH}?access_token={}&id={id}", user("bob"));
    let invalid = format!("{PATH}?access_token=nonsense&id={id}");
    for (path, status) in [(bob, 403), (invalid, 401), (format!("{PATH}?id={id}"), 403)] {
        assert_eq!(get(&server, &path).await.0, status);
        assert_eq!(post(&server, &path, "x").await.0, status);
        assert_eq!(delete(&server, &path).await.0, status);
    }
    // A newer token of the same user counts for the calls that come then.
    post(&server, &alice, &invocation("1", "Number", json!([]))).await;
    assert_eq!(records(&get(&server, &alice).await.2)[0]["result"], Value::Null);
    let newer = support::token(json!({"sub": "alice", "number": 2}));
    let newer = format!("{PATH}?access_token={newer}&id={id}");
    post(&server, &newer, &invocation("2", "Number", json!([]))).await;
    assert_eq!(records(&get(&server, &newer).await.2)[0]["result"], 2);
}
