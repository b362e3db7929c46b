//! The chat page of `examples/chat-web`: built for the demo, and tested in Chromium.

use std::path::PathBuf;

use crate::Result;
use crate::process::{Heartbeat, build_binaries, in_ci, program, root, run, run_and_read};
use crate::setup::{Need, node};
use crate::summary::Counts;
use crate::web;
use crate::web::inputs::{built, fingerprint, is_built};

pub(crate) const FOLDER: &str = "examples/chat-web";

/// Vite does not start with an older one.
const NODE: (u32, u32) = (20, 19);

const INPUTS: [&str; 7] = [
    "examples/chat-web/src",
    "examples/chat-web/public",
    "examples/chat-web/index.html",
    "examples/chat-web/package-lock.json",
    "examples/chat-web/tsconfig.json",
    "examples/chat-web/vite.config.js",
    "bindings/web/dist",
];

fn dist() -> PathBuf {
    root().join(FOLDER).join("dist")
}

/// What building it takes, beyond Rust.
fn provide() -> Result<()> {
    node(NODE)?;
    [Need::Npm(FOLDER), Need::Npm(web::PACKAGE), Need::WasmTarget].iter().try_for_each(|need| need.provide())
}

/// The folder with the page, built anew if anything of it has changed. Without the tools there is none, which is a failure only
/// in CI.
pub(crate) fn site() -> Result<Option<PathBuf>> {
    if let Err(missing) = provide() {
        if in_ci() {
            return Err(format!("the page cannot be built: {missing}"));
        }
        println!("demo: goes on without its page, which cannot be built: {missing}");
        return Ok(None);
    }
    web::ensure()?;
    build()?;
    Ok(Some(dist()))
}

fn build() -> Result<()> {
    let inputs = fingerprint(&INPUTS)?;
    let stamp = root().join(FOLDER).join("node_modules/.built-page");
    if dist().join("index.html").is_file() && is_built(&stamp, &inputs) {
        return Ok(());
    }
    run(program("npm")
        .args(["run", "--silent", "build", "--", "--logLevel", "warn"])
        .current_dir(root().join(FOLDER)))?;
    built(&stamp, &inputs)
}

/// Types, and what people do with the page in Chromium. The package must be built.
pub(crate) fn suite() -> Result<Counts> {
    node(NODE)?;
    let mut check = program("npm");
    let mut counts =
        Counts::check(run(check.args(["run", "--silent", "check"]).current_dir(root().join(FOLDER))));
    counts.add(Counts::check(build()));
    if counts.failed > 0 {
        return Ok(counts);
    }
    let mut node = program("node");
    node.arg(root().join(FOLDER).join("test/run.mjs"));
    for demo in build_binaries(&["hubwire-demo"])? {
        node.arg("--demo").arg(demo);
    }
    let _heartbeat = Heartbeat::start("the chat page in Chromium");
    counts.add(web::counted("web", &run_and_read(&mut node)?));
    Ok(counts)
}
