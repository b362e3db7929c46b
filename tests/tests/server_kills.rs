//! A server that is killed while it sends messages that are to be acknowledged and runs calls, again and again on one store:
//! what it accepted arrives, once and in order, and no call runs twice. `delivery-child` is the server.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use e2e::random::Random;
use hubwire::HubConnection;
use hubwire::client::{Hint, RetryPolicy};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::watch;
use tokio::time::timeout;

/// What the servers said.
#[derive(Default)]
struct Facts {
    sent: BTreeSet<u64>,
    accepted: BTreeSet<u64>,
    runs: BTreeMap<u64, u64>,
    failures: Vec<String>,
}

struct Bench {
    address: SocketAddr,
    folder: tempfile::TempDir,
    options: &'static [&'static str],
    facts: Facts,
    kills: u64,
    client: HubConnection,
}

struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

/// How long a server that has nothing to say is waited for before it is killed all the same.
const SILENCE: Duration = Duration::from_millis(500);

impl Bench {
    fn new(options: &'static [&'static str]) -> Self {
        // It is free again at once, and the servers take it one after the other.
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let client = HubConnection::builder(format!("http://{address}/hub"))
            .retry(RetryPolicy::table(vec![Duration::from_millis(10); 100_000]))
            .build()
            .unwrap();
        Self { address, folder, options, facts: Facts::default(), kills: 0, client }
    }

    fn spawn(&self, first: u64, drain: bool) -> Process {
        let mut child = Command::new(env!("CARGO_BIN_EXE_delivery-child"))
            .arg(self.address.to_string())
            .arg(self.folder.path().join("store"))
            .arg(first.to_string())
            .args(drain.then_some("--drain"))
            .args(self.options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Process { child, lines }
    }

    /// Notes a fact. Returns whether it was `drained`.
    fn note(&mut self, line: &str) -> bool {
        let (fact, rest) = line.split_once(' ').unwrap_or((line, ""));
        let number = || rest.parse::<u64>().unwrap_or_else(|_| panic!("the server said '{line}'"));
        match fact {
            // Clients are careful with servers that end so often.
            "listening" => self.client.hint(Hint::Online),
            "sending" => drop(self.facts.sent.insert(number())),
            "accepted" => drop(self.facts.accepted.insert(number())),
            "ran" => *self.facts.runs.entry(number()).or_default() += 1,
            "drained" => return true,
            _ => self.facts.failures.push(line.to_owned()),
        }
        false
    }

    async fn cycle(&mut self, random: &mut Random) {
        // Some die before they have said anything: while they open the store, and repair what the one before left.
        let opening = random.below(6) == 0;
        let lines = if opening { 0 } else { random.below(120) };
        // Others in the midst of what they say.
        let at_once = random.below(2) == 0;
        let delay = Duration::from_micros(if at_once { 0 } else { random.below(20_000) });
        self.kills += 1;
        let mut process = self.spawn(self.kills * 1_000_000, false);
        for _ in 0..lines {
            match timeout(SILENCE, process.lines.next_line()).await {
                Ok(Ok(Some(line))) => drop(self.note(&line)),
                Ok(_) => panic!("the server ended by itself: {:?}", self.facts.failures),
                Err(_) => break,
            }
        }
        tokio::time::sleep(delay).await;
        process.child.kill().await.unwrap();
        // What it said before it died is still in the pipe.
        while let Some(line) = process.lines.next_line().await.unwrap() {
            self.note(&line);
        }
    }

    /// Lets a server live until nothing waits any more and `done` is.
    async fn drain(&mut self, done: impl Future<Output = ()>) {
        let mut process = self.spawn(u64::MAX, true);
        let drained = async {
            loop {
                let line = process.lines.next_line().await.unwrap().expect("the last server lives");
                if self.note(&line) {
                    return;
                }
            }
        };
        timeout(Duration::from_secs(60), drained).await.expect("drained in time");
        timeout(Duration::from_secs(60), done).await.expect("the calls end in time");
        process.child.kill().await.unwrap();
        while let Some(line) = process.lines.next_line().await.unwrap() {
            self.note(&line);
        }
    }

    async fn run(&mut self, kills: u64, seed: u64) -> Seen {
        let shown = Arc::new(Mutex::new(Vec::new()));
        let connection = self.client.clone();
        let received = shown.clone();
        connection.on("Show", move |message: Value| {
            received.lock().unwrap().push(message["number"].as_u64().unwrap());
        });
        let (stop, stopped) = watch::channel(false);
        let caller = connection.clone();
        let calls = tokio::spawn(async move {
            // The first attempt needs a server that is there.
            while caller.start().await.is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            let mut results = Vec::new();
            for number in 1.. {
                if *stopped.borrow() {
                    break;
                }
                results.push((number, caller.invoke::<u64>("Pay", (number,)).await));
            }
            results
        });
        let mut random = Random::new(seed, 0);
        for _ in 0..kills {
            self.cycle(&mut random).await;
        }
        stop.send(true).unwrap();
        let mut results = Vec::new();
        self.drain(async { results = calls.await.unwrap() }).await;
        connection.stop().await;
        let shown = shown.lock().unwrap().clone();
        Seen { shown, results }
    }
}

struct Seen {
    /// Messages that the application got.
    shown: Vec<u64>,
    results: Vec<(u64, Result<u64, hubwire::Error>)>,
}

const KILLS: u64 = 60;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_kills_lose_nothing_that_was_accepted_and_run_no_call_twice() {
    let mut bench = Bench::new(&[]);
    let Seen { shown, results } = bench.run(KILLS, 42).await;
    let Facts { sent, accepted, runs, failures } = &bench.facts;
    let unknown = results.iter().filter(|(_, result)| result.is_err()).count();
    println!(
        "kills {KILLS}; messages sent {}, accepted {}, shown {}; calls {}, of which the outcome is not known {unknown}",
        sent.len(),
        accepted.len(),
        shown.len(),
        results.len(),
    );
    assert_eq!(failures, &[] as &[String]);
    let once: BTreeSet<_> = shown.iter().copied().collect();
    assert_eq!(once.len(), shown.len(), "shown twice");
    assert_eq!(accepted.difference(&once).collect::<Vec<_>>(), [] as [&u64; 0], "accepted and lost");
    assert_eq!(once.difference(sent).collect::<Vec<_>>(), [] as [&u64; 0], "never sent");
    assert!(shown.is_sorted(), "out of order");
    let twice: Vec<_> = runs.iter().filter(|(_, runs)| **runs > 1).collect();
    assert_eq!(twice, [] as [(&u64, &u64); 0], "ran twice");
    for (number, result) in &results {
        match result {
            Ok(value) => assert_eq!((value, runs.get(number)), (number, Some(&1))),
            Err(error) => assert!(error.to_string().contains("is not known"), "{number}: {error}"),
        }
    }
    // Else it would not have shown much.
    assert!(accepted.len() > 100 && results.len() > 10 && unknown < results.len(), "little was tried");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_forgets_is_noticed() {
    let mut bench = Bench::new(&["--forgetful"]);
    let Seen { shown, .. } = bench.run(40, 7).await;
    let shown: BTreeSet<_> = shown.into_iter().collect();
    assert!(!bench.facts.accepted.is_subset(&shown));
}
