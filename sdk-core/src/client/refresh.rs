//! Refreshing the access token of a connection in place, before it expires (.NET 11).

use alloc::string::String;
use core::time::Duration;

use super::Client;
use super::io::{Event, HttpRequest, Output, RequestFailure, RequestId};
use super::timers::Timer;
use super::url;
use crate::Error;
use crate::protocol::OpaquePayload;

/// How long to wait after a refresh that failed.
const REFRESH_AGAIN: Duration = Duration::from_secs(60);

/// How far the access token is refreshed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refreshing {
    Token(RequestId),
    Posted(RequestId),
}

impl<P: OpaquePayload> Client<P> {
    /// It is time for another token.
    pub(super) fn begin_refresh(&mut self) {
        let request = self.next_request();
        self.set_timer(Timer::Request, self.config.request_timeout);
        self.out.push_back(Output::Token(request));
        self.refreshing = Some(Refreshing::Token(request));
    }

    /// The server said how long the token is valid.
    pub(super) fn schedule_refresh(&mut self, lifetime_seconds: Option<u64>) {
        const MARGIN: u64 = 5 * 60;
        self.timers.stop(Timer::Refresh);
        let wanted =
            self.config.token_refresh && self.config.has_token_factory && !self.established.id.is_empty();
        if let Some(lifetime) = lifetime_seconds.filter(|lifetime| wanted && *lifetime > 0) {
            let after = if lifetime < 2 * MARGIN { lifetime / 2 } else { lifetime - MARGIN };
            self.timers.set(Timer::Refresh, self.now + Duration::from_secs(after.max(1)));
        }
    }

    pub(super) fn post_refresh(&mut self, token: Option<String>) {
        let request = self.next_request();
        self.set_timer(Timer::Request, self.config.request_timeout);
        // The application's own endpoint, even after a redirect.
        let url = url::refresh(&self.config.url, &self.established.id);
        self.out.push_back(Output::Refresh(request, HttpRequest { url, token }));
        self.refreshing = Some(Refreshing::Posted(request));
    }

    pub(super) fn handle_refreshed(
        &mut self,
        answered: RequestId,
        result: Result<Option<u64>, RequestFailure>,
    ) {
        if self.refreshing != Some(Refreshing::Posted(answered)) {
            return;
        }
        match result {
            Ok(lifetime) => {
                self.refreshing = None;
                self.timers.stop(Timer::Request);
                self.schedule_refresh(lifetime);
                self.event(Event::TokenRefreshed(Ok(())));
            }
            Err(failure) => self.refresh_failed(failure.into_error()),
        }
    }

    /// Tried again later: the token may still be valid for minutes.
    pub(super) fn refresh_failed(&mut self, error: Error) {
        self.refreshing = None;
        self.timers.stop(Timer::Request);
        self.set_timer(Timer::Refresh, REFRESH_AGAIN);
        self.event(Event::TokenRefreshed(Err(error)));
    }
}
