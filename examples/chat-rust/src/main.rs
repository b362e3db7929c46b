//! A chat on the command line, with the public Rust API only.
//!
//! `chat-rust URL TOKEN [CONVERSATION]`, for example
//! `chat-rust http://127.0.0.1:8080/hubs/chat "$(hubwire-server token --user alice)"`. What you type is sent; `/edit TEXT`
//! changes your last message, `/delete` takes it back, Ctrl-D leaves.
#![allow(clippy::print_stdout)]

use std::error::Error;

use hubwire::HubConnection;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, BufReader};

/// What `SendMessage` takes.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NewMessage<'a> {
    conversation_id: &'a str,
    content: &'a str,
}

/// What `EditMessage` and `DeleteMessage` take.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Change<'a> {
    conversation_id: &'a str,
    message_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    new_content: Option<&'a str>,
}

/// A message as everybody gets it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    message_id: String,
    user_id: String,
    content: String,
}

/// Who came or went.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Presence {
    user_id: String,
}

/// Who is typing.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Typing {
    typing_users: Vec<String>,
}

fn listen(connection: &HubConnection) {
    connection.on("ReceiveMessage", |message: Message| println!("{}: {}", message.user_id, message.content));
    connection.on("MessageEdited", |message: Message| {
        println!("{} corrects: {}", message.user_id, message.content);
    });
    connection.on("MessageDeleted", |message: serde_json::Value| {
        println!("* {} takes a message back", message["deletedBy"].as_str().unwrap_or("somebody"));
    });
    connection.on("UserJoined", |who: Presence| println!("* {} is here", who.user_id));
    connection.on("UserLeft", |who: Presence| println!("* {} left", who.user_id));
    connection.on("TypingUpdate", |typing: Typing| {
        if !typing.typing_users.is_empty() {
            println!("* typing: {}", typing.typing_users.join(", "));
        }
    });
    connection.on_state_change(|change| println!("* {} ({:?})", change.to, change.cause));
}

/// Does what a line says. Gives the id of the message that was sent.
async fn say(
    connection: &HubConnection,
    conversation_id: &str,
    line: &str,
    last: Option<&str>,
) -> Result<Option<String>, hubwire::Error> {
    let (method, new_content) = match line.strip_prefix("/edit ") {
        Some(text) => ("EditMessage", Some(text)),
        None if line == "/delete" => ("DeleteMessage", None),
        None => {
            let message = NewMessage { conversation_id, content: line };
            let sent: Message = connection.invoke("SendMessage", (message,)).await?;
            return Ok(Some(sent.message_id));
        }
    };
    if let Some(message_id) = last {
        connection.invoke::<()>(method, (Change { conversation_id, message_id, new_content },)).await?;
    } else {
        println!("* you have not said anything yet");
    }
    Ok(last.map(str::to_owned))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(url), Some(token)) = (arguments.next(), arguments.next()) else {
        return Err("usage: chat-rust URL TOKEN [CONVERSATION]".into());
    };
    let conversation = arguments.next().unwrap_or_else(|| "general".to_owned());

    let connection = HubConnection::builder(url).access_token(token).build()?;
    listen(&connection);
    connection.start().await?;
    connection.invoke::<()>("JoinConversation", (&conversation,)).await?;

    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut last = None;
    while let Some(line) = lines.next_line().await? {
        match say(&connection, &conversation, line.trim(), last.as_deref()).await {
            Ok(id) => last = id,
            Err(error) => println!("* {error}"),
        }
    }
    connection.stop().await;
    Ok(())
}
