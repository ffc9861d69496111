//! The arm: which of the versions that run side by side a pod belongs to.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::limits::NAME_BYTES_MAX;
use crate::semconv;

/// Name of an arm: a pod-template hash or a version, 1 to 256 bytes. Which arm is canary and which
/// baseline is said by the caller of the gate, never guessed from the name.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Arm(Arc<str>);

/// Why a text is no arm.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ArmError {
    /// Nothing.
    #[error("an arm has a name")]
    Empty,
    /// More bytes than the limit.
    #[error("an arm's name has at most {NAME_BYTES_MAX} bytes")]
    TooLong,
}

/// The resource attributes that name the arm, the first present one wins.
pub const ARM_ATTRIBUTES: [&str; 4] = [
    semconv::DAVY_ARM,
    semconv::K8S_ROLLOUTS_POD_TEMPLATE_HASH,
    semconv::K8S_POD_TEMPLATE_HASH,
    semconv::SERVICE_VERSION,
];

impl Arm {
    /// The arm of that name.
    ///
    /// # Errors
    ///
    /// [`ArmError`] when the name is empty or longer than 256 bytes.
    pub fn new(name: &str) -> Result<Self, ArmError> {
        match name.len() {
            0 => Err(ArmError::Empty),
            1..=NAME_BYTES_MAX => Ok(Self(name.into())),
            _ => Err(ArmError::TooLong),
        }
    }

    /// The arm that resource attributes name: the first of [`ARM_ATTRIBUTES`] that is there and not
    /// empty.
    pub fn of_resource<'a>(attribute: impl Fn(&str) -> Option<&'a str>) -> Option<Self> {
        ARM_ATTRIBUTES
            .iter()
            .find_map(|name| Self::new(attribute(name)?).ok())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Arm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for Arm {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Arm {
    type Error = ArmError;

    fn try_from(name: String) -> Result<Self, ArmError> {
        Self::new(&name)
    }
}

impl From<Arm> for String {
    fn from(arm: Arm) -> Self {
        arm.as_str().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(attributes: &[(&str, &'static str)], expected: Option<&str>) {
        let find = |name: &str| attributes.iter().find(|(n, _)| *n == name).map(|(_, v)| *v);
        assert_eq!(Arm::of_resource(find).as_ref().map(Arm::as_str), expected);
    }

    #[test]
    fn the_first_named_attribute_wins() {
        let version = ("service.version", "v1");
        let deployment = ("k8s.pod.label.pod-template-hash", "d1");
        let rollout = ("k8s.pod.label.rollouts-pod-template-hash", "r1");
        check(&[], None);
        check(&[version], Some("v1"));
        check(&[version, deployment], Some("d1"));
        check(&[version, deployment, rollout], Some("r1"));
        check(&[version, rollout, ("davy.arm", "x")], Some("x"));
        check(&[version, ("davy.arm", "")], Some("v1"));
    }

    #[test]
    fn names_are_bounded() {
        assert_eq!(Arm::new(""), Err(ArmError::Empty));
        assert_eq!(Arm::new(&"x".repeat(257)), Err(ArmError::TooLong));
        assert!(Arm::new(&"x".repeat(256)).is_ok());
    }
}
