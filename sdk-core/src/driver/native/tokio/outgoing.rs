//! What waits to leave over a transport, whole messages at a time.

use bytes::Bytes;

/// A frame that collects messages while the transport is busy goes no further than this, in bytes.
const FRAME_TARGET: usize = 64 << 10;

/// Messages that have not left yet, one after the other.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    /// Goes out first, as text whatever the encoding.
    handshake: Option<String>,
    bytes: Vec<u8>,
    /// Where in `bytes` a message ends, so that frames hold whole messages only.
    ends: Vec<usize>,
    /// Nothing more is taken.
    closed: bool,
}

/// What leaves at once.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Departure {
    Handshake(String),
    Messages(Bytes),
}

impl Outgoing {
    /// Queues bytes; `write` appends exactly one message.
    pub(super) fn push<E>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
        if self.closed {
            return Ok(());
        }
        write(&mut self.bytes)?;
        self.ends.push(self.bytes.len());
        Ok(())
    }

    pub(super) fn push_handshake(&mut self, text: String) {
        self.handshake = Some(text);
    }

    /// Nothing more is to be sent after this.
    pub(super) const fn close(&mut self) {
        self.closed = true;
    }

    pub(super) const fn is_closed(&self) -> bool {
        self.closed
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.handshake.is_none() && self.bytes.is_empty()
    }

    /// How many bytes wait.
    pub(super) const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Takes what leaves next: whole messages, as many as fit a frame, at least one.
    pub(super) fn take(&mut self) -> Option<Departure> {
        if let Some(text) = self.handshake.take() {
            return Some(Departure::Handshake(text));
        }
        if self.bytes.is_empty() {
            return None;
        }
        let fitting = self.ends.partition_point(|end| *end <= FRAME_TARGET).max(1);
        if fitting >= self.ends.len() {
            self.ends.clear();
            return Some(Departure::Messages(std::mem::take(&mut self.bytes).into()));
        }
        let end = self.ends[fitting - 1];
        let rest = self.bytes.split_off(end);
        self.ends.drain(..fitting);
        for later in &mut self.ends {
            *later -= end;
        }
        Some(Departure::Messages(std::mem::replace(&mut self.bytes, rest).into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_hold_whole_messages_behind_the_handshake() {
        let mut outgoing = Outgoing::default();
        for (index, size) in [10, 30_000, 30_000, 30_000, 200_000, 5].into_iter().enumerate() {
            let write = |out: &mut Vec<u8>| {
                out.resize(out.len() + size, index as u8);
                Ok::<_, ()>(())
            };
            outgoing.push(write).unwrap();
        }
        outgoing.push_handshake("hello".into());
        assert_eq!(outgoing.take(), Some(Departure::Handshake("hello".into())));
        let mut sizes = Vec::new();
        while let Some(Departure::Messages(frame)) = outgoing.take() {
            sizes.push(frame.len());
        }
        assert_eq!(sizes, [60_010, 30_000, 200_000, 5]);
        assert!(outgoing.is_empty());
    }

    #[test]
    fn what_cannot_be_written_leaves_nothing_behind() {
        let mut outgoing = Outgoing::default();
        assert_eq!(outgoing.push(|_| Err("no")), Err("no"));
        outgoing.close();
        outgoing.push(|_| -> Result<(), ()> { unreachable!("nothing is taken any more") }).unwrap();
        assert!(outgoing.is_empty());
    }
}
