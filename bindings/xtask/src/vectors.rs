//! `cargo xtask vectors`: the golden vectors, written by the Node script beside them.

use std::fs;
use std::path::Path;
use std::time::Instant;

use crate::process::{program, root, run};
use crate::summary::{self, Counts, Outcome, Row};
use crate::{Result, setup};

const FOLDER: &str = "tests/vectors";

pub(crate) fn command_line(args: &[String]) -> Result<bool> {
    match args {
        [] => Ok(false),
        [flag] if flag == "--check" => Ok(true),
        [other, ..] => Err(format!("vectors takes only --check, not \"{other}\"")),
    }
}

pub(crate) fn command(args: &[String]) -> Result<()> {
    let check_only = command_line(args)?;
    setup::Need::Npm("tests/vectors/generate").provide()?;
    if !check_only {
        return generate(&root().join(FOLDER));
    }
    let started = Instant::now();
    let counts = check()?;
    let total = summary::print(&[Row {
        name: "vectors".into(),
        outcome: Outcome::Ran(counts),
        took: started.elapsed(),
    }]);
    if total.failed == 0 {
        Ok(())
    } else {
        Err("the vectors are not what the generator writes; run `cargo xtask vectors`".into())
    }
}

fn generate(folder: &Path) -> Result<()> {
    run(program("node").arg(root().join(FOLDER).join("generate/generate.mjs")).arg(folder))
}

/// Compares the committed files with fresh ones; one check per file.
pub(crate) fn check() -> Result<Counts> {
    let fresh = std::env::temp_dir().join(format!("hubwire-vectors-{}", std::process::id()));
    let result = generate(&fresh).and_then(|()| compare(&root().join(FOLDER), &fresh));
    // A folder that was never made is as good as removed.
    let _ = fs::remove_dir_all(&fresh);
    result
}

fn compare(committed: &Path, fresh: &Path) -> Result<Counts> {
    let mut names = json_files(committed)?;
    names.extend(json_files(fresh)?);
    names.sort();
    names.dedup();
    let mut counts = Counts::default();
    for name in names {
        let text = |folder: &Path| fs::read_to_string(folder.join(&name)).unwrap_or_default();
        counts.add(Counts::check(
            difference(&text(committed), &text(fresh))
                .map_or(Ok(()), |at| Err(format!("{FOLDER}/{name}: {at}"))),
        ));
    }
    Ok(counts)
}

fn json_files(folder: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names.filter(|name| name.ends_with(".json")).collect())
}

/// The first line that differs, or `None`.
fn difference(committed: &str, fresh: &str) -> Option<String> {
    if committed == fresh {
        return None;
    }
    let short =
        |line: Option<&str>| line.map_or("(end of file)".to_owned(), |line| line.chars().take(160).collect());
    let (mut old, mut new) = (committed.lines(), fresh.lines());
    for number in 1.. {
        let (a, b) = (old.next(), new.next());
        if a != b {
            return Some(format!(
                "line {number}\n      committed: {}\n      generated: {}",
                short(a),
                short(b)
            ));
        }
        if a.is_none() {
            break;
        }
    }
    Some("the line ends differ".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_different_line_is_named() {
        assert_eq!(difference("a\nb\n", "a\nb\n"), None);
        let text = difference("a\nb\nc\n", "a\nx\nc\n").unwrap();
        assert!(
            text.contains("line 2") && text.contains("committed: b") && text.contains("generated: x"),
            "{text}"
        );
        assert!(difference("a\n", "a\nb\n").unwrap().contains("(end of file)"));
        assert_eq!(difference("a\n", "a").unwrap(), "the line ends differ");
    }

    #[test]
    fn only_check_is_known() {
        assert_eq!(command_line(&[]), Ok(false));
        assert_eq!(command_line(&["--check".to_owned()]), Ok(true));
        assert!(command_line(&["--chek".to_owned()]).unwrap_err().contains("--chek"));
    }
}
