//! What a store of queued calls keeps: the border between the outbox, which decides, and the platform, which writes.

use crate::ByteString;
use alloc::string::String;
use alloc::vec::Vec;

use crate::Time;

/// How a method is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallKind {
    /// Without being told whether it ran.
    Send,
    /// With one result.
    Invoke,
    /// With a stream of results.
    Stream,
}

/// Which queued calls leave first. Calls of one priority leave in the order they were made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Priority {
    /// After everything else.
    Low,
    /// The default.
    #[default]
    Normal,
    /// Before what is normal.
    High,
    /// Before everything else.
    Critical,
}

impl Priority {
    /// All of them, the lowest first.
    pub const ALL: [Self; 4] = [Self::Low, Self::Normal, Self::High, Self::Critical];
}

/// The place of a durable call in its store. It grows with every call and is never used again, not even after the
/// call has ended and the process was started anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sequence(pub u64);

/// A durable call, as a store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCall<P> {
    /// How the method is called; never [`CallKind::Stream`].
    pub kind: CallKind,
    /// The method.
    pub target: ByteString,
    /// Its argument list.
    pub arguments: P,
    /// Which calls leave first.
    pub priority: Priority,
    /// A later call with the same key replaces this one while it is queued.
    pub supersede_key: Option<ByteString>,
    /// When the call was made. With a store, the origin of [`Time`] is the Unix epoch: times must mean the same in the
    /// next process.
    pub queued_at: Time,
    /// When the call is no longer worth sending.
    pub expires_at: Option<Time>,
}

/// One change of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreOp<P> {
    /// Keep this call.
    Put(Sequence, StoredCall<P>),
    /// Forget that call; one that is unknown does no harm.
    Delete(Sequence),
}

/// What a store holds when it is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored<P> {
    /// The calls, by ascending sequence.
    pub calls: Vec<(Sequence, StoredCall<P>)>,
    /// One more than the highest sequence that was ever put, the deleted ones included.
    pub next: Sequence,
    /// The name of the store, drawn at random when it was made: together with the sequence it names a call for every
    /// server and for ever.
    pub client_id: String,
}

impl<P> Default for Restored<P> {
    fn default() -> Self {
        Self { calls: Vec::new(), next: Sequence::default(), client_id: String::new() }
    }
}
