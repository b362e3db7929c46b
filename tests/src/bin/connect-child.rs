//! A client whose environment a test decides: `connect-child URL [--roots FILE] [--no-proxy]` connects to the hub at URL,
//! asks it for an echo, and says `connected` in a line of standard output, or `failed: ` with the error.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::process::ExitCode;

use hubwire::client::RetryPolicy;
use hubwire::{HubConnection, Proxy};

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => {
            println!("connected");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("failed: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let url = args.next().ok_or("the URL is missing")?;
    let mut builder = HubConnection::builder(url).retry(RetryPolicy::never());
    while let Some(arg) = args.next() {
        builder = match arg.as_str() {
            "--roots" => {
                builder.root_certificates(std::fs::read(args.next().ok_or("--roots needs a file")?)?)
            }
            "--no-proxy" => builder.proxy(Proxy::none()),
            _ => return Err(format!("unknown argument '{arg}'").into()),
        };
    }
    let connection = builder.build()?;
    connection.start().await?;
    let echo: String = connection.invoke("Echo", ("hello",)).await?;
    connection.stop().await;
    if echo == "hello" { Ok(()) } else { Err(format!("'{echo}' is no echo").into()) }
}
