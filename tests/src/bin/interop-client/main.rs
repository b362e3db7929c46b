//! Our Rust client against a server of the interop hub (`tests/interop/HUB.md`), which may be one nobody here wrote.
//!
//! `interop-client --url URL --peer go|hubwire [--transports WebSockets,…] [--only TEXT] [--report FILE]`
#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod scenarios;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use hubwire::protocol::{Encoding, Transport};
use serde_json::{Value, json};

/// What a scenario may end with.
pub(crate) type Outcome = Result<(), String>;

/// The longest that a scenario may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What servers lack and why, shared by the clients in all languages.
const PEERS: &str = include_str!("../../../interop/peers.json");

/// Why a scenario that needs this cannot run against the peer.
fn cannot(peers: &Value, peer: &str, need: &str, encoding: Encoding) -> Option<String> {
    if need == "binary" && encoding == Encoding::Json {
        return Some("JSON has no binary values".to_owned());
    }
    if need.starts_with("messagepack-") && encoding != Encoding::MessagePack {
        return None;
    }
    peers["servers"][peer][need].as_str().map(str::to_owned)
}

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (mut url, mut peer, mut report, mut only) = (None, "hubwire".to_owned(), None, String::new());
    let mut transports = vec![Transport::WebSockets];
    while let Some(name) = arguments.next() {
        let Some(value) = arguments.next() else {
            eprintln!("{name} needs a value");
            return ExitCode::from(2);
        };
        match name.as_str() {
            "--url" => url = Some(value),
            "--peer" => peer = value,
            "--report" => report = Some(value),
            "--only" => only = value,
            "--transports" => match value.split(',').map(Transport::from_name).collect() {
                Some(named) => transports = named,
                None => {
                    eprintln!("--transports: one of \"{value}\" is no transport");
                    return ExitCode::from(2);
                }
            },
            _ => {
                eprintln!(
                    "unknown option {name}; there are --url, --peer, --transports, --only and --report"
                );
                return ExitCode::from(2);
            }
        }
    }
    let Some(url) = url else {
        eprintln!("--url is missing");
        return ExitCode::from(2);
    };
    let peers: Value = serde_json::from_str(PEERS).unwrap();
    if !peers["servers"][&peer].is_object() {
        eprintln!("--peer {peer}: tests/interop/peers.json does not have it");
        return ExitCode::from(2);
    }
    let pairs = [Encoding::Json, Encoding::MessagePack]
        .into_iter()
        .flat_map(|encoding| transports.iter().map(move |transport| (encoding, *transport)))
        // Server-Sent Events carry text only.
        .filter(|(encoding, transport)| transport.formats().contains(encoding.transfer_format()));
    let mut results = Vec::new();
    for (encoding, transport) in pairs {
        for scenario in scenarios::ALL.iter().filter(|scenario| scenario.name.contains(&only)) {
            let began = Instant::now();
            // What is lacking on one transport only is keyed by the transport and the scenario.
            let on_transport = format!("{} {}", transport.name(), scenario.name);
            let needs = scenario.needs.iter().copied().chain([on_transport.as_str()]);
            let lack = needs.into_iter().find_map(|need| match need {
                "websockets" if transport != Transport::WebSockets => {
                    Some("it is about WebSockets".to_owned())
                }
                need => cannot(&peers, &peer, need, encoding),
            });
            let (outcome, reason) = match lack {
                Some(reason) => ("skip", reason),
                None => run(scenario, scenarios::Target { url: url.clone(), encoding, transport }).await,
            };
            println!(
                "{outcome}  {:<11}  {:<16}  {}  {reason}",
                encoding.name(),
                transport.name(),
                scenario.name
            );
            let mut result = json!({
                "protocol": encoding.name(), "transport": transport.name(), "scenario": scenario.name,
                "outcome": outcome, "milliseconds": began.elapsed().as_millis() as u64,
            });
            if outcome != "pass" {
                result["reason"] = Value::String(reason);
            }
            results.push(result);
        }
    }
    let failed = results.iter().filter(|result| result["outcome"] == "fail").count();
    if let Some(report) = report {
        let client = format!("hubwire {} (Rust)", env!("CARGO_PKG_VERSION"));
        let body = json!({ "client": client, "peer": peer, "results": results });
        if let Err(error) = std::fs::write(&report, body.to_string()) {
            eprintln!("{report}: {error}");
            return ExitCode::FAILURE;
        }
    }
    if failed > 0 || results.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

async fn run(scenario: &scenarios::Scenario, target: scenarios::Target) -> (&'static str, String) {
    let run = std::panic::AssertUnwindSafe((scenario.run)(target)).catch_unwind();
    match tokio::time::timeout(PATIENCE, run).await {
        Ok(Ok(Ok(()))) => ("pass", String::new()),
        Ok(Ok(Err(reason))) => ("fail", reason),
        Ok(Err(_)) => ("fail", "panicked".to_owned()),
        Err(_) => ("fail", format!("not done after {} s", PATIENCE.as_secs())),
    }
}
