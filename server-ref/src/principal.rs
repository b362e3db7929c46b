use std::fmt;

use serde_json::Value;

use crate::stats::now_millis;

/// Who is at the other end of a connection: what its access token says.
#[derive(Clone, Default)]
pub struct Principal {
    user_id: Option<Box<str>>,
    roles: Box<[Box<str>]>,
    claims: Box<[(Box<str>, Value)]>,
    expires_at: Option<u64>,
    authenticated: bool,
}

/// The claims that .NET writes for the user id and for roles.
const NAME_IDENTIFIER: &str = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier";
const ROLE: &str = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role";

impl Principal {
    /// Nobody in particular.
    pub fn anonymous() -> Self {
        Self::default()
    }

    /// The holder of a valid token with these claims.
    ///
    /// The user id is `sub`, or `userId`, or .NET's name identifier; roles are in `role`, `roles` or .NET's role
    /// claim, one or several.
    pub fn from_claims(claims: serde_json::Map<String, Value>) -> Self {
        let text = |name: &str| claims.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let user_id = ["sub", "userId", NAME_IDENTIFIER].into_iter().find_map(text).map(Into::into);
        let mut roles = Vec::<Box<str>>::new();
        for value in ["role", "roles", ROLE].into_iter().filter_map(|name| claims.get(name)) {
            let values = match value {
                Value::Array(values) => values.as_slice(),
                value => std::slice::from_ref(value),
            };
            roles.extend(values.iter().filter_map(Value::as_str).map(Into::into));
        }
        let expires_at = claims.get("exp").and_then(Value::as_u64);
        Self {
            user_id,
            roles: roles.into(),
            claims: claims.into_iter().map(|(name, value)| (name.into(), value)).collect(),
            expires_at,
            authenticated: true,
        }
    }

    /// Whether there was a valid token.
    pub const fn is_authenticated(&self) -> bool {
        self.authenticated
    }

    /// The user; all connections of a user have the same.
    pub fn user_id(&self) -> Option<&str> {
        self.user_id.as_deref()
    }

    /// The roles.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.roles.iter().map(AsRef::as_ref)
    }

    /// Whether one of the roles is this one. Roles are case-sensitive.
    pub fn has_role(&self, role: &str) -> bool {
        self.roles().any(|own| own == role)
    }

    /// The value of a claim.
    pub fn claim(&self, name: &str) -> Option<&Value> {
        self.claims.iter().find(|(own, _)| &**own == name).map(|(_, value)| value)
    }

    /// Whether a claim has this text, or is a list that contains it.
    pub fn has_claim(&self, name: &str, value: &str) -> bool {
        match self.claim(name) {
            Some(Value::String(own)) => own == value,
            Some(Value::Array(own)) => own.iter().any(|own| own == value),
            Some(Value::Bool(own)) => value == if *own { "true" } else { "false" },
            _ => false,
        }
    }

    /// How many seconds the token is still valid.
    pub(crate) fn lifetime(&self) -> Option<u64> {
        self.expires_at.map(|at| at.saturating_sub(now_millis() / 1000))
    }

    /// When the token expires, in seconds since 1970.
    pub const fn expires_at(&self) -> Option<u64> {
        self.expires_at
    }
}

impl fmt::Debug for Principal {
    // Claims are personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Principal").field("authenticated", &self.authenticated).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn principal(claims: Value) -> Principal {
        let Value::Object(claims) = claims else { panic!("{claims}") };
        Principal::from_claims(claims)
    }

    #[test]
    fn the_user_id_and_the_roles_have_several_names() {
        for name in ["sub", "userId", NAME_IDENTIFIER] {
            assert_eq!(principal(json!({ name: "alice" })).user_id(), Some("alice"));
        }
        assert_eq!(principal(json!({"sub": "", "userId": "bob"})).user_id(), Some("bob"));
        assert_eq!(principal(json!({"sub": 7})).user_id(), None);
        for name in ["role", "roles", ROLE] {
            assert!(principal(json!({ name: "admin" })).has_role("admin"));
            assert!(principal(json!({ name: ["user", "admin"] })).has_role("admin"));
            assert!(!principal(json!({ name: ["user", 5] })).has_role("admin"));
        }
    }

    #[test]
    fn claims_match_texts_lists_and_booleans() {
        let principal = principal(json!({"plan": "premium", "permissions": ["chat"], "trial": true}));
        assert!(principal.has_claim("plan", "premium"));
        assert!(principal.has_claim("permissions", "chat"));
        assert!(principal.has_claim("trial", "true"));
        assert!(!principal.has_claim("trial", "false"));
        assert!(!principal.has_claim("absent", ""));
        assert!(!Principal::anonymous().is_authenticated());
    }
}
