//! `cargo xtask native`: the library of Kotlin for the platforms of the JVM, built on this one, with zig for C and for linking.

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::Result;
use crate::kotlin;
use crate::native;
use crate::process::{cargo, host, program, read, root, run};
use crate::setup::{Need, target_folder, zig_folder};
use crate::suites::JOBS;
use crate::summary::{self, Counts, Outcome, Row};

struct Platform {
    /// Cargo's name of it.
    target: &'static str,
    /// What is built for: the oldest C library that it is to run with, behind the name.
    linked: &'static str,
    /// JNA's name of it: the folder in the jar.
    folder: &'static str,
    file: &'static str,
}

/// 2.17 is what the standard library of Rust needs at least.
const PLATFORMS: [Platform; 5] = [
    Platform {
        target: "x86_64-unknown-linux-gnu",
        linked: "x86_64-unknown-linux-gnu.2.17",
        folder: "linux-x86-64",
        file: "libhubwire_ffi.so",
    },
    Platform {
        target: "aarch64-unknown-linux-gnu",
        linked: "aarch64-unknown-linux-gnu.2.17",
        folder: "linux-aarch64",
        file: "libhubwire_ffi.so",
    },
    Platform {
        target: "x86_64-pc-windows-gnu",
        linked: "x86_64-pc-windows-gnu",
        folder: "win32-x86-64",
        file: "hubwire_ffi.dll",
    },
    Platform {
        target: "aarch64-apple-darwin",
        linked: "aarch64-apple-darwin",
        folder: "darwin-aarch64",
        file: "libhubwire_ffi.dylib",
    },
    Platform {
        target: "x86_64-apple-darwin",
        linked: "x86_64-apple-darwin",
        folder: "darwin-x86-64",
        file: "libhubwire_ffi.dylib",
    },
];

/// Builds it for those that are named, or for all.
pub(crate) fn command(args: &[String]) -> Result<()> {
    let known = || PLATFORMS.map(|platform| platform.target).join(", ");
    if let Some(other) = args.iter().find(|name| PLATFORMS.iter().all(|platform| platform.target != **name)) {
        return Err(format!("\"{other}\" is none of {}", known()));
    }
    Need::Zig.provide()?;
    let wanted = |platform: &&Platform| args.is_empty() || args.iter().any(|name| name == platform.target);
    let mut rows = Vec::new();
    for platform in PLATFORMS.iter().filter(wanted) {
        println!("\n=== native: {}", platform.target);
        let started = Instant::now();
        let counts = Counts::check(build_for(platform));
        rows.push(Row {
            name: platform.target.into(),
            outcome: Outcome::Ran(counts),
            took: started.elapsed(),
        });
    }
    if summary::print(&rows).failed > 0 {
        return Err("not all of them are built".into());
    }
    println!("native: in {}, for the next jar", kotlin::natives().display());
    Ok(())
}

/// Builds it for one of them, by cargo's name, with the tools in place.
pub(crate) fn build(target: &str) -> Result<()> {
    let platform = PLATFORMS.iter().find(|platform| platform.target == target);
    build_for(platform.ok_or_else(|| format!("nothing is known of {target}"))?)
}

fn build_for(platform: &Platform) -> Result<()> {
    run(program("rustup").args(["target", "add", platform.target]))?;
    let zig = zig_folder().join("bin");
    let mut build = program(zig.join("cargo-zigbuild"));
    build.env("CARGO_ZIGBUILD_PYTHON_PATH", zig.join("python"));
    // Symbols are of use to the archive only, which is not built here.
    build.env("CARGO_PROFILE_FFI_STRIP", "symbols").env("CARGO", cargo().get_program());
    build.args(["rustc", "--package", "hubwire-ffi", "--lib", "--profile", native::PROFILE]);
    build.args(["--crate-type", "cdylib", "--target", platform.linked, JOBS]);
    run(build.current_dir(root()))?;
    let to = kotlin::natives().join(platform.folder).join(platform.file);
    native::copy(&built(platform), &to)?;
    if platform.target.ends_with("-apple-darwin") {
        discard_local_symbols(&to)?;
    }
    native::weigh(&to).map(drop)
}

fn built(platform: &Platform) -> PathBuf {
    target_folder().join(platform.target).join(native::PROFILE).join(platform.file)
}

/// What the linker does elsewhere. Signs the file anew, which macOS asks for on ARM.
fn discard_local_symbols(file: &Path) -> Result<()> {
    let output = read(program("rustc").args(["--print", "sysroot"]))?;
    let libraries = Path::new(output.stdout.trim()).join("lib");
    let tools = libraries.join("rustlib").join(host()?).join("bin");
    run(program(tools.join("rust-objcopy")).env("LD_LIBRARY_PATH", libraries).arg("--discard-all").arg(file))
}
