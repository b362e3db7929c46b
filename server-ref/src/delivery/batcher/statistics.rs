use std::collections::BTreeMap;
use std::time::Duration;

use bytestring::ByteString;
use hubwire::Time;

/// What left in batches. A message that left alone is not counted: nothing was gained by it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Messages.
    pub messages: u64,
    /// Batches.
    pub batches: u64,
    /// When the last batch left.
    pub last: Option<Time>,
    /// How long the first members of all batches waited, together.
    pub waited: Duration,
    /// Messages of each method; those of methods behind the first thousand under `*`.
    pub by_method: BTreeMap<ByteString, u64>,
}

/// Methods that are counted apart. Names come from the application, which may make them up.
const METHODS: usize = 1_000;

impl Totals {
    pub(super) fn count(&mut self, now: Time, since: Time, method: &ByteString, members: usize) {
        if members < 2 {
            return;
        }
        self.messages += members as u64;
        self.batches += 1;
        self.last = Some(now);
        self.waited += now.since(since);
        let known = self.by_method.len() < METHODS || self.by_method.contains_key(method);
        let name = if known { method.clone() } else { ByteString::from_static("*") };
        *self.by_method.entry(name).or_default() += members as u64;
    }

    /// Messages that did not have to be sent apart.
    pub const fn saved(&self) -> u64 {
        self.messages - self.batches
    }
}
