//! Messages that clients acknowledge, over real sockets. The client is a raw one, so that what it says and gets is spelled out.
#![allow(clippy::unwrap_used, missing_docs)]

mod bench;
mod stores;
mod wrong;

use std::time::Duration;

use hubwire::HubConnection;
use hubwire::client::AckMode;
use hubwire::protocol::Encoding;
use hubwire_server::Outcome;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use bench::{Bench, Client, eager, message, options, outcomes, soon};

#[tokio::test]
async fn an_acknowledged_message_is_confirmed() {
    let bench = Bench::start(eager()).await;
    let mut client = bench.connect("alice", "device-1").await;
    let alice = bench.clients.user("alice");
    let confirmation = alice.reliable(options()).send("Show", message("m1")).await.unwrap();
    assert_eq!((confirmation.message_id(), confirmation.recipients()), ("m1", 1));
    assert_eq!(client.shown().await, (message("m1"), json!("m1")));
    client.call("acknowledgemessage", json!(["m1"])).await.unwrap();
    assert!(soon("the confirmation", confirmation).await);
    // Without an id of its own it is wrapped.
    let confirmation = alice.reliable(options()).send("Show", json!({"text": "x"})).await.unwrap();
    let (wrapper, header) = client.shown().await;
    assert_eq!((&wrapper["data"], &wrapper["messageId"]), (&json!({"text": "x"}), &header));
    assert_eq!(header, json!(confirmation.message_id()));
    client.call("AcknowledgeMessages", json!([["other", header]])).await.unwrap();
    assert_eq!(
        soon("the outcomes", confirmation.outcomes()).await,
        [("alice".into(), Outcome::Acknowledged)]
    );
    // Nobody there is nobody who has it.
    let nobody = bench.clients.user("nobody").reliable(options()).send("Show", message("m")).await.unwrap();
    assert_eq!(nobody.recipients(), 0);
    assert!(!soon("nobody", nobody).await);
    let statistics = bench.server.handle().statistics().hubs[0].reliable.unwrap();
    assert_eq!((statistics.processed_messages, statistics.pending_messages, statistics.ignored), (2, 0, 1));
}

#[tokio::test]
async fn any_signalr_client_can_acknowledge() {
    let bench = Bench::start(eager()).await;
    // One that did not announce itself gets no header.
    let mut client = Client::open(&bench.server, "").await;
    let confirmation = bench.clients.all().reliable(options()).send("Show", message("m")).await.unwrap();
    assert_eq!(client.shown().await, (message("m"), Value::Null));
    client.acknowledge("m").await;
    assert!(soon("the confirmation", confirmation).await);
    for encoding in [Encoding::Json, Encoding::MessagePack] {
        let bench = Bench::start(eager()).await;
        // As one that knows nothing of acknowledgements: its application calls the methods.
        let connection = HubConnection::builder(bench.server.url("/hub"))
            .encoding(encoding)
            .ack_mode("Show", AckMode::Off)
            .build()
            .unwrap();
        let (sender, mut shown) = mpsc::unbounded_channel();
        connection.on("Show", move |message: Value| drop(sender.send(message)));
        soon("the start", connection.start()).await.unwrap();
        let confirmation = bench.clients.all().reliable(options()).send("Show", message("m")).await.unwrap();
        for retry in 0..2 {
            let mut expected = message("m");
            expected["retryCount"] = json!(retry);
            assert_eq!(soon("a message", shown.recv()).await, Some(expected));
            if retry == 0 {
                connection.invoke::<()>("NackMessage", ("m", "once more")).await.unwrap();
            }
        }
        connection.invoke::<()>("AcknowledgeMessage", ("m",)).await.unwrap();
        assert!(soon("the confirmation", confirmation).await);
        soon("the stop", connection.stop()).await;
    }
}

#[tokio::test]
async fn a_hubwire_client_acknowledges_what_its_handler_did() {
    for encoding in [Encoding::Json, Encoding::MessagePack] {
        let bench = Bench::start(eager()).await;
        let connection = HubConnection::builder(bench.server.url("/hub")).encoding(encoding).build().unwrap();
        let (sender, mut shown) = mpsc::unbounded_channel();
        connection.on("Show", move |message: Value| drop(sender.send(message)));
        soon("the start", connection.start()).await.unwrap();
        let confirmation = bench.clients.all().reliable(options()).send("Show", message("m")).await.unwrap();
        assert_eq!(soon("a message", shown.recv()).await, Some(message("m")));
        assert!(soon("the confirmation", confirmation).await);
        soon("the stop", connection.stop()).await;
    }
}

#[tokio::test]
async fn a_critical_message_comes_again_and_counts_its_attempts() {
    let bench = Bench::start(eager()).await;
    let mut client = bench.connect("alice", "device").await;
    let alice = bench.clients.user("alice");
    let confirmation = alice.reliable(options()).send("Show", message("m")).await.unwrap();
    for retry in 0..3 {
        let (shown, header) = client.shown().await;
        assert_eq!(
            (&shown["retryCount"], &shown["text"], header),
            (&json!(retry), &json!("hello"), json!("m"))
        );
        assert_eq!(client.call("GetMessageStatus", json!(["m"])).await, Ok(json!(0)));
        match retry {
            2 => client.acknowledge("m").await,
            _ => drop(client.call("NackMessage", json!(["m", "not now"])).await.unwrap()),
        }
    }
    assert!(soon("the confirmation", confirmation).await);
    assert_eq!(client.call("GetMessageStatus", json!(["m"])).await, Ok(json!(1)));
    // What is not critical has one attempt; the reason is cut.
    let confirmation = alice.reliable(options().critical(false)).send("Show", message("n")).await.unwrap();
    client.shown().await;
    client.call("NackMessage", json!(["n", "ä".repeat(600)])).await.unwrap();
    assert_eq!(outcomes(confirmation).await, [Outcome::Nacked("ä".repeat(512).into())]);
    assert_eq!(client.call("GetMessageStatus", json!(["n"])).await, Ok(json!(2)));
}

#[tokio::test]
async fn silence_is_a_failure_in_the_end() {
    let mut limits = eager();
    limits.message_timeout = Duration::from_millis(20);
    limits.max_retry_attempts = 1;
    let bench = Bench::start(limits).await;
    let mut client = bench.connect("alice", "device").await;
    let alice = bench.clients.user("alice");
    let confirmation = alice.reliable(options()).send("Show", message("m")).await.unwrap();
    assert_eq!(outcomes(confirmation).await, [Outcome::TimedOut]);
    assert_eq!(client.ids().await, ["m", "m"]);
    assert_eq!(client.call("GetMessageStatus", json!(["m"])).await, Ok(json!(3)));
    let letters = bench.server.handle().dead_letters("/HUB").unwrap();
    let letter = &letters[0];
    assert_eq!(
        (&*letter.message_id, &*letter.recipient, &*letter.hub, &*letter.method),
        ("m", "alice", "/hub", "Show")
    );
    assert_eq!((letter.attempts, &*letter.reason), (2, "Failed after 2 attempts"));
    assert!(letter.queued_at > 1_700_000_000_000);
    // It can be sent after all.
    assert_eq!(bench.server.handle().requeue("/hub", "other"), Some(0));
    assert_eq!(bench.server.handle().requeue("/other", "m"), None);
    assert_eq!(bench.server.handle().requeue("/hub", "m"), Some(1));
    assert_eq!(client.shown().await.0["retryCount"], 0);
    client.acknowledge("m").await;
    assert_eq!(bench.server.handle().dead_letters("/hub"), Some(Vec::new()));
    assert_eq!(bench.pending(), 0);
}

#[tokio::test]
async fn who_comes_back_gets_what_it_did_not_acknowledge_in_order() {
    let mut bench = Bench::start(eager()).await;
    let mut client = bench.connect("alice", "device").await;
    let alice = bench.clients.user("alice");
    let mut confirmations = Vec::new();
    for id in ["1", "2", "3"] {
        confirmations.push(alice.reliable(options()).send("Show", message(id)).await.unwrap());
    }
    assert_eq!(client.ids().await, ["1", "2", "3"]);
    client.acknowledge("2").await;
    bench.disconnect(client).await;
    for id in ["4", "5"] {
        let confirmation = alice.reliable(options()).send("Show", message(id)).await.unwrap();
        assert_eq!(confirmation.recipients(), 1);
        confirmations.push(confirmation);
    }
    // Another user with the same name, and another name of the same user, are somebody else.
    let mut forger = bench.connect("mallory", "device").await;
    let mut other = bench.connect("alice", "other-device").await;
    for id in ["1", "3", "4"] {
        assert_eq!(forger.call("GetMessageStatus", json!([id])).await, Ok(Value::Null));
        forger.acknowledge(id).await;
        other.call("NackMessage", json!([id])).await.unwrap();
    }
    let mut client = bench.connect("alice", "device").await;
    assert_eq!(client.ids().await, ["1", "3", "4", "5"]);
    let everyone = bench.clients.user("alice").reliable(options()).send("Show", message("6")).await.unwrap();
    assert_eq!(everyone.recipients(), 2);
    assert_eq!((client.ids().await, other.ids().await), (["6".to_owned()], ["6".to_owned()]));
    client.call("AcknowledgeMessages", json!([["1", "3", "4", "5", "6"]])).await.unwrap();
    other.acknowledge("6").await;
    for confirmation in confirmations {
        assert!(soon("a confirmation", confirmation).await);
    }
    assert!(soon("the last", everyone).await);
    assert_eq!((forger.received.len(), bench.pending()), (0, 0));
    // A new connection is no attempt.
    let statistics = bench.server.handle().statistics().hubs[0].reliable.unwrap();
    assert_eq!((statistics.retries, statistics.resends), (0, 2));
}

#[tokio::test]
async fn the_newest_connection_wins_while_the_old_one_is_not_known_to_be_lost() {
    let mut bench = Bench::start(eager()).await;
    let mut old = bench.connect("alice", "device").await;
    let alice = bench.clients.user("alice");
    let first = alice.reliable(options()).send("Show", message("1")).await.unwrap();
    old.shown().await;
    let mut new = bench.connect("alice", "device").await;
    assert_eq!(new.ids().await, ["1"]);
    let second = alice.reliable(options()).send("Show", message("2")).await.unwrap();
    assert_eq!(second.recipients(), 1);
    assert_eq!(new.ids().await, ["2"]);
    // What is still on its way over the old one counts.
    old.acknowledge("1").await;
    assert!(soon("the first", first).await);
    bench.disconnect(old).await;
    new.acknowledge("2").await;
    assert!(soon("the second", second).await);
}

#[tokio::test]
async fn without_a_name_the_end_of_the_connection_is_the_end() {
    let mut bench = Bench::start(eager()).await;
    let mut client = bench.connect("alice", "").await;
    let confirmation =
        bench.clients.user("alice").reliable(options()).send("Show", message("m")).await.unwrap();
    client.shown().await;
    bench.disconnect(client).await;
    assert_eq!(outcomes(confirmation).await, [Outcome::Disconnected]);
    let mut client = bench.connect("alice", "").await;
    assert_eq!(client.call("GetMessageStatus", json!(["m"])).await, Ok(Value::Null));
    assert_eq!(client.received.len(), 0);
    // With one it is, too, when it does not come back in time.
    let mut limits = eager();
    limits.session_window = Duration::from_millis(20);
    let mut bench = Bench::start(limits).await;
    let mut client = bench.connect("alice", "device").await;
    let confirmation =
        bench.clients.user("alice").reliable(options()).send("Show", message("m")).await.unwrap();
    client.shown().await;
    bench.disconnect(client).await;
    assert!(!soon("the confirmation", confirmation).await);
    assert_eq!(bench.server.handle().dead_letters("/hub").unwrap()[0].reason, "Connection disconnected");
}

#[tokio::test]
async fn a_group_includes_members_that_are_just_reconnecting() {
    let mut bench = Bench::start(eager()).await;
    let mut there = bench.connect("alice", "a").await;
    let mut away = bench.connect("bob", "b").await;
    let mut left = bench.connect("carol", "c").await;
    for client in [&mut there, &mut away, &mut left] {
        client.call("Join", json!(["news"])).await.unwrap();
    }
    let away_id = away.call("Id", json!([])).await.unwrap();
    assert_eq!(left.call("Leave", json!(["news"])).await, Ok(json!(true)));
    bench.disconnect(away).await;
    bench.disconnect(left).await;
    let news = bench.clients.group("news").reliable(options());
    let confirmation = news.clone().send("Show", message("1")).await.unwrap();
    assert_eq!(confirmation.recipients(), 2);
    // Its last connection stands for it, to be meant and to be excluded.
    let id = away_id.as_str().unwrap();
    let single = bench.clients.client(id).reliable(options()).send("Show", message("2")).await.unwrap();
    let others = bench
        .clients
        .group_except("news", [id])
        .reliable(options())
        .send("Show", message("3"))
        .await
        .unwrap();
    assert_eq!((single.recipients(), others.recipients()), (1, 1));
    assert_eq!(there.ids().await, ["1", "3"]);
    let mut back = bench.connect("bob", "b").await;
    assert_eq!(back.ids().await, ["1", "2"]);
    // Before it has joined again.
    let early = news.clone().send("Show", message("4")).await.unwrap();
    assert_eq!((early.recipients(), back.ids().await), (2, ["4".to_owned()]));
    // And not when it does not want to.
    back.call("Leave", json!(["news"])).await.unwrap();
    assert_eq!(news.send("Show", message("5")).await.unwrap().recipients(), 1);
    there.call("AcknowledgeMessages", json!([["1", "3", "4", "5"]])).await.unwrap();
    back.call("AcknowledgeMessages", json!([["1", "2", "4"]])).await.unwrap();
    for confirmation in [confirmation, single, others, early] {
        assert!(soon("a confirmation", confirmation).await);
    }
}

#[tokio::test]
async fn one_of_several_recipients_is_not_all() {
    let mut bench = Bench::start(eager()).await;
    let mut yes = bench.connect("alice", "a").await;
    let no = bench.connect("bob", "").await;
    let confirmation = bench.clients.all().reliable(options()).send("Show", message("m")).await.unwrap();
    yes.shown().await;
    yes.acknowledge("m").await;
    bench.disconnect(no).await;
    let mut outcomes = soon("the outcomes", confirmation.outcomes()).await;
    outcomes.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(outcomes, [("alice".into(), Outcome::Acknowledged), ("bob".into(), Outcome::Disconnected)]);
}

#[tokio::test]
async fn a_method_can_wait_for_its_own_caller() {
    let bench = Bench::start(eager()).await;
    let mut client = bench.connect("alice", "a").await;
    let call = json!({"type": 1, "invocationId": "x", "target": "TellMe", "arguments": ["hello"]});
    client.send(format!("{call}\u{1e}")).await;
    let (wrapper, _) = client.shown().await;
    client.acknowledge(wrapper["messageId"].as_str().unwrap()).await;
    let completion = client.next().await;
    assert_eq!((&completion["invocationId"], &completion["result"]), (&json!("x"), &json!(true)));
}
