//! Starting programs: saying so, timing them, reading their output, and never leaving one behind.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::Result;

/// The repository's top folder.
pub(crate) fn root() -> PathBuf {
    // `cargo run` sets it; the path compiled in may belong to another clone that shares the target folder.
    let manifest =
        std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").to_owned());
    let manifest = PathBuf::from(manifest);
    manifest.ancestors().nth(2).map_or_else(|| manifest.clone(), Path::to_path_buf)
}

/// Whether a skipped suite is a failure.
pub(crate) fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true" || value == "1")
}

/// A command that runs in the repository's top folder.
pub(crate) fn program(name: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(name);
    command.current_dir(root());
    command
}

/// The cargo that runs this program.
pub(crate) fn cargo() -> Command {
    program(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// `program args…` as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

pub(crate) fn seconds(since: Instant) -> String {
    format!("{:.1} s", since.elapsed().as_secs_f32())
}

/// Runs to the end with the terminal's output; an error when it fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    println!("$ {}", shown(command));
    let started = Instant::now();
    let status = command.stdin(Stdio::null()).status().map_err(|error| cannot_start(command, &error))?;
    println!("  {} ({})", if status.success() { "done" } else { "failed" }, seconds(started));
    if status.success() { Ok(()) } else { Err(format!("`{}` ended with {status}", shown(command))) }
}

fn cannot_start(command: &Command, error: &std::io::Error) -> String {
    format!("cannot start `{}`: {error}", shown(command))
}

/// What a program printed, and whether it succeeded.
pub(crate) struct Output {
    pub(crate) success: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs quietly to the end and returns what it printed.
pub(crate) fn read(command: &mut Command) -> Result<Output> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| cannot_start(command, &error))?;
    Ok(Output {
        success: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// Like [`read`], but gives up after `limit`. `None` when it had to be stopped.
pub(crate) fn read_within(command: &mut Command, limit: Duration) -> Result<Option<Output>> {
    let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = spawned.map_err(|error| cannot_start(command, &error))?;
    let stdout = collect(child.stdout.take());
    let stderr = collect(child.stderr.take());
    let end = Instant::now() + limit;
    let status = loop {
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(status) => break status,
            None if Instant::now() > end => {
                stop(&mut child);
                return Ok(None);
            }
            None => std::thread::sleep(Duration::from_millis(50)),
        }
    };
    let text = |reader: JoinHandle<String>| reader.join().unwrap_or_default();
    Ok(Some(Output { success: status.success(), stdout: text(stdout), stderr: text(stderr) }))
}

fn collect(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What was read before an error is still worth showing.
            let _ = pipe.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Runs to the end, showing standard output as it comes and returning it as well.
pub(crate) fn run_and_read(command: &mut Command) -> Result<Output> {
    println!("$ {}", shown(command));
    let started = Instant::now();
    let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut child = spawned.map_err(|error| cannot_start(command, &error))?;
    let mut text = String::new();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines().map_while(std::result::Result::ok) {
            println!("{line}");
            text.push_str(&line);
            text.push('\n');
        }
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    println!("  {} ({})", if status.success() { "done" } else { "failed" }, seconds(started));
    Ok(Output { success: status.success(), stdout: text, stderr: String::new() })
}

/// Builds binaries with cargo and returns their paths, in the order of `names`.
///
/// For the whole workspace at once: dependencies would be built again for each package with features of its own.
pub(crate) fn build_binaries(names: &[&str]) -> Result<Vec<PathBuf>> {
    let mut command = cargo();
    command
        .args(["build", "--workspace", "--all-features"])
        .args(names.iter().flat_map(|name| ["--bin", name]));
    executables(command, names)
}

/// Runs a cargo build and picks the named executables out of its messages.
pub(crate) fn executables(mut command: Command, names: &[&str]) -> Result<Vec<PathBuf>> {
    println!("$ {}", shown(&command));
    let started = Instant::now();
    command.arg("--message-format=json-render-diagnostics");
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| cannot_start(&command, &error))?;
    println!("  {} ({})", if output.status.success() { "done" } else { "failed" }, seconds(started));
    if !output.status.success() {
        return Err(format!("cannot build {}", names.join(", ")));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let messages: Vec<serde_json::Value> =
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    names
        .iter()
        .map(|name| {
            let found = messages
                .iter()
                .find(|message| message["target"]["name"] == **name && message["executable"].is_string());
            let path = found.and_then(|message| message["executable"].as_str());
            path.map(PathBuf::from).ok_or_else(|| format!("cargo built no executable {name}"))
        })
        .collect()
}

/// A server that a suite started: it told where it listens, and is stopped when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
}

impl Server {
    /// Starts it and waits for its first line, `listening on URL`.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        println!("$ {} &", shown(command));
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = spawned.map_err(|error| cannot_start(command, &error))?;
        let lines = child.stdout.take().map(lines_of);
        let first = lines.map(|lines| lines.recv_timeout(Duration::from_secs(20)));
        let problem = match first {
            Some(Ok(line)) => match line.strip_prefix("listening on ") {
                Some(url) => {
                    println!("  {line}");
                    return Ok(Self { child, url: url.trim().to_owned() });
                }
                None => format!("its first line is \"{line}\""),
            },
            Some(Err(RecvTimeoutError::Disconnected)) => "it ended without a word".to_owned(),
            Some(Err(RecvTimeoutError::Timeout)) | None => "it said nothing for 20 s".to_owned(),
        };
        stop(&mut child);
        Err(format!("`{}` did not say where it listens: {problem}", shown(command)))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The end of its input asks it to stop.
        drop(self.child.stdin.take());
        let end = Instant::now() + Duration::from_secs(3);
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(20));
        }
        stop(&mut self.child);
    }
}

fn stop(child: &mut Child) {
    // Both fail only when it has ended by itself.
    let _ = child.kill();
    let _ = child.wait();
}

/// Reads lines to the end, so that the program never blocks on a full pipe.
fn lines_of(stdout: ChildStdout) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(std::result::Result::ok) {
            // Only the first line has a reader.
            let _ = sender.send(line);
        }
    });
    receiver
}

/// Says every 30 seconds that a quiet step is still running, until dropped.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Heartbeat {
    pub(crate) fn start(what: &str) -> Self {
        let (stop, stopped) = channel::<()>();
        let what = what.to_owned();
        let started = Instant::now();
        let thread = std::thread::spawn(move || {
            while stopped.recv_timeout(Duration::from_secs(30)) == Err(RecvTimeoutError::Timeout) {
                println!("  … {what}: {:.0} s", started.elapsed().as_secs_f32());
                let _ = std::io::stdout().flush();
            }
        });
        Self { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What the Rust compiler runs on, by its name.
pub(crate) fn host() -> Result<String> {
    let output = read(program("rustc").arg("-vV"))?;
    let line = output.stdout.lines().find_map(|line| line.strip_prefix("host: "));
    line.map(str::to_owned).ok_or_else(|| "rustc does not name its host".to_owned())
}
