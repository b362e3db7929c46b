//! Access tokens: who is connecting.

use std::fmt;
use std::time::Duration;

use http::{HeaderMap, header};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::config::{AuthConfig, ConfigError};
use crate::principal::Principal;
use crate::stats::now_millis;

/// Checks access tokens: JSON Web Tokens signed with HS256, RS256 or ES256.
pub struct Authenticator {
    /// A token must fit one of them, with the algorithm of that key and no other.
    keys: Vec<VerificationKey>,
    required_claims: Vec<String>,
}

struct VerificationKey {
    /// Tokens can say which key they are signed with.
    id: Option<String>,
    key: DecodingKey,
    validation: Validation,
}

impl VerificationKey {
    fn new(id: Option<String>, key: DecodingKey, algorithm: Algorithm, config: &AuthConfig) -> Self {
        let mut validation = Validation::new(algorithm);
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
        Self { id, key, validation }
    }
}

impl Authenticator {
    /// Checks tokens with a shared key.
    pub fn hs256(key: &[u8], config: &AuthConfig) -> Self {
        let key = VerificationKey::new(None, DecodingKey::from_secret(key), Algorithm::HS256, config);
        Self { keys: vec![key], required_claims: config.required_claims.clone() }
    }

    /// Checks tokens with public keys: a JSON Web Key Set, or a single JSON Web Key.
    ///
    /// RSA keys are for RS256 and P-256 keys for ES256. Others, and keys that are not for signatures, are left out.
    ///
    /// # Errors
    /// When it is neither, or has no such key; the text completes a sentence about where it came from.
    pub fn jwks(json: &[u8], config: &AuthConfig) -> Result<Self, String> {
        // Keys of unknown kinds must not spoil the set.
        let set: Value = serde_json::from_slice(json).map_err(|error| format!("is not JSON: {error}"))?;
        let listed = match &set["keys"] {
            Value::Array(keys) => keys.as_slice(),
            _ => std::slice::from_ref(&set),
        };
        let keys: Vec<_> = listed
            .iter()
            .filter_map(|key| {
                let jwk = Jwk::deserialize(key).ok()?;
                let algorithm = algorithm_of(&jwk)?;
                let key = DecodingKey::from_jwk(&jwk).ok()?;
                Some(VerificationKey::new(jwk.common.key_id, key, algorithm, config))
            })
            .collect();
        if keys.is_empty() {
            return Err("has no key for RS256 or ES256".into());
        }
        Ok(Self { keys, required_claims: config.required_claims.clone() })
    }

    /// The authenticator of the configuration, if it has a key. With a shared key and public ones, either will do.
    ///
    /// # Errors
    /// When a key cannot be read.
    pub fn from_config(config: &AuthConfig) -> Result<Option<Self>, ConfigError> {
        let shared = config.key()?.map(|key| Self::hs256(&key, config));
        let Some(path) = &config.jwks_file else { return Ok(shared) };
        let problem = |problem| ConfigError::new("auth.jwks_file", problem);
        let json = std::fs::read(path).map_err(|error| problem(format!("cannot be read: {error}")))?;
        let mut authenticator = Self::jwks(&json, config).map_err(problem)?;
        authenticator.keys.extend(shared.into_iter().flat_map(|shared| shared.keys));
        Ok(Some(authenticator))
    }

    /// Whose token it is.
    ///
    /// # Errors
    /// When it is not valid. The reason is for logs; clients get none.
    pub fn authenticate(&self, token: &str) -> Result<Principal, InvalidToken> {
        let mut reason = InvalidToken("no key fits".into());
        let header = jsonwebtoken::decode_header(token).map_err(|error| InvalidToken(error.to_string()))?;
        for VerificationKey { id, key, validation } in &self.keys {
            let other_key = matches!((id, &header.kid), (Some(own), Some(named)) if own != named);
            if other_key || !validation.algorithms.contains(&header.alg) {
                continue;
            }
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

/// What a public key is for. The algorithm of a token never decides what a key is used for.
fn algorithm_of(jwk: &Jwk) -> Option<Algorithm> {
    if !matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature)) {
        return None;
    }
    let (algorithm, named) = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            (Algorithm::ES256, KeyAlgorithm::ES256)
        }
        _ => return None,
    };
    jwk.common.key_algorithm.is_none_or(|own| own == named).then_some(algorithm)
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
