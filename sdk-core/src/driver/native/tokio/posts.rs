//! The way up of the two transports over plain HTTP: one POST after the other, each with whatever waits.

use std::task::{Context, Poll, ready};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::Method;

use super::http::{BINARY, Content, Session, TEXT, checked};
use super::link::{LinkEvent, Wanted};
use super::outgoing::{Departure, Outgoing};
use crate::client::RequestFailure;

/// Sends what waits. Never two requests at once: they could overtake each other.
pub(super) struct Posts {
    session: Session,
    content_type: &'static str,
    in_flight: Option<BoxFuture<'static, Result<(), RequestFailure>>>,
}

impl Posts {
    pub(super) const fn new(session: Session, text: bool) -> Self {
        Self { session, content_type: if text { TEXT } else { BINARY }, in_flight: None }
    }

    /// Whether everything was sent and answered.
    pub(super) const fn is_idle(&self) -> bool {
        self.in_flight.is_none()
    }

    /// Sends what waits; gives what the link has to report of it.
    pub(super) fn drive(
        &mut self,
        cx: &mut Context<'_>,
        outgoing: &mut Outgoing,
        wanted: Wanted,
    ) -> Option<LinkEvent> {
        match self.poll(cx, outgoing) {
            Poll::Ready(Ok(())) if wanted.flushed => Some(LinkEvent::Flushed),
            Poll::Ready(Err(failure)) => Some(LinkEvent::Closed(Err(failure))),
            Poll::Ready(Ok(())) | Poll::Pending => None,
        }
    }

    /// Pending when a request is under way or there is nothing to do; ready when the last request was answered.
    fn poll(&mut self, cx: &mut Context<'_>, outgoing: &mut Outgoing) -> Poll<Result<(), RequestFailure>> {
        loop {
            if let Some(request) = &mut self.in_flight {
                let result = ready!(request.poll_unpin(cx));
                self.in_flight = None;
                result?;
                if outgoing.is_empty() {
                    return Poll::Ready(Ok(()));
                }
            }
            let body = match outgoing.take() {
                None => return Poll::Pending,
                Some(Departure::Handshake(text)) => text.into(),
                Some(Departure::Messages(bytes)) => bytes,
            };
            let session = self.session.clone();
            let content = Content { content_type: Some(self.content_type), body };
            self.in_flight = Some(Box::pin(async move {
                checked(session.send(Method::POST, "", None, content).await?).await.map(drop)
            }));
        }
    }
}
