//! Notes that outlive who wrote them.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

use super::{Fact, Kind, Noted, Result, needed};

/// Facts in a file, or in memory.
#[derive(Debug, Default)]
pub struct Notes {
    file: Option<Mutex<File>>,
    facts: Mutex<Vec<Noted>>,
}

/// How an application writes down what it did.
pub type Note = Arc<Notes>;

impl Notes {
    /// Appends to a file, and remembers what is in it.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn open(path: &Path) -> Result<Note> {
        let facts = Self::read(path)?;
        let file = OpenOptions::new().create(true).append(true).open(path);
        let mut file = needed("notes", file)?;
        // What is behind a line that was torn begins a new one.
        needed("notes", file.write_all(b"\n"))?;
        Ok(Arc::new(Self { file: Some(Mutex::new(file)), facts: Mutex::new(facts) }))
    }

    /// What is in a file; nothing if there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(path: &Path) -> Result<Vec<Noted>> {
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(text.lines().filter_map(Noted::parse).collect()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(format!("notes: {error}")),
        }
    }

    /// Writes a fact down: when this returns, the end of the process does not undo it.
    pub fn note(&self, kind: Kind, number: u64) {
        let at = if self.file.is_some() { now() } else { 0 };
        let noted = Noted { at, fact: Fact { kind, number } };
        if let Some(file) = &self.file
            && let Err(error) = file.lock().write_all(format!("{noted}\n").as_bytes())
        {
            // Without its notes the process has no purpose, and what it does would count against it.
            eprintln!("notes: {error}");
            std::process::exit(3);
        }
        self.facts.lock().push(noted);
    }

    /// Everything so far.
    pub fn facts(&self) -> Vec<Fact> {
        self.facts.lock().iter().map(|noted| noted.fact).collect()
    }

    /// How many facts there are of that kind.
    pub fn count(&self, kind: Kind) -> u64 {
        let facts = self.facts.lock();
        facts.iter().filter(|noted| noted.fact.kind == kind).count() as u64
    }

    /// The highest number of that kind; 0 without one.
    pub fn highest(&self, kind: Kind) -> u64 {
        let facts = self.facts.lock();
        facts.iter().filter(|noted| noted.fact.kind == kind).map(|noted| noted.fact.number).max().unwrap_or(0)
    }
}

/// Microseconds of the Unix epoch: processes on one machine agree on them.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
