//! Access tokens: who is connecting.

use std::fmt;
use std::time::Duration;

use http::{HeaderMap, header};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde_json::{Map, Value};

use crate::config::{AuthConfig, ConfigError};
use crate::principal::Principal;
use crate::stats::now_millis;

/// Checks access tokens. Today these are JSON Web Tokens signed with HS256 and one key.
pub struct Authenticator {
    /// A token must fit one of them, with the algorithm of that key and no other.
    keys: Vec<VerificationKey>,
    required_claims: Vec<String>,
}

struct VerificationKey {
    key: DecodingKey,
    validation: Validation,
}

impl Authenticator {
    /// Checks tokens with a shared key.
    pub fn hs256(key: &[u8], config: &AuthConfig) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = config.leeway.as_secs();
        validation.validate_nbf = true;
        match &config.audience {
            Some(audience) => {
                validation.set_audience(&[audience]);
                validation.required_spec_claims.insert("aud".into());
            }
            // By default a token with any audience is refused when none is configured.
            None => validation.validate_aud = false,
        }
        if let Some(issuer) = &config.issuer {
            validation.set_issuer(&[issuer]);
            validation.required_spec_claims.insert("iss".into());
        }
        Self {
            keys: vec![VerificationKey { key: DecodingKey::from_secret(key), validation }],
            required_claims: config.required_claims.clone(),
        }
    }

    /// The authenticator of the configuration, if it has a key.
    ///
    /// # Errors
    /// When the key cannot be read.
    pub fn from_config(config: &AuthConfig) -> Result<Option<Self>, ConfigError> {
        Ok(config.key()?.map(|key| Self::hs256(&key, config)))
    }

    /// Whose token it is.
    ///
    /// # Errors
    /// When it is not valid. The reason is for logs; clients get none.
    pub fn authenticate(&self, token: &str) -> Result<Principal, InvalidToken> {
        let mut reason = InvalidToken("no key fits".into());
        for VerificationKey { key, validation } in &self.keys {
            match jsonwebtoken::decode::<Map<String, Value>>(token, key, validation) {
                Ok(token) => {
                    let missing = self.required_claims.iter().find(|name| !token.claims.contains_key(*name));
                    return match missing {
                        Some(name) => Err(InvalidToken(format!("the claim '{name}' is missing"))),
                        None => Ok(Principal::from_claims(token.claims)),
                    };
                }
                // These texts name what is wrong and do not quote the token.
                Err(error) => reason = InvalidToken(error.to_string()),
            }
        }
        Err(reason)
    }
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator").finish_non_exhaustive()
    }
}

/// Why a token is not valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidToken(String);

impl fmt::Display for InvalidToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidToken {}

/// The token of a request: in the header, or in the query for browsers, whose WebSockets and event streams cannot send
/// headers.
pub(crate) fn request_token<'a>(headers: &'a HeaderMap, query: &'a [(String, String)]) -> Option<&'a str> {
    let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = header.and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    let in_query = || {
        query.iter().find(|(name, _)| name.eq_ignore_ascii_case("access_token")).map(|(_, token)| &**token)
    };
    bearer.or_else(in_query).filter(|token| !token.is_empty())
}

/// Makes an HS256 token, for development and tests.
///
/// # Errors
/// When the claims cannot be signed.
pub fn sign(
    key: &[u8],
    mut claims: Map<String, Value>,
    lifetime: Duration,
) -> Result<String, jsonwebtoken::errors::Error> {
    let now = now_millis() / 1000;
    claims.entry("iat").or_insert_with(|| now.into());
    claims.entry("exp").or_insert_with(|| now.saturating_add(lifetime.as_secs()).into());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(key))
}

#[cfg(test)]
mod tests;
