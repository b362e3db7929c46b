//! What a library in another language does with the border: a thread that reads, and a queue for each connection.
#![allow(clippy::unwrap_used, dead_code)]

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use hubwire_ffi::{CallKind, Connection, ConnectionState, Encoding, HubFailure, Notice, Settings, connect};
use hubwire_server::testing::TestServer;
use hubwire_server::{Context, Hub, HubError, Server};
use serde_json::Value;

/// Fails a test rather than hanging it.
const SOON: Duration = Duration::from_secs(30);

static CONNECTIONS: Mutex<Option<HashMap<u64, Sender<Notice>>>> = Mutex::new(None);

/// A connection and what it tells.
pub(crate) struct Foreign {
    pub(crate) connection: Arc<Connection>,
    pub(crate) notices: Receiver<Notice>,
    /// The thread that reads, if it was begun for this connection.
    pub(crate) reader: Option<JoinHandle<()>>,
}

pub(crate) fn settings(url: String, encoding: Encoding) -> Settings {
    Settings {
        url,
        encoding,
        transports: None,
        skip_negotiation: false,
        has_token_factory: false,
        keep_alive_interval: None,
        server_timeout: None,
        handshake_timeout: None,
        request_timeout: None,
        close_timeout: None,
        stateful_reconnect: None,
        token_refresh: false,
        retry: None,
        retry_jitter: None,
        retry_first_start: None,
        max_retries: None,
        outbox: None,
        store: None,
        delivery: None,
        positions: Vec::new(),
        joins: Vec::new(),
        call_timeout: None,
        ping_method: None,
        session_id: None,
        announce: None,
        max_message_size: None,
        headers: Vec::new(),
        proxy: None,
        root_certificates: Vec::new(),
    }
}

impl Foreign {
    pub(crate) fn open(settings: Settings) -> Result<Self, HubFailure> {
        let (sender, notices) = channel();
        let mut connections = CONNECTIONS.lock().unwrap();
        let opened = connect(settings)?;
        connections.get_or_insert_default().insert(opened.connection.number(), sender);
        drop(connections);
        let reader = opened.reader.map(|reader| {
            std::thread::spawn(move || {
                while let Some(batches) = reader.next() {
                    for batch in batches {
                        let connections = CONNECTIONS.lock().unwrap();
                        let known = connections.as_ref().and_then(|known| known.get(&batch.connection));
                        for notice in batch.notices {
                            // A test may have ended.
                            let _ = known.map(|sender| sender.send(notice));
                        }
                    }
                }
            })
        });
        Ok(Self { connection: opened.connection, notices, reader })
    }

    pub(crate) fn next(&self) -> Notice {
        self.notices.recv_timeout(SOON).unwrap()
    }

    /// The next notice that something can be made of; those before it are dropped.
    pub(crate) fn find<T>(&self, mut what: impl FnMut(Notice) -> Option<T>) -> T {
        loop {
            if let Some(found) = what(self.next()) {
                return found;
            }
        }
    }

    pub(crate) fn started(&self) {
        let ticket = self.connection.start().unwrap();
        let mut is_connected = false;
        let fault = self.find(|notice| match notice {
            Notice::State { change } => {
                is_connected = change.new == ConnectionState::Connected;
                None
            }
            Notice::Started { ticket: ended, fault } if ended == ticket => Some(fault),
            _ => None,
        });
        assert!(fault.is_none() && is_connected, "{fault:?}");
    }

    pub(crate) fn call(
        &self,
        call: u64,
        kind: CallKind,
        target: &str,
        arguments: Value,
    ) -> Result<bool, HubFailure> {
        let arguments = arguments.to_string().into_bytes();
        self.connection.call(call, kind, target.to_owned(), arguments, Vec::new(), None)
    }

    /// The end of a call.
    pub(crate) fn end(&self, call: u64) -> Result<Value, String> {
        self.find(|notice| match notice {
            Notice::Completed { call: ended, value } if ended == call => {
                Some(Ok(value.map_or(Value::Null, |json| serde_json::from_slice(&json).unwrap())))
            }
            Notice::Failed { call: ended, fault } if ended == call => {
                Some(Err(format!("{:?}: {}", fault.kind, fault.reason)))
            }
            _ => None,
        })
    }
}

async fn echo(value: Value) -> Result<Value, HubError> {
    Ok(value)
}

async fn refuse(text: String) -> Result<(), HubError> {
    Err(HubError::new(text))
}

async fn tell(ctx: Context, values: Vec<rmpv::Value>) -> Result<(), HubError> {
    for value in values {
        ctx.clients().caller().send("told", (value,))?;
    }
    Ok(())
}

/// So many messages of a kilobyte each.
async fn flood(ctx: Context, count: u32) -> Result<(), HubError> {
    let text = "x".repeat(1_000);
    for number in 0..count {
        ctx.clients().caller().send("flood", (number, &text))?;
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// A question that is nested more deeply than JSON may be; how it was refused.
async fn ask_too_deep(ctx: Context) -> Result<String, HubError> {
    let deep = (0..200).fold(rmpv::Value::Nil, |inner, _| rmpv::Value::Array(vec![inner]));
    let answer = ctx.clients().caller().invoke::<Value>("question", (deep,)).await;
    Ok(answer.map_or_else(|error| error.to_string(), |answer| answer.to_string()))
}

async fn ask(ctx: Context, value: Value) -> Result<Value, HubError> {
    ctx.clients().caller().invoke("question", (value,)).await
}

/// A server on a runtime of its own.
pub(crate) struct World {
    pub(crate) url: String,
    runtime: tokio::runtime::Runtime,
    server: Option<TestServer>,
}

impl World {
    pub(crate) fn new() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let hub = Hub::builder()
            .method("Echo", echo)
            .method("Refuse", refuse)
            .method("Tell", tell)
            .method("Flood", flood)
            .method("Ask", ask)
            .method("AskTooDeep", ask_too_deep)
            .build()
            .unwrap();
        let server = runtime.block_on(async {
            TestServer::start(Server::builder().hub("/hub", hub).build().unwrap()).await.unwrap()
        });
        Self { url: server.url("/hub"), runtime, server: Some(server) }
    }

    pub(crate) fn connections(&self) -> usize {
        self.server.as_ref().map_or(0, |server| server.handle().statistics().hubs[0].connections)
    }

    /// Waits for something of the server.
    pub(crate) fn until(&self, what: &str, is: impl Fn(&Self) -> bool) {
        let began = std::time::Instant::now();
        while !is(self) {
            assert!(began.elapsed() < SOON, "{what}: not in time");
            std::thread::yield_now();
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _entered = self.runtime.enter();
        self.server = None;
    }
}
