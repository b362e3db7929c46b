//! Which messages of the server the application has, which it has handled, and what the server is still to be told.

use alloc::vec::Vec;

use crate::ByteString;

use super::super::io::DeliveryId;
use super::super::table::{Names, Table};

/// What is to be done with a message that came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Receipt {
    /// Give it to the application.
    New(DeliveryId),
    /// The application has it: its end will be told.
    Open,
    /// It was handled: tell that again.
    Handled,
    /// The application has too many.
    Full,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open(DeliveryId),
    Handled,
}

/// Bounded by the limits that its methods are given.
#[derive(Debug, Default)]
pub(super) struct Acks {
    messages: Names<State>,
    open: Table<DeliveryId, ByteString>,
    /// Those that were handled, oldest first.
    handled: Table<u64, ByteString>,
    /// To be told.
    waiting: Vec<ByteString>,
    last: u64,
    /// How many were ever handled.
    ended: u64,
}

impl Acks {
    pub(super) fn receive(&mut self, id: &ByteString, max_open: usize) -> Receipt {
        match self.messages.get(id) {
            Some(State::Open(_)) => return Receipt::Open,
            Some(State::Handled) => return Receipt::Handled,
            None => {}
        }
        if self.open.len() >= max_open {
            return Receipt::Full;
        }
        self.last += 1;
        let delivery = DeliveryId(self.last);
        // A copy: the id is a slice of the whole frame.
        let id = ByteString::from(&**id);
        self.messages.insert(id.clone(), State::Open(delivery));
        self.open.insert(delivery, id);
        Receipt::New(delivery)
    }

    /// The delivery of a message that the application has.
    pub(super) fn delivery(&self, id: &str) -> Option<DeliveryId> {
        match self.messages.get(id)? {
            State::Open(delivery) => Some(*delivery),
            State::Handled => None,
        }
    }

    /// The application has handled it, and `window` are remembered. Returns the id.
    pub(super) fn handled(&mut self, delivery: DeliveryId, window: usize) -> Option<ByteString> {
        let id = self.open.remove(delivery)?;
        self.messages.insert(id.clone(), State::Handled);
        self.ended += 1;
        self.handled.insert(self.ended, id.clone());
        while self.handled.len() > window
            && let Some((_, oldest)) = self.handled.pop_first()
        {
            self.messages.remove(&oldest);
        }
        Some(id)
    }

    /// The application could not handle it, and may get it again. Returns the id.
    pub(super) fn failed(&mut self, delivery: DeliveryId) -> Option<ByteString> {
        let id = self.open.remove(delivery)?;
        self.messages.remove(&id);
        Some(id)
    }

    /// Something to be told. Returns how much there is.
    pub(super) fn tell(&mut self, id: ByteString) -> usize {
        self.waiting.push(id);
        self.waiting.len()
    }

    pub(super) fn take_waiting(&mut self) -> Vec<ByteString> {
        core::mem::take(&mut self.waiting)
    }
}
