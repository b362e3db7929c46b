//! The `interop` suite: starts each server, runs a client against it, and merges their reports into one table.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::Result;
use crate::process::{Heartbeat, Server, build_binaries, program, root, run_and_read};
use crate::setup::{go_server, target_folder};
use crate::summary::Counts;

const HUB: &str = "/hubs/interop";

pub(crate) fn suite() -> Result<Counts> {
    let binaries = build_binaries(&["interop-server", "interop-client"])?;
    let [our_server, our_client] = &binaries[..] else {
        return Err("cargo did not build both interop programs".into());
    };
    let reports = target_folder().join("interop");
    fs::create_dir_all(&reports).map_err(|error| format!("{}: {error}", reports.display()))?;
    let mut results = Vec::new();
    let mut counts = Counts::default();
    let mut collect = |report: Result<Vec<Row>>| match report {
        Ok(rows) => results.extend(rows),
        Err(error) => counts.add(Counts::failed(format!("interop: {error}"))),
    };

    collect(against("the official client with our server", our_server, |url| {
        let mut client = program("node");
        client.arg(root().join("tests/interop/ts/run.mjs")).args(["--url", url, "--peer", "hubwire"]);
        report_of(client, &reports.join("typescript-hubwire.json"))
    }));
    collect(against("our client with the Go server", &go_server(), |url| {
        let mut client = program(our_client);
        client.args(["--url", url, "--peer", "go"]);
        report_of(client, &reports.join("rust-go.json"))
    }));

    println!("\n{}", table(&results));
    counts.add(count(&results));
    Ok(counts)
}

fn against(what: &str, server: &Path, run: impl FnOnce(&str) -> Result<Vec<Row>>) -> Result<Vec<Row>> {
    println!("\ninterop: {what}");
    let server = Server::start(&mut program(server))?;
    let _heartbeat = Heartbeat::start(what);
    run(&format!("{}{HUB}", server.url)).map_err(|error| format!("{what}: {error}"))
}

/// Runs a client and reads the report it leaves. A client that fails without a failed result is an error.
fn report_of(mut client: std::process::Command, file: &Path) -> Result<Vec<Row>> {
    // A report of an earlier run must not pass for this one's.
    let _ = fs::remove_file(file);
    let success = run_and_read(client.arg("--report").arg(file))?.success;
    let text = fs::read_to_string(file).map_err(|error| format!("the client left no report: {error}"))?;
    let rows = parse(&text)?;
    if rows.is_empty() {
        return Err("the report has no results".into());
    }
    if !success && rows.iter().all(|row| row.outcome != Verdict::Fail) {
        return Err("the client failed, although no result in its report did".into());
    }
    Ok(rows)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Pass,
    Fail,
    Skip,
}

#[derive(Debug, PartialEq, Eq)]
struct Row {
    /// Client, server, protocol and transport: one line of the table.
    group: String,
    scenario: String,
    outcome: Verdict,
    reason: String,
}

fn parse(text: &str) -> Result<Vec<Row>> {
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
                group: format!("{client:28}  {peer:8}  {protocol:11}  {transport:16}"),
                scenario: field(result, "scenario")?,
                outcome,
                reason: if outcome == Verdict::Pass { String::new() } else { field(result, "reason")? },
            })
        })
        .collect()
}

fn table(rows: &[Row]) -> String {
    let mut groups: Vec<&str> = rows.iter().map(|row| row.group.as_str()).collect();
    groups.dedup();
    let count =
        |group: &str, outcome| rows.iter().filter(|row| row.group == group && row.outcome == outcome).count();
    let mut lines = vec![format!(
        "{:28}  {:8}  {:11}  {:16}  pass  fail  skip",
        "client", "server", "protocol", "transport"
    )];
    for group in groups {
        let [pass, fail, skip] =
            [Verdict::Pass, Verdict::Fail, Verdict::Skip].map(|outcome| count(group, outcome));
        lines.push(format!("{group}  {pass:4}  {fail:4}  {skip:4}"));
    }
    lines.join("\n")
}

fn count(rows: &[Row]) -> Counts {
    let number = |outcome| rows.iter().filter(|row| row.outcome == outcome).count();
    let failed = rows.iter().filter(|row| row.outcome == Verdict::Fail);
    let words = |group: &str| group.split_whitespace().collect::<Vec<_>>().join(" ");
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
        let rows = parse(REPORT).unwrap();
        let counts = count(&rows);
        assert_eq!((counts.passed, counts.failed, counts.skipped), (1, 1, 1));
        assert_eq!(counts.notes, ["interop: void (c 1 go json WebSockets): no"]);
        let table = table(&rows);
        assert_eq!(table.lines().count(), 3, "{table}");
        assert!(table.lines().nth(1).unwrap().ends_with("   1     1     0"), "{table}");
    }

    #[test]
    fn a_report_that_is_not_one_is_refused() {
        assert!(parse("[]").unwrap_err().contains("client"));
        assert!(parse("nonsense").unwrap_err().contains("not JSON"));
        assert!(parse(&REPORT.replace("\"skip\"", "\"perhaps\"")).unwrap_err().contains("perhaps"));
        assert!(parse(&REPORT.replace("\"reason\": \"no\", ", "")).unwrap_err().contains("reason"));
    }
}
