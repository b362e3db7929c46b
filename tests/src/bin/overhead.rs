//! What updates of tasks cost on the wire, each way to send them; see `e2e::overhead`.
//!
//! `overhead [COUNT]` prints two tables, and fails when batches save less than half of the frames or of the overhead, which is
//! all bytes but those of the updates themselves; full batches of short updates, less than half of all bytes.
#![allow(clippy::print_stdout)]

use std::process::ExitCode;

use e2e::overhead::{HEADERS_PER_SEGMENT, Result, Row, SEGMENT, Way, faults, measure, table};

const UPDATES: usize = 10_000;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("overhead: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let updates = match std::env::args().nth(1) {
        None => UPDATES,
        Some(text) => text.parse().map_err(|_| format!("'{text}' is no number of updates"))?,
    };
    println!(
        "{updates} updates of 20 tasks over a WebSocket; bytes from the server to the client. TCP/IP is computed: \
         {HEADERS_PER_SEGMENT} bytes for each segment of at most {SEGMENT}.\n\
         The last three columns compare with the first line; overhead is all bytes but those of the updates themselves.\n\
         Within the window of 100 ms, batches of 10 are made at 100 updates per second, those of 50 at 500.\n"
    );
    let mut wrong = Vec::new();
    for (what, ways) in [
        ("objects with everything in them", &Way::all()[..]),
        ("lists of task, percentage and text", &Way::short()[..]),
    ] {
        let mut rows = Vec::new();
        for way in ways {
            let cost = measure(*way, updates).await.map_err(|error| format!("{}: {error}", way.name))?;
            rows.push(Row { way: *way, cost });
        }
        println!("Updates are {what}:\n{}", table(&rows));
        wrong.extend(faults(&rows));
    }
    let faults = wrong;
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\noverhead: ")) }
}
