//! Requests that are slow or too large: they end, and they take nothing from others.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod support;

use std::time::Duration;

use hubwire_server::testing::TestServer;
use hubwire_server::{Config, Hub, HubError};
use serde_json::{Value, json};
use support::requests::{Events, get, poll_as};
use support::{PATIENCE, Socket, config, start_with};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PATH: &str = "/hubs/test";

fn hub() -> Hub {
    Hub::builder().method("Echo", async |value: Value| Ok::<_, HubError>(value)).build().unwrap()
}

fn impatient() -> Config {
    let mut config = config();
    config.times.request = Duration::from_millis(50);
    config
}

/// What the server says to these bytes before it closes the connection.
async fn said_to(server: &TestServer, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    // If it closes before everything is sent, what it said is what counts.
    let _ = stream.write_all(bytes).await;
    let mut said = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut said)).await;
    let _ = read.expect("the server closes the connection");
    String::from_utf8(said).unwrap()
}

#[tokio::test]
async fn heads_that_do_not_come_are_not_waited_for() {
    let server = start_with(impatient(), PATH, hub()).await;
    for begun in ["", "GET", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nhost: x\r\nx-slow: "] {
        let said = said_to(&server, begun.as_bytes()).await;
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 408"), "{begun}: {said}");
    }
    // Nor is a second request on the same connection.
    let said = said_to(&server, b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(said.starts_with("HTTP/1.1 200") && said.ends_with("healthy\n"), "{said}");
}

#[tokio::test]
async fn bodies_that_do_not_come_are_not_waited_for() {
    let server = start_with(impatient(), PATH, hub()).await;
    let path = poll_as(&server, PATH).await;
    let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{{");
    let said = said_to(&server, head.as_bytes()).await;
    assert!(said.starts_with("HTTP/1.1 408"), "{said}");
    // What came of it is not used, and others have their turn.
    let call = json!({"type": 1, "invocationId": "1", "target": "Echo", "arguments": [1]});
    assert_eq!(support::requests::post(&server, &path, &format!("{call}\u{1e}")).await.0, 200);
    assert!(get(&server, &path).await.2.contains("\"result\":1"));
}

#[tokio::test]
async fn heads_have_a_limit() {
    let server = start_with(config(), PATH, hub()).await;
    let long = format!("GET /healthz HTTP/1.1\r\nhost: x\r\nx-long: {}\r\n\r\n", "x".repeat(20_000));
    let many = format!("GET /healthz HTTP/1.1\r\nhost: x\r\n{}\r\n", "x-many: x\r\n".repeat(200));
    for request in [long, many] {
        let said = said_to(&server, request.as_bytes()).await;
        assert!(said.starts_with("HTTP/1.1 431"), "{said}");
    }
    assert_eq!(get(&server, "/healthz").await.0, 200);
}

#[tokio::test]
async fn open_transports_are_not_cut_by_the_limits_of_requests() {
    let mut config = impatient();
    config.times.keep_alive = Duration::from_millis(20);
    config.times.client_timeout = Duration::from_secs(10);
    config.times.poll = Duration::from_millis(150);
    let server = start_with(config, PATH, hub()).await;
    let mut socket = Socket::connect(&server, PATH).await;
    let (mut events, _) = Events::connect(&server, PATH).await;
    let path = poll_as(&server, PATH).await;
    assert_eq!(get(&server, &path).await.0, 200, "a poll that waits longer than a request may take");
    for _ in 0..5 {
        assert_eq!(events.records().await.unwrap(), [json!({"type": 6})]);
    }
    assert_eq!(socket.call("Echo", json!([1])).await, Ok(json!(1)));
}
