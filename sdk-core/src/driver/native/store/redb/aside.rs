//! Renaming a damaged store, so that nothing of it is lost and a fresh one can take its place.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Renames the file to `<name>.corrupt-<n>`, with the first `n` that is free, and returns the new name.
pub(super) fn set_aside(path: &Path) -> io::Result<PathBuf> {
    for n in 1_u64.. {
        let mut name = OsString::from(path.file_name().unwrap_or_default());
        name.push(format!(".corrupt-{n}"));
        let to = path.with_file_name(name);
        // Renaming would replace a file that is there: the name is taken first, by an empty file of our own.
        match File::options().write(true).create_new(true).open(&to) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            Err(error) => return Err(error),
        }
        if let Err(error) = fs::rename(path, &to) {
            let _ = fs::remove_file(&to);
            return Err(error);
        }
        sync_directory(path)?;
        return Ok(to);
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Makes the names in the file's directory durable: without it a power cut may leave a file that nothing leads to.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    // Elsewhere a directory cannot be opened, and the file system sees to it.
    if cfg!(unix)
        && let Some(directory) = path.parent()
    {
        File::open(directory)?.sync_all()?;
    }
    Ok(())
}

/// Which file it is, whatever its name; none where the platform does not say.
#[cfg(unix)]
pub(super) fn identity(metadata: &fs::Metadata) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    Some((metadata.dev(), metadata.ino()))
}

/// Which file it is, whatever its name; none where the platform does not say.
#[cfg(not(unix))]
pub(super) fn identity(_: &fs::Metadata) -> Option<(u64, u64)> {
    None
}
