//! Versions that have to be the same in two places.

use std::fs;

use serde_json::Value;

use super::{PACKAGE, folder};
use crate::Result;
use crate::process::root;

/// The generator of the glue understands exactly the modules of its own version.
const PAIR: [&str; 2] = ["wasm-bindgen", "wasm-bindgen-cli-support"];

pub(super) fn check() -> Result<()> {
    let lock = text("Cargo.lock")?;
    let [library, generator] =
        PAIR.map(|name| locked(&lock, name).ok_or(format!("{name} is not in Cargo.lock")));
    agree(&[(PAIR[0], &library?), (PAIR[1], &generator?)])?;
    let package = version(&text(&format!("{PACKAGE}/package.json"))?, "package.json")?;
    let locked = version(&text(&format!("{PACKAGE}/package-lock.json"))?, "package-lock.json")?;
    let workspace = env!("CARGO_PKG_VERSION");
    agree(&[("the workspace", workspace), ("package.json", &package), ("package-lock.json", &locked)])?;
    println!("  wasm-bindgen and its generator agree; {} is {workspace}", folder().display());
    Ok(())
}

fn text(file: &str) -> Result<String> {
    fs::read_to_string(root().join(file)).map_err(|error| format!("{file}: {error}"))
}

fn version(json: &str, file: &str) -> Result<String> {
    let value: Value = serde_json::from_str(json).map_err(|error| format!("{file}: {error}"))?;
    value["version"].as_str().map(str::to_owned).ok_or(format!("{file} has no version"))
}

/// The version of a package in a lock file.
fn locked(lock: &str, name: &str) -> Option<String> {
    let after = lock.split_once(&format!("name = \"{name}\"\n"))?.1;
    let version = after.lines().next()?.strip_prefix("version = \"")?;
    Some(version.trim_end_matches('"').to_owned())
}

fn agree(versions: &[(&str, &str)]) -> Result<()> {
    if versions.windows(2).all(|pair| pair[0].1 == pair[1].1) {
        return Ok(());
    }
    let list: Vec<String> = versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    Err(format!("different versions: {}", list.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_file_is_read_by_whole_names() {
        let entry = |name: &str, version: &str| {
            format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n\n")
        };
        let lock = entry("wasm-bindgen-x", "1.0.0") + &entry("wasm-bindgen", "0.2.130");
        assert_eq!(locked(&lock, "wasm-bindgen").as_deref(), Some("0.2.130"));
        assert_eq!(locked(&lock, "wasm"), None);
    }

    #[test]
    fn different_versions_are_named() {
        assert!(agree(&[("a", "1"), ("b", "1")]).is_ok());
        let error = agree(&[("a", "1"), ("b", "1"), ("c", "2")]).unwrap_err();
        assert!(error.contains("a 1") && error.contains("c 2"), "{error}");
    }
}
