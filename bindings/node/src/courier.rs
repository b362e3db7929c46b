//! One per JavaScript thread: makes connections, and brings what happened on them.

use std::sync::Arc;

use napi::bindgen_prelude::{BufferSlice, Function};
use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use napi::{Env, JsString, Status};
use napi_derive::napi;

use crate::connection::{Connection, Failure, failed, is_binary};
use crate::mailbox::{Letters, Mailbox};
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

    /// The next news of connections with JSON.
    #[napi]
    pub fn take_text<'env>(&self, env: &'env Env) -> napi::Result<Option<JsString<'env>>> {
        let Some(bytes) = self.mailbox.take(false) else { return Ok(None) };
        if bytes.is_ascii() {
            // Copied as it is; other texts have to be decoded.
            return env.create_string_latin1(bytes).map(Some);
        }
        match String::from_utf8(bytes) {
            Ok(text) => env.create_string(text).map(Some),
            // Nothing gets here that was not read as text; what has been, must not end the process.
            Err(error) => env.create_string(String::from_utf8_lossy(error.as_bytes())).map(Some),
        }
    }

    /// The next news of connections with MessagePack.
    #[napi]
    pub fn take_bytes<'env>(&self, env: &'env Env) -> napi::Result<Option<BufferSlice<'env>>> {
        let bytes = self.mailbox.take(true);
        bytes.map(|bytes| BufferSlice::from_data(env, bytes)).transpose()
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
