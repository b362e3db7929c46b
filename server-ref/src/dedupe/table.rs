use std::collections::{HashMap, VecDeque};

use hubwire::Time;
use hubwire::protocol::{OpaquePayload, Outcome};

use super::{Dedupe, Key};

/// The calls of one hub that run, or whose completions are remembered. No clock, no task, no lock.
///
/// `R` is what others have to know of a call that runs.
#[derive(Debug)]
pub struct Table<P, R> {
    limits: Dedupe,
    entries: HashMap<Key, Entry<P, R>>,
    /// The calls that are done, in the order in which they ended; all are remembered equally long.
    done: VecDeque<(Time, Key)>,
    /// Of the results that are remembered.
    bytes: usize,
    evicted: u64,
}

#[derive(Debug)]
enum Entry<P, R> {
    Running(R),
    Done {
        outcome: Outcome<P>,
        /// How much of the limit it takes.
        bytes: usize,
    },
}

/// What repetitions get in place of a result that the limits do not allow to remember.
const TOO_LARGE: &str = "The result of the call was too large to be remembered.";

/// What to do with a call.
#[derive(Debug, PartialEq, Eq)]
pub enum Begin<'a, P, R> {
    /// It is new, and counts as running from now on.
    Started,
    /// It runs already.
    Running(&'a mut R),
    /// It ran.
    Done(Outcome<P>),
    /// It is new, and nothing can give way to it.
    Full,
}

impl<P: OpaquePayload, R> Table<P, R> {
    /// Nothing is known.
    pub fn new(limits: Dedupe) -> Self {
        Self { limits, entries: HashMap::new(), done: VecDeque::new(), bytes: 0, evicted: 0 }
    }

    /// A call came whose turn it is.
    pub fn begin(&mut self, now: Time, key: &Key, running: impl FnOnce() -> R) -> Begin<'_, P, R> {
        self.purge(now);
        if self.entries.contains_key(key) {
            return match self.entries.get_mut(key) {
                Some(Entry::Running(running)) => Begin::Running(running),
                Some(Entry::Done { outcome, .. }) => Begin::Done(outcome.clone()),
                None => Begin::Full,
            };
        }
        while self.entries.len() >= self.limits.max_entries {
            if !self.evict() {
                return Begin::Full;
            }
        }
        self.entries.insert(key.clone(), Entry::Running(running()));
        Begin::Started
    }

    /// The call ended. Returns what was known of it while it ran.
    pub fn finish(&mut self, now: Time, key: &Key, outcome: Outcome<P>) -> Option<R> {
        self.purge(now);
        let entry = self.entries.get_mut(key).filter(|entry| matches!(entry, Entry::Running(_)))?;
        let (outcome, bytes) = match size(&outcome) {
            bytes if bytes <= self.limits.max_bytes => (outcome, bytes),
            // It must not run again, so at least that is remembered.
            _ => (Outcome::Error(TOO_LARGE.into()), 0),
        };
        self.bytes += bytes;
        let before = std::mem::replace(entry, Entry::Done { outcome, bytes });
        self.done.push_back((now + self.limits.window, key.clone()));
        while self.bytes > self.limits.max_bytes && self.evict() {}
        match before {
            Entry::Running(running) => Some(running),
            Entry::Done { .. } => None,
        }
    }

    /// What is known of a call while it runs.
    pub fn running(&self, key: &Key) -> Option<&R> {
        match self.entries.get(key)? {
            Entry::Running(running) => Some(running),
            Entry::Done { .. } => None,
        }
    }

    /// Forgets what is out of its window.
    pub fn purge(&mut self, now: Time) {
        while let Some((_, key)) = self.done.pop_front_if(|(expires, _)| *expires <= now) {
            self.forget(&key);
        }
        if self.entries.is_empty() {
            self.entries = HashMap::new();
            self.done = VecDeque::new();
        }
    }

    /// Forgets the call that ended first. `false` if all run.
    fn evict(&mut self) -> bool {
        let Some((_, key)) = self.done.pop_front() else { return false };
        self.forget(&key);
        self.evicted += 1;
        true
    }

    fn forget(&mut self, key: &Key) {
        if let Some(Entry::Done { bytes, .. }) = self.entries.remove(key) {
            self.bytes -= bytes;
        }
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many are known, running ones included.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Those that run.
    pub fn len_running(&self) -> usize {
        self.entries.len() - self.done.len()
    }

    /// Of the results that are remembered.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many were forgotten before the end of their window.
    pub const fn evicted(&self) -> u64 {
        self.evicted
    }
}

fn size<P: OpaquePayload>(outcome: &Outcome<P>) -> usize {
    match outcome {
        Outcome::Void => 0,
        Outcome::Value(value) => value.byte_len(),
        Outcome::Error(text) => text.len(),
    }
}
