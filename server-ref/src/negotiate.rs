//! `POST {hub}/negotiate` and the connections that it prepares.

use std::collections::{HashMap, VecDeque};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytestring::ByteString;
use hubwire::Time;
use hubwire::protocol::{AvailableTransport, NegotiateResponse, Negotiated, Transport};
use parking_lot::Mutex;

use crate::config::Settings;

/// The connections of one hub by the secret that opens them: prepared ones and those that are open.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    entries: HashMap<String, Entry>,
    /// The prepared ones, oldest first; all have the same lifetime.
    queue: VecDeque<(Time, String)>,
    pending: usize,
}

#[derive(Debug)]
enum Entry {
    Pending { id: ByteString, user: Option<String>, expires: Time },
    Open,
}

/// Why a transport cannot be opened with that token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpenError {
    Unknown,
    AlreadyOpen,
    /// It was negotiated by somebody else.
    OtherUser,
}

impl Tokens {
    /// Remembers a negotiated connection. `false` if there are too many.
    pub(crate) fn prepare(
        &self,
        now: Time,
        token: &str,
        id: &str,
        user: Option<&str>,
        settings: &Settings,
    ) -> bool {
        let inner = &mut *self.inner.lock();
        while let Some((_, expired)) = inner.queue.pop_front_if(|(expires, _)| *expires <= now) {
            if let Some(Entry::Pending { .. }) = inner.entries.get(&expired) {
                inner.entries.remove(&expired);
                inner.pending -= 1;
            }
        }
        // Opened ones leave the queue only when their time is over, so its length is bounded, too.
        let too_many = inner.pending >= settings.negotiated || inner.queue.len() / 4 >= settings.negotiated;
        if too_many {
            return false;
        }
        let expires = now + settings.negotiated_for;
        let entry = Entry::Pending { id: id.into(), user: user.map(Into::into), expires };
        inner.entries.insert(token.into(), entry);
        inner.queue.push_back((expires, token.into()));
        inner.pending += 1;
        true
    }

    /// Opens the transport of a negotiated connection; returns the connection's public id.
    pub(crate) fn open(&self, now: Time, token: &str, user: Option<&str>) -> Result<ByteString, OpenError> {
        let inner = &mut *self.inner.lock();
        let entry = inner.entries.get_mut(token).ok_or(OpenError::Unknown)?;
        let id = match entry {
            Entry::Open => return Err(OpenError::AlreadyOpen),
            Entry::Pending { expires, .. } if *expires <= now => return Err(OpenError::Unknown),
            Entry::Pending { user: own, .. } if own.as_deref() != user => return Err(OpenError::OtherUser),
            Entry::Pending { id, .. } => id.clone(),
        };
        *entry = Entry::Open;
        inner.pending -= 1;
        Ok(id)
    }

    /// Whether the connection is known at all, and open.
    pub(crate) fn is_open(&self, now: Time, token: &str) -> Option<bool> {
        match self.inner.lock().entries.get(token)? {
            Entry::Open => Some(true),
            Entry::Pending { expires, .. } if *expires <= now => None,
            Entry::Pending { .. } => Some(false),
        }
    }

    /// The connection is over.
    pub(crate) fn remove(&self, token: &str) {
        self.inner.lock().entries.remove(token);
    }
}

/// 16 random bytes in base64url.
pub(crate) fn random_id() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// The version of the negotiation a client asks for.
pub(crate) fn requested_version(query: &[(String, String)]) -> Result<u8, NegotiateResponse> {
    let version = query.iter().find(|(name, _)| name.eq_ignore_ascii_case("negotiateVersion"));
    let Some((_, version)) = version else { return Ok(0) };
    match version.trim().parse::<i64>() {
        Ok(version) if version < 0 => Err(NegotiateResponse::Refused(format!(
            "The client requested version '{version}', but the server does not support this version."
        ))),
        Ok(version) => Ok(u8::from(version >= 1)),
        Err(_) => {
            Err(NegotiateResponse::Refused("The client requested a non-integer protocol version.".into()))
        }
    }
}

/// What this server can carry messages with.
pub(crate) fn accepted(version: u8, id: String, token: String) -> NegotiateResponse {
    let transport = Transport::WebSockets;
    NegotiateResponse::Accepted(Negotiated {
        connection_id: id,
        // In version 0 there is one id for both purposes.
        connection_token: (version > 0).then_some(token),
        version,
        transports: vec![AvailableTransport { transport, formats: transport.formats() }],
        stateful_reconnect: false,
        token_lifetime_seconds: None,
    })
}
