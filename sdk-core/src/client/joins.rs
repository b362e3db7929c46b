//! Groups that the application joined by calling a method: a new connection is in none of them, so the calls are made
//! again, in order, before anything that was queued.

use crate::ByteString;
use alloc::vec::Vec;

use crate::protocol::OpaquePayload;

/// The name of a method that joins something for the life of the connection, and of the one that leaves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinRule {
    /// For example `JoinConversation`. Calls that succeeded are made again after a new connection.
    pub join: ByteString,
    /// For example `LeaveConversation`. A call with the same arguments ends that.
    pub leave: Option<ByteString>,
}

impl JoinRule {
    /// A method that joins and one that leaves.
    pub fn new(join: impl Into<ByteString>, leave: impl Into<ByteString>) -> Self {
        Self { join: join.into(), leave: Some(leave.into()) }
    }
}

/// A join call that succeeded.
#[derive(Clone, Debug)]
pub(super) struct Join<P> {
    pub(super) target: ByteString,
    pub(super) arguments: P,
}

/// What was joined, in order. Bounded by the application, which makes each of the calls.
#[derive(Debug)]
pub(super) struct Joins<P>(Vec<Join<P>>);

impl<P> Default for Joins<P> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<P: OpaquePayload> Joins<P> {
    /// Servers compare method names without regard to case.
    pub(super) fn is_join(rules: &[JoinRule], target: &str) -> bool {
        rules.iter().any(|rule| rule.join.eq_ignore_ascii_case(target))
    }

    /// A call succeeded that joins: it takes the place of an equal one.
    pub(super) fn record(&mut self, join: Join<P>) {
        self.forget(&join);
        self.0.push(join);
    }

    /// The server refuses that one.
    pub(super) fn forget(&mut self, join: &Join<P>) {
        self.remove(&join.target, &join.arguments);
    }

    fn remove(&mut self, target: &str, arguments: &P) {
        self.0
            .retain(|join| !(join.target.eq_ignore_ascii_case(target) && join.arguments.is_same(arguments)));
    }

    /// A call is made: if it leaves, what it leaves is not to be joined again.
    pub(super) fn leave(&mut self, rules: &[JoinRule], target: &str, arguments: &P) {
        for rule in rules {
            if rule.leave.as_ref().is_some_and(|leave| leave.eq_ignore_ascii_case(target)) {
                self.remove(&rule.join, arguments);
            }
        }
    }

    pub(super) fn all(&self) -> Vec<Join<P>> {
        self.0.clone()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
