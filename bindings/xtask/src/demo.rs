//! `cargo xtask demo`: builds the demo and its page, and hands over to it.

use std::process::Command;

use crate::Result;
use crate::chat_web;
use crate::process::{Heartbeat, build_binaries, program, run_and_read, shown};
use crate::summary::Counts;

/// Checks the arguments and gives back those for the program.
fn program_arguments(args: &[String]) -> Result<Vec<String>> {
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        match arg.as_str() {
            "--check" => {}
            "--port" => {
                let port = rest.next().ok_or("--port needs a number")?;
                port.parse::<u16>().map_err(|_| format!("--port: \"{port}\" is not a port number"))?;
            }
            other => return Err(format!("demo takes --check and --port N, not \"{other}\"")),
        }
    }
    Ok(args.to_vec())
}

fn built() -> Result<Command> {
    let binaries = build_binaries(&["hubwire-server", "hubwire-demo"])?;
    let [server, demo] = &binaries[..] else {
        return Err("cargo built no demo".to_owned());
    };
    let mut demo = program(demo);
    demo.arg("--server").arg(server);
    if let Some(site) = chat_web::site()? {
        demo.arg("--site").arg(site);
    }
    Ok(demo)
}

fn prepared(args: &[String]) -> Result<Command> {
    let args = program_arguments(args)?;
    println!("demo: building");
    let mut demo = built()?;
    demo.args(args);
    println!("$ {}", shown(&demo));
    Ok(demo)
}

pub(crate) fn command_line(args: &[String]) -> Result<()> {
    become_program(prepared(args)?)
}

/// The demo takes this process over, so that Ctrl-C and signals reach it and its status is the status of the command.
#[cfg(unix)]
fn become_program(mut demo: Command) -> Result<()> {
    use std::os::unix::process::CommandExt;
    Err(format!("cannot start the demo: {}", demo.exec()))
}

#[cfg(not(unix))]
fn become_program(mut demo: Command) -> Result<()> {
    let status = demo.status().map_err(|error| format!("cannot start the demo: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("the demo ended with {status}")) }
}

/// The suite: the demo must find everything it expects.
pub(crate) fn check() -> Result<Counts> {
    let mut demo = built()?;
    let _heartbeat = Heartbeat::start("demo");
    let output = run_and_read(demo.arg("--check"))?;
    let said_ok = output.stdout.lines().any(|line| line.trim() == "demo: ok");
    Ok(Counts::check(match (output.success, said_ok) {
        (true, true) => Ok(()),
        (true, false) => Err("the demo ended well without saying \"demo: ok\"".to_owned()),
        (false, _) => Err("the demo failed".to_owned()),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn arguments_are_checked_before_anything_is_built() {
        assert_eq!(program_arguments(&words("--check --port 8080")).unwrap(), words("--check --port 8080"));
        assert!(program_arguments(&words("--port")).unwrap_err().contains("--port"));
        assert!(program_arguments(&words("--port 99999")).unwrap_err().contains("99999"));
        assert!(program_arguments(&words("--verify")).unwrap_err().contains("--verify"));
    }
}
