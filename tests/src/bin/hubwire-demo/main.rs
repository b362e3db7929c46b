//! The main job, to look at: the reference server with its embedded defaults and two clients that chat through it; then
//! the page of `examples/chat-web`, with a server that can be killed and somebody to talk to.
//!
//! ```text
//! hubwire-demo --server PROGRAM [--site FOLDER] [--check] [--port N]   all of it; run by `cargo xtask demo`
//! hubwire-demo page --site FOLDER                                      only the page and its server, for tests
//! hubwire-demo hubs --listen ADDRESS --store FILE [--origin ORIGIN]…   the server of the page; the two above start it
//! ```
#![allow(clippy::print_stdout)]

mod http;
mod hubs;
mod keeper;
mod people;
mod plain;
mod robin;
mod simulator;
mod site;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::hubs::Hubs;
use crate::keeper::Keeper;
use crate::robin::Robin;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The longest that anything may take before the demo counts as failed.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Default)]
struct Arguments {
    command: String,
    server: Option<String>,
    site: Option<PathBuf>,
    port: u16,
    check: bool,
    listen: Option<String>,
    store: Option<PathBuf>,
    origins: Vec<String>,
}

fn arguments() -> Result<Arguments> {
    let mut parsed = Arguments::default();
    let mut rest = std::env::args().skip(1);
    while let Some(name) = rest.next() {
        let mut value = || rest.next().ok_or_else(|| format!("{name} needs a value"));
        match name.as_str() {
            "page" | "hubs" => parsed.command = name,
            "--check" => parsed.check = true,
            "--port" => parsed.port = value()?.parse().map_err(|_| "--port needs a number")?,
            "--server" => parsed.server = Some(value()?),
            "--site" => parsed.site = Some(value()?.into()),
            "--listen" => parsed.listen = Some(value()?),
            "--store" => parsed.store = Some(value()?.into()),
            "--origin" => parsed.origins.push(value()?),
            _ => return Err(format!("unknown option {name}").into()),
        }
    }
    Ok(parsed)
}

/// The page, and the server behind it.
struct Page {
    url: String,
    keeper: Arc<Keeper>,
    serving: JoinHandle<()>,
}

impl Page {
    async fn open(folder: &std::path::Path, port: u16) -> Result<Self> {
        let files = site::read(folder)?;
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let port = listener.local_addr()?.port();
        let origins = ["127.0.0.1", "localhost"].map(|host| format!("http://{host}:{port}"));
        let keeper = Arc::new(Keeper::start(origins.into()).await?);
        let answering = keeper.clone();
        let serving = tokio::spawn(async move {
            if let Err(error) = site::serve(listener, files, answering).await {
                eprintln!("the page: {error}");
            }
        });
        Ok(Self { url: format!("http://127.0.0.1:{port}"), keeper, serving })
    }

    /// Everything of the page is there, as browsers want it.
    async fn check(&self, folder: &std::path::Path) -> Result<()> {
        let mut paths: Vec<(String, usize)> = Vec::new();
        let expected = site::read(folder)?;
        for (path, (content_type, body)) in &expected {
            let answer = http::get(&self.url, path).await?;
            if answer.status != 200 || answer.content_type != *content_type || answer.body != body.as_ref() {
                return Err(format!(
                    "{path} is not served as it is: {} {}",
                    answer.status, answer.content_type
                )
                .into());
            }
            paths.push((format!("{path} ({content_type})"), body.len()));
        }
        if !expected
            .iter()
            .any(|(path, (content_type, _))| path.ends_with(".wasm") && *content_type == "application/wasm")
        {
            return Err("the page has no application/wasm".into());
        }
        paths.sort();
        for (path, bytes) in paths {
            println!("  page: {path} is there, {bytes} bytes");
        }
        robin::check(&self.keeper).await
    }

    async fn close(self) -> Result<()> {
        self.serving.abort();
        self.keeper.kill().await
    }
}

/// The reference server as it comes, with two clients. With `stay` until Ctrl-C.
async fn plain(program: &str, stay: bool) -> Result<()> {
    let server = plain::Server::start(program).await?;
    let (alice, bob) = people::chat(&server).await?;
    server.check_page().await?;
    people::summarize(&alice);
    people::summarize(&bob);
    if stay {
        println!("\nOpen {}/ to see the state of the server; Ctrl-C ends it.", server.url);
        tokio::signal::ctrl_c().await?;
    }
    bob.connection.stop().await;
    alice.connection.stop().await;
    server.end().await
}

async fn demo(arguments: &Arguments) -> Result<()> {
    let server = arguments.server.as_deref().ok_or("--server is missing: the program to start")?;
    let Some(folder) = &arguments.site else {
        println!("page: it is not built, so there is only that of the server itself");
        return plain(server, !arguments.check).await;
    };
    plain(server, false).await?;
    let page = Page::open(folder, arguments.port).await?;
    let robin = Robin::connect(&page.keeper).await?;
    if arguments.check {
        page.check(folder).await?;
    } else {
        println!("\nOpen {}/ to chat, in two windows if you like; Ctrl-C ends it.", page.url);
        println!("The server of the page is process {}: kill it.", page.keeper.process().await.unwrap_or(0));
        tokio::signal::ctrl_c().await?;
    }
    robin.end().await;
    page.close().await
}

/// Until standard input ends.
async fn only_page(arguments: &Arguments) -> Result<()> {
    let folder = arguments.site.as_deref().ok_or("--site is missing: the folder with the page")?;
    let page = Page::open(folder, arguments.port).await?;
    println!("listening on {}", page.url);
    let mut sink = [0; 64];
    let mut input = tokio::io::stdin();
    while !matches!(input.read(&mut sink).await, Ok(0) | Err(_)) {}
    page.close().await
}

async fn run(arguments: Arguments) -> Result<()> {
    match arguments.command.as_str() {
        "page" => only_page(&arguments).await,
        "hubs" => {
            let listen = arguments.listen.ok_or("--listen is missing")?.parse()?;
            let store = arguments.store.ok_or("--store is missing")?;
            hubs::serve(Hubs { listen, origins: arguments.origins, store }).await
        }
        _ => demo(&arguments).await,
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("demo: {error}");
            return ExitCode::from(2);
        }
    };
    let check = arguments.check;
    if let Err(error) = run(arguments).await {
        eprintln!("demo: failed: {error}");
        return ExitCode::FAILURE;
    }
    if check {
        println!("demo: ok");
    }
    ExitCode::SUCCESS
}
