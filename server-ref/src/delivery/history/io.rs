//! Everything that crosses the border of [`Streams`](super::Streams).

use std::fmt;

use bytestring::ByteString;
use hubwire::Time;
use hubwire::protocol::delivery::{Position, Recovery};

/// One message of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<P> {
    /// Its place.
    pub position: Position,
    /// The client method that it calls.
    pub target: ByteString,
    /// Its arguments.
    pub payload: P,
}

/// What a client gets of a stream that it asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<P> {
    /// The messages after the position, in order and without holes.
    pub entries: Vec<Entry<P>>,
    /// How far they go.
    pub recovery: Recovery,
}

/// How much may still be sent to one client, over all streams that it asks for together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    messages: usize,
    bytes: usize,
    used: bool,
}

impl Room {
    /// So many messages and bytes; but one message, if that is all, may be larger.
    pub const fn new(messages: usize, bytes: usize) -> Self {
        Self { messages, bytes, used: false }
    }

    /// The smaller of the two.
    #[must_use]
    pub fn within(self, messages: usize, bytes: usize) -> Self {
        Self { messages: self.messages.min(messages), bytes: self.bytes.min(bytes), ..self }
    }

    /// Takes a message in, if it fits.
    pub(super) fn takes(&mut self, bytes: usize) -> bool {
        // Otherwise a message that is larger than a page would be in the way of all behind it for ever.
        let fits = self.messages > 0 && (bytes <= self.bytes || !self.used);
        if fits {
            self.messages -= 1;
            self.bytes = self.bytes.saturating_sub(bytes);
            self.used = true;
        }
        fits
    }
}

/// As much waits for the store as may be kept, or no stream can give way to a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the history has no room: its store is too far behind")
    }
}

impl std::error::Error for Full {}

/// Names what was given to the store together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchId(pub u64);

/// What the store has to do, in this order. It keeps of each stream its epoch, its highest offset and its messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op<P> {
    /// A stream begins, with offset 0 as its highest.
    Open {
        /// The stream.
        stream: ByteString,
        /// Its new epoch.
        epoch: ByteString,
    },
    /// A message; its offset is the highest from now on.
    Append {
        /// When it was published.
        at: Time,
        /// The message.
        entry: Entry<P>,
        /// How much it takes of the limits.
        bytes: usize,
    },
    /// The messages up to this position are not needed any more. The highest offset stays what it is.
    Trim(Position),
    /// The stream is over: neither its messages nor its epoch are needed any more.
    Forget {
        /// The stream.
        stream: ByteString,
        /// The epoch that is over. A later one stays.
        epoch: ByteString,
    },
}

/// A stream as a store kept it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredStream<P> {
    /// Where it stands.
    pub top: Position,
    /// What is kept of it: in order, without holes, and up to the top if there is anything.
    pub entries: Vec<StoredEntry<P>>,
}

/// A message as a store kept it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEntry<P> {
    /// When it was published; [`Time::ZERO`] if that was before the origin.
    pub at: Time,
    /// The client method that it calls.
    pub target: ByteString,
    /// Its arguments.
    pub payload: P,
    /// How much it takes of the limits.
    pub bytes: usize,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input<P> {
    /// The store has done all of a batch, or failed.
    Stored {
        /// Which.
        batch: BatchId,
        /// Whether it is on disk.
        stored: bool,
    },
    /// What the store had. Comes before everything else; streams that are known already stay as they are.
    Restored(Vec<StoredStream<P>>),
    /// It is time.
    Tick,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output<P> {
    /// Send it to everybody who is subscribed to the stream now.
    Publish {
        /// The stream.
        stream: ByteString,
        /// Its place. `None` if the store failed: the message arrives, but cannot be had again.
        position: Option<Position>,
        /// The client method that it calls.
        target: ByteString,
        /// Its arguments.
        payload: P,
    },
    /// Do that, then say [`Input::Stored`].
    Store(BatchId, Vec<Op<P>>),
    /// Nothing more, until that time.
    Wait(Option<Time>),
}

impl<P: Clone> Output<P> {
    pub(super) fn of(entry: &Entry<P>, followable: bool) -> Self {
        Self::Publish {
            stream: entry.position.stream.clone(),
            position: followable.then(|| entry.position.clone()),
            target: entry.target.clone(),
            payload: entry.payload.clone(),
        }
    }
}
