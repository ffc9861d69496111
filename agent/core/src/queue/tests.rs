use bytes::Bytes;
use davy_proto::Signal;
use proptest::prelude::*;

use super::*;

fn payload(length: usize, items: u64) -> Payload {
    Payload {
        signal: Signal::Traces,
        bytes: Bytes::from(vec![7; length]),
        items,
    }
}

fn queue(payloads: u64, when_full: WhenFull) -> Queue {
    Queue::new(
        Signal::Traces,
        payloads * (100 + PAYLOAD_OVERHEAD_BYTES),
        when_full,
    )
}

#[test]
fn the_oldest_go_first_but_never_what_is_under_way() {
    let mut queue = queue(3, WhenFull::DropOldest);
    for items in 1..=3 {
        assert_eq!(queue.push(payload(100, items)), Push::Accepted);
    }
    assert_eq!(queue.batch(100).map(|batch| batch.payload.items), Some(1));
    let second = Dropped {
        items: 2,
        bytes: 100,
    };
    assert_eq!(
        queue.push(payload(100, 4)),
        Push::AcceptedAfterDropping(second)
    );
    assert_eq!(queue.batch(100), None, "one at a time");
    queue.nack();
    assert_eq!(
        queue
            .batch(1000)
            .map(|batch| (batch.payloads, batch.payload.items)),
        Some((3, 8))
    );
    assert_eq!(
        queue.push(payload(100, 5)),
        Push::Refused,
        "everything is under way"
    );
    assert_eq!(queue.ack(), 8);
    assert_eq!(
        queue.counts(),
        Counts {
            pushed: 10,
            delivered: 8,
            dropped: 2,
            queued: 0
        }
    );
    assert_eq!(queue.bytes(), 0);
}

#[test]
fn refusing_drops_nothing() {
    let mut queue = queue(2, WhenFull::Refuse);
    assert_eq!(queue.push(payload(100, 1)), Push::Accepted);
    assert!(queue.has_room(100) && !queue.has_room(101));
    assert_eq!(queue.push(payload(100, 2)), Push::Accepted);
    assert_eq!(queue.push(payload(0, 3)), Push::Refused);
    assert_eq!(
        queue.counts(),
        Counts {
            pushed: 3,
            delivered: 0,
            dropped: 0,
            queued: 3
        }
    );
}

#[test]
fn a_payload_larger_than_the_queue_costs_nothing_else() {
    let mut queue = queue(2, WhenFull::DropOldest);
    assert_eq!(queue.push(payload(100, 1)), Push::Accepted);
    assert_eq!(queue.push(payload(1000, 2)), Push::Refused);
    assert_eq!(queue.counts().queued, 1);
}

#[derive(Clone, Debug)]
enum Step {
    Push(usize, u64),
    Batch(usize),
    Ack,
    Nack,
    Discard,
    DropOldest,
    Bound(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0usize..300, 0u64..9).prop_map(|(length, items)| Step::Push(length, items)),
        3 => (0usize..500).prop_map(Step::Batch),
        2 => Just(Step::Ack),
        1 => Just(Step::Nack),
        1 => Just(Step::Discard),
        1 => Just(Step::DropOldest),
        1 => (0u64..2000).prop_map(Step::Bound),
    ]
}

proptest! {
    /// Guarantees: pushed = delivered + dropped + queued, and the order is kept.
    #[test]
    fn nothing_is_lost_unseen(
        refuse: bool,
        steps in prop::collection::vec(step(), 0..80),
    ) {
        let when_full = if refuse { WhenFull::Refuse } else { WhenFull::DropOldest };
        let mut queue = Queue::new(Signal::Traces, 1000, when_full);
        let (mut pushed, mut delivered, mut dropped, mut bound) = (0, 0, 0, 1000);
        for step in steps {
            match step {
                Step::Push(length, items) => match queue.push(payload(length, items)) {
                    Push::Accepted => pushed += items,
                    Push::AcceptedAfterDropping(lost) => {
                        pushed += items;
                        dropped += lost.items;
                        prop_assert!(!refuse);
                    }
                    Push::Refused => {}
                },
                Step::Batch(bytes_max) => {
                    let _ = queue.batch(bytes_max);
                }
                Step::Ack => delivered += queue.ack(),
                Step::Nack => queue.nack(),
                Step::Discard => dropped += queue.discard().items,
                Step::DropOldest => dropped += queue.drop_oldest().unwrap_or_default().items,
                Step::Bound(bytes_max) => {
                    bound = bound.max(bytes_max);
                    queue.set_bytes_max(bytes_max);
                }
            }
            let queued = pushed - delivered - dropped;
            prop_assert_eq!(queue.counts(), Counts { pushed, delivered, dropped, queued });
            prop_assert!(queue.bytes() <= bound);
        }
        dropped += queue.clear().items;
        prop_assert_eq!(pushed, delivered + dropped);
        prop_assert_eq!(queue.bytes(), 0);
    }
}

#[test]
fn a_batch_may_arrive_in_part() {
    let mut queue = queue(3, WhenFull::Refuse);
    for items in [2, 3] {
        queue.push(payload(10, items));
        assert!(queue.batch(10).is_some());
        assert_eq!(queue.ack_but(2), items - 2);
    }
    queue.push(payload(10, 1));
    assert!(queue.batch(10).is_some());
    assert_eq!(queue.ack_but(9), 0, "no more is lost than there was");
    let counts = queue.counts();
    let expected = (6, 1, 5, 0);
    assert_eq!(
        (
            counts.pushed,
            counts.delivered,
            counts.dropped,
            counts.queued
        ),
        expected
    );
}
