//! The reference server, started as anybody would, with nothing but its defaults.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::{PATIENCE, Result, http};

/// The server as a process of its own.
pub(crate) struct Server {
    program: String,
    process: Child,
    /// Held, so that the server can go on writing.
    _output: Lines<BufReader<ChildStdout>>,
    pub(crate) url: String,
    key: String,
}

impl Server {
    pub(crate) async fn start(program: &str) -> Result<Self> {
        let listen = "127.0.0.1:0";
        println!("$ hubwire-server serve --dev --listen {listen}");
        let mut process = Command::new(program)
            .args(["serve", "--dev", "--listen", listen])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{program} cannot be started: {error}"))?;
        let output = process.stdout.take().ok_or("the server has no output")?;
        let mut output = BufReader::new(output).lines();
        let (mut url, mut key) = (None, None);
        while url.is_none() || key.is_none() {
            let line = timeout(PATIENCE, output.next_line()).await??.ok_or("the server ended at once")?;
            if let Some(address) = line.strip_prefix("listening on ") {
                url = Some(address.to_owned());
            }
            let assigned = line.split_once("HUBWIRE_AUTH__SIGNING_KEY=").map(|(_, rest)| rest);
            if let Some(value) = assigned.and_then(|rest| rest.split_whitespace().next()) {
                key = Some(value.to_owned());
            }
        }
        let (url, key) = (url.unwrap_or_default(), key.unwrap_or_default());
        println!("server: listening on {url}");
        Ok(Self { program: program.to_owned(), process, _output: output, url, key })
    }

    /// A token for development, from the server's own command.
    pub(crate) async fn token(&self, user: &str) -> Result<String> {
        let output = Command::new(&self.program)
            .args(["token", "--user", user])
            .env("HUBWIRE_AUTH__SIGNING_KEY", &self.key)
            .output()
            .await?;
        if !output.status.success() {
            return Err(format!("no token: {}", String::from_utf8_lossy(&output.stderr).trim()).into());
        }
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// The status page says what happens.
    pub(crate) async fn check_page(&self) -> Result<()> {
        for (path, expected) in [("/", "<html"), ("/status.json", "\"connections\":2"), ("/healthz", "")] {
            let answer = http::get(&self.url, path).await?;
            let text = String::from_utf8_lossy(&answer.body);
            if answer.status != 200 || !text.contains(expected) {
                let beginning: String = text.chars().take(300).collect();
                return Err(
                    format!("{path} ({}) does not show {expected}: {beginning}", answer.status).into()
                );
            }
            println!("  page: {path} is there");
        }
        Ok(())
    }

    pub(crate) async fn end(mut self) -> Result<()> {
        self.process.start_kill()?;
        self.process.wait().await?;
        Ok(())
    }
}
