//! Hub methods of the server itself: acknowledgements and what belongs to them. They come before the methods of the hub.

use std::sync::Arc;

use bytestring::ByteString;
use hubwire::protocol::delivery::{MAX_LIST, Position, RECOVER, SNAPSHOT};
use hubwire::protocol::{Outcome, Payload, PayloadError};

use super::{Connection, ConnectionTask};
use crate::error::HubError;
use crate::session::{Input, MethodCall};
use crate::transport::Transport;

impl<T: Transport> ConnectionTask<T> {
    /// What the call of a method of the server itself comes to; `None` if it is one of the hub.
    pub(super) fn run_builtin(
        &mut self,
        connection: &Arc<Connection>,
        call: &MethodCall<Payload>,
    ) -> Option<Input<Payload>> {
        let outcome = self.builtin(connection, call)?;
        Some(Input::Finished { call: call.key, outcome })
    }

    fn builtin(
        &mut self,
        connection: &Arc<Connection>,
        call: &MethodCall<Payload>,
    ) -> Option<Outcome<Payload>> {
        if call.streaming || !self.identity.is_announced() {
            return None;
        }
        let is = |name: &str| call.target.eq_ignore_ascii_case(name);
        if is(RECOVER) && self.endpoint.fanout.has_history() {
            return Some(self.outcome(call, self.recover(connection, &call.arguments)));
        }
        if is(SNAPSHOT) && self.endpoint.fanout.has_deltas() {
            return Some(self.outcome(call, self.snapshot(connection, &call.arguments)));
        }
        None
    }

    /// Sends an object as a whole that is otherwise sent as changes.
    fn snapshot(&self, connection: &Connection, arguments: &Payload) -> Result<Payload, HubError> {
        let texts = exactly::<2>(arguments)?;
        let [target, key] = texts.map(|text| text.decode::<String>().map_err(|error| invalid(&error)));
        let (target, key) = (target?, key?);
        match self.endpoint.fanout.send_snapshot(&self.endpoint, connection, &target, &key) {
            true => Ok(Payload::null(connection.encoding)),
            // Whether it is not there or not for this client is not for this client to know.
            false => {
                Err(HubError::new(format!("There is no '{target}' of '{key}' that you are subscribed to.")))
            }
        }
    }

    /// Sends what came in streams after those positions, and says how far that goes.
    fn recover(&self, connection: &Connection, arguments: &Payload) -> Result<Payload, HubError> {
        let [texts] = exactly::<1>(arguments)?;
        let texts: Vec<String> = texts.decode().map_err(|error| invalid(&error))?;
        if texts.len() > MAX_LIST {
            return Err(HubError::new(format!("At most {MAX_LIST} positions can be asked for at once.")));
        }
        // All of them first: with a mistake in one of them nothing is sent.
        let read = |(index, text): (usize, &String)| {
            Position::parse(&ByteString::from(text.as_str()))
                .ok_or_else(|| HubError::new(format!("The position with index {index} is none.")))
        };
        let positions = texts.iter().enumerate().map(read).collect::<Result<Vec<_>, _>>()?;
        let recovered = self.endpoint.fanout.recover(&self.endpoint, connection, &positions);
        let answers: Vec<_> = recovered.iter().map(ToString::to_string).collect();
        Ok(Payload::encode(connection.encoding, &answers)?)
    }

    fn outcome(&self, call: &MethodCall<Payload>, result: Result<Payload, HubError>) -> Outcome<Payload> {
        let base = || format!("An unexpected error occurred invoking '{}' on the server.", call.target);
        match result {
            Ok(value) => Outcome::Value(value),
            Err(error) => {
                let text = error.text_for_client(&base(), self.endpoint.settings.detailed_errors);
                Outcome::Error(text.into())
            }
        }
    }
}

/// So many arguments, no more and no fewer.
fn exactly<const N: usize>(arguments: &Payload) -> Result<[Payload; N], HubError> {
    let mut decoder = arguments.arguments().map_err(|error| invalid(&error))?;
    let total = decoder.total();
    let all = std::iter::from_fn(|| decoder.take_raw().ok()).take(N + 1).collect::<Vec<_>>();
    all.try_into().map_err(|_| HubError::new(format!("The method takes {N} arguments, not {total}.")))
}

fn invalid(error: &PayloadError) -> HubError {
    HubError::new(format!("The arguments cannot be read: {error}."))
}
