//! A client with calls under way all the time, and what a failure does to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hubwire::client::ConnectionState;
use hubwire::{ConnectionEvent, Error, ErrorKind, HubConnection, HubConnectionBuilder, MemoryStore};
use parking_lot::Mutex;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, interval, timeout};

use super::{Result, needed};

/// How often a call is made: by turns one that is idempotent, one that is durable, and one that is neither.
const EVERY: Duration = Duration::from_millis(100);
/// How long anything may take at most; far more than any limit of a scenario.
const PATIENCE: Duration = Duration::from_secs(180);

/// What was measured.
#[derive(Debug)]
pub struct Outcome {
    /// How long the failure lasted.
    pub lasted: Duration,
    /// From its beginning until the client knew that the connection was gone; none if it never was.
    pub noticed: Option<Duration>,
    /// How often it tried to connect again.
    pub tries: u64,
    /// From the end of the failure until a call was completed that was made after it.
    pub recovered: Duration,
    /// How many calls were made, from before the failure to after it.
    pub calls: usize,
    /// Those neither idempotent nor durable whose outcome is unknown: they were under way when the connection was lost.
    pub unknown: usize,
    /// Calls that did not end as they must, with how they did.
    pub lost: Vec<String>,
}

impl Outcome {
    /// The worst of what several clients went through, and the sum of their calls.
    #[must_use]
    pub fn worst(self, other: Self) -> Self {
        Self {
            lasted: self.lasted.max(other.lasted),
            noticed: self.noticed.max(other.noticed),
            tries: self.tries.max(other.tries),
            recovered: self.recovered.max(other.recovered),
            calls: self.calls + other.calls,
            unknown: self.unknown + other.unknown,
            lost: self.lost.into_iter().chain(other.lost).collect(),
        }
    }
}

/// The client, from before the failure to after it.
pub(super) struct Subject {
    connection: HubConnection,
    calls: JoinHandle<JoinSet<Ended>>,
    over: Arc<AtomicBool>,
    watch: Arc<Watch>,
    began: Instant,
}

/// What the client tells by itself.
#[derive(Default)]
struct Watch {
    noticed: Mutex<Option<Instant>>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Idempotent,
    Durable,
    Ordinary,
}

type Ended = (Kind, u64, Result<u64, Error>);

impl Subject {
    /// A client that is connected.
    pub(super) async fn connected(builder: HubConnectionBuilder) -> Result<Self> {
        let subject = Self::starting(builder)?;
        let connected = timeout(PATIENCE, subject.connection.wait_for(ConnectionState::Connected)).await;
        needed("to connect before the failure", connected)?;
        // Calls are under way, on every transport.
        needed("a call before the failure", subject.call().await)?;
        Ok(subject)
    }

    /// A client that has just been told to start.
    pub(super) fn starting(builder: HubConnectionBuilder) -> Result<Self> {
        let connection = needed("to build", builder.outbox_store(MemoryStore::new()).build())?;
        let watch = Arc::new(Watch::default());
        // The subscriptions last as long as the connection.
        let seen = Arc::clone(&watch);
        let _ = connection.on_state_change(move |change| {
            if change.to != ConnectionState::Connected {
                seen.noticed.lock().get_or_insert_with(Instant::now);
            }
        });
        let seen = Arc::clone(&watch);
        let _ = connection.on_event(move |event| {
            if matches!(event, ConnectionEvent::Resumed) {
                seen.noticed.lock().get_or_insert_with(Instant::now);
            }
        });
        let starting = connection.clone();
        tokio::spawn(async move { starting.start().await });
        let over = Arc::new(AtomicBool::new(false));
        let calls = tokio::spawn(call_steadily(connection.clone(), Arc::clone(&over)));
        Ok(Self { connection, calls, over, watch, began: Instant::now() })
    }

    pub(super) const fn connection(&self) -> &HubConnection {
        &self.connection
    }

    /// The failure begins now.
    pub(super) fn failing(&mut self) {
        *self.watch.noticed.lock() = None;
        self.began = Instant::now();
    }

    async fn call(&self) -> Result<u64, Error> {
        self.connection.call("Echo").arguments((0,)).idempotent().invoke().await
    }

    /// The failure is over now: waits for the client to recover and for all calls to end.
    pub(super) async fn healed(self) -> Result<Outcome> {
        let ended = Instant::now();
        let lasted = ended - self.began;
        self.healed_after(lasted).await
    }

    /// As [`healed`](Self::healed), where nothing has to be waited for: the failure itself lasts for ever, and from its
    /// beginning there is a way around it.
    pub(super) async fn around(self) -> Result<Outcome> {
        self.healed_after(Duration::ZERO).await
    }

    async fn healed_after(self, lasted: Duration) -> Result<Outcome> {
        let ended = self.began + lasted;
        let call = needed("to recover", timeout(PATIENCE, self.call()).await)?;
        needed("the call after the failure", call)?;
        let recovered = ended.elapsed();
        let noticed = self.watch.noticed.lock().map(|at| at.saturating_duration_since(self.began));
        let tries = needed("metrics", self.connection.metrics().await)?.retries;
        self.over.store(true, Ordering::Relaxed);
        let mut results = needed("the calls", self.calls.await)?;
        let (mut calls, mut unknown, mut lost) = (0, 0, Vec::new());
        let all = async {
            while let Some(result) = results.join_next().await {
                calls += 1;
                match result {
                    Ok((_, number, Ok(result))) if number == result => {}
                    Ok((Kind::Ordinary, _, Err(error))) if error.kind() == ErrorKind::OutcomeUnknown => {
                        unknown += 1;
                    }
                    other => lost.push(format!("{other:?}")),
                }
            }
        };
        let in_time = timeout(PATIENCE, all).await;
        lost.extend((0..results.len()).map(|_| "a call that never ended".to_owned()));
        calls += if in_time.is_err() { results.len() } else { 0 };
        self.connection.stop().await;
        Ok(Outcome { lasted, noticed, tries, recovered, calls, unknown, lost })
    }
}

async fn call_steadily(connection: HubConnection, over: Arc<AtomicBool>) -> JoinSet<Ended> {
    let mut calls = JoinSet::new();
    let mut ticks = interval(EVERY);
    for number in 0.. {
        ticks.tick().await;
        if over.load(Ordering::Relaxed) {
            break;
        }
        let kind = [Kind::Idempotent, Kind::Durable, Kind::Ordinary][(number % 3) as usize];
        let call = connection.call("Echo").arguments((number,));
        let call = match kind {
            Kind::Idempotent => call.idempotent(),
            Kind::Durable => call.durable(),
            Kind::Ordinary => call,
        };
        calls.spawn(async move { (kind, number, call.invoke().await) });
    }
    calls
}
