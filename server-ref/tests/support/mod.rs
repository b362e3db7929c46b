//! A raw client: what it sends and receives is spelled out in the tests.

#![allow(clippy::unwrap_used, reason = "these are tests")]
#![allow(
    dead_code,
    unreachable_pub,
    missing_debug_implementations,
    reason = "every test file uses its own part"
)]

pub mod requests;

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use hubwire_server::testing::TestServer;
use hubwire_server::{Config, Hub, Server, auth};
use serde_json::{Map, Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

pub const KEY: &str = "a key for tests that is long enough to be one";

/// Nothing in these tests takes this long unless it is broken.
pub const PATIENCE: Duration = Duration::from_secs(10);

pub fn config() -> Config {
    let mut config = Config::default();
    config.auth.signing_key = Some(KEY.into());
    config
}

pub async fn start(path: &str, hub: Hub) -> TestServer {
    start_with(config(), path, hub).await
}

pub async fn start_with(config: Config, path: &str, hub: Hub) -> TestServer {
    let server = Server::builder().config(config).hub(path, hub).build().unwrap();
    TestServer::start(server).await.unwrap()
}

pub fn token(claims: Value) -> String {
    let Value::Object(claims) = claims else { panic!("{claims}") };
    auth::sign(KEY.as_bytes(), claims, Duration::from_secs(3600)).unwrap()
}

pub fn user(name: &str) -> String {
    token(json!({ "sub": name }))
}

pub struct Socket {
    stream: WebSocketStream<TcpStream>,
    pending: Vec<Value>,
}

impl Socket {
    /// Opens a WebSocket without a negotiation, and nothing else.
    pub async fn open(server: &TestServer, path: &str) -> Result<Self, tungstenite::Error> {
        let request = server.ws_url(path).into_client_request()?;
        let stream = TcpStream::connect(server.address()).await.unwrap();
        let (stream, _) = client_async(request, stream).await?;
        Ok(Self { stream, pending: Vec::new() })
    }

    /// Opens one and shakes hands for JSON.
    pub async fn connect(server: &TestServer, path: &str) -> Self {
        let mut socket = Self::open(server, path).await.unwrap();
        socket.send_text("{\"protocol\":\"json\",\"version\":1}\u{1e}").await;
        assert_eq!(socket.receive().await, json!({}), "the handshake");
        socket
    }

    /// As a user, with a token in the query.
    pub async fn connect_as(server: &TestServer, path: &str, name: &str) -> Self {
        Self::connect(server, &format!("{path}?access_token={}", user(name))).await
    }

    pub async fn send_text(&mut self, text: &str) {
        self.stream.send(Message::text(text)).await.unwrap();
    }

    pub async fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.send(Message::binary(bytes.to_vec())).await.unwrap();
    }

    pub async fn send(&mut self, message: Value) {
        self.send_text(&format!("{message}\u{1e}")).await;
    }

    pub async fn invoke(&mut self, id: &str, target: &str, arguments: Value) {
        self.send(json!({"type": 1, "invocationId": id, "target": target, "arguments": arguments})).await;
    }

    /// Calls and waits for the completion; what comes before it is kept.
    pub async fn call(&mut self, target: &str, arguments: Value) -> Result<Value, String> {
        self.invoke("call", target, arguments).await;
        let mut kept = Vec::new();
        let completion = loop {
            let message = self.receive().await;
            if message["type"] == 3 && message["invocationId"] == "call" {
                break message;
            }
            kept.push(message);
        };
        kept.append(&mut self.pending);
        self.pending = kept;
        match completion.get("error") {
            Some(error) => Err(error.as_str().unwrap().into()),
            None => Ok(completion["result"].clone()),
        }
    }

    /// The next message that is no ping.
    pub async fn receive(&mut self) -> Value {
        self.next().await.expect("the connection is open")
    }

    /// The next message that is no ping; `None` when the connection is over.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            if !self.pending.is_empty() {
                let message = self.pending.remove(0);
                if message["type"] != 6 {
                    return Some(message);
                }
                continue;
            }
            let frame = tokio::time::timeout(PATIENCE, self.stream.next()).await.expect("an answer");
            match frame {
                Some(Ok(Message::Text(text))) => {
                    assert!(text.ends_with('\u{1e}'), "whole messages only: {text}");
                    let records = text.split_terminator('\u{1e}');
                    self.pending.extend(records.map(|record| serde_json::from_str(record).unwrap()));
                }
                Some(Ok(Message::Binary(_))) => panic!("JSON in a binary frame"),
                // Reading on sends the answer to a close frame.
                Some(Ok(Message::Close(_))) => {}
                Some(Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    /// The next frame as it is.
    pub async fn frame(&mut self) -> Option<Message> {
        tokio::time::timeout(PATIENCE, self.stream.next()).await.expect("an answer").and_then(Result::ok)
    }

    /// The next event: target and arguments.
    pub async fn event(&mut self) -> (String, Value) {
        let message = self.receive().await;
        assert_eq!(message["type"], 1, "{message}");
        (message["target"].as_str().unwrap().into(), message["arguments"].clone())
    }

    /// Everything until the connection is over.
    pub async fn rest(&mut self) -> Vec<Value> {
        let mut rest = Vec::new();
        while let Some(message) = self.next().await {
            rest.push(message);
        }
        rest
    }

    /// Closes the WebSocket properly.
    pub async fn close(mut self) {
        self.stream.close(None).await.unwrap();
        while let Some(Ok(_)) = self.stream.next().await {}
    }

    /// Drops the connection without a word.
    pub fn cut(self) {}
}

/// The status of an HTTP request, its headers and its body.
pub async fn http(server: &TestServer, request: &str) -> (u16, String, String) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let request = request.replacen("\r\n\r\n", "\r\nhost: localhost\r\nconnection: close\r\n\r\n", 1);
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut response)).await.expect("an answer").unwrap();
    let response = String::from_utf8(response).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_lowercase(), body.into())
}

pub async fn negotiate(server: &TestServer, path: &str) -> Map<String, Value> {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let request = format!("POST {path}/negotiate?{query} HTTP/1.1\r\ncontent-length: 0\r\n\r\n");
    let (status, _, body) = http(server, &request).await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}
