//! What suites need beyond Rust, and how to get it on a fresh machine. Every step is named when it is done.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::Result;
use crate::process::{program, read, root, run, seconds};

pub(crate) const WASM_TARGET: &str = "wasm32-unknown-unknown";

/// Something a suite cannot run without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Node and the packages of this folder, as its lock file says.
    Npm(&'static str),
    /// A Go program of the interop suite, built.
    Go(&'static str),
    /// Java and Maven.
    Java,
    /// The Java program of the interop suite, built.
    Maven,
    /// Swift, with a C library of its own.
    Swift,
    /// Python with what the interop suite's Python program needs, in an environment of its own.
    Python,
    /// The standard library for wasm32.
    WasmTarget,
    /// The browser.
    Chromium,
    /// The HTTP proxy that the Rust client is tried behind.
    Tinyproxy,
    /// What builds for other platforms.
    Zig,
    /// A Java for another processor, emulated.
    Arm64Java,
}

impl Need {
    /// Whether the suite is worth running without it: a few of its tests say that they are skipped then.
    pub(crate) const fn is_optional(self) -> bool {
        matches!(self, Self::Tinyproxy | Self::Zig | Self::Arm64Java)
    }

    /// Gets it, or says why that is impossible here.
    pub(crate) fn provide(self) -> Result<()> {
        match self {
            Self::Npm(folder) => {
                node((18, 19))?;
                tool("npm", "--version", (9, 0), &["nodejs", "npm"])?;
                npm_ci(&root().join(folder), folder)
            }
            Self::Go(name) => go_build(&go()?, name),
            Self::Java => {
                tool("java", "--version", (17, 0), &["openjdk-17-jdk-headless"])?;
                tool("mvn", "--version", (3, 6), &["maven"])
            }
            Self::Maven => {
                Self::Java.provide()?;
                maven_package()
            }
            Self::Swift => swift(),
            Self::Python => {
                tool("python3", "--version", (3, 10), &["python3", "python3-venv"])?;
                python_environment("tests/interop/python/requirements.txt", &python_folder())
            }
            Self::Zig => {
                tool("python3", "--version", (3, 10), &["python3", "python3-venv"])?;
                python_environment("bindings/xtask/scripts/zig-requirements.txt", &zig_folder())
            }
            Self::Arm64Java => {
                let script = root().join("bindings/xtask/scripts/arm64-jvm.sh");
                step("Java for ARM64", || run(program("bash").arg(script).arg(arm64_folder())))
            }
            Self::Chromium => tool("chromium", "--version", (120, 0), &["chromium"]),
            // The program alone: the package `tinyproxy` would start a service.
            Self::Tinyproxy => tool("tinyproxy", "-v", (1, 10), &["tinyproxy-bin"]),
            Self::WasmTarget => {
                let script = root().join("bindings/xtask/scripts/wasm-target.sh");
                step("wasm32 standard library", || run(program("bash").arg(script).arg(wasm_folder())))
            }
        }
    }
}

fn step(what: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    println!("setup: {what}");
    let started = Instant::now();
    work().map_err(|error| format!("{what}: {error}"))?;
    println!("setup: {what}: ready ({})", seconds(started));
    Ok(())
}

/// Makes sure a tool of at least this version is there, from apt when it is not and we are root.
fn tool(name: &str, version_flag: &str, at_least: (u32, u32), packages: &[&str]) -> Result<()> {
    if installed(name, version_flag).is_some_and(|version| version >= at_least) {
        return Ok(());
    }
    let wanted = format!("{name} {}.{} or newer", at_least.0, at_least.1);
    apt_install(packages).map_err(|error| format!("{wanted} is missing, and {error}"))?;
    match installed(name, version_flag) {
        Some(version) if version >= at_least => Ok(()),
        Some((major, minor)) => Err(format!("{wanted} is missing: Debian has {major}.{minor}")),
        None => Err(format!("{wanted} is missing after installing {}", packages.join(", "))),
    }
}

/// Makes sure of a Node of at least this version.
pub(crate) fn node(at_least: (u32, u32)) -> Result<()> {
    tool("node", "--version", at_least, &["nodejs", "npm"])
}

fn installed(name: &str, version_flag: &str) -> Option<(u32, u32)> {
    let output = read(program(name).arg(version_flag)).ok()?;
    if output.success { version_in(&output.stdout) } else { None }
}

/// The first `major.minor` in a program's version line.
fn version_in(text: &str) -> Option<(u32, u32)> {
    text.split(|c: char| !c.is_ascii_digit() && c != '.').find_map(|word| {
        let mut parts = word.split('.');
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    })
}

fn apt_install(packages: &[&str]) -> Result<()> {
    let is_root = read(program("id").arg("-u")).is_ok_and(|output| output.stdout.trim() == "0");
    if !is_root {
        return Err("only root can install it".into());
    }
    step(&format!("apt-get install {}", packages.join(" ")), || {
        let apt = |args: &[&str]| {
            run(program("apt-get").env("DEBIAN_FRONTEND", "noninteractive").arg("-qq").args(args))
        };
        apt(&["update"])?;
        apt(&[&["install", "-y", "--no-install-recommends"], packages].concat())
    })
}

/// `npm ci`, unless the packages in place are those of this lock file.
fn npm_ci(folder: &Path, shown: &str) -> Result<()> {
    let lock = folder.join("package-lock.json");
    // A copy of the lock file, written after the packages were all there.
    let stamp = folder.join("node_modules/.installed-lock.json");
    let wanted = fs::read(&lock).map_err(|error| format!("{}: {error}", lock.display()))?;
    if fs::read(&stamp).is_ok_and(|present| present == wanted) {
        return Ok(());
    }
    step(&format!("npm ci in {shown}"), || {
        run(program("npm").args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(folder))?;
        fs::write(&stamp, &wanted).map_err(|error| format!("{}: {error}", stamp.display()))
    })
}

/// Where the binary of a Go program goes: with other build output.
pub(crate) fn go_program(name: &str) -> PathBuf {
    target_folder().join(format!("interop-{name}"))
}

/// A Go that can fetch the version go.mod asks for, which it does from 1.21 on; unpacked privately when there is none.
fn go() -> Result<PathBuf> {
    if installed("go", "version").is_some_and(|version| version >= (1, 21)) {
        return Ok("go".into());
    }
    let folder = cache_folder().join("go-toolchain");
    let script = root().join("bindings/xtask/scripts/go-toolchain.sh");
    step("Go toolchain", || run(program("bash").arg(script).arg(&folder)))?;
    Ok(folder.join("bin/go"))
}

fn go_build(go: &Path, name: &str) -> Result<()> {
    let folder = format!("tests/interop/{name}");
    step(&format!("go build in {folder}"), || {
        let mut build = program(go);
        build.env("GOTOOLCHAIN", "auto").args(["build", "-o"]).arg(go_program(name)).arg(".");
        run(build.current_dir(root().join(folder)))
    })
}

fn java_folder() -> PathBuf {
    target_folder().join("interop-java")
}

/// The interop suite's Java program, whose libraries are in a folder beside it.
pub(crate) fn java_program() -> PathBuf {
    java_folder().join("interop-java.jar")
}

fn maven_package() -> Result<()> {
    let package = |offline: bool| {
        let mut maven = program("mvn");
        maven.args(["--batch-mode", "--quiet"]).args(offline.then_some("--offline"));
        maven.arg(format!("-Doutput={}", java_folder().display())).arg("package");
        run(maven.current_dir(root().join("tests/interop/java")))
    };
    step("mvn package in tests/interop/java", || {
        // What an earlier build has downloaded is enough, unless a version has changed since.
        if java_program().is_file() && package(true).is_ok() { Ok(()) } else { package(false) }
    })
}

fn python_folder() -> PathBuf {
    target_folder().join("interop-python")
}

/// The Python of the environment with the interop suite's packages.
pub(crate) fn python_program() -> PathBuf {
    python_folder().join("bin/python")
}

fn arm64_folder() -> PathBuf {
    cache_folder().join("arm64-jvm")
}

/// A Java for ARM64 that runs on this machine.
pub(crate) fn arm64_java() -> PathBuf {
    arm64_folder().join("bin/java")
}

/// The environment with a zig for C and for linking, and with a cargo that uses it.
pub(crate) fn zig_folder() -> PathBuf {
    cache_folder().join("zig-toolchain")
}

/// The environment is made again when the list of packages is not the one that it was made with.
fn python_environment(list: &str, folder: &Path) -> Result<()> {
    let stamp = folder.join("installed-requirements.txt");
    let wanted = fs::read(root().join(list)).map_err(|error| format!("{list}: {error}"))?;
    if fs::read(&stamp).is_ok_and(|present| present == wanted) {
        return Ok(());
    }
    step(&format!("Python packages of {list}"), || {
        run(program("python3").args(["-m", "venv", "--clear"]).arg(folder))?;
        // Without dependencies: the list names all of them with their versions.
        let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r"];
        run(program(folder.join("bin/python")).args(install).arg(root().join(list)))?;
        fs::write(&stamp, &wanted).map_err(|error| format!("{}: {error}", stamp.display()))
    })
}

pub(crate) fn target_folder() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |folder| root().join(folder))
}

/// A folder for tools, outside of the clone, so that a fresh clone need not fetch them again.
pub(crate) fn cache_folder() -> PathBuf {
    let var = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = var("XDG_CACHE_HOME").or_else(|| var("HOME").map(|home| home.join(".cache")));
    base.unwrap_or_else(std::env::temp_dir).join("hubwire")
}

fn wasm_folder() -> PathBuf {
    cache_folder().join("wasm-toolchain")
}

/// The folder of the toolchain's programs, if there is none on the machine. What is unpacked there cannot be moved.
fn swift_folder() -> PathBuf {
    cache_folder().join("swift-toolchain")
}

fn has_swift() -> bool {
    installed("swift", "--version").is_some_and(|version| version >= (6, 0))
}

fn swift() -> Result<()> {
    if has_swift() {
        return Ok(());
    }
    let script = root().join("bindings/xtask/scripts/swift-toolchain.sh");
    if !swift_folder().join(".complete").is_file() {
        tool("patchelf", "--version", (0, 10), &["patchelf"])?;
        step("Swift toolchain", || run(program("bash").arg(script).arg(swift_folder())))?;
    }
    Ok(())
}

/// The program `swift`.
pub(crate) fn swift_program() -> PathBuf {
    if has_swift() { "swift".into() } else { swift_folder().join("bin/swift") }
}

/// The environment in which cargo finds the standard library for wasm32.
pub(crate) fn wasm_environment() -> Result<Vec<(String, String)>> {
    let file = wasm_folder().join("env");
    let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(exports(&text))
}

/// The pairs of `export NAME=value` lines; a value may be in double quotes.
fn exports(text: &str) -> Vec<(String, String)> {
    let pairs = text.lines().filter_map(|line| line.trim().strip_prefix("export ")?.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_programs_print() {
        assert_eq!(version_in("v20.20.2\n"), Some((20, 20)));
        assert_eq!(version_in("11.19.1\n"), Some((11, 19)));
        assert_eq!(version_in("go version go1.26.8 linux/amd64\n"), Some((1, 26)));
        assert_eq!(version_in("no numbers"), None);
    }

    #[test]
    fn exports_are_read_with_and_without_quotes() {
        let text = "export A=\"--sysroot=/x y\"\nexport B=/z\n# nothing\n";
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(exports(text), [pair("A", "--sysroot=/x y"), pair("B", "/z")]);
    }

    #[test]
    fn a_tool_that_is_not_there_has_no_version() {
        assert_eq!(installed("hubwire-no-such-program", "--version"), None);
    }
}
