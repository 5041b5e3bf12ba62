//! What a rule would do about a notice, and what it leaves to others.

use serde::{Deserialize, Serialize};

use super::{Drainer, Host, Loss, SpotKind, SpotNotice};
use crate::rule::{SpotAct, SpotPolicy};
use crate::time::Timestamp;

/// What is to be done about a notice. None of it is carried out by this version: it is recorded and told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// In this order.
    pub steps: Vec<Step>,
    /// What the rule names and is not done, and why.
    pub left: Vec<Left>,
}

/// Something to do on a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// No new pod comes to it.
    Cordon,
    /// Its pods are evicted; done by then, where there is a deadline.
    Drain {
        /// The deadline.
        by: Option<Timestamp>,
    },
    /// Pods on it are told to save their work.
    Checkpoint {
        /// Labels that those pods have; none for every pod.
        matching: Vec<(Box<str>, Box<str>)>,
        /// At the latest.
        at: Timestamp,
    },
}

/// An act of a rule that is not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// The act's key.
    pub act: Box<str>,
    /// For people.
    pub because: Box<str>,
}

impl Step {
    /// For people.
    #[must_use]
    pub fn in_words(&self) -> String {
        match self {
            Self::Cordon => "cordon".to_owned(),
            Self::Drain { by: Some(by) } => format!("drain by {by}"),
            Self::Drain { by: None } => "drain".to_owned(),
            Self::Checkpoint { matching, at } if matching.is_empty() => {
                format!("signal every pod by {at}")
            }
            Self::Checkpoint { matching, at } => {
                let labels: Vec<String> = matching.iter().map(|(k, v)| format!("{k}={v}")).collect();
                format!("signal pods with {} by {at}", labels.join(", "))
            }
        }
    }
}

/// What a rule comes to for a notice about that host. `protected` is why nodes are never touched.
#[must_use]
pub fn plan(
    policy: &SpotPolicy,
    notice: &SpotNotice,
    host: &Host,
    drainer: Option<Drainer>,
    protected: Option<&str>,
    now: Timestamp,
) -> Plan {
    let mut plan = Plan::default();
    let at_once = matches!(
        notice.kind,
        SpotKind::Interruption(Loss::Hibernate) | SpotKind::CapacityReservation(Loss::Hibernate)
    );
    let shield = protection(host).or(protected.map(str::to_owned));
    let theirs = drainer.map(|by| format!("{} looks after this node", by.word()));
    let late = at_once.then(|| "hibernation begins with the notice".to_owned());
    for act in &policy.then {
        let found = match act {
            SpotAct::Notify { .. } => continue,
            SpotAct::Cordon { .. } => (shield.clone().or(theirs.clone()), Step::Cordon),
            SpotAct::Drain { .. } => {
                (shield.clone().or(theirs.clone()).or(late.clone()), Step::Drain { by: notice.deadline() })
            }
            SpotAct::Checkpoint { matching, before, .. } => {
                let at = notice.deadline().map_or(now, |deadline| deadline.minus(*before).max(now));
                (late.clone(), Step::Checkpoint { matching: matching.clone(), at })
            }
        };
        match found {
            (None, step) => plan.steps.push(step),
            (Some(because), _) => {
                plan.left.push(Left { act: act.word().into(), because: because.into() });
            }
        }
    }
    plan
}

/// Why a node says itself that nobody may touch it.
fn protection(host: &Host) -> Option<String> {
    let label = crate::annotation::PROTECTED;
    (host.labels.get(label).is_some_and(|value| **value == *"true"))
        .then(|| format!("label {label}=true protects it"))
}
