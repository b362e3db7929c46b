//! Hub methods of the server itself: acknowledgements and what belongs to them. They come before the methods of the hub.

use std::sync::Arc;

use bytestring::ByteString;
use hubwire::protocol::delivery::{
    ACKNOWLEDGE, ACKNOWLEDGE_MANY, MAX_LIST, MAX_REASON, MESSAGE_STATUS, NACK, Position, RECOVER, SNAPSHOT,
};
use hubwire::protocol::{Outcome, Payload, PayloadError};

use super::{Connection, ConnectionTask};
use crate::error::HubError;
use crate::reliable::Reliable;
use crate::session::{Input, MethodCall};
use crate::transport::Transport;

/// The methods of acknowledgements.
pub(crate) const ACKNOWLEDGEMENTS: [&str; 4] = [ACKNOWLEDGE, ACKNOWLEDGE_MANY, NACK, MESSAGE_STATUS];

impl<T: Transport> ConnectionTask<T> {
    /// What the call of a method of the server itself comes to; `None` if it is one of the hub.
    pub(super) fn run_builtin(
        &mut self,
        connection: &Arc<Connection>,
        call: &MethodCall<Payload>,
    ) -> Option<Input<Payload>> {
        let outcome = self.builtin(connection, call)?;
        // Nobody reads what was uploaded with it.
        for upload in &call.uploads {
            self.methods.close_upload(*upload);
        }
        Some(Input::Finished { call: call.key, outcome })
    }

    fn builtin(
        &mut self,
        connection: &Arc<Connection>,
        call: &MethodCall<Payload>,
    ) -> Option<Outcome<Payload>> {
        if let Some(reliable) = &self.endpoint.reliable
            && let Some(method) = ACKNOWLEDGEMENTS.iter().find(|name| name.eq_ignore_ascii_case(&call.target))
        {
            let outcome = plain(call).and_then(|()| acknowledgement(reliable, connection, method, call));
            return Some(outcome.unwrap_or_else(|text| Outcome::Error(text.into())));
        }
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

/// Refuses streams in both directions.
fn plain(call: &MethodCall<Payload>) -> Result<(), String> {
    let (target, sent) = (&call.target, call.uploads.len());
    if call.streaming {
        return Err(format!(
            "The client attempted to invoke the non-streaming '{target}' method with a streaming invocation."
        ));
    }
    match sent {
        0 => Ok(()),
        _ => Err(failed(call, format_args!("Client sent {sent} stream(s), Hub method expects 0."))),
    }
}

fn acknowledgement(
    reliable: &Arc<Reliable>,
    connection: &Arc<Connection>,
    method: &str,
    call: &MethodCall<Payload>,
) -> Result<Outcome<Payload>, String> {
    let unreadable =
        |error: PayloadError| failed(call, format_args!("The arguments cannot be read: {error}."));
    let mut arguments = call.arguments.arguments().map_err(unreadable)?;
    let total = arguments.total();
    let (least, most) = if method == NACK { (1, 2) } else { (1, 1) };
    if total < least || total > most {
        return Err(failed(
            call,
            format_args!("Invocation provides {total} argument(s) but target expects {most}."),
        ));
    }
    match method {
        ACKNOWLEDGE => {
            let id: String = arguments.take().map_err(unreadable)?;
            reliable.acknowledge(connection, [id.into()]);
        }
        ACKNOWLEDGE_MANY => {
            let ids: Vec<String> = arguments.take().map_err(unreadable)?;
            if ids.len() > MAX_LIST {
                let text = format_args!("{} ids are more than the {MAX_LIST} of one call.", ids.len());
                return Err(failed(call, text));
            }
            reliable.acknowledge(connection, ids.into_iter().map(ByteString::from));
        }
        NACK => {
            let id: String = arguments.take().map_err(unreadable)?;
            let reason: Option<String> = match total {
                2 => arguments.take().map_err(unreadable)?,
                _ => None,
            };
            let mut reason = reason.unwrap_or_default();
            reason.truncate(reason.floor_char_boundary(MAX_REASON));
            reliable.nack(connection, id.into(), reason.into());
        }
        _ => {
            let id: String = arguments.take().map_err(unreadable)?;
            let status = reliable.status(connection, &id.into()).map(|status| status as u8);
            let value = Payload::encode(connection.encoding, &status).map_err(unreadable)?;
            return Ok(Outcome::Value(value));
        }
    }
    Ok(Outcome::Void)
}

/// The text for a client whose call cannot be done.
fn failed(call: &MethodCall<Payload>, reason: std::fmt::Arguments<'_>) -> String {
    let target = &call.target;
    format!("Failed to invoke '{target}' due to an error on the server. HubException: {reason}")
}
