//! When a stop asks a person first, and whose yes counts.

use crate::fact::{GuardAnswer, GuardCheck};
use crate::inventory::ObjectKey;
use crate::rule::Mode;
use crate::time::Timestamp;

use super::Engine;
use super::stop::Yes;

impl Engine {
    /// How many targets a stop comes to, where those are more than may be stopped without a yes. What this
    /// breaker has stopped already counts too: many small stops are one large one. After a yes to some only
    /// those that it did not name do.
    pub(super) fn too_many(&self, slot: u32, fresh: &[ObjectKey], yes: Option<&Yes>) -> Option<usize> {
        let most = usize::try_from(self.rules.guardrail.targets_over?).unwrap_or(usize::MAX);
        if fresh.is_empty() || yes.is_some_and(|yes| yes.to_these) {
            return None;
        }
        let said = self.trip_of(slot).is_some_and(|trip| trip.approved_by.is_some());
        let before = if said { 0 } else { self.held_by(&self.cold[slot as usize].name).len() };
        let all = fresh.len() + before;
        (all > most).then_some(all)
    }

    /// What a person is asked, and why it is a question.
    pub(super) fn question(&self, slot: u32, many: Option<usize>, until: Timestamp) -> GuardAnswer {
        let no = |check, detail| GuardAnswer { check, pass: false, detail };
        let whose = self.whose_yes();
        match (many, self.mode_of(slot), self.rules.guardrail.targets_over) {
            (_, mode, _) if mode < Mode::Enforce => {
                no(GuardCheck::Mode, format!("mode `approve` waits for {whose} until {until}"))
            }
            (Some(many), _, Some(most)) => self.too_many_answer(many, most, until),
            _ => no(
                GuardCheck::Mode,
                format!(
                    "the rules changed while it was tripped, and a change of rules stops nothing: it waits for {whose} \
                     until {until}"
                ),
            ),
        }
    }

    /// For whose yes a question waits, in words.
    pub(super) fn whose_yes(&self) -> String {
        match &self.rules.guardrail.approvers {
            Some(approvers) => format!("a yes from {}", approvers.named.join(", ")),
            None => "a person".to_owned(),
        }
    }

    /// That so many targets wait for a yes.
    pub(super) fn too_many_answer(&self, many: usize, most: u32, until: Timestamp) -> GuardAnswer {
        let whose = self.whose_yes();
        let detail =
            format!("{many} targets, and more than {most} wait for {whose} until {until} (targetsOver)");
        GuardAnswer { check: GuardCheck::Approval, pass: false, detail }
    }

    /// Why the yes of an actor does not count, where it does not.
    pub(super) fn no_approver(&self, actor: &str) -> Option<String> {
        let approvers = self.rules.guardrail.approvers.as_ref()?;
        let named = approvers.named.join(", ");
        (!approvers.include(actor)).then(|| {
            format!("the yes of {actor} does not count; the guardrail names {named} (approval.from)")
        })
    }
}
