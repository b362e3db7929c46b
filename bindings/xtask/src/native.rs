//! The library behind the Kotlin and Swift packages: built as it is shipped, weighed, and described to both languages.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::process::{build_binaries, cargo, program, root, run};
use crate::setup::target_folder;
use crate::suites::JOBS;

/// How it is compiled.
pub(crate) const PROFILE: &str = "ffi";

/// What applications ship of it at most, in bytes, for Linux on x86-64.
const BUDGET: u64 = 4_000_000;

/// The package has the version of the workspace: `file` says it behind `before`.
pub(crate) fn check_version(file: &str, before: &str) -> Result<()> {
    let text = fs::read_to_string(root().join(file)).map_err(|error| format!("{file}: {error}"))?;
    let behind = text.split_once(before).ok_or_else(|| format!("{file} does not say its version"))?.1;
    let version: String = behind.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    let workspace = env!("CARGO_PKG_VERSION");
    if version == workspace {
        Ok(())
    } else {
        Err(format!("{file} says {version}, the workspace is {workspace}"))
    }
}

/// Compiles the library, shared and as an archive.
pub(crate) fn compile() -> Result<()> {
    // Not together with the crate type `lib`: there would be no link-time optimisation.
    let types = "cdylib,staticlib";
    run(cargo().args([
        "rustc",
        "--package",
        "hubwire-ffi",
        "--lib",
        "--profile",
        PROFILE,
        "--crate-type",
        types,
        JOBS,
    ]))
}

/// Where it is then.
pub(crate) fn folder() -> PathBuf {
    target_folder().join(PROFILE)
}

/// The file of the shared library, by its name here.
pub(crate) fn shared() -> PathBuf {
    folder().join(shared_name())
}

pub(crate) fn shared_name() -> String {
    format!("{}hubwire_ffi{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX)
}

/// The program that writes the foreign side of the border.
pub(crate) fn bindgen() -> Result<PathBuf> {
    build_binaries(&["hubwire-bindgen"])?.pop().ok_or_else(|| "cargo did not build hubwire-bindgen".into())
}

/// An empty folder.
pub(crate) fn empty(folder: &Path) -> Result<()> {
    // It may not be there yet; what else can be wrong, the next step says.
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))
}

/// Copies the shared library without what nobody needs to run it.
pub(crate) fn ship(to: &Path) -> Result<()> {
    copy(&shared(), to)?;
    run(program("strip").arg(if cfg!(target_os = "macos") { "-x" } else { "--strip-all" }).arg(to))?;
    let bytes = weigh(to)?;
    let is_measured = cfg!(all(target_os = "linux", target_arch = "x86_64"));
    if is_measured && bytes > BUDGET {
        return Err(format!("the library has {bytes} bytes, the budget is {BUDGET}"));
    }
    Ok(())
}

/// Copies a file into a folder that may not be there yet.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    fs::copy(from, to).map(drop).map_err(|error| format!("{}: {error}", from.display()))
}

/// Tells how many bytes it has.
pub(crate) fn weigh(file: &Path) -> Result<u64> {
    let bytes = fs::metadata(file).map_err(|error| format!("{}: {error}", file.display()))?.len();
    println!("  {}: {:.2} MB", file.display(), bytes as f64 / 1e6);
    Ok(bytes)
}
