//! A client with its clock and the ids it gave out, for the tests of the core.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::time::Duration;

use hubwire::client::{
    CallId, CallKind, CallRequest, Cause, Client, Command, Config, ConnectionState, Event, Input, LinkId,
    Misuse, Output, RequestId, RetryPolicy, UploadId,
};
use hubwire::protocol::{
    AvailableTransport, HandshakeResponse, HubMessage, NegotiateResponse, Negotiated, Transport,
};
use hubwire::{ErrorKind, Time};

pub type Number = u32;

/// A client with its clock, and the ids it gave out.
pub struct Bench {
    pub client: Client<Number>,
    pub now: Time,
    pub link: Option<LinkId>,
    pub request: Option<RequestId>,
    pub wait: Option<Time>,
    pub reports: Vec<Event<Number>>,
    pub probe: Option<u64>,
}

impl Bench {
    pub fn new(config: Config) -> Self {
        Self {
            client: Client::new(config, 1),
            now: Time::from_millis(1000),
            link: None,
            request: None,
            wait: None,
            reports: Vec::new(),
            probe: None,
        }
    }

    /// Gives the input and takes everything that comes out, except the wait.
    pub fn give(&mut self, input: Input<Number>) -> Vec<Output<Number>> {
        self.try_give(input).unwrap()
    }

    pub fn try_give(&mut self, input: Input<Number>) -> Result<Vec<Output<Number>>, Misuse> {
        self.client.handle(self.now, input)?;
        let mut outputs = Vec::new();
        loop {
            match self.client.poll() {
                Output::Wait(deadline) => {
                    self.wait = deadline;
                    return Ok(outputs);
                }
                // In tests of their own: they would be noise in the others.
                Output::Event(event @ (Event::QualityChanged(_) | Event::OutboxChanged(_))) => {
                    self.reports.push(event);
                }
                output => {
                    match &output {
                        Output::Open(link, _) => self.link = Some(*link),
                        Output::Token(request) | Output::Negotiate(request, _) => {
                            self.request = Some(*request)
                        }
                        _ => {}
                    }
                    outputs.push(output);
                }
            }
        }
    }

    pub fn command(&mut self, command: Command<Number>) -> Vec<Output<Number>> {
        self.give(Input::Command(command))
    }

    pub fn message(&mut self, message: HubMessage<Number>) -> Vec<Output<Number>> {
        let link = self.link.unwrap();
        self.give(Input::Message(link, message))
    }

    pub fn pass(&mut self, duration: Duration) -> Vec<Output<Number>> {
        self.now = self.now + duration;
        self.give(Input::Tick)
    }

    /// Lets time pass to the deadline the client asked for.
    pub fn pass_to_deadline(&mut self) -> Vec<Output<Number>> {
        self.now = self.wait.expect("a deadline");
        self.give(Input::Tick)
    }

    pub fn state(&self) -> ConnectionState {
        self.client.state()
    }
}

/// As the official clients are by default: no retries, no queue.
pub fn config() -> Config {
    let mut config = Config::new("http://h/hub");
    config.has_token_factory = true;
    config.retry = RetryPolicy::never();
    config.outbox.max_items = 0;
    config.announce = false;
    config
}

/// A call without options.
pub fn call(kind: CallKind, call: u64, arguments: Number, uploads: Vec<UploadId>) -> Command<Number> {
    Command::Call(CallRequest { uploads, ..CallRequest::new(CallId(call), kind, "M", arguments) })
}

pub fn negotiated(transports: &[Transport]) -> NegotiateResponse {
    NegotiateResponse::Accepted(Negotiated {
        connection_id: "public".into(),
        connection_token: Some("secret".into()),
        version: 1,
        transports: transports
            .iter()
            .map(|transport| AvailableTransport { transport: *transport, formats: transport.formats() })
            .collect(),
        ..Negotiated::default()
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Disconnected,
    Token,
    Negotiating,
    Opening,
    Handshaking,
    Connected,
    Closing,
}

pub const PHASES: [Phase; 7] = [
    Phase::Disconnected,
    Phase::Token,
    Phase::Negotiating,
    Phase::Opening,
    Phase::Handshaking,
    Phase::Connected,
    Phase::Closing,
];

/// A client in that phase, on its way there for the first time.
pub fn bench_in(phase: Phase) -> Bench {
    let mut bench = Bench::new(config());
    advance(&mut bench, phase);
    bench
}

pub fn advance(bench: &mut Bench, phase: Phase) {
    let steps: [fn(&mut Bench); 6] =
        [
            |bench| drop(bench.command(Command::Start)),
            |bench| drop(bench.give(Input::Token(bench.request.unwrap(), Ok(Some("token".into()))))),
            |bench| {
                drop(bench.give(Input::Negotiated(
                    bench.request.unwrap(),
                    Ok(negotiated(&[Transport::WebSockets])),
                )));
            },
            |bench| drop(bench.give(Input::Opened(bench.link.unwrap()))),
            |bench| drop(bench.give(Input::Handshake(bench.link.unwrap(), Ok(HandshakeResponse::default())))),
            |bench| drop(bench.command(Command::Stop)),
        ];
    for step in &steps[..phase as usize] {
        step(bench);
    }
}

/// What comes out, in short.
pub fn describe(outputs: &[Output<Number>]) -> String {
    let words = outputs.iter().map(|output| match output {
        Output::Token(_) => "ask-token".to_owned(),
        Output::Negotiate(..) => "negotiate".to_owned(),
        Output::Refresh(..) => "refresh".to_owned(),
        Output::Open(..) => "open".to_owned(),
        Output::Handshake(..) => "shake".to_owned(),
        Output::Transmit(_, message) => format!("transmit-{}", message.message_type()),
        Output::Shut(_) => "shut".to_owned(),
        Output::Abandon(_) => "abandon".to_owned(),
        Output::Event(Event::StateChanged { state, .. }) => format!("{state}"),
        Output::Event(Event::Invocation { .. }) => "call-handler".to_owned(),
        Output::Event(Event::Completed { result, .. }) => match result {
            Ok(_) => "completed".to_owned(),
            Err(error) => format!("{}", error.kind()),
        },
        Output::Retry(..) => "ask-policy".to_owned(),
        Output::Probe(..) => "probe".to_owned(),
        Output::Store(..) => "store".to_owned(),
        Output::Event(Event::RetryScheduled { .. }) => "retry".to_owned(),
        Output::Event(Event::UploadStarted(_)) => "upload".to_owned(),
        Output::Event(Event::Queued(_)) => "queued".to_owned(),
        Output::Event(_) => "event".to_owned(),
        Output::Wait(_) => unreachable!("the bench takes the wait"),
    });
    words.collect::<Vec<_>>().join(" ")
}

/// The error of the change to Disconnected.
pub fn failure(outputs: &[Output<Number>]) -> (ErrorKind, String) {
    let failure = outputs.iter().find_map(|output| match output {
        Output::Event(Event::StateChanged {
            state: ConnectionState::Disconnected,
            cause: Cause::Failed(error),
        }) => Some((error.kind(), error.detail().to_owned())),
        _ => None,
    });
    failure.unwrap_or_else(|| panic!("no failure in {outputs:?}"))
}
