//! When nothing is delivered because nobody takes anything.

use super::*;

/// One message for each of these, all delivered.
fn sent_to(bench: &mut Bench, names: &[&str]) {
    for (link, name) in (1..).zip(names) {
        bench.attach(name, link);
        bench.send(name, "first");
    }
    bench.take();
}

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

fn open() -> Bench {
    let config = DeliveryConfig { max_retry_attempts: 0, ..DeliveryConfig::default() };
    let mut bench = Bench::new(config);
    sent_to(&mut bench, &NAMES);
    for name in NAMES {
        assert_eq!(bench.engine.statistics().circuit_breaker_state, 0);
        bench.nack(name, "first");
    }
    assert_eq!(bench.engine.statistics().circuit_breaker_state, 1);
    assert_eq!(bench.engine.statistics().consecutive_failures, 5);
    bench
}

#[test]
fn one_client_that_refuses_everything_stops_nobody() {
    let mut bench = Bench::new(DeliveryConfig::default());
    bench.attach("bad", 1);
    bench.attach("good", 2);
    for number in 0..300 {
        bench.send("bad", &format!("b{number}"));
        bench.nack("bad", &format!("b{number}"));
    }
    bench.take();
    assert_eq!(bench.engine.statistics().circuit_breaker_state, 0);
    assert_eq!(bench.engine.statistics().consecutive_failures, 1);
    bench.send("good", "m");
    assert_eq!(bench.take(), [delivered(2, "m", 0, false)]);
}

#[test]
fn while_it_is_open_new_messages_wait_and_resends_do_not() {
    let mut bench = open();
    bench.send("a", "second");
    bench.send("f", "second");
    bench.attach("f", 6);
    assert_eq!(bench.take(), []);
    // Half open: one at a time, and who came first.
    bench.wait(30 * SECOND);
    assert_eq!(bench.engine.statistics().circuit_breaker_state, 2);
    assert_eq!(bench.take(), [delivered(1, "second", 0, false)]);
    bench.send("b", "third");
    assert_eq!(bench.take(), []);
    bench.ack("a", "second");
    assert_eq!(bench.engine.statistics().circuit_breaker_state, 0);
    let mut rest = bench.took();
    rest.sort();
    assert_eq!(rest, ["second", "third"]);
    // What was out before follows its client while the breaker is open.
    let mut bench = open();
    bench.engine.reset();
    bench.drain();
    bench.send("a", "m");
    bench.take();
    bench.engine.isolate();
    bench.send("a", "n");
    bench.attach("a", 9);
    assert_eq!(bench.take(), [delivered(9, "m", 0, true)]);
    bench.wait(1000 * SECOND);
    assert_eq!(bench.engine.statistics().circuit_breaker_state, 3);
    bench.engine.reset();
    bench.drain();
    assert_eq!(bench.took(), ["n"]);
}

#[test]
fn a_trial_that_fails_opens_it_again() {
    let mut bench = open();
    bench.send("a", "second");
    bench.send("b", "second");
    bench.wait(30 * SECOND);
    assert_eq!(bench.take().len(), 1);
    bench.nack("a", "second");
    assert_eq!(bench.engine.statistics().circuit_breaker_state, 1);
    bench.wait(30 * SECOND);
    // Somebody else is tried.
    assert_eq!(bench.take(), [delivered(2, "second", 0, false)]);
    bench.ack("b", "second");
    assert_eq!(bench.engine.statistics().circuit_breaker_state, 0);
}

#[test]
fn a_trial_whose_client_goes_away_is_no_verdict() {
    let mut bench = open();
    bench.send("a", "second");
    bench.send("b", "second");
    bench.wait(30 * SECOND);
    assert_eq!(bench.take(), [delivered(1, "second", 0, false)]);
    bench.detach("a", 1);
    assert_eq!(bench.take(), [delivered(2, "second", 0, false)]);
    assert_eq!(bench.engine.statistics().circuit_breaker_state, 2);
}

#[test]
fn who_is_gone_is_not_held() {
    let mut bench = open();
    for number in 0..50 {
        let (name, link) = (format!("n{number}"), 100 + number);
        bench.attach(&name, link);
        let message = Message { ephemeral: true, ..bench.message("m") };
        bench.send_message(&name, message);
        bench.detach(&name, link);
    }
    assert_eq!(bench.engine.held.len(), 0);
}
