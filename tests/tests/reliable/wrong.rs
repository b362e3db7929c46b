//! Calls and sends that cannot be done.

use hubwire_server::testing::TestServer;
use hubwire_server::{BuildError, Hub, HubError, HubOptions, SendError, Server};
use serde_json::json;

use crate::bench::{Bench, Client, eager, message, options, soon};

#[tokio::test]
async fn wrong_calls_are_answered_and_lose_nothing() {
    let bench = Bench::start(eager()).await;
    let mut client = bench.connect("alice", "a").await;
    let confirmation = bench.clients.all().reliable(options()).send("Show", message("m")).await.unwrap();
    client.shown().await;
    let many: Vec<_> = (0..101).map(|number| number.to_string()).collect();
    for (target, arguments) in [
        ("AcknowledgeMessage", json!([])),
        ("AcknowledgeMessage", json!(["m", "m"])),
        ("AcknowledgeMessage", json!([5])),
        ("AcknowledgeMessage", json!([null])),
        ("AcknowledgeMessages", json!(["m"])),
        ("AcknowledgeMessages", json!([["m", 5]])),
        ("AcknowledgeMessages", json!([many])),
        ("NackMessage", json!([])),
        ("NackMessage", json!(["m", 5])),
        ("NackMessage", json!(["m", "a", "b"])),
        ("GetMessageStatus", json!([])),
        ("GetMessageStatus", json!([{}])),
    ] {
        let error = client.call(target, arguments.clone()).await.unwrap_err();
        let expected = format!("Failed to invoke '{target}' due to an error on the server. HubException: ");
        assert!(error.starts_with(&expected), "{target} {arguments}: {error}");
    }
    let stream = json!({"type": 4, "invocationId": "s", "target": "AcknowledgeMessage", "arguments": ["m"]});
    client.send(format!("{stream}\u{1e}")).await;
    let error = client.next().await["error"].as_str().unwrap().to_owned();
    assert!(error.contains("with a streaming invocation"), "{error}");
    let upload = json!({"type": 1, "invocationId": "u", "target": "AcknowledgeMessage", "arguments": ["m"], "streamIds": ["1"]});
    client.send(format!("{upload}\u{1e}")).await;
    let error = client.next().await["error"].as_str().unwrap().to_owned();
    assert!(error.contains("1 stream(s)"), "{error}");
    assert_eq!(bench.pending(), 1);
    client.acknowledge("m").await;
    assert!(soon("the confirmation", confirmation).await);
}

#[tokio::test]
async fn what_cannot_be_sent_is_an_error() {
    let bench = Bench::start(eager()).await;
    let _client = bench.connect("alice", "a").await;
    let all = bench.clients.all().reliable(options());
    assert_eq!(all.clone().send("Show", "text").await.unwrap_err(), SendError::NoObject);
    let nameless = bench.clients.group("").reliable(options()).send("Show", message("m")).await;
    assert_eq!(nameless.unwrap_err(), SendError::EmptyGroupName);
    let _first = all.clone().send("Show", message("m")).await.unwrap();
    let Err(SendError::Refused(text)) = all.send("Show", message("m")).await else { panic!("twice") };
    assert!(text.contains("already registered"), "{text}");
    // Without acknowledgements neither the methods nor the sends are there, and the names are free.
    async fn own(id: String) -> Result<String, HubError> {
        Ok(id)
    }
    let hub = || Hub::builder().method("acknowledgeMessage", own).build().unwrap();
    let reserved = Server::builder().hub("/hub", hub()).build().unwrap_err();
    assert_eq!(reserved, BuildError::ReservedMethod("AcknowledgeMessage".into()));
    let off = HubOptions { acknowledgements: None, ..HubOptions::default() };
    let server =
        TestServer::start(Server::builder().hub_with("/hub", hub(), off).build().unwrap()).await.unwrap();
    let mut client = Client::open(&server, "").await;
    assert_eq!(client.call("AcknowledgeMessage", json!(["own"])).await, Ok(json!("own")));
    assert!(client.call("NackMessage", json!(["m"])).await.unwrap_err().contains("Unknown hub method"));
    let all = server.handle().hub("/hub").unwrap().all();
    assert_eq!(
        all.reliable(options()).send("Show", message("m")).await.unwrap_err(),
        SendError::NoAcknowledgements
    );
    assert_eq!(server.handle().dead_letters("/hub"), None);
}
