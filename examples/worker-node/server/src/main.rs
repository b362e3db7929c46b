//! The server of the example: the task hubs for those who follow tasks, and `/hubs/work` for those who give and do them.
//!
//! ```sh
//! HUBWIRE_AUTH__SIGNING_KEY=… worker-node-server --listen 127.0.0.1:8080 --store FOLDER
//! ```
#![allow(clippy::print_stdout)]

mod board;
mod hub;

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use hubwire_server::hubs::{TaskHubs, TasksConfig};
use hubwire_server::store::RedbDeliveryStore;
use hubwire_server::{Config, History, HubOptions, Server};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use crate::board::Board;

#[derive(Parser)]
#[command(version, about = "Tasks for workers; the key for tokens is in HUBWIRE_AUTH__SIGNING_KEY.")]
struct Arguments {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The folder for what has to outlive the server.
    #[arg(long)]
    store: PathBuf,
    /// Ends when standard input does, so as never to outlive the program that started it.
    #[arg(long)]
    with_parent: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match serve(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("worker-node-server: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(Arguments { listen, store, with_parent }: Arguments) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(&store)?;
    let mut config = Config::load(None)?;
    // Announcements: the server keeps those by itself.
    config.store.path = Some(store.join("server.redb"));
    let board = Arc::new(Board::open(RedbDeliveryStore::open(store.join("tasks.redb"))?)?);
    let tasks = TaskHubs::new(TasksConfig::default());
    let options = HubOptions { history: Some(History::default()), ..HubOptions::default() };
    // The methods know repetitions by what they say, over the death of a server, too.
    let work = HubOptions { dedupe: None, ..options.clone() };
    let builder = Server::builder().config(config).hub_with(hub::PATH, hub::hub(board.clone())?, work);
    let server = tasks.mount(builder, &options)?.build()?;
    board.serve(tasks.service(server.handle())).await?;
    let listener = TcpListener::bind(listen).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let ended = async {
        match with_parent {
            true => {
                let mut input = tokio::io::stdin();
                while !matches!(input.read(&mut [0; 64]).await, Ok(0) | Err(_)) {}
            }
            // Without signals there is no way to be told; the process goes on then.
            false if tokio::signal::ctrl_c().await.is_err() => std::future::pending().await,
            false => {}
        }
    };
    server.serve(listener, ended).await?;
    Ok(())
}
