//! Cuts the bytes of a transport into messages.
//!
//! Transport frames and messages are not aligned by contract: one frame may hold several messages, and a message may
//! be spread over frames. A message that lies within one frame is handed out as a slice of it, without a copy.

use bytes::{Buf, Bytes, BytesMut};

use super::{Encoding, ProtocolError};

/// Ends every JSON message and both handshake messages.
pub const RECORD_SEPARATOR: u8 = 0x1e;

/// The longest length prefix of a MessagePack message, in bytes.
const MAX_PREFIX: usize = 5;

/// Splits a stream of transport frames into messages, holding back what is incomplete.
///
/// It starts with the handshake, which is a JSON record under either encoding; [`begin`](Self::begin) then sets the
/// encoding, and bytes that came behind the handshake in the same frame are read with it.
#[derive(Debug)]
pub struct FrameDecoder {
    framing: Framing,
    limit: usize,
    /// The rest of the frame that was pushed last.
    chunk: Bytes,
    /// The beginning of a message whose end has not come yet. Either this is empty, or `chunk` continues it.
    partial: BytesMut,
}

#[derive(Clone, Copy, Debug)]
enum Framing {
    Record,
    LengthPrefix,
}

impl FrameDecoder {
    /// `limit` is the size of the largest message to accept, in bytes, framing included.
    pub fn new(limit: usize) -> Self {
        Self { framing: Framing::Record, limit, chunk: Bytes::new(), partial: BytesMut::new() }
    }

    /// The handshake is over: what follows has this encoding.
    pub const fn begin(&mut self, encoding: Encoding) {
        self.framing = match encoding {
            Encoding::Json => Framing::Record,
            Encoding::MessagePack => Framing::LengthPrefix,
        };
    }

    /// Takes a transport frame. Call [`next`](Self::next) until it returns `None` before pushing another.
    pub fn push(&mut self, frame: Bytes) {
        if self.chunk.is_empty() {
            self.chunk = frame;
        } else {
            let mut joined = BytesMut::with_capacity(self.chunk.len() + frame.len());
            joined.extend_from_slice(&self.chunk);
            joined.extend_from_slice(&frame);
            self.chunk = joined.freeze();
        }
    }

    /// The next whole message, without its framing.
    ///
    /// # Errors
    /// When a message is over the limit or its length prefix is impossible; nothing after it can be read.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Bytes>, ProtocolError> {
        match self.framing {
            Framing::Record => self.next_record(),
            Framing::LengthPrefix => self.next_prefixed(),
        }
    }

    /// How many bytes of an incomplete message are held.
    pub fn buffered(&self) -> usize {
        self.partial.len() + self.chunk.len()
    }

    fn next_record(&mut self) -> Result<Option<Bytes>, ProtocolError> {
        let Some(end) = memchr::memchr(RECORD_SEPARATOR, &self.chunk) else {
            if self.partial.len() + self.chunk.len() >= self.limit {
                return Err(ProtocolError::TooLarge { limit: self.limit });
            }
            self.keep(self.chunk.len());
            return Ok(None);
        };
        if self.partial.len() + end + 1 > self.limit {
            return Err(ProtocolError::TooLarge { limit: self.limit });
        }
        let message = self.take(end);
        self.chunk.advance(1);
        Ok(Some(message))
    }

    fn next_prefixed(&mut self) -> Result<Option<Bytes>, ProtocolError> {
        // A prefix that was cut is completed byte by byte, so that `partial` never holds more than one message.
        while !self.partial.is_empty() && read_prefix(&self.partial)?.is_none() {
            if self.chunk.is_empty() {
                return Ok(None);
            }
            self.keep(1);
        }
        let prefix = read_prefix(if self.partial.is_empty() { &self.chunk } else { &self.partial })?;
        let Some((prefix_len, body_len)) = prefix else {
            self.keep(self.chunk.len());
            return Ok(None);
        };
        let total = prefix_len + body_len;
        if total > self.limit {
            return Err(ProtocolError::TooLarge { limit: self.limit });
        }
        if self.partial.len() + self.chunk.len() < total {
            self.partial.reserve(total - self.partial.len());
            self.keep(self.chunk.len());
            return Ok(None);
        }
        let mut message = self.take(total - self.partial.len());
        message.advance(prefix_len);
        Ok(Some(message))
    }

    /// Moves the next bytes of the chunk behind the partial message.
    fn keep(&mut self, len: usize) {
        let head = self.chunk.split_to(len);
        self.partial.extend_from_slice(&head);
    }

    /// The partial message together with the next bytes of the chunk.
    fn take(&mut self, len: usize) -> Bytes {
        if self.partial.is_empty() {
            return self.chunk.split_to(len);
        }
        self.keep(len);
        self.partial.split().freeze()
    }
}

/// The length of the prefix and of the body it announces; `None` if the prefix is incomplete.
fn read_prefix(bytes: &[u8]) -> Result<Option<(usize, usize)>, ProtocolError> {
    let mut len = 0u64;
    for (index, byte) in bytes.iter().take(MAX_PREFIX).enumerate() {
        len |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return match i32::try_from(len) {
                Ok(len) => Ok(Some((index + 1, len as usize))),
                Err(_) => Err(ProtocolError::LengthPrefix),
            };
        }
    }
    if bytes.len() >= MAX_PREFIX { Err(ProtocolError::LengthPrefix) } else { Ok(None) }
}

/// Puts the length prefix in front of the message that starts at `body` in `out`.
///
/// The writer left [`MAX_PREFIX`] bytes free before it, because the length is known only at the end.
pub(super) fn close_prefixed(out: &mut Vec<u8>, start: usize) {
    let body = start + MAX_PREFIX;
    let mut prefix = [0u8; MAX_PREFIX];
    let mut used = 0;
    let mut len = out.len() - body;
    loop {
        prefix[used] = (len & 0x7f) as u8;
        len >>= 7;
        if len == 0 {
            break;
        }
        prefix[used] |= 0x80;
        used += 1;
    }
    used += 1;
    out[start..start + used].copy_from_slice(&prefix[..used]);
    out.copy_within(body.., start + used);
    out.truncate(out.len() - (MAX_PREFIX - used));
}

/// Leaves room for the prefix that [`close_prefixed`] writes.
pub(super) fn open_prefixed(out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0; MAX_PREFIX]);
    start
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(decoder: &mut FrameDecoder) -> Vec<Bytes> {
        std::iter::from_fn(|| decoder.next().unwrap()).collect()
    }

    #[test]
    fn a_whole_record_is_not_copied() {
        let frame = Bytes::from_static(b"{}\x1e{\"type\":6}\x1e");
        let mut decoder = FrameDecoder::new(100);
        decoder.push(frame.clone());
        let messages = drain(&mut decoder);
        assert_eq!(messages, [&b"{}"[..], b"{\"type\":6}"]);
        assert_eq!(messages[1].as_ptr(), frame[3..].as_ptr());
    }

    #[test]
    fn the_handshake_may_share_a_frame_with_binary_messages() {
        let mut decoder = FrameDecoder::new(100);
        decoder.push(Bytes::from_static(b"{}\x1e\x02\x91\x06\x02\x91"));
        assert_eq!(decoder.next().unwrap().unwrap(), &b"{}"[..]);
        decoder.begin(Encoding::MessagePack);
        assert_eq!(decoder.next().unwrap().unwrap(), &b"\x91\x06"[..]);
        assert_eq!(decoder.next().unwrap(), None);
        decoder.push(Bytes::from_static(b"\x06"));
        assert_eq!(decoder.next().unwrap().unwrap(), &b"\x91\x06"[..]);
        assert_eq!(decoder.buffered(), 0);
    }

    #[test]
    fn the_limit_counts_the_framing_and_holds_for_incomplete_messages() {
        for (bytes, encoding) in [(&b"12345\x1e"[..], Encoding::Json), (b"\x05abcde", Encoding::MessagePack)]
        {
            let mut decoder = FrameDecoder::new(6);
            decoder.begin(encoding);
            decoder.push(Bytes::from_static(bytes));
            assert_eq!(decoder.next().unwrap().unwrap().len(), 5);
            let mut decoder = FrameDecoder::new(5);
            decoder.begin(encoding);
            decoder.push(Bytes::from_static(bytes));
            assert_eq!(decoder.next(), Err(ProtocolError::TooLarge { limit: 5 }));
        }
        // No end in sight: refused before the buffer grows past the limit.
        let mut decoder = FrameDecoder::new(6);
        decoder.push(Bytes::from_static(b"12345"));
        assert_eq!(decoder.next(), Ok(None));
        decoder.push(Bytes::from_static(b"6"));
        assert_eq!(decoder.next(), Err(ProtocolError::TooLarge { limit: 6 }));
    }

    #[test]
    fn impossible_length_prefixes_are_refused() {
        for bytes in [&[0xff, 0xff, 0xff, 0xff, 0x08][..], &[0x80, 0x80, 0x80, 0x80, 0x80]] {
            let mut decoder = FrameDecoder::new(usize::MAX);
            decoder.begin(Encoding::MessagePack);
            decoder.push(Bytes::copy_from_slice(bytes));
            assert_eq!(decoder.next(), Err(ProtocolError::LengthPrefix));
        }
    }

    #[test]
    fn prefixes_of_every_length_round_trip() {
        for len in [0usize, 1, 127, 128, 16_383, 16_384, 2_097_152] {
            let mut out = b"before".to_vec();
            let start = open_prefixed(&mut out);
            out.resize(out.len() + len, 7);
            close_prefixed(&mut out, start);
            let (prefix_len, body_len) = read_prefix(&out[start..]).unwrap().unwrap();
            assert_eq!((body_len, out.len()), (len, start + prefix_len + len));
        }
        // The specification's example.
        assert_eq!(read_prefix(&[0x80, 0x29]), Ok(Some((2, 5248))));
    }
}
