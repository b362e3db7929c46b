//! Rules that can be broken on purpose, one at a time, to see that the oracles notice.

/// A broken rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mutation {
    /// None: everything works.
    #[default]
    None,
    /// The server runs a repeated call again.
    NoDedupe,
    /// The server says after a restart that it remembers what it has forgotten.
    SameEpoch,
    /// The client acknowledges a message before its handler has run.
    AckBeforeHandler,
    /// The client forgets which messages it has handled.
    NoMessageWindow,
    /// The last member of a batch is dropped.
    BatchTail,
    /// A malformed member of a batch takes the members behind it with it.
    BatchStops,
    /// Changes are merged whatever they are based on.
    NoBaseSequence,
    /// A whole object is that of before its last change, and says that it is the newest.
    StaleSnapshot,
    /// The server does not say where a stream stands when it is subscribed to.
    NoPositions,
    /// The client forgets where it stands when it loses its connection.
    ForgetPositions,
    /// The last message of a page of a recovery is dropped.
    PageTail,
    /// The store of the streams loses their end in a restart, and the epoch stays.
    StreamTail,
    /// The client does not report gaps.
    SilentGaps,
    /// The last call of each batch is not written to the client's store.
    OutboxTail,
    /// The client's store says that it has written before it has.
    OutboxEarly,
    /// The server's store says that it has written before it has.
    ServerEarly,
    /// The server does not send again what was in flight on a lost connection.
    NoResend,
    /// The server sends again what was in flight, in the wrong order.
    ResendBackwards,
    /// An acknowledgement is taken for the message before it.
    WrongAck,
    /// The client does not repeat its calls on a new connection.
    NoRepeat,
}

impl Mutation {
    /// All but none.
    pub const ALL: [Self; 20] = [
        Self::NoDedupe,
        Self::SameEpoch,
        Self::AckBeforeHandler,
        Self::NoMessageWindow,
        Self::BatchTail,
        Self::BatchStops,
        Self::NoBaseSequence,
        Self::StaleSnapshot,
        Self::NoPositions,
        Self::ForgetPositions,
        Self::PageTail,
        Self::StreamTail,
        Self::SilentGaps,
        Self::OutboxTail,
        Self::OutboxEarly,
        Self::ServerEarly,
        Self::NoResend,
        Self::ResendBackwards,
        Self::WrongAck,
        Self::NoRepeat,
    ];
}
