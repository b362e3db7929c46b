use proptest::prelude::*;

use super::*;

/// 0 is everybody, all others are single connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct To(u8);

impl Destination for To {
    fn overlaps(&self, other: &Self) -> bool {
        self.0 == 0 || other.0 == 0 || self == other
    }
}

fn limits() -> Batching {
    Batching {
        max_batch_size: 3,
        max_batch_size_bytes: 100,
        max_pending: 8,
        max_pending_bytes: 200,
        ..Batching::default()
    }
}

fn batcher() -> Batcher<To, u32> {
    Batcher::new(limits())
}

fn at(millis: u64) -> Time {
    Time::from_millis(millis)
}

fn method(name: &'static str) -> Method {
    Method { name: name.into(), arguments: None }
}

fn add(batcher: &mut Batcher<To, u32>, now: u64, to: u8, name: &'static str, member: u32) {
    batcher.add(at(now), To(to), method(name), member, 10);
}

fn drain(batcher: &mut Batcher<To, u32>) -> Vec<(u8, Vec<u32>)> {
    std::iter::from_fn(|| batcher.poll()).map(|batch| (batch.destination.0, batch.members)).collect()
}

#[test]
fn a_batch_leaves_one_window_after_its_first_member() {
    let mut batcher = batcher();
    add(&mut batcher, 0, 1, "A", 1);
    add(&mut batcher, 40, 2, "A", 2);
    add(&mut batcher, 99, 1, "A", 3);
    batcher.tick(at(99));
    assert_eq!((drain(&mut batcher), batcher.deadline()), (vec![], Some(at(100))));
    batcher.tick(at(100));
    assert_eq!((drain(&mut batcher), batcher.deadline()), (vec![(1, vec![1, 3])], Some(at(140))));
    // The next one has a window of its own; and it does not take a tick for the old one to leave.
    add(&mut batcher, 150, 1, "A", 4);
    assert_eq!(drain(&mut batcher), [(2, vec![2])]);
    assert_eq!((batcher.pending(), batcher.deadline()), (1, Some(at(250))));
}

#[test]
fn nothing_of_a_full_batch_is_lost() {
    let mut batcher = batcher();
    for member in 0..7 {
        add(&mut batcher, 0, 1, "A", member);
    }
    assert_eq!(drain(&mut batcher), [(1, vec![0, 1, 2]), (1, vec![3, 4, 5])]);
    batcher.flush_all(at(1));
    assert_eq!(drain(&mut batcher), [(1, vec![6])]);
    // By bytes: the one that does not fit is the first of the next; one that never fits leaves alone.
    batcher.add(at(1), To(1), method("A"), 1, 60);
    batcher.add(at(1), To(1), method("A"), 2, 41);
    assert_eq!(drain(&mut batcher), [(1, vec![1])]);
    batcher.add(at(1), To(1), method("A"), 3, 59);
    assert_eq!(drain(&mut batcher), [(1, vec![2, 3])]);
    batcher.add(at(1), To(1), method("A"), 4, 1);
    batcher.add(at(1), To(1), method("A"), 5, 1_000);
    assert_eq!((drain(&mut batcher), batcher.pending()), (vec![(1, vec![4]), (1, vec![5])], 0));
}

#[test]
fn what_is_sent_at_once_does_not_overtake() {
    let mut batcher = batcher();
    for to in [1, 2, 0] {
        add(&mut batcher, 0, to, "A", to.into());
    }
    batcher.barrier(at(1), &To(2));
    assert_eq!(drain(&mut batcher), [(2, vec![2]), (0, vec![0])]);
    add(&mut batcher, 2, 2, "A", 3);
    batcher.barrier(at(3), &To(0));
    assert_eq!(drain(&mut batcher), [(1, vec![1]), (2, vec![3])]);
}

#[test]
fn methods_wait_side_by_side_or_keep_their_order() {
    let mut batcher = batcher();
    for (member, name) in ["A", "B", "A"].into_iter().enumerate() {
        add(&mut batcher, 0, 1, name, member as u32);
    }
    batcher.flush_all(at(0));
    assert_eq!(drain(&mut batcher), [(1, vec![0, 2]), (1, vec![1])]);
    let mut batcher = Batcher::new(Batching { group_by_method: false, ..limits() });
    for (member, (to, name)) in [(1, "A"), (1, "A"), (1, "B"), (2, "B"), (0, "B")].into_iter().enumerate() {
        add(&mut batcher, 0, to, name, member as u32);
    }
    batcher.flush_all(at(0));
    assert_eq!(drain(&mut batcher), [(1, vec![0, 1]), (1, vec![2]), (2, vec![3]), (0, vec![4])]);
    // Calls with other numbers of arguments are other batches.
    batcher.add(at(0), To(1), method("A"), 1, 1);
    batcher.add(at(0), To(1), Method { arguments: Some(2), ..method("A") }, 2, 1);
    assert_eq!(drain(&mut batcher), [(1, vec![1])]);
}

#[test]
fn while_it_is_paused_nothing_waits() {
    let mut batcher = batcher();
    add(&mut batcher, 0, 1, "A", 1);
    batcher.pause(at(0));
    add(&mut batcher, 0, 1, "A", 2);
    add(&mut batcher, 0, 1, "A", 3);
    assert_eq!(drain(&mut batcher), [(1, vec![1]), (1, vec![2]), (1, vec![3])]);
    assert!(batcher.is_paused() && batcher.totals().batches == 0);
    batcher.resume();
    add(&mut batcher, 0, 1, "A", 4);
    assert_eq!((drain(&mut batcher), batcher.pending()), (vec![], 1));
}

#[test]
fn only_so_many_members_wait() {
    let mut batcher = batcher();
    for to in 1..=9 {
        add(&mut batcher, 0, to, "A", to.into());
    }
    assert_eq!((drain(&mut batcher), batcher.pending()), (vec![(1, vec![1])], 8));
    batcher.add(at(0), To(9), method("A"), 10, 80);
    batcher.add(at(0), To(2), method("B"), 11, 61);
    assert_eq!((drain(&mut batcher), batcher.pending()), (vec![(2, vec![2]), (3, vec![3]), (4, vec![4])], 7));
}

#[test]
fn batches_are_counted() {
    let mut batcher = batcher();
    for (now, name) in [(0, "A"), (10, "A"), (20, "A"), (20, "B"), (50, "B"), (60, "C")] {
        add(&mut batcher, now, 1, name, 0);
    }
    batcher.flush_all(at(80));
    let totals = batcher.totals();
    assert_eq!((totals.messages, totals.batches, totals.saved(), totals.last), (5, 2, 3, Some(at(80))));
    assert_eq!(totals.waited, Duration::from_millis(20 + 60));
    assert_eq!(
        totals.by_method.iter().map(|(name, count)| (&**name, *count)).collect::<Vec<_>>(),
        [("A", 3), ("B", 2)]
    );
    for method in 0..2_000 {
        let method = Method { name: method.to_string().into(), arguments: None };
        batcher.add(at(80), To(1), method.clone(), 0, 50);
        batcher.add(at(80), To(1), method, 0, 50);
    }
    assert_eq!(batcher.totals().by_method.len(), METHODS_AND_REST);
}

const METHODS_AND_REST: usize = 1_001;

proptest! {
    /// Every member leaves once, at the latest after a window, and those of one key in their order.
    #[test]
    fn nothing_is_lost_late_or_reordered(
        steps in prop::collection::vec((0..4_u8, 0..3_u8, 0..2_usize, 1..60_usize, 0..40_u64), 1..200),
        group_by_method: bool,
    ) {
        let mut batcher = Batcher::new(Batching { group_by_method, ..limits() });
        let (mut now, mut added) = (0, Vec::new());
        let mut left: Vec<(u8, usize, usize)> = Vec::new();
        for (member, (step, to, name, bytes, pause)) in steps.into_iter().enumerate() {
            let until = now + pause;
            while let Some(deadline) = batcher.deadline().filter(|deadline| deadline.as_millis() <= until) {
                prop_assert!(deadline.as_millis() >= now);
                batcher.tick(deadline);
            }
            now = until;
            match step {
                0 => batcher.barrier(at(now), &To(to)),
                _ => {
                    let methods = ["A", "B"];
                    batcher.add(at(now), To(to), method(methods[name]), (member, now), bytes);
                    added.push((to, name, member));
                }
            }
            while let Some(batch) = batcher.poll() {
                prop_assert!(batch.members.len() <= 3);
                prop_assert!(batch.bytes <= 100 || batch.members.len() == 1);
                for (member, since) in batch.members {
                    prop_assert!(now <= since + 100 + pause);
                    left.push((batch.destination.0, usize::from(&*batch.method.name == "B"), member));
                }
            }
            prop_assert!(batcher.pending() <= 8);
        }
        batcher.flush_all(at(now));
        while let Some(batch) = batcher.poll() {
            let name = usize::from(&*batch.method.name == "B");
            left.extend(batch.members.iter().map(|(member, _)| (batch.destination.0, name, *member)));
        }
        let of = |list: &[(u8, usize, usize)], to: u8, name: Option<usize>| -> Vec<usize> {
            let is = |entry: &&(u8, usize, usize)| {
                // Without groups by method, everything that reaches a connection keeps its order.
                let reaches = if name.is_some() { entry.0 == to } else { To(entry.0).overlaps(&To(to)) };
                reaches && name.is_none_or(|name| entry.1 == name)
            };
            list.iter().filter(is).map(|entry| entry.2).collect()
        };
        for to in 0..3 {
            for name in 0..2 {
                prop_assert_eq!(of(&left, to, Some(name)), of(&added, to, Some(name)));
            }
            if !group_by_method && to != 0 {
                prop_assert_eq!(of(&left, to, None), of(&added, to, None));
            }
        }
    }
}
