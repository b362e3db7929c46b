//! Our Rust client against a server of the interop hub (`tests/interop/HUB.md`), which may be one nobody here wrote.
//!
//! `interop-client --url URL --peer go|hubwire [--only TEXT] [--report FILE]`
#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod scenarios;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use hubwire::protocol::Encoding;
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
            _ => {
                eprintln!("unknown option {name}; there are --url, --peer, --only and --report");
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
    let mut results = Vec::new();
    for encoding in [Encoding::Json, Encoding::MessagePack] {
        for scenario in scenarios::ALL.iter().filter(|scenario| scenario.name.contains(&only)) {
            let began = Instant::now();
            let lack = scenario.needs.iter().find_map(|need| cannot(&peers, &peer, need, encoding));
            let (outcome, reason) = match lack {
                Some(reason) => ("skip", reason),
                None => {
                    let run = (scenario.run)(scenarios::Target { url: url.clone(), encoding });
                    let run = std::panic::AssertUnwindSafe(run).catch_unwind();
                    match tokio::time::timeout(PATIENCE, run).await {
                        Ok(Ok(Ok(()))) => ("pass", String::new()),
                        Ok(Ok(Err(reason))) => ("fail", reason),
                        Ok(Err(_)) => ("fail", "panicked".to_owned()),
                        Err(_) => ("fail", format!("not done after {} s", PATIENCE.as_secs())),
                    }
                }
            };
            println!("{outcome}  {:<11}  {}  {reason}", encoding.name(), scenario.name);
            let mut result = json!({
                "protocol": encoding.name(), "transport": "WebSockets", "scenario": scenario.name,
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
