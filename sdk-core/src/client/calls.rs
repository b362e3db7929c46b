//! The calls of the application that have not ended: which wire id each has, and what ends it.
//!
//! | kind | ends with | when the connection is lost |
//! |---|---|---|
//! | send | handed to the transport | was over before |
//! | invoke | its completion | `OutcomeUnknown`: it may or may not have run |
//! | stream | its completion | `Network`: what came before was delivered |
//! | upload | the application, or the end of its call | stopped |

use std::collections::BTreeMap;

use bytestring::ByteString;

use super::io::{CallId, Event, UploadId};
use super::stored::CallKind;
use crate::protocol::{Completion, Outcome};
use crate::{Error, ErrorKind};

/// The official clients' text.
const CONNECTION_CLOSED: &str = "Invocation canceled due to the underlying connection being closed.";

#[derive(Debug)]
struct Pending {
    call: CallId,
    kind: CallKind,
    uploads: Vec<UploadId>,
}

/// Calls and uploads in flight. Wire ids are numbers here and decimal text on the wire, from one counter for both.
#[derive(Debug, Default)]
pub(super) struct Calls {
    pending: BTreeMap<u64, Pending>,
    wire_ids: BTreeMap<CallId, u64>,
    uploads: BTreeMap<UploadId, u64>,
    next_wire_id: u64,
}

impl Calls {
    pub(super) fn len(&self) -> usize {
        self.pending.len()
    }

    pub(super) fn contains(&self, call: CallId) -> bool {
        self.wire_ids.contains_key(&call)
    }

    pub(super) fn contains_upload(&self, upload: UploadId) -> bool {
        self.uploads.contains_key(&upload)
    }

    /// Registers the uploads of a call and returns their ids on the wire.
    pub(super) fn open_uploads(&mut self, uploads: &[UploadId]) -> Vec<ByteString> {
        uploads
            .iter()
            .map(|upload| {
                let wire_id = self.take_wire_id();
                self.uploads.insert(*upload, wire_id);
                to_text(wire_id)
            })
            .collect()
    }

    /// Registers a call that waits for its completion and returns its id on the wire.
    pub(super) fn open(&mut self, call: CallId, kind: CallKind, uploads: Vec<UploadId>) -> ByteString {
        let wire_id = self.take_wire_id();
        self.pending.insert(wire_id, Pending { call, kind, uploads });
        self.wire_ids.insert(call, wire_id);
        to_text(wire_id)
    }

    /// The id on the wire of an upload that still runs.
    pub(super) fn upload(&self, upload: UploadId) -> Option<ByteString> {
        self.uploads.get(&upload).copied().map(to_text)
    }

    pub(super) fn close_upload(&mut self, upload: UploadId) -> Option<ByteString> {
        self.uploads.remove(&upload).map(to_text)
    }

    /// Forgets a call that was taken back; returns its id on the wire and those of its uploads.
    pub(super) fn cancel(&mut self, call: CallId) -> Option<(ByteString, Vec<(UploadId, ByteString)>)> {
        let wire_id = self.wire_ids.remove(&call)?;
        let pending = self.pending.remove(&wire_id)?;
        let uploads =
            pending.uploads.into_iter().filter_map(|id| Some((id, self.close_upload(id)?))).collect();
        Some((to_text(wire_id), uploads))
    }

    /// An item came. `None` when nobody waits for it.
    pub(super) fn item<P>(&mut self, invocation_id: &str, item: P, events: &mut Vec<Event<P>>) {
        let Some(wire_id) = from_text(invocation_id) else { return };
        let Some(pending) = self.pending.get(&wire_id) else { return };
        match pending.kind {
            CallKind::Stream => events.push(Event::Item { call: pending.call, item }),
            CallKind::Send | CallKind::Invoke => {
                let error = Error::new(
                    ErrorKind::Protocol,
                    "The server sent a stream item for an invocation that does not stream.",
                );
                self.finish(wire_id, Err(error), events);
            }
        }
    }

    /// A completion came.
    pub(super) fn complete<P>(&mut self, completion: Completion<P>, events: &mut Vec<Event<P>>) {
        let Some(wire_id) = from_text(&completion.invocation_id) else { return };
        let result = match completion.outcome {
            Outcome::Void => Ok(None),
            Outcome::Value(value) => Ok(Some(value)),
            Outcome::Error(text) => Err(Error::new(ErrorKind::Refused, String::from(text))),
        };
        self.finish(wire_id, result, events);
    }

    fn finish<P>(&mut self, wire_id: u64, result: Result<Option<P>, Error>, events: &mut Vec<Event<P>>) {
        let Some(pending) = self.pending.remove(&wire_id) else { return };
        self.wire_ids.remove(&pending.call);
        // The callee drops late items silently, so nothing has to be said about uploads that still run.
        for upload in pending.uploads {
            if self.uploads.remove(&upload).is_some() {
                events.push(Event::UploadStopped(upload));
            }
        }
        events.push(Event::Completed { call: pending.call, result });
    }

    /// The connection is gone: ends everything.
    pub(super) fn lose_all<P>(&mut self, reason: Option<&Error>, events: &mut Vec<Event<P>>) {
        for upload in std::mem::take(&mut self.uploads).into_keys() {
            events.push(Event::UploadStopped(upload));
        }
        self.wire_ids.clear();
        for pending in std::mem::take(&mut self.pending).into_values() {
            let kind = match pending.kind {
                CallKind::Send | CallKind::Invoke => ErrorKind::OutcomeUnknown,
                CallKind::Stream => ErrorKind::Network,
            };
            let error = match reason {
                Some(reason) => Error::new(kind, reason.detail().to_owned()),
                None => Error::new(kind, CONNECTION_CLOSED),
            };
            events.push(Event::Completed { call: pending.call, result: Err(error) });
        }
    }

    const fn take_wire_id(&mut self) -> u64 {
        let id = self.next_wire_id;
        self.next_wire_id += 1;
        id
    }
}

fn to_text(wire_id: u64) -> ByteString {
    wire_id.to_string().into()
}

/// `None` for ids that this client never gives out, such as `+1` and `01`.
fn from_text(id: &str) -> Option<u64> {
    let canonical = id == "0" || id.as_bytes().first().is_some_and(|first| (b'1'..=b'9').contains(first));
    if canonical { id.parse().ok() } else { None }
}
