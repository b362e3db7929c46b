//! The reference server: the chat hub and the task hubs with embedded defaults, and tokens for development.

use std::error::Error;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use axum::serve::ListenerExt;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::{Args, Parser, Subcommand};
use hubwire_server::config::{Config, parse_duration};
use hubwire_server::hubs::{ChatHub, TaskHubs, TasksConfig};
use hubwire_server::{History, HubOptions, Server, auth};
use serde_json::{Map, Value};
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;

#[derive(Parser)]
#[command(version, about = "A server for SignalR hubs.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the server until Ctrl-C or SIGTERM.
    Serve(Serve),
    /// Prints an access token, signed with the configured key.
    Token(Token),
}

/// What both commands take; flags win over `HUBWIRE_*` environment variables, and those over the file.
#[derive(Args)]
struct Common {
    /// A configuration file (TOML).
    #[arg(long)]
    config: Option<PathBuf>,
    /// A file with the key that signs tokens (HS256, at least 32 bytes).
    #[arg(long)]
    signing_key_file: Option<PathBuf>,
}

#[derive(Args)]
struct Serve {
    #[command(flatten)]
    common: Common,
    /// Where to listen; port 0 takes a free one.
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// Development: makes up a key if none is configured, shows the status page, listens on this machine only.
    #[arg(long)]
    dev: bool,
    /// Shows the status page at `/`.
    #[arg(long)]
    status_page: bool,
    /// Lets clients see the texts of internal errors.
    #[arg(long)]
    detailed_errors: bool,
}

#[derive(Args)]
struct Token {
    #[command(flatten)]
    common: Common,
    /// The user id (claim `sub`).
    #[arg(long)]
    user: String,
    /// A role; may be repeated.
    #[arg(long)]
    role: Vec<String>,
    /// A further claim, as `name=value`; may be repeated.
    #[arg(long, value_parser = parse_claim)]
    claim: Vec<(String, String)>,
    /// How long it is valid: 30s, 15m, 1h.
    #[arg(long, default_value = "1h", value_parser = parse_duration)]
    ttl: Duration,
}

fn parse_claim(text: &str) -> Result<(String, String), String> {
    let claim = text.split_once('=').filter(|(name, _)| !name.is_empty());
    claim
        .map(|(name, value)| (name.into(), value.into()))
        .ok_or_else(|| format!("'{text}' is no claim such as name=value"))
}

fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let result = match Cli::parse().command {
        Command::Serve(arguments) => serve(arguments),
        Command::Token(arguments) => token(arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hubwire-server: {error}");
            ExitCode::FAILURE
        }
    }
}

fn load(common: Common) -> Result<Config, Box<dyn Error>> {
    let mut config = Config::load(common.config.as_deref())?;
    if common.signing_key_file.is_some() {
        config.auth.signing_key = None;
        config.auth.signing_key_file = common.signing_key_file;
    }
    Ok(config)
}

fn serve(arguments: Serve) -> Result<(), Box<dyn Error>> {
    let mut config = load(arguments.common)?;
    config.listen = arguments.listen.unwrap_or(config.listen);
    config.dev |= arguments.dev;
    config.status_page |= arguments.status_page;
    config.detailed_errors |= arguments.detailed_errors;
    config.validate()?;

    let mut made_up_key = None;
    if auth::Authenticator::from_config(&config.auth)?.is_none() {
        if !config.dev {
            return Err("no key to check tokens with: set auth.signing_key_file (or --signing-key-file) or auth.jwks_file, \
                        or use --dev for a key that is made up"
                .into());
        }
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        let key = URL_SAFE_NO_PAD.encode(bytes);
        config.auth.signing_key = Some(key.clone());
        made_up_key = Some(key);
    }
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run(config, made_up_key))
}

async fn run(config: Config, made_up_key: Option<String>) -> Result<(), Box<dyn Error>> {
    let listen = config.listen;
    let status_page = config.status_page || config.dev;
    let chat = ChatHub::new(config.chat.clone());
    let options = HubOptions { stateful_reconnect: true, ..HubOptions::default() };
    let tasks = TaskHubs::new(TasksConfig::default());
    let task_options = HubOptions { history: Some(History::default()), ..options.clone() };
    let builder = Server::builder().config(config).hub_with("/hubs/chat", chat.hub()?, options);
    let server = tasks.mount(builder, &task_options)?.build()?;
    let listener =
        TcpListener::bind(listen).await.map_err(|error| format!("cannot listen on {listen}: {error}"))?;
    let address = listener.local_addr()?;

    // The first line is for programs that start this one. A closed pipe behind it is no reason to stop.
    let mut out = std::io::stdout();
    let _ = writeln!(out, "listening on http://{address}");
    if status_page {
        let _ = writeln!(out, "status page: http://{address}/");
    }
    if let Some(key) = made_up_key {
        let _ = writeln!(
            out,
            "token for this run: HUBWIRE_AUTH__SIGNING_KEY={key} hubwire-server token --user alice"
        );
    }
    let _ = out.flush();

    let listener = listener.tap_io(|stream| {
        // Without it small messages would wait for the acknowledgement of those before.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
    });
    server.serve(listener, stopped()).await?;
    Ok(())
}

async fn stopped() {
    let interrupt = async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::warn!(%error, "Ctrl-C cannot be heard");
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<()>();
    tokio::select! {
        () = interrupt => {}
        () = terminate => {}
    }
    tracing::info!("shutting down");
}

fn token(arguments: Token) -> Result<(), Box<dyn Error>> {
    let config = load(arguments.common)?;
    let key = config.auth.key()?.ok_or(
        "no key to sign with: set auth.signing_key_file (or --signing-key-file), \
         or HUBWIRE_AUTH__SIGNING_KEY as printed by `serve --dev`",
    )?;
    let mut claims = Map::new();
    claims.insert("sub".into(), arguments.user.into());
    if !arguments.role.is_empty() {
        claims.insert("role".into(), arguments.role.into());
    }
    if let Some(issuer) = config.auth.issuer {
        claims.insert("iss".into(), issuer.into());
    }
    if let Some(audience) = config.auth.audience {
        claims.insert("aud".into(), audience.into());
    }
    for (name, value) in arguments.claim {
        claims.insert(name, Value::String(value));
    }
    println!("{}", auth::sign(&key, claims, arguments.ttl)?);
    Ok(())
}
