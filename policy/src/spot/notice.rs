//! A notice as a fact, and what its time means.

use serde::{Deserialize, Serialize};

use crate::time::{Span, Timestamp};

/// From the notice to the loss, as AWS says it: two minutes.
const LEAD: Span = Span::from_secs(120);
/// What is older is not acted on: by then the instance is gone.
const STALE: Span = Span::from_secs(120);

/// Notices that came together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpotBatch {
    /// Name of the source that brought them.
    pub source: Box<str>,
    /// In the order in which they came.
    pub notices: Vec<SpotNotice>,
}

/// One instance of one event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpotNotice {
    /// EventBridge's id. One event may name several instances: it is a duplicate only with the same instance.
    pub event: Box<str>,
    /// What it says.
    pub kind: SpotKind,
    /// EC2 instance id.
    pub instance: Box<str>,
    /// AWS account.
    pub account: Box<str>,
    /// AWS region.
    pub region: Box<str>,
    /// `time` of the event, by AWS's clock.
    pub at: Timestamp,
}

/// What a notice says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SpotKind {
    /// A Spot instance will be taken away.
    Interruption(Loss),
    /// A Spot instance is likelier than others to be taken away soon.
    Rebalance,
    /// An instance of a capacity reservation will be taken away.
    CapacityReservation(Loss),
    /// An instance is in another state now.
    State(InstanceState),
}

/// How an instance is taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Loss {
    /// It is gone for good.
    Terminate,
    /// It is stopped.
    Stop,
    /// It is hibernated, which begins with the notice.
    Hibernate,
}

/// State of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum InstanceState {
    /// It starts.
    Pending,
    /// It runs.
    Running,
    /// It is being stopped.
    Stopping,
    /// It is stopped.
    Stopped,
    /// It is being terminated.
    ShuttingDown,
    /// It is gone.
    Terminated,
}

impl InstanceState {
    /// Whether it runs no more, or will not in a moment.
    #[must_use]
    pub const fn is_gone(self) -> bool {
        matches!(self, Self::Stopping | Self::Stopped | Self::ShuttingDown | Self::Terminated)
    }
}

impl SpotKind {
    /// The word in rules, metrics and messages; that of a change of state is in no rule.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Interruption(_) => "interruption",
            Self::Rebalance => "rebalance",
            Self::CapacityReservation(_) => "capacity-reservation",
            Self::State(_) => "state-change",
        }
    }

    /// What happens to the instance, in words.
    #[must_use]
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Interruption(loss) | Self::CapacityReservation(loss) => match loss {
                Loss::Terminate => "will be terminated",
                Loss::Stop => "will be shut down",
                Loss::Hibernate => "is being hibernated",
            },
            Self::Rebalance => "may be interrupted soon",
            Self::State(state) if state.is_gone() => "is gone",
            Self::State(_) => "is there",
        }
    }
}

/// What the time of a notice allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Age {
    /// It may be acted on.
    Fresh,
    /// Too old: it is accounted, and not acted on.
    Stale,
    /// From further ahead than clocks differ: it is accounted, and not acted on.
    Ahead,
}

impl SpotNotice {
    /// Until when the instance is there: two minutes from AWS's own time, whenever it came. A hibernation
    /// leaves no time, and a recommendation names none.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        match self.kind {
            SpotKind::Interruption(Loss::Terminate | Loss::Stop)
            | SpotKind::CapacityReservation(Loss::Terminate | Loss::Stop) => Some(self.at.plus(LEAD)),
            SpotKind::Interruption(Loss::Hibernate)
            | SpotKind::CapacityReservation(Loss::Hibernate)
            | SpotKind::Rebalance
            | SpotKind::State(_) => None,
        }
    }

    /// How urgent it is, the most urgent first: what begins at once, what has a deadline, and the rest by age.
    #[must_use]
    pub fn urgency(&self) -> (u8, Timestamp) {
        match (self.kind, self.deadline()) {
            (_, Some(deadline)) => (1, deadline),
            (SpotKind::Interruption(_) | SpotKind::CapacityReservation(_), None) => (0, self.at),
            (SpotKind::State(_), None) => (2, self.at),
            (SpotKind::Rebalance, None) => (3, self.at),
        }
    }

    /// What its time allows, by our clock. `ahead` is how far AWS's clock may be before ours.
    #[must_use]
    pub fn age(&self, now: Timestamp, ahead: Span) -> Age {
        if now.since(self.at) > STALE {
            Age::Stale
        } else if self.at > now.plus(ahead) {
            Age::Ahead
        } else {
            Age::Fresh
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(kind: SpotKind, at: i64) -> SpotNotice {
        SpotNotice {
            event: "e".into(),
            kind,
            instance: "i-1".into(),
            account: "111122223333".into(),
            region: "us-east-1".into(),
            at: Timestamp::from_millis(at * 1000),
        }
    }

    #[test]
    fn a_deadline_is_two_minutes_from_the_event_and_a_hibernation_has_none() {
        let deadline = |kind| notice(kind, 1_000).deadline().map(|at| at.millis() / 1000);
        assert_eq!(deadline(SpotKind::Interruption(Loss::Terminate)), Some(1_120));
        assert_eq!(deadline(SpotKind::Interruption(Loss::Stop)), Some(1_120));
        assert_eq!(deadline(SpotKind::CapacityReservation(Loss::Terminate)), Some(1_120));
        assert_eq!(deadline(SpotKind::Interruption(Loss::Hibernate)), None);
        assert_eq!(deadline(SpotKind::Rebalance), None);
        assert_eq!(deadline(SpotKind::State(InstanceState::Stopping)), None);
    }

    #[test]
    fn what_is_older_than_two_minutes_is_stale_and_what_is_too_far_ahead_is_not_believed() {
        let notice = notice(SpotKind::Rebalance, 1_000);
        let age = |now: i64| notice.age(Timestamp::from_millis(now), Span::from_mins(5));
        assert_eq!((age(1_120_000), age(1_120_001)), (Age::Fresh, Age::Stale));
        assert_eq!((age(700_000), age(699_999)), (Age::Fresh, Age::Ahead));
    }

    #[test]
    fn what_leaves_no_time_comes_first_then_the_nearest_deadline_then_the_rest() {
        let mut all = [
            notice(SpotKind::Rebalance, 1),
            notice(SpotKind::State(InstanceState::Terminated), 2),
            notice(SpotKind::Interruption(Loss::Terminate), 30),
            notice(SpotKind::CapacityReservation(Loss::Stop), 20),
            notice(SpotKind::Interruption(Loss::Hibernate), 40),
        ];
        all.sort_by_key(SpotNotice::urgency);
        let order: Vec<i64> = all.iter().map(|n| n.at.millis() / 1000).collect();
        assert_eq!(order, [40, 20, 30, 2, 1]);
    }
}
