//! What every kind of message is made from and adds to, and the commands that more than one kind offers.

use policy::decision::{HoldState, Notice};
use policy::inventory::ObjectKey;
use policy::rule::Budget;

use super::message::{Action, Standing, TargetLine};
use super::words;

/// What one kind of decision adds to the frame that all messages share.
#[derive(Default)]
pub(super) struct Told {
    pub title: String,
    pub lines: Vec<String>,
    pub targets: Vec<TargetLine>,
    pub actions: Vec<Action>,
    /// Whether something is stopped or about to be, so that people ask when it comes back.
    pub stops: bool,
}

/// What all the kinds need.
pub(super) struct Scene<'a> {
    pub notice: &'a Notice,
    pub budget: Option<&'a Budget>,
    pub who: &'a str,
    /// "spent 50.12 USD of 50.00 USD today (tenant-daily)".
    pub spent: String,
}

impl Scene<'_> {
    pub(super) fn breaker(&self) -> &str {
        self.notice.decision.why.breaker.as_ref().map_or("breakerbox", |b| &b.name)
    }

    /// The state of each held object that the notice lists.
    pub(super) fn held(&self) -> Vec<TargetLine> {
        let proven = self.notice.times.verified_at.filter(|_| self.notice.targets.len() == 1);
        let line = |(target, state): &(ObjectKey, HoldState)| TargetLine {
            target: target.clone(),
            standing: Standing::Held(*state),
            words: words::state(*state, proven),
        };
        self.notice.targets.iter().map(line).collect()
    }
}

/// How to give back all of it, and one object of it.
pub(super) fn give_back(scene: &Scene<'_>) -> Vec<Action> {
    let what = "give everything back, and no new trip until a further 10% of the limit is spent";
    let mut actions = vec![action(what, format!("breakerbox reset {}", scene.breaker()))];
    if let Some((target, _)) = scene.notice.targets.first() {
        let what = match scene.notice.targets.len() {
            1 => "exempt this object for the window",
            _ => "exempt one object for the window, for example",
        };
        actions.push(action(what, format!("breakerbox release {}", target)));
    }
    actions
}

pub(super) fn action(what: &str, command: String) -> Action {
    Action { what: what.to_owned(), command }
}
