//! The application on both sides.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use hubwire::client::ConnectionState;
use hubwire::{ConnectionEvent, HubConnection, HubConnectionBuilder};
use hubwire_server::{
    Acknowledgements, Config, Context, DeliveryStore, History, Hub, HubClients, HubError, HubOptions,
    ReliableOptions, Server, State, auth,
};
use serde_json::{Map, Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::{Kind, Note, Result, needed};

/// Where the hub is.
pub const HUB: &str = "/hub";
/// The group whose messages are a stream.
pub const GROUP: &str = "room";
const USER: &str = "alice";
/// The client's name, in every process of it.
const SESSION: &str = "device-of-alice-7kQ2mX9bTfWc4uYhR1sN";
const KEY: &str = "a key for tests that is long enough to be one";
/// How many numbers of the stream are for one process.
const NUMBERS: u64 = 1_000_000;
/// How often the server looks at what it has to send.
const PERIOD: Duration = Duration::from_millis(10);
/// The client makes a call so long after the one before.
const BETWEEN_CALLS: Duration = Duration::from_millis(50);

async fn join(ctx: Context) -> std::result::Result<bool, HubError> {
    ctx.groups().add(ctx.connection_id(), GROUP)
}

async fn leave(ctx: Context) -> std::result::Result<bool, HubError> {
    Ok(ctx.groups().remove(ctx.connection_id(), GROUP))
}

async fn count(State(note): State<Note>, number: u64) -> std::result::Result<u64, HubError> {
    note.note(Kind::Ran, number);
    Ok(number)
}

/// A server with everything on: acknowledgements, history and calls that run once.
///
/// # Errors
/// When it cannot be built.
pub fn server(note: Note, mut config: Config, store: Option<Arc<dyn DeliveryStore>>) -> Result<Server> {
    let hub =
        Hub::builder().state(note).method("Join", join).method("Leave", leave).method("Count", count).build();
    config.auth.signing_key = Some(KEY.into());
    let mut limits = Acknowledgements::default();
    // As much as waits for a client that is away for a minute.
    limits.recipient_messages = 100_000;
    limits.recipient_bytes = 64 << 20;
    config.limits.outbox_messages = 100_000;
    config.limits.outbox_bytes = 64 << 20;
    let options = HubOptions {
        acknowledgements: Some(limits),
        history: Some(History::default()),
        ..HubOptions::default()
    };
    let builder = Server::builder().config(config).hub_with(HUB, needed("hub", hub)?, options);
    needed(
        "server",
        match store {
            Some(store) => builder.store(store).build(),
            None => builder.build(),
        },
    )
}

/// How much a server says.
#[derive(Clone, Debug)]
pub struct Pace {
    /// Messages per second.
    pub messages: u32,
    /// Messages of the stream per second.
    pub stream: u32,
    /// Whether that is enough.
    pub enough: Arc<AtomicBool>,
}

/// Sends numbered messages until it is enough, each number once, also over the end of this process.
pub async fn speak(clients: HubClients, note: Note, pace: Pace) {
    let mut message = note.highest(Kind::Attempted);
    // Each process has numbers of its own: the one before may have published some without having come to writing that down.
    let mut tick = note.count(Kind::Began) * NUMBERS;
    // `publish` does not wait for the store: what it did not have yet when the process was killed was given to nobody.
    let mut unstored = Vec::new();
    let (began, mut sent, mut published) = (Instant::now(), 0, 0);
    let mut period = interval(PERIOD);
    period.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        period.tick().await;
        if pace.enough.load(Ordering::SeqCst) {
            unstored.drain(..).for_each(|tick| note.note(Kind::Published, tick));
            return;
        }
        let due = |per_second: u32| {
            u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX) * u64::from(per_second) / 1_000
        };
        while published < due(pace.stream) {
            published += 1;
            tick += 1;
            // The number is used up even if that fails.
            if clients.group(GROUP).publish("Tick", (tick,)).is_ok() {
                unstored.push(tick);
            }
        }
        let batch = message + 1..message + 1 + (due(pace.messages) - sent).min(500);
        if batch.is_empty() {
            continue;
        }
        sent += batch.end - batch.start;
        message = batch.end - 1;
        note.note(Kind::Attempted, message);
        let send = |number: u64| {
            let content = json!({"messageId": format!("m{number}"), "number": number});
            clients.user(USER).reliable(ReliableOptions::default()).send("Show", content)
        };
        // In order, because each is handed over when its future is polled first.
        let results = join_all(batch.clone().map(send)).await;
        for (number, result) in batch.zip(results) {
            let kind = match result {
                Ok(confirmation) if confirmation.recipients() > 0 => {
                    // The store has it, and everything from before it.
                    unstored.drain(..).for_each(|tick| note.note(Kind::Published, tick));
                    Kind::Accepted
                }
                Ok(_) => Kind::Declined,
                Err(_) => Kind::Failed,
            };
            note.note(kind, number);
        }
    }
}

/// A client that writes down what it handles. It refuses the messages that `refuses` says, each once.
///
/// # Errors
/// When it cannot be built.
pub fn client(
    builder: HubConnectionBuilder,
    note: &Note,
    refuses: impl Fn(u64) -> bool + Send + Sync + 'static,
) -> Result<HubConnection> {
    let claims = Map::from_iter([("sub".to_owned(), Value::from(USER))]);
    let token = needed("token", auth::sign(KEY.as_bytes(), claims, Duration::from_secs(3_600)))?;
    let builder = builder.access_token(token).session_id(SESSION).rejoin("Join", "Leave");
    let connection = needed("client", builder.build())?;
    let (notes, refuses) = (note.clone(), Arc::new(refuses));
    connection.on_fallible("Show", move |message: Value| {
        let (note, refuses) = (notes.clone(), refuses.clone());
        async move {
            // Not at once, so that acknowledgements and handlers can get out of step if they do.
            tokio::task::yield_now().await;
            let number = message["number"].as_u64().ok_or("it has no number")?;
            if refuses(number) {
                note.note(Kind::Refused, number);
                return Err("not now");
            }
            note.note(Kind::Handled, number);
            Ok(())
        }
    });
    let notes = note.clone();
    connection.on("Tick", move |number: u64| notes.note(Kind::Streamed, number));
    let notes = note.clone();
    connection.on_event(move |event| {
        if let ConnectionEvent::Gap { .. } = event {
            notes.note(Kind::Gap, 0);
        }
    });
    let notes = note.clone();
    connection.on_state_change(move |change| {
        if change.to == ConnectionState::Connected {
            notes.note(Kind::Connected, 0);
        }
    });
    Ok(connection)
}

/// Connects, joins the stream, and makes numbered calls, until it is dropped.
///
/// # Errors
/// When it cannot connect, or the connection ends for good.
pub async fn listen(connection: HubConnection, note: Note) -> Result<()> {
    needed("start", connection.start().await)?;
    loop {
        // It may be lost before it is answered.
        match connection.invoke::<bool>("Join", ()).await {
            Ok(_) => break,
            Err(_) => sleep(BETWEEN_CALLS).await,
        }
    }
    let mut number = note.highest(Kind::Called);
    loop {
        sleep(BETWEEN_CALLS).await;
        number += 1;
        note.note(Kind::Called, number);
        match connection.invoke::<u64>("Count", (number,)).await {
            Ok(result) if result == number => note.note(Kind::Completed, number),
            Ok(other) => return Err(format!("the call {number} came to {other}")),
            Err(_) => note.note(Kind::Unresolved, number),
        }
    }
}
