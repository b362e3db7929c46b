//! One per JavaScript thread: makes connections, and brings what happened on them.

use std::sync::Arc;

use napi::bindgen_prelude::{BufferSlice, Either, Function};
use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use napi::{Env, JsString, Status};
use napi_derive::napi;

use crate::connection::{Connection, Failure, failed, is_binary};
use crate::mailbox::{Letters, Mailbox, Taken};
use crate::runtime::runtime;
use crate::settings::Settings;

/// Brings what happened on the connections of a thread.
#[napi]
#[derive(Debug)]
pub struct Courier {
    mailbox: Arc<Mailbox>,
    last: u32,
}

#[napi]
impl Courier {
    /// `wake` is called when there is something to take. It does not keep the process alive.
    #[napi(constructor)]
    pub fn new(wake: Function<'_, (), ()>) -> napi::Result<Self> {
        // One call may be on its way: JavaScript is not told again before it has come.
        let wake = wake.build_threadsafe_function::<()>().weak::<true>().max_queue_size::<2>().build()?;
        let wake = move || wake.call((), ThreadsafeFunctionCallMode::NonBlocking) != Status::Closing;
        Ok(Self { mailbox: Mailbox::new(Box::new(wake)), last: 0 })
    }

    /// The next news: a text for connections with JSON, a buffer for those with MessagePack; none if there are no more.
    #[napi]
    pub fn take<'env>(
        &self,
        env: &'env Env,
    ) -> napi::Result<Option<Either<JsString<'env>, BufferSlice<'env>>>> {
        Ok(Some(match self.mailbox.take() {
            None => return Ok(None),
            Some(Taken::Bytes(bytes)) => Either::B(BufferSlice::from_data(env, bytes)?),
            // Copied as it is; other texts have to be decoded.
            Some(Taken::Text(bytes)) if bytes.is_ascii() => Either::A(env.create_string_latin1(bytes)?),
            // Nothing gets here that was not read as text; if anything did, it must not end the process.
            Some(Taken::Text(bytes)) => Either::A(env.create_string(String::from_utf8_lossy(&bytes))?),
        }))
    }

    /// Not everything was taken: `wake` is called again when others had their turn.
    #[napi]
    pub fn pause(&self) {
        self.mailbox.pause();
    }

    /// Makes a connection out of its settings, as JSON.
    #[napi]
    pub fn connect(&mut self, settings: String) -> Result<Connection, Failure> {
        self.last += 1;
        let connection = self.last;
        let settings = Settings::read(&settings).map_err(failed)?;
        let encoding = settings.encoding().map_err(failed)?;
        let runtime = runtime().map_err(failed)?;
        let letters = Letters::new(self.mailbox.clone(), connection, is_binary(encoding));
        Connection::open(runtime, settings, encoding, letters)
    }

    /// Nothing is brought any more.
    #[napi]
    pub fn close(&self) {
        self.mailbox.close();
    }
}

impl Drop for Courier {
    fn drop(&mut self) {
        self.mailbox.close();
    }
}
