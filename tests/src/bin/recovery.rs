//! How long clients need to come back from failures, and how still they are when there is none; see `e2e::recovery`.
//!
//! `recovery [NAME…]` runs all scenarios, or those whose names contain one of the words, at the same time, prints a
//! table, and fails when one takes longer than its limit. `recovery serve ADDRESS` and `recovery idle ADDRESS` are the
//! processes that it starts.
#![allow(clippy::print_stdout)]

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use e2e::recovery::{self, Result, Scenario, ServerProcess, Stage, idle};
use futures_util::future::join_all;

/// Four periods of the keep-alive.
const IDLE: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match &words[..] {
        ["serve", address] => match address.parse() {
            Ok(address) => recovery::serve(address).await,
            Err(error) => Err(format!("{address}: {error}")),
        },
        ["idle", address] => match address.parse() {
            Ok(address) => idle::idle_client(address).await,
            Err(error) => Err(format!("{address}: {error}")),
        },
        names => run(names).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("recovery: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(names: &[&str]) -> Result<()> {
    let mut scenarios = recovery::all();
    scenarios.retain(|scenario| names.is_empty() || names.iter().any(|name| scenario.name.contains(name)));
    let server = ServerProcess::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    let stage = Stage { server: server.address() };
    println!("{} failures at the same time, with the client's defaults\n", scenarios.len());
    let idle = async {
        match names {
            [] => idle::measure(stage.server, IDLE).await,
            _ => Ok(None),
        }
    };
    let running = scenarios.iter().map(|scenario| async move { (scenario, scenario.run(stage).await) });
    let (rows, idle) = tokio::join!(join_all(running), idle);
    println!("{}", recovery::aligned(&rows));
    let mut failed = Vec::new();
    for (scenario, outcome) in &rows {
        if let (Some(max), Ok(outcome)) = (scenario.max_tries, outcome) {
            let per_minute = outcome.tries as f64 * 60.0 / outcome.lasted.as_secs_f64();
            println!(
                "{}: {per_minute:.0} tries per minute, {} at most allowed meanwhile",
                scenario.name, max
            );
        }
        failed.extend(faults(scenario, outcome));
    }
    match idle {
        Ok(Some(idle)) => {
            let (time, bound) = (idle.time.as_secs(), idle.bound());
            println!("idle for {time} s: {} wake-ups, {bound} at most", idle.wakeups);
            if idle.wakeups > bound {
                failed.push(format!("idle: {} wake-ups, the limit is {bound}", idle.wakeups));
            }
        }
        Ok(None) => println!("idle: not measured"),
        Err(error) => failed.push(format!("idle: {error}")),
    }
    let slowest = rows.iter().filter_map(|(_, outcome)| Some(outcome.as_ref().ok()?.recovered)).max();
    println!(
        "\nrecovery: {} scenarios, {} failed, the slowest took {:.1} s",
        rows.len(),
        rows.iter().filter(|(scenario, outcome)| !faults(scenario, outcome).is_empty()).count(),
        slowest.unwrap_or_default().as_secs_f32(),
    );
    server.stop().await?;
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\nrecovery: ")) }
}

fn faults(scenario: &Scenario, outcome: &Result<recovery::Outcome>) -> Vec<String> {
    let faults = match outcome {
        Ok(outcome) => scenario.faults(outcome),
        Err(error) => vec![error.clone()],
    };
    faults.into_iter().map(|fault| format!("{}: {fault}", scenario.name)).collect()
}
