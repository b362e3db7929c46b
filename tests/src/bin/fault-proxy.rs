//! The proxy of `e2e::proxy` as a program, for suites in other languages.
//!
//! `fault-proxy --upstream HOST:PORT`; `tests/README.md` has its commands.
#![allow(clippy::print_stdout)]

use std::io::BufRead;
use std::process::ExitCode;

use e2e::proxy::Proxy;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [option, upstream] = &arguments[..] else { return usage() };
    if option != "--upstream"
        || upstream.rsplit_once(':').is_none_or(|(_, port)| port.parse::<u16>().is_err())
    {
        return usage();
    }
    let proxy = match Proxy::start(upstream).await {
        Ok(proxy) => proxy,
        Err(error) => {
            eprintln!("fault-proxy: cannot listen: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("listening on http://{}", proxy.address());
    let runtime = tokio::runtime::Handle::current();
    // Standard input is read on this thread alone; the proxy runs on the others.
    tokio::task::block_in_place(|| {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if !line.trim().is_empty() {
                let answer = proxy.command(&line);
                // Who has the answer may connect.
                runtime.block_on(proxy.settled());
                println!("{answer}");
            }
        }
    });
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("usage: fault-proxy --upstream HOST:PORT");
    ExitCode::from(2)
}
