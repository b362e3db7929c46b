//! A server and its raw clients.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use hubwire_server::testing::TestServer;
use hubwire_server::{
    Acknowledgements, Config, Context, DeliveryStore, DisconnectReason, Hub, HubClients, HubError,
    HubOptions, Outcome, ReliableOptions, Server, State, auth,
};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

const KEY: &str = "a key for tests that is long enough to be one";

/// Fails the test rather than hanging it.
pub(crate) async fn soon<T>(what: &str, future: impl IntoFuture<Output = T>) -> T {
    let future = future.into_future();
    tokio::time::timeout(Duration::from_secs(30), future)
        .await
        .unwrap_or_else(|_| panic!("{what}: not in time"))
}

/// The defaults, with retries that come at once.
pub(crate) fn eager() -> Acknowledgements {
    let mut limits = Acknowledgements::default();
    limits.initial_retry_delay = Duration::from_millis(1);
    limits
}

pub(crate) struct Bench {
    pub(crate) server: TestServer,
    pub(crate) clients: HubClients,
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
    pub(crate) async fn start(limits: Acknowledgements) -> Self {
        Self::start_with(limits, None).await
    }

    pub(crate) async fn start_with(limits: Acknowledgements, store: Option<Arc<dyn DeliveryStore>>) -> Self {
        let (sender, ended) = mpsc::unbounded_channel();
        let server = TestServer::start(server(limits, store, sender)).await.unwrap();
        let clients = server.handle().hub("/hub").unwrap();
        Self { server, clients, ended }
    }

    /// A user's connection, with that secret name; without one if it is empty.
    pub(crate) async fn connect(&self, user: &str, name: &str) -> Client {
        let claims = json!({"sub": user}).as_object().unwrap().clone();
        let token = auth::sign(KEY.as_bytes(), claims, Duration::from_secs(3600)).unwrap();
        let name = if name.is_empty() { String::new() } else { format!("&clientId={name}") };
        Client::open(&self.server, &format!("?hubwire=1{name}&access_token={token}")).await
    }

    /// Ends a connection, and waits until the server knows.
    pub(crate) async fn disconnect(&mut self, client: Client) {
        client.close().await;
        soon("the end of a connection", self.ended.recv()).await.unwrap();
    }

    pub(crate) fn pending(&self) -> usize {
        self.server.handle().statistics().hubs[0].reliable.unwrap().pending_messages
    }
}

pub(crate) struct Client {
    stream: WebSocketStream<TcpStream>,
    pub(crate) received: Vec<Value>,
    calls: u64,
}

impl Client {
    pub(crate) async fn open(server: &TestServer, query: &str) -> Self {
        let stream = TcpStream::connect(server.address()).await.unwrap();
        let url = server.ws_url(&format!("/hub{query}"));
        let (stream, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
        let mut client = Self { stream, received: Vec::new(), calls: 0 };
        client.send("{\"protocol\":\"json\",\"version\":1}\u{1e}".into()).await;
        assert_eq!(client.next().await, json!({}));
        client
    }

    pub(crate) async fn send(&mut self, text: String) {
        self.stream.send(Message::text(text)).await.unwrap();
    }

    /// The next record that is no ping.
    pub(crate) async fn next(&mut self) -> Value {
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
    pub(crate) async fn shown(&mut self) -> (Value, Value) {
        let message = self.next().await;
        assert_eq!((&message["type"], &message["target"]), (&json!(1), &json!("Show")), "{message}");
        let header = message["headers"]["hubwire-message"].clone();
        let Value::Array(arguments) = &message["arguments"] else { panic!("{message}") };
        assert_eq!(arguments.len(), 1);
        (arguments[0].clone(), header)
    }

    /// The ids of the next messages.
    pub(crate) async fn ids<const N: usize>(&mut self) -> [String; N] {
        let mut ids = [const { String::new() }; N];
        for id in &mut ids {
            *id = self.shown().await.0["messageId"].as_str().unwrap().into();
        }
        ids
    }

    /// Calls a method. What comes before its completion is kept.
    pub(crate) async fn call(&mut self, target: &str, arguments: Value) -> Result<Value, String> {
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

    pub(crate) async fn acknowledge(&mut self, id: &str) {
        self.call("AcknowledgeMessage", json!([id])).await.unwrap();
    }

    pub(crate) async fn close(mut self) {
        self.stream.close(None).await.unwrap();
        while let Some(Ok(_)) = self.stream.next().await {}
    }
}

pub(crate) fn message(id: &str) -> Value {
    json!({"messageId": id, "retryCount": 0, "text": "hello"})
}

pub(crate) fn options() -> ReliableOptions {
    ReliableOptions::default()
}

/// The outcomes without whom they are of.
pub(crate) async fn outcomes(confirmation: hubwire_server::Confirmation) -> Vec<Outcome> {
    soon("the outcomes", confirmation.outcomes()).await.into_iter().map(|(_, outcome)| outcome).collect()
}
