//! How messages end.

use super::*;

#[test]
fn an_acknowledged_message_is_confirmed_once() {
    let mut bench = Bench::new(DeliveryConfig::default());
    bench.attach("a", 1);
    bench.send("a", "m");
    assert_eq!(bench.accepted, [1]);
    assert_eq!(bench.take(), [delivered(1, "m", 0, false)]);
    assert_eq!(bench.status("a", "m"), Some(Status::Pending));
    bench.ack("a", "m");
    bench.ack("a", "m");
    assert_eq!(bench.ended(), Outcome::Acknowledged);
    assert_eq!(bench.status("a", "m"), Some(Status::Acknowledged));
    assert_eq!(bench.engine.statistics().ignored, 1);
    assert_eq!(bench.engine.statistics().processed_messages, 1);
    assert_eq!(bench.engine.statistics().pending_bytes, 0);
    // It is known for a minute, and then nothing is left of it.
    bench.wait(60 * SECOND);
    assert_eq!(bench.status("a", "m"), None);
    bench.wait_for_deadline();
    assert_eq!(bench.deadline, None);
    assert_eq!(bench.engine.timers.len(), 0);
}

#[test]
fn only_who_got_a_message_can_acknowledge_it() {
    let mut bench = Bench::new(DeliveryConfig::default());
    bench.attach("a", 1);
    bench.attach("b", 2);
    bench.send("a", "m");
    bench.send("c", "early");
    for (who, id) in [("b", "m"), ("a", "other"), ("c", "early")] {
        bench.ack(who, id);
        bench.nack(who, id);
    }
    assert_eq!(bench.confirmed, []);
    assert_eq!(bench.engine.statistics().ignored, 6);
    assert_eq!(bench.status("b", "m"), None);
}

#[test]
fn a_critical_message_is_tried_again_and_becomes_a_dead_letter() {
    for nacks in [true, false] {
        let mut bench = Bench::new(DeliveryConfig::default());
        bench.attach("a", 1);
        bench.send("a", "m");
        for (retry, delay) in [(0, 2), (1, 4), (2, 8)] {
            assert_eq!(bench.take(), [delivered(1, "m", retry, false)]);
            match nacks {
                true => bench.nack("a", "m"),
                false => bench.wait(30 * SECOND),
            }
            // A second answer to the same delivery does not count.
            bench.nack("a", "m");
            bench.wait(delay * SECOND - Duration::from_millis(1));
            assert_eq!(bench.take(), []);
            bench.wait(Duration::from_millis(1));
        }
        assert_eq!(bench.take(), [delivered(1, "m", 3, false)]);
        assert_eq!(bench.confirmed, []);
        match nacks {
            true => bench.nack("a", "m"),
            false => bench.wait(30 * SECOND),
        }
        let (outcome, status) = match nacks {
            true => (Outcome::Nacked("no".into()), Status::NegativelyAcknowledged),
            false => (Outcome::TimedOut, Status::TimedOut),
        };
        assert_eq!(bench.ended(), outcome);
        assert_eq!(bench.status("a", "m"), Some(status));
        assert_eq!(bench.reasons(), [("m".into(), 4, "Failed after 4 attempts".into())]);
        assert_eq!(bench.engine.statistics().retries, 3);
    }
}

#[test]
fn what_is_not_critical_has_one_attempt() {
    let mut bench = Bench::new(DeliveryConfig::default());
    bench.attach("a", 1);
    let message = Message { critical: false, timeout: Some(5 * SECOND), ..bench.message("m") };
    bench.send_message("a", message);
    bench.wait(5 * SECOND);
    assert_eq!(bench.ended(), Outcome::TimedOut);
    assert_eq!(bench.reasons(), []);
    bench.wait(1000 * SECOND);
    assert_eq!(bench.take().len(), 1);
}

#[test]
fn a_late_acknowledgement_counts() {
    let mut bench = Bench::new(DeliveryConfig::default());
    bench.attach("a", 1);
    bench.send("a", "m");
    bench.wait(31 * SECOND);
    bench.ack("a", "m");
    assert_eq!(bench.ended(), Outcome::Acknowledged);
    bench.wait(1000 * SECOND);
    assert_eq!(bench.take().len(), 1);
}

#[test]
fn a_session_is_waited_for_and_then_given_up() {
    let mut bench = Bench::new(DeliveryConfig::default());
    bench.attach("a", 1);
    bench.send("a", "critical");
    let other = Message { critical: false, ..bench.message("other") };
    bench.send_message("a", other);
    bench.detach("a", 1);
    // What comes meanwhile does not prolong it.
    bench.wait(60 * SECOND);
    bench.send("a", "late");
    bench.wait(60 * SECOND - Duration::from_millis(1));
    assert_eq!(bench.confirmed, []);
    bench.wait(Duration::from_millis(1));
    let all = [1, 2, 3].map(|entry| (entry, Outcome::Disconnected));
    assert_eq!(bench.confirmed, all);
    assert_eq!(bench.status("a", "other"), Some(Status::Failed));
    let reason = "Connection disconnected".to_owned();
    assert_eq!(bench.reasons(), [("critical".into(), 1, reason.clone()), ("late".into(), 0, reason)]);
    assert!(bench.engine.recipients.is_empty());
}

#[test]
fn a_connection_is_not_waited_for() {
    let mut bench = Bench::new(DeliveryConfig::default());
    bench.attach("a", 1);
    for id in ["in flight", "too"] {
        let message = Message { ephemeral: true, ..bench.message(id) };
        bench.send_message("a", message);
    }
    bench.detach("a", 1);
    let gone = Message { ephemeral: true, ..bench.message("late") };
    bench.send_message("a", gone);
    assert_eq!(bench.confirmed, [1, 2, 3].map(|entry| (entry, Outcome::Disconnected)));
    assert_eq!(bench.reasons(), []);
    assert!(bench.engine.recipients.is_empty());
}

#[test]
fn what_expires_while_it_waits_is_a_dead_letter() {
    let mut bench = Bench::new(DeliveryConfig::default());
    let expiring =
        |bench: &Bench, id: &str| Message { expires_at: Some(bench.now + 10 * SECOND), ..bench.message(id) };
    let message = expiring(&bench, "away");
    bench.send_message("a", message);
    bench.wait(10 * SECOND);
    assert_eq!(bench.ended(), Outcome::Expired);
    assert_eq!(bench.status("a", "away"), Some(Status::Expired));
    assert_eq!(bench.reasons(), [("away".into(), 0, "Message expired".into())]);
    // What was delivered in time may be acknowledged later.
    bench.attach("a", 1);
    let message = expiring(&bench, "in flight");
    bench.send_message("a", message);
    bench.wait(20 * SECOND);
    assert_eq!(bench.confirmed, []);
    // But it is not delivered any more.
    bench.detach("a", 1);
    assert_eq!(bench.ended(), Outcome::Expired);
    bench.attach("a", 2);
    let message = expiring(&bench, "retry");
    bench.send_message("a", message);
    bench.wait(9 * SECOND);
    bench.nack("a", "retry");
    bench.wait(SECOND);
    assert_eq!(bench.ended(), Outcome::Expired);
    // And what is over already is not even taken.
    let over = Message { expires_at: Some(bench.now), ..bench.message("over") };
    bench.send_message("a", over);
    assert_eq!(bench.ended(), Outcome::Expired);
    assert_eq!(bench.accepted, [1, 2, 3]);
    assert_eq!(bench.reasons().len(), 3);
}

#[test]
fn limits_refuse_and_say_which() {
    let config = DeliveryConfig {
        recipient_messages: 2,
        recipient_bytes: 35,
        messages: 4,
        bytes: 60,
        ..DeliveryConfig::default()
    };
    let mut bench = Bench::new(config);
    let mut refusal = |bytes: usize, to: &str, id: &str| {
        let message = Message { bytes, ..bench.message(id) };
        bench.send_message(to, message);
        bench.confirmed.pop().map(|(_, outcome)| outcome)
    };
    assert_eq!(refusal(10, "a", "1"), None);
    let Some(Outcome::Refused(text)) = refusal(10, "a", "1") else { panic!("twice") };
    assert!(text.contains("already registered"), "{text}");
    let Some(Outcome::Refused(text)) = refusal(26, "a", "2") else { panic!("bytes of a recipient") };
    assert!(text.contains("35 bytes"), "{text}");
    assert_eq!(refusal(25, "a", "2"), None);
    let Some(Outcome::Refused(text)) = refusal(0, "a", "3") else { panic!("messages of a recipient") };
    assert!(text.contains("2 messages"), "{text}");
    assert_eq!(refusal(10, "b", "1"), None);
    let Some(Outcome::Refused(text)) = refusal(16, "c", "1") else { panic!("bytes of all") };
    assert!(text.contains("60 bytes"), "{text}");
    assert_eq!(refusal(15, "c", "1"), None);
    let Some(Outcome::Refused(text)) = refusal(0, "d", "1") else { panic!("messages of all") };
    assert!(text.contains("4 messages"), "{text}");
    assert_eq!(bench.engine.statistics().refused_messages, 5);
    // What ends makes room.
    bench.attach("a", 1);
    bench.ack("a", "2");
    bench.send("a", "3");
    assert_eq!(bench.took(), ["1", "2", "3"]);
}

#[test]
fn dead_letters_and_statuses_are_bounded() {
    let config = DeliveryConfig {
        dead_letters: 3,
        statuses: 2,
        max_retry_attempts: 0,
        failure_threshold: 0,
        ..DeliveryConfig::default()
    };
    let mut bench = Bench::new(config);
    bench.attach("a", 1);
    for id in ["1", "2", "3", "4", "5"] {
        bench.send("a", id);
        bench.nack("a", id);
    }
    let ids: Vec<_> = bench.reasons().into_iter().map(|(id, ..)| id).collect();
    assert_eq!(ids, ["3", "4", "5"]);
    assert_eq!(bench.engine.statistics().dead_letters_dropped, 2);
    assert_eq!(["3", "4", "5"].map(|id| bench.status("a", id).is_some()), [false, true, true]);
    let mut bench = Bench::new(DeliveryConfig { dead_letters: 3, dead_letter_bytes: 25, ..config });
    bench.attach("a", 1);
    for id in ["1", "2", "3"] {
        bench.send("a", id);
        bench.nack("a", id);
    }
    assert_eq!(bench.reasons().len(), 2);
}

#[test]
fn a_dead_letter_that_is_requeued_starts_anew() {
    let mut bench = Bench::new(DeliveryConfig { max_retry_attempts: 1, ..DeliveryConfig::default() });
    bench.attach("a", 1);
    bench.attach("b", 2);
    let message = Message { expires_at: Some(bench.now + 500 * SECOND), ..bench.message("m") };
    bench.send_message("a", message.clone());
    bench.send_message("b", message);
    for _ in 0..2 {
        bench.nack("a", "m");
        bench.nack("b", "m");
        bench.wait(2 * SECOND);
    }
    assert_eq!((bench.take().len(), bench.reasons().len(), bench.confirmed.len()), (4, 2, 2));
    bench.wait(1000 * SECOND);
    bench.input(Input::Requeue { message_id: "unknown".into() });
    bench.input(Input::Requeue { message_id: "m".into() });
    bench.input(Input::Requeue { message_id: "m".into() });
    assert_eq!(bench.requeued, [0, 2, 0]);
    let mut again = bench.take();
    again.sort_by_key(|delivered| delivered.link);
    assert_eq!(again, [delivered(1, "m", 0, false), delivered(2, "m", 0, false)]);
    bench.ack("a", "m");
    bench.nack("b", "m");
    bench.wait(2 * SECOND);
    assert_eq!(bench.take(), [delivered(2, "m", 1, false)]);
    assert_eq!(bench.confirmed[2..], [(1, Outcome::Acknowledged)]);
}

#[test]
fn who_is_forgotten_gets_nothing_more() {
    let mut bench = Bench::new(DeliveryConfig::default());
    bench.attach("a", 1);
    bench.send("a", "m");
    bench.detach("a", 1);
    bench.input(Input::Forget { recipient: session("a") });
    assert_eq!(bench.ended(), Outcome::Disconnected);
    bench.take();
    bench.attach("a", 2);
    assert_eq!(bench.take(), []);
}

#[test]
fn recipients_are_printed_without_secrets() {
    let secret = RecipientId::session(Some("alice:x"), "secret");
    assert_eq!((secret.label(), format!("{secret:?}")), ("alice:x", "RecipientId(..)".into()));
    assert_eq!(RecipientId::session(None, "secret").label(), "anonymous");
    assert_eq!(RecipientId::connection("id", None).label(), "id");
    assert_eq!(RecipientId::connection("id", Some("bob")).label(), "bob");
    assert_ne!(RecipientId::connection("id", Some("bob")), RecipientId::session(Some("bob"), "id"));
    assert_eq!(RecipientId::from_secret(secret.as_secret()), secret);
}

#[test]
fn nothing_is_left_of_what_ended() {
    let mut bench = Bench::new(DeliveryConfig::default());
    bench.attach("a", 1);
    bench.attach("a", 1);
    let expiring = Message { expires_at: Some(bench.now + 500 * SECOND), ..bench.message("m") };
    bench.send_message("a", expiring);
    bench.nack("a", "m");
    bench.ack("a", "m");
    bench.detach("a", 1);
    assert_eq!(bench.ended(), Outcome::Acknowledged);
    assert!(bench.engine.recipients.is_empty(), "a connection that came twice is one");
    // Only what is known of it, for a while.
    assert_eq!(bench.engine.timers.len(), 1);
}

#[test]
fn who_is_back_in_time_is_not_given_up() {
    let mut bench = Bench::new(DeliveryConfig::default());
    bench.attach("a", 1);
    bench.send("a", "m");
    bench.detach("a", 1);
    bench.wait(119 * SECOND);
    bench.attach("a", 2);
    bench.wait(SECOND);
    assert_eq!(bench.confirmed, []);
    // The next absence has a whole window of its own.
    bench.detach("a", 2);
    bench.wait(119 * SECOND);
    assert_eq!(bench.confirmed, []);
}
