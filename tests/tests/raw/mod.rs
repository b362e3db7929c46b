//! A client that is nothing but a WebSocket and JSON, so that a test sees every message as it is.
#![allow(dead_code, clippy::unwrap_used, missing_docs, unreachable_pub)]

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use hubwire_server::testing::TestServer;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

pub struct Raw {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    waiting: VecDeque<Value>,
    calls: u64,
}

/// Fails the test rather than hanging it.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future)
        .await
        .unwrap_or_else(|_| panic!("{what}: not in time"))
}

impl Raw {
    /// Connects and makes the handshake. `query` is `hubwire=1` for a client that announces itself.
    pub async fn connect(server: &TestServer, path: &str, query: &str) -> Self {
        let url = format!("{}?{query}", server.ws_url(path));
        let (socket, _) = connect_async(url).await.unwrap();
        let mut raw = Self { socket, waiting: VecDeque::new(), calls: 0 };
        raw.send(&json!({"protocol": "json", "version": 1})).await;
        assert_eq!(raw.receive().await, json!({}));
        raw
    }

    pub async fn send(&mut self, message: &Value) {
        self.socket.send(Message::text(format!("{message}\u{1e}"))).await.unwrap();
    }

    /// The next message that is no ping.
    pub async fn receive(&mut self) -> Value {
        loop {
            if let Some(message) = self.waiting.pop_front() {
                if message["type"] != 6 {
                    return message;
                }
                continue;
            }
            let frame = soon("a message", self.socket.next()).await.unwrap().unwrap();
            let Message::Text(text) = frame else { continue };
            let records = text.split_terminator('\u{1e}').map(|record| serde_json::from_str(record).unwrap());
            self.waiting.extend(records);
        }
    }

    /// Calls a method. Returns its completion, and what came before it.
    pub async fn call(&mut self, target: &str, arguments: Value) -> (Value, Vec<Value>) {
        self.calls += 1;
        let id = self.calls.to_string();
        self.send(&json!({"type": 1, "invocationId": id, "target": target, "arguments": arguments})).await;
        let mut before = Vec::new();
        loop {
            let message = self.receive().await;
            if message["type"] == 3 && message["invocationId"] == *id {
                return (message, before);
            }
            before.push(message);
        }
    }

    /// The result of a method, and what came before it.
    pub async fn invoke(&mut self, target: &str, arguments: Value) -> (Value, Vec<Value>) {
        let (completion, before) = self.call(target, arguments).await;
        assert_eq!(completion.get("error"), None, "{completion}");
        (completion["result"].clone(), before)
    }

    /// The error of a method that must not send anything before it fails.
    pub async fn refused(&mut self, target: &str, arguments: Value) -> String {
        let (completion, before) = self.call(target, arguments).await;
        assert_eq!(before, [] as [Value; 0]);
        completion["error"].as_str().unwrap_or_else(|| panic!("{completion}")).to_owned()
    }

    /// The next message, which must be a call of that client method.
    pub async fn expect(&mut self, target: &str) -> Value {
        let message = self.receive().await;
        assert_eq!((&message["type"], &message["target"]), (&json!(1), &json!(target)), "{message}");
        message
    }
}

/// The position of a message.
pub fn position(message: &Value) -> String {
    let position = message["headers"]["hubwire-position"].as_str();
    position.unwrap_or_else(|| panic!("no position: {message}")).to_owned()
}

/// The offset in a position.
pub fn offset(position: &str) -> u64 {
    position.split('/').nth(1).unwrap().parse().unwrap()
}
