//! Developer tasks: `cargo xtask demo | test | sim | vectors | web | node | kotlin | native |
//! swift | size | bench | lint`.
//!
//! Every command says what it does, sets up what it needs, and ends with a table. Nothing here is shipped.

mod android;
mod arm64;
mod chat_web;
mod compatibility;
mod delivery;
mod demo;
mod fuzz;
mod interop;
mod kotlin;
mod lint;
mod native;
mod node;
mod platforms;
mod process;
mod recovery;
mod scenarios;
mod setup;
mod sim;
mod steps;
mod suites;
mod summary;
mod swift;
mod vectors;
mod wasm;
mod web;

use std::process::ExitCode;

/// What went wrong, in words for the person at the terminal.
type Result<T, E = String> = std::result::Result<T, E>;

const HELP: &str = "\
cargo xtask COMMAND

  demo [--check] [--port N]      build and run the demo; with --check it ends by itself with a verdict
  test [SUITE…] [--seconds N]    run suites, all when none is named; --seconds is the time per fuzz
                                 target, and of the cuts in delivery (60)
  sim [--seeds N] [--seed S]     simulate N worlds (100), or replay one with everything that happens in it
  vectors [--check]              write tests/vectors/*.json; with --check only compare
  web                            build the npm package @hubwire/web into bindings/web/dist
  size [--functions]             build it, and what it weighs: raw, gzip, brotli; fails above the budget;
                                 with --functions what is large in the WebAssembly module
  node                           build the npm package @hubwire/node into bindings/node/dist
  kotlin                         build the Kotlin library
  native [TARGET…]               build its native library for other platforms, for the next jar; all when none is named
  swift                          build the Swift package
  bench web|node|kotlin          what messages cost in Chromium, in Node or on the JVM, beside the official client
  lint                           fmt, clippy, rustdoc, cargo-deny
  help                           this text";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let result = match args.split_first().map(|(command, rest)| (command.as_str(), rest)) {
        Some(("demo", rest)) => demo::command_line(rest),
        Some(("test", rest)) => suites::command(rest),
        Some(("sim", rest)) => sim::command(rest),
        Some(("vectors", rest)) => vectors::command(rest),
        Some(("web", rest)) => web::command(rest),
        Some(("size", rest)) => web::size_command(rest),
        Some(("node", rest)) => node::command(rest),
        Some(("kotlin", rest)) => kotlin::command(rest),
        Some(("native", rest)) => platforms::command(rest),
        Some(("swift", rest)) => swift::command(rest),
        Some(("bench", rest)) => match rest.split_first().map(|(what, rest)| (what.as_str(), rest)) {
            Some(("web", rest)) => web::bench(rest),
            Some(("node", rest)) => node::bench(rest),
            Some(("kotlin", rest)) => kotlin::bench(rest),
            _ => Err("bench takes what is to be measured: web, node, kotlin".into()),
        },
        Some(("lint", [])) => lint::command(),
        Some(("lint", _)) => Err("lint takes no arguments".into()),
        None | Some(("help" | "--help" | "-h", _)) => {
            println!("{HELP}\n\nsuites:\n{}", suites::list());
            Ok(())
        }
        Some((other, _)) => Err(format!("unknown command \"{other}\"\n\n{HELP}")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            if !text.is_empty() {
                eprintln!("xtask: {text}");
            }
            ExitCode::FAILURE
        }
    }
}
