//! `cargo xtask web`: the npm package `@hubwire/web`, from the crate to what is published. Also its size, its tests in
//! Chromium and its measurements.

pub(crate) mod inputs;
mod suite;
mod versions;

use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::process::{cargo, executables, program, read, root, run, shown};
use crate::setup::{Need, WASM_TARGET, target_folder, wasm_environment};
use crate::steps::{self, Step};
use crate::suites::JOBS;
use crate::summary::{self, Outcome, Row};
use crate::wasm::check_dependencies;

pub(crate) const PACKAGE: &str = "bindings/web";
const NAME: &str = "hubwire_web";

pub(crate) use self::suite::{NEEDS, counted, suite};

/// Each needs what those before have made.
const STEPS: [Step; 9] = [
    ("versions agree", versions::check),
    ("compile", compile),
    ("dependencies", dependencies),
    ("glue", glue),
    ("wasm-opt", optimise),
    ("module", check_module),
    ("short names", shorten),
    ("types", types),
    ("bundle", bundle),
];

/// What the package is built from.
const INPUTS: [&str; 10] = [
    "Cargo.lock",
    "sdk-core/Cargo.toml",
    "sdk-core/src",
    "bindings/js/src",
    "bindings/web/Cargo.toml",
    "bindings/web/js",
    "bindings/web/package-lock.json",
    "bindings/web/scripts",
    "bindings/web/src",
    "bindings/web/tsconfig.json",
];

fn folder() -> PathBuf {
    root().join(PACKAGE)
}

/// What the TypeScript imports of the WebAssembly module.
fn generated(file: &str) -> PathBuf {
    folder().join("build/wasm").join(file)
}

/// A command-line tool of the package's own dependencies.
fn npm_tool(name: &str) -> PathBuf {
    folder().join("node_modules/.bin").join(name)
}

pub(crate) fn command(args: &[String]) -> Result<()> {
    if let Some(other) = args.first() {
        return Err(format!("web takes no arguments, not \"{other}\""));
    }
    Need::WasmTarget.provide()?;
    Need::Npm(PACKAGE).provide()?;
    let rows = build();
    if summary::print(&rows).failed > 0 {
        return Err("the package is not built".into());
    }
    println!("web: {PACKAGE}/dist is ready");
    Ok(())
}

/// `cargo xtask size [--functions]`: builds, then weighs.
pub(crate) fn size_command(args: &[String]) -> Result<()> {
    match args {
        [] => {}
        [option] if option == "--functions" => return functions(),
        [other, ..] => return Err(format!("size takes only --functions, not \"{other}\"")),
    }
    command(&[])?;
    size(&[])
}

/// Lists what is large in the module.
fn functions() -> Result<()> {
    Need::WasmTarget.provide()?;
    Need::Npm(PACKAGE).provide()?;
    compile()?;
    let named = target_folder().join("wasm-named");
    clear(&named)?;
    write_glue(&named, &["--names"])?;
    let module = named.join(format!("{NAME}_bg.wasm"));
    run(program(npm_tool("wasm-opt")).args(["-Oz", "-g"]).arg(&module).arg("-o").arg(&module))?;
    run(program("node").arg(folder().join("scripts/functions.mjs")).arg(&module))
}

/// `cargo xtask bench web`: what receiving a message costs beside the official client. Slow machines are no failure.
pub(crate) fn bench(args: &[String]) -> Result<()> {
    command(args)?;
    Need::Chromium.provide()?;
    println!("bench: a minute or two; other programs disturb it");
    run(program("node").arg(folder().join("test/bench/run.mjs")))
}

/// Prints the table, and fails when the package is heavier than it may be.
fn size(options: &[&str]) -> Result<()> {
    run(program("node").arg(folder().join("scripts/size.mjs")).args(options))
}

/// Builds `dist` unless it is what these sources come to.
pub(crate) fn ensure() -> Result<()> {
    let present = folder().join("dist/index.js").is_file();
    if present && inputs::is_built(&stamp(), &inputs::fingerprint(&INPUTS)?) { Ok(()) } else { command(&[]) }
}

fn stamp() -> PathBuf {
    folder().join("node_modules/.built-package")
}

/// Builds `dist`, and stops at the first step that fails.
fn build() -> Vec<Row> {
    let before = inputs::fingerprint(&INPUTS);
    let rows = steps::run("web", &STEPS);
    if rows.len() == STEPS.len() && rows.iter().all(has_passed) {
        // At worst it is built once more.
        let _ = before.and_then(|fingerprint| inputs::built(&stamp(), &fingerprint));
    }
    rows
}

fn has_passed(row: &Row) -> bool {
    matches!(&row.outcome, Outcome::Ran(counts) if counts.failed == 0)
}

fn compile() -> Result<()> {
    let mut build = cargo();
    build.args(["build", "--package", "hubwire-web", "--profile", "wasm", "--target", WASM_TARGET, JOBS]);
    run(build.envs(wasm_environment()?))
}

fn dependencies() -> Result<()> {
    let mut tree = cargo();
    tree.args(["tree", "--package", "hubwire-web", "--target", WASM_TARGET]);
    tree.args(["--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}"]);
    check_dependencies(tree)
}

fn glue() -> Result<()> {
    let into = generated("");
    clear(&into)?;
    write_glue(&into, &[])?;
    // The bundler turns the module into its bytes, for the entry that has it inside.
    let types = generated(&format!("{NAME}_bg.wasm.d.ts"));
    write(&types, "declare const bytes: Uint8Array<ArrayBuffer>;\nexport default bytes;\n")
}

fn write_glue(into: &Path, options: &[&str]) -> Result<()> {
    let mut build = cargo();
    build.args(["build", "--package", "hubwire-glue", JOBS]);
    let module = target_folder().join(WASM_TARGET).join("wasm").join(format!("{NAME}.wasm"));
    for glue in executables(build, &["hubwire-glue"])? {
        run(program(glue).arg(&module).arg(into).arg(NAME).args(options))?;
    }
    Ok(())
}

/// What makes the module smallest once it is compressed: another form for the optimiser to start from, twice; no large
/// functions inside of others, where they would have more variables; and no hints of alignment, which engines do not use.
/// Nothing is in the first kilobyte of the memory: it is the end of the stack.
const SMALLEST: [&str; 11] = [
    "--low-memory-unused",
    "--one-caller-inline-max-function-size=30",
    "--flatten",
    "--rereloop",
    "-Oz",
    "--flatten",
    "--rereloop",
    "-Oz",
    "-Oz",
    "--dealign",
    "--strip-debug",
];

/// With the wasm-opt of npm: Debian's ends well and writes a module that does not start.
fn optimise() -> Result<()> {
    let module = generated(&format!("{NAME}_bg.wasm"));
    run(program(npm_tool("wasm-opt")).args(SMALLEST).arg(&module).arg("-o").arg(&module))
}

fn check_module() -> Result<()> {
    let script = folder().join("scripts/check-module.mjs");
    run(program("node").arg(script).arg(generated(&format!("{NAME}_bg.wasm"))))
}

/// Takes the long names out of the module and its glue.
fn shorten() -> Result<()> {
    let module = generated(&format!("{NAME}_bg.wasm"));
    let mut wasm_opt = program(npm_tool("wasm-opt"));
    // wasm-opt reads that section, so it goes last.
    wasm_opt.args(["--minify-imports-and-exports-and-modules", "--strip-target-features"]);
    wasm_opt.arg(&module).arg("-o").arg(&module);
    println!("$ {}", shown(&wasm_opt));
    let output = read(&mut wasm_opt)?;
    if !output.success {
        // It may have written the whole module.
        return Err(output.stderr.lines().take(5).collect::<Vec<_>>().join("\n"));
    }
    let names = generated("names.json");
    write(&names, &output.stdout)?;
    run(program("node")
        .arg(folder().join("scripts/shorten.mjs"))
        .arg(names)
        .arg(generated(&format!("{NAME}.js"))))
}

fn types() -> Result<()> {
    clear(&folder().join("dist"))?;
    run(program(npm_tool("tsc")).current_dir(folder()).args(["--project", "tsconfig.json"]))
}

fn bundle() -> Result<()> {
    run(program("node").arg(folder().join("scripts/bundle.mjs")))
}

/// Makes a folder without anything in it.
fn clear(folder: &Path) -> Result<()> {
    // It may not be there yet; what else can be wrong, the next call says.
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))
}

fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))
}
