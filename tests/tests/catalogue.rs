//! Failures that users of other libraries have met, each as a scenario of the simulation. The names are those of the reports.
#![allow(missing_docs)]

use std::time::Duration;

use e2e::sim::{Summary, World};

const MINUTE: Duration = Duration::from_secs(60);

/// Nothing wrong, and nothing missing.
fn complete(world: World) -> Summary {
    let summary = world.verdict();
    assert_eq!(summary.violations, []);
    assert_eq!(summary.gaps, 0, "everything could be had");
    summary
}

/// A client that lost its connection before the first event of a stream has no offset, and never recovers.
#[test]
fn socket_io_4888_no_offset_before_the_first_event() {
    let mut world = World::calm(60);
    world.half_open(0);
    world.publish_many(0, 5);
    world.wait(MINUTE);
    assert_eq!(world.lacks(0, 0), 0);
    complete(world);
}

/// As before, with a stream that was never used by anybody.
#[test]
fn socket_io_5538_offset_unset() {
    let mut world = World::calm(60);
    world.cut_client(1);
    world.publish_many(2, 1);
    world.catch_up();
    assert_eq!(world.lacks(1, 2), 0);
    complete(world);
}

/// A quiet connection that lives for longer than messages are kept cannot recover, because its offset is too old.
#[test]
fn socket_io_5282_quiet_for_longer_than_the_window() {
    let mut world = World::calm(60);
    world.publish_many(0, 3);
    world.catch_up();
    world.wait(40 * MINUTE);
    world.half_open(0);
    world.publish_many(0, 2);
    world.wait(MINUTE);
    world.catch_up();
    assert_eq!(world.lacks(0, 0), 0);
    complete(world);
}

/// A payload was taken for an offset, and everything before it was skipped. Here ids of messages and calls are of the same
/// numbers as those in streams.
#[test]
fn socket_io_5539_payloads_are_no_offsets() {
    let mut world = World::calm(60);
    for _ in 0..10 {
        world.publish_many(0, 1);
        world.send_many(0, 2);
        world.call_many(0, 1);
        world.cut_client(0);
        world.publish_many(0, 2);
        world.catch_up();
        assert_eq!((world.lacks(0, 0), world.unhandled(0)), (0, 0));
    }
    complete(world);
}

/// Recovery works once.
#[test]
fn socket_io_4880_recovery_works_more_than_once() {
    let mut world = World::calm(60);
    for round in 1..=5 {
        world.half_open(0);
        world.publish_many(0, 4);
        world.wait(MINUTE);
        assert_eq!(world.lacks(0, 0), 0);
        assert!(world.metrics(0).recoveries >= round, "it was asked for");
    }
    complete(world);
}

/// Messages that were sent in another way than usual were not counted, so that the resumed connection was out of step.
#[test]
fn signalr_55575_every_way_of_sending_counts() {
    let mut world = World::calm(60);
    for _ in 0..5 {
        world.publish_many(0, 2);
        world.send_many(0, 3);
        world.change_many(0, 2);
        world.call_many(0, 2);
        world.half_open(0);
        world.change_many(0, 2);
        world.send_many(0, 3);
        world.publish_many(0, 2);
        world.wait(MINUTE);
        world.catch_up();
        assert_eq!((world.lacks(0, 0), world.unhandled(0)), (0, 0));
    }
    complete(world);
}

/// One client that does not read kept everybody else from getting anything.
#[test]
fn osu_35658_one_that_does_not_read_stalls_nobody() {
    let mut world = World::calm(60);
    world.sleep(0, 10 * MINUTE);
    for _ in 0..20 {
        world.publish_many(0, 2);
        (0..3).for_each(|client| world.send_many(client, 2));
        world.wait(Duration::from_secs(1));
    }
    world.wait(Duration::from_secs(5));
    for client in [1, 2] {
        assert_eq!((world.lacks(client, 0), world.unhandled(client)), (0, 0), "client {client}");
    }
    assert_eq!(world.unhandled(0), 40);
    let summary = world.verdict();
    assert_eq!(summary.violations, []);
}

/// More waits for a client than may be in flight: it waits, and nothing is dropped.
#[test]
fn signalr_66318_backpressure_loses_nothing() {
    let mut world = World::calm(60);
    world.sleep(0, Duration::from_secs(20));
    world.send_many(0, 500);
    world.wait(Duration::from_secs(10));
    assert_eq!(world.unhandled(0), 500);
    world.wait(MINUTE);
    world.catch_up();
    assert_eq!(world.unhandled(0), 0);
    complete(world);
}

/// Positions of a server that has forgotten everything were used with the new one, which had other messages there.
#[test]
fn centrifuge_js_385_positions_of_another_life() {
    let mut world = World::calm(60);
    world.publish_many(0, 5);
    world.catch_up();
    world.restart_server(false);
    world.publish_many(0, 5);
    let summary = world.verdict();
    assert_eq!(summary.violations, []);
    assert!(summary.gaps >= 3, "each client is told");
}

/// The same server with its disk goes on where it was.
#[test]
fn a_server_with_a_disk_goes_on() {
    let mut world = World::calm(60);
    world.publish_many(0, 5);
    world.send_many(1, 5);
    world.restart_server(true);
    world.publish_many(0, 5);
    world.catch_up();
    assert_eq!((world.lacks(0, 0), world.unhandled(1)), (0, 0));
    complete(world);
}

/// The second of two changes in one frame was merged into the wrong base.
#[test]
fn ably_python_692_two_changes_at_once() {
    let mut world = World::calm(60);
    world.change_many(0, 1);
    world.catch_up();
    for count in [2, 3, 10] {
        world.change_many(0, count);
        world.catch_up();
    }
    assert_eq!(world.metrics(0).snapshots, 0, "nothing was missing");
    complete(world);
}

/// A client that could not make sense of a change asked for it again and again.
#[test]
fn ably_docs_891_nobody_asks_for_ever() {
    let mut world = World::calm(60);
    for _ in 0..10 {
        world.cut_client(0);
        world.change_many(0, 3);
        world.change_many(1, 3);
        world.catch_up();
    }
    assert!(world.metrics(0).snapshots <= 20, "{}", world.metrics(0).snapshots);
    complete(world);
}

/// A machine that slept for longer than messages are kept looked as if nothing had happened.
#[test]
fn ably_js_1559_sleep_longer_than_the_window() {
    let mut world = World::calm(60);
    world.publish_many(0, 3);
    world.catch_up();
    world.sleep(0, 180 * MINUTE);
    for _ in 0..100 {
        world.publish_many(0, 2);
        world.wait(MINUTE);
    }
    world.wait(90 * MINUTE);
    let summary = world.verdict();
    assert_eq!(summary.violations, []);
    assert!(summary.gaps >= 1, "what is lost is told");
}

/// The way from the source of messages was dead, and nobody noticed.
#[test]
fn centrifuge_594_a_way_that_is_silently_dead() {
    let mut world = World::calm(60);
    for client in 0..3 {
        world.half_open(client);
    }
    world.publish_many(0, 10);
    world.send_many(0, 10);
    world.wait(2 * MINUTE);
    world.catch_up();
    for client in 0..3 {
        assert_eq!((world.lacks(client, 0), world.unhandled(client)), (0, 0));
    }
    complete(world);
}

/// More than a server sends at once had to be recovered.
#[test]
fn centrifugo_recovery_of_more_than_300_messages() {
    let mut world = World::calm(1000);
    world.half_open(0);
    world.publish_many(0, 350);
    world.wait(MINUTE);
    world.catch_up();
    assert_eq!(world.lacks(0, 0), 0);
    assert!(world.metrics(0).recoveries >= 35, "page by page: {}", world.metrics(0).recoveries);
    complete(world);
}

/// Browsers give hidden pages their timers once a minute: acknowledgements must not wait for them.
#[test]
fn hidden_pages_get_timers_once_a_minute() {
    let mut world = World::calm(60);
    world.throttle(0, true);
    for _ in 0..10 {
        world.send_many(0, 3);
        world.publish_many(0, 2);
        world.wait(Duration::from_secs(20));
    }
    world.throttle(0, false);
    world.catch_up();
    assert_eq!((world.lacks(0, 0), world.unhandled(0)), (0, 0));
    complete(world);
}

/// A client that comes back while its old connection still looks alive is one client, not two.
#[test]
fn two_connections_of_one_client() {
    let mut world = World::calm(60);
    for _ in 0..5 {
        world.send_many(0, 5);
        world.half_open(0);
        world.restart_client(0);
        world.send_many(0, 5);
        world.catch_up();
        assert_eq!(world.unhandled(0), 0);
    }
    complete(world);
}

/// Both ends die in the middle of everything.
#[test]
fn client_and_server_die() {
    let mut world = World::calm(60);
    for _ in 0..5 {
        world.send_many(0, 5);
        world.publish_many(1, 5);
        world.restart_server(true);
        world.restart_client(0);
        world.catch_up();
        assert_eq!((world.unhandled(0), world.lacks(0, 1)), (0, 0));
    }
    complete(world);
}
