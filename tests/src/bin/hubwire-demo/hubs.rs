//! The server that the page talks to, in a process of its own that can be killed. Chat and tasks are the reference
//! server's; what they say is kept in a file, so that nothing is lost when the server dies.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use hubwire_server::hubs::{ChatHub, TaskHubs, TasksConfig};
use hubwire_server::{Config, History, HubOptions, Server};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use crate::Result;
use crate::simulator::{self, Simulator};

/// The environment variable with the key that tokens are signed with.
pub(crate) const KEY_VARIABLE: &str = "HUBWIRE_AUTH__SIGNING_KEY";

pub(crate) struct Hubs {
    pub(crate) listen: SocketAddr,
    /// From which pages browsers may come.
    pub(crate) origins: Vec<String>,
    pub(crate) store: PathBuf,
}

/// Serves until standard input ends, so that the server never outlives the program that started it.
pub(crate) async fn serve(hubs: Hubs) -> Result<()> {
    let mut config = Config::default();
    config.auth.signing_key =
        Some(std::env::var(KEY_VARIABLE).map_err(|_| format!("{KEY_VARIABLE} is missing"))?);
    config.cors.origins = hubs.origins;
    config.store.path = Some(hubs.store);
    let options =
        HubOptions { stateful_reconnect: true, history: Some(History::default()), ..HubOptions::default() };
    let tasks = TaskHubs::new(TasksConfig::default());
    let simulator = Arc::new(Simulator::default());
    let builder = Server::builder()
        .hub_with("/hubs/chat", ChatHub::new(config.chat.clone()).hub()?, options.clone())
        .hub_with(simulator::PATH, simulator.hub()?, HubOptions::default())
        .config(config);
    let server = tasks.mount(builder, &options)?.build()?;
    simulator.serve(tasks.service(server.handle()));
    let listener = TcpListener::bind(hubs.listen).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let input_ended = async {
        let mut sink = [0; 64];
        let mut input = tokio::io::stdin();
        while !matches!(input.read(&mut sink).await, Ok(0) | Err(_)) {}
        // Nobody is left who would wait for a goodbye.
        std::process::exit(0)
    };
    server.serve(listener, input_ended).await?;
    Ok(())
}
