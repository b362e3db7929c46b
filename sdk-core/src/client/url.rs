//! The addresses of a connection, as text: a URL library would be most of the browser's wasm.

use alloc::borrow::ToOwned;
use alloc::string::String;

use crate::text::{cut, joined};

/// The address to negotiate at: `/negotiate` behind the path, `negotiateVersion=1` unless the caller set one.
pub(super) fn negotiate(base: &str, stateful_reconnect: bool) -> String {
    let mut url = below(base, "negotiate");
    if !has_parameter(base, "negotiateVersion") {
        url = with_parameter(&url, "negotiateVersion", "1");
    }
    if stateful_reconnect && !has_parameter(base, "useStatefulReconnect") {
        url = with_parameter(&url, "useStatefulReconnect", "true");
    }
    url
}

/// The address with the parameters by which Hubwire servers know who reads their headers and fields.
pub(super) fn announced(url: &str, client_id: Option<&str>) -> String {
    if has_parameter(url, "hubwire") {
        return url.to_owned();
    }
    let url = with_parameter(url, "hubwire", "1");
    match client_id {
        Some(id) if !has_parameter(&url, "clientId") => with_parameter(&url, "clientId", id),
        _ => url,
    }
}

/// The address to refresh the token of a connection at.
pub(super) fn refresh(base: &str, id: &str) -> String {
    with_parameter(&below(base, "refresh"), "id", id)
}

/// The base with a segment more in its path, and its query.
fn below(base: &str, segment: &str) -> String {
    let (path, query) = split(base);
    let slash = if path.ends_with('/') { "" } else { "/" };
    let mark = if query.is_some() { "?" } else { "" };
    joined(&[path, slash, segment, mark, query.unwrap_or_default()])
}

/// Whether the caller put that query parameter into the address; servers read names without regard to case.
fn has_parameter(base: &str, name: &str) -> bool {
    let mut rest = split(base).1;
    while let Some(query) = rest {
        let (pair, next) = parts(query, b'&');
        if parts(pair, b'=').0.eq_ignore_ascii_case(name) {
            return true;
        }
        rest = next;
    }
    false
}

/// The address of a transport: the base with the id of the connection.
///
/// The id is not escaped, as in the official clients: servers make it of characters that need none.
pub(super) fn connect(base: &str, id: &str) -> String {
    with_parameter(parts(base, b'#').0, "id", id)
}

/// Appends a query parameter whose name and value need no escaping.
fn with_parameter(url: &str, name: &str, value: &str) -> String {
    let separator = match cut(url, b'?') {
        None => "?",
        Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
        Some(_) => "&",
    };
    joined(&[url, separator, name, "=", value])
}

/// The URL up to its query, and the query. A fragment is never sent.
fn split(url: &str) -> (&str, Option<&str>) {
    parts(parts(url, b'#').0, b'?')
}

/// The text up to the first such character, and what is behind it.
fn parts(text: &str, ascii: u8) -> (&str, Option<&str>) {
    match cut(text, ascii) {
        Some((before, behind)) => (before, Some(behind)),
        None => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negotiate_keeps_the_query_and_any_version_in_it() {
        for (base, expected) in [
            ("http://h/hub", "http://h/hub/negotiate?negotiateVersion=1"),
            ("http://h/hub/", "http://h/hub/negotiate?negotiateVersion=1"),
            ("http://h/hub?a=1&b", "http://h/hub/negotiate?a=1&b&negotiateVersion=1"),
            ("http://h/hub?", "http://h/hub/negotiate?negotiateVersion=1"),
            ("http://h/hub?NegotiateVersion=0", "http://h/hub/negotiate?NegotiateVersion=0"),
            (
                "http://h/hub?xnegotiateVersion=0",
                "http://h/hub/negotiate?xnegotiateVersion=0&negotiateVersion=1",
            ),
            ("http://h/hub#part", "http://h/hub/negotiate?negotiateVersion=1"),
        ] {
            assert_eq!(negotiate(base, false), expected);
        }
        assert_eq!(
            announced(&negotiate("http://h/hub", true), None),
            "http://h/hub/negotiate?negotiateVersion=1&useStatefulReconnect=true&hubwire=1"
        );
        assert_eq!(announced("http://h/hub?id=1", Some("me")), "http://h/hub?id=1&hubwire=1&clientId=me");
        assert_eq!(announced("http://h/hub?ClientId=you", Some("me")), "http://h/hub?ClientId=you&hubwire=1");
        assert_eq!(announced("http://h/hub?hubwire=0", Some("me")), "http://h/hub?hubwire=0");
    }

    #[test]
    fn connect_appends_the_id() {
        assert_eq!(connect("http://h/hub", "x-_"), "http://h/hub?id=x-_");
        assert_eq!(connect("http://h/hub?a=1#part", "x"), "http://h/hub?a=1&id=x");
        assert_eq!(refresh("http://h/hub?a=1", "x"), "http://h/hub/refresh?a=1&id=x");
    }
}
