//! A client that is killed: it makes durable calls as fast as its store takes them, and says what it knows.
//!
//! `outbox-child URL STORE FIRST [--drain] [--forgetful | --hoarding]`: one fact in a line of standard output, each as
//! soon as it holds:
//!
//! | | |
//! |---|---|
//! | `opened N` | the store is open, with N calls of earlier processes |
//! | `storing n` | the call `Record(n)` is about to be made; n begins with FIRST |
//! | `accepted n` | it was accepted: it must arrive, whatever happens to this process |
//! | `confirmed n` | the server has completed it: it must not be sent again |
//! | `failed TEXT` | something that must not fail has failed |
//! | `drained` | with `--drain`, which makes no calls: nothing is left, and this process ends |
//!
//! `--forgetful` and `--hoarding` break the store: it writes no calls, or deletes none. The test must notice.
#![allow(clippy::print_stdout)]

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use futures_util::future::join_all;
use hubwire::client::{Restored, StoreOp};
use hubwire::protocol::Payload;
use hubwire::{Error, HubConnection, OutboxStore, QueuedCall, RedbStore, StoreError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Calls without an end at one time. More would only pile up for the processes to come.
const OUTSTANDING: usize = 32;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    Forgetful,
    Hoarding,
}

/// A store that says it did what it did not.
struct Broken {
    store: RedbStore,
    fault: Option<Fault>,
}

impl OutboxStore for Broken {
    fn load(&mut self) -> Result<Restored<Payload>, StoreError> {
        self.store.load()
    }

    fn apply(&mut self, batch: &[StoreOp<Payload>]) -> Result<(), StoreError> {
        let ignored = |op: &StoreOp<Payload>| match op {
            StoreOp::Put(..) => self.fault == Some(Fault::Forgetful),
            StoreOp::Delete(_) => self.fault == Some(Fault::Hoarding),
        };
        let batch: Vec<_> = batch.iter().filter(|op| !ignored(op)).cloned().collect();
        self.store.apply(&batch)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, path, first, options @ ..] = &arguments[..] else { return usage() };
    let Ok(first) = first.parse() else { return usage() };
    let (mut drain, mut fault) = (false, None);
    for option in options {
        match option.as_str() {
            "--drain" => drain = true,
            "--forgetful" => fault = Some(Fault::Forgetful),
            "--hoarding" => fault = Some(Fault::Hoarding),
            _ => return usage(),
        }
    }
    let result = async {
        let store = Broken { store: RedbStore::open(path).map_err(Error::from)?, fault };
        run(HubConnection::builder(url).outbox_store(store).build()?, first, drain).await
    };
    match result.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(format!("failed {error}"));
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: outbox-child URL STORE FIRST [--drain] [--forgetful | --hoarding]");
    ExitCode::from(2)
}

/// A killed process must not have known more than it said, nor may a line be torn: one write, at once.
fn say(fact: impl Display) {
    let line = format!("{fact}\n");
    let mut stdout = std::io::stdout().lock();
    // Nobody listens any more: there is nobody to tell that to.
    let _ = stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush());
}

async fn run(connection: HubConnection, first: u64, drain: bool) -> Result<(), Error> {
    let restored = connection.restored_calls().await?;
    say(format!("opened {}", restored.len()));
    let starting = connection.clone();
    tokio::spawn(async move {
        if let Err(error) = starting.start().await {
            say(format!("failed start: {error}"));
        }
    });
    let room = Arc::new(Semaphore::new(OUTSTANDING));
    let restored = restored.into_iter().map(|call| confirm(call, room.clone().try_acquire_owned().ok()));
    let restored = join_all(restored.map(tokio::spawn).collect::<Vec<_>>());
    if drain {
        restored.await;
        let left = connection.metrics().await?.outbox.depth;
        match left {
            0 => say("drained"),
            _ => say(format!("failed {left} calls are left when all have ended")),
        }
        return Ok(());
    }
    let mut number = first;
    loop {
        // Several at once, so that the store gets batches of different sizes. They are made in order all the same:
        // each is handed over when its future is polled first.
        let batch = number..number + 1 + number % 5;
        number = batch.end;
        let mut permits = Vec::new();
        for _ in batch.clone() {
            // Never closed.
            permits.extend(room.clone().acquire_owned().await.ok());
        }
        for (call, permit) in
            join_all(batch.map(|number| make(&connection, number))).await.into_iter().zip(permits)
        {
            tokio::spawn(confirm(call?, Some(permit)));
        }
    }
}

async fn make(connection: &HubConnection, number: u64) -> Result<QueuedCall, Error> {
    say(format!("storing {number}"));
    let call = connection.call("Record").arguments((number,)).durable().enqueue().await?;
    say(format!("accepted {number}"));
    Ok(call)
}

async fn confirm(call: QueuedCall, _room: Option<OwnedSemaphorePermit>) {
    match call.completed::<u64>().await {
        Ok(number) => say(format!("confirmed {number}")),
        Err(error) => say(format!("failed call: {error}")),
    }
}
