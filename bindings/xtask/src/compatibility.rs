//! `docs/compatibility.md`: what the interop suite found, as a page. It has no times and no dates, so that it changes only
//! when a result does.

use std::fmt::Write;
use std::fs;

use serde_json::Value;

use crate::Result;
use crate::interop::{Group, Row, Verdict, groups};
use crate::process::root;

const PAGE: &str = "docs/compatibility.md";
const PEERS: &str = "tests/interop/peers.json";
const TRANSPORTS: [&str; 3] = ["WebSockets", "ServerSentEvents", "LongPolling"];
const PROTOCOLS: [&str; 2] = ["json", "messagepack"];

/// Writes the page, or with `check` only compares it.
pub(crate) fn update(rows: &[Row], check: bool) -> Result<()> {
    let peers = fs::read_to_string(root().join(PEERS)).map_err(|error| format!("{PEERS}: {error}"))?;
    let peers = serde_json::from_str(&peers).map_err(|error| format!("{PEERS}: {error}"))?;
    let wanted = page(rows, &peers);
    let file = root().join(PAGE);
    if fs::read_to_string(&file).is_ok_and(|present| present == wanted) {
        println!("{PAGE}: as committed or written before");
        return Ok(());
    }
    if check {
        let found = crate::setup::target_folder().join("interop/compatibility.md");
        fs::write(&found, wanted).map_err(|error| format!("{}: {error}", found.display()))?;
        return Err(format!(
            "interop: {PAGE} is not what this run found; `cargo xtask test interop` writes it (here: {})",
            found.display()
        ));
    }
    fs::write(&file, wanted).map_err(|error| format!("{PAGE}: {error}"))?;
    println!("{PAGE}: written; it has changed");
    Ok(())
}

fn page(rows: &[Row], peers: &Value) -> String {
    let groups = groups(rows);
    let mut reasons: Vec<String> = Vec::new();
    let scenarios = scenarios(rows, &groups, &mut reasons);
    let mut text = String::from(
        "# Compatibility\n\n\
         What works between Hubwire and programs of others, found by running them. Written by `cargo xtask test interop`;\n\
         do not edit. `tests/interop/HUB.md` says what the scenarios call, `tests/interop/peers.json` what a peer cannot do.\n\n\
         | client | server | transport | protocol | works | cannot |\n|---|---|---|---|---|---|\n",
    );
    for group in &groups {
        let count =
            |outcome| rows.iter().filter(|row| row.group == **group && row.outcome == outcome).count();
        let Group { client, server, transport, protocol, .. } = group;
        let (pass, skip) = (count(Verdict::Pass), count(Verdict::Skip));
        put(
            &mut text,
            format_args!("| {client} | {server} | {transport} | {protocol} | {pass} | {skip} |\n"),
        );
    }
    text.push_str("\nNot run:\n\n| client | transport | protocol | why |\n|---|---|---|---|\n");
    for (client, transport, protocol, why) in not_run(&groups, peers) {
        put(&mut text, format_args!("| {client} | {transport} | {protocol} | {why} |\n"));
    }
    text.push_str(&scenarios);
    text.push_str("\n## Reasons\n\n");
    for (number, reason) in (1..).zip(&reasons) {
        put(&mut text, format_args!("{number}. {reason}\n"));
    }
    text
}

/// Writing to a string cannot fail.
fn put(text: &mut String, line: std::fmt::Arguments<'_>) {
    let _ = text.write_fmt(line);
}

fn scenarios(rows: &[Row], groups: &[&Group], reasons: &mut Vec<String>) -> String {
    let mut text = String::from(
        "\n## Scenarios\n\n\
         ✓ works; a number is the reason why it cannot; empty: not tried, because the client's suite does not have it.\n\n| scenario |",
    );
    for Group { key, server, transport, protocol, .. } in groups {
        put(&mut text, format_args!(" {key} → {server}, {transport}, {protocol} |"));
    }
    text.push_str(&format!("\n|---|{}\n", "---|".repeat(groups.len())));
    let mut names: Vec<&str> = Vec::new();
    for row in rows {
        if !names.contains(&row.scenario.as_str()) {
            names.push(&row.scenario);
        }
    }
    for name in names {
        put(&mut text, format_args!("| {name} |"));
        for group in groups {
            let cell = match rows.iter().find(|row| row.scenario == name && row.group == **group) {
                None => String::new(),
                Some(Row { outcome: Verdict::Pass, .. }) => "✓".to_owned(),
                Some(Row { outcome: Verdict::Fail, .. }) => "FAILS".to_owned(),
                Some(Row { reason, .. }) => number(reasons, reason).to_string(),
            };
            put(&mut text, format_args!(" {cell} |"));
        }
        text.push('\n');
    }
    text
}

/// The number of a reason, new or seen before.
fn number(reasons: &mut Vec<String>, reason: &str) -> usize {
    let at = reasons.iter().position(|other| other == reason).unwrap_or_else(|| {
        reasons.push(reason.to_owned());
        reasons.len() - 1
    });
    at + 1
}

/// Every transport with every protocol that did not run, and why.
fn not_run<'a>(
    groups: &[&'a Group],
    peers: &'a Value,
) -> Vec<(&'a str, &'static str, &'static str, &'a str)> {
    let mut lines = Vec::new();
    let mut clients: Vec<&Group> = Vec::new();
    for group in groups {
        if clients.iter().all(|client| client.key != group.key) {
            clients.push(group);
        }
    }
    for Group { key, client, .. } in clients {
        let about = &peers["clients"][key];
        for transport in TRANSPORTS {
            for protocol in PROTOCOLS {
                let ran = |group: &&&Group| {
                    group.key == *key && group.transport == transport && group.protocol == protocol
                };
                if groups.iter().any(|group| ran(&group)) {
                    continue;
                }
                let lacks = |name: &str| about["lacks"][name].as_str();
                let why =
                    lacks(transport).or_else(|| lacks(protocol)).unwrap_or(match (transport, protocol) {
                        ("ServerSentEvents", "messagepack") => "Server-Sent Events carry text only",
                        _ => "not yet",
                    });
                lines.push((client.as_str(), transport, protocol, why));
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(protocol: &str, scenario: &str, outcome: Verdict, reason: &str) -> Row {
        let group = Group {
            key: "java",
            client: "signalr 9 (Java)".into(),
            server: "hubwire".into(),
            protocol: protocol.into(),
            transport: "WebSockets".into(),
        };
        Row { group, scenario: scenario.into(), outcome, reason: reason.into() }
    }

    #[test]
    fn the_page_has_every_cell_and_each_reason_once() {
        let rows = [
            row("json", "echo", Verdict::Pass, ""),
            row("json", "void", Verdict::Skip, "it is empty"),
            row("messagepack", "void", Verdict::Skip, "it is empty"),
            row("messagepack", "users", Verdict::Skip, "nobody is there"),
        ];
        let peers =
            serde_json::json!({ "clients": { "java": { "lacks": { "LongPolling": "it is too short" } } } });
        let page = page(&rows, &peers);
        for line in [
            "| signalr 9 (Java) | hubwire | WebSockets | json | 1 | 1 |",
            "| signalr 9 (Java) | LongPolling | messagepack | it is too short |",
            "| signalr 9 (Java) | ServerSentEvents | json | not yet |",
            "| signalr 9 (Java) | ServerSentEvents | messagepack | Server-Sent Events carry text only |",
            "| echo | ✓ |  |",
            "| void | 1 | 1 |",
            "| users |  | 2 |",
            "1. it is empty",
            "2. nobody is there",
        ] {
            assert!(page.lines().any(|other| other == line), "no line \"{line}\" in\n{page}");
        }
        assert_eq!(page.matches("it is empty").count(), 1);
    }
}
