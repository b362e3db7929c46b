use http::HeaderValue;

use super::*;

#[test]
fn tokens_are_found_in_the_header_and_in_the_query() {
    let query = [("Access_Token".to_owned(), "q".to_owned())];
    let find = |header: Option<&'static str>, query: &[(String, String)]| {
        let mut headers = HeaderMap::new();
        if let Some(header) = header {
            headers.insert(header::AUTHORIZATION, HeaderValue::from_static(header));
        }
        request_token(&headers, query).map(str::to_owned)
    };
    assert_eq!(find(Some("Bearer h"), &query).as_deref(), Some("h"));
    assert_eq!(find(Some("bEARER  h "), &[]).as_deref(), Some("h"));
    assert_eq!(find(None, &query).as_deref(), Some("q"));
    // Credentials of another kind are not for this server.
    assert_eq!(find(Some("Basic h"), &query).as_deref(), Some("q"));
    assert_eq!(find(Some("Bearer "), &[]), None);
    assert_eq!(find(None, &[("access_token".into(), String::new())]), None);
}

#[test]
fn leeway_covers_clocks_that_are_apart() {
    let key = b"a key for tests that is long enough to be one";
    let expired = |seconds: u64| {
        let mut claims = Map::new();
        claims.insert("exp".into(), (now_millis() / 1000 - seconds).into());
        sign(key, claims, Duration::ZERO).unwrap()
    };
    let authenticator = Authenticator::hs256(key, &AuthConfig::default());
    assert!(authenticator.authenticate(&expired(20)).is_ok());
    let error = authenticator.authenticate(&expired(40)).unwrap_err();
    assert_eq!(error.to_string(), "ExpiredSignature");
    let strict = AuthConfig { leeway: Duration::ZERO, ..AuthConfig::default() };
    assert!(Authenticator::hs256(key, &strict).authenticate(&expired(2)).is_err());
}
