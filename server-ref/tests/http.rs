//! Negotiation, authentication, status codes, limits, and how a server ends.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod support;

use std::time::Duration;

use hubwire_server::testing::TestServer;
use hubwire_server::{BuildError, Config, Hub, HubError, HubOptions, Policy, Server, TransportKind};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use support::{KEY, Socket, config, http, negotiate, start, start_with, token, user};
use tokio_tungstenite::tungstenite::Error;

const PATH: &str = "/hubs/test";

fn open() -> Hub {
    Hub::builder().method("Echo", async |value: Value| Ok::<_, HubError>(value)).build().unwrap()
}

fn closed_to(policy: Policy) -> Hub {
    Hub::builder()
        .authorize(policy)
        .method("Echo", async |value: Value| Ok::<_, HubError>(value))
        .build()
        .unwrap()
}

/// The status with which a WebSocket is refused.
async fn refusal(server: &TestServer, path: &str) -> u16 {
    match Socket::open(server, path).await {
        Ok(_) => 101,
        Err(Error::Http(response)) => response.status().as_u16(),
        Err(error) => panic!("{error}"),
    }
}

async fn post(server: &TestServer, path: &str, headers: &str) -> (u16, String, String) {
    http(server, &format!("POST {path} HTTP/1.1\r\ncontent-length: 0{headers}\r\n\r\n")).await
}

#[tokio::test]
async fn negotiation_in_both_versions() {
    let server = start(PATH, open()).await;
    let response = negotiate(&server, &format!("{PATH}?NegotiateVersion=1")).await;
    let (id, secret) = (&response["connectionId"], response["connectionToken"].as_str().unwrap());
    assert_eq!((id.as_str().unwrap().len(), secret.len()), (22, 22));
    assert_ne!(id, secret);
    assert_eq!(response["negotiateVersion"], 1);
    assert_eq!(
        response["availableTransports"],
        json!([
            {"transport": "WebSockets", "transferFormats": ["Text", "Binary"]},
            {"transport": "ServerSentEvents", "transferFormats": ["Text"]},
            {"transport": "LongPolling", "transferFormats": ["Text", "Binary"]}
        ])
    );
    assert!(!response.contains_key("useStatefulReconnect"));
    // Higher versions get the highest there is; without one it is version 0, whose id is also the key.
    assert_eq!(negotiate(&server, &format!("{PATH}?negotiateVersion=7")).await["negotiateVersion"], 1);
    let old = negotiate(&server, PATH).await;
    assert!(!old.contains_key("connectionToken"));
    Socket::connect(&server, &format!("{PATH}?id={}", old["connectionId"].as_str().unwrap())).await;
    // The path has no case, the values of the query have.
    let mut client = Socket::connect(&server, &format!("/HUBS/Test?ID={secret}")).await;
    assert_eq!(client.call("Echo", json!([1])).await, Ok(json!(1)));
    assert_eq!(refusal(&server, &format!("{PATH}?id={secret}")).await, 409);
    assert_eq!(refusal(&server, &format!("{PATH}?id=unknown")).await, 404);
    for (version, expected) in [
        ("x", "The client requested a non-integer protocol version."),
        ("-1", "The client requested version '-1', but the server does not support this version."),
    ] {
        let response = negotiate(&server, &format!("{PATH}?negotiateVersion={version}")).await;
        assert_eq!(Value::Object(response), json!({ "error": expected }));
    }
    // Once it is over, its id is unknown.
    client.send(json!({"type": 7})).await;
    client.rest().await;
    while server.handle().statistics().connections > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(refusal(&server, &format!("{PATH}?id={secret}")).await, 404);
}

#[tokio::test]
async fn other_requests_get_the_official_answers() {
    let options = HubOptions { transports: vec![TransportKind::WebSockets], ..HubOptions::default() };
    let server = Server::builder().config(config()).hub_with(PATH, open(), options).build().unwrap();
    let server = TestServer::start(server).await.unwrap();
    let response = negotiate(&server, &format!("{PATH}?negotiateVersion=1")).await;
    assert_eq!(
        response["availableTransports"],
        json!([{"transport": "WebSockets", "transferFormats": ["Text", "Binary"]}])
    );
    let id = response["connectionToken"].as_str().unwrap();
    let _socket = Socket::connect(&server, &format!("{PATH}?id={id}")).await;
    let get = |headers: &str, query: &str| format!("GET {PATH}{query} HTTP/1.1\r\naccept: {headers}\r\n\r\n");
    let known = format!("?id={id}");
    for (request, status, body) in [
        (get("*/*", ""), 400, "Connection ID required"),
        (get("*/*", "?id=unknown"), 404, "No Connection with that ID"),
        (get("*/*", &known), 404, "LongPolling transport not supported by this end point type"),
        (
            get("text/event-stream", &known),
            404,
            "ServerSentEvents transport not supported by this end point type",
        ),
        (
            format!("POST {PATH}{known} HTTP/1.1\r\ncontent-length: 0\r\n\r\n"),
            405,
            "POST requests are not allowed for WebSocket connections.",
        ),
        (format!("POST {PATH} HTTP/1.1\r\ncontent-length: 0\r\n\r\n"), 400, "Connection ID required"),
        (
            format!("DELETE {PATH}{known} HTTP/1.1\r\n\r\n"),
            400,
            "Cannot terminate this connection using the DELETE endpoint.",
        ),
        (format!("DELETE {PATH}?id=x HTTP/1.1\r\n\r\n"), 404, "No Connection with that ID"),
        (format!("PUT {PATH} HTTP/1.1\r\ncontent-length: 0\r\n\r\n"), 405, ""),
        (format!("GET {PATH}/negotiate HTTP/1.1\r\n\r\n"), 405, ""),
        ("GET /hubs/other HTTP/1.1\r\n\r\n".into(), 404, ""),
        ("GET / HTTP/1.1\r\n\r\n".into(), 404, ""),
        ("GET /status.json HTTP/1.1\r\n\r\n".into(), 404, ""),
        ("GET /healthz HTTP/1.1\r\n\r\n".into(), 200, "healthy\n"),
    ] {
        let (got, head, text) = http(&server, &request).await;
        assert_eq!((got, text.as_str()), (status, body), "{request}{head}");
    }
}

#[tokio::test]
async fn tokens_are_checked_on_negotiation_and_on_the_socket() {
    let server = start(PATH, closed_to(Policy::authenticated())).await;
    let sign = |header: Header, claims: Value, key: &[u8]| {
        jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(key)).unwrap()
    };
    let valid = json!({"sub": "alice", "exp": 4_000_000_000u64});
    let hs256 = Header::new(Algorithm::HS256);
    let good = sign(hs256.clone(), valid.clone(), KEY.as_bytes());
    let (head, rest) = good.split_once('.').unwrap();
    let (payload, signature) = rest.split_once('.').unwrap();
    // {"alg":"none"}, and with the signature of another token.
    let none = "eyJhbGciOiJub25lIn0";
    let other_payload = sign(hs256.clone(), json!({"sub": "root", "exp": 4_000_000_000u64}), b"other");
    let other_payload = other_payload.split('.').nth(1).unwrap();
    let mut cases = vec![
        ("expired", sign(hs256.clone(), json!({"sub": "alice", "exp": 1_000_000_000}), KEY.as_bytes())),
        ("without exp", sign(hs256.clone(), json!({"sub": "alice"}), KEY.as_bytes())),
        (
            "not valid yet",
            sign(hs256.clone(), json!({"exp": 4_000_000_000u64, "nbf": 3_900_000_000u64}), KEY.as_bytes()),
        ),
        ("other key", sign(hs256.clone(), valid.clone(), b"another key that is long enough to be one")),
        ("other algorithm", sign(Header::new(Algorithm::HS512), valid.clone(), KEY.as_bytes())),
        ("alg none", format!("{none}.{payload}.")),
        ("alg none with a signature", format!("{none}.{payload}.{signature}")),
        ("forged", format!("{head}.{other_payload}.{signature}")),
        ("no signature", format!("{head}.{payload}.")),
        ("no token", "nonsense".into()),
        ("no claims", format!("{head}.e30.{signature}")),
    ];
    cases.push(("missing", String::new()));
    for (name, token) in &cases {
        let negotiate = format!("{PATH}/negotiate");
        let (status, head, body) =
            post(&server, &negotiate, &format!("\r\nauthorization: Bearer {token}")).await;
        assert_eq!((status, body.as_str()), (401, ""), "{name}");
        assert!(head.starts_with("http/1.1 401 unauthorized"), "{name}: {head}");
        assert_eq!(refusal(&server, &format!("{PATH}?access_token={token}")).await, 401, "{name}");
    }
    // The scheme has no case; the header wins over the query.
    let (status, ..) = post(
        &server,
        &format!("{PATH}/negotiate?access_token=x"),
        &format!("\r\nauthorization: bearer {good}"),
    )
    .await;
    assert_eq!(status, 200);
    let mut client = Socket::connect(&server, &format!("{PATH}?access_token={good}")).await;
    assert_eq!(client.call("Echo", json!([1])).await, Ok(json!(1)));
}

#[tokio::test]
async fn policies_decide_between_401_and_403() {
    let server = start(PATH, closed_to(Policy::role("admin").or(Policy::claim("plan", "premium")))).await;
    for (query, expected) in [
        (String::new(), 401),
        (user("alice"), 403),
        (token(json!({"sub": "alice", "roles": ["user", "admin"]})), 101),
        (token(json!({"sub": "alice", "plan": "premium"})), 101),
    ] {
        let path = format!("{PATH}?access_token={query}");
        assert_eq!(refusal(&server, &path).await, expected);
        let (status, _, body) = post(&server, &format!("{PATH}/negotiate?access_token={query}"), "").await;
        assert_eq!(status, if expected == 101 { 200 } else { expected });
        assert_eq!(body.is_empty(), expected != 101);
    }
}

#[tokio::test]
async fn configured_claims_are_demanded() {
    let mut config = config();
    config.auth.issuer = Some("us".into());
    config.auth.audience = Some("hubs".into());
    config.auth.required_claims = vec!["tenant".into()];
    let server = start_with(config, PATH, closed_to(Policy::authenticated())).await;
    let all = json!({"iss": "us", "aud": ["hubs", "more"], "tenant": "t"});
    let path = |claims: &Value| format!("{PATH}?access_token={}", token(claims.clone()));
    assert_eq!(refusal(&server, &path(&all)).await, 101);
    for missing in ["iss", "aud", "tenant"] {
        let mut claims = all.clone();
        claims.as_object_mut().unwrap().remove(missing);
        assert_eq!(refusal(&server, &path(&claims)).await, 401, "{missing}");
    }
    for (name, value) in [("iss", "them"), ("aud", "other")] {
        let mut claims = all.clone();
        claims[name] = json!(value);
        assert_eq!(refusal(&server, &path(&claims)).await, 401, "{name}");
    }
}

#[tokio::test]
async fn a_negotiated_connection_belongs_to_its_user() {
    let server = start(PATH, open()).await;
    let response =
        negotiate(&server, &format!("{PATH}?negotiateVersion=1&access_token={}", user("alice"))).await;
    let id = response["connectionToken"].as_str().unwrap();
    for (token, expected) in [(user("bob"), 403), (String::new(), 403), (user("alice"), 101)] {
        assert_eq!(refusal(&server, &format!("{PATH}?id={id}&access_token={token}")).await, expected);
    }
}

#[tokio::test]
async fn origins() {
    let mut config = config();
    config.cors.origins = vec!["https://app.example".into()];
    let server = start_with(config, PATH, open()).await;
    let preflight = |origin: &str| {
        format!(
            "OPTIONS {PATH}/negotiate HTTP/1.1\r\norigin: {origin}\r\naccess-control-request-method: POST\r\n\r\n"
        )
    };
    let (status, head, _) = http(&server, &preflight("https://app.example")).await;
    assert_eq!(status, 204);
    for line in [
        "access-control-allow-origin: https://app.example",
        "access-control-allow-credentials: true",
        "access-control-allow-methods: get, post, delete",
        "access-control-allow-headers: authorization, content-type, x-requested-with, x-signalr-user-agent",
        "vary: origin",
    ] {
        assert!(head.contains(line), "{line} in {head}");
    }
    let (status, head, _) = http(&server, &preflight("https://evil.example")).await;
    assert_eq!(status, 405);
    assert!(!head.contains("access-control"), "{head}");
    let negotiate = format!("{PATH}/negotiate");
    let (_, head, _) = post(&server, &negotiate, "\r\norigin: https://app.example").await;
    assert!(head.contains("access-control-allow-origin: https://app.example"), "{head}");
    // Refusals must be readable by the page, too.
    let (status, head, _) =
        post(&server, &negotiate, "\r\norigin: https://app.example\r\nauthorization: Bearer x").await;
    assert_eq!(status, 401);
    assert!(head.contains("access-control-allow-origin"), "{head}");
    let upgrade = |origin: &str| {
        format!(
            "GET {PATH} HTTP/1.1\r\norigin: {origin}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
    };
    let (status, ..) = http(&server, &upgrade("https://evil.example")).await;
    assert_eq!(status, 403);
}

#[tokio::test]
async fn connections_are_limited_in_all_and_per_user() {
    let mut config = config();
    config.limits.connections = 3;
    config.limits.connections_per_user = 2;
    config.limits.negotiated = 1;
    let server = start_with(config, PATH, open()).await;
    let path = |name: &str| format!("{PATH}?access_token={}", user(name));
    let alice =
        [Socket::connect(&server, &path("alice")).await, Socket::connect(&server, &path("alice")).await];
    assert_eq!(refusal(&server, &path("alice")).await, 429);
    let _bob = Socket::connect(&server, &path("bob")).await;
    assert_eq!(refusal(&server, &path("carol")).await, 503);
    drop(alice);
    while server.handle().statistics().connections > 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(refusal(&server, &path("alice")).await, 101);
    negotiate(&server, PATH).await;
    assert_eq!(post(&server, &format!("{PATH}/negotiate"), "").await.0, 503);
}

#[tokio::test]
async fn negotiated_connections_expire() {
    let mut config = config();
    config.times.negotiated = Duration::from_millis(1);
    config.limits.negotiated = 1;
    let server = start_with(config, PATH, open()).await;
    let id = negotiate(&server, PATH).await["connectionId"].as_str().unwrap().to_owned();
    // Expired ones make room, so this ends when the first one has expired.
    while post(&server, &format!("{PATH}/negotiate"), "").await.0 == 503 {}
    assert_eq!(refusal(&server, &format!("{PATH}?id={id}")).await, 404);
}

#[tokio::test]
async fn shutdown_invites_clients_back() {
    let server = start(PATH, open()).await;
    let mut client = Socket::connect(&server, PATH).await;
    let handle = server.handle().clone();
    let stopped = tokio::spawn(server.stop());
    assert_eq!(client.rest().await, [json!({"type": 7, "allowReconnect": true})]);
    stopped.await.unwrap().unwrap();
    assert_eq!(handle.statistics().connections, 0);
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_off_and_delays_nobody() {
    let mut config = config();
    config.limits.outbox_messages = 16;
    let server = start_with(config, PATH, open()).await;
    let lazy = Socket::connect(&server, PATH).await;
    let mut reader = Socket::connect(&server, PATH).await;
    let clients = server.handle().hub(PATH).unwrap();
    let text = "x".repeat(100_000);
    // What its socket buffers hold is not known, so this goes on until it is gone.
    let mut sent = 0;
    while server.handle().statistics().hubs[0].connections == 2 {
        clients.all().send("News", (sent, &text)).unwrap();
        let (_, arguments) = reader.event().await;
        assert_eq!(arguments[0], sent);
        sent += 1;
    }
    drop(lazy);
    assert_eq!(reader.call("Echo", json!([1])).await, Ok(json!(1)));
}

#[tokio::test]
async fn the_status_shows_numbers_and_names_only() {
    let mut config = config();
    config.status_page = true;
    let server = start_with(config, PATH, open()).await;
    let mut alice = Socket::connect_as(&server, PATH, "alice").await;
    alice.call("Echo", json!(["a secret text"])).await.unwrap();
    let (status, _, body) = http(&server, "GET /status.json HTTP/1.1\r\n\r\n").await;
    let statistics: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &statistics["connections"]), (200, &json!(1)));
    assert_eq!(statistics["hubs"][0]["path"], PATH);
    assert_eq!(statistics["hubs"][0]["received"], 1);
    assert_eq!(statistics["events"][0]["what"], "connected");
    assert!(!body.contains("secret"), "{body}");
    let (status, head, body) = http(&server, "GET / HTTP/1.1\r\n\r\n").await;
    assert_eq!(status, 200);
    assert!(head.contains("content-security-policy: default-src 'none'"), "{head}");
    assert!(!body.contains("http://") && !body.contains("https://"), "no outside assets");
}

#[tokio::test]
async fn tokens_do_not_reach_the_log() {
    #[derive(Clone, Default)]
    struct Log(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

    impl std::io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    // The runtime of this test has only this thread.
    let _guard = tracing::subscriber::set_default(subscriber);
    let server = start(PATH, closed_to(Policy::authenticated())).await;
    let good = user("alice");
    let bad = format!("{good}x");
    let mut client = Socket::connect(&server, &format!("{PATH}?access_token={good}")).await;
    client.call("Echo", json!(["a secret text"])).await.unwrap();
    assert_eq!(refusal(&server, &format!("{PATH}?access_token={bad}")).await, 401);
    let response = negotiate(&server, &format!("{PATH}?negotiateVersion=1&access_token={good}")).await;
    let id = response["connectionToken"].as_str().unwrap();
    Socket::connect(&server, &format!("{PATH}?id={id}&access_token={good}")).await;
    client.send(json!({"type": 7})).await;
    client.rest().await;
    let log = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(log.contains("refused an access token"), "{log}");
    for secret in [&good[..], "a secret text", id, KEY] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[tokio::test]
async fn mistakes_are_found_when_a_server_is_built() {
    let build = |config: Config, paths: &[&str], hub: fn() -> Hub| {
        let server =
            paths.iter().fold(Server::builder().config(config), |server, path| server.hub(*path, hub()));
        server.build().unwrap_err()
    };
    assert_eq!(build(config(), &["/a", "/A"], open), BuildError::DuplicatePath("/A".into()));
    for path in ["", "a", "/", "/a/"] {
        assert_eq!(build(config(), &[path], open), BuildError::InvalidPath(path.into()));
    }
    let closed = || closed_to(Policy::authenticated());
    assert_eq!(build(Config::default(), &["/a"], closed), BuildError::NoAuthentication("/a".into()));
    let mut short = config();
    short.auth.signing_key = Some("short".into());
    let error = build(short, &["/a"], open).to_string();
    assert_eq!(error, "configuration: auth.signing_key must be a key of at least 32 bytes");
}
