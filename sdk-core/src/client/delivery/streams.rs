//! Where the client stands in each stream with history, and what it lacks.

use crate::ByteString;
use alloc::vec::Vec;

use super::super::recent::Recent;
use crate::protocol::delivery::{MAX_LIST, Position, Recovery};

/// How often a server may have no room in a row: it is asked once a second.
const MAX_STALLS: u32 = 30;

/// What is to be done with a message of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is the next one.
    Deliver,
    /// It came before.
    Duplicate,
    /// Something before it is missing: it will come again, behind that.
    Early,
    /// The server has lost what it knew: this is the first message behind a gap.
    DeliverAfterGap,
}

/// What a stream waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    /// Nothing: every message is the next one.
    Live,
    /// To hear where the stream stands, after a new connection.
    Unknown,
    /// To ask for what is missing.
    Behind,
    /// The answer, having stood there when it was asked for.
    Asked(u64),
}

#[derive(Debug)]
struct Place {
    epoch: ByteString,
    offset: u64,
    status: Status,
}

impl Place {
    /// A copy, because texts of messages are slices of their frames.
    fn at(position: &Position) -> Self {
        Self { epoch: (&*position.epoch).into(), offset: position.offset, status: Status::Live }
    }

    fn position(&self, stream: &ByteString) -> Position {
        Position { epoch: self.epoch.clone(), offset: self.offset, stream: stream.clone() }
    }
}

/// Bounded by the limit that [`insert`](Self::insert) is given.
#[derive(Debug, Default)]
pub(super) struct Streams {
    places: Recent<Place>,
    asking: bool,
    /// How often in a row an answer brought nothing at all.
    stalls: u32,
}

impl Streams {
    /// A message came. The second value is a stream that had to give way to it.
    pub(super) fn message(&mut self, position: &Position, limit: usize) -> (Verdict, Option<ByteString>) {
        let Some(place) = self.places.use_mut(&position.stream) else {
            return (Verdict::Deliver, self.insert(position, limit));
        };
        if place.epoch != position.epoch {
            *place = Place::at(position);
            return (Verdict::DeliverAfterGap, None);
        }
        let verdict = match position.offset.checked_sub(place.offset) {
            None | Some(0) => Verdict::Duplicate,
            Some(1) => {
                place.offset = position.offset;
                Verdict::Deliver
            }
            Some(_) => {
                if !matches!(place.status, Status::Asked(_)) {
                    place.status = Status::Behind;
                }
                Verdict::Early
            }
        };
        (verdict, None)
    }

    /// The client was subscribed, and the stream stands there. Returns whether there is a gap, and a stream that had to
    /// give way.
    pub(super) fn subscribed(&mut self, position: &Position, limit: usize) -> (bool, Option<ByteString>) {
        let Some(place) = self.places.use_mut(&position.stream) else {
            return (false, self.insert(position, limit));
        };
        // A stream that goes back has lost its end: the offsets will be used again.
        if place.epoch != position.epoch || position.offset < place.offset {
            *place = Place::at(position);
            return (true, None);
        }
        match place.status {
            Status::Asked(_) => {}
            _ if position.offset == place.offset => place.status = Status::Live,
            _ => place.status = Status::Behind,
        }
        (false, None)
    }

    fn insert(&mut self, position: &Position, limit: usize) -> Option<ByteString> {
        let forgotten = match self.places.len() >= limit.max(1) {
            true => self.places.pop_oldest().map(|(stream, _)| stream),
            false => None,
        };
        self.places.insert((&*position.stream).into(), Place::at(position));
        forgotten
    }

    /// The positions to ask from, if it is time to ask.
    pub(super) fn ask(&mut self) -> Vec<Position> {
        if self.asking {
            return Vec::new();
        }
        let mut positions = Vec::new();
        for (stream, place) in self.places.iter() {
            if place.status == Status::Behind && positions.len() < MAX_LIST {
                positions.push(place.position(stream));
            }
        }
        for position in &positions {
            if let Some(place) = self.places.use_mut(&position.stream) {
                place.status = Status::Asked(place.offset);
            }
        }
        self.asking = !positions.is_empty();
        positions
    }

    /// The answer came: what is now true of each stream that was asked for. Returns those with a gap, and whether nothing
    /// came although there is more: the server has no room for it yet.
    pub(super) fn answered(
        &mut self,
        streams: &[ByteString],
        answers: Option<&[ByteString]>,
    ) -> (Vec<ByteString>, bool) {
        self.asking = false;
        let answers = answers.filter(|answers| answers.len() == streams.len());
        // The page is for all of them together, so that some may have got nothing yet; all of them may not.
        let progress = streams.iter().any(|stream| {
            let place = self.places.get(stream);
            place.is_some_and(|place| matches!(place.status, Status::Asked(at) if place.offset > at))
        });
        let patient = progress || self.stalls < MAX_STALLS;
        let mut stalled = false;
        let mut gaps = Vec::new();
        for (index, stream) in streams.iter().enumerate() {
            let answer = answers.and_then(|answers| Recovery::parse(answers.get(index)?));
            let Some(place) = self.places.use_mut(stream) else { continue };
            if !matches!(place.status, Status::Asked(_)) {
                continue;
            }
            match answer {
                Some(Recovery::Complete(position))
                    if position.epoch == place.epoch && position.offset <= place.offset =>
                {
                    place.status = Status::Live;
                }
                Some(Recovery::More(position))
                    if position.epoch == place.epoch && position.offset <= place.offset && patient =>
                {
                    stalled = !progress;
                    place.status = Status::Behind;
                }
                Some(Recovery::Unsubscribed) => place.status = Status::Unknown,
                Some(Recovery::Lost(position) | Recovery::Complete(position) | Recovery::More(position)) => {
                    *place = Place::at(&position);
                    gaps.push(stream.clone());
                }
                // It cannot be had: the next message is the first one again.
                None => {
                    self.places.remove(stream);
                    gaps.push(stream.clone());
                }
            }
        }
        self.stalls = if stalled { self.stalls + 1 } else { 0 };
        (gaps, stalled)
    }

    /// The connection is gone: nobody answers, and nobody knows what was missed.
    pub(super) fn disconnected(&mut self) {
        self.asking = false;
        self.stalls = 0;
        self.places.change_all(|place| place.status = Status::Unknown);
    }

    /// Where the client stands.
    pub(super) fn positions(&self) -> Vec<Position> {
        let mut positions = Vec::new();
        for (stream, place) in self.places.iter() {
            positions.push(place.position(stream));
        }
        positions
    }

    /// Where an earlier process stood.
    pub(super) fn restore(&mut self, positions: &[Position], limit: usize) {
        for position in positions {
            self.insert(position, limit);
            if let Some(place) = self.places.use_mut(&position.stream) {
                place.status = Status::Unknown;
            }
        }
    }
}
