//! The `web` suite: the package as it is shipped and the example that uses it, in Chromium.

use super::{PACKAGE, build, folder, size};
use crate::Result;
use crate::chat_web;
use crate::process::{Heartbeat, Output, build_binaries, program, root, run, run_and_read};
use crate::setup::Need;
use crate::summary::{self, Counts};

const SHARED: &str = "bindings/js";

pub(crate) const NEEDS: &[Need] = &[
    Need::WasmTarget,
    Need::Npm(PACKAGE),
    Need::Npm(SHARED),
    Need::Npm(chat_web::FOLDER),
    Need::Npm("bindings/web/test/packaging/vite"),
    Need::Npm("bindings/web/test/packaging/webpack"),
    Need::Npm("bindings/web/test/packaging/esbuild"),
    Need::Chromium,
];

pub(crate) fn suite() -> Result<Counts> {
    let mut counts = summary::print(&build());
    if counts.failed > 0 {
        return Ok(counts);
    }
    // `cargo xtask size` judges by the budget, which is not reached yet; here nothing may get worse.
    counts.add(Counts::check(size(&["--no-growth"])));
    counts.add(node_tests(SHARED)?);
    counts.add(node_tests(PACKAGE)?);
    counts.add(in_chromium()?);
    counts.add(chat_web::suite()?);
    Ok(counts)
}

/// The tests of the TypeScript that needs no browser.
fn node_tests(folder: &str) -> Result<Counts> {
    let npm = |args: &[&str]| {
        let mut npm = program("npm");
        npm.args(args).current_dir(root().join(folder));
        npm
    };
    let mut counts = Counts::check(run(&mut npm(&["run", "--silent", "check"])));
    // Versions of Node differ in what they print by themselves.
    let mut tests = npm(&["test", "--silent"]);
    counts.add(tap(&run_and_read(tests.env("NODE_OPTIONS", "--test-reporter=tap"))?, folder));
    Ok(counts)
}

/// Counts what Node's test runner has printed.
fn tap(output: &Output, folder: &str) -> Counts {
    let lines = || output.stdout.lines().map(str::trim);
    let number = |what: &str| {
        let found = lines().find_map(|line| line.strip_prefix(what)?.trim().parse().ok());
        found.unwrap_or(0)
    };
    let failures = lines().filter_map(|line| line.strip_prefix("not ok "));
    let mut counts = Counts {
        passed: number("# pass "),
        failed: number("# fail "),
        skipped: number("# skipped "),
        notes: failures.map(|test| format!("web: {folder}: {test}")).collect(),
    };
    if counts.passed == 0 || (!output.success && counts.failed == 0) {
        counts.add(Counts::failed(format!("web: the tests of {folder} did not come to their end")));
    }
    counts
}

fn in_chromium() -> Result<Counts> {
    let mut node = program("node");
    node.arg(folder().join("test/run.mjs"));
    for (option, binary) in
        ["--server", "--proxy"].iter().zip(build_binaries(&["interop-server", "fault-proxy"])?)
    {
        node.arg(option).arg(binary);
    }
    let _heartbeat = Heartbeat::start("tests in Chromium");
    Ok(counted("web", &run_and_read(&mut node)?))
}

/// Counts `pass|fail|skip  FILE > TEST…` lines.
pub(crate) fn counted(suite: &str, output: &Output) -> Counts {
    let mut counts = Counts::default();
    for line in output.stdout.lines() {
        match line.split_once("  ") {
            Some(("pass", _)) => counts.passed += 1,
            Some(("skip", test)) => {
                counts.skipped += 1;
                counts.notes.push(format!("{suite}: not run: {test}"));
            }
            Some(("fail", test)) => counts.add(Counts::failed(format!("{suite}: {test}"))),
            _ => {}
        }
    }
    if !output.success && counts.failed == 0 {
        counts.add(Counts::failed(format!("{suite}: the tests did not come to their end")));
    }
    if counts.passed == 0 {
        counts.add(Counts::failed(format!("{suite}: nothing passed")));
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(success: bool, stdout: &str) -> Output {
        Output { success, stdout: stdout.into(), stderr: String::new() }
    }

    #[test]
    fn lines_are_counted_and_failures_named() {
        let text =
            "pass  a > b  (3 ms)\nfail  a > c: no  (4 ms)\nskip  a > d: why  (0 ms)\n\npassed by\n1 passed";
        let counts = counted("web", &output(false, text));
        assert_eq!((counts.passed, counts.failed, counts.skipped), (1, 1, 1));
        assert_eq!(counts.notes, ["web: a > c: no  (4 ms)", "web: not run: a > d: why  (0 ms)"]);
    }

    #[test]
    fn the_summary_of_node_is_read() {
        let counts = tap(&output(false, "ok 1 - a\nnot ok 2 - b\n# pass 1\n# fail 1\n# skipped 2\n"), SHARED);
        assert_eq!((counts.passed, counts.failed, counts.skipped), (1, 1, 2));
        assert_eq!(counts.notes, ["web: bindings/js: 2 - b"]);
        assert_eq!(tap(&output(true, ""), SHARED).failed, 1);
    }

    #[test]
    fn a_run_that_breaks_off_or_tests_nothing_fails() {
        assert_eq!(counted("web", &output(false, "pass  a > b  (3 ms)")).failed, 1);
        assert_eq!(counted("web", &output(true, "")).failed, 1);
        assert_eq!(counted("web", &output(true, "pass  a > b  (3 ms)")).failed, 0);
    }
}
