//! How often a client wakes the machine while nothing happens: as often as it keeps the connection alive.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use hubwire::HubConnection;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::Command;
use tokio::time::sleep;

use super::{Result, needed};

/// What was measured.
#[derive(Clone, Copy, Debug)]
pub struct Idle {
    /// How long.
    pub time: Duration,
    /// How often a thread of the process went to sleep, and so was woken.
    pub wakeups: u64,
}

/// The client's keep-alive interval, and the server's.
const PERIOD: Duration = Duration::from_secs(15);
/// In each period a ping goes out and one comes in: the timer, the socket, and for each the thread that it wakes besides.
const PER_PERIOD: u64 = 6;
/// Connecting is over, with all that it leaves behind.
const SETTLED: Duration = Duration::from_secs(3);

impl Idle {
    /// How many wake-ups there may be.
    pub const fn bound(&self) -> u64 {
        self.time.as_secs().div_ceil(PERIOD.as_secs()) * PER_PERIOD
    }
}

/// Connects, says so, and does nothing until standard input ends.
///
/// # Errors
/// When it cannot connect.
pub async fn client(address: SocketAddr) -> Result<()> {
    let built = HubConnection::builder(format!("http://{address}/hub")).build();
    let connection = needed("client", built)?;
    needed("client", connection.start().await)?;
    println!("connected");
    // An error is an end, too.
    let _ = tokio::io::stdin().read_to_end(&mut Vec::new()).await;
    connection.stop().await;
    Ok(())
}

/// Measures this program as an idle client. None where the system does not tell.
///
/// # Errors
/// When the client does not connect, or does not stay.
pub async fn measure(server: SocketAddr, time: Duration) -> Result<Option<Idle>> {
    if !cfg!(target_os = "linux") {
        return Ok(None);
    }
    let program = needed("this program", std::env::current_exe())?;
    let spawned = Command::new(program)
        .args(["idle", &server.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let mut child = needed("idle client", spawned)?;
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        needed("idle client", BufReader::new(stdout).read_line(&mut line).await)?;
    }
    if line.trim() != "connected" {
        return Err(format!("the idle client said '{line}'"));
    }
    let process = child.id().ok_or("the idle client has ended")?;
    sleep(SETTLED).await;
    let before = sleeps(process)?;
    sleep(time).await;
    let wakeups = sleeps(process)? - before;
    drop(child.stdin.take());
    needed("idle client", child.wait().await)?;
    Ok(Some(Idle { time, wakeups }))
}

/// How often the threads of a process gave the processor up because there was nothing to do.
fn sleeps(process: u32) -> Result<u64> {
    let mut sum = 0;
    for thread in needed("threads", std::fs::read_dir(format!("/proc/{process}/task")))? {
        let path = needed("threads", thread)?.path().join("status");
        let status = needed("threads", std::fs::read_to_string(path))?;
        let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        sum += count.and_then(|count| count.trim().parse::<u64>().ok()).ok_or("no count of switches")?;
    }
    Ok(sum)
}
