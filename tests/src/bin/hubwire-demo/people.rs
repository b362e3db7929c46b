//! Two clients that chat, and say whether everything came that should have.

use std::time::{Duration, Instant};

use hubwire::protocol::Encoding;
use hubwire::{HubConnection, StateChange};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::plain::Server;
use crate::{PATIENCE, Result};

const CONVERSATION: &str = "general";

/// A client with everything it received.
pub(crate) struct Person {
    name: &'static str,
    pub(crate) connection: HubConnection,
    events: mpsc::UnboundedReceiver<(&'static str, Value)>,
    round_trips: Vec<Duration>,
}

const EVENTS: [&str; 7] = [
    "ReceiveMessage",
    "UserJoined",
    "UserLeft",
    "TypingUpdate",
    "MessageEdited",
    "MessageDeleted",
    "ConversationUpdated",
];

impl Person {
    async fn connect(server: &Server, name: &'static str, encoding: Encoding) -> Result<Self> {
        let connection = HubConnection::builder(format!("{}/hubs/chat", server.url))
            .access_token(server.token(name).await?)
            .encoding(encoding)
            .build()?;
        let (sender, events) = mpsc::unbounded_channel();
        for event in EVENTS {
            let sender = sender.clone();
            connection.on(event, move |payload: Value| drop(sender.send((event, payload))));
        }
        connection.on_state_change(move |StateChange { from, to, .. }| println!("{name:>6}: {from} -> {to}"));
        let began = Instant::now();
        connection.start().await?;
        println!("{name:>6}: connected in {:.1?} over WebSockets, {}", began.elapsed(), encoding.name());
        Ok(Self { name, connection, events, round_trips: Vec::new() })
    }

    async fn invoke(&mut self, method: &str, argument: Value) -> Result<Value> {
        let began = Instant::now();
        let result = timeout(PATIENCE, self.connection.invoke(method, (&argument,))).await??;
        let took = began.elapsed();
        self.round_trips.push(took);
        println!("{:>6}: {method} took {took:.1?}", self.name);
        Ok(result)
    }

    /// Takes the next event, which must be that one and have those properties.
    async fn expect(&mut self, event: &str, properties: Value) -> Result<Value> {
        let next = timeout(PATIENCE, self.events.recv()).await;
        let next = next.map_err(|_| format!("{} did not get {event}", self.name))?;
        let (got, payload) = next.ok_or("the connection is gone")?;
        println!("{:>6}: <- {got} {payload}", self.name);
        let expected = properties.as_object().into_iter().flatten();
        let fits = expected.into_iter().all(|(name, value)| payload[name] == *value);
        if got != event || !fits {
            return Err(format!("{} got {got} {payload}, expected {event} {properties}", self.name).into());
        }
        Ok(payload)
    }
}

/// Both get the same, in the same order.
async fn both_expect(people: [&mut Person; 2], event: &str, properties: Value) -> Result<()> {
    for person in people {
        person.expect(event, properties.clone()).await?;
    }
    Ok(())
}

pub(crate) async fn chat(server: &Server) -> Result<(Person, Person)> {
    // One of each encoding: what one sends as JSON the other gets as MessagePack.
    let mut alice = Person::connect(server, "alice", Encoding::Json).await?;
    let mut bob = Person::connect(server, "bob", Encoding::MessagePack).await?;

    alice.invoke("JoinConversation", json!(CONVERSATION)).await?;
    alice.expect("UserJoined", json!({ "conversationId": CONVERSATION, "userId": "alice" })).await?;
    bob.invoke("JoinConversation", json!(CONVERSATION)).await?;
    both_expect([&mut alice, &mut bob], "UserJoined", json!({ "userId": "bob" })).await?;

    alice.invoke("StartTyping", json!(CONVERSATION)).await?;
    both_expect([&mut alice, &mut bob], "TypingUpdate", json!({ "typingUsers": ["alice"] })).await?;
    let text = "Hello Bob – grüß dich! 👋";
    let message = json!({ "conversationId": CONVERSATION, "content": text, "messageId": "demo-1" });
    let sent = alice.invoke("SendMessage", message).await?;
    let received = json!({ "messageId": "demo-1", "userId": "alice", "content": text, "edited": false });
    if sent["content"] != text {
        return Err(format!("SendMessage returned {sent}").into());
    }
    both_expect([&mut alice, &mut bob], "ReceiveMessage", received).await?;
    both_expect([&mut alice, &mut bob], "TypingUpdate", json!({ "typingUsers": [] })).await?;

    let answer = json!({ "conversationId": CONVERSATION, "content": "Hi Alcie" });
    let answer = bob.invoke("SendMessage", answer).await?;
    let id = answer["messageId"].clone();
    let received = json!({ "userId": "bob", "messageId": id });
    both_expect([&mut alice, &mut bob], "ReceiveMessage", received).await?;
    let edit = json!({ "conversationId": CONVERSATION, "messageId": id, "newContent": "Hi Alice" });
    bob.invoke("EditMessage", edit).await?;
    let edited = json!({ "messageId": id, "content": "Hi Alice", "edited": true });
    both_expect([&mut alice, &mut bob], "MessageEdited", edited).await?;

    // Not hers: the server refuses, and nobody gets anything.
    let reference = json!({ "conversationId": CONVERSATION, "messageId": id });
    match alice.connection.invoke::<Value>("DeleteMessage", (&reference,)).await {
        Err(error) => println!(" alice: DeleteMessage of bob's message is refused: {error}"),
        Ok(_) => return Err("alice could delete bob's message".into()),
    }
    bob.invoke("DeleteMessage", reference).await?;
    let deleted = json!({ "messageId": id, "deletedBy": "bob" });
    both_expect([&mut alice, &mut bob], "MessageDeleted", deleted).await?;
    Ok((alice, bob))
}

pub(crate) fn summarize(person: &Person) {
    let mut times = person.round_trips.clone();
    times.sort_unstable();
    if let (Some(least), Some(most)) = (times.first(), times.last()) {
        let median = times[times.len() / 2];
        let count = times.len();
        println!(
            "{:>6}: {count} calls, round trip {least:.1?} / {median:.1?} / {most:.1?} (min/median/max)",
            person.name
        );
    }
}
