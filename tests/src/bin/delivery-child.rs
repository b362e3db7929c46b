//! A server that is killed: it sends to its clients as fast as its store takes it, and says what it knows.
//!
//! `delivery-child ADDRESS STORE FIRST [--drain] [--forgetful]`: one fact in a line of standard output, each as soon as it
//! holds:
//!
//! | | |
//! |---|---|
//! | `listening` | clients can come |
//! | `sending n` | the message n is about to be sent; n begins with FIRST, and with the first client |
//! | `accepted n` | it was accepted: it must arrive, whatever happens to this process |
//! | `ran n` | the method `Pay(n)` runs, which must not happen again |
//! | `failed TEXT` | something that must not fail has failed |
//! | `drained` | with `--drain`, which sends nothing: nothing waits for a client |
//!
//! `--forgetful` breaks the store: it writes nothing. The test must notice.
#![allow(clippy::print_stdout)]

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use hubwire_server::store::{Change, Loaded, RedbDeliveryStore, StoreError};
use hubwire_server::{
    DeliveryStore, Hub, HubClients, HubError, ReliableOptions, Server, ServerHandle, State,
};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// Messages that nobody has acknowledged. More would only pile up for the processes to come.
const OUTSTANDING: usize = 64;

/// A store that says it did what it did not.
#[derive(Debug)]
struct Store {
    inner: RedbDeliveryStore,
    forgetful: bool,
}

impl DeliveryStore for Store {
    fn load(&self, table: &str) -> Result<Loaded, StoreError> {
        self.inner.load(table)
    }

    fn apply(&self, changes: &[Change]) -> Result<(), StoreError> {
        if self.forgetful {
            return Ok(());
        }
        self.inner.apply(changes)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, path, first, options @ ..] = &arguments[..] else { return usage() };
    let Ok(first) = first.parse() else { return usage() };
    let has = |name: &str| options.iter().any(|option| option == name);
    match run(address, path, first, has("--drain"), has("--forgetful")).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(format!("failed {error}"));
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: delivery-child ADDRESS STORE FIRST [--drain] [--forgetful]");
    ExitCode::from(2)
}

/// A killed process must not have known more than it said, nor may a line be torn: one write, at once.
fn say(fact: impl Display) {
    let line = format!("{fact}\n");
    let mut stdout = std::io::stdout().lock();
    // Nobody listens any more: there is nobody to tell that to.
    let _ = stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush());
}

async fn connected(State(came): State<Arc<Notify>>) -> Result<(), HubError> {
    came.notify_one();
    Ok(())
}

async fn pay(number: u64) -> Result<u64, HubError> {
    say(format!("ran {number}"));
    // Some take a while: kills are to fall into them.
    if number.is_multiple_of(3) {
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    Ok(number)
}

async fn run(
    address: &str,
    path: &str,
    first: u64,
    drain: bool,
    forgetful: bool,
) -> Result<(), Box<dyn std::error::Error>> {
    let came = Arc::new(Notify::new());
    let hub = Hub::builder().state(came.clone()).on_connected(connected).method("Pay", pay).build()?;
    let store = Store { inner: RedbDeliveryStore::open(path)?, forgetful };
    let server = Server::builder().hub("/hub", hub).store(store).build()?;
    let handle = server.handle();
    let listener = TcpListener::bind(address).await?;
    say("listening");
    tokio::spawn(async move {
        if let Err(error) = server.serve(listener, std::future::pending()).await {
            say(format!("failed {error}"));
        }
    });
    // Before that there is nobody to send to.
    came.notified().await;
    let clients = handle.hub("/hub").ok_or("no hub")?;
    if drain {
        until_at_most(&handle, 0).await;
        say("drained");
        return std::future::pending().await;
    }
    let mut number = first;
    loop {
        // Several at once, so that the store gets batches of different sizes. They are sent in order all the same: each is
        // handed over when its future is polled first.
        let batch = number..number + 1 + number % 5;
        number = batch.end;
        until_at_most(&handle, OUTSTANDING).await;
        join_all(batch.map(|number| send(&clients, number))).await;
    }
}

async fn until_at_most(handle: &ServerHandle, pending: usize) {
    let waiting = || {
        let statistics = handle.statistics();
        statistics.hubs.first().and_then(|hub| hub.reliable.as_ref().map(|own| own.pending_messages))
    };
    while waiting().is_some_and(|waiting| waiting > pending) {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn send(clients: &HubClients, number: u64) {
    say(format!("sending {number}"));
    let message = json!({"messageId": number.to_string(), "number": number});
    match clients.all().reliable(ReliableOptions::default()).send("Show", message).await {
        Ok(_) => say(format!("accepted {number}")),
        Err(error) => say(format!("failed {error}")),
    }
}
