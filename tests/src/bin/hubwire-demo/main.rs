//! The main job, to look at: the server with its embedded defaults, two clients that chat through it, and its page.
//!
//! `hubwire-demo --server PROGRAM [--check] [--port N]`. Run by `cargo xtask demo`.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use hubwire::protocol::Encoding;
use hubwire::{HubConnection, StateChange};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::mpsc;
use tokio::time::timeout;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The longest that anything may take before the demo counts as failed.
const PATIENCE: Duration = Duration::from_secs(10);
const CONVERSATION: &str = "general";

struct Arguments {
    server: String,
    port: u16,
    check: bool,
}

fn arguments() -> Result<Arguments> {
    let mut parsed = Arguments { server: String::new(), port: 0, check: false };
    let mut rest = std::env::args().skip(1);
    while let Some(name) = rest.next() {
        match name.as_str() {
            "--check" => parsed.check = true,
            "--port" => parsed.port = rest.next().ok_or("--port needs a number")?.parse()?,
            "--server" => parsed.server = rest.next().ok_or("--server needs a program")?,
            _ => return Err(format!("unknown option {name}; there are --server, --check and --port").into()),
        }
    }
    if parsed.server.is_empty() {
        return Err("--server is missing: the program to start".into());
    }
    Ok(parsed)
}

/// The server as a process of its own, as anybody would start it.
struct Server {
    program: String,
    process: Child,
    output: Lines<BufReader<ChildStdout>>,
    url: String,
    key: String,
}

impl Server {
    async fn start(arguments: &Arguments) -> Result<Self> {
        let listen = format!("127.0.0.1:{}", arguments.port);
        println!("$ hubwire-server serve --dev --listen {listen}");
        let mut process = Command::new(&arguments.server)
            .args(["serve", "--dev", "--listen", &listen])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{} cannot be started: {error}", arguments.server))?;
        let output = process.stdout.take().ok_or("the server has no output")?;
        let mut output = BufReader::new(output).lines();
        let (mut url, mut key) = (None, None);
        while url.is_none() || key.is_none() {
            let line = timeout(PATIENCE, output.next_line()).await??.ok_or("the server ended at once")?;
            if let Some(address) = line.strip_prefix("listening on ") {
                url = Some(address.to_owned());
            }
            let assigned = line.split_once("HUBWIRE_AUTH__SIGNING_KEY=").map(|(_, rest)| rest);
            if let Some(value) = assigned.and_then(|rest| rest.split_whitespace().next()) {
                key = Some(value.to_owned());
            }
        }
        let (url, key) = (url.unwrap_or_default(), key.unwrap_or_default());
        println!("server: listening on {url}");
        Ok(Self { program: arguments.server.clone(), process, output, url, key })
    }

    /// A token for development, from the server's own command.
    async fn token(&self, user: &str) -> Result<String> {
        let output = Command::new(&self.program)
            .args(["token", "--user", user])
            .env("HUBWIRE_AUTH__SIGNING_KEY", &self.key)
            .output()
            .await?;
        if !output.status.success() {
            return Err(format!("no token: {}", String::from_utf8_lossy(&output.stderr).trim()).into());
        }
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }
}

/// A client with everything it received.
struct Person {
    name: &'static str,
    connection: HubConnection,
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

async fn chat(server: &Server) -> Result<(Person, Person)> {
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

fn summarize(person: &Person) {
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

/// The page says what happened.
async fn check_page(server: &Server) -> Result<()> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let address = server.url.trim_start_matches("http://");
    for (path, expected) in [("/", "<html"), ("/status.json", "\"connections\":2"), ("/healthz", "")] {
        let mut stream = tokio::net::TcpStream::connect(address).await?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut response = String::new();
        timeout(PATIENCE, stream.read_to_string(&mut response)).await??;
        if !response.starts_with("HTTP/1.1 200") || !response.contains(expected) {
            let beginning: String = response.chars().take(300).collect();
            return Err(format!("{path} does not show {expected}: {beginning}").into());
        }
        println!("  page: {path} is there");
    }
    Ok(())
}

/// Keeps the page alive until Ctrl-C.
async fn go_on(server: &mut Server, alice: &mut Person, bob: &mut Person) -> Result<()> {
    println!("\nOpen {}/ to watch; Ctrl-C ends it.", server.url);
    let mut round = 0_u32;
    let mut pause = tokio::time::interval(Duration::from_secs(2));
    loop {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => return Ok(()),
            line = server.output.next_line() => match line? {
                Some(line) => println!("server: {line}"),
                None => return Err("the server ended".into()),
            },
            _ = pause.tick() => {
                round += 1;
                let person = if round.is_multiple_of(2) { &mut *alice } else { &mut *bob };
                let message = json!({ "conversationId": CONVERSATION, "content": format!("message {round}") });
                let _: Value = person.connection.invoke("SendMessage", (message,)).await?;
            }
            Some(_) = alice.events.recv() => {}
            Some(_) = bob.events.recv() => {}
        }
    }
}

async fn run(arguments: Arguments) -> Result<()> {
    let mut server = Server::start(&arguments).await?;
    let (mut alice, mut bob) = chat(&server).await?;
    check_page(&server).await?;
    summarize(&alice);
    summarize(&bob);
    if !arguments.check {
        go_on(&mut server, &mut alice, &mut bob).await?;
    }
    bob.connection.stop().await;
    alice.connection.stop().await;
    server.process.start_kill()?;
    server.process.wait().await?;
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    let check = match arguments() {
        Ok(arguments) => {
            let check = arguments.check;
            match run(arguments).await {
                Ok(()) => check,
                Err(error) => {
                    eprintln!("demo: failed: {error}");
                    return ExitCode::FAILURE;
                }
            }
        }
        Err(error) => {
            eprintln!("demo: {error}");
            return ExitCode::from(2);
        }
    };
    if check {
        println!("demo: ok");
    }
    ExitCode::SUCCESS
}
