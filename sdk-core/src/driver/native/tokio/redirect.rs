//! Where a redirected request goes, as `fetch` has it (WHATWG Fetch, section 4.5, HTTP-redirect fetch).

use http::{HeaderValue, Method, StatusCode};
use url::Url;

/// The most redirects of one request that are followed; `fetch` has 20, which no server in order needs.
pub(super) const MAX_REDIRECTS: usize = 10;

/// What is asked next instead.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Redirect {
    pub(super) method: Method,
    pub(super) url: Url,
    /// Whether what the request carried goes along.
    pub(super) keeps_body: bool,
    /// To another host, port or scheme: what is a secret between us and the first must not go there.
    pub(super) leaves_origin: bool,
}

impl Redirect {
    /// What an answer with this status and `Location` redirects to; `None` when it redirects nowhere.
    pub(super) fn of(
        method: &Method,
        from: &Url,
        status: StatusCode,
        location: Option<&HeaderValue>,
    ) -> Result<Option<Self>, String> {
        let becomes_get = match status {
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => *method == Method::POST,
            StatusCode::SEE_OTHER => *method != Method::GET && *method != Method::HEAD,
            StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => false,
            _ => return Ok(None),
        };
        let Some(location) = location else { return Ok(None) };
        let refused = |reason: &dyn std::fmt::Display| {
            let (status, location) = (status.as_u16(), shown(location));
            format!("the server redirects (status {status}) to '{location}', which is no address: {reason}")
        };
        let text = std::str::from_utf8(location.as_bytes()).map_err(|error| refused(&error))?;
        let mut url = from.join(text).map_err(|error| refused(&error))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(refused(&format!("the scheme '{}' is neither http nor https", url.scheme())));
        }
        url.set_fragment(None);
        // Who we are is for the application to say. These do not fail for such a URL.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        Ok(Some(Self {
            method: if becomes_get { Method::GET } else { method.clone() },
            keeps_body: !becomes_get,
            leaves_origin: url.origin() != from.origin(),
            url,
        }))
    }
}

/// A `Location` for error texts: without its query, which may have secrets in it, and not longer than is of use.
pub(super) fn shown(location: &HeaderValue) -> String {
    let text = String::from_utf8_lossy(location.as_bytes());
    let address = text.split(['?', '#']).next().unwrap_or_default();
    let address: String = address.chars().take(200).collect();
    // With a name and a password in it, the host is all that may be said.
    address.rsplit('@').next().unwrap_or_default().escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROM: &str = "https://example.org/a/hub/negotiate?x=1";

    fn redirect(method: Method, status: u16, location: &str) -> Result<Option<Redirect>, String> {
        let location = HeaderValue::from_bytes(location.as_bytes()).unwrap();
        Redirect::of(&method, &FROM.parse().unwrap(), StatusCode::from_u16(status).unwrap(), Some(&location))
    }

    #[test]
    fn methods_and_bodies() {
        for (status, method, becomes) in [
            (301, Method::POST, Method::GET),
            (302, Method::POST, Method::GET),
            (303, Method::POST, Method::GET),
            (303, Method::DELETE, Method::GET),
            (307, Method::POST, Method::POST),
            (308, Method::POST, Method::POST),
            (301, Method::DELETE, Method::DELETE),
            (302, Method::GET, Method::GET),
        ] {
            let found = redirect(method.clone(), status, "/b").unwrap().unwrap();
            assert_eq!(found.method, becomes, "{status} {method}");
            assert_eq!(found.keeps_body, method == becomes, "{status} {method}");
        }
        for status in [200, 300, 304, 305, 401] {
            assert_eq!(redirect(Method::POST, status, "/b"), Ok(None));
        }
        let from = FROM.parse().unwrap();
        assert_eq!(Redirect::of(&Method::POST, &from, StatusCode::FOUND, None), Ok(None));
    }

    #[test]
    fn locations() {
        for (location, url, leaves) in [
            ("/b", "https://example.org/b", false),
            ("b?y=2#z", "https://example.org/a/hub/b?y=2", false),
            ("?y=2", "https://example.org/a/hub/negotiate?y=2", false),
            ("https://EXAMPLE.org:443/b", "https://example.org/b", false),
            ("http://example.org/b", "http://example.org/b", true),
            ("https://example.org:444/b", "https://example.org:444/b", true),
            ("//other.example/b", "https://other.example/b", true),
            ("https://user:secret@example.org/b", "https://example.org/b", false),
            ("/ö", "https://example.org/%C3%B6", false),
        ] {
            let found = redirect(Method::POST, 307, location).unwrap().unwrap();
            assert_eq!((found.url.as_str(), found.leaves_origin), (url, leaves), "{location}");
        }
    }

    #[test]
    fn a_location_that_cannot_be_followed_is_named() {
        for (location, wanted) in [
            ("ftp://example.org/b?token=secret", "'ftp://example.org/b'"),
            ("javascript:alert(1)", "'javascript' is neither"),
            ("http://user:secret@:80/", "no address"),
            ("http://[::1/b", "no address"),
        ] {
            let error = redirect(Method::POST, 302, location).unwrap_err();
            assert!(error.contains(wanted) && error.contains("302"), "{location}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
        let location = HeaderValue::from_bytes(b"http://example.org/\xff").unwrap();
        let from = FROM.parse().unwrap();
        let error = Redirect::of(&Method::GET, &from, StatusCode::FOUND, Some(&location)).unwrap_err();
        assert!(error.contains("utf-8"), "{error}");
        let long = format!("ftp://example.org/{}", "x".repeat(10_000));
        assert!(redirect(Method::GET, 302, &long).unwrap_err().len() < 500);
    }
}
