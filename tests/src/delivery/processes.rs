//! The server and the client as processes of their own, to be killed.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hubwire::HubConnection;
use hubwire_server::store::{RedbDeliveryStore, StoreError};
use hubwire_server::testing::TestServer;
use hubwire_server::{Config, DeliveryStore};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};

use super::{HUB, Kind, Notes, Pace, Result, app, needed};

/// Messages per second.
const MESSAGES: u32 = 1_000;
/// Messages of the stream per second.
const STREAM: u32 = 100;
/// What tells a server that it has sent enough.
const ENOUGH: &str = "enough";

/// Where a process writes down what it did.
pub(super) fn notes_of(folder: &Path, who: &str) -> PathBuf {
    folder.join(who).with_extension("notes")
}

/// Serves at an address, with its messages in a file, and sends until a line of standard input says that it is enough. Ends
/// with standard input.
///
/// # Errors
/// When it cannot.
pub async fn serve(address: SocketAddr, folder: &Path) -> Result<()> {
    let note = Notes::open(&notes_of(folder, "server"))?;
    note.note(Kind::Began, 0);
    let store = loop {
        match RedbDeliveryStore::open(folder.join("messages.redb")) {
            Ok(store) => break Arc::new(store) as Arc<dyn DeliveryStore>,
            // The system has not cleaned up behind the process that was killed.
            Err(StoreError::InUse(_)) => tokio::time::sleep(Duration::from_millis(1)).await,
            Err(error) => return Err(format!("store: {error}")),
        }
    };
    let server = app::server(note.clone(), Config::default(), Some(store))?;
    let server = needed("listen", TestServer::start_at(server, address).await)?;
    let clients = server.handle().hub(HUB).ok_or("there is no hub")?;
    println!("listening");
    let enough = Arc::new(AtomicBool::new(false));
    let pace = Pace { messages: MESSAGES, stream: STREAM, enough: enough.clone() };
    tokio::spawn(app::speak(clients, note, pace));
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    // An error is an end, too.
    while let Ok(Some(line)) = lines.next_line().await {
        enough.fetch_or(line == ENOUGH, Ordering::SeqCst);
    }
    needed("serve", server.stop().await)
}

/// Connects to a server and writes down what comes, until standard input ends.
///
/// # Errors
/// When it cannot, or the connection ends for good.
pub async fn listen_until_told(address: SocketAddr, folder: &Path) -> Result<()> {
    let note = Notes::open(&notes_of(folder, "client"))?;
    note.note(Kind::Began, 0);
    // It is cut much more often than the client would like.
    let builder = HubConnection::builder(format!("http://{address}{HUB}")).lasting(Duration::ZERO);
    let connection = app::client(builder, &note, |_| false)?;
    let told_to_stop = async {
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        while let Ok(Some(_)) = lines.next_line().await {}
    };
    tokio::select! {
        result = app::listen(connection.clone(), note) => result,
        () = told_to_stop => {
            connection.stop().await;
            Ok(())
        }
    }
}

/// This program again, as one of the two.
#[derive(Debug)]
pub(super) struct Process {
    arguments: [String; 3],
    child: Child,
    stdin: Option<ChildStdin>,
}

impl Process {
    pub(super) async fn server(address: SocketAddr, folder: &Path) -> Result<Self> {
        Self::start(["serve".to_owned(), address.to_string(), folder.display().to_string()]).await
    }

    pub(super) async fn client(address: SocketAddr, folder: &Path) -> Result<Self> {
        Self::start(["listen".to_owned(), address.to_string(), folder.display().to_string()]).await
    }

    /// A server is waited for until it listens.
    async fn start(arguments: [String; 3]) -> Result<Self> {
        let program = needed("this program", std::env::current_exe())?;
        let is_server = arguments[0] == "serve";
        let mut command = Command::new(program);
        command.args(&arguments).stdin(Stdio::piped()).kill_on_drop(true);
        if is_server {
            command.stdout(Stdio::piped());
        }
        let mut child = needed("process", command.spawn())?;
        if let Some(stdout) = child.stdout.take() {
            let mut line = String::new();
            needed("process", BufReader::new(stdout).read_line(&mut line).await)?;
            if line.trim() != "listening" {
                return Err(format!("the server said '{line}'"));
            }
        }
        let stdin = child.stdin.take();
        Ok(Self { arguments, child, stdin })
    }

    /// Kills it, as `kill -9` does, and starts it again.
    pub(super) async fn kill_and_restart(mut self) -> Result<Self> {
        needed("kill", self.child.kill().await)?;
        Self::start(self.arguments).await
    }

    /// Tells a server that it has sent enough.
    pub(super) async fn enough(&mut self) -> Result<()> {
        let stdin = self.stdin.as_mut().ok_or("the process has no standard input")?;
        needed("enough", stdin.write_all(format!("{ENOUGH}\n").as_bytes()).await)
    }

    /// Whether it has ended by itself, which it must not.
    pub(super) fn has_ended(&mut self) -> Result<bool> {
        Ok(needed("process", self.child.try_wait())?.is_some())
    }

    /// Asks it to end, and waits until it has.
    pub(super) async fn stop(mut self) -> Result<()> {
        drop(self.stdin.take());
        let status = needed("stop", self.child.wait().await)?;
        if status.success() { Ok(()) } else { Err(format!("{} ended with {status}", self.arguments[0])) }
    }
}
