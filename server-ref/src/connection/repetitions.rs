//! Which calls must not run twice, and what their repetitions get.

use std::fmt;
use std::sync::Arc;

use futures_util::FutureExt;
use hubwire::protocol::{Encoding, Headers, Outcome, Payload};

use super::methods::Purpose;
use super::{Connection, ConnectionTask};
use crate::dedupe::{Claim, Deduper, HEADER, InvalidId, Key};
use crate::session::{CANCELED, Input, MethodCall};
use crate::transport::Transport;

/// What is to be done with a call whose turn it is.
pub(super) enum Turn {
    Run(Purpose),
    /// Nothing, or that was it.
    Done(Option<Input<Payload>>),
}

impl<T: Transport> ConnectionTask<T> {
    /// Looks whether the call was made before.
    pub(super) fn turn(&mut self, connection: &Arc<Connection>, call: &MethodCall<Payload>) -> Turn {
        // Streams would have to be remembered item by item, and who gets no answer needs none a second time.
        if call.streaming || !call.blocking || !call.uploads.is_empty() {
            return Turn::Run(Purpose::Call);
        }
        let (deduper, key) = match self.dedupe_key(&call.headers) {
            Some((deduper, Ok(key))) => (deduper, key),
            Some((_, Err(InvalidId))) => {
                return answer(
                    call,
                    failed(&call.target, format_args!("The header '{HEADER}' is no '<clientId>/<n>'.")),
                );
            }
            None => return Turn::Run(Purpose::Call),
        };
        match deduper.claim(key) {
            Claim::Run(ticket) => {
                connection.tokens.keep(call.key, ticket.cancellation().clone());
                Turn::Run(Purpose::Remembered(ticket))
            }
            Claim::Wait(waiter) => {
                connection.tokens.keep(call.key, waiter.cancellation().clone());
                let (encoding, target) = (connection.encoding, call.target.clone());
                let outcome = waiter.outcome().map(move |outcome| outcome_in(encoding, &target, outcome));
                Turn::Done(self.methods.wait(call.key, outcome))
            }
            Claim::Done(outcome) => answer(call, outcome_in(connection.encoding, &call.target, outcome)),
            Claim::Full => {
                let limit = deduper.limits().max_entries;
                answer(
                    call,
                    failed(&call.target, format_args!("{limit} calls with a '{HEADER}' run already.")),
                )
            }
        }
    }

    /// The caller took a call back before its turn, and so its repetitions.
    pub(super) fn withdraw(&self, headers: &Headers) {
        if let Some((deduper, Ok(key))) = self.dedupe_key(headers) {
            deduper.withdraw(key, Outcome::Error(CANCELED.into()));
        }
    }

    /// `None` for calls that may run twice.
    fn dedupe_key(&self, headers: &Headers) -> Option<(&Arc<Deduper>, Result<Key, InvalidId>)> {
        if headers.is_empty() || !self.identity.is_announced() {
            return None;
        }
        let deduper = self.endpoint.deduper.as_ref()?;
        let key = Key::of(self.identity.principal().user_id(), headers).transpose()?;
        Some((deduper, key))
    }
}

fn answer(call: &MethodCall<Payload>, outcome: Outcome<Payload>) -> Turn {
    Turn::Done(Some(Input::Finished { call: call.key, outcome }))
}

fn failed(target: &str, reason: fmt::Arguments<'_>) -> Outcome<Payload> {
    let text = format!("Failed to invoke '{target}' due to an error on the server. HubException: {reason}");
    Outcome::Error(text.into())
}

/// What the first call came to, for a client that may have another encoding.
fn outcome_in(encoding: Encoding, target: &str, outcome: Outcome<Payload>) -> Outcome<Payload> {
    let Outcome::Value(value) = outcome else { return outcome };
    match value.to_encoding(encoding) {
        Ok(value) => Outcome::Value(value),
        Err(error) => {
            let name = encoding.name();
            failed(
                target,
                format_args!("The result of the first call cannot be written as '{name}': {error}."),
            )
        }
    }
}
