use hubwire::protocol::{CancelInvocation, Encoding, StreamInvocation, TransferFormats};

use super::*;

mod stateful;
mod table;

/// Payloads are numbers: the session never reads them.
struct Fixture {
    now: Time,
    session: Session<u32>,
    deadline: Option<Time>,
}

fn seconds(seconds: u64) -> Time {
    Time::from_millis(seconds * 1000)
}

fn fixture_with(config: SessionConfig) -> Fixture {
    Fixture { now: Time::ZERO, session: Session::new(Time::ZERO, Arc::new(config)), deadline: None }
}

fn connected_with(config: SessionConfig) -> Fixture {
    let mut fixture = fixture_with(config);
    fixture.handle(handshake());
    fixture.handle(Input::Connected(Ok(())));
    fixture
}

fn connected() -> Fixture {
    connected_with(SessionConfig::default())
}

fn handshake() -> Input<u32> {
    Input::Handshake(Ok(HandshakeRequest { encoding: Encoding::Json, version: 1 }))
}

impl Fixture {
    /// What follows from an input, without the final wait.
    fn handle(&mut self, input: Input<u32>) -> Vec<Output<u32>> {
        self.session.handle(self.now, input);
        let mut outputs = Vec::new();
        loop {
            match self.session.poll() {
                Output::Wait(deadline) => {
                    self.deadline = deadline;
                    return outputs;
                }
                output => outputs.push(output),
            }
        }
    }

    fn message(&mut self, message: HubMessage<u32>) -> Vec<Output<u32>> {
        self.handle(Input::Message(message))
    }

    fn at(&mut self, now: Time, input: Input<u32>) -> Vec<Output<u32>> {
        self.now = now;
        self.handle(input)
    }

    fn invoke(&mut self, id: &str) -> Vec<Output<u32>> {
        self.message(invocation(Some(id), &[]))
    }

    fn finish(&mut self, call: u64, value: u32) -> Vec<Output<u32>> {
        self.handle(Input::Finished { call: CallKey(call), outcome: Outcome::Value(value) })
    }
}

fn invocation(id: Option<&str>, streams: &[&str]) -> HubMessage<u32> {
    let stream_ids = streams.iter().map(|id| (*id).into()).collect();
    let call = Call { stream_ids, ..Call::new("Method", 0) };
    HubMessage::Invocation(Invocation { invocation_id: id.map(Into::into), call })
}

fn stream_invocation(id: &str) -> HubMessage<u32> {
    HubMessage::StreamInvocation(StreamInvocation { invocation_id: id.into(), call: Call::new("Stream", 0) })
}

fn item(id: &str, item: u32) -> HubMessage<u32> {
    HubMessage::StreamItem(StreamItem { headers: Headers::new(), invocation_id: id.into(), item })
}

fn completion(id: &str, outcome: Outcome<u32>) -> HubMessage<u32> {
    HubMessage::Completion(Completion::new(id, outcome))
}

fn cancel(id: &str) -> HubMessage<u32> {
    HubMessage::CancelInvocation(CancelInvocation::new(id))
}

/// A short form of outputs, so that tests read like transcripts.
fn brief(outputs: &[Output<u32>]) -> Vec<String> {
    outputs
        .iter()
        .map(|output| match output {
            Output::Handshake(HandshakeResponse { error: None }) => "accept".into(),
            Output::Handshake(HandshakeResponse { error: Some(error) }) => format!("refuse: {error}"),
            Output::Connect => "connect".into(),
            Output::Transmit(HubMessage::Ping) => "ping".into(),
            Output::Transmit(HubMessage::Close(close)) => {
                let error = close.error.as_deref().unwrap_or("-");
                format!("close {} {error}", if close.allow_reconnect { "reconnect" } else { "final" })
            }
            Output::Transmit(HubMessage::Completion(message)) => match &message.outcome {
                Outcome::Value(value) => format!("{} = {value}", message.invocation_id),
                Outcome::Void => format!("{} done", message.invocation_id),
                Outcome::Error(error) => format!("{} failed: {error}", message.invocation_id),
            },
            Output::Transmit(HubMessage::StreamItem(message)) => {
                format!("{} item {}", message.invocation_id, message.item)
            }
            Output::Transmit(HubMessage::Invocation(message)) => {
                format!("call {} {:?}", message.call.target, message.invocation_id.as_deref())
            }
            Output::Run(call) => format!("run {}", call.key.0),
            Output::Cancel(call) => format!("cancel {}", call.0),
            Output::Withdrawn(headers) => format!("withdrawn {}", headers[0].1),
            Output::OpenUpload(upload) => format!("open upload {}", upload.0),
            Output::CloseUpload(upload) => format!("close upload {}", upload.0),
            Output::Upload(upload, UploadEvent::Item(item)) => format!("upload {} item {item}", upload.0),
            Output::Upload(upload, UploadEvent::End(error)) => {
                format!("upload {} end {}", upload.0, error.as_deref().unwrap_or("-"))
            }
            Output::ClientResult { id, outcome } => format!("result {id} {outcome:?}"),
            Output::End(end) => format!("end: {}", end.name()),
            other => format!("{other:?}"),
        })
        .collect()
}

#[test]
fn handshake_refusals_have_the_official_texts() {
    let refusal = |config: SessionConfig, input| brief(&fixture_with(config).handle(input))[0].clone();
    let default = SessionConfig::default;
    let error = |error| Input::Handshake(Err(error));
    assert_eq!(
        refusal(default(), error(HandshakeRequestError::UnknownProtocol("xml".into()))),
        "refuse: The protocol 'xml' is not supported."
    );
    assert_eq!(
        refusal(
            default(),
            Input::Handshake(Ok(HandshakeRequest { encoding: Encoding::MessagePack, version: 2 }))
        ),
        "refuse: The server does not support version 2 of the 'messagepack' protocol."
    );
    let text_only =
        SessionConfig { formats: TransferFormats { text: true, binary: false }, ..SessionConfig::default() };
    assert_eq!(
        refusal(
            text_only,
            Input::Handshake(Ok(HandshakeRequest { encoding: Encoding::MessagePack, version: 1 }))
        ),
        "refuse: Cannot use the 'messagepack' protocol on the current transport. The transport does not support \
         'Binary' transfer format."
    );
    let detailed = SessionConfig { detailed_errors: true, ..SessionConfig::default() };
    assert_eq!(
        refusal(detailed, error(HandshakeRequestError::Malformed("missing field `protocol`".into()))),
        "refuse: An unexpected error occurred during connection handshake. InvalidDataException: missing field \
         `protocol`"
    );
    assert_eq!(
        refusal(default(), Input::Violation(ProtocolError::TooLarge { limit: 5 })),
        "refuse: Handshake was canceled."
    );
}

#[test]
fn a_handshake_that_never_comes_times_out() {
    let mut fixture = fixture_with(SessionConfig::default());
    fixture.handle(Input::Tick);
    assert_eq!(fixture.deadline, Some(seconds(15)));
    assert_eq!(brief(&fixture.at(Time::from_millis(14_999), Input::Tick)), [""; 0]);
    assert_eq!(
        brief(&fixture.at(seconds(15), Input::Tick)),
        ["refuse: Handshake was canceled.", "end: handshake refused"]
    );
    assert_eq!(fixture.deadline, None);
}

#[test]
fn pings_only_when_nothing_else_was_sent() {
    let mut fixture = connected();
    assert_eq!(fixture.deadline, Some(seconds(15)));
    fixture.at(seconds(10), Input::Sent);
    assert_eq!(brief(&fixture.at(seconds(15), Input::Tick)), [""; 0]);
    assert_eq!(fixture.deadline, Some(seconds(25)));
    assert_eq!(brief(&fixture.at(seconds(25), Input::Tick)), ["ping"]);
    // Not while the transport takes nothing: they would pile up.
    fixture.at(seconds(26), Input::Stalled);
    fixture.handle(Input::Unknown);
    assert_eq!(fixture.deadline, Some(seconds(36)));
    assert_eq!(brief(&fixture.at(seconds(36), Input::Tick)), ["end: slow consumer"]);
}

#[test]
fn a_stall_that_ends_is_forgotten() {
    let mut fixture = connected();
    fixture.at(seconds(5), Input::Stalled);
    fixture.at(seconds(14), Input::Stalled);
    fixture.at(seconds(14), Input::Flowing);
    assert_eq!(brief(&fixture.at(seconds(15), Input::Tick)), ["ping"]);
}

#[test]
fn a_silent_client_times_out_and_any_message_counts() {
    for input in [|| Input::Message(HubMessage::Ping), || Input::Unknown, || Input::Message(item("x", 1))] {
        let mut fixture = connected();
        fixture.at(seconds(29), input());
        assert_eq!(brief(&fixture.at(seconds(30), Input::Tick)), ["ping"]);
        assert_eq!(brief(&fixture.at(seconds(58), Input::Tick)), ["ping"]);
        assert_eq!(
            brief(&fixture.at(seconds(59), Input::Tick)),
            ["close reconnect Connection closed with an error.", "end: client timeout"]
        );
    }
    let mut fixture = connected_with(SessionConfig { detailed_errors: true, ..SessionConfig::default() });
    assert_eq!(
        brief(&fixture.at(seconds(30), Input::Tick))[0],
        "close reconnect Connection closed with an error. OperationCanceledException: Client hasn't sent a \
         message/ping within the configured ClientTimeoutInterval."
    );
}

#[test]
fn the_client_timeout_is_suspended_while_a_method_runs() {
    let mut fixture = connected();
    fixture.invoke("1");
    assert_eq!(brief(&fixture.at(seconds(100), Input::Tick)), ["ping"]);
    fixture.at(seconds(110), Input::Finished { call: CallKey(0), outcome: Outcome::Void });
    // From then on it has the full time again.
    assert_eq!(brief(&fixture.at(seconds(139), Input::Tick)), ["ping"]);
    assert_eq!(brief(&fixture.at(seconds(140), Input::Tick)).last().unwrap(), "end: client timeout");
    // Streams do not count: they may go on forever.
    let mut fixture = connected();
    fixture.message(stream_invocation("1"));
    assert_eq!(brief(&fixture.at(seconds(30), Input::Tick)).last().unwrap(), "end: client timeout");
    // A method that waits for the client does not count either.
    let mut fixture = connected();
    fixture.invoke("1");
    fixture.at(seconds(50), Input::Release(CallKey(0)));
    assert_eq!(brief(&fixture.at(seconds(80), Input::Tick)).last().unwrap(), "end: client timeout");
}

#[test]
fn plain_calls_run_one_after_the_other() {
    let mut fixture = connected();
    assert_eq!(brief(&fixture.invoke("a")), ["run 0"]);
    assert_eq!(brief(&fixture.invoke("b")), [""; 0]);
    // Whoever comes behind keeps its place, even where it would need no slot.
    assert_eq!(brief(&fixture.message(stream_invocation("c"))), [""; 0]);
    assert!(fixture.session.wants_input());
    assert_eq!(brief(&fixture.finish(0, 7)), ["a = 7", "run 1", "run 2"]);
    assert_eq!(brief(&fixture.finish(1, 8)), ["b = 8"]);
}

#[test]
fn streams_need_no_slot_and_the_limit_is_configurable() {
    let mut fixture = connected();
    fixture.invoke("a");
    assert_eq!(brief(&fixture.message(stream_invocation("b"))), ["run 1"]);
    assert_eq!(brief(&fixture.message(invocation(Some("c"), &["u"]))), ["open upload 0", "run 2"]);
    let mut fixture = connected_with(SessionConfig { parallel_invocations: 2, ..SessionConfig::default() });
    assert_eq!(brief(&fixture.invoke("a")), ["run 0"]);
    assert_eq!(brief(&fixture.invoke("b")), ["run 1"]);
    assert_eq!(brief(&fixture.invoke("c")), [""; 0]);
}

#[test]
fn a_full_queue_stops_reading() {
    let mut fixture = connected_with(SessionConfig { invocation_queue: 2, ..SessionConfig::default() });
    for id in ["a", "b", "c"] {
        assert!(fixture.session.wants_input());
        fixture.invoke(id);
    }
    assert!(!fixture.session.wants_input());
    // The server keeps the client waiting, so it does not time out.
    fixture.handle(Input::Release(CallKey(0)));
    assert!(fixture.session.wants_input());
    assert_eq!(brief(&fixture.at(seconds(40), Input::Tick)), ["ping"]);
}

#[test]
fn calls_wait_for_the_connect_hook() {
    let mut fixture = fixture_with(SessionConfig::default());
    fixture.handle(handshake());
    assert_eq!(brief(&fixture.invoke("a")), [""; 0]);
    assert_eq!(brief(&fixture.message(stream_invocation("b"))), [""; 0]);
    assert_eq!(brief(&fixture.handle(Input::Connected(Ok(())))), ["run 0", "run 1"]);
}

#[test]
fn waiting_for_a_client_frees_the_slot_once() {
    let mut fixture = connected();
    fixture.invoke("a");
    fixture.invoke("b");
    assert_eq!(brief(&fixture.handle(Input::Release(CallKey(0)))), ["run 1"]);
    fixture.invoke("c");
    assert_eq!(brief(&fixture.handle(Input::Release(CallKey(0)))), [""; 0]);
    assert_eq!(brief(&fixture.finish(0, 1)), ["a = 1"], "its slot was given back before");
    assert_eq!(brief(&fixture.finish(1, 1)), ["b = 1", "run 2"]);
}

#[test]
fn ids_in_use_are_refused() {
    let mut fixture = connected();
    fixture.invoke("a");
    assert_eq!(brief(&fixture.invoke("a")), ["a failed: Invocation ID 'a' is already in use."]);
    let refused = ["a failed: Invocation ID 'a' is already in use."];
    assert_eq!(brief(&fixture.message(stream_invocation("a"))), refused);
    fixture.finish(0, 1);
    assert_eq!(brief(&fixture.invoke("a")), ["run 1"], "free again");
    fixture.message(invocation(Some("b"), &["u"]));
    assert_eq!(
        brief(&fixture.message(invocation(Some("c"), &["u"]))),
        ["c failed: Stream ID 'u' is already in use."]
    );
    assert_eq!(
        brief(&fixture.message(invocation(Some("c"), &["v", "v"]))),
        ["c failed: Stream ID 'v' is already in use."]
    );
}

#[test]
fn calls_without_an_id_are_never_answered() {
    let mut fixture = connected_with(SessionConfig { streams: 0, ..SessionConfig::default() });
    assert_eq!(brief(&fixture.message(invocation(None, &[]))), ["run 0"]);
    assert_eq!(brief(&fixture.finish(0, 1)), [""; 0]);
    assert_eq!(brief(&fixture.message(invocation(None, &["u"]))), [""; 0], "refused, silently");
    assert_eq!(
        brief(&fixture.message(stream_invocation("a"))),
        [
            "a failed: Failed to invoke 'Stream' due to an error on the server. HubException: More than 0 streams at once."
        ]
    );
}

#[test]
fn cancelled_calls_are_answered_once() {
    let mut fixture = connected();
    fixture.message(stream_invocation("a"));
    let produced = || Input::Item { call: CallKey(0), item: 5 };
    assert_eq!(brief(&fixture.handle(produced())), ["a item 5"]);
    assert_eq!(brief(&fixture.message(cancel("a"))), ["cancel 0"]);
    assert_eq!(brief(&fixture.message(cancel("a"))), [""; 0]);
    assert_eq!(brief(&fixture.handle(produced())), [""; 0], "nobody listens");
    let failed = Input::Finished { call: CallKey(0), outcome: Outcome::Error("cancelled".into()) };
    assert_eq!(brief(&fixture.handle(failed)), ["a done"]);
    assert_eq!(brief(&fixture.finish(0, 1)), [""; 0]);
    // A plain call is told and ends as it likes; one that waits never starts.
    fixture.invoke("b");
    fixture.message(invocation(Some("c"), &[]));
    assert_eq!(
        brief(&fixture.message(cancel("c"))),
        ["c failed: The invocation was canceled by the client."]
    );
    assert_eq!(brief(&fixture.message(cancel("b"))), ["cancel 1"]);
    assert_eq!(brief(&fixture.finish(1, 3)), ["b = 3"]);
}

#[test]
fn the_headers_of_a_call_that_never_ran_are_told() {
    let with_headers = |id: &str, streams: &[&str]| {
        let mut message = invocation(Some(id), streams);
        if let HubMessage::Invocation(invocation) = &mut message {
            invocation.call.headers.push(("name".into(), id.into()));
        }
        message
    };
    let mut fixture = connected();
    fixture.message(with_headers("a", &[]));
    assert_eq!(brief(&fixture.message(cancel("a"))), ["cancel 0"], "it runs");
    fixture.message(with_headers("b", &[]));
    assert_eq!(
        brief(&fixture.message(cancel("b"))),
        ["withdrawn b", "b failed: The invocation was canceled by the client."]
    );
    fixture.invoke("c");
    fixture.message(with_headers("d", &["u"]));
    let outputs = brief(&fixture.message(cancel("d")));
    assert_eq!(outputs, ["close upload 0", "d failed: The invocation was canceled by the client."]);
}

#[test]
fn uploads_reach_their_method_and_end() {
    let mut fixture = connected();
    assert_eq!(
        brief(&fixture.message(invocation(Some("a"), &["u", "v"]))),
        ["open upload 0", "open upload 1", "run 0"]
    );
    assert_eq!(brief(&fixture.message(item("u", 1))), ["upload 0 item 1"]);
    assert_eq!(brief(&fixture.message(completion("u", Outcome::Void))), ["upload 0 end -"]);
    assert_eq!(brief(&fixture.message(item("u", 2))), [""; 0], "it is over");
    assert_eq!(
        brief(&fixture.message(completion("v", Outcome::Error("disk".into())))),
        ["upload 1 end disk"]
    );
    assert_eq!(brief(&fixture.finish(0, 1)), ["a = 1"]);
    // A method that ends before its upload: what comes late is dropped.
    fixture.message(invocation(Some("b"), &["w"]));
    assert_eq!(brief(&fixture.finish(1, 1)), ["close upload 2", "b = 1"]);
    assert_eq!(brief(&fixture.message(item("w", 1))), [""; 0]);
    assert_eq!(brief(&fixture.message(completion("w", Outcome::Void))), [""; 0]);
}

#[test]
fn a_full_upload_buffer_stops_reading() {
    let mut fixture = connected_with(SessionConfig { upload_buffer: 2, ..SessionConfig::default() });
    fixture.message(invocation(Some("a"), &["u"]));
    fixture.message(item("u", 1));
    fixture.message(item("u", 2));
    assert!(fixture.session.wants_input(), "full, but whatever else comes can be read");
    assert_eq!(brief(&fixture.message(item("u", 3))), [""; 0]);
    assert!(!fixture.session.wants_input());
    assert_eq!(brief(&fixture.handle(Input::Consumed(UploadKey(0)))), ["upload 0 item 3"]);
    assert!(fixture.session.wants_input());
    // The method drops the stream, or ends: nothing waits for it any more.
    fixture.message(item("u", 4));
    assert!(!fixture.session.wants_input());
    fixture.handle(Input::Discard(UploadKey(0)));
    assert!(fixture.session.wants_input());
    assert_eq!(brief(&fixture.message(item("u", 5))), [""; 0]);
    fixture.message(invocation(Some("b"), &["v"]));
    for value in 0..3 {
        fixture.message(item("v", value));
    }
    assert!(!fixture.session.wants_input());
    fixture.finish(1, 1);
    assert!(fixture.session.wants_input());
}

#[test]
fn clients_answer_calls_of_the_server() {
    let mut fixture = connected();
    let ask = |id: &str| Input::InvokeClient { id: id.into(), call: Call::new("Ask", 1) };
    assert_eq!(brief(&fixture.handle(ask("s1"))), ["call Ask Some(\"s1\")"]);
    assert_eq!(brief(&fixture.message(completion("s1", Outcome::Value(5)))), ["result s1 Value(5)"]);
    assert_eq!(brief(&fixture.message(completion("s1", Outcome::Value(5)))), [""; 0]);
    fixture.handle(ask("s2"));
    fixture.handle(Input::ForgetClientCall("s2".into()));
    assert_eq!(brief(&fixture.message(completion("s2", Outcome::Void))), [""; 0], "too late is no error");
    let mut fixture = connected_with(SessionConfig { client_calls: 0, ..SessionConfig::default() });
    assert_eq!(
        brief(&fixture.handle(ask("s1"))),
        ["result s1 Error(\"More than 0 calls wait for an answer of this client.\")"]
    );
}

#[test]
fn an_expired_token_ends_the_connection_with_an_invitation() {
    let mut fixture = connected();
    fixture.handle(Input::Expires(Some(seconds(10))));
    assert_eq!(fixture.deadline, Some(seconds(10)));
    // Renewed in time.
    fixture.at(seconds(9), Input::Expires(Some(seconds(12))));
    assert_eq!(brief(&fixture.at(seconds(10), Input::Tick)), [""; 0]);
    let outputs = brief(&fixture.at(seconds(12), Input::Tick));
    assert_eq!(outputs, ["close reconnect -", "end: authentication expired"]);
}
