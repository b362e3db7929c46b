use std::collections::{HashMap, VecDeque};

use bytestring::ByteString;
use hubwire::protocol::{Call, Headers};

use super::{CallKey, MethodCall, Output, SessionConfig, UploadKey};

/// The calls of one client: those that run and those that wait for their turn.
///
/// Calls start in the order they came. A plain call needs a slot; a streaming one needs none, but does not overtake
/// plain calls that wait, as in the official server.
pub(super) struct Calls<P> {
    next: u64,
    /// Everything not finished, waiting ones included.
    open: HashMap<CallKey, Open>,
    /// The keys of the open calls that have an id.
    by_id: HashMap<ByteString, CallKey>,
    waiting: VecDeque<MethodCall<P>>,
    slots_taken: usize,
    /// How many open calls stream in either direction.
    streaming: usize,
}

struct Open {
    id: Option<ByteString>,
    streaming: bool,
    /// Streams results or uploads, so it needs no slot.
    exempt: bool,
    has_slot: bool,
    canceled: bool,
    uploads: Vec<UploadKey>,
}

/// Why a call is not even tried.
pub(super) enum Refusal {
    IdInUse,
    StreamIdInUse(ByteString),
    TooManyStreams(usize),
}

pub(super) struct Finished {
    pub(super) id: Option<ByteString>,
    pub(super) uploads: Vec<UploadKey>,
    /// The caller cancelled the stream: whatever became of it, it ends without an error.
    pub(super) stream_canceled: bool,
}

impl<P> Default for Calls<P> {
    fn default() -> Self {
        Self {
            next: 0,
            open: HashMap::new(),
            by_id: HashMap::new(),
            waiting: VecDeque::new(),
            slots_taken: 0,
            streaming: 0,
        }
    }
}

impl<P> Calls<P> {
    pub(super) fn queued(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn holds_slots(&self) -> bool {
        self.slots_taken > 0
    }

    pub(super) fn admit(
        &self,
        id: Option<&ByteString>,
        call: &Call<P>,
        streaming: bool,
        config: &SessionConfig,
    ) -> Result<(), Refusal> {
        if id.is_some_and(|id| self.by_id.contains_key(id)) {
            return Err(Refusal::IdInUse);
        }
        let exempt = streaming || !call.stream_ids.is_empty();
        if exempt && self.streaming >= config.streams {
            return Err(Refusal::TooManyStreams(config.streams));
        }
        Ok(())
    }

    pub(super) fn enqueue(
        &mut self,
        id: Option<ByteString>,
        target: ByteString,
        arguments: P,
        headers: Headers,
        uploads: Vec<UploadKey>,
        streaming: bool,
    ) {
        let key = CallKey(self.next);
        self.next += 1;
        let blocking = id.is_some();
        let exempt = streaming || !uploads.is_empty();
        self.streaming += usize::from(exempt);
        if let Some(id) = &id {
            self.by_id.insert(id.clone(), key);
        }
        let open = Open { id, streaming, exempt, has_slot: false, canceled: false, uploads: uploads.clone() };
        self.open.insert(key, open);
        self.waiting.push_back(MethodCall { key, streaming, blocking, target, arguments, uploads, headers });
    }

    /// The next call that may start now.
    pub(super) fn start_next(&mut self, config: &SessionConfig) -> Option<MethodCall<P>> {
        let open = self.open.get_mut(&self.waiting.front()?.key)?;
        if !open.exempt {
            if self.slots_taken >= config.parallel_invocations {
                return None;
            }
            open.has_slot = true;
            self.slots_taken += 1;
        }
        self.waiting.pop_front()
    }

    /// The id for an item of that call, unless its caller no longer listens.
    pub(super) fn id_for_item(&self, key: CallKey) -> Option<ByteString> {
        self.open.get(&key).filter(|call| !call.canceled && call.streaming).and_then(|call| call.id.clone())
    }

    /// Gives the slot back before the end, for good.
    pub(super) fn release(&mut self, key: CallKey) {
        if let Some(call) = self.open.get_mut(&key).filter(|call| call.has_slot) {
            call.has_slot = false;
            self.slots_taken -= 1;
        }
    }

    /// Cancels the call. Returns it with whether it streams if it never ran; it is over then.
    pub(super) fn cancel(
        &mut self,
        id: &ByteString,
        outputs: &mut VecDeque<Output<P>>,
    ) -> Option<(CallKey, bool)> {
        let key = *self.by_id.get(id)?;
        let call = self.open.get_mut(&key).filter(|call| !call.canceled)?;
        call.canceled = true;
        if let Some(at) = self.waiting.iter().position(|call| call.key == key) {
            let headers = self.waiting.remove(at).map(|call| call.headers).unwrap_or_default();
            if !call.exempt && !headers.is_empty() {
                outputs.push_back(Output::Withdrawn(headers));
            }
            return Some((key, call.streaming));
        }
        outputs.push_back(Output::Cancel(key));
        None
    }

    pub(super) fn finish(&mut self, key: CallKey) -> Option<Finished> {
        let call = self.open.remove(&key)?;
        if let Some(id) = &call.id {
            self.by_id.remove(id);
        }
        self.slots_taken -= usize::from(call.has_slot);
        self.streaming -= usize::from(call.exempt);
        let stream_canceled = call.canceled && call.streaming;
        Some(Finished { id: call.id, uploads: call.uploads, stream_canceled })
    }

    pub(super) fn release_memory(&mut self) {
        if self.open.is_empty() {
            self.clear();
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self { next: self.next, ..Self::default() };
    }
}
