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

mod public_keys {
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
    use serde_json::json;

    use super::*;

    fn rsa() -> EncodingKey {
        use aws_lc_rs::encoding::AsDer;
        let pair = aws_lc_rs::rsa::KeyPair::generate(KeySize::Rsa2048).unwrap();
        let pkcs8: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().unwrap();
        // Behind the header of PKCS #8 (26 bytes for this size) is the RSA key.
        EncodingKey::from_rsa_der(&pkcs8.as_ref()[26..])
    }

    fn p256() -> EncodingKey {
        let random = aws_lc_rs::rand::SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        EncodingKey::from_ec_der(pkcs8.as_ref())
    }

    fn jwk(key: &EncodingKey, algorithm: Algorithm, id: &str) -> Value {
        let mut jwk = Jwk::from_encoding_key(key, algorithm).unwrap();
        jwk.common.key_id = Some(id.into());
        serde_json::to_value(jwk).unwrap()
    }

    fn token(key: &EncodingKey, algorithm: Algorithm, id: Option<&str>) -> String {
        let header = Header { kid: id.map(Into::into), ..Header::new(algorithm) };
        jsonwebtoken::encode(&header, &json!({"sub": "alice", "exp": 4_000_000_000u64}), key).unwrap()
    }

    #[test]
    fn rs256_and_es256_with_the_keys_of_a_set() {
        let (rsa_key, ec_key, other) = (rsa(), p256(), p256());
        let set = json!({"keys": [
            jwk(&rsa_key, Algorithm::RS256, "r"),
            jwk(&ec_key, Algorithm::ES256, "e"),
            {"kty": "oct", "k": "c2VjcmV0", "kid": "o"},
            {"kty": "new kind", "kid": "n"},
        ]});
        let authenticator = Authenticator::jwks(set.to_string().as_bytes(), &AuthConfig::default()).unwrap();
        let good =
            |token: &str| authenticator.authenticate(token).map(|user| user.user_id().map(str::to_owned));
        for token in [
            token(&rsa_key, Algorithm::RS256, Some("r")),
            token(&rsa_key, Algorithm::RS256, None),
            token(&ec_key, Algorithm::ES256, Some("e")),
            token(&ec_key, Algorithm::ES256, None),
        ] {
            assert_eq!(good(&token), Ok(Some("alice".to_owned())));
        }
        // The wrong key, the wrong id, another algorithm of the same key, and the public key as a shared secret.
        let modulus = set["keys"][0]["n"].as_str().unwrap();
        for token in [
            token(&other, Algorithm::ES256, Some("e")),
            token(&ec_key, Algorithm::ES256, Some("r")),
            token(&rsa_key, Algorithm::RS512, Some("r")),
            token(&rsa_key, Algorithm::PS256, Some("r")),
            token(&EncodingKey::from_secret(modulus.as_bytes()), Algorithm::HS256, Some("r")),
            token(&EncodingKey::from_secret(b"secret"), Algorithm::HS256, Some("o")),
        ] {
            assert!(good(&token).is_err());
        }
        let mut altered = token(&ec_key, Algorithm::ES256, None);
        altered.push('x');
        assert!(good(&altered).is_err());
    }

    #[test]
    fn a_single_key_and_what_has_none() {
        let key = p256();
        let single = jwk(&key, Algorithm::ES256, "e");
        let authenticator =
            Authenticator::jwks(single.to_string().as_bytes(), &AuthConfig::default()).unwrap();
        assert!(authenticator.authenticate(&token(&key, Algorithm::ES256, Some("e"))).is_ok());
        let mut encryption = single.clone();
        encryption["use"] = "enc".into();
        let mut other = single;
        other["alg"] = "ES384".into();
        for json in ["{}".to_owned(), "{\"keys\":[]}".into(), encryption.to_string(), other.to_string()] {
            let error = Authenticator::jwks(json.as_bytes(), &AuthConfig::default()).unwrap_err();
            assert_eq!(error, "has no key for RS256 or ES256", "{json}");
        }
        assert!(
            Authenticator::jwks(b"nonsense", &AuthConfig::default()).unwrap_err().starts_with("is not JSON")
        );
    }
}
