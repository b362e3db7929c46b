//! What really happened, and what of it contradicts the rules.

use std::collections::{BTreeMap, BTreeSet};

use hubwire::client::GapSource;
use hubwire_server::delivery::pending::{EntryId, Outcome};

use super::load::Fields;

/// What was found to be wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// Something that was promised never came.
    Lost(String),
    /// Something came twice.
    Duplicated(String),
    /// Something came behind what was sent after it.
    Reordered(String),
    /// Something is missing, and nobody was told.
    SilentGap(String),
    /// What was put together of changes is not what the server has.
    Corrupt(String),
    /// A promise of another kind: an end that never came or came twice, a bound, a deadline.
    Broken(String),
}

/// A call of a client.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) client: usize,
    pub(super) durable: bool,
    /// Made again whatever the server remembers.
    pub(super) repeatable: bool,
    pub(super) accepted: bool,
    pub(super) ended: Option<bool>,
    pub(super) runs: u32,
    /// How often the server had been started when the call was made.
    pub(super) server_lives: u32,
}

/// A message of the server that is to be acknowledged.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) client: usize,
    pub(super) accepted: bool,
    pub(super) outcome: Option<Outcome>,
    /// In which life of the client its handler succeeded last.
    pub(super) handled_in: Option<u32>,
    /// It was delivered again after a failure, so that its place is not promised.
    pub(super) retried: bool,
    /// In which life of the server it ended.
    pub(super) confirmed_in: u32,
    /// Its end is a dead letter, where somebody can find it.
    pub(super) buried: bool,
}

/// One client's view of one stream.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct View {
    pub(super) last: Option<u64>,
    pub(super) gap: bool,
}

/// Everything that happened.
#[derive(Debug, Default)]
pub(super) struct Truth {
    pub(super) calls: BTreeMap<u64, Call>,
    pub(super) messages: BTreeMap<u64, Message>,
    pub(super) entries: BTreeMap<EntryId, u64>,
    /// The last message that each client handled, of those that were not retried.
    pub(super) last_message: BTreeMap<usize, u64>,
    /// The last durable call of each client that ran for the first time.
    pub(super) last_durable: BTreeMap<usize, u64>,
    /// The messages of each stream that were published.
    pub(super) published: BTreeMap<u64, BTreeSet<u64>>,
    pub(super) views: BTreeMap<(usize, u64), View>,
    /// Every state of every object, by its stamp.
    pub(super) objects: BTreeMap<u64, (u64, Fields)>,
    pub(super) last_object: BTreeMap<(usize, u64), u64>,
    pub(super) object_gaps: BTreeSet<(usize, u64)>,
    pub(super) violations: Vec<Violation>,
    pub(super) gaps: u64,
    pub(super) repetitions: u64,
}

/// The field of an object that tells its states apart.
pub(super) const STAMP: u8 = 255;

impl Truth {
    pub(super) fn wrong(&mut self, violation: Violation) {
        self.violations.push(violation);
    }

    pub(super) fn ran(&mut self, number: u64) {
        let Some(call) = self.calls.get_mut(&number) else { return };
        call.runs += 1;
        self.repetitions += u64::from(call.runs > 1);
        if call.durable && call.runs == 1 {
            let last = self.last_durable.entry(call.client).or_default();
            if *last > number {
                let text = format!("call {number} ran behind {last}");
                self.violations.push(Violation::Reordered(text));
            } else {
                *last = number;
            }
        }
    }

    pub(super) fn ended(&mut self, number: u64, success: bool) {
        let Some(call) = self.calls.get_mut(&number) else { return };
        if call.ended.replace(success).is_some() && !call.durable {
            self.wrong(Violation::Broken(format!("call {number} ended twice")));
        } else if success && call.runs == 0 {
            self.wrong(Violation::Lost(format!("call {number} succeeded and never ran")));
        }
    }

    /// A message ended. After a restart that was too fast for the store it may end once more.
    pub(super) fn confirmed(&mut self, life: u32, entry: EntryId, outcome: Outcome) {
        let Some(number) = self.entries.get(&entry).copied() else { return };
        let Some(message) = self.messages.get_mut(&number) else { return };
        let handled = message.handled_in.is_some();
        let before = std::mem::replace(&mut message.confirmed_in, life);
        if message.outcome.replace(outcome.clone()).is_some() && before == life {
            self.wrong(Violation::Broken(format!("message {number} was confirmed twice")));
        } else if outcome == Outcome::Acknowledged && !handled {
            self.wrong(Violation::Lost(format!("message {number} was acknowledged and never handled")));
        }
    }

    /// A handler of a client has succeeded.
    pub(super) fn handled(&mut self, client: usize, life: u32, number: u64) {
        let Some(message) = self.messages.get_mut(&number) else {
            return self.wrong(Violation::Broken(format!("message {number} was never sent")));
        };
        if message.client != client {
            return self.wrong(Violation::Broken(format!("message {number} is of another client")));
        }
        match message.handled_in {
            // Its own database tells a new process what the old one had done.
            Some(before) if before != life => return self.repetitions += 1,
            Some(_) => {
                return self.wrong(Violation::Duplicated(format!("message {number} was handled twice")));
            }
            None => message.handled_in = Some(life),
        }
        if !message.retried {
            let last = self.last_message.entry(client).or_default();
            if *last > number {
                let text = format!("message {number} came behind {last}");
                self.violations.push(Violation::Reordered(text));
            } else {
                *last = number;
            }
        }
    }

    /// A client got a message of a stream.
    pub(super) fn received(&mut self, client: usize, stream: u64, number: u64) {
        let view = self.views.entry((client, stream)).or_default();
        let View { last, gap } = *view;
        *view = View { last: Some(number), gap: false };
        let Some(last) = last else { return };
        if number == last {
            return self.wrong(Violation::Duplicated(format!("{number} of stream {stream} came twice")));
        }
        if number < last {
            return self
                .wrong(Violation::Reordered(format!("{number} of stream {stream} came behind {last}")));
        }
        let between = (std::ops::Bound::Excluded(last), std::ops::Bound::Excluded(number));
        let missed = self.published.get(&stream).and_then(|all| all.range(between).next());
        if let (Some(missed), false) = (missed, gap) {
            let text = format!("{missed} of stream {stream} never came, {last} and {number} did");
            self.wrong(Violation::SilentGap(text));
        }
    }

    pub(super) fn gap(&mut self, client: usize, source: &GapSource) {
        self.gaps += 1;
        match source {
            GapSource::Stream(stream) => {
                if let Some(stream) = stream.strip_prefix("group:").and_then(|stream| stream.parse().ok()) {
                    self.views.entry((client, stream)).or_default().gap = true;
                }
            }
            GapSource::Object { key, .. } => {
                if let Ok(key) = key.parse() {
                    self.object_gaps.insert((client, key));
                }
            }
        }
    }

    /// A client got an object.
    pub(super) fn merged(&mut self, client: usize, object: &Fields) {
        let stamp = object.get(&STAMP).copied().unwrap_or_default();
        match self.objects.get(&stamp) {
            Some((key, truth)) if truth == object => {
                self.last_object.insert((client, *key), stamp);
            }
            Some((key, _)) => {
                let text = format!("client {client} has another object {key} than the server had");
                self.wrong(Violation::Corrupt(text));
            }
            None => self.wrong(Violation::Corrupt(format!("an object without a stamp: {object:?}"))),
        }
    }

    /// Nothing is under way any more.
    pub(super) fn finish(&mut self, server_lives: u32) {
        let mut wrong = Vec::new();
        for (number, call) in &self.calls {
            let restarts = server_lives - call.server_lives;
            let allowed = 1 + if call.repeatable { restarts } else { 0 };
            if call.runs > allowed {
                wrong.push(Violation::Duplicated(format!("call {number} ran {} times", call.runs)));
            }
            if call.durable && call.accepted && call.runs == 0 {
                wrong.push(Violation::Lost(format!("call {number} was accepted and never ran")));
            }
            if call.ended.is_none() && (!call.durable || call.accepted) {
                wrong.push(Violation::Broken(format!("call {number} never ended")));
            }
        }
        for (number, message) in self.messages.iter().filter(|(_, message)| message.accepted) {
            match &message.outcome {
                None => wrong.push(Violation::Broken(format!("message {number} never ended"))),
                Some(Outcome::Acknowledged) => {}
                Some(_) if message.handled_in.is_some() || message.buried => {}
                Some(outcome) => {
                    wrong.push(Violation::Lost(format!("message {number} is nowhere: {outcome:?}")));
                }
            }
        }
        self.violations.extend(wrong);
    }
}
