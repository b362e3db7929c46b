use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::Principal;

/// Who may use a hub or a method.
#[derive(Clone)]
pub struct Policy(Arc<dyn Fn(&Principal) -> bool + Send + Sync>);

impl Policy {
    /// Everybody with a valid token.
    pub fn authenticated() -> Self {
        Self::predicate(Principal::is_authenticated)
    }

    /// Everybody whose token names a user.
    pub fn user() -> Self {
        Self::predicate(|principal| principal.user_id().is_some())
    }

    /// Everybody with this role.
    pub fn role(role: impl Into<String>) -> Self {
        let role = role.into();
        Self::predicate(move |principal| principal.has_role(&role))
    }

    /// Everybody whose token has this claim with this value, alone or in a list.
    pub fn claim(name: impl Into<String>, value: impl Into<String>) -> Self {
        let (name, value) = (name.into(), value.into());
        Self::predicate(move |principal| principal.has_claim(&name, &value))
    }

    /// Everybody for whom the function says so.
    pub fn predicate(predicate: impl Fn(&Principal) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(predicate))
    }

    /// Who satisfies both.
    pub fn and(self, other: Self) -> Self {
        Self::predicate(move |principal| self.allows(principal) && other.allows(principal))
    }

    /// Who satisfies one of them.
    pub fn or(self, other: Self) -> Self {
        Self::predicate(move |principal| self.allows(principal) || other.allows(principal))
    }

    /// Whether the principal satisfies it. A predicate that panics allows nobody.
    pub fn allows(&self, principal: &Principal) -> bool {
        catch_unwind(AssertUnwindSafe(|| (self.0)(principal))).unwrap_or(false)
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Policy(..)")
    }
}
