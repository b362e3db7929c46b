//! Hub methods of the server itself: acknowledgements and what belongs to them. They come before the methods of the hub.

use std::sync::Arc;

use hubwire::protocol::{Outcome, Payload};

use super::{Connection, ConnectionTask};
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

    fn builtin(&mut self, _: &Arc<Connection>, _: &MethodCall<Payload>) -> Option<Outcome<Payload>> {
        None
    }
}
