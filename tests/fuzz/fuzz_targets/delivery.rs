//! Whatever a server sends as batches, changes, positions and message ids: no panic, no message with the application twice,
//! no stream out of order without a gap, and acknowledgements only of what was handled.
#![no_main]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use arbitrary::Arbitrary;
use hubwire::Time;
use hubwire::client::{
    Client, Command, Config, DeliveryId, Event, GapSource, Input, LinkId, Output, RequestFailure,
};
use hubwire::protocol::delivery::{MESSAGE_HEADER, POSITION_HEADER, Position};
use hubwire::protocol::{
    Call, Completion, Encoding, Extensions, Feature, HandshakeResponse, HubMessage, Invocation,
    NegotiateResponse, Negotiated, Outcome, Payload, Transport,
};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
enum Op {
    /// A message with any arguments that are well-formed at all.
    Message {
        target: u8,
        id: Option<u8>,
        position: Option<(u8, u8, u8)>,
        arguments: Vec<u8>,
    },
    /// A header with any text.
    Header(String, bool),
    /// A change in its usual form.
    Change {
        key: u8,
        sequence: u8,
        base: Option<u8>,
        full: bool,
    },
    /// A batch in its usual form.
    Batch(Vec<Option<u8>>),
    Handled(u8, bool),
    Acknowledge(String),
    Answer(Vec<String>),
    Fail,
    Lose,
    Pass(u16),
}

const TARGETS: [&str; 6] = ["M", "MBatch", "MDelta", "HubwirePosition", "Batch", "Delta"];

struct Run {
    client: Client<Payload>,
    encoding: Encoding,
    now: Time,
    wait: Option<Time>,
    link: Option<LinkId>,
    questions: Vec<String>,
    open: BTreeSet<DeliveryId>,
    /// How often a message was acknowledged by its id, whose delivery is not known here.
    by_id: usize,
    places: BTreeMap<(String, String), u64>,
    gaps: BTreeSet<String>,
}

impl Run {
    fn give(&mut self, input: Input<Payload>) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            self.client.handle(self.now, input).expect("no misuse");
            loop {
                match self.client.poll() {
                    Output::Wait(deadline) => {
                        self.wait = deadline;
                        break;
                    }
                    Output::Negotiate(request, _) => {
                        let extensions = Some(Extensions {
                            version: 1,
                            features: vec![Feature::Ack, Feature::History, Feature::Delta],
                            ..Extensions::default()
                        });
                        let accepted = Negotiated { extensions, version: 1, ..negotiated() };
                        inputs.push(Input::Negotiated(request, Ok(NegotiateResponse::Accepted(accepted))));
                    }
                    Output::Open(link, _) => {
                        self.link = Some(link);
                        inputs.push(Input::Opened(link));
                    }
                    Output::Handshake(link, _) => {
                        inputs.push(Input::Handshake(link, Ok(HandshakeResponse::default())))
                    }
                    Output::Transmit(_, HubMessage::Invocation(Invocation { invocation_id, call })) => {
                        assert_eq!(call.arguments.encoding(), self.encoding);
                        assert!(call.arguments.is_list());
                        self.questions.extend(invocation_id.map(|id| id.to_string()));
                    }
                    Output::Event(Event::Invocation { delivery: Some(delivery), .. }) => {
                        assert!(self.open.insert(delivery), "a delivery was used twice");
                    }
                    Output::Event(Event::Gap { source: GapSource::Stream(stream), .. }) => {
                        self.gaps.insert(stream.to_string());
                    }
                    _ => {}
                }
            }
        }
        // What the application was given of a stream never goes back without a gap.
        for position in self.client.positions() {
            let stream = position.stream.to_string();
            let gap = self.gaps.remove(&stream);
            let place = self.places.entry((stream, position.epoch.to_string())).or_default();
            assert!(gap || position.offset >= *place, "a stream went back");
            *place = position.offset;
        }
    }

    fn message(&mut self, call: Call<Payload>) {
        if let Some(link) = self.link {
            let message = HubMessage::Invocation(Invocation { invocation_id: None, call });
            self.give(Input::Message(link, message));
        }
    }

    fn op(&mut self, op: Op) {
        let encoding = self.encoding;
        match op {
            Op::Message { target, id, position, arguments } => {
                let Ok(arguments) = Payload::from_encoded(encoding, arguments.into()) else { return };
                if !arguments.is_list() {
                    return;
                }
                let mut call = Call::new(TARGETS[usize::from(target) % TARGETS.len()], arguments);
                if let Some(id) = id {
                    call.headers.push((MESSAGE_HEADER.into(), id.to_string().into()));
                }
                if let Some((epoch, offset, stream)) = position {
                    let position = Position {
                        epoch: format!("e{}", epoch % 2).into(),
                        offset: u64::from(offset % 8),
                        stream: format!("s{}", stream % 3).into(),
                    };
                    call.headers.push((POSITION_HEADER.into(), position.to_string().into()));
                }
                self.message(call);
            }
            Op::Header(text, position) => {
                let name = if position { POSITION_HEADER } else { MESSAGE_HEADER };
                let mut call = Call::new("M", Payload::no_arguments(encoding));
                call.headers.push((name.into(), text.into()));
                self.message(call);
            }
            Op::Change { key, sequence, base, full } => {
                let mut object = serde_json::json!({"taskId": key % 3, "sequence": sequence, "x": sequence});
                if let Some(base) = base {
                    object["baseSequence"] = base.into();
                }
                if full {
                    object["full"] = true.into();
                }
                let arguments = Payload::encode(encoding, &[object]).expect("an object");
                self.message(Call::new("MDelta", arguments));
            }
            Op::Batch(members) => {
                let members: Vec<_> = members
                    .iter()
                    .map(|id| match id {
                        Some(id) => serde_json::json!({"messageId": id.to_string()}),
                        None => serde_json::Value::Null,
                    })
                    .collect();
                let batch = serde_json::json!([{"batchId": "b", "messages": members}]);
                let arguments = Payload::encode(encoding, &batch).expect("a batch");
                self.message(Call::new("MBatch", arguments));
            }
            Op::Handled(which, ok) => {
                let which = usize::from(which) % self.open.len().max(1);
                if let Some(delivery) = self.open.iter().nth(which).copied() {
                    self.open.remove(&delivery);
                    let result = if ok { Ok(()) } else { Err("no".into()) };
                    self.give(Input::Command(Command::Handled(delivery, result)));
                }
            }
            Op::Acknowledge(id) => {
                self.by_id += 1;
                self.give(Input::Command(Command::Acknowledge(id)));
            }
            Op::Answer(texts) => {
                let value = Payload::encode(encoding, &texts).expect("texts");
                if let (Some(id), Some(link)) = (self.questions.pop(), self.link) {
                    let completion = Completion::new(id, Outcome::Value(value));
                    self.give(Input::Message(link, HubMessage::Completion(completion)));
                }
            }
            Op::Fail => {
                if let (Some(id), Some(link)) = (self.questions.pop(), self.link) {
                    let completion = Completion::new(id, Outcome::Error("no".into()));
                    self.give(Input::Message(link, HubMessage::Completion(completion)));
                }
            }
            Op::Lose => {
                if let Some(link) = self.link {
                    self.give(Input::Closed(link, Err(RequestFailure::Network("cut".into()))));
                }
            }
            Op::Pass(millis) => {
                self.now = self.now + Duration::from_millis(millis.into());
                self.give(Input::Tick);
            }
        }
    }
}

fn negotiated() -> Negotiated {
    Negotiated {
        connection_id: "c".into(),
        connection_token: Some("t".into()),
        transports: vec![hubwire::protocol::AvailableTransport {
            transport: Transport::WebSockets,
            formats: Transport::WebSockets.formats(),
        }],
        ..Negotiated::default()
    }
}

fuzz_target!(|input: (bool, Vec<Op>)| {
    let (json, ops) = input;
    let encoding = if json { Encoding::Json } else { Encoding::MessagePack };
    let mut config = Config::new("http://h/hub");
    config.transports = vec![Transport::WebSockets];
    config.encoding = encoding;
    config.delivery.max_unacknowledged = 4;
    config.delivery.ack_window = 4;
    config.delivery.max_streams = 2;
    config.delivery.max_objects = 2;
    config.delivery.max_held_deltas = 2;
    let mut run = Run {
        client: Client::new(config, 1),
        encoding,
        now: Time::from_millis(1),
        wait: None,
        link: None,
        questions: Vec::new(),
        open: BTreeSet::new(),
        by_id: 0,
        places: BTreeMap::new(),
        gaps: BTreeSet::new(),
    };
    run.give(Input::Command(Command::Start));
    for op in ops.into_iter().take(200) {
        run.op(op);
        assert!(run.open.len() <= 4 + run.by_id, "more with the application than may be");
        assert!(run.client.positions().len() <= 2);
    }
});
