//! The commands of the `fault-proxy` program: one JSON object in a line, answered with one.

use serde::{Deserialize, Serialize};

use super::{Faults, Proxy, Traffic};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Command {
    /// The number of one connection; all without it.
    connection: Option<u64>,
    faults: Option<Faults>,
    #[serde(default)]
    cut: bool,
    #[serde(default)]
    reset: bool,
    #[serde(default)]
    status: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    ok: bool,
    accepted: u64,
    traffic: Traffic,
    connections: Vec<Line>,
}

#[derive(Debug, Serialize)]
struct Line {
    connection: u64,
    #[serde(flatten)]
    traffic: Traffic,
}

impl Proxy {
    /// Carries out a command and gives the answer: the state before the command's cut or reset, or what was wrong with it.
    pub fn command(&self, line: &str) -> String {
        match serde_json::from_str(line)
            .map_err(|error| error.to_string())
            .and_then(|command| self.run(command))
        {
            Ok(status) => serde_json::to_string(&status).unwrap_or_default(),
            Err(error) => serde_json::json!({ "ok": false, "error": error }).to_string(),
        }
    }

    fn run(&self, command: Command) -> Result<Status, String> {
        let Command { connection, faults, cut, reset, status } = command;
        if [faults.is_some(), cut, reset, status].iter().filter(|&&asked| asked).count() != 1 {
            return Err("a command has exactly one of faults, cut, reset and status".into());
        }
        let mut connections = self.connections();
        if let Some(number) = connection {
            connections.retain(|open| open.number() == number);
            if connections.is_empty() {
                return Err(format!("there is no open connection {number}"));
            }
        }
        let lines = connections
            .iter()
            .map(|open| Line { connection: open.number(), traffic: open.traffic() })
            .collect();
        let answer =
            Status { ok: true, accepted: self.accepted(), traffic: self.traffic(), connections: lines };
        match faults {
            Some(faults) if connection.is_none() => self.set(faults),
            Some(faults) => connections.iter().for_each(|open| open.set(&faults)),
            None if cut => connections.iter().for_each(super::Connection::cut),
            None if reset => connections.iter().for_each(super::Connection::reset),
            None => {}
        }
        Ok(answer)
    }
}
