//! What peers send that they should not: a clear answer, and no effect on anybody else.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod support;

use hubwire_server::{Hub, HubError};
use serde_json::{Value, json};
use support::{Socket, config, start, start_with};
use tokio_tungstenite::tungstenite::Message;

const PATH: &str = "/hubs/test";

fn hub() -> Hub {
    Hub::builder()
        .method("Echo", async |value: Value| Ok::<_, HubError>(value))
        .method("Length", async |text: String| Ok::<_, HubError>(text.len()))
        .build()
        .unwrap()
}

fn closed(detail: &str) -> Value {
    let error = match detail {
        "" => "Connection closed with an error.".to_owned(),
        detail => format!("Connection closed with an error. InvalidDataException: {detail}"),
    };
    json!({"type": 7, "error": error, "allowReconnect": true})
}

#[tokio::test]
async fn what_breaks_the_protocol_ends_the_connection_and_no_other() {
    let mut config = config();
    config.detailed_errors = true;
    let server = start_with(config, PATH, hub()).await;
    let mut witness = Socket::connect(&server, PATH).await;
    for (record, expected) in [
        ("{}", "Missing required property 'type'."),
        ("{\"type\":1}", "Missing required property 'target'."),
        ("{\"type\":1,\"target\":\"Echo\"}", "Missing required property 'arguments'."),
        ("{\"type\":4,\"target\":\"Echo\",\"arguments\":[]}", "Missing required property 'invocationId'."),
        ("{\"type\":2,\"invocationId\":\"1\"}", "Missing required property 'item'."),
        (
            "{\"type\":3,\"invocationId\":\"1\",\"error\":\"x\",\"result\":1}",
            "The 'error' and 'result' properties are mutually exclusive.",
        ),
        ("{\"type\":\"1\"}", "Expected 'type' to be an integer."),
        ("{\"type\":1,\"target\":5,\"arguments\":[]}", "Expected 'target' to be a string."),
        ("{\"type\":1,\"target\":\"Echo\",\"arguments\":{}}", "Expected 'arguments' to be an array."),
        ("[1,2]", "Expected 'message' to be a JSON object."),
    ] {
        let mut client = Socket::connect(&server, PATH).await;
        client.send_text(&format!("{record}\u{1e}")).await;
        assert_eq!(client.rest().await, [closed(expected)], "{record}");
    }
    for garbage in ["", "nonsense", "{\"type\":1,", "\u{0}", "{\"type\":6}}"] {
        let mut client = Socket::connect(&server, PATH).await;
        client.send_text(&format!("{garbage}\u{1e}")).await;
        let rest = client.rest().await;
        assert_eq!(rest.len(), 1, "{garbage}");
        let error = rest[0]["error"].as_str().unwrap();
        assert!(error.contains("InvalidDataException: The message is not valid JSON"), "{error}");
        // Payloads are not repeated to anybody.
        assert!(!error.contains("nonsense"), "{error}");
    }
    assert_eq!(witness.call("Echo", json!(["still here"])).await, Ok(json!("still here")));
    assert_eq!(server.handle().statistics().hubs[0].connections, 1);
}

#[tokio::test]
async fn without_detailed_errors_the_reason_stays_on_the_server() {
    let server = start(PATH, hub()).await;
    let mut client = Socket::connect(&server, PATH).await;
    client.send_text("{}\u{1e}").await;
    assert_eq!(client.rest().await, [closed("")]);
}

#[tokio::test]
async fn what_is_merely_wrong_fails_alone() {
    let server = start(PATH, hub()).await;
    let mut client = Socket::connect(&server, PATH).await;
    for (target, arguments, expected) in [
        ("Nope", json!([]), "Unknown hub method 'Nope'"),
        ("Echo", json!([]), "Failed to invoke 'Echo' due to an error on the server."),
        ("Length", json!([5]), "Failed to invoke 'Length' due to an error on the server."),
        ("Length", json!([null]), "Failed to invoke 'Length' due to an error on the server."),
    ] {
        assert_eq!(client.call(target, arguments).await, Err(expected.into()));
    }
    // Unknown types, ids and properties are ignored.
    for message in [
        json!({"type": 99}),
        json!({"type": 5, "invocationId": "unknown"}),
        json!({"type": 2, "invocationId": "unknown", "item": 1}),
        json!({"type": 3, "invocationId": "unknown", "result": 1}),
        json!({"type": 8, "sequenceId": 5}),
        json!({"type": 6, "more": {"than": ["known"]}}),
    ] {
        client.send(message).await;
    }
    assert_eq!(client.call("Echo", json!([1])).await, Ok(json!(1)));
}

#[tokio::test]
async fn messages_have_a_limit_each_frames_another() {
    let mut config = config();
    config.detailed_errors = true;
    let server = start_with(config, PATH, hub()).await;
    let mut witness = Socket::connect(&server, PATH).await;
    let envelope = |len: usize| {
        let text = "x".repeat(len);
        format!(
            "{{\"type\":1,\"invocationId\":\"1\",\"target\":\"Length\",\"arguments\":[\"{text}\"]}}\u{1e}"
        )
    };
    let overhead = envelope(0).len();
    // Exactly as large as allowed, and two of them in a frame.
    let mut client = Socket::connect(&server, PATH).await;
    client.send_text(&envelope(32_768 - overhead).repeat(2).replacen("\"1\"", "\"0\"", 1)).await;
    for _ in 0..2 {
        assert_eq!(client.receive().await["result"], 32_768 - overhead);
    }
    let too_large = "The maximum message size of 32768B was exceeded. The message size can be configured in \
                     AddHubOptions.";
    // One byte more; no end in sight; and more than a frame may hold.
    for text in [envelope(32_769 - overhead), "x".repeat(40_000), "x".repeat(300_000)] {
        let mut client = Socket::connect(&server, PATH).await;
        client.send_text(&text).await;
        assert_eq!(client.rest().await, [closed(too_large)], "{} bytes", text.len());
    }
    assert_eq!(witness.call("Echo", json!([1])).await, Ok(json!(1)));
}

#[tokio::test]
async fn messages_may_be_cut_anywhere() {
    let server = start(PATH, hub()).await;
    let mut client = Socket::open(&server, PATH).await.unwrap();
    let all = "{\"protocol\":\"json\",\"version\":1}\u{1e}{\"type\":6}\u{1e}\
               {\"type\":1,\"invocationId\":\"1\",\"target\":\"Echo\",\"arguments\":[\"ä\"]}\u{1e}";
    // In the middle of a character, too, so as binary frames.
    for byte in all.as_bytes() {
        client.send_bytes(&[*byte]).await;
    }
    assert_eq!(client.receive().await, json!({}));
    assert_eq!(client.receive().await["result"], "ä");
    // All of it in one frame.
    let mut client = Socket::open(&server, PATH).await.unwrap();
    client.send_text(all).await;
    assert_eq!(client.receive().await, json!({}));
    assert_eq!(client.receive().await["result"], "ä");
}

#[tokio::test]
async fn bad_handshakes_are_refused_with_the_official_texts() {
    let server = start(PATH, hub()).await;
    for (request, expected) in [
        ("{\"protocol\":\"xml\",\"version\":1}", "The protocol 'xml' is not supported."),
        (
            "{\"protocol\":\"json\",\"version\":2}",
            "The server does not support version 2 of the 'json' protocol.",
        ),
        (
            "{\"protocol\":\"messagepack\",\"version\":9}",
            "The server does not support version 9 of the 'messagepack' protocol.",
        ),
        ("{\"protocol\":\"json\"}", "An unexpected error occurred during connection handshake."),
        ("{\"version\":1}", "An unexpected error occurred during connection handshake."),
        ("{\"type\":6}", "An unexpected error occurred during connection handshake."),
        ("hello", "An unexpected error occurred during connection handshake."),
        ("", "An unexpected error occurred during connection handshake."),
    ] {
        let mut client = Socket::open(&server, PATH).await.unwrap();
        client.send_text(&format!("{request}\u{1e}")).await;
        assert_eq!(client.rest().await, [json!({ "error": expected })], "{request}");
    }
    let mut client = Socket::open(&server, PATH).await.unwrap();
    client.send_text(&"x".repeat(33_000)).await;
    assert_eq!(client.rest().await, [json!({"error": "Handshake was canceled."})]);
}

#[tokio::test]
async fn a_handshake_that_never_comes() {
    let mut config = config();
    config.times.handshake = std::time::Duration::from_millis(20);
    let server = start_with(config, PATH, hub()).await;
    let mut client = Socket::open(&server, PATH).await.unwrap();
    assert_eq!(client.rest().await, [json!({"error": "Handshake was canceled."})]);
}

#[tokio::test]
async fn messagepack_travels_in_binary_frames() {
    let server = start(PATH, hub()).await;
    let mut client = Socket::open(&server, PATH).await.unwrap();
    client.send_text("{\"protocol\":\"messagepack\",\"version\":1}\u{1e}").await;
    assert_eq!(client.frame().await, Some(Message::binary(b"{}\x1e".to_vec())));
    // Echo(42) with five elements and an id.
    client.send_bytes(b"\x0c\x95\x01\x80\xa1\x31\xa4Echo\x91\x2a").await;
    let answer = client.frame().await;
    assert_eq!(answer, Some(Message::binary(b"\x07\x95\x03\x80\xa1\x31\x03\x2a".to_vec())), "{answer:?}");
    // Garbage ends it; the Close message has three elements.
    client.send_bytes(b"\x01\xc1").await;
    let close = client.frame().await.unwrap().into_data();
    assert_eq!(close[1..4], *b"\x93\x07\xd9");
    assert_eq!(close.last(), Some(&0xc3));
}
