//! What passes between a connection and its transport, which a resumed connection has several of.

use std::task::{Context as TaskContext, Poll};

use bytes::{Bytes, BytesMut};
use hubwire::protocol::frame::FrameDecoder;

use super::ConnectionTask;
use crate::session::{End, Input};
use crate::transport::{Received, Transport};

impl<T: Transport> ConnectionTask<T> {
    pub(super) fn notice_presence(&mut self, cx: &TaskContext<'_>) {
        let Some(transport) = &mut self.transport else { return };
        let attached = transport.is_attached(cx);
        if attached != self.attached {
            self.attached = attached;
            self.input(if attached { Input::Attached } else { Input::Detached });
        }
    }

    /// Goes on over another transport, if the client came with one.
    pub(super) fn take_link(&mut self, cx: &TaskContext<'_>) {
        if let Some(link) = self.links.as_ref().and_then(|links| links.take(cx))
            && self.session.is_resumable()
        {
            self.drop_link();
            self.transport = Some(link);
            self.input(Input::LinkReplaced);
        }
    }

    /// Forgets the transport and what was on the way over it, in both directions.
    pub(super) fn drop_link(&mut self) {
        self.transport = None;
        self.urgent.clear();
        self.unflushed = false;
        self.stalled = false;
        // A message that was cut comes again as a whole.
        self.decoder = FrameDecoder::new(self.endpoint.settings.message_bytes);
        if let Some(connection) = &self.connection {
            self.decoder.begin(connection.encoding);
        }
    }

    pub(super) fn poll_receive(&mut self, cx: &mut TaskContext<'_>) -> Poll<Received> {
        self.transport.as_mut().map_or(Poll::Pending, |transport| transport.poll_receive(cx))
    }

    /// Whether what waits in the outbox may leave.
    pub(super) fn may_write(&self) -> bool {
        self.transport.is_some() && !self.handshake_leaves && self.session.may_transmit()
    }

    /// Writes as much as the transport takes. Returns whether something is left that it did not take.
    pub(super) fn poll_write(&mut self, cx: &mut TaskContext<'_>) -> bool {
        loop {
            let queued = self.connection.as_ref().is_some_and(|connection| !connection.outbox.is_empty());
            let waits = self.handshake.is_some()
                || (!self.handshake_leaves && !self.urgent.is_empty())
                || (queued && self.may_write());
            let Some(transport) = &mut self.transport else { return false };
            if !waits && !self.unflushed {
                return false;
            }
            let ready = match waits {
                true => transport.poll_ready(cx),
                false => transport.poll_flush(cx),
            };
            let result = match ready {
                Poll::Pending => {
                    if !self.stalled {
                        self.stalled = true;
                        self.input(Input::Stalled);
                    }
                    return true;
                }
                Poll::Ready(Ok(())) if waits => self.write_frame(),
                Poll::Ready(Ok(())) => {
                    self.flushed();
                    Ok(())
                }
                Poll::Ready(Err(error)) => Err(error),
            };
            if self.stalled {
                self.stalled = false;
                self.input(Input::Flowing);
            }
            if let Err(error) = result {
                self.input(Input::LinkLost(Some(error)));
                if self.transport.is_some() {
                    // The session may have ended before, so it is not the session that says so.
                    self.end.get_or_insert(End::LinkLost(None));
                }
                return false;
            }
        }
    }

    fn flushed(&mut self) {
        self.unflushed = false;
        if std::mem::take(&mut self.handshake_leaves) {
            self.input(Input::HandshakeSent);
            if let Some(links) = &self.links
                && self.session.is_resumable()
            {
                links.set_open(true);
            }
        }
    }

    fn write_frame(&mut self) -> Result<(), String> {
        let encoding = self.encoding();
        let frame = if let Some(frame) = self.handshake.take() {
            self.handshake_leaves = true;
            Some(frame)
        } else if self.session.is_counting() {
            self.take_counted()
        } else {
            let limit = self.endpoint.settings.coalesced_bytes;
            self.connection.as_ref().and_then(|connection| connection.outbox.take(limit))
        };
        let (Some(frame), Some(transport)) = (frame, &mut self.transport) else { return Ok(()) };
        self.unflushed = true;
        transport.send(encoding, frame)?;
        self.input(Input::Sent);
        Ok(())
    }

    /// What leaves next under stateful reconnect. Each message of the outbox is counted as it leaves.
    fn take_counted(&mut self) -> Option<Bytes> {
        let limit = self.endpoint.settings.coalesced_bytes;
        let mut frames = Vec::new();
        let mut total = 0;
        while let Some(frame) = self.urgent.pop_front_if(|next| total == 0 || total + next.len() <= limit) {
            total += frame.len();
            frames.push(frame);
        }
        // New traffic comes behind all repetitions.
        while self.urgent.is_empty()
            && self.session.may_transmit()
            && (total == 0 || total < limit)
            && let Some(connection) = &self.connection
            && let Some(frame) = connection.outbox.take_one(limit.saturating_sub(total), total == 0)
        {
            total += frame.len();
            frames.push(frame.clone());
            self.input(Input::Left(frame));
        }
        if frames.len() <= 1 {
            return frames.pop();
        }
        let mut joined = BytesMut::with_capacity(total);
        for frame in &frames {
            joined.extend_from_slice(frame);
        }
        Some(joined.freeze())
    }
}
