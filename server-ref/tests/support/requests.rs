//! HTTP requests, spelled out.

use std::collections::VecDeque;

use hubwire_server::testing::TestServer;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{PATIENCE, http, negotiate};

/// Negotiates, and returns the path with the id.
pub async fn negotiated(server: &TestServer, path: &str) -> String {
    let separator = if path.contains('?') { '&' } else { '?' };
    let response = negotiate(server, &format!("{path}{separator}negotiateVersion=1")).await;
    format!("{path}{separator}id={}", response["connectionToken"].as_str().unwrap())
}

pub async fn get(server: &TestServer, path: &str) -> (u16, String, String) {
    http(server, &format!("GET {path} HTTP/1.1\r\n\r\n")).await
}

pub async fn delete(server: &TestServer, path: &str) -> (u16, String, String) {
    http(server, &format!("DELETE {path} HTTP/1.1\r\n\r\n")).await
}

pub async fn post(server: &TestServer, path: &str, body: &str) -> (u16, String, String) {
    let length = body.len();
    let head = format!("POST {path} HTTP/1.1\r\ncontent-length: {length}\r\n\r\n");
    http(server, &format!("{head}{body}")).await
}

pub const HANDSHAKE: &str = "{\"protocol\":\"json\",\"version\":1}\u{1e}";

/// Opens long polling and shakes hands; returns the path of its requests.
pub async fn poll_as(server: &TestServer, path: &str) -> String {
    let path = negotiated(server, path).await;
    assert_eq!(get(server, &path).await.2, "", "the first poll");
    assert_eq!(post(server, &path, HANDSHAKE).await.0, 200);
    assert_eq!(get(server, &path).await.2, "{}\u{1e}");
    path
}

/// The messages of a body.
pub fn records(body: &str) -> Vec<Value> {
    assert!(body.is_empty() || body.ends_with('\u{1e}'), "whole messages only: {body}");
    body.split_terminator('\u{1e}').map(|record| serde_json::from_str(record).unwrap()).collect()
}

/// A response that goes on.
pub struct Events {
    stream: TcpStream,
    pub head: String,
    bytes: VecDeque<u8>,
}

impl Events {
    pub async fn open(server: &TestServer, path: &str) -> Self {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut events = Self { stream, head: String::new(), bytes: VecDeque::new() };
        loop {
            let line = events.line().await;
            if line == "\r\n" {
                return events;
            }
            events.head.push_str(&line);
        }
    }

    async fn byte(&mut self) -> Option<u8> {
        if self.bytes.is_empty() {
            let mut buffer = [0; 4096];
            let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut buffer)).await.expect("data");
            self.bytes.extend(&buffer[..read.unwrap_or(0)]);
        }
        self.bytes.pop_front()
    }

    async fn line(&mut self) -> String {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.push(self.byte().await.expect("a line"));
        }
        String::from_utf8(line).unwrap()
    }

    /// The next chunk; `None` at the end of the response.
    pub async fn chunk(&mut self) -> Option<String> {
        let length = usize::from_str_radix(self.line().await.trim(), 16).unwrap();
        let mut chunk = Vec::new();
        for _ in 0..length + 2 {
            chunk.push(self.byte().await.expect("a chunk"));
        }
        chunk.truncate(length);
        (length > 0).then(|| String::from_utf8(chunk).unwrap())
    }

    /// The records of the next chunk.
    pub async fn records(&mut self) -> Option<Vec<Value>> {
        let chunk = self.chunk().await?;
        let events = chunk.strip_suffix("\r\n\r\n").expect("whole events").split("\r\n\r\n");
        Some(events.flat_map(|event| records(event.strip_prefix("data: ").unwrap())).collect())
    }

    /// The stream and the handshake.
    pub async fn connect(server: &TestServer, path: &str) -> (Self, String) {
        let path = negotiated(server, path).await;
        let mut events = Self::open(server, &path).await;
        assert_eq!(events.chunk().await.unwrap(), ":\r\n");
        assert_eq!(post(server, &path, HANDSHAKE).await.0, 200);
        assert_eq!(events.chunk().await.unwrap(), "data: {}\u{1e}\r\n\r\n");
        (events, path)
    }
}
