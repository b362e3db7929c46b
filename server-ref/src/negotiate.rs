//! `POST {hub}/negotiate` and the connections that it prepares.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytestring::ByteString;
use hubwire::Time;
use hubwire::protocol::delivery::is_client_id;
use hubwire::protocol::{AvailableTransport, Extensions, Feature, NegotiateResponse, Negotiated, Transport};
use parking_lot::Mutex;

use crate::Principal;
use crate::config::Settings;
use crate::dedupe::Deduper;
use crate::fanout::Fanout;
use crate::identity::{Announcement, Identity};
use crate::options::HubOptions;
use crate::transport::{HttpLink, LinkSlot, WebSocketTransport};

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
    Pending { id: ByteString, user: Option<String>, expires: Time, stateful: bool },
    Open(Arc<Opened>),
}

/// A connection whose transport was opened.
#[derive(Debug)]
pub(crate) struct Opened {
    /// The public id.
    pub(crate) id: ByteString,
    pub(crate) identity: Arc<Identity>,
    pub(crate) link: Link,
}

/// The way from further requests to the task of their connection.
#[derive(Debug)]
pub(crate) enum Link {
    WebSocket(Arc<LinkSlot<WebSocketTransport>>),
    Http(Arc<HttpLink>),
}

impl Link {
    /// Whether the client ended the connection, though its task has not yet.
    fn is_gone(&self) -> bool {
        matches!(self, Self::Http(link) if link.is_gone())
    }

    pub(crate) fn kind(&self) -> Transport {
        match self {
            Self::WebSocket(_) => Transport::WebSockets,
            Self::Http(link) => link.kind(),
        }
    }
}

/// Why a request cannot use the connection with that token.
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
        stateful: bool,
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
        let entry = Entry::Pending { id: id.into(), user: user.map(Into::into), expires, stateful };
        inner.entries.insert(token.into(), entry);
        inner.queue.push_back((expires, token.into()));
        inner.pending += 1;
        true
    }

    /// The connection with that token; `None` if its transport was not opened yet.
    pub(crate) fn find(
        &self,
        now: Time,
        token: &str,
        user: Option<&str>,
    ) -> Result<Option<Arc<Opened>>, OpenError> {
        match self.inner.lock().entries.get(token).ok_or(OpenError::Unknown)? {
            Entry::Pending { expires, .. } if *expires <= now => Err(OpenError::Unknown),
            Entry::Pending { user: own, .. } if own.as_deref() != user => Err(OpenError::OtherUser),
            Entry::Pending { .. } => Ok(None),
            Entry::Open(opened) if opened.link.is_gone() => Err(OpenError::Unknown),
            Entry::Open(opened) if opened.identity.principal().user_id() != user => Err(OpenError::OtherUser),
            Entry::Open(opened) => Ok(Some(opened.clone())),
        }
    }

    /// Opens the transport of a negotiated connection. Returns the connection's public id, and whether stateful
    /// reconnect was negotiated.
    pub(crate) fn open(
        &self,
        now: Time,
        token: &str,
        identity: Arc<Identity>,
        link: Link,
    ) -> Result<(ByteString, bool), OpenError> {
        let inner = &mut *self.inner.lock();
        let entry = inner.entries.get_mut(token).ok_or(OpenError::Unknown)?;
        let principal = identity.principal();
        let found = match entry {
            Entry::Open(_) => return Err(OpenError::AlreadyOpen),
            Entry::Pending { expires, .. } if *expires <= now => return Err(OpenError::Unknown),
            Entry::Pending { user, .. } if user.as_deref() != principal.user_id() => {
                return Err(OpenError::OtherUser);
            }
            Entry::Pending { id, stateful, .. } => (id.clone(), *stateful),
        };
        let id = found.0.clone();
        *entry = Entry::Open(Arc::new(Opened { id, identity, link }));
        inner.pending -= 1;
        Ok(found)
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

/// The version of the negotiation a client asks for; else why it is refused.
pub(crate) fn requested_version(query: &[(String, String)]) -> Result<u8, String> {
    let version = query.iter().find(|(name, _)| name.eq_ignore_ascii_case("negotiateVersion"));
    let Some((_, version)) = version else { return Ok(0) };
    match version.trim().parse::<i64>() {
        Ok(version) if version < 0 => Err(format!(
            "The client requested version '{version}', but the server does not support this version."
        )),
        Ok(version) => Ok(u8::from(version >= 1)),
        Err(_) => Err("The client requested a non-integer protocol version.".into()),
    }
}

/// Whether the client asks for stateful reconnect and gets it.
pub(crate) fn grants_stateful_reconnect(
    version: u8,
    query: &[(String, String)],
    options: &HubOptions,
) -> bool {
    let asked = query.iter().find(|(name, _)| name.eq_ignore_ascii_case("useStatefulReconnect"));
    version > 0
        && options.stateful_reconnect
        && options.transports.contains(&Transport::WebSockets)
        && asked.is_some_and(|(_, value)| value.trim().eq_ignore_ascii_case("true"))
}

/// What the client says of itself, if it reads what only Hubwire servers send.
pub(crate) fn announcement(query: &[(String, String)]) -> Option<Announcement> {
    let value = |wanted: &str| {
        let mut pairs = query.iter();
        pairs.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.as_str())
    };
    (value("hubwire") == Some("1")).then(|| Announcement {
        // A name that is none is as good as none: nothing is kept for it.
        client_id: value("clientId").filter(|id| is_client_id(id)).map(Into::into),
    })
}

/// What the hub can besides SignalR.
pub(crate) fn extensions(deduper: Option<&Deduper>, acknowledgements: bool, fanout: &Fanout) -> Extensions {
    // Without a name for what is remembered, clients could not tell when it was forgotten.
    let epoch = deduper.and_then(Deduper::epoch);
    Extensions {
        version: 1,
        features: [epoch.map(|_| Feature::Dedupe), acknowledgements.then_some(Feature::Ack)]
            .into_iter()
            .flatten()
            .chain(fanout.features())
            .collect(),
        epoch: epoch.map(Into::into),
        dedupe_window: epoch.and(deduper).map(|deduper| deduper.limits().window),
    }
}

/// The answer to a negotiation: what the hub can be reached with, in the order of preference.
pub(crate) fn accepted(
    version: u8,
    id: String,
    token: String,
    stateful_reconnect: bool,
    principal: &Principal,
    options: &HubOptions,
    extensions: Option<Extensions>,
) -> NegotiateResponse {
    let offered = Transport::ALL.into_iter().filter(|transport| options.transports.contains(transport));
    NegotiateResponse::Accepted(Negotiated {
        connection_id: id,
        // In version 0 there is one id for both purposes.
        connection_token: (version > 0).then_some(token),
        version,
        transports: offered
            .map(|transport| AvailableTransport { transport, formats: transport.formats() })
            .collect(),
        stateful_reconnect,
        token_lifetime_seconds: principal
            .lifetime()
            .filter(|_| version > 0 && options.authentication_refresh),
        extensions,
    })
}
