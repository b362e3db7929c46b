//! Everything that crosses the border of the state machine.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytestring::ByteString;
use hubwire::Time;
use serde::Serialize;

/// To whom a message goes: a session, which outlives its connections, or one connection.
///
/// That of a session has a secret in it, so that it is never printed: [`label`](Self::label) is what may be.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecipientId(Arc<str>);

impl RecipientId {
    /// All connections of a user, or of nobody, that give the same secret name. A name has no `:`.
    pub fn session(user: Option<&str>, client_id: &str) -> Self {
        Self(match user {
            Some(user) => format!("s:{client_id}:{user}").into(),
            None => format!("s:{client_id}").into(),
        })
    }

    /// One connection. An id has no `:`.
    pub fn connection(id: &str, user: Option<&str>) -> Self {
        Self(match user {
            Some(user) => format!("c:{id}:{user}").into(),
            None => format!("c:{id}").into(),
        })
    }

    /// Whether it outlives its connections.
    pub fn is_session(&self) -> bool {
        self.0.starts_with("s:")
    }

    /// The id that [`as_secret`](Self::as_secret) gave. One that it never gave belongs to nobody.
    pub fn from_secret(text: &str) -> Self {
        Self(text.into())
    }

    /// The whole id, to be kept in a store. Not for logs.
    pub fn as_secret(&self) -> &str {
        &self.0
    }

    /// Whose it is, without secrets: the user; of nobody's connection its public id.
    pub fn label(&self) -> &str {
        let mut parts = self.0.splitn(3, ':');
        let (kind, id, user) = (parts.next(), parts.next(), parts.next());
        match (kind, id, user) {
            (_, _, Some(user)) => user,
            (Some("c"), Some(id), None) => id,
            _ => "anonymous",
        }
    }
}

impl fmt::Debug for RecipientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecipientId(..)")
    }
}

/// Names one connection of a recipient; no two ever have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkKey(pub u64);

/// Names one message to one recipient. The caller chooses it; it is never used again, after a restart neither. What is
/// sent later has a higher one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryId(pub u64);

/// Names what a store is asked to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BatchId(pub(super) u64);

/// A message to one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<P> {
    /// What the recipient acknowledges. The same for all recipients of one message.
    pub id: ByteString,
    /// The method that is called.
    pub target: ByteString,
    /// What it is called with. It is cloned for every delivery.
    pub payload: P,
    /// What counts against the limits, in bytes.
    pub bytes: usize,
    /// Of those that wait, higher ones leave first.
    pub priority: i32,
    /// Whether it is delivered again after a negative acknowledgement or none, and becomes a dead letter when that does
    /// not help.
    pub critical: bool,
    /// From when on it is not delivered any more.
    pub expires_at: Option<Time>,
    /// How long one delivery waits for its acknowledgement, if not as long as others.
    pub timeout: Option<Duration>,
    /// When it was sent.
    pub queued_at: Time,
    /// Whether the recipient is a connection: when that is lost, so is the message. It is never stored.
    pub ephemeral: bool,
}

/// What happened outside.
#[derive(Debug)]
pub enum Input<P> {
    /// A message for a recipient. It ends with exactly one [`Output::Confirmed`].
    Send {
        /// Its name from here on.
        entry: EntryId,
        /// Who is to acknowledge it.
        recipient: RecipientId,
        /// The message.
        message: Message<P>,
    },
    /// A recipient has a connection. The newest one counts.
    Attached {
        /// Whose it is.
        recipient: RecipientId,
        /// The connection.
        link: LinkKey,
    },
    /// A connection is lost.
    Detached {
        /// Whose it was.
        recipient: RecipientId,
        /// The connection.
        link: LinkKey,
    },
    /// A recipient handled a message. Ids that are not its own, or not any more, are ignored.
    Acknowledged {
        /// Over which connection that came: an older one counts as well.
        link: LinkKey,
        /// Who says so.
        recipient: RecipientId,
        /// The message.
        message_id: ByteString,
    },
    /// A recipient could not handle a message.
    Nacked {
        /// Over which connection that came.
        link: LinkKey,
        /// Who says so.
        recipient: RecipientId,
        /// The message.
        message_id: ByteString,
        /// Why.
        reason: ByteString,
    },
    /// The dead letters with that id are to be delivered after all. Answered with [`Output::Requeued`].
    Requeue {
        /// The message.
        message_id: ByteString,
    },
    /// The answer to [`Output::Store`]: everything is written for good, or nothing was.
    Stored(BatchId, Result<(), String>),
    /// What the store held. Before everything else.
    Restored {
        /// What was not confirmed. It waits for its recipients.
        entries: Vec<StoredEntry<P>>,
        /// What could not be delivered.
        dead_letters: Vec<DeadLetter<P>>,
    },
    /// A recipient does not come back.
    Forget {
        /// Which one.
        recipient: RecipientId,
    },
    /// The time that [`Output::Wait`] named has come.
    Tick,
}

/// What is to be done outside.
#[derive(Debug)]
pub enum Output<P> {
    /// Gives a message to a connection.
    Deliver {
        /// Where to.
        link: LinkKey,
        /// Whose connection it is.
        recipient: RecipientId,
        /// Its name.
        entry: EntryId,
        /// The message.
        message: Message<P>,
        /// How often it failed before.
        retry_count: u32,
        /// Whether it only comes again because the connection is another one.
        repeated: bool,
    },
    /// The message will be delivered, or its end reported: with a store, it is in there. Never after
    /// [`Output::Confirmed`].
    Accepted(EntryId),
    /// The end of a message. Once, and once more each time that it was requeued.
    Confirmed(EntryId, Outcome),
    /// How many dead letters with that id are on their way again.
    Requeued {
        /// The message.
        message_id: ByteString,
        /// Zero if there was none.
        entries: usize,
    },
    /// Writes that, all or nothing, and answers with [`Input::Stored`]. One at a time.
    Store(BatchId, Vec<StoreOp<P>>),
    /// Nothing more, until the next input or that time.
    Wait(Option<Time>),
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The recipient handled it.
    Acknowledged,
    /// The recipient said that it cannot handle it, and why.
    Nacked(ByteString),
    /// The recipient did not say anything in time.
    TimedOut,
    /// The recipient went away and did not come back in time.
    Disconnected,
    /// It was not delivered before its time was over.
    Expired,
    /// It was never accepted, and why.
    Refused(String),
}

/// What is known of a message, as SignalR servers with acknowledgements number it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[repr(u8)]
pub enum Status {
    /// It waits, or its acknowledgement is awaited.
    Pending = 0,
    /// It was handled.
    Acknowledged = 1,
    /// It could not be handled.
    NegativelyAcknowledged = 2,
    /// Nothing was heard.
    TimedOut = 3,
    /// The recipient went away, or there was no room.
    Failed = 4,
    /// Its time was over.
    Expired = 5,
}

impl Outcome {
    /// The status that it leaves.
    pub const fn status(&self) -> Status {
        match self {
            Self::Acknowledged => Status::Acknowledged,
            Self::Nacked(_) => Status::NegativelyAcknowledged,
            Self::TimedOut => Status::TimedOut,
            Self::Expired => Status::Expired,
            Self::Disconnected | Self::Refused(_) => Status::Failed,
        }
    }
}

/// A message that is not confirmed, as a store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEntry<P> {
    /// Its name, the key of the record.
    pub entry: EntryId,
    /// Who is to acknowledge it.
    pub recipient: RecipientId,
    /// The message.
    pub message: Message<P>,
}

/// A message that could not be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter<P> {
    /// Its name, the key of the record.
    pub entry: EntryId,
    /// For whom it was.
    pub recipient: RecipientId,
    /// The message.
    pub message: Message<P>,
    /// How often it was delivered for another reason than a new connection.
    pub attempts: u32,
    /// What the last attempt came to.
    pub last_error: String,
    /// Why it is here.
    pub reason: String,
}

/// A change to the store. One name has one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreOp<P> {
    /// The record is this message.
    Put(StoredEntry<P>),
    /// The record is this dead letter.
    Bury(DeadLetter<P>),
    /// There is no record.
    Delete(EntryId),
}

impl<P> StoreOp<P> {
    /// The record that is changed.
    pub const fn entry(&self) -> EntryId {
        match self {
            Self::Put(stored) => stored.entry,
            Self::Bury(letter) => letter.entry,
            Self::Delete(entry) => *entry,
        }
    }
}

/// What happened since the start, and what there is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct DeliveryStatistics {
    /// Messages that are not confirmed, for each recipient.
    pub pending_messages: usize,
    /// Their bytes. What goes to several recipients counts several times.
    pub pending_bytes: usize,
    /// Messages that could not be delivered.
    pub dead_letter_messages: usize,
    /// Dead letters that had to make room.
    pub dead_letters_dropped: u64,
    /// Messages that were handled.
    pub processed_messages: u64,
    /// Messages that ended otherwise; those that were refused are not counted.
    pub failed_messages: u64,
    /// Messages that were never accepted.
    pub refused_messages: u64,
    /// When the last one was handled, in milliseconds of the engine's time.
    pub last_processed_at: Option<u64>,
    /// 0 closed, 1 open, 2 half open, 3 isolated.
    pub circuit_breaker_state: u8,
    /// Recipients that failed since the last success.
    pub consecutive_failures: usize,
    /// Acknowledgements that counted.
    pub acknowledged: u64,
    /// Acknowledgements, positive or negative, of what is not awaited.
    pub ignored: u64,
    /// Deliveries after a failed one.
    pub retries: u64,
    /// Deliveries because the connection was another one.
    pub resends: u64,
}
