//! Clients that are killed while they make durable calls, one after the other on one store: what was accepted arrives,
//! what was confirmed is not sent again, and the order stays. `outbox-child` is the client.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod ledger;

use std::fmt;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use e2e::proxy::{Accept, EndAfter, Ending, Faults, Lane, Proxy};
use e2e::random::Random;
use hubwire_server::testing::TestServer;
use hubwire_server::{Context, Hub, HubError, HubOptions, Server, State};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use ledger::{Arrivals, Promises, Verdict, judge};

struct Seen {
    arrivals: Mutex<Arrivals>,
    random: Mutex<Random>,
}

async fn connected(ctx: Context, State(seen): State<Arc<Seen>>) -> Result<(), HubError> {
    seen.arrivals.lock().unwrap().connected(ctx.connection_id());
    Ok(())
}

async fn record(ctx: Context, State(seen): State<Arc<Seen>>, call: u64) -> Result<u64, HubError> {
    seen.arrivals.lock().unwrap().called(ctx.connection_id(), call);
    let late = {
        let mut random = seen.random.lock().unwrap();
        (random.below(6) == 0).then(|| Duration::from_micros(random.below(15_000)))
    };
    // A server that is late: kills are to fall between the arrival of a call and its completion.
    if let Some(late) = late {
        tokio::time::sleep(late).await;
    }
    Ok(call)
}

/// When and how one client ends.
struct Plan {
    /// After so many lines of its output, or when they do not come.
    lines: u64,
    /// After so much more time.
    delay: Duration,
    network: Network,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Network {
    Fine,
    /// The server cannot be reached at all.
    Unreachable,
    /// Connections are reset in the midst of it.
    Reset,
    /// Every connection ends after so many bytes.
    Torn(EndAfter),
}

impl Plan {
    fn draw(random: &mut Random) -> Self {
        // Some die before they have said anything: while they open the store, and repair what the one before left.
        let opening = random.below(4) == 0;
        let lines = if opening { 0 } else { random.below(60) };
        let delay = Duration::from_micros(random.below(if opening { 6_000 } else { 30_000 }));
        let how = if random.below(2) == 0 { Ending::Cut } else { Ending::Reset };
        let network = match random.below(10) {
            0 => Network::Unreachable,
            1 => Network::Reset,
            2 => Network::Torn(EndAfter { bytes: 400 + random.below(3000), how }),
            _ => Network::Fine,
        };
        Self { lines, delay, network }
    }
}

/// What a client was doing when it was killed; often several things at once.
#[derive(Default)]
struct Phases {
    opening: usize,
    storing: usize,
    waiting: usize,
    confirming: usize,
    idle: usize,
}

impl fmt::Display for Phases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { opening, storing, waiting, confirming, idle } = self;
        write!(
            f,
            "opening the store {opening}, storing calls {storing}, with accepted calls that had not arrived {waiting}, \
             with calls that had arrived and were not confirmed {confirming}, with nothing under way {idle}"
        )
    }
}

struct Bench {
    seen: Arc<Seen>,
    _server: TestServer,
    proxy: Proxy,
    folder: tempfile::TempDir,
    options: &'static [&'static str],
    promises: Promises,
    phases: Phases,
    kills: usize,
}

/// A client and what it has said so far.
struct Client {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    opened: bool,
    made: Vec<u64>,
    /// How many calls had arrived when it was started.
    arrived: usize,
}

/// How long a client that has nothing to say is waited for before it is killed all the same.
const SILENCE: Duration = Duration::from_millis(200);

impl Bench {
    async fn new(seed: u64, options: &'static [&'static str]) -> Self {
        let seen = Arc::new(Seen { arrivals: Mutex::default(), random: Mutex::new(Random::new(seed, 0)) });
        let hub = Hub::builder()
            .state(seen.clone())
            .on_connected(connected)
            .method("Record", record)
            .build()
            .unwrap();
        // It must not hide what the clients repeat.
        let plain = HubOptions { dedupe: None, ..HubOptions::default() };
        let server = Server::builder().hub_with("/hub", hub, plain).build().unwrap();
        let server = TestServer::start(server).await.unwrap();
        let proxy = Proxy::start(server.address()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (promises, phases) = Default::default();
        Self { seen, _server: server, proxy, folder, options, promises, phases, kills: 0 }
    }

    fn spawn(&self, first: u64, drain: bool) -> Client {
        let mut child = Command::new(Path::new(env!("CARGO_BIN_EXE_outbox-child")))
            .arg(format!("http://{}/hub", self.proxy.address()))
            .arg(self.folder.path().join("outbox.redb"))
            .arg(first.to_string())
            .args(drain.then_some("--drain"))
            .args(self.options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let arrived = self.seen.arrivals.lock().unwrap().len();
        Client { child, lines, opened: false, made: Vec::new(), arrived }
    }

    /// Notes a fact. Returns whether it was `drained`.
    fn note(&mut self, client: &mut Client, line: &str) -> bool {
        let (fact, rest) = line.split_once(' ').unwrap_or((line, ""));
        let number = || rest.parse::<u64>().unwrap_or_else(|_| panic!("the client said '{line}'"));
        match fact {
            "opened" => client.opened = true,
            "storing" => {
                client.made.push(number());
                self.promises.made.insert(number());
            }
            "accepted" => drop(self.promises.accepted.insert(number())),
            "confirmed" => {
                let later = self.seen.arrivals.lock().unwrap().next_connection();
                self.promises.confirmed.entry(number()).or_insert(later);
            }
            "drained" => return true,
            _ => self.promises.failures.push(line.to_owned()),
        }
        false
    }

    async fn cycle(&mut self, plan: Plan) {
        let faults = match plan.network {
            Network::Unreachable => Faults::accept(Accept::Refuse),
            Network::Torn(end) => Faults::both(Lane { end_after: Some(end), ..Lane::default() }),
            Network::Fine | Network::Reset => Faults::default(),
        };
        self.proxy.set(faults);
        // Higher than everything before, whatever of it was accepted without our knowing.
        let first = (self.kills as u64 + 1) * 1_000_000;
        let mut client = self.spawn(first, false);
        for line in 0..plan.lines {
            if plan.network == Network::Reset && line == plan.lines / 2 {
                self.proxy.reset_all();
            }
            match timeout(SILENCE, client.lines.next_line()).await {
                Ok(Ok(Some(text))) => drop(self.note(&mut client, &text)),
                Ok(_) => panic!("the client ended by itself: {:?}", self.promises.failures),
                Err(_) => break,
            }
        }
        tokio::time::sleep(plan.delay).await;
        client.child.kill().await.unwrap();
        // What it said before it died is still in the pipe.
        while let Some(line) = client.lines.next_line().await.unwrap() {
            self.note(&mut client, &line);
        }
        self.kills += 1;
        self.count(&client);
        self.proxy.set(Faults::default());
    }

    fn count(&mut self, client: &Client) {
        let arrivals = self.seen.arrivals.lock().unwrap();
        let Promises { accepted, confirmed, .. } = &self.promises;
        let mut made = client.made.iter().filter(|call| !confirmed.contains_key(call));
        let storing = made.clone().any(|call| !accepted.contains(call));
        let waiting = made.any(|call| accepted.contains(call) && !arrivals.has(*call));
        // Those of clients before are made again.
        let confirming = arrivals.since(client.arrived).any(|call| !confirmed.contains_key(&call));
        let phases = &mut self.phases;
        phases.opening += usize::from(!client.opened);
        phases.storing += usize::from(storing);
        phases.waiting += usize::from(waiting);
        phases.confirming += usize::from(confirming);
        phases.idle += usize::from(client.opened && !storing && !waiting && !confirming);
    }

    /// Lets a client live until everything has left the store.
    async fn drain(&mut self) {
        let mut client = self.spawn(0, true);
        let drained = async {
            while let Some(line) = client.lines.next_line().await.unwrap() {
                if self.note(&mut client, &line) {
                    return true;
                }
            }
            false
        };
        let drained = timeout(Duration::from_secs(60), drained).await.expect("drained in time");
        assert!(drained, "the last client ended: {:?}", self.promises.failures);
        client.child.wait().await.unwrap();
    }

    async fn run(&mut self, cycles: usize, seed: u64) -> Verdict {
        let mut random = Random::new(seed, 0);
        for _ in 0..cycles {
            let plan = Plan::draw(&mut random);
            self.cycle(plan).await;
        }
        self.drain().await;
        judge(&self.promises, &self.seen.arrivals.lock().unwrap())
    }
}

const KILLS: usize = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_kills_lose_nothing_and_repeat_nothing_that_was_confirmed() {
    let started = Instant::now();
    let mut bench = Bench::new(1, &[]).await;
    let verdict = bench.run(KILLS, 42).await;
    let Promises { made, accepted, confirmed, failures } = &bench.promises;
    println!(
        "kills {} in {:.1} s; calls made {}, accepted {}, confirmed {}, arrived {}; arrived again before they were \
         confirmed {}; lost {}, again after they were confirmed {}, out of order {}\nkilled while: {}",
        bench.kills,
        started.elapsed().as_secs_f32(),
        made.len(),
        accepted.len(),
        confirmed.len(),
        verdict.arrived,
        verdict.repeated,
        verdict.lost.len(),
        verdict.after_confirmation.len(),
        verdict.out_of_order.len(),
        bench.phases,
    );
    assert_eq!(failures, &[] as &[String]);
    assert_eq!(verdict.lost, [] as [u64; 0], "accepted and lost");
    assert_eq!(verdict.after_confirmation, [] as [u64; 0], "sent again after the confirmation");
    assert_eq!(verdict.out_of_order, [] as [u64; 0], "out of order");
    assert_eq!(verdict.invented, [] as [u64; 0], "never made");
    // Else it would not have shown much.
    let Phases { opening, storing, waiting, confirming, .. } = bench.phases;
    assert_eq!(bench.kills, KILLS);
    assert!(opening >= 10 && storing >= 10 && waiting >= 10 && confirming >= 10, "{}", bench.phases);
}

#[tokio::test]
async fn a_store_that_forgets_is_noticed() {
    let verdict = Bench::new(2, &["--forgetful"]).await.run(20, 7).await;
    assert!(!verdict.lost.is_empty(), "{verdict:?}");
}

#[tokio::test]
async fn a_store_that_never_deletes_is_noticed() {
    let verdict = Bench::new(3, &["--hoarding"]).await.run(10, 11).await;
    assert!(!verdict.after_confirmation.is_empty(), "{verdict:?}");
    assert_eq!(verdict.lost, [] as [u64; 0]);
}
