//! Tokens while a connection is open: expiry, renewal in place, and what pages of other origins may see.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod support;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hubwire_server::testing::TestServer;
use hubwire_server::{Context, Hub, HubError, HubOptions, Policy, Server};
use serde_json::{Value, json};
use support::requests::{Events, get, negotiated, poll_as, post};
use support::{Socket, config, http, negotiate, start_with, token, user};

const PATH: &str = "/hubs/test";

fn hub() -> Hub {
    Hub::builder()
        .authorize(Policy::authenticated())
        .method("Number", async |ctx: Context| Ok::<_, HubError>(ctx.claim("number").cloned()))
        .build()
        .unwrap()
}

async fn start(options: HubOptions) -> TestServer {
    let mut config = config();
    config.auth.leeway = Duration::ZERO;
    let server = Server::builder().config(config).hub_with(PATH, hub(), options).build().unwrap();
    TestServer::start(server).await.unwrap()
}

/// A token with that number that expires in so many seconds.
fn numbered(name: &str, number: u32, seconds: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    token(json!({"sub": name, "number": number, "exp": now + seconds}))
}

async fn refresh(server: &TestServer, id: &str, token: &str) -> (u16, Value) {
    let path = format!("{PATH}/refresh?ID={id}");
    let request =
        format!("POST {path} HTTP/1.1\r\ncontent-length: 0\r\nauthorization: Bearer {token}\r\n\r\n");
    let (status, _, body) = http(server, &request).await;
    (status, serde_json::from_str(&body).unwrap_or_default())
}

#[tokio::test]
async fn a_connection_ends_with_its_token_where_that_is_asked_for() {
    let ends = start(HubOptions {
        close_on_authentication_expiration: true,
        authentication_refresh: true,
        ..HubOptions::default()
    });
    let (ends, stays) = (ends.await, start(HubOptions::default()).await);
    let short = numbered("alice", 1, 2);
    let connect = async |server: &TestServer| {
        let response = negotiate(server, &format!("{PATH}?negotiateVersion=1&access_token={short}")).await;
        let id = response["connectionToken"].as_str().unwrap().to_owned();
        (Socket::connect(server, &format!("{PATH}?id={id}&access_token={short}")).await, id)
    };
    let (mut first, _) = connect(&ends).await;
    let (mut renewed, id) = connect(&ends).await;
    let (mut other, _) = connect(&stays).await;
    assert_eq!(refresh(&ends, &id, &numbered("alice", 2, 1000)).await.0, 200);
    assert_eq!(first.rest().await, [json!({"type": 7, "allowReconnect": true})]);
    assert_eq!(renewed.call("Number", json!([])).await, Ok(json!(2)));
    assert_eq!(other.call("Number", json!([])).await, Ok(json!(1)));
    assert_eq!(ends.handle().statistics().hubs[0].connections, 1);
}

#[tokio::test]
async fn tokens_are_refreshed_in_place() {
    let server = start(HubOptions { authentication_refresh: true, ..HubOptions::default() }).await;
    let old = numbered("alice", 1, 600);
    let response = negotiate(&server, &format!("{PATH}?negotiateVersion=1&access_token={old}")).await;
    let lifetime = response["tokenLifetimeSeconds"].as_u64().unwrap();
    assert!((598..=600).contains(&lifetime), "{lifetime}");
    let version_0 = negotiate(&server, &format!("{PATH}?access_token={old}")).await;
    assert!(!version_0.contains_key("tokenLifetimeSeconds"));
    let id = response["connectionToken"].as_str().unwrap();
    let new = numbered("alice", 2, 1200);
    assert_eq!(refresh(&server, id, &new).await.1["error"], "connection_not_found", "not open yet");
    let mut client = Socket::connect(&server, &format!("{PATH}?id={id}&access_token={old}")).await;
    assert_eq!(client.call("Number", json!([])).await, Ok(json!(1)));
    let (status, body) = refresh(&server, id, &new).await;
    assert_eq!((status, &body["connectionId"]), (200, &response["connectionId"]));
    assert!((1198..=1200).contains(&body["tokenLifetimeSeconds"].as_u64().unwrap()));
    assert!(body["refreshedAt"].as_str().unwrap().ends_with('Z'), "{body}");
    assert_eq!(client.call("Number", json!([])).await, Ok(json!(2)));
    for (id, token, status, error) in [
        ("", &new, 400, "missing_connection_token"),
        ("unknown", &new, 404, "connection_not_found"),
        (id, &"nonsense".to_owned(), 401, "invalid_token"),
        (id, &String::new(), 401, "invalid_token"),
        (id, &numbered("bob", 3, 600), 403, "access_denied"),
    ] {
        let (got, body) = refresh(&server, id, token).await;
        assert_eq!((got, &body["error"]), (status, &json!(error)));
        assert!(body["error_description"].is_string());
    }
    assert_eq!(client.call("Number", json!([])).await, Ok(json!(2)));
    assert_eq!(get(&server, &format!("{PATH}/refresh?id={id}")).await.0, 405);
    let server = start(HubOptions::default()).await;
    let (status, body) = refresh(&server, id, &new).await;
    assert_eq!((status, &body["error"]), (404, &json!("refresh_disabled")));
    let response = negotiate(&server, &format!("{PATH}?negotiateVersion=1&access_token={old}")).await;
    assert!(!response.contains_key("tokenLifetimeSeconds"));
}

#[tokio::test]
async fn every_request_of_every_transport_is_authenticated() {
    let server = start(HubOptions::default()).await;
    let query = format!("?access_token={}", user("alice"));
    let polled = poll_as(&server, &format!("{PATH}{query}")).await;
    let (_events, events) = Events::connect(&server, &format!("{PATH}{query}")).await;
    for path in [polled, events] {
        let id = path.split("id=").nth(1).unwrap();
        for method in ["GET", "POST", "DELETE"] {
            let request = format!("{method} {PATH}?id={id} HTTP/1.1\r\ncontent-length: 0\r\n\r\n");
            let (status, head, body) = http(&server, &request).await;
            assert_eq!((status, body.as_str()), (401, ""));
            assert!(head.starts_with("http/1.1 401 unauthorized\r\n"), "{head}");
        }
    }
}

#[tokio::test]
async fn pages_of_listed_origins_can_use_every_transport() {
    let mut config = config();
    config.cors.origins = vec!["https://app.example".into()];
    let server = start_with(config, PATH, hub()).await;
    let query = format!("?access_token={}", user("alice"));
    let path = negotiated(&server, &format!("{PATH}{query}")).await;
    let cors = ["access-control-allow-origin: https://app.example", "access-control-allow-credentials: true"];
    for method in ["GET", "POST", "DELETE"] {
        let request =
            format!("{method} {path} HTTP/1.1\r\norigin: https://app.example\r\ncontent-length: 0\r\n\r\n");
        let (_, head, _) = http(&server, &request).await;
        assert!(cors.iter().all(|line| head.contains(line)) && !head.contains('*'), "{head}");
        let preflight = format!(
            "OPTIONS {path} HTTP/1.1\r\norigin: https://app.example\r\naccess-control-request-method: {method}\r\n\
             access-control-request-headers: x-requested-with, x-signalr-user-agent\r\n\r\n"
        );
        let (status, head, _) = http(&server, &preflight).await;
        assert_eq!(status, 204);
        assert!(cors.iter().all(|line| head.contains(line)), "{head}");
    }
    // Without a listed origin nothing is said.
    let (status, head, _) = post(&server, &path, "").await;
    assert_eq!(status, 404);
    assert!(!head.contains("access-control"), "{head}");
}
