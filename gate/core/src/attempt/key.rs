//! Which rollout an attempt belongs to.

use davy_proto::Arm;
use davy_proto::verdict::Rollout;

/// Which rollout an attempt belongs to.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Key {
    /// Namespace, empty where there is none.
    pub namespace: String,
    /// Service.
    pub service: String,
    /// UID of the rollout object, empty where there is none.
    pub uid: String,
    /// Arm that the canary is compared with.
    pub baseline: Arm,
    /// Arm that is judged.
    pub canary: Arm,
}

impl Key {
    /// Short stable name of the rollout in the API: 16 hexadecimal digits. Another baseline is
    /// another attempt of the same rollout, so it isn't part of it.
    pub fn id(&self) -> String {
        let parts = [
            &*self.namespace,
            &self.service,
            &self.uid,
            self.canary.as_str(),
        ];
        format!("{:016x}", fnv(&parts))
    }

    /// Seed of an attempt's random draws: the same attempt draws the same everywhere. The UID is no
    /// part of it, since recorded evidence doesn't have one.
    pub fn seed(&self, attempt: u64) -> u64 {
        let (baseline, canary) = (self.baseline.as_str(), self.canary.as_str());
        let attempt = attempt.to_string();
        fnv(&[&*self.namespace, &self.service, baseline, canary, &attempt])
    }

    /// As served.
    pub fn rollout(&self) -> Rollout {
        Rollout {
            id: self.id(),
            namespace: self.namespace.clone(),
            service: self.service.clone(),
            baseline: self.baseline.clone(),
            canary: self.canary.clone(),
        }
    }
}

/// FNV-1a of 64 bits over parts and their lengths.
/// Source: Fowler, Noll, Vo; <http://www.isthe.com/chongo/tech/comp/fnv/>.
fn fnv(parts: &[&str]) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let mut hash = 0xcbf2_9ce4_8422_2325;
    for part in parts {
        hash = part.bytes().fold(hash, step);
        hash = (part.len() as u64)
            .to_le_bytes()
            .into_iter()
            .fold(hash, step);
    }
    hash
}
