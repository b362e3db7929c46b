//! The `interop` suite: starts each server, runs a client against it, and merges their reports into one table and
//! `docs/compatibility.md`.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::process::{Heartbeat, Server, build_binaries, in_ci, program, root, run_and_read};
use crate::setup::{go_program, java_program, python_program, target_folder};
use crate::summary::Counts;
use crate::{Result, compatibility};

const HUB: &str = "/hubs/interop";
const ALL: &str = "WebSockets,ServerSentEvents,LongPolling";

/// A client and the server it is run against.
struct Pair {
    what: &'static str,
    /// Its name in `tests/interop/peers.json`.
    client: &'static str,
    command: Command,
    server: &'static str,
}

pub(crate) fn suite() -> Result<Counts> {
    let binaries = build_binaries(&["interop-server", "interop-client", "fault-proxy"])?;
    let [our_server, our_client, fault_proxy] = &binaries[..] else {
        return Err("cargo did not build all interop programs".into());
    };
    let reports = target_folder().join("interop");
    fs::create_dir_all(&reports).map_err(|error| format!("{}: {error}", reports.display()))?;
    let mut results = Vec::new();
    let mut counts = Counts::default();
    for pair in pairs(our_client, fault_proxy) {
        let server = if pair.server == "go" { &go_program("go-server") } else { our_server };
        match run(pair, server, &reports) {
            Ok(rows) => results.extend(rows),
            Err(error) => counts.add(Counts::failed(format!("interop: {error}"))),
        }
    }
    println!("\n{}", table(&results));
    counts.add(count(&results));
    if counts.failed == 0 {
        // Only of a whole run: the page would lose what did not run.
        counts.add(Counts::check(compatibility::update(&results, in_ci())));
    }
    Ok(counts)
}

fn pairs(our_client: &Path, fault_proxy: &Path) -> [Pair; 6] {
    let with = |name: &Path, argument: &str, file: &Path| {
        let mut command = program(name);
        command.args(Some(argument).filter(|argument| !argument.is_empty())).arg(file);
        command
    };
    let folder = root().join("tests/interop");
    let mut python = with(&python_program(), "", &folder.join("python/run.py"));
    // Nothing is to be written into the source folder.
    python.env("PYTHONDONTWRITEBYTECODE", "1");
    let mut typescript = with("node".as_ref(), "", &folder.join("ts/run.mjs"));
    typescript.arg("--fault-proxy").arg(fault_proxy);
    // Those that the client has: tests/interop/peers.json says why not the others.
    let with_ours = |what, client, transports, mut command: Command| {
        command.args(["--transports", transports]);
        Pair { what, client, command, server: "hubwire" }
    };
    [
        with_ours("the official TypeScript client with our server", "typescript", ALL, typescript),
        with_ours(
            "the official Java client with our server",
            "java",
            "WebSockets,LongPolling",
            with("java".as_ref(), "-jar", &java_program()),
        ),
        with_ours("the Python client with our server", "python", "WebSockets", python),
        with_ours(
            "the Go client with our server",
            "go",
            "WebSockets,ServerSentEvents",
            program(go_program("go-client")),
        ),
        with_ours("our client with our server", "rust", ALL, program(our_client)),
        Pair {
            what: "our client with the Go server",
            client: "rust",
            command: {
                let mut command = program(our_client);
                command.args(["--transports", "WebSockets,ServerSentEvents"]);
                command
            },
            server: "go",
        },
    ]
}

fn run(pair: Pair, server: &Path, reports: &Path) -> Result<Vec<Row>> {
    let Pair { what, client, mut command, server: peer } = pair;
    println!("\ninterop: {what}");
    let server = Server::start(&mut program(server))?;
    let _heartbeat = Heartbeat::start(what);
    command.args(["--url", &format!("{}{HUB}", server.url), "--peer", peer]);
    let rows = report_of(command, client, &reports.join(format!("{client}-{peer}.json")));
    rows.map_err(|error| format!("{what}: {error}"))
}

/// Runs a client and reads the report it leaves. A client that fails without a failed result is an error.
fn report_of(mut command: Command, client: &'static str, file: &Path) -> Result<Vec<Row>> {
    // A report of an earlier run must not pass for this one's.
    let _ = fs::remove_file(file);
    let success = run_and_read(command.arg("--report").arg(file))?.success;
    let text = fs::read_to_string(file).map_err(|error| format!("the client left no report: {error}"))?;
    let rows = parse(client, &text)?;
    if rows.is_empty() {
        return Err("the report has no results".into());
    }
    if !success && rows.iter().all(|row| row.outcome != Verdict::Fail) {
        return Err("the client failed, although no result in its report did".into());
    }
    Ok(rows)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Pass,
    Fail,
    Skip,
}

/// A client and version, a server, a protocol and a transport: one line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    /// The name in `tests/interop/peers.json`.
    pub(crate) key: &'static str,
    pub(crate) client: String,
    pub(crate) server: String,
    pub(crate) protocol: String,
    pub(crate) transport: String,
}

impl std::fmt::Display for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { client, server, protocol, transport, .. } = self;
        write!(f, "{client:36}  {server:8}  {protocol:11}  {transport:16}")
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) group: Group,
    pub(crate) scenario: String,
    pub(crate) outcome: Verdict,
    /// Empty when it passed.
    pub(crate) reason: String,
}

/// The groups in the order in which they were run.
pub(crate) fn groups(rows: &[Row]) -> Vec<&Group> {
    let mut groups: Vec<&Group> = Vec::new();
    for row in rows {
        if !groups.contains(&&row.group) {
            groups.push(&row.group);
        }
    }
    groups
}

fn parse(key: &'static str, text: &str) -> Result<Vec<Row>> {
    let report: Value =
        serde_json::from_str(text).map_err(|error| format!("the report is not JSON: {error}"))?;
    let field = |value: &Value, name: &str| {
        let text = value[name].as_str().map(str::to_owned);
        text.ok_or_else(|| format!("the report has no \"{name}\" in {value}"))
    };
    let client = field(&report, "client")?;
    let peer = field(&report, "peer")?;
    let results = report["results"].as_array().ok_or("the report has no \"results\"")?;
    results
        .iter()
        .map(|result| {
            let outcome = match field(result, "outcome")?.as_str() {
                "pass" => Verdict::Pass,
                "fail" => Verdict::Fail,
                "skip" => Verdict::Skip,
                other => return Err(format!("the report has an outcome \"{other}\"")),
            };
            let [protocol, transport] = [field(result, "protocol")?, field(result, "transport")?];
            Ok(Row {
                group: Group { key, client: client.clone(), server: peer.clone(), protocol, transport },
                scenario: field(result, "scenario")?,
                outcome,
                reason: if outcome == Verdict::Pass { String::new() } else { field(result, "reason")? },
            })
        })
        .collect()
}

fn table(rows: &[Row]) -> String {
    let mut lines = vec![format!(
        "{:36}  {:8}  {:11}  {:16}  pass  fail  skip",
        "client", "server", "protocol", "transport"
    )];
    for group in groups(rows) {
        let [pass, fail, skip] = [Verdict::Pass, Verdict::Fail, Verdict::Skip]
            .map(|outcome| rows.iter().filter(|row| row.group == *group && row.outcome == outcome).count());
        lines.push(format!("{group}  {pass:4}  {fail:4}  {skip:4}"));
    }
    lines.join("\n")
}

fn count(rows: &[Row]) -> Counts {
    let number = |outcome| rows.iter().filter(|row| row.outcome == outcome).count();
    let failed = rows.iter().filter(|row| row.outcome == Verdict::Fail);
    let words =
        |group: &Group| group.to_string().split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ");
    Counts {
        passed: number(Verdict::Pass),
        failed: number(Verdict::Fail),
        skipped: number(Verdict::Skip),
        notes: failed
            .map(|row| format!("interop: {} ({}): {}", row.scenario, words(&row.group), row.reason))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"{ "client": "c 1", "peer": "go", "results": [
        { "protocol": "json", "transport": "WebSockets", "scenario": "echo", "outcome": "pass", "milliseconds": 3 },
        { "protocol": "json", "transport": "WebSockets", "scenario": "void", "outcome": "fail", "reason": "no", "milliseconds": 3 },
        { "protocol": "messagepack", "transport": "WebSockets", "scenario": "void", "outcome": "skip", "reason": "r", "milliseconds": 0 } ] }"#;

    #[test]
    fn a_report_is_counted_and_its_failures_named() {
        let rows = parse("c", REPORT).unwrap();
        let counts = count(&rows);
        assert_eq!((counts.passed, counts.failed, counts.skipped), (1, 1, 1));
        assert_eq!(counts.notes, ["interop: void (c 1 go json WebSockets): no"]);
        let table = table(&rows);
        assert_eq!(table.lines().count(), 3, "{table}");
        assert!(table.lines().nth(1).unwrap().ends_with("   1     1     0"), "{table}");
    }

    #[test]
    fn a_report_that_is_not_one_is_refused() {
        assert!(parse("c", "[]").unwrap_err().contains("client"));
        assert!(parse("c", "nonsense").unwrap_err().contains("not JSON"));
        assert!(parse("c", &REPORT.replace("\"skip\"", "\"perhaps\"")).unwrap_err().contains("perhaps"));
        assert!(parse("c", &REPORT.replace("\"reason\": \"no\", ", "")).unwrap_err().contains("reason"));
    }
}
