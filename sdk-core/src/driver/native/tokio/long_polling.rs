//! The long polling transport: a GET that waits for data, again and again, and POST up.

use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{Method, StatusCode};
use tokio::time::Instant;

use super::http::{Content, Session, checked, read_body};
use super::link::{Link, LinkEvent, Wanted};
use super::outgoing::Outgoing;
use super::posts::Posts;
use crate::client::RequestFailure;

/// A connection that is being polled.
pub(super) struct LongPollingLink {
    session: Session,
    limit: usize,
    outgoing: Outgoing,
    posts: Posts,
    began: Instant,
    state: Polling,
}

enum Polling {
    /// Nobody wants to read.
    Resting,
    Waiting(BoxFuture<'static, Result<Polled, RequestFailure>>),
    /// The server is told that it is over.
    Deleting(BoxFuture<'static, Result<(), RequestFailure>>),
}

/// What a poll gave.
enum Polled {
    /// Perhaps nothing: servers answer from time to time.
    Data(Bytes),
    Over,
}

impl LongPollingLink {
    pub(super) async fn open(session: Session, text: bool, limit: usize) -> Result<Self, RequestFailure> {
        let link = Self {
            posts: Posts::new(session.clone(), text),
            session,
            limit,
            outgoing: Outgoing::default(),
            began: Instant::now(),
            state: Polling::Resting,
        };
        // The first poll is answered at once, with nothing: it makes the connection active.
        match link.poll_once().await? {
            Polled::Data(_) => Ok(link),
            Polled::Over => Err(RequestFailure::Network("the server ended the connection at once".into())),
        }
    }

    fn poll_once(&self) -> BoxFuture<'static, Result<Polled, RequestFailure>> {
        let (session, limit) = (self.session.clone(), self.limit);
        // Against caches, as in the official clients.
        let query = format!("&_={}", self.began.elapsed().as_micros());
        Box::pin(async move {
            let response =
                checked(session.send(Method::GET, &query, None, Content::default()).await?).await?;
            if response.status() == StatusCode::NO_CONTENT {
                return Ok(Polled::Over);
            }
            read_body(response, limit).await.map(Polled::Data)
        })
    }

    fn delete(&self) -> BoxFuture<'static, Result<(), RequestFailure>> {
        let session = self.session.clone();
        Box::pin(async move {
            let response = session.send(Method::DELETE, "", None, Content::default()).await?;
            match checked(response).await {
                // It is gone already.
                Err(RequestFailure::Status { code: 404, .. }) => Ok(()),
                result => result.map(drop),
            }
        })
    }
}

impl Link for LongPollingLink {
    fn outgoing(&mut self) -> &mut Outgoing {
        &mut self.outgoing
    }

    fn close(&mut self) {
        self.outgoing.close();
    }

    fn poll(&mut self, cx: &mut Context<'_>, wanted: Wanted) -> Poll<LinkEvent> {
        if let Some(event) = self.posts.drive(cx, &mut self.outgoing, wanted) {
            return Poll::Ready(event);
        }
        let said_all = self.outgoing.is_empty() && self.posts.is_idle();
        if self.outgoing.is_closed() && said_all && !matches!(self.state, Polling::Deleting(_)) {
            self.state = Polling::Deleting(self.delete());
        }
        loop {
            match &mut self.state {
                Polling::Deleting(request) => {
                    // What goes wrong here changes nothing: the server ends the connection by itself later.
                    return request.poll_unpin(cx).map(|_| LinkEvent::Closed(Ok(())));
                }
                Polling::Resting if wanted.read => self.state = Polling::Waiting(self.poll_once()),
                Polling::Resting => return Poll::Pending,
                Polling::Waiting(request) => {
                    let polled = match request.poll_unpin(cx) {
                        Poll::Pending => return Poll::Pending,
                        Poll::Ready(polled) => polled,
                    };
                    self.state = Polling::Resting;
                    match polled {
                        Ok(Polled::Data(data)) if data.is_empty() => {}
                        Ok(Polled::Data(data)) => return Poll::Ready(LinkEvent::Received(data)),
                        Ok(Polled::Over) => return Poll::Ready(LinkEvent::Closed(Ok(()))),
                        Err(failure) => return Poll::Ready(LinkEvent::Closed(Err(failure))),
                    }
                }
            }
        }
    }
}
