//! When an agent exports what it scraped, so that a fleet does not send in step.
//!
//! All agents scrape at the same multiples of their interval on the wall clock, for the evidence's
//! windows end there. So it is the export that is spread: each agent waits a share of the interval
//! that is its own and stays the same, by a hash of what tells it from others.

use std::time::Duration;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use prost::Message as _;

use super::Target;

/// Returns how long the target's export waits after its scrape, less than its jitter of the
/// interval.
pub(super) fn wait(target: &Target) -> Duration {
    wait_at(target, &host())
}

fn wait_at(target: &Target, host: &str) -> Duration {
    // FNV-1a; its upper bits are mixed well enough to spread by.
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut note = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    };
    note(host.as_bytes());
    note(target.url.to_string().as_bytes());
    let identity = &target.identity;
    let all = identity.defaults.iter().chain(&identity.fixed);
    all.for_each(|attribute| note(&KeyValue::encode_to_vec(attribute)));
    // As a fraction of 2^64, of which an `f64` has the upper 53 bits.
    let share = (mixed(hash) >> 11) as f64 / (1u64 << 53) as f64;
    target.interval.mul_f64(target.export_jitter * share)
}

/// Mixes a hash so that every bit depends on all (the finalizer of SplitMix64).
fn mixed(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// The machine's name: a pod's own, where all of a fleet scrape the same loopback address.
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname");
    // Without it the fleet is spread by its targets alone.
    name.unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(jitter: f64) -> Vec<Duration> {
        let every = (Duration::from_secs(10), Duration::from_secs(1));
        let resource = [("service.name".to_owned(), "shop".to_owned())];
        let target = Target::new("http://127.0.0.1:8080/metrics", every, &resource, &[]);
        let mut target = target.expect("a target");
        target.export_jitter = jitter;
        let pods = (0..1000).map(|pod| format!("shop-6c5d8b9f7-{pod:05}"));
        pods.map(|pod| wait_at(&target, &pod)).collect()
    }

    #[test]
    fn a_fleet_is_spread_evenly() {
        let waits = waits(0.1);
        assert_eq!(waits, self::waits(0.1), "each keeps its own");
        assert!(waits.iter().all(|wait| *wait < Duration::from_secs(1)));
        for tenth in 0..10 {
            let range =
                Duration::from_millis(100) * tenth..Duration::from_millis(100) * (tenth + 1);
            let there = waits.iter().filter(|wait| range.contains(wait)).count();
            // 100 expected, standard deviation 9.5.
            assert!((60..140).contains(&there), "{tenth}: {there}");
        }
    }

    #[test]
    fn without_jitter_nothing_waits() {
        assert!(waits(0.0).iter().all(Duration::is_zero));
    }
}
