//! Whether something has to be built again: by what is in the files it is built from.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

use crate::Result;
use crate::process::root;

/// One number for the names and contents of files and of everything in folders, below the repository's top folder.
pub(crate) fn fingerprint(paths: &[&str]) -> Result<String> {
    let mut files = Vec::new();
    for path in paths {
        collect(&root().join(path), &mut files)?;
    }
    files.sort();
    let mut hasher = DefaultHasher::new();
    for file in files {
        file.strip_prefix(root()).unwrap_or(&file).hash(&mut hasher);
        fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?.hash(&mut hasher);
    }
    Ok(format!("{:016x}", hasher.finish()))
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let entries = fs::read_dir(path).map_err(|error| format!("{}: {error}", path.display()))?;
    for entry in entries {
        collect(&entry.map_err(|error| error.to_string())?.path(), files)?;
    }
    Ok(())
}

/// Whether what the stamp belongs to was built from this.
pub(crate) fn is_built(stamp: &Path, fingerprint: &str) -> bool {
    fs::read_to_string(stamp).is_ok_and(|built| built == fingerprint)
}

pub(crate) fn built(stamp: &Path, fingerprint: &str) -> Result<()> {
    fs::write(stamp, fingerprint).map_err(|error| format!("{}: {error}", stamp.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_files_have_the_same_fingerprint_and_others_another() {
        let one = fingerprint(&["bindings/xtask/src/web"]).unwrap();
        assert_eq!(one, fingerprint(&["bindings/xtask/src/web"]).unwrap());
        assert_ne!(one, fingerprint(&["bindings/xtask/src/web/inputs.rs"]).unwrap());
        assert!(fingerprint(&["bindings/xtask/no-such-file"]).unwrap_err().contains("no-such-file"));
    }
}
