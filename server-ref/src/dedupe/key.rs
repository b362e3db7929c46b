use std::fmt;
use std::sync::Arc;

use hubwire::protocol::Headers;
use hubwire::protocol::delivery::is_client_id;

/// The header that names a call across connections.
pub(crate) use hubwire::protocol::delivery::ID_HEADER as HEADER;

/// Whose call it is, and which. Client ids are secrets of clients without a user: they never reach a log.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Key(Arc<str>);

/// The header is there, but is no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidId;

impl Key {
    /// The key of a call with these headers; `None` without the header.
    ///
    /// # Errors
    /// When the header is no id.
    pub fn of(user: Option<&str>, headers: &Headers) -> Result<Option<Self>, InvalidId> {
        let Some((_, id)) = headers.iter().find(|(name, _)| name == HEADER) else { return Ok(None) };
        if !is_valid(id) {
            return Err(InvalidId);
        }
        // No id has a colon, so that what follows the first one is the user, whatever is in it. A copy, because the id
        // is a slice of the whole frame.
        Ok(Some(Self(match user {
            Some(user) => format!("{id}:{user}").into(),
            None => Arc::from(&**id),
        })))
    }
}

/// `<clientId>/<n>`. Every number has one way to be written, so that equal texts are equal ids.
fn is_valid(id: &str) -> bool {
    let Some((client, number)) = id.split_once('/') else { return false };
    let canonical = number == "0" || !number.starts_with('0');
    is_client_id(client)
        && canonical
        && number.bytes().all(|byte| byte.is_ascii_digit())
        && number.parse::<u64>().is_ok()
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(user: Option<&str>, id: &str) -> Result<Option<Key>, InvalidId> {
        Key::of(user, &vec![(HEADER.into(), id.into())])
    }

    #[test]
    fn ids_have_one_form() {
        let long = "x".repeat(64);
        for id in ["a/0", "a/1", "Az09_-/10", "a/18446744073709551615", &format!("{long}/7")] {
            assert!(key(None, id).unwrap().is_some(), "{id}");
        }
        let too_long = format!("{long}x/7");
        for id in [
            "",
            "/",
            "a",
            "a/",
            "/1",
            "a/01",
            "a/00",
            "a/+1",
            "a/-1",
            "a/ 1",
            "a/1 ",
            "a/1/2",
            "a/1:b",
            "a b/1",
            "a:b/1",
            "ä/1",
            "a/١",
            "a/1.0",
            "a/0x1",
            "a/18446744073709551616",
            "a/99999999999999999999999",
            &too_long,
        ] {
            assert_eq!(key(None, id), Err(InvalidId), "{id}");
        }
        assert_eq!(Key::of(None, &Headers::new()), Ok(None));
        let other = vec![("Hubwire-Id".into(), "broken".into()), ("x".into(), "y".into())];
        assert_eq!(Key::of(None, &other), Ok(None), "names of headers have a case");
    }

    #[test]
    fn keys_tell_users_clients_and_numbers_apart() {
        let all = [
            key(None, "a/1"),
            key(Some(""), "a/1"),
            key(Some("u"), "a/1"),
            key(Some("u:v"), "a/1"),
            key(Some("v"), "a/1"),
            key(Some("u"), "b/1"),
            key(Some("u"), "a/11"),
            key(Some("1:u"), "a/1"),
        ];
        for (index, one) in all.iter().enumerate() {
            assert!(all.iter().skip(index + 1).all(|other| one != other), "{index}");
        }
        assert_eq!(key(Some("u"), "a/1"), key(Some("u"), "a/1"));
        assert_eq!(format!("{:?}", key(Some("u"), "secret/1").unwrap().unwrap()), "Key(..)");
    }
}
