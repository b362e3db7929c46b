//! Starts the server of the page, kills it when somebody wants to see that, and starts it again where it was.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use hubwire_server::auth;
use serde_json::{Map, Value};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::hubs::KEY_VARIABLE;
use crate::{PATIENCE, Result, simulator};

const TOKENS_LAST: Duration = Duration::from_secs(12 * 3_600);

pub(crate) struct Keeper {
    address: SocketAddr,
    origins: Vec<String>,
    /// What the server keeps, for as long as the demo runs.
    folder: TempDir,
    key: String,
    process: Mutex<Option<Child>>,
}

impl Keeper {
    /// Starts the server for pages of these origins.
    pub(crate) async fn start(origins: Vec<String>) -> Result<Self> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        let key = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let folder = TempDir::with_prefix("hubwire-demo-")?;
        let address = ([127, 0, 0, 1], 0).into();
        let mut keeper = Self { address, origins, folder, key, process: Mutex::default() };
        keeper.address = keeper.launch().await?;
        Ok(keeper)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The id of the process, while it runs.
    pub(crate) async fn process(&self) -> Option<u32> {
        let mut process = self.process.lock().await;
        let running = process.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)));
        process.as_ref().filter(|_| running).and_then(Child::id)
    }

    /// Starts the server again, unless it runs.
    pub(crate) async fn restart(&self) -> Result<()> {
        if self.process().await.is_none() {
            self.launch().await?;
        }
        Ok(())
    }

    async fn launch(&self) -> Result<SocketAddr> {
        let mut process = self.process.lock().await;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["hubs", "--listen", &self.address.to_string(), "--store"]);
        command.arg(self.folder.path().join("store.redb"));
        command.args(self.origins.iter().flat_map(|origin| ["--origin", origin]));
        command.env(KEY_VARIABLE, &self.key).kill_on_drop(true);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().ok_or("the server has no output")?;
        let line = timeout(PATIENCE, BufReader::new(output).lines().next_line()).await??;
        let line = line.ok_or("the server ended at once")?;
        let address =
            line.strip_prefix("listening on http://").ok_or("the server does not say where it is")?;
        *process = Some(child);
        Ok(address.parse()?)
    }

    /// Without a goodbye, as a crash would.
    pub(crate) async fn kill(&self) -> Result<()> {
        if let Some(mut child) = self.process.lock().await.take() {
            child.kill().await?;
        }
        Ok(())
    }

    /// A token with which somebody may chat, and see the tasks of the demo.
    pub(crate) fn token(&self, user: &str) -> Result<String> {
        let mut claims = Map::new();
        claims.insert("sub".into(), user.into());
        claims.insert("VirtualKeyId".into(), Value::from(simulator::KEY));
        Ok(auth::sign(self.key.as_bytes(), claims, TOKENS_LAST)?)
    }
}
