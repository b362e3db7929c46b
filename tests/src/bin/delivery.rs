//! Reliable messages over connections that are cut and between processes that are killed; see `e2e::delivery`.
//!
//! `delivery [--seconds N] [--every M]` sends 1,000 messages per second for 60 s (or N) and cuts the connection each second (or
//! each M); the server and the client are killed and started again once each. It prints what that came to, and how soon the client was back; and
//! fails if a message was lost, duplicated or out of order, if the stream has a hole without a gap, or a call ran twice.
//! `delivery serve ADDRESS FOLDER` and `delivery listen ADDRESS FOLDER` are the processes that it starts.
#![allow(clippy::print_stdout)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use e2e::delivery::{Result, listen_until_told, run, serve};

const SECONDS: u64 = 60;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let address = |text: &str| text.parse().map_err(|error| format!("{text}: {error}"));
    let result = match &words[..] {
        ["serve", text, folder] => match address(text) {
            Ok(address) => serve(address, Path::new(folder)).await,
            Err(error) => Err(error),
        },
        ["listen", text, folder] => match address(text) {
            Ok(address) => listen_until_told(address, Path::new(folder)).await,
            Err(error) => Err(error),
        },
        options => match durations(options) {
            Ok([seconds, every]) => in_a_folder(seconds, every).await,
            Err(error) => Err(error),
        },
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("delivery: {error}");
            ExitCode::FAILURE
        }
    }
}

/// How long it goes on, and how often the connection is cut, both in seconds.
fn durations(mut options: &[&str]) -> Result<[u64; 2]> {
    let [mut seconds, mut every] = [SECONDS, 1];
    while let [name, value, rest @ ..] = options {
        let (setting, least) = match *name {
            "--seconds" => (&mut seconds, 3),
            "--every" => (&mut every, 1),
            _ => break,
        };
        let number = value.parse().ok().filter(|number| *number >= least);
        *setting =
            number.ok_or_else(|| format!("{name}: '{value}' is no number of seconds from {least} on"))?;
        options = rest;
    }
    if options.is_empty() {
        Ok([seconds, every])
    } else {
        Err("usage: delivery [--seconds N] [--every M]".to_owned())
    }
}

/// A folder of its own, which stays if the run fails.
async fn in_a_folder(seconds: u64, every: u64) -> Result<()> {
    let folder: PathBuf = std::env::temp_dir().join(format!("hubwire-delivery-{}", std::process::id()));
    let problem = |error: std::io::Error| format!("{}: {error}", folder.display());
    std::fs::create_dir(&folder).map_err(problem)?;
    run(seconds, every, &folder)
        .await
        .map_err(|error| format!("{error}\nthe notes are in {}", folder.display()))?;
    std::fs::remove_dir_all(&folder).map_err(problem)
}
