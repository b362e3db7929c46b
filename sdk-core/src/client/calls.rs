//! The calls in flight: which wire id each has, and what ends it.

use alloc::string::String;
use alloc::vec::Vec;

use crate::ByteString;

use super::delivery::Question;
use super::io::{CallId, UploadId};
use super::joins::Join;
use super::outbox::Place;
use super::stored::CallKind;
use super::table::{Numbers, Table};
use crate::Time;
use crate::protocol::{Completion, Outcome};
use crate::text::{decimal, number};
use crate::{Error, ErrorKind};

/// Who waits for a completion.
#[derive(Debug)]
pub(super) enum Owner<P> {
    /// The application.
    Application(CallId),
    /// A group is joined again after a new connection.
    Rejoin(Join<P>),
    /// The round-trip time is measured.
    Probe,
    /// Something is missing of what the server sent.
    Delivery(Question),
}

/// A call in flight.
#[derive(Debug)]
pub(super) struct Pending<P> {
    pub(super) owner: Owner<P>,
    pub(super) kind: CallKind,
    pub(super) uploads: Vec<UploadId>,
    /// When the caller has waited long enough.
    pub(super) deadline: Option<Time>,
    /// Where the outbox keeps it, to send it again.
    pub(super) kept: Option<Place>,
    /// It had queued up, and counts for the window.
    pub(super) queued: bool,
    /// What is joined if it succeeds.
    pub(super) join: Option<Join<P>>,
}

impl<P> Pending<P> {
    /// A call of the client's own.
    pub(super) const fn own(owner: Owner<P>) -> Self {
        Self {
            owner,
            kind: CallKind::Invoke,
            uploads: Vec::new(),
            deadline: None,
            kept: None,
            queued: false,
            join: None,
        }
    }
}

/// How a call ended.
pub(super) type Finished<P> = (Pending<P>, Result<Option<P>, Error>);

/// Calls and uploads in flight. Wire ids are numbers here and decimal text on the wire, from one counter for both.
#[derive(Debug)]
pub(super) struct Calls<P> {
    pending: Table<u64, Pending<P>>,
    wire_ids: Numbers<CallId, u64>,
    uploads: Numbers<UploadId, u64>,
    /// How many of them had queued up.
    queued: usize,
    next_wire_id: u64,
}

impl<P> Default for Calls<P> {
    fn default() -> Self {
        Self {
            pending: Table::default(),
            wire_ids: Numbers::default(),
            uploads: Numbers::default(),
            queued: 0,
            next_wire_id: 0,
        }
    }
}

impl<P> Calls<P> {
    pub(super) fn len(&self) -> usize {
        self.pending.len()
    }

    /// How many had queued up.
    pub(super) const fn queued(&self) -> usize {
        self.queued
    }

    pub(super) fn contains(&self, call: CallId) -> bool {
        self.wire_ids.contains(call)
    }

    pub(super) fn contains_upload(&self, upload: UploadId) -> bool {
        self.uploads.contains(upload)
    }

    /// Registers the uploads of a call and returns their ids on the wire.
    pub(super) fn open_uploads(&mut self, uploads: &[UploadId]) -> Vec<ByteString> {
        let mut ids = Vec::new();
        for upload in uploads {
            let wire_id = self.take_wire_id();
            self.uploads.insert(*upload, wire_id);
            ids.push(to_text(wire_id));
        }
        ids
    }

    /// Registers a call that waits for its completion and returns its id on the wire.
    pub(super) fn open(&mut self, pending: Pending<P>) -> ByteString {
        let wire_id = self.take_wire_id();
        if let Owner::Application(call) = &pending.owner {
            self.wire_ids.insert(*call, wire_id);
        }
        self.queued += usize::from(pending.queued);
        self.pending.insert(wire_id, pending);
        to_text(wire_id)
    }

    /// Forgets the questions of delivery.
    pub(super) fn take_questions(&mut self) -> Vec<Question> {
        let mut questions = Vec::new();
        for id in self.pending.find(|pending| matches!(pending.owner, Owner::Delivery(_))) {
            if let Some(Pending { owner: Owner::Delivery(question), .. }) = self.remove(id) {
                questions.push(question);
            }
        }
        questions
    }

    /// The id on the wire of an upload that still runs.
    pub(super) fn upload(&self, upload: UploadId) -> Option<ByteString> {
        self.uploads.get(upload).map(to_text)
    }

    pub(super) fn close_upload(&mut self, upload: UploadId) -> Option<ByteString> {
        self.uploads.remove(upload).map(to_text)
    }

    /// Forgets a call that was taken back; returns its id on the wire too.
    pub(super) fn cancel(&mut self, call: CallId) -> Option<(ByteString, Pending<P>)> {
        let wire_id = self.wire_ids.get(call)?;
        Some((to_text(wire_id), self.remove(wire_id)?))
    }

    /// Who waits for an item that came.
    pub(super) fn item(&mut self, invocation_id: &str) -> Option<Result<CallId, Finished<P>>> {
        let wire_id = number(invocation_id)?;
        match self.pending.get(wire_id)? {
            Pending { kind: CallKind::Stream, owner: Owner::Application(call), .. } => Some(Ok(*call)),
            _ => {
                let error = Error::new(
                    ErrorKind::Protocol,
                    "The server sent a stream item for an invocation that does not stream.",
                );
                Some(Err((self.remove(wire_id)?, Err(error))))
            }
        }
    }

    /// A completion came. `None` when nobody waits for it.
    pub(super) fn complete(&mut self, completion: Completion<P>) -> Option<Finished<P>> {
        let pending = self.remove(number(&completion.invocation_id)?)?;
        let result = match completion.outcome {
            Outcome::Void => Ok(None),
            Outcome::Value(value) => Ok(Some(value)),
            Outcome::Error(text) => Err(Error::new(ErrorKind::Refused, String::from(text))),
        };
        Some((pending, result))
    }

    fn remove(&mut self, wire_id: u64) -> Option<Pending<P>> {
        let pending = self.pending.remove(wire_id)?;
        if let Owner::Application(call) = &pending.owner {
            self.wire_ids.remove(*call);
        }
        self.queued -= usize::from(pending.queued);
        Some(pending)
    }

    /// The connection is gone, and every upload with it: takes one.
    pub(super) fn take_upload(&mut self) -> Option<UploadId> {
        self.uploads.pop_first()
    }

    /// The connection is gone, and every call in flight with it: takes one.
    pub(super) fn take_pending(&mut self) -> Option<Pending<P>> {
        let wire_id = self.pending.first()?.0;
        self.remove(wire_id)
    }

    const fn take_wire_id(&mut self) -> u64 {
        let id = self.next_wire_id;
        self.next_wire_id += 1;
        id
    }
}

fn to_text(wire_id: u64) -> ByteString {
    decimal(wire_id).into()
}
