//! What a verdict asks to be done: once for each decision, however often it is asked for.

use davy_proto::verdict::{Evaluation, Verdict};

/// What is to be done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// Roll the canary out fully.
    Approve,
    /// Put the baseline back.
    Rollback,
}

/// One action and the key under which it is done at most once.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Plan {
    /// What.
    pub action: Action,
    /// Idempotency key: rollout, attempt, and of an approval the step.
    pub key: String,
}

/// The action that an evaluation asks for; none while undecided, or while the policy observes.
pub fn plan(evaluation: &Evaluation) -> Option<Plan> {
    if !evaluation.is_final || evaluation.observed.is_some() {
        return None;
    }
    let (id, attempt) = (&evaluation.rollout.id, evaluation.attempt);
    match evaluation.verdict {
        Verdict::Approve => {
            let key = format!("{id}/{attempt}/approve/{}", evaluation.step);
            Some(Plan {
                action: Action::Approve,
                key,
            })
        }
        Verdict::Rollback => {
            let key = format!("{id}/{attempt}/rollback");
            Some(Plan {
                action: Action::Rollback,
                key,
            })
        }
        Verdict::Undecided => None,
    }
}

#[cfg(test)]
mod tests {
    use davy_proto::Arm;
    use davy_proto::verdict::Rollout;

    use super::*;

    fn evaluation(verdict: Verdict, is_final: bool, observed: Option<Verdict>) -> Evaluation {
        Evaluation {
            verdict,
            is_final,
            reason: String::new(),
            elapsed_seconds: 0,
            eta_seconds: None,
            confidence: None,
            coverage: None,
            attempt: 2,
            step: 3,
            policy: String::new(),
            observed,
            url: None,
            objectives: Vec::new(),
            objectives_omitted: 0,
            rollout: Rollout {
                id: "r".to_owned(),
                namespace: String::new(),
                service: "shop".to_owned(),
                baseline: Arm::new("v1").unwrap(),
                canary: Arm::new("v2").unwrap(),
            },
        }
    }

    #[test]
    fn only_final_verdicts_act_and_their_key_is_the_decision() {
        let key = |verdict, is_final, observed| {
            plan(&evaluation(verdict, is_final, observed)).map(|plan| plan.key)
        };
        assert_eq!(
            key(Verdict::Approve, true, None).as_deref(),
            Some("r/2/approve/3")
        );
        assert_eq!(
            key(Verdict::Rollback, true, None).as_deref(),
            Some("r/2/rollback")
        );
        assert_eq!(key(Verdict::Undecided, false, None), None);
        assert_eq!(key(Verdict::Approve, false, None), None);
        assert_eq!(key(Verdict::Approve, true, Some(Verdict::Rollback)), None);
    }
}
