//! Tinyproxy, a proxy that nobody here wrote.

use std::io::Write;
use std::process::Stdio;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStdout, Command};

use super::soon;

/// How often to look for a free port: another program may take the one that was free a moment ago.
const ATTEMPTS: usize = 5;

/// A running Tinyproxy. Killed when dropped.
pub struct Tinyproxy {
    /// Its host and port.
    pub address: String,
    log: Lines<BufReader<ChildStdout>>,
    established: usize,
    _process: Child,
    _folder: TempDir,
}

impl Tinyproxy {
    /// Starts it with these lines of configuration beside the usual ones. `None`, with the reason printed, where it is not
    /// installed; in CI that is a failure.
    pub async fn start(lines: &str) -> Option<Self> {
        if Command::new("tinyproxy").arg("-v").stdout(Stdio::null()).status().await.is_err() {
            let reason = "tinyproxy is not installed (Debian: tinyproxy-bin)";
            assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{reason}");
            // Not captured, unlike what the macros print.
            let _ = writeln!(std::io::stderr(), "SKIPPED: {reason}");
            return None;
        }
        for _ in 0..ATTEMPTS {
            if let Some(started) = soon(Self::attempt(lines)).await {
                return Some(started);
            }
        }
        panic!("tinyproxy does not start");
    }

    async fn attempt(lines: &str) -> Option<Self> {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let folder = tempfile::tempdir().unwrap();
        // What it must not connect to.
        let filter = folder.path().join("filter");
        std::fs::write(&filter, "^forbidden\\.example$\n").unwrap();
        let configuration = folder.path().join("tinyproxy.conf");
        let (port, filter) = (address.port(), filter.display());
        let text = format!(
            "Port {port}\nListen 127.0.0.1\nAllow 127.0.0.1\nTimeout 60\nLogLevel Info\nFilter \"{filter}\"\n{lines}\n"
        );
        std::fs::write(&configuration, text).unwrap();
        let mut process = Command::new("tinyproxy")
            .arg("-d")
            .arg("-c")
            .arg(&configuration)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut log = BufReader::new(process.stdout.take().unwrap()).lines();
        while let Some(line) = log.next_line().await.unwrap() {
            if line.contains("Accepting connections") {
                let address = address.to_string();
                return Some(Self { address, log, established: 0, _process: process, _folder: folder });
            }
        }
        None
    }

    /// Waits until it has logged a tunnel for each of so many connections, counted from its start.
    pub async fn tunnels(&mut self, wanted: usize) {
        while self.established < wanted {
            self.next_line().await;
        }
        assert_eq!(self.established, wanted, "there are more tunnels than connections");
    }

    /// Waits until it has logged a request for a tunnel to that host and port.
    pub async fn asked_for(&mut self, target: &str) {
        let wanted = format!("CONNECT {target} HTTP/1.1");
        while !self.next_line().await.contains(&wanted) {}
    }

    async fn next_line(&mut self) -> String {
        let line = soon(self.log.next_line()).await.unwrap().expect("tinyproxy has ended");
        self.established += usize::from(line.contains("Established connection to host"));
        line
    }
}
