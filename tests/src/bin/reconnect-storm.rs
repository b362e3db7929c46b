//! How the clients of a server come back when all of them lose it at the same moment; see `e2e::storm`.
//!
//! `reconnect-storm [CLIENTS]`, 100,000 unless given: prints the tables for a terminal and for a page.
#![allow(clippy::print_stdout)]

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use e2e::storm::{self, Row};
use parking_lot::Mutex;

const CLIENTS: u64 = 100_000;
const SEED: u64 = 1;
/// More would hold as many populations in memory at one time.
const THREADS: usize = 2;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let clients = match &arguments[..] {
        [] => Some(CLIENTS),
        [clients] => clients.parse().ok().filter(|clients| *clients > 0),
        _ => None,
    };
    let Some(clients) = clients else {
        eprintln!("usage: reconnect-storm [CLIENTS]");
        return ExitCode::from(2);
    };
    let tables = simulate(clients);
    println!(
        "{clients} clients lose their connections at the same moment; rates are the most in any 100 ms\n"
    );
    for (outage, rows) in &tables {
        println!("server away for {} s\n{}", outage.as_secs(), storm::aligned(rows));
    }
    for (outage, rows) in &tables {
        println!("### Server away for {} s\n\n{}", outage.as_secs(), storm::markdown(rows));
    }
    ExitCode::SUCCESS
}

/// All contenders, by outage.
fn simulate(clients: u64) -> Vec<(Duration, Vec<Row>)> {
    let contenders = storm::contenders();
    let runs: Vec<_> = storm::OUTAGES
        .into_iter()
        .flat_map(|outage| contenders.iter().map(move |contender| (outage, contender)))
        .collect();
    let done: Mutex<Vec<Option<Row>>> = Mutex::new(vec![None; runs.len()]);
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some((index, (outage, contender))) = take(&next, &runs) {
                    let tally = storm::run(contender, clients, *outage, SEED);
                    done.lock()[index] = Some(Row { name: contender.name, tally });
                }
            });
        }
    });
    let mut rows = done.into_inner().into_iter().flatten();
    let table = |outage| (outage, rows.by_ref().take(contenders.len()).collect());
    storm::OUTAGES.into_iter().map(table).collect()
}

/// The next one that nobody has taken yet.
fn take<'a, T>(next: &AtomicUsize, runs: &'a [T]) -> Option<(usize, &'a T)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    runs.get(index).map(|run| (index, run))
}
