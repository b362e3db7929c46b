use hubwire::protocol::VERSION_STATEFUL;

use super::*;

fn config() -> SessionConfig {
    SessionConfig { max_version: VERSION_STATEFUL, replay_bytes: 10, ..SessionConfig::default() }
}

/// After the handshake, whose answer has left, and the client's first ping.
fn open() -> Fixture {
    let mut fixture = fixture_with(config());
    let request = HandshakeRequest { encoding: Encoding::Json, version: VERSION_STATEFUL };
    assert_eq!(brief(&fixture.handle(Input::Handshake(Ok(request)))), ["accept", "connect"]);
    fixture.handle(Input::Connected(Ok(())));
    fixture.handle(Input::HandshakeSent);
    fixture.message(HubMessage::Ping);
    assert!(fixture.session.may_transmit() && fixture.session.is_resumable());
    fixture
}

fn left(frame: &'static str) -> Input<u32> {
    Input::Left(frame.into())
}

fn lost() -> Input<u32> {
    Input::LinkLost(Some("reset".into()))
}

const fn ack(sequence_id: u64) -> HubMessage<u32> {
    HubMessage::Ack { sequence_id }
}

const fn sequence(sequence_id: u64) -> HubMessage<u32> {
    HubMessage::Sequence { sequence_id }
}

#[test]
fn version_2_is_refused_where_it_was_not_negotiated() {
    let request = HandshakeRequest { encoding: Encoding::Json, version: VERSION_STATEFUL };
    let outputs = brief(&fixture_with(SessionConfig::default()).handle(Input::Handshake(Ok(request))));
    assert_eq!(outputs[0], "refuse: The server does not support version 2 of the 'json' protocol.");
    // And version 1 where version 2 was: such a client counts nothing.
    let mut plain = connected_with(config());
    assert!(plain.session.may_transmit() && !plain.session.is_resumable() && !plain.session.is_counting());
    assert_eq!(brief(&plain.handle(lost())), ["end: transport lost"]);
}

#[test]
fn nothing_counted_leaves_before_the_client_counts() {
    let mut fixture = fixture_with(config());
    let request = HandshakeRequest { encoding: Encoding::Json, version: VERSION_STATEFUL };
    fixture.handle(Input::Handshake(Ok(request)));
    // Sent together with the handshake, so it says nothing.
    fixture.message(HubMessage::Ping);
    assert!(!fixture.session.may_transmit());
    fixture.handle(Input::HandshakeSent);
    assert!(!fixture.session.may_transmit());
    assert_eq!(fixture.deadline, Some(Time::from_millis(100)));
    fixture.at(Time::from_millis(100), Input::Tick);
    assert!(fixture.session.may_transmit());
    // Lost before the client can know of the connection.
    let mut fixture = fixture_with(config());
    fixture.handle(Input::Handshake(Ok(request)));
    assert_eq!(brief(&fixture.handle(lost())), ["end: transport lost"]);
}

#[test]
fn acknowledgements_come_once_a_second_and_with_progress() {
    let mut fixture = open();
    fixture.invoke("1");
    assert_eq!(fixture.deadline, Some(seconds(1)));
    fixture.at(Time::from_millis(500), Input::Message(completion("x", Outcome::Void)));
    fixture.at(Time::from_millis(500), Input::Message(HubMessage::Ping));
    assert_eq!(brief(&fixture.at(seconds(1), Input::Tick)), ["Transmit(Ack { sequence_id: 2 })"]);
    fixture.at(seconds(5), Input::Message(HubMessage::Ping));
    assert_eq!(brief(&fixture.at(seconds(6), Input::Tick)), [""; 0]);
}

#[test]
fn a_full_buffer_holds_the_rest_back_and_nothing_else() {
    let mut fixture = open();
    fixture.handle(left("12345"));
    assert!(fixture.session.may_transmit());
    fixture.handle(left("67890"));
    assert!(!fixture.session.may_transmit());
    // Pings go on.
    fixture.at(seconds(14), Input::Message(HubMessage::Ping));
    assert_eq!(brief(&fixture.at(seconds(15), Input::Tick)), ["ping"]);
    fixture.message(ack(1));
    assert!(fixture.session.may_transmit());
    let outputs = brief(&fixture.message(ack(3)));
    assert_eq!(outputs.last().unwrap(), "end: protocol violation", "never sent");
    assert!(fixture.session.may_transmit(), "the farewell does not wait");
}

#[test]
fn a_lost_link_is_resumed() {
    let mut fixture = open();
    assert_eq!(brief(&fixture.invoke("1")), ["run 0"]);
    fixture.handle(left("a"));
    fixture.handle(left("b"));
    fixture.message(ack(1));
    assert_eq!(brief(&fixture.at(seconds(20), lost())), ["DropLink"]);
    assert_eq!(fixture.deadline, Some(seconds(35)), "no pings and no timeout meanwhile");
    assert!(!fixture.session.may_transmit());
    // The method goes on, its result waits.
    assert_eq!(brief(&fixture.finish(0, 7)), ["1 = 7"]);
    let outputs = brief(&fixture.at(seconds(34), Input::LinkReplaced));
    assert_eq!(outputs, ["Transmit(Sequence { sequence_id: 2 })", "Replay([b\"b\"])"]);
    assert!(fixture.session.may_transmit());
    // Before the client's own sequence nothing counts, whatever it is.
    for message in [invocation(Some("2"), &[]), ack(9), HubMessage::Close(Close::default())] {
        assert_eq!(brief(&fixture.message(message)), [""; 0]);
    }
    fixture.message(sequence(1));
    assert_eq!(brief(&fixture.invoke("1")), [""; 0], "it came before");
    assert_eq!(brief(&fixture.invoke("2")), ["run 1"]);
    assert_eq!(brief(&fixture.at(seconds(35), Input::Tick)), ["Transmit(Ack { sequence_id: 2 })"]);
}

#[test]
fn a_new_link_replaces_one_that_looks_alive() {
    let mut fixture = open();
    fixture.handle(left("a"));
    let outputs = brief(&fixture.handle(Input::LinkReplaced));
    assert_eq!(outputs, ["Transmit(Sequence { sequence_id: 1 })", "Replay([b\"a\"])"]);
}

#[test]
fn what_is_dead_but_not_lost_is_dropped_and_can_be_resumed() {
    // Silence.
    let mut fixture = open();
    fixture.at(seconds(15), Input::Tick);
    assert_eq!(brief(&fixture.at(seconds(30), Input::Tick)), ["DropLink"]);
    assert_eq!(brief(&fixture.at(seconds(45), Input::Tick)), ["end: abandoned"]);
    // Bytes that do not leave.
    let mut fixture = open();
    fixture.handle(Input::Stalled);
    assert_eq!(brief(&fixture.at(seconds(10), Input::Tick)), ["DropLink"]);
    fixture.at(seconds(11), Input::LinkReplaced);
    assert_eq!(fixture.deadline, Some(seconds(26)), "the next ping");
}

#[test]
fn a_proper_close_is_final() {
    assert_eq!(brief(&open().handle(Input::LinkLost(None))), ["end: transport closed"]);
    let outputs = brief(&open().message(HubMessage::Close(Close::default())));
    assert_eq!(outputs, ["close reconnect -", "end: closed by the client"]);
    let mut fixture = open();
    fixture.handle(lost());
    assert_eq!(brief(&fixture.handle(Input::Abort)), ["close final -", "end: aborted"]);
}

#[test]
fn impossible_sequences_end_the_connection() {
    for id in [0, 3] {
        let mut fixture = open();
        fixture.invoke("1");
        fixture.handle(lost());
        fixture.handle(Input::LinkReplaced);
        let outputs = brief(&fixture.message(sequence(id)));
        assert_eq!(
            outputs,
            ["close reconnect Connection closed with an error.", "end: protocol violation"],
            "{id}"
        );
    }
}
