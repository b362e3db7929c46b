//! Where naive servers break official clients: one test for each row of the list. Row 10 is about clients alone.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod support;

use std::time::Duration;

use hubwire_server::testing::TestServer;
use hubwire_server::{Config, Context, Hub, HubError, HubOptions, Policy, Server};
use serde_json::{Value, json};
use support::requests::{Events, delete, get, negotiated, poll_as, post, records};
use support::{Socket, config, http, negotiate, user};
use tokio_tungstenite::tungstenite::Message;

const PATH: &str = "/hubs/test";

fn hub() -> Hub {
    Hub::builder()
        .method("Echo", async |value: Value| Ok::<_, HubError>(value))
        .method("Nothing", async || Ok::<_, HubError>(()))
        .method("Forever", async |ctx: Context| {
            ctx.cancellation().cancelled().await;
            Ok::<_, HubError>(())
        })
        .method("Ask", async |ctx: Context| ctx.clients().caller().invoke::<Value>("Answer", ()).await)
        .method("Fail", async |name: String| Err::<(), _>(HubError::named(name, "why")))
        .method("Abort", async |ctx: Context| {
            ctx.abort();
            Ok::<_, HubError>(())
        })
        .build()
        .unwrap()
}

async fn start_with(config: Config) -> TestServer {
    let options = HubOptions { stateful_reconnect: true, ..HubOptions::default() };
    let server = Server::builder()
        .config(config)
        .hub_with(PATH, hub(), options)
        .hub("/hubs/closed", Hub::builder().authorize(Policy::authenticated()).build().unwrap());
    TestServer::start(server.build().unwrap()).await.unwrap()
}

async fn start() -> TestServer {
    start_with(config()).await
}

fn call(id: &str, target: &str, arguments: Value) -> String {
    json!({"type": 1, "invocationId": id, "target": target, "arguments": arguments}).to_string() + "\u{1e}"
}

const MESSAGE_PACK: &str = "{\"protocol\":\"messagepack\",\"version\":1}\u{1e}";

/// A socket with that handshake for MessagePack already answered.
async fn message_pack(server: &TestServer) -> Socket {
    let mut socket = Socket::open(server, PATH).await.unwrap();
    socket.send_text(MESSAGE_PACK).await;
    assert_eq!(socket.frame().await.unwrap(), Message::binary(&b"{}\x1e"[..]));
    socket
}

async fn binary(socket: &mut Socket) -> Vec<u8> {
    socket.frame().await.unwrap().into_data().to_vec()
}

/// A connection with version 2, and the path to resume it with.
async fn stateful(server: &TestServer) -> (Socket, String) {
    let path = negotiated(server, &format!("{PATH}?useStatefulReconnect=true")).await;
    let mut socket = Socket::open(server, &path).await.unwrap();
    socket.send_text("{\"protocol\":\"json\",\"version\":2}\u{1e}").await;
    assert_eq!(socket.receive().await, json!({}));
    (socket, path)
}

#[tokio::test]
async fn trap_01_the_handshake_is_json_in_any_kind_of_frame() {
    let server = start().await;
    for as_text in [true, false] {
        let mut socket = Socket::open(&server, PATH).await.unwrap();
        match as_text {
            true => socket.send_text(MESSAGE_PACK).await,
            false => socket.send_bytes(MESSAGE_PACK.as_bytes()).await,
        }
        // Without a length prefix, in a frame of the kind of the protocol.
        assert_eq!(socket.frame().await.unwrap(), Message::binary(&b"{}\x1e"[..]));
    }
    // Messages may come in the frame of the request; the answer has a frame of its own.
    let mut socket = Socket::open(&server, PATH).await.unwrap();
    let together = format!("{}{}", support::requests::HANDSHAKE, call("1", "Echo", json!([1])));
    socket.send_bytes(together.as_bytes()).await;
    assert_eq!(socket.frame().await.unwrap(), Message::text("{}\u{1e}"));
    assert_eq!(socket.receive().await["result"], 1);
}

#[tokio::test]
async fn trap_02_frames_leave_with_whole_messages_and_come_as_they_like() {
    let server = start().await;
    let mut socket = Socket::connect(&server, PATH).await;
    let both = call("1", "Echo", json!(["é"])) + &call("2", "Echo", json!(["b"]));
    for byte in both.as_bytes() {
        socket.send_bytes(&[*byte]).await;
    }
    // `receive` insists on whole messages.
    assert_eq!(socket.receive().await["result"], "é");
    assert_eq!(socket.receive().await["result"], "b");
}

#[tokio::test]
async fn trap_03_message_pack_is_read_freely_and_written_strictly() {
    let mut config = config();
    config.times.keep_alive = Duration::from_millis(20);
    let server = start_with(config).await;
    let mut socket = message_pack(&server).await;
    assert_eq!(binary(&mut socket).await, b"\x02\x91\x06", "a ping");
    let answer = b"\x08\x95\x03\x80\xa11\x03\xa1x";
    for call in [
        &b"\x0d\x95\x01\x80\xa11\xa4Echo\x91\xa1x"[..],
        b"\x0e\x96\x01\x80\xa11\xa4Echo\x91\xa1x\x90",
        // More elements than there are, and numbers wider than needed.
        b"\x12\x97\xd1\x00\x01\x80\xa11\xa4Echo\x91\xd9\x01x\x90\xc0",
    ] {
        socket.send_bytes(call).await;
        loop {
            let frame = binary(&mut socket).await;
            if frame != b"\x02\x91\x06" {
                assert_eq!(frame, answer);
                break;
            }
        }
    }
    for close in [&b"\x03\x92\x07\xc0"[..], b"\x04\x93\x07\xc0\xc2"] {
        let mut socket = message_pack(&server).await;
        socket.send_bytes(close).await;
        loop {
            let frame = binary(&mut socket).await;
            if frame != b"\x02\x91\x06" {
                assert_eq!(frame, b"\x04\x93\x07\xc0\xc3");
                break;
            }
        }
    }
}

#[tokio::test]
async fn trap_04_a_method_without_a_result_completes_with_null() {
    let server = start().await;
    let mut socket = Socket::connect(&server, PATH).await;
    socket.invoke("1", "Nothing", json!([])).await;
    let expected = "{\"type\":3,\"invocationId\":\"1\",\"result\":null}\u{1e}";
    assert_eq!(socket.frame().await.unwrap(), Message::text(expected));
    let mut socket = message_pack(&server).await;
    socket.send_bytes(b"\x0f\x96\x01\x80\xa11\xa7Nothing\x90\x90").await;
    assert_eq!(binary(&mut socket).await, b"\x07\x95\x03\x80\xa11\x03\xc0");
}

#[tokio::test]
async fn trap_05_calls_are_answered_once_or_never() {
    let server = start().await;
    let mut socket = Socket::connect(&server, PATH).await;
    for target in ["Echo", "Fail", "Unknown"] {
        socket.send(json!({"type": 1, "target": target, "arguments": ["x"]})).await;
    }
    socket.invoke("1", "Forever", json!([])).await;
    socket.send(json!({"type": 5, "invocationId": "1"})).await;
    socket.send(json!({"type": 5, "invocationId": "1"})).await;
    assert_eq!(socket.receive().await["invocationId"], "1");
    socket.invoke("2", "Echo", json!([2])).await;
    assert_eq!(socket.receive().await, json!({"type": 3, "invocationId": "2", "result": 2}));
}

#[tokio::test]
async fn trap_06_names_of_methods_routes_and_queries_have_no_case() {
    let server = start().await;
    let response = negotiate(&server, "/HUBS/tEST?NEGOTIATEVERSION=1&USESTATEFULRECONNECT=TRUE").await;
    assert_eq!((&response["negotiateVersion"], &response["useStatefulReconnect"]), (&json!(1), &json!(true)));
    let id = response["connectionToken"].as_str().unwrap();
    let mut socket = Socket::connect(&server, &format!("/Hubs/Test?Id={id}")).await;
    assert_eq!(socket.call("eCHO", json!([1])).await, Ok(json!(1)));
}

#[tokio::test]
async fn trap_07_the_statuses_of_long_polling() {
    let mut config = config();
    config.times.poll = Duration::from_millis(20);
    let server = start_with(config).await;
    let path = negotiated(&server, PATH).await;
    let status = |(status, _, body): (u16, String, String)| (status, body);
    assert_eq!(status(get(&server, &path).await), (200, String::new()), "the first poll returns at once");
    post(&server, &path, support::requests::HANDSHAKE).await;
    assert_eq!(status(get(&server, &path).await), (200, "{}\u{1e}".into()));
    assert_eq!(status(get(&server, &path).await), (200, String::new()), "nothing came");
    post(&server, &path, &call("1", "Abort", json!([]))).await;
    assert_eq!(get(&server, &path).await.0, 200);
    assert_eq!(status(get(&server, &path).await), (204, String::new()), "over");
    let path = poll_as(&server, PATH).await;
    assert_eq!(status(delete(&server, &path).await), (202, String::new()));
    assert_eq!(get(&server, &path).await.0, 404);
}

#[tokio::test]
async fn trap_08_events_begin_with_a_comment_and_have_crlf() {
    let server = start().await;
    let path = negotiated(&server, PATH).await;
    let mut events = Events::open(&server, &path).await;
    assert_eq!(events.chunk().await.unwrap(), ":\r\n");
    post(&server, &path, MESSAGE_PACK).await;
    let refusal = events.chunk().await.unwrap();
    assert!(refusal.starts_with("data: {\"error\":\"Cannot use the 'messagepack' protocol"), "{refusal}");
    assert!(refusal.ends_with("\u{1e}\r\n\r\n"), "{refusal}");
}

#[tokio::test]
async fn trap_09_an_id_is_for_one_transport() {
    let server = start().await;
    let path = negotiated(&server, PATH).await;
    let _socket = Socket::connect(&server, &path).await;
    let (status, _, body) = get(&server, &path).await;
    assert_eq!((status, body.as_str()), (400, "Cannot change transports mid-connection"));
    // After a new negotiation it goes.
    poll_as(&server, PATH).await;
}

#[tokio::test]
async fn trap_11_version_2_counts_from_the_sequence_and_checks_its_bounds() {
    let server = start().await;
    let mut plain = Socket::open(&server, PATH).await.unwrap();
    plain.send_text("{\"protocol\":\"json\",\"version\":2}\u{1e}").await;
    let error = "The server does not support version 2 of the 'json' protocol.";
    assert_eq!(plain.receive().await, json!({ "error": error }));
    for (sequence, good) in [(2, true), (1, true), (0, false), (-1, false), (3, false)] {
        let (mut socket, path) = stateful(&server).await;
        assert_eq!(socket.call("Echo", json!(["x"])).await, Ok(json!("x")));
        socket.cut();
        let mut socket = Socket::open(&server, &path).await.unwrap();
        socket.invoke("dropped", "Echo", json!([0])).await;
        socket.send(json!({"type": 9, "sequenceId": sequence})).await;
        // With 1 the call is a repetition, with 2 it is new.
        for id in ["call", "next"] {
            let invocation = call(id, "Echo", json!([id]));
            socket.send_text(&invocation).await;
        }
        assert_eq!(socket.receive().await, json!({"type": 9, "sequenceId": 1}));
        assert_eq!(socket.receive().await["result"], "x", "repeated");
        let next = socket.receive().await;
        match (good, sequence) {
            (true, 1) => assert_eq!(next["result"], "next"),
            (true, _) => assert_eq!(next["result"], "call"),
            (false, _) => assert_eq!(next["error"], "Connection closed with an error."),
        }
    }
}

#[tokio::test]
async fn trap_12_refusals_have_plain_texts_or_a_reason_phrase() {
    let server = start().await;
    let (status, head, body) = post(&server, "/hubs/closed/negotiate", "").await;
    assert_eq!((status, body.as_str()), (401, ""));
    assert!(head.starts_with("http/1.1 401 unauthorized\r\n"), "{head}");
    let (status, head, body) = get(&server, &format!("{PATH}?id=unknown")).await;
    assert_eq!((status, body.as_str()), (404, "No Connection with that ID"));
    assert!(head.starts_with("http/1.1 404 not found\r\n"), "{head}");
    assert!(head.contains("content-type: text/plain"), "{head}");
}

#[tokio::test]
async fn trap_13_waiting_for_a_client_blocks_nothing() {
    let server = start().await;
    let mut socket = Socket::connect(&server, PATH).await;
    // One call at a time is the default.
    socket.invoke("1", "Ask", json!([])).await;
    let question = socket.receive().await;
    assert_eq!(question["target"], "Answer");
    assert_eq!(socket.call("Echo", json!(["meanwhile"])).await, Ok(json!("meanwhile")));
    socket.send(json!({"type": 3, "invocationId": question["invocationId"], "result": "answer"})).await;
    assert_eq!(socket.receive().await, json!({"type": 3, "invocationId": "1", "result": "answer"}));
}

#[tokio::test]
async fn trap_14_errors_carry_the_names_of_net_exceptions() {
    let mut config = config();
    config.detailed_errors = true;
    let base = "An unexpected error occurred invoking 'Fail' on the server.";
    for (server, detailed) in [(start().await, false), (start_with(config).await, true)] {
        let mut socket = Socket::connect(&server, PATH).await;
        for (name, shown) in [("HubException", true), ("InvalidOperationException", detailed)] {
            let expected = if shown { format!("{base} {name}: why") } else { base.to_owned() };
            assert_eq!(socket.call("Fail", json!([name])).await, Err(expected));
        }
    }
}

#[tokio::test]
async fn trap_15_acknowledgements_come_once_a_second() {
    let server = start().await;
    let (mut socket, _) = stateful(&server).await;
    for id in 0..50 {
        socket.invoke(&id.to_string(), "Echo", json!([id])).await;
    }
    let mut results = 0;
    loop {
        let message = socket.receive().await;
        match message["type"].as_u64().unwrap() {
            3 => results += 1,
            8 => {
                assert_eq!((results, &message["sequenceId"]), (50, &json!(50)));
                break;
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn trap_16_browsers_send_the_token_in_the_query() {
    let server = start().await;
    let query = format!("/hubs/closed?access_token={}", user("alice"));
    assert!(Socket::open(&server, "/hubs/closed").await.is_err());
    Socket::connect(&server, &query).await;
    Events::connect(&server, &query).await;
}

#[tokio::test]
async fn trap_17_cors_names_the_origin() {
    let mut config = config();
    config.cors.origins = vec!["*".into()];
    assert!(config.validate().is_err());
    config.cors.origins = vec!["https://app.example".into()];
    let server = start_with(config).await;
    let request = format!("POST {PATH}/negotiate HTTP/1.1\r\norigin: https://app.example\r\n\r\n");
    let (status, head, _) = http(&server, &request).await;
    assert_eq!(status, 200);
    assert!(head.contains("access-control-allow-origin: https://app.example\r\n"), "{head}");
    assert!(head.contains("access-control-allow-credentials: true\r\n"), "{head}");
}

#[tokio::test]
async fn trap_18_a_close_says_whether_to_come_back() {
    let server = start().await;
    let mut aborted = Socket::connect(&server, PATH).await;
    let mut other = Socket::connect(&server, PATH).await;
    aborted.send(json!({"type": 1, "target": "Abort", "arguments": []})).await;
    assert_eq!(aborted.rest().await, [json!({"type": 7})]);
    let stopped = tokio::spawn(server.stop());
    assert_eq!(other.rest().await, [json!({"type": 7, "allowReconnect": true})]);
    stopped.await.unwrap().unwrap();
}

#[tokio::test]
async fn trap_19_anything_received_counts_as_life_and_polls_need_no_pings() {
    let mut config = config();
    config.times.keep_alive = Duration::from_millis(40);
    config.times.client_timeout = Duration::from_millis(400);
    config.times.poll = Duration::from_millis(500);
    let server = start_with(config).await;
    let mut socket = Socket::connect(&server, PATH).await;
    // A ping is answered with any message, for longer than the timeout.
    for _ in 0..15 {
        assert_eq!(socket.frame().await.unwrap(), Message::text("{\"type\":6}\u{1e}"));
        socket.send(json!({"type": 3, "invocationId": "unknown", "result": 0})).await;
    }
    assert_eq!(socket.call("Echo", json!([1])).await, Ok(json!(1)));
    let rest = socket.rest().await;
    assert_eq!(rest[0]["error"], "Connection closed with an error.");
    let path = poll_as(&server, PATH).await;
    assert_eq!(get(&server, &path).await.2, "", "longer than both times");
    post(&server, &path, &call("1", "Echo", json!([1]))).await;
    assert_eq!(records(&get(&server, &path).await.2)[0]["result"], 1);
}

#[tokio::test]
async fn trap_20_only_an_abnormal_loss_can_be_resumed() {
    let server = start().await;
    let (mut socket, path) = stateful(&server).await;
    assert_eq!(socket.call("Echo", json!([1])).await, Ok(json!(1)));
    socket.cut();
    let mut socket = Socket::open(&server, &path).await.unwrap();
    assert_eq!(socket.receive().await["type"], 9);
    socket.close().await;
    while server.handle().statistics().connections > 0 {
        tokio::task::yield_now().await;
    }
    assert!(Socket::open(&server, &path).await.is_err());
}
