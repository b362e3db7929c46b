use crate::ByteString;

use super::io::{Reply, ReplyId};
use super::table::Table;
use crate::protocol::{Completion, Outcome};

/// The official clients' texts.
const NO_RESULT: &str = "Client didn't provide a result.";
const MANY_RESULTS: &str = "Client provided multiple results.";

/// The calls of the server that wait for the application's answer.
#[derive(Debug, Default)]
pub(super) struct Replies {
    open: Table<ReplyId, ByteString>,
    next: u64,
}

impl Replies {
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    pub(super) fn open(&mut self, invocation_id: ByteString) -> ReplyId {
        let id = ReplyId(self.next);
        self.next += 1;
        self.open.insert(id, invocation_id);
        id
    }

    /// The message that answers; `None` when nobody waits any more.
    pub(super) fn answer<P>(&mut self, id: ReplyId, reply: Reply<P>) -> Option<Completion<P>> {
        let invocation_id = self.open.remove(id)?;
        let outcome = match reply {
            Reply::Void => Outcome::Void,
            Reply::Value(value) => Outcome::Value(value),
            Reply::Error(text) if text.is_empty() => Outcome::Error("The handler failed.".into()),
            Reply::Error(text) => Outcome::Error(text.into()),
            Reply::NoHandler => Outcome::Error(ByteString::from_static(NO_RESULT)),
            Reply::ManyHandlers => Outcome::Error(ByteString::from_static(MANY_RESULTS)),
        };
        Some(Completion::new(invocation_id, outcome))
    }

    /// The server takes its call back.
    pub(super) fn cancel(&mut self, invocation_id: &str) -> Option<ReplyId> {
        let id = self.open.iter().find(|(_, open)| **open == invocation_id).map(|(id, _)| id)?;
        self.open.remove(id);
        Some(id)
    }

    pub(super) fn clear(&mut self) {
        self.open = Table::default();
    }
}
