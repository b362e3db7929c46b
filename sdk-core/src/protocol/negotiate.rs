use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

#[cfg(feature = "codec")]
use super::ProtocolError;

/// How the bytes travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// A WebSocket: both directions, text and binary.
    WebSockets,
    /// Server-Sent Events downwards, HTTP POST upwards; text only.
    ServerSentEvents,
    /// Repeated HTTP GET downwards, HTTP POST upwards.
    LongPolling,
}

impl Transport {
    /// All transports, in the order the official server offers them.
    pub const ALL: [Self; 3] = [Self::WebSockets, Self::ServerSentEvents, Self::LongPolling];

    /// The name in a negotiate response.
    pub const fn name(self) -> &'static str {
        match self {
            Self::WebSockets => "WebSockets",
            Self::ServerSentEvents => "ServerSentEvents",
            Self::LongPolling => "LongPolling",
        }
    }

    /// The transport of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|transport| transport.name() == name)
    }

    /// What the official server lets it carry.
    pub const fn formats(self) -> TransferFormats {
        match self {
            Self::ServerSentEvents => TransferFormats { text: true, binary: false },
            Self::WebSockets | Self::LongPolling => TransferFormats { text: true, binary: true },
        }
    }
}

/// What a hub protocol needs of a transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransferFormat {
    /// UTF-8 text is enough.
    Text,
    /// Any bytes.
    Binary,
}

/// What a transport can carry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TransferFormats {
    /// UTF-8 text.
    pub text: bool,
    /// Any bytes.
    pub binary: bool,
}

impl TransferFormats {
    /// Whether it includes that format.
    pub const fn contains(self, format: TransferFormat) -> bool {
        match format {
            TransferFormat::Text => self.text,
            TransferFormat::Binary => self.binary,
        }
    }
}

/// One entry of the server's list of transports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AvailableTransport {
    /// The transport.
    pub transport: Transport,
    /// What it carries on this server.
    pub formats: TransferFormats,
}

/// What a server answers to `POST {url}/negotiate`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NegotiateResponse {
    /// Connect here.
    Accepted(Negotiated),
    /// Negotiate again at another address.
    Redirect(Redirect),
    /// The server refuses, with its text.
    Refused(String),
}

/// The accepted form of a negotiate response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Negotiated {
    /// The public id of the connection, as hubs see it.
    pub connection_id: String,
    /// The secret id, from version 1 on.
    pub connection_token: Option<String>,
    /// 0 or 1.
    pub version: u8,
    /// In the server's order of preference, without those this crate does not know.
    pub transports: Vec<AvailableTransport>,
    /// Whether the server granted stateful reconnect.
    pub stateful_reconnect: bool,
    /// How long the access token is valid, in seconds, where the server supports refreshing it in place.
    pub token_lifetime_seconds: Option<u64>,
    /// What the server can besides SignalR, if it is a Hubwire server.
    pub extensions: Option<Extensions>,
}

/// What a Hubwire server can besides SignalR: the property `hubwire` of a negotiate response. Clients use it only if
/// they announced themselves with `hubwire=1` in their query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extensions {
    /// The version of the extensions; 1.
    pub version: u32,
    /// What it can, without what this crate does not know.
    pub features: Vec<Feature>,
    /// Names what the server remembers. Another name means that it has forgotten: it was restarted, and kept nothing.
    pub epoch: Option<String>,
    /// How long it remembers a call with [`Feature::Dedupe`], in whole milliseconds on the wire.
    pub dedupe_window: Option<Duration>,
}

impl Extensions {
    /// Whether the server can that.
    pub fn has(&self, feature: Feature) -> bool {
        self.features.contains(&feature)
    }
}

/// One thing that a Hubwire server can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Feature {
    /// A call with the header `hubwire-id` runs once, however often it comes; repetitions get the completion of the
    /// first.
    Dedupe,
    /// Messages of the server can be acknowledged, several at once too, and follow the client to its next connection.
    Ack,
    /// Streams keep what was sent, so that a client gets what it missed.
    History,
    /// Objects come as changes, and can be asked for as a whole.
    Delta,
}

impl Feature {
    const ALL: [Self; 4] = [Self::Dedupe, Self::Ack, Self::History, Self::Delta];

    /// The name in a negotiate response.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dedupe => "dedupe",
            Self::Ack => "ack",
            Self::History => "history",
            Self::Delta => "delta",
        }
    }

    /// The feature of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|feature| feature.name() == name)
    }
}

impl Negotiated {
    /// The value of the `id` query parameter of every transport request.
    pub fn transport_id(&self) -> &str {
        self.connection_token.as_deref().unwrap_or(&self.connection_id)
    }
}

/// The redirecting form of a negotiate response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// Where to negotiate instead.
    pub url: String,
    /// Replaces the user's token for the rest of this start.
    pub access_token: Option<String>,
}

#[cfg(feature = "codec")]
mod codec {
    use alloc::borrow::Cow;
    use core::time::Duration;

    use serde::Serialize;
    use serde_json::Value;

    use super::super::json::object;
    use super::super::message::to_millis;
    use super::{
        AvailableTransport, Extensions, Feature, NegotiateResponse, Negotiated, ProtocolError, Redirect,
        TransferFormats, Transport,
    };

    impl NegotiateResponse {
        /// Reads the body of a negotiate response. Unknown fields are ignored: servers add their own.
        ///
        /// # Errors
        /// When it is not a JSON object, comes from a server of the old ASP.NET (not Core) SignalR, or a field is
        /// missing or has the wrong type; the text names it.
        pub fn decode(body: &[u8]) -> Result<Self, ProtocolError> {
            decode(body).map_err(ProtocolError::Negotiate)
        }

        /// Writes the body of a negotiate response.
        pub fn encode(&self) -> Vec<u8> {
            #[derive(Serialize)]
            #[serde(rename_all = "camelCase")]
            struct Accepted<'a> {
                negotiate_version: u8,
                connection_id: &'a str,
                #[serde(skip_serializing_if = "Option::is_none")]
                connection_token: Option<&'a str>,
                available_transports: Vec<Entry>,
                #[serde(skip_serializing_if = "core::ops::Not::not")]
                use_stateful_reconnect: bool,
                #[serde(skip_serializing_if = "Option::is_none")]
                token_lifetime_seconds: Option<u64>,
                #[serde(skip_serializing_if = "Option::is_none")]
                hubwire: Option<Hubwire>,
            }
            #[derive(Serialize)]
            struct Hubwire {
                version: u32,
                features: Vec<&'static str>,
                #[serde(skip_serializing_if = "Option::is_none")]
                epoch: Option<String>,
                #[serde(skip_serializing_if = "Option::is_none", rename = "dedupeWindowMs")]
                dedupe_window: Option<u64>,
            }
            #[derive(Serialize)]
            #[serde(rename_all = "camelCase")]
            struct Entry {
                transport: &'static str,
                transfer_formats: Vec<&'static str>,
            }
            #[derive(Serialize)]
            #[serde(rename_all = "camelCase")]
            struct Elsewhere<'a> {
                url: &'a str,
                #[serde(skip_serializing_if = "Option::is_none")]
                access_token: Option<&'a str>,
            }
            #[derive(Serialize)]
            struct Refused<'a> {
                error: &'a str,
            }
            let body = match self {
                Self::Refused(error) => serde_json::to_vec(&Refused { error }),
                Self::Redirect(Redirect { url, access_token }) => {
                    serde_json::to_vec(&Elsewhere { url, access_token: access_token.as_deref() })
                }
                Self::Accepted(negotiated) => serde_json::to_vec(&Accepted {
                    negotiate_version: negotiated.version,
                    connection_id: &negotiated.connection_id,
                    connection_token: negotiated.connection_token.as_deref(),
                    available_transports: negotiated.transports.iter().map(Entry::from).collect(),
                    use_stateful_reconnect: negotiated.stateful_reconnect,
                    token_lifetime_seconds: negotiated.token_lifetime_seconds,
                    hubwire: negotiated.extensions.as_ref().map(|extensions| Hubwire {
                        version: extensions.version,
                        features: extensions.features.iter().map(|feature| feature.name()).collect(),
                        epoch: extensions.epoch.clone(),
                        dedupe_window: extensions.dedupe_window.map(to_millis),
                    }),
                }),
            };
            impl From<&AvailableTransport> for Entry {
                fn from(entry: &AvailableTransport) -> Self {
                    let formats = [(entry.formats.text, "Text"), (entry.formats.binary, "Binary")];
                    Self {
                        transport: entry.transport.name(),
                        transfer_formats: formats
                            .iter()
                            .filter(|(has, _)| *has)
                            .map(|(_, name)| *name)
                            .collect(),
                    }
                }
            }
            // Plain strings and numbers always serialise.
            body.unwrap_or_default()
        }
    }

    fn decode(body: &[u8]) -> Result<NegotiateResponse, Cow<'static, str>> {
        let response = object(body)?;
        if response.has("ProtocolVersion") {
            return Err(
                "the server is an ASP.NET SignalR server; only ASP.NET Core SignalR can be reached".into()
            );
        }
        if let Some(error) = response.text("error")? {
            return Ok(NegotiateResponse::Refused(error));
        }
        if let Some(url) = response.text("url")? {
            return Ok(NegotiateResponse::Redirect(Redirect {
                url,
                access_token: response.text("accessToken")?,
            }));
        }
        // A server may answer with a higher version than was asked for; what this crate knows of is 0 and 1.
        let version =
            response.field("negotiateVersion", "an integer of at least 0", Value::as_u64)?.unwrap_or(0);
        let version = u8::from(version >= 1);
        let connection_id = response.text("connectionId")?.ok_or("'connectionId' is missing")?;
        let connection_token = match version {
            0 => None,
            _ => Some(response.text("connectionToken")?.ok_or("'connectionToken' is missing")?),
        };
        let transports = response.field("availableTransports", "an array", Value::as_array)?;
        Ok(NegotiateResponse::Accepted(Negotiated {
            connection_id,
            connection_token,
            version,
            transports: transports.into_iter().flatten().filter_map(decode_transport).collect(),
            stateful_reconnect: response
                .field("useStatefulReconnect", "a boolean", Value::as_bool)?
                .unwrap_or(false),
            token_lifetime_seconds: response.field("tokenLifetimeSeconds", "a number", Value::as_u64)?,
            extensions: response.field("hubwire", "an object", Value::as_object)?.map(decode_extensions),
        }))
    }

    /// Without what is not as expected: other servers may have a property of that name.
    fn decode_extensions(object: &serde_json::Map<String, Value>) -> Extensions {
        let version = object.get("version").and_then(Value::as_u64);
        let features = object.get("features").and_then(Value::as_array);
        let epoch = object.get("epoch").and_then(Value::as_str);
        Extensions {
            epoch: epoch.map(str::to_owned),
            dedupe_window: object.get("dedupeWindowMs").and_then(Value::as_u64).map(Duration::from_millis),
            version: version.and_then(|version| u32::try_from(version).ok()).unwrap_or(0),
            features: features
                .into_iter()
                .flatten()
                .filter_map(|name| Feature::from_name(name.as_str()?))
                .collect(),
        }
    }

    /// `None` for a transport that this crate does not know: servers may offer more.
    fn decode_transport(entry: &Value) -> Option<AvailableTransport> {
        let formats = entry["transferFormats"].as_array();
        let has = |name: &str| formats.is_some_and(|formats| formats.iter().any(|format| format == name));
        Some(AvailableTransport {
            transport: Transport::from_name(entry["transport"].as_str()?)?,
            formats: TransferFormats { text: has("Text"), binary: has("Binary") },
        })
    }
}
