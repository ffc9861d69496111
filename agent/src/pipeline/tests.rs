use bytes::Bytes;

use super::*;

fn payload(signal: Signal, length: usize, items: u64) -> Payload {
    Payload {
        signal,
        bytes: Bytes::from(vec![1; length]),
        items,
    }
}

fn intake(bytes_max: u64, when_full: WhenFull) -> Intake {
    Intake::new(bytes_max, when_full, Telemetry::new())
}

fn dropped(intake: &Intake) -> String {
    let text = intake.telemetry().encode();
    let lines = text
        .lines()
        .filter(|line| line.starts_with("davy_agent_dropped_items_total{"));
    lines
        .map(|line| line.trim_start_matches("davy_agent_dropped_items_total"))
        .collect()
}

#[test]
fn one_payload_goes_to_every_destination_of_its_signal() {
    let intake = intake(10_000, WhenFull::DropOldest);
    let a = intake.add_lane("a", Signal::Traces, Feed::Stream);
    let b = intake.add_lane("b", Signal::Traces, Feed::Stream);
    let logs = intake.add_lane("b", Signal::Logs, Feed::Stream);
    assert_eq!(
        intake.offer(payload(Signal::Traces, 10, 3)),
        Offer::Accepted
    );
    assert_eq!(a.counts().queued, 3);
    assert_eq!(b.counts().queued, 3);
    assert_eq!(logs.counts().queued, 0);
    assert_eq!(
        intake.offer(payload(Signal::Metrics, 10, 7)),
        Offer::Accepted
    );
    let expected = "{signal=\"metrics\",destination=\"none\",reason=\"no_destination\"} 7";
    assert_eq!(dropped(&intake), expected);
}

#[test]
fn a_dead_destination_loses_its_own_oldest_and_no_other() {
    let intake = intake(1000, WhenFull::DropOldest);
    let dead = intake.add_lane("dead", Signal::Traces, Feed::Stream);
    for _ in 0..5 {
        assert_eq!(
            intake.offer(payload(Signal::Traces, 100, 1)),
            Offer::Accepted
        );
    }
    let alive = intake.add_lane("alive", Signal::Metrics, Feed::Stream);
    for _ in 0..3 {
        assert_eq!(
            intake.offer(payload(Signal::Metrics, 100, 1)),
            Offer::Accepted
        );
    }
    assert_eq!((dead.counts().queued, dead.counts().dropped), (3, 2));
    assert_eq!((alive.counts().queued, alive.counts().dropped), (3, 0));
    let expected = "{signal=\"traces\",destination=\"dead\",reason=\"queue_full\"} 2";
    assert_eq!(dropped(&intake), expected);
    assert_eq!(
        intake.offer(payload(Signal::Metrics, 1000, 1)),
        Offer::TooLarge { limit: 936 },
        "coming again would not help"
    );
    assert_eq!((dead.counts().queued, alive.counts().queued), (3, 3));
    assert_eq!(
        intake.offer(payload(Signal::Metrics, 936, 1)),
        Offer::Accepted
    );
    assert_eq!((dead.counts().queued, alive.counts().queued), (0, 1));
}

/// Guarantees: whether a payload is too large depends on the bounds alone, not on what waits.
#[test]
fn a_payload_is_too_large_for_all_its_destinations_together() {
    for when_full in [WhenFull::DropOldest, WhenFull::Refuse] {
        let intake = intake(8 * 200, when_full);
        for name in ["a", "b"] {
            intake.add_lane(name, Signal::Logs, Feed::Stream);
        }
        intake.add_lane("a", Signal::Logs, Feed::Tail);
        // Seven eighths of the bound, by two, less what a place in a queue takes.
        let limit = 700 - 64;
        let offered = intake.offer(payload(Signal::Logs, limit + 1, 1));
        let limit = limit as u64;
        assert_eq!(offered, Offer::TooLarge { limit });
        let offered = intake.offer(payload(Signal::Logs, limit as usize, 1));
        assert_eq!(offered, Offer::Accepted);
    }
}

#[test]
fn refusing_queues_for_all_or_none() {
    let intake = intake(500, WhenFull::Refuse);
    let a = intake.add_lane("a", Signal::Traces, Feed::Stream);
    assert_eq!(
        intake.offer(payload(Signal::Traces, 100, 1)),
        Offer::Accepted
    );
    let b = intake.add_lane("b", Signal::Traces, Feed::Stream);
    assert_eq!(
        intake.offer(payload(Signal::Traces, 100, 1)),
        Offer::Accepted
    );
    assert_eq!(
        intake.offer(payload(Signal::Traces, 100, 1)),
        Offer::Full {
            retry_after: RETRY_AFTER
        }
    );
    assert_eq!((a.counts().queued, b.counts().queued), (2, 1));
    assert_eq!(dropped(&intake), "");
}

#[tokio::test]
async fn an_acknowledgement_waits_for_all_destinations() {
    let intake = intake(100_000, WhenFull::DropOldest);
    let a = intake.add_lane("a", Signal::Logs, Feed::Tail);
    let b = intake.add_lane("b", Signal::Logs, Feed::Tail);
    let first = intake.deliver_when_room(payload(Signal::Logs, 10, 2)).await;
    let second = intake.deliver_when_room(payload(Signal::Logs, 10, 1)).await;
    assert!(a.batch(10).await.is_some());
    a.ack(0);
    assert!(b.batch(100).await.is_some());
    b.nack();
    assert!(b.batch(10).await.is_some());
    b.discard(DropReason::Permanent);
    assert!(first.acknowledged().await);
    a.abandon(DropReason::Shutdown);
    assert!(!second.acknowledged().await, "it never arrived");
}

#[tokio::test]
async fn a_tail_waits_for_room_and_loses_nothing() {
    let intake = intake(8 * 300, WhenFull::DropOldest);
    let lane = intake.add_lane("a", Signal::Logs, Feed::Tail);
    let large = intake
        .deliver_when_room(payload(Signal::Logs, 1000, 1))
        .await;
    let waiting = tokio::spawn({
        let intake = intake.clone();
        async move { intake.deliver_when_room(payload(Signal::Logs, 10, 1)).await }
    });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    assert!(lane.batch(10).await.is_some());
    lane.ack(0);
    assert!(large.acknowledged().await);
    let small = waiting.await.expect("no panic");
    intake.remove_lanes("a");
    assert!(
        lane.batch(10).await.is_some(),
        "what is queued is still delivered"
    );
    lane.abandon(DropReason::DestinationRemoved);
    assert!(
        small.acknowledged().await,
        "nobody waits for a destination that is no more"
    );
    assert!(lane.batch(10).await.is_none());
}

#[tokio::test]
async fn with_no_destination_nobody_waits() {
    let intake = intake(1000, WhenFull::DropOldest);
    let acknowledgement = intake.deliver_when_room(payload(Signal::Logs, 10, 2)).await;
    assert!(acknowledgement.acknowledged().await);
    assert_eq!(
        dropped(&intake),
        "{signal=\"logs\",destination=\"none\",reason=\"no_destination\"} 2"
    );
}
