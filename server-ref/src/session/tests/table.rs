use super::*;

/// Every input in every phase. The rows are the phases, an empty list is "nothing happens".
#[test]
fn every_input_in_every_phase() {
    type Make = fn() -> Input<u32>;
    type Row = (&'static str, Vec<(&'static str, Make, &'static [&'static str])>);
    let violation = || Input::Violation(ProtocolError::MissingProperty("type"));
    let ends: [(&str, Make); 2] =
        [("overflow", || Input::Overflow), ("lost", || Input::LinkLost(Some("reset".into())))];
    let quiet: [(&str, Make); 13] = [
        ("unknown", || Input::Unknown),
        ("ping", || Input::Message(HubMessage::Ping)),
        ("item", || Input::Message(item("x", 1))),
        ("completion", || Input::Message(completion("x", Outcome::Void))),
        ("cancel", || Input::Message(cancel("x"))),
        ("ack", || Input::Message(HubMessage::Ack { sequence_id: 1 })),
        ("sequence", || Input::Message(HubMessage::Sequence { sequence_id: 1 })),
        ("finished", || Input::Finished { call: CallKey(9), outcome: Outcome::Void }),
        ("produced", || Input::Item { call: CallKey(9), item: 1 }),
        ("release", || Input::Release(CallKey(9))),
        ("consumed", || Input::Consumed(UploadKey(9))),
        ("forget", || Input::ForgetClientCall("s1".into())),
        ("tick", || Input::Tick),
    ];
    let rows: [Row; 4] = [
        (
            "handshaking",
            vec![
                ("handshake", handshake, &["accept", "connect"]),
                ("connected", || Input::Connected(Ok(())), &[]),
                ("invocation", || Input::Message(invocation(Some("1"), &[])), &[]),
                ("close", || Input::Message(HubMessage::Close(Close::default())), &[]),
                (
                    "violation",
                    violation,
                    &[
                        "refuse: An unexpected error occurred during connection handshake.",
                        "end: handshake refused",
                    ],
                ),
                ("abort", || Input::Abort, &["end: aborted"]),
                ("shutdown", || Input::Shutdown { retry_after: None }, &["end: server shutdown"]),
            ],
        ),
        (
            "connecting",
            vec![
                ("handshake", handshake, &[]),
                ("connected", || Input::Connected(Ok(())), &[]),
                (
                    "hook failed",
                    || Input::Connected(Err("no".into())),
                    &["close final no", "end: connect hook failed"],
                ),
                ("invocation", || Input::Message(invocation(Some("1"), &[])), &[]),
                (
                    "close",
                    || Input::Message(HubMessage::Close(Close::default())),
                    &["close reconnect -", "end: closed by the client"],
                ),
                (
                    "violation",
                    violation,
                    &["close reconnect Connection closed with an error.", "end: protocol violation"],
                ),
                ("abort", || Input::Abort, &["close final -", "end: aborted"]),
                (
                    "shutdown",
                    || Input::Shutdown { retry_after: None },
                    &["close reconnect -", "end: server shutdown"],
                ),
            ],
        ),
        (
            "connected",
            vec![
                ("handshake", handshake, &[]),
                ("connected", || Input::Connected(Err("late".into())), &[]),
                ("invocation", || Input::Message(invocation(Some("1"), &[])), &["run 0"]),
                ("stream", || Input::Message(stream_invocation("1")), &["run 0"]),
                (
                    "close",
                    || {
                        Input::Message(HubMessage::Close(Close {
                            error: Some("x".into()),
                            allow_reconnect: false,
                            retry_after: None,
                        }))
                    },
                    &["close reconnect -", "end: closed by the client"],
                ),
                (
                    "violation",
                    violation,
                    &["close reconnect Connection closed with an error.", "end: protocol violation"],
                ),
                ("abort", || Input::Abort, &["close final -", "end: aborted"]),
                (
                    "shutdown",
                    || Input::Shutdown { retry_after: None },
                    &["close reconnect -", "end: server shutdown"],
                ),
            ],
        ),
        (
            "ended",
            vec![
                ("handshake", handshake, &[]),
                ("connected", || Input::Connected(Err("late".into())), &[]),
                ("invocation", || Input::Message(invocation(Some("1"), &[])), &[]),
                ("close", || Input::Message(HubMessage::Close(Close::default())), &[]),
                ("violation", violation, &[]),
                ("abort", || Input::Abort, &[]),
                ("shutdown", || Input::Shutdown { retry_after: None }, &[]),
            ],
        ),
    ];
    for (phase, inputs) in rows {
        let fixture = || {
            let mut fixture = fixture_with(SessionConfig::default());
            if phase != "handshaking" {
                fixture.handle(handshake());
            }
            if phase == "connected" || phase == "ended" {
                fixture.handle(Input::Connected(Ok(())));
            }
            if phase == "ended" {
                fixture.handle(Input::Abort);
            }
            fixture
        };
        for (name, input, expected) in inputs {
            assert_eq!(brief(&fixture().handle(input())), expected, "{name} while {phase}");
        }
        for (name, input) in quiet {
            assert_eq!(brief(&fixture().handle(input())), [""; 0], "{name} while {phase}");
        }
        for (name, input) in ends {
            let outputs = brief(&fixture().handle(input()));
            assert_eq!(outputs.len(), usize::from(phase != "ended"), "{name} while {phase}: {outputs:?}");
        }
    }
}
