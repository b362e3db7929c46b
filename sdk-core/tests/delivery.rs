//! What a client makes of messages that want to be acknowledged, batches, changes and streams with history. No sockets.
#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Duration;

use hubwire::client::{
    AckMode, Client, Command, Config, ConnectionState, DeliveryId, Event, GapSource, Hint, Input, LinkId,
    Output, RequestFailure,
};
use hubwire::protocol::delivery::{MESSAGE_HEADER, POSITION_HEADER};
use hubwire::protocol::{
    AvailableTransport, Call, Completion, Encoding, Extensions, Feature, HandshakeResponse, Headers,
    HubMessage, Invocation, NegotiateResponse, Negotiated, Outcome, Payload, Transport,
};
use hubwire::{ErrorKind, Time};
use serde_json::{Value, json};

/// What the application was given, and what the server was sent.
#[derive(Debug, Default)]
struct Seen {
    calls: Vec<(String, Value)>,
    deliveries: Vec<DeliveryId>,
    gaps: Vec<GapSource>,
    sent: Vec<(Option<String>, String, Value)>,
}

impl Seen {
    fn targets(&self) -> Vec<&str> {
        self.calls.iter().map(|(target, _)| target.as_str()).collect()
    }

    fn arguments(&self) -> Vec<&Value> {
        self.calls.iter().map(|(_, arguments)| arguments).collect()
    }

    fn methods(&self) -> Vec<(&str, &Value)> {
        self.sent.iter().map(|(_, target, arguments)| (target.as_str(), arguments)).collect()
    }
}

struct World {
    client: Client<Payload>,
    now: Time,
    link: Option<LinkId>,
    wait: Option<Time>,
    question: Option<String>,
    features: Vec<Feature>,
}

impl World {
    fn new(features: &[Feature], change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::new("http://h/hub");
        config.transports = vec![Transport::WebSockets];
        config.client_id = Some("me".into());
        change(&mut config);
        let client = Client::new(config, 1);
        let mut world = Self {
            client,
            now: Time::from_millis(1),
            link: None,
            wait: None,
            question: None,
            features: features.to_vec(),
        };
        world.give(Input::Command(Command::Start));
        world.connect();
        world
    }

    fn hubwire() -> Self {
        Self::new(&[Feature::Ack, Feature::History, Feature::Delta], |_| {})
    }

    fn connect(&mut self) {
        for _ in 0..20 {
            if self.client.state() == ConnectionState::Connected {
                return;
            }
            self.now = self.wait.unwrap_or(self.now).max(self.now);
            self.give(Input::Tick);
        }
        panic!("not connected");
    }

    fn lose(&mut self) {
        let link = self.link.unwrap();
        self.give(Input::Closed(link, Err(RequestFailure::Network("cut".into()))));
    }

    fn give(&mut self, input: Input<Payload>) -> Seen {
        let mut seen = Seen::default();
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            self.client.handle(self.now, input).unwrap();
            loop {
                match self.client.poll() {
                    Output::Wait(deadline) => {
                        self.wait = deadline;
                        break;
                    }
                    Output::Negotiate(request, _) => {
                        inputs.push(Input::Negotiated(request, Ok(self.negotiated())))
                    }
                    Output::Open(link, request) => {
                        assert!(request.url.contains("hubwire=1&clientId=me"), "{}", request.url);
                        self.link = Some(link);
                        inputs.push(Input::Opened(link));
                    }
                    Output::Handshake(link, _) => {
                        inputs.push(Input::Handshake(link, Ok(HandshakeResponse::default())));
                    }
                    Output::Transmit(_, HubMessage::Invocation(Invocation { invocation_id, call })) => {
                        let id = invocation_id.map(|id| id.to_string());
                        if id.is_some() {
                            self.question.clone_from(&id);
                        }
                        seen.sent.push((id, call.target.to_string(), call.arguments.decode().unwrap()));
                    }
                    Output::Event(Event::Invocation { target, arguments, delivery, .. }) => {
                        seen.calls.push((target.to_string(), arguments.decode().unwrap()));
                        seen.deliveries.extend(delivery);
                    }
                    Output::Event(Event::Gap { source, error }) => {
                        assert_eq!(error.kind(), ErrorKind::Gap);
                        // In order with the calls.
                        seen.calls.push(("GAP".into(), Value::Null));
                        seen.gaps.push(source);
                    }
                    _ => {}
                }
            }
        }
        seen
    }

    fn negotiated(&self) -> NegotiateResponse {
        let extensions = Extensions { version: 1, features: self.features.clone(), ..Extensions::default() };
        NegotiateResponse::Accepted(Negotiated {
            connection_id: "c".into(),
            connection_token: Some("t".into()),
            version: 1,
            transports: vec![AvailableTransport {
                transport: Transport::WebSockets,
                formats: Transport::WebSockets.formats(),
            }],
            extensions: Some(extensions).filter(|extensions| !extensions.features.is_empty()),
            ..Negotiated::default()
        })
    }

    fn call(&mut self, target: &str, arguments: Value, headers: &[(&str, &str)]) -> Seen {
        let headers: Headers =
            headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let call =
            Call { headers, ..Call::new(target, Payload::encode(Encoding::Json, &arguments).unwrap()) };
        let message = HubMessage::Invocation(Invocation { invocation_id: None, call });
        self.give(Input::Message(self.link.unwrap(), message))
    }

    fn complete(&mut self, id: &str, value: Value) -> Seen {
        let value = Payload::encode(Encoding::Json, &value).unwrap();
        let message = HubMessage::Completion(Completion::new(id, Outcome::Value(value)));
        self.give(Input::Message(self.link.unwrap(), message))
    }

    fn handled(&mut self, delivery: DeliveryId, result: Result<(), String>) -> Seen {
        self.give(Input::Command(Command::Handled(delivery, result)))
    }

    fn last_question(&self) -> String {
        self.question.clone().unwrap()
    }

    fn pass(&mut self, millis: u64) -> Seen {
        self.now = self.now + Duration::from_millis(millis);
        self.give(Input::Tick)
    }

    fn acknowledgeable(&mut self, id: &str) -> Seen {
        self.call("M", json!([{"messageId": id}]), &[(MESSAGE_HEADER, id)])
    }

    fn streamed(&mut self, position: &str) -> Seen {
        self.call("S", json!([position]), &[(POSITION_HEADER, position)])
    }

    fn subscribed(&mut self, position: &str) -> Seen {
        self.call("HubwirePosition", json!([]), &[(POSITION_HEADER, position)])
    }
}

#[test]
fn a_message_is_acknowledged_after_its_handlers_and_acknowledgements_travel_together() {
    let mut world = World::hubwire();
    let seen = world.acknowledgeable("a");
    assert_eq!(seen.targets(), ["M"]);
    assert!(seen.sent.is_empty(), "nobody has handled it");
    let first = seen.deliveries[0];
    let second = world.acknowledgeable("b").deliveries[0];
    assert!(world.handled(second, Ok(())).sent.is_empty());
    assert!(world.handled(first, Ok(())).sent.is_empty());
    assert!(world.handled(first, Ok(())).sent.is_empty(), "only once");
    let sent = world.pass(25);
    assert_eq!(sent.methods(), [("AcknowledgeMessages", &json!([["b", "a"]]))]);
    assert_eq!(sent.sent[0].0, None, "nobody waits for an answer");
    let one = world.acknowledgeable("c").deliveries[0];
    world.handled(one, Ok(()));
    assert_eq!(world.pass(25).methods(), [("AcknowledgeMessage", &json!(["c"]))]);
    assert_eq!(world.client.metrics().acknowledged, 3);
}

#[test]
fn a_hundred_acknowledgements_do_not_wait() {
    let mut world = World::hubwire();
    let mut sent = Vec::new();
    for number in 0..100 {
        let delivery = world.acknowledgeable(&number.to_string()).deliveries[0];
        sent = world.handled(delivery, Ok(())).sent;
    }
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].2[0].as_array().unwrap().len(), 100);
}

#[test]
fn nothing_waits_for_timers_in_the_background() {
    let mut world = World::hubwire();
    world.give(Input::Hint(Hint::Background));
    let delivery = world.acknowledgeable("a").deliveries[0];
    assert_eq!(world.handled(delivery, Ok(())).methods(), [("AcknowledgeMessage", &json!(["a"]))]);
}

#[test]
fn a_failed_handler_is_told_at_once_and_the_message_may_come_again() {
    let mut world = World::hubwire();
    let before = world.acknowledgeable("before").deliveries[0];
    world.handled(before, Ok(()));
    let delivery = world.acknowledgeable("a").deliveries[0];
    let long = "x".repeat(2000);
    let sent = world.handled(delivery, Err(long));
    assert_eq!(sent.sent[0].1, "AcknowledgeMessage", "in the order of events");
    assert_eq!(sent.sent[1].1, "NackMessage");
    assert_eq!(sent.sent[1].2[1].as_str().unwrap().len(), 1024);
    assert_eq!(world.acknowledgeable("a").targets(), ["M"]);
}

#[test]
fn repetitions_are_acknowledged_again_and_not_given_to_the_application() {
    let mut world = World::hubwire();
    let delivery = world.acknowledgeable("a").deliveries[0];
    assert!(world.acknowledgeable("a").calls.is_empty(), "it has it");
    // The connection is lost while the handler runs.
    world.lose();
    world.handled(delivery, Ok(()));
    world.connect();
    assert!(world.acknowledgeable("a").calls.is_empty());
    assert_eq!(world.pass(25).methods(), [("AcknowledgeMessage", &json!(["a"]))]);
    assert_eq!(world.client.metrics().duplicates_dropped, 2);
}

#[test]
fn the_window_and_the_open_messages_are_bounded() {
    let mut world = World::new(&[Feature::Ack], |config| {
        config.delivery.ack_window = 2;
        config.delivery.max_unacknowledged = 2;
    });
    let a = world.acknowledgeable("a").deliveries[0];
    let b = world.acknowledgeable("b").deliveries[0];
    let full = world.acknowledgeable("c");
    assert!(full.calls.is_empty());
    assert_eq!(full.sent[0].1, "NackMessage", "it will come again");
    world.handled(a, Ok(()));
    world.handled(b, Ok(()));
    let c = world.acknowledgeable("c").deliveries[0];
    world.handled(c, Ok(()));
    assert_eq!(world.acknowledgeable("a").targets(), ["M"], "forgotten");
    assert!(world.acknowledgeable("b").calls.is_empty(), "remembered");
}

#[test]
fn modes_are_those_of_the_method() {
    let mut world = World::new(&[Feature::Ack], |config| {
        config.delivery.targets = vec![
            ("Manual".into(), AckMode::Manual),
            ("off".into(), AckMode::Off),
            ("Own".into(), AckMode::Auto),
        ];
    });
    let seen = world.call("manual", json!([{"messageId": "m"}]), &[]);
    assert_eq!((seen.calls.len(), seen.deliveries.len()), (1, 0));
    assert!(world.call("manual", json!([{"messageId": "m"}]), &[]).calls.is_empty(), "a repetition");
    world.give(Input::Command(Command::Acknowledge("m".into())));
    assert_eq!(world.pass(25).methods(), [("AcknowledgeMessage", &json!(["m"]))]);
    world.call("Manual", json!([{"messageId": "n"}]), &[]);
    let sent = world.give(Input::Command(Command::Nack("n".into(), "no".into())));
    assert_eq!(sent.methods(), [("NackMessage", &json!(["n", "no"]))]);
    for _ in 0..2 {
        let seen = world.call("Off", json!([{"messageId": "o"}]), &[(MESSAGE_HEADER, "o")]);
        assert_eq!((seen.calls.len(), seen.deliveries.len()), (1, 0));
    }
    assert_eq!(world.call("Own", json!([{"messageId": "p"}]), &[]).deliveries.len(), 1);
    // Without a header and without a name in the configuration it is a message like any other.
    assert_eq!(world.call("Else", json!([{"messageId": "q"}]), &[]).deliveries.len(), 0);
}

#[test]
fn servers_that_did_not_say_so_are_acknowledged_only_what_was_named() {
    let mut world = World::new(&[], |config| {
        config.delivery.targets = vec![("Named".into(), AckMode::Auto)];
    });
    assert!(world.call("Else", json!([{"messageId": "a"}]), &[]).deliveries.is_empty());
    let mut last = Seen::default();
    for id in ["b", "c"] {
        let delivery = world.call("Named", json!([{"messageId": id, "data": 1}]), &[]).deliveries[0];
        last = world.handled(delivery, Ok(()));
    }
    assert!(last.sent.is_empty());
    // Such a server knows no lists.
    let one = |id| ("AcknowledgeMessage", json!([id]));
    let (b, c) = (one("b"), one("c"));
    assert_eq!(world.pass(25).methods(), [(b.0, &b.1), (c.0, &c.1)]);
}

#[test]
fn batches_come_apart_and_bad_members_lose_nothing() {
    let mut world = World::hubwire();
    let batch = json!([{"batchId": "b", "count": 4, "methodName": "M", "messages": [
        {"messageId": "1", "x": 1}, {"x": 2}, 7, {"messageId": "1", "x": 1}
    ]}]);
    let seen = world.call("MBatch", batch, &[]);
    assert_eq!(seen.targets(), ["M", "M", "M"]);
    assert_eq!(seen.arguments(), [&json!([{"messageId": "1", "x": 1}]), &json!([{"x": 2}]), &json!([7])]);
    assert_eq!(seen.deliveries.len(), 1);
    assert_eq!((world.client.metrics().malformed, world.client.metrics().duplicates_dropped), (0, 1));
    let lists =
        json!([{"batchId": "b", "argumentsPerMessage": true, "messages": [["t", 1], {"messageId": "bad"}]}]);
    let seen = world.call("PBatch", lists, &[]);
    assert_eq!(seen.calls, [("P".to_owned(), json!(["t", 1]))]);
    assert_eq!(world.client.metrics().malformed, 1);
    assert_eq!(seen.methods(), [("NackMessage", &json!(["bad", "The member of the batch is malformed."]))]);
    for other in [json!([{"messages": 1}]), json!([]), json!(["x"])] {
        assert_eq!(world.call("StartBatch", other, &[]).targets(), ["StartBatch"], "a method of that name");
    }
    assert_eq!(world.call("Batch", json!([{"batchId": "b", "messages": []}]), &[]).targets(), ["Batch"]);
}

#[test]
fn changes_are_merged_and_gaps_are_repaired() {
    let mut world = World::hubwire();
    let delta = |value: Value| json!([value]);
    let full = json!({"taskId": "t", "a": 1, "b": {"c": 1}, "sequence": 5, "full": true});
    let seen = world.call("TDelta", delta(full.clone()), &[]);
    assert_eq!(seen.targets(), ["TDelta", "T"]);
    assert_eq!(seen.arguments(), [&json!([full]), &json!([{"taskId": "t", "a": 1, "b": {"c": 1}}])]);
    let next = json!({"taskId": "t", "b": {"d": 2}, "a": null, "sequence": 6, "baseSequence": 5});
    let seen = world.call("TDelta", delta(next.clone()), &[]);
    assert_eq!(seen.calls[1].1, json!([{"taskId": "t", "b": {"c": 1, "d": 2}}]));
    assert_eq!(world.call("TDelta", delta(next), &[]).targets(), ["TDelta"], "it is known");
    // 7 is lost.
    let seen =
        world.call("TDelta", delta(json!({"taskId": "t", "e": 8, "sequence": 8, "baseSequence": 7})), &[]);
    assert_eq!(seen.targets(), ["TDelta"]);
    assert_eq!(seen.methods(), [("HubwireSnapshot", &json!(["T", "t"]))]);
    let id = seen.sent[0].0.clone().unwrap();
    let seen =
        world.call("TDelta", delta(json!({"taskId": "t", "f": 9, "sequence": 9, "baseSequence": 8})), &[]);
    assert!(seen.sent.is_empty(), "asked only once");
    let seen = world.call("TDelta", delta(json!({"taskId": "t", "a": 7, "sequence": 7, "full": true})), &[]);
    let last = seen.calls.last().unwrap();
    assert_eq!(last.1, json!([{"taskId": "t", "a": 7, "e": 8, "f": 9}]), "what was held came behind it");
    assert_eq!(seen.targets(), ["TDelta", "T", "T", "T"]);
    assert!(world.complete(&id, Value::Null).calls.is_empty());
    // Other objects of the same method are not concerned.
    let seen = world.call("TDelta", delta(json!({"taskId": 2, "sequence": 3, "baseSequence": 2})), &[]);
    assert_eq!(seen.methods(), [("HubwireSnapshot", &json!(["T", "2"]))]);
    let id = seen.sent[0].0.clone().unwrap();
    let seen = world.complete(&id, Value::Null);
    assert_eq!(seen.gaps, [GapSource::Object { target: "T".into(), key: "2".into() }], "nothing came");
}

#[test]
fn changes_of_servers_that_do_not_count_are_merged_as_they_are() {
    let mut world = World::new(&[], |_| {});
    world.call("TDelta", json!([{"taskId": "t", "a": 1, "b": 2}]), &[]);
    let seen = world.call("TDelta", json!([{"taskId": "t", "a": null, "b": 3}]), &[]);
    assert_eq!(seen.calls[1].1, json!([{"taskId": "t", "a": 1, "b": 3}]), "null has not changed");
    let seen = world.call("TDelta", json!([{"taskId": "u", "sequence": 2, "baseSequence": 1}]), &[]);
    assert_eq!(seen.gaps.len(), 1, "there is nobody to ask");
    assert!(seen.sent.is_empty());
    let seen = world.call("TDelta", json!([{"taskId": "u", "sequence": 3, "baseSequence": 2}]), &[]);
    assert_eq!(seen.gaps.len(), 0, "once");
    assert_eq!(world.call("TDelta", json!(["no object"]), &[]).targets(), ["TDelta"]);
}

#[test]
fn objects_and_held_changes_are_bounded() {
    let mut world = World::new(&[Feature::Delta], |config| {
        config.delivery.max_objects = 2;
        config.delivery.max_held_deltas = 2;
        config.delivery.max_object_bytes = 400;
    });
    for key in ["a", "b", "c"] {
        world.call("TDelta", json!([{"key": key, "x": 1, "sequence": 1, "full": true}]), &[]);
    }
    let next =
        |key: &str, sequence: u64| json!([{"key": key, "sequence": sequence, "baseSequence": sequence - 1}]);
    assert!(world.call("TDelta", next("c", 2), &[]).sent.is_empty());
    assert_eq!(world.call("TDelta", next("a", 2), &[]).sent.len(), 1, "forgotten, and asked for");
    for sequence in 5..9 {
        world.call("TDelta", next("a", sequence), &[]);
    }
    let large = "x".repeat(500);
    let seen = world.call("TDelta", json!([{"key": "d", "x": large, "sequence": 1, "full": true}]), &[]);
    assert_eq!(seen.targets(), ["TDelta", "T"], "given, and not kept");
    assert_eq!(world.call("TDelta", next("d", 2), &[]).sent.len(), 1);
}

#[test]
fn what_a_stream_lacks_is_asked_for_and_comes_in_order() {
    let mut world = World::hubwire();
    assert!(world.subscribed("e/3/group:a").sent.is_empty());
    assert_eq!(world.streamed("e/4/group:a").targets(), ["S"]);
    assert!(world.streamed("e/4/group:a").calls.is_empty(), "a repetition");
    world.lose();
    world.connect();
    // Live messages may come before the client knows that it lacks something.
    let seen = world.streamed("e/7/group:a");
    assert!(seen.calls.is_empty());
    assert_eq!(seen.methods(), [("HubwireRecover", &json!([["e/4/group:a"]]))]);
    let id = seen.sent[0].0.clone().unwrap();
    assert!(world.subscribed("e/7/group:a").sent.is_empty(), "it has asked");
    assert_eq!(world.streamed("e/5/group:a").targets(), ["S"]);
    let seen = world.complete(&id, json!(["more:e/5/group:a"]));
    assert_eq!(seen.methods(), [("HubwireRecover", &json!([["e/5/group:a"]]))]);
    let id = seen.sent[0].0.clone().unwrap();
    for position in ["e/6/group:a", "e/7/group:a"] {
        assert_eq!(world.streamed(position).targets(), ["S"]);
    }
    let seen = world.complete(&id, json!(["complete:e/7/group:a"]));
    assert!(seen.sent.is_empty() && seen.gaps.is_empty());
    assert_eq!(world.streamed("e/8/group:a").targets(), ["S"]);
    let positions: Vec<_> = world.client.positions().iter().map(ToString::to_string).collect();
    assert_eq!(positions, ["e/8/group:a"]);
}

#[test]
fn a_page_is_for_all_streams_together() {
    let mut world = World::hubwire();
    for stream in ["a", "b"] {
        world.subscribed(&format!("e/0/{stream}"));
    }
    world.lose();
    world.connect();
    world.subscribed("e/2/a");
    let seen = world.complete("1", Value::Null);
    assert!(seen.sent.is_empty(), "not the answer");
    world.subscribed("e/2/b");
    world.streamed("e/1/a");
    world.streamed("e/2/a");
    let id = world.last_question();
    let seen = world.complete(&id, json!(["complete:e/2/a"]));
    assert_eq!(seen.methods(), [("HubwireRecover", &json!([["e/0/b"]]))]);
    world.lose();
    world.connect();
    world.subscribed("e/3/a");
    let id = world.last_question();
    world.subscribed("e/2/b");
    world.streamed("e/3/a");
    world.complete(&id, json!(["complete:e/3/a"]));
    let id = world.last_question();
    assert!(world.complete(&id, json!(["more:e/2/b"])).gaps.len() == 1, "it was said to have come");
}

#[test]
fn a_server_without_room_is_asked_again() {
    let mut world = World::hubwire();
    world.subscribed("e/0/b");
    world.lose();
    world.connect();
    let mut seen = world.subscribed("e/2/b");
    for _ in 0..30 {
        let id = seen.sent[0].0.clone().unwrap();
        seen = world.complete(&id, json!(["more:e/0/b"]));
        assert!(seen.sent.is_empty() && seen.gaps.is_empty(), "not at once");
        seen = world.pass(1000);
        assert_eq!(seen.methods(), [("HubwireRecover", &json!([["e/0/b"]]))]);
        world.give(Input::Message(world.link.unwrap(), HubMessage::Ping));
    }
    let id = seen.sent[0].0.clone().unwrap();
    assert_eq!(world.complete(&id, json!(["more:e/0/b"])).gaps.len(), 1, "not for ever");
}

#[test]
fn quiet_streams_recover_too() {
    let mut world = World::hubwire();
    world.subscribed("e/0/user:u");
    world.lose();
    world.connect();
    let seen = world.subscribed("e/2/user:u");
    assert_eq!(seen.methods(), [("HubwireRecover", &json!([["e/0/user:u"]]))]);
}

#[test]
fn what_cannot_be_had_is_a_gap_before_the_next_message() {
    let source = GapSource::Stream("s".into());
    // Another epoch, with and without a subscription that says so.
    let mut world = World::hubwire();
    world.streamed("e/4/s");
    assert_eq!(world.streamed("f/1/s").targets(), ["GAP", "S"]);
    assert_eq!(world.subscribed("g/9/s").gaps, std::slice::from_ref(&source));
    assert_eq!(world.streamed("g/10/s").targets(), ["S"]);
    // The stream goes back: its end was lost.
    assert_eq!(world.subscribed("g/8/s").gaps, std::slice::from_ref(&source));
    assert_eq!(world.streamed("g/9/s").targets(), ["S"]);
    // The server says so, or something that cannot be, or nothing.
    let answers = [
        json!(["lost:g/20/s"]),
        json!(["complete:g/20/s"]),
        json!(["what:g/9/s"]),
        json!([]),
        json!("no list"),
    ];
    for answer in answers {
        let mut world = World::hubwire();
        world.streamed("g/9/s");
        let seen = world.streamed("g/20/s");
        let id = seen.sent[0].0.clone().unwrap();
        assert_eq!(world.complete(&id, answer.clone()).gaps, std::slice::from_ref(&source), "{answer}");
        assert_eq!(world.streamed("g/21/s").targets(), ["S"], "{answer}");
    }
    // Nothing, for too long.
    let mut world = World::hubwire();
    world.streamed("g/9/s");
    world.streamed("g/20/s");
    // The server still pings.
    for _ in 0..4 {
        world.now = world.now + Duration::from_secs(14);
        world.give(Input::Message(world.link.unwrap(), HubMessage::Ping));
    }
    assert_eq!(world.pass(4000).gaps, [source]);
}

#[test]
fn a_stream_that_was_left_is_no_gap() {
    let mut world = World::hubwire();
    world.streamed("e/4/s");
    let seen = world.streamed("e/9/s");
    let id = seen.sent[0].0.clone().unwrap();
    let seen = world.complete(&id, json!(["unsubscribed"]));
    assert!(seen.gaps.is_empty() && seen.sent.is_empty());
    // Subscribed again, it goes on from where it was.
    assert_eq!(world.subscribed("e/9/s").methods(), [("HubwireRecover", &json!([["e/4/s"]]))]);
}

#[test]
fn positions_are_bounded_and_outlive_the_process() {
    let mut world = World::new(&[Feature::History], |config| {
        config.delivery.max_streams = 2;
        config.positions = vec![hubwire::protocol::delivery::Position::parse(&"e/4/a".into()).unwrap()];
    });
    assert_eq!(world.subscribed("e/6/a").methods(), [("HubwireRecover", &json!([["e/4/a"]]))]);
    world.streamed("e/1/b");
    assert_eq!(world.streamed("e/1/c").gaps, [GapSource::Stream("a".into())]);
    assert_eq!(world.call("S", json!([1]), &[(POSITION_HEADER, "no position")]).targets(), ["S"]);
}
