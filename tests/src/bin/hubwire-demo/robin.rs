//! Somebody to talk to: a Rust client that answers in the conversation of the page.

use std::time::Duration;

use hubwire::{HubConnection, StateChange};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::keeper::Keeper;
use crate::{PATIENCE, Result};

pub(crate) const NAME: &str = "robin";
pub(crate) const CONVERSATION: &str = "general";

/// As long as it takes to write a sentence, for a quick typist.
const WRITING: Duration = Duration::from_millis(1_200);

const ANSWERS: [&str; 4] = [
    "Hello! I am a Rust client on the same core.",
    "Kill the server with the button below, and write on: nothing is lost.",
    "Your messages wait in IndexedDB until the server is back, also over a reload.",
    "Start a task, too: only what changes of its progress travels.",
];

/// Answers until it is dropped.
pub(crate) struct Robin {
    connection: HubConnection,
    answering: JoinHandle<()>,
}

impl Robin {
    pub(crate) async fn connect(keeper: &Keeper) -> Result<Self> {
        let connection = resilient(keeper, NAME).await?;
        connection.on_state_change(|StateChange { from, to, .. }| println!("{NAME:>6}: {from} -> {to}"));
        let (sender, mut heard) = mpsc::channel::<()>(1);
        connection.on("ReceiveMessage", move |message: Value| {
            if message["userId"] != NAME {
                // One that is about to answer need not be told twice.
                let _ = sender.try_send(());
            }
        });
        connection.start().await?;
        connection.invoke::<()>("JoinConversation", (CONVERSATION,)).await?;
        let client = connection.clone();
        let answering = tokio::spawn(async move {
            let mut answers = ANSWERS.iter().cycle();
            while heard.recv().await.is_some() {
                let Some(answer) = answers.next() else { return };
                if let Err(error) = say(&client, answer).await {
                    println!("{NAME:>6}: could not answer: {error}");
                }
            }
        });
        Ok(Self { connection, answering })
    }

    pub(crate) async fn end(self) {
        self.answering.abort();
        self.connection.stop().await;
    }
}

/// A client that comes back after everything.
async fn resilient(keeper: &Keeper, user: &str) -> Result<HubConnection> {
    Ok(HubConnection::builder(format!("{}/hubs/chat", keeper.url()))
        .access_token(keeper.token(user)?)
        .rejoin("JoinConversation", "LeaveConversation")
        .build()?)
}

async fn say(client: &HubConnection, text: &str) -> Result<()> {
    client.send("StartTyping", (CONVERSATION,)).await?;
    sleep(WRITING).await;
    let message = json!({ "conversationId": CONVERSATION, "content": text });
    client.invoke::<Value>("SendMessage", (message,)).await?;
    Ok(())
}

/// Somebody writes, and is answered.
pub(crate) async fn check(keeper: &Keeper) -> Result<()> {
    let guest = resilient(keeper, "guest").await?;
    let (sender, mut heard) = mpsc::unbounded_channel();
    guest.on("ReceiveMessage", move |message: Value| drop(sender.send(message)));
    guest.start().await?;
    guest.invoke::<()>("JoinConversation", (CONVERSATION,)).await?;
    let message = json!({ "conversationId": CONVERSATION, "content": "Is anybody there?" });
    guest.invoke::<Value>("SendMessage", (message,)).await?;
    loop {
        let message = timeout(PATIENCE, heard.recv()).await.map_err(|_| "robin does not answer")?;
        let message = message.ok_or("the connection is gone")?;
        println!(" guest: <- {}: {}", message["userId"], message["content"]);
        if message["userId"] == NAME {
            guest.stop().await;
            return Ok(());
        }
    }
}
