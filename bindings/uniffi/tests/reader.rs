//! The thread that is lent to the connections. Alone in its process, because there is one reader for all of them.
#![allow(clippy::unwrap_used, missing_docs)]

mod foreign;

use foreign::{Foreign, World, settings};
use hubwire_ffi::{ConnectionState, Encoding, HubFailure, Notice};

/// One test, whose parts need each other's absence.
#[test]
fn the_reader_lives_as_long_as_the_connections() {
    let world = World::new();
    let open = || Foreign::open(settings(world.url.clone(), Encoding::Json)).unwrap();
    let mut first = open();
    let reader = first.reader.take().unwrap();
    let second = open();
    assert!(second.reader.is_none(), "one reader for all");
    first.started();
    second.started();
    assert!(!reader.is_finished());

    // One that cannot be made leaves nothing behind.
    for wrong in ["", "ftp://example.org", "http://"] {
        let failure = Foreign::open(settings(wrong.into(), Encoding::Json)).err().unwrap();
        assert!(
            matches!(failure, HubFailure::Failed { ref reason, .. } if reason.contains("url")),
            "{failure}"
        );
    }

    let Foreign { connection, notices, .. } = first;
    drop(connection);
    assert!(notices.iter().any(|notice| notice == Notice::Ended), "it ends without a stop, in order");
    second.connection.stop();
    second.find(|notice| match notice {
        Notice::State { change } => (change.new == ConnectionState::Disconnected).then_some(()),
        _ => None,
    });
    world.until("the end of both connections", |world| world.connections() == 0);
    second.started();
    world.until("the second connection", |world| world.connections() == 1);
    assert!(!reader.is_finished(), "a stopped connection may be started again");
    drop(second);
    reader.join().unwrap();
    world.until("the end of the last connection", |world| world.connections() == 0);

    let mut third = open();
    let reader = third.reader.take().unwrap();
    third.started();
    third.connection.stop();
    drop(third);
    reader.join().unwrap();
}
