use std::collections::{HashMap, HashSet, VecDeque};

use bytestring::ByteString;

use super::calls::Refusal;
use super::{Output, SessionConfig, UploadEvent, UploadKey};

/// The streams a client uploads, and how many items of each the methods have not taken yet.
pub(super) struct Uploads<P> {
    next: u64,
    open: HashMap<ByteString, UploadKey>,
    state: HashMap<UploadKey, Upload>,
    /// The item for which there was no room. While it waits nothing more is read.
    blocked: Option<(UploadKey, P)>,
}

struct Upload {
    id: ByteString,
    waiting: usize,
    /// Nobody reads it any more; items are dropped.
    discarded: bool,
}

impl<P> Default for Uploads<P> {
    fn default() -> Self {
        Self { next: 0, open: HashMap::new(), state: HashMap::new(), blocked: None }
    }
}

impl<P> Uploads<P> {
    pub(super) const fn is_blocked(&self) -> bool {
        self.blocked.is_some()
    }

    pub(super) fn admit(&self, ids: &[ByteString], config: &SessionConfig) -> Result<(), Refusal> {
        if self.state.len() + ids.len() > config.streams {
            return Err(Refusal::TooManyStreams(config.streams));
        }
        let mut seen = HashSet::new();
        match ids.iter().find(|id| self.open.contains_key(*id) || !seen.insert(*id)) {
            Some(id) => Err(Refusal::StreamIdInUse(id.clone())),
            None => Ok(()),
        }
    }

    pub(super) fn open(&mut self, ids: Vec<ByteString>, outputs: &mut VecDeque<Output<P>>) -> Vec<UploadKey> {
        ids.into_iter()
            .map(|id| {
                let key = UploadKey(self.next);
                self.next += 1;
                self.open.insert(id.clone(), key);
                self.state.insert(key, Upload { id, waiting: 0, discarded: false });
                outputs.push_back(Output::OpenUpload(key));
                key
            })
            .collect()
    }

    /// An item came. Items of streams that are over are dropped: the client may not know yet.
    pub(super) fn item(
        &mut self,
        id: &ByteString,
        item: P,
        config: &SessionConfig,
        outputs: &mut VecDeque<Output<P>>,
    ) {
        let Some(key) = self.open.get(id) else { return };
        let Some(upload) = self.state.get_mut(key).filter(|upload| !upload.discarded) else { return };
        if upload.waiting >= config.upload_buffer {
            self.blocked = Some((*key, item));
            return;
        }
        upload.waiting += 1;
        outputs.push_back(Output::Upload(*key, UploadEvent::Item(item)));
    }

    pub(super) fn release_memory(&mut self) {
        if self.state.is_empty() && self.open.is_empty() {
            self.open = HashMap::new();
            self.state = HashMap::new();
        }
    }

    /// The client ends the stream.
    pub(super) fn end(
        &mut self,
        id: &ByteString,
        error: Option<ByteString>,
        outputs: &mut VecDeque<Output<P>>,
    ) {
        if let Some(key) = self.open.remove(id) {
            self.state.remove(&key);
            outputs.push_back(Output::Upload(key, UploadEvent::End(error)));
        }
    }

    /// The method took an item.
    pub(super) fn consumed(&mut self, key: UploadKey, outputs: &mut VecDeque<Output<P>>) {
        let Some(upload) = self.state.get_mut(&key) else { return };
        upload.waiting = upload.waiting.saturating_sub(1);
        if let Some((_, item)) = self.blocked.take_if(|(blocked, _)| *blocked == key) {
            upload.waiting += 1;
            outputs.push_back(Output::Upload(key, UploadEvent::Item(item)));
        }
    }

    /// The method dropped the stream.
    pub(super) fn discard(&mut self, key: UploadKey) {
        if let Some(upload) = self.state.get_mut(&key) {
            upload.discarded = true;
        }
        self.blocked.take_if(|(blocked, _)| *blocked == key);
    }

    /// The methods that read them are over.
    pub(super) fn close(&mut self, keys: &[UploadKey], outputs: &mut VecDeque<Output<P>>) {
        for key in keys {
            if let Some(upload) = self.state.remove(key) {
                self.open.remove(&upload.id);
                outputs.push_back(Output::CloseUpload(*key));
            }
            self.blocked.take_if(|(blocked, _)| blocked == key);
        }
    }
}
