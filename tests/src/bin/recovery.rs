//! How long clients need to come back from failures, and how still they are when there is none; see `e2e::recovery`.
//!
//! `recovery [WORD…]` runs all scenarios, or those whose names contain one of the words, at the same time and each with
//! several clients, prints a table of the worst, and fails when one takes longer than its limit. `recovery serve ADDRESS`
//! and `recovery idle ADDRESS` are the processes that it starts.
#![allow(clippy::print_stdout)]

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use e2e::recovery::{self, Result, Row, Scenario, ServerProcess, Stage, idle};
use futures_util::future::join_all;

/// How many clients go through each scenario, each with its own server, proxy or gateway in between: the same in every
/// run, as far as chance is the client's.
const SEEDS: std::ops::Range<u64> = 1..5;
/// Four periods of the keep-alive.
const IDLE: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let address = |text: &str| text.parse().map_err(|error| format!("{text}: {error}"));
    let result = match &words[..] {
        ["serve", text] => match address(text) {
            Ok(address) => recovery::serve(address).await,
            Err(error) => Err(error),
        },
        ["idle", text] => match address(text) {
            Ok(address) => idle::client(address).await,
            Err(error) => Err(error),
        },
        words => run(words).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("recovery: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(words: &[&str]) -> Result<()> {
    let mut scenarios = recovery::all();
    scenarios.retain(|scenario| match words {
        [] => true,
        words => words.iter().any(|word| scenario.name.contains(word)),
    });
    let server = ServerProcess::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    let clients = SEEDS.count();
    println!(
        "{} failures at the same time, {clients} clients each, with the client's defaults\n",
        scenarios.len()
    );
    let idle = async {
        match words {
            [] => idle::measure(server.address(), IDLE).await,
            _ => Ok(None),
        }
    };
    let several = scenarios.iter().zip(0_u64..).map(|(scenario, number)| {
        let seeds = SEEDS.map(move |seed| number * 100 + seed);
        several(scenario, server.address(), seeds)
    });
    let (rows, idle) = tokio::join!(join_all(several), idle);
    println!("{}", recovery::aligned(&rows));
    let tries = rows.iter().filter_map(|row| Some((row.worst.as_ref()?.tries, row.scenario.name))).max();
    if let Some((tries, name)) = tries {
        println!("most tries: {tries}, {name}");
    }
    let mut faults: Vec<String> = rows.iter().flat_map(|row| row.faults.clone()).collect();
    match idle {
        Ok(Some(idle)) => {
            let (time, wakeups, bound) = (idle.time.as_secs(), idle.wakeups, idle.bound());
            println!("idle for {time} s: {wakeups} wake-ups, {bound} at most");
            if wakeups > bound {
                faults.push(format!("idle: {wakeups} wake-ups, the limit is {bound}"));
            }
        }
        Ok(None) => println!("idle: not measured"),
        Err(error) => faults.push(format!("idle: {error}")),
    }
    let failed = rows.iter().filter(|row| !row.faults.is_empty()).count();
    let usual = rows.iter().filter(|row| row.scenario.note.is_none());
    let slowest = usual.filter_map(|row| Some(row.worst.as_ref()?.recovered)).max().unwrap_or_default();
    println!(
        "\nrecovery: {} scenarios, {failed} failed; the slowest of those without a note took {:.1} s",
        rows.len(),
        slowest.as_secs_f32(),
    );
    server.stop().await?;
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\nrecovery: ")) }
}

async fn several(scenario: &Scenario, server: SocketAddr, seeds: impl Iterator<Item = u64>) -> Row<'_> {
    let clients = seeds.map(|seed| scenario.run(Stage { server, seed }));
    Row::new(scenario, join_all(clients).await)
}
