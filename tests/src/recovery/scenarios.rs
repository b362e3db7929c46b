//! The failures. Times in here are part of what fails; nothing sleeps to wait for the client.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use hubwire::client::Hint;
use hubwire::protocol::Transport;
use hubwire::{HubConnection, HubConnectionBuilder};
use tokio::time::sleep;

use super::gate::{Gate, Rule};
use super::server::{ServerProcess, free_address};
use super::subject::{Outcome, Subject};
use super::{Result, needed};
use crate::proxy::{Accept, Faults, Proxy};

/// The longest time from the end of a failure to a call that works.
const LIMIT: Duration = Duration::from_secs(30);
/// The defaults of the client.
const SERVER_TIMEOUT: Duration = Duration::from_secs(30);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// However long something fails here, nobody tries more often: full jitter from 1 s on takes a minute for ten tries.
const TRIES: u64 = 10;
/// What fails more than once.
const AGAIN: RangeInclusive<u64> = 2..=TRIES;
/// The connection is not lost.
const NONE: RangeInclusive<u64> = 0..=0;

/// A failure by script.
#[derive(Debug)]
pub struct Scenario {
    /// What fails.
    pub name: &'static str,
    /// The longest time to recover.
    pub limit: Duration,
    /// Why that is not the usual limit.
    pub note: Option<&'static str>,
    /// How often the client tries to connect again: fewer would show that the failure did not hit, more that it does not
    /// spare the server.
    pub tries: RangeInclusive<u64>,
    run: fn(Stage) -> BoxFuture<'static, Result<Outcome>>,
}

impl Scenario {
    const fn new(name: &'static str, run: fn(Stage) -> BoxFuture<'static, Result<Outcome>>) -> Self {
        Self { name, limit: LIMIT, note: None, tries: 1..=TRIES, run }
    }

    const fn within(mut self, limit: Duration, note: &'static str) -> Self {
        self.limit = limit;
        self.note = Some(note);
        self
    }

    const fn tries(mut self, tries: RangeInclusive<u64>) -> Self {
        self.tries = tries;
        self
    }

    /// Runs it.
    ///
    /// # Errors
    /// When nothing could be measured, for example because the client never came back.
    pub async fn run(&self, stage: Stage) -> Result<Outcome> {
        (self.run)(stage).await
    }

    /// What is wrong with the outcome.
    pub fn faults(&self, outcome: &Outcome) -> Vec<String> {
        let mut faults = outcome.lost.clone();
        if outcome.recovered > self.limit {
            let (took, limit) = (outcome.recovered.as_secs_f32(), self.limit.as_secs_f32());
            faults.push(format!("took {took:.1} s, the limit is {limit:.0} s"));
        }
        if !self.tries.contains(&outcome.tries) {
            faults.push(format!("tried {} times instead of {:?}", outcome.tries, self.tries));
        }
        faults
    }
}

/// What scenarios share.
#[derive(Clone, Copy, Debug)]
pub struct Stage {
    /// A server that stays up.
    pub server: SocketAddr,
    /// Where the client's jitter comes from: it decides how long recovery takes as much as everything else does.
    pub seed: u64,
}

impl Stage {
    /// Everything else as it is by default.
    fn client(&self, address: SocketAddr) -> HubConnectionBuilder {
        HubConnection::builder(format!("http://{address}/hub")).seed(self.seed)
    }

    async fn proxy(&self) -> Result<Proxy> {
        needed("proxy", Proxy::start(self.server).await)
    }

    async fn gate(&self) -> Result<Gate> {
        needed("gate", Gate::start(self.server).await)
    }
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// All of them.
pub fn all() -> Vec<Scenario> {
    let new = Scenario::new;
    vec![
        new("connection cut, WebSockets", |stage| cut(stage, Transport::WebSockets).boxed()),
        new("connection cut, Server-Sent Events", |stage| cut(stage, Transport::ServerSentEvents).boxed()),
        // A cut between two requests is none: the next one makes a connection of its own.
        new("connection cut, long polling", |stage| cut(stage, Transport::LongPolling).boxed())
            .tries(0..=TRIES),
        new("connection reset", |stage| reset(stage).boxed()),
        new("cut, with stateful reconnect", |stage| stateful(stage).boxed()).tries(NONE),
        new("server killed, restarted at once", |stage| killed(stage, seconds(0)).boxed()),
        new("server killed, away for 2 s", |stage| killed(stage, seconds(2)).boxed()),
        new("server killed, away for 10 s", |stage| killed(stage, seconds(10)).boxed()).tries(AGAIN),
        new("server drains and is restarted", |stage| drained(stage).boxed()),
        new("first start, no server for 8 s", |stage| first_start(stage).boxed()).tries(AGAIN),
        new("network refuses for 10 s", |stage| refused(stage).boxed()).tries(AGAIN),
        new("half-open for ever, new ones work", |stage| half_open(stage, Transport::ALL, None).boxed())
            .within(SERVER_TIMEOUT.saturating_add(LIMIT), "noticed by the server timeout, 30 s"),
        new("the same, a hint after 1 s", |stage| {
            half_open(stage, Transport::ALL, Some(Hint::Online)).boxed()
        }),
        new("half-open for ever, long polling", |stage| {
            half_open(stage, [Transport::LongPolling], None).boxed()
        })
        .within(REQUEST_TIMEOUT.saturating_add(LIMIT), "noticed by the timeout of a request, 30 s"),
        new("everything silent for 20 s", |stage| silent(stage, seconds(20)).boxed()).tries(NONE),
        new("everything silent for 35 s", |stage| silent(stage, seconds(35)).boxed()),
        new("503 for 10 s", |stage| unavailable(stage, "503 Service Unavailable").boxed()).tries(AGAIN),
        new("503 with Retry-After 5 for 10 s", |stage| {
            unavailable(stage, "503 Service Unavailable\r\nretry-after: 5").boxed()
        })
        .tries(AGAIN),
        new("401 until a new token after 6 s", |stage| unauthorized(stage).boxed()).tries(AGAIN),
        new("token factory fails 5 times", |stage| failing_factory(stage).boxed()).tries(6..=6),
        new("token factory hangs once", |stage| hanging_factory(stage).boxed())
            .within(REQUEST_TIMEOUT.saturating_add(LIMIT), "given up by the request timeout, 30 s")
            .tries(2..=2),
        new("handshake never answered, once", |stage| deaf(stage).boxed())
            .within(LIMIT, "given up by the handshake timeout, 15 s")
            .tries(2..=2),
        new("accepted and closed for 15 s", |stage| accepts_and_closes(stage).boxed()).tries(AGAIN),
        new("closed after the handshake for 15 s", |stage| closes_after_handshake(stage).boxed())
            .tries(AGAIN),
        new("WebSockets refused from now on", |stage| downgraded(stage, false).boxed()),
        new("… and Server-Sent Events as well", |stage| downgraded(stage, true).boxed()),
    ]
}

async fn cut(stage: Stage, transport: Transport) -> Result<Outcome> {
    let proxy = stage.proxy().await?;
    let mut subject = Subject::connected(stage.client(proxy.address()).transports([transport])).await?;
    subject.failing();
    proxy.cut_all();
    subject.healed().await
}

async fn reset(stage: Stage) -> Result<Outcome> {
    let proxy = stage.proxy().await?;
    let mut subject = Subject::connected(stage.client(proxy.address())).await?;
    subject.failing();
    proxy.reset_all();
    subject.healed().await
}

async fn stateful(stage: Stage) -> Result<Outcome> {
    let proxy = stage.proxy().await?;
    let mut subject = Subject::connected(stage.client(proxy.address()).stateful_reconnect(100_000)).await?;
    subject.failing();
    proxy.cut_all();
    subject.healed().await
}

async fn killed(stage: Stage, away: Duration) -> Result<Outcome> {
    let server = ServerProcess::start_anywhere().await?;
    let address = server.address();
    let mut subject = Subject::connected(stage.client(address)).await?;
    subject.failing();
    server.kill().await?;
    sleep(away).await;
    let _server = ServerProcess::start(address).await?;
    subject.healed().await
}

async fn drained(stage: Stage) -> Result<Outcome> {
    let server = ServerProcess::start_anywhere().await?;
    let address = server.address();
    let mut subject = Subject::connected(stage.client(address)).await?;
    subject.failing();
    server.stop().await?;
    let _server = ServerProcess::start(address).await?;
    subject.healed().await
}

async fn first_start(stage: Stage) -> Result<Outcome> {
    let address = free_address()?;
    let subject = Subject::starting(stage.client(address))?;
    sleep(seconds(8)).await;
    let _server = ServerProcess::start(address).await?;
    subject.healed().await
}

async fn refused(stage: Stage) -> Result<Outcome> {
    let proxy = stage.proxy().await?;
    let mut subject = Subject::connected(stage.client(proxy.address())).await?;
    subject.failing();
    proxy.set(Faults::accept(Accept::Refuse));
    proxy.cut_all();
    sleep(seconds(10)).await;
    proxy.set(Faults::default());
    subject.healed().await
}

async fn half_open(
    stage: Stage,
    transports: impl Into<Vec<Transport>>,
    hint: Option<Hint>,
) -> Result<Outcome> {
    let proxy = stage.proxy().await?;
    let mut subject = Subject::connected(stage.client(proxy.address()).transports(transports)).await?;
    subject.failing();
    for connection in proxy.connections() {
        connection.set(&Faults::black_hole());
    }
    if let Some(hint) = hint {
        sleep(seconds(1)).await;
        subject.connection().hint(hint);
    }
    subject.around().await
}

async fn silent(stage: Stage, time: Duration) -> Result<Outcome> {
    let proxy = stage.proxy().await?;
    let mut subject = Subject::connected(stage.client(proxy.address())).await?;
    subject.failing();
    proxy.set(Faults::black_hole());
    sleep(time).await;
    proxy.set(Faults::default());
    subject.healed().await
}

async fn unavailable(stage: Stage, answer: &'static str) -> Result<Outcome> {
    let gate = stage.gate().await?;
    let mut subject = Subject::connected(stage.client(gate.address())).await?;
    subject.failing();
    gate.set(Rule::Answer(answer));
    gate.cut();
    sleep(seconds(10)).await;
    gate.set(Rule::Forward);
    subject.healed().await
}

async fn unauthorized(stage: Stage) -> Result<Outcome> {
    let gate = stage.gate().await?;
    let renewed = Arc::new(AtomicBool::new(false));
    let factory = {
        let renewed = Arc::clone(&renewed);
        move || {
            let token = if renewed.load(Ordering::Relaxed) { "new" } else { "old" };
            async move { Ok::<_, String>(Some(token.to_owned())) }
        }
    };
    let mut subject = Subject::connected(stage.client(gate.address()).access_token_factory(factory)).await?;
    subject.failing();
    gate.set(Rule::Token("new"));
    gate.cut();
    sleep(seconds(6)).await;
    renewed.store(true, Ordering::Relaxed);
    subject.healed().await
}

async fn failing_factory(stage: Stage) -> Result<Outcome> {
    let proxy = stage.proxy().await?;
    let left = Arc::new(AtomicU32::new(0));
    let worked = Arc::new(tokio::sync::Notify::new());
    let factory = {
        let (left, worked) = (Arc::clone(&left), Arc::clone(&worked));
        move || {
            let fails = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
            if fails == Ok(1) {
                worked.notify_one();
            }
            async move { fails.map_or(Ok(None), |_| Err("it has no token".to_owned())) }
        }
    };
    let mut subject = Subject::connected(stage.client(proxy.address()).access_token_factory(factory)).await?;
    subject.failing();
    left.store(5, Ordering::Relaxed);
    proxy.cut_all();
    // Over with the fifth time: the sixth would work.
    worked.notified().await;
    subject.healed().await
}

async fn hanging_factory(stage: Stage) -> Result<Outcome> {
    let proxy = stage.proxy().await?;
    let hangs = Arc::new(AtomicBool::new(false));
    let factory = {
        let hangs = Arc::clone(&hangs);
        move || {
            let hangs = hangs.swap(false, Ordering::Relaxed);
            async move {
                if hangs {
                    std::future::pending::<()>().await;
                }
                Ok::<_, String>(None)
            }
        }
    };
    let mut subject = Subject::connected(stage.client(proxy.address()).access_token_factory(factory)).await?;
    subject.failing();
    hangs.store(true, Ordering::Relaxed);
    proxy.cut_all();
    subject.around().await
}

async fn deaf(stage: Stage) -> Result<Outcome> {
    let gate = stage.gate().await?;
    let mut subject = Subject::connected(stage.client(gate.address())).await?;
    subject.failing();
    gate.set(Rule::DeafOnce);
    gate.cut();
    subject.around().await
}

async fn accepts_and_closes(stage: Stage) -> Result<Outcome> {
    let proxy = stage.proxy().await?;
    let mut subject = Subject::connected(stage.client(proxy.address())).await?;
    subject.failing();
    proxy.set(Faults::accept(Accept::Close));
    proxy.cut_all();
    sleep(seconds(15)).await;
    proxy.set(Faults::default());
    subject.healed().await
}

async fn closes_after_handshake(stage: Stage) -> Result<Outcome> {
    let gate = stage.gate().await?;
    let mut subject = Subject::connected(stage.client(gate.address())).await?;
    subject.failing();
    gate.set(Rule::CloseAfterHandshake);
    gate.cut();
    sleep(seconds(15)).await;
    gate.set(Rule::Forward);
    subject.healed().await
}

async fn downgraded(stage: Stage, event_streams: bool) -> Result<Outcome> {
    let gate = stage.gate().await?;
    let mut subject = Subject::connected(stage.client(gate.address())).await?;
    subject.failing();
    gate.set(Rule::Refuse { event_streams });
    gate.cut();
    subject.around().await
}
