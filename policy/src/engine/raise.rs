//! Raises: somebody brings back what we keep stopped.
//!
//! Reversed twice; the third time we stop fighting (invariant 8). A raise that nothing of ours may answer (a
//! freeze, a clock in doubt, a rule that went back to `observe`) is not counted. What it raised is no longer
//! called stopped, and is answered once it may be.

use crate::decision::{Effect, HoldState};
use crate::inventory::{ObjectKey, ScaledObject};
use crate::rule::Mode;
use crate::time::Span;

use super::hold::{Hold, is_paused_at_zero};
use super::{Engine, Outcome};

/// Raises that are reversed; one more is contested.
const MOST_REVERSALS: u32 = 2;
/// A workload above zero this long after the proof was raised, even if no change of it was seen.
const RAISE_SETTLES: Span = Span::from_secs(15);

impl Engine {
    /// Why a held target is not stopped again now, where it is not: what the engine's own guards say, and
    /// whether its cause lasts.
    pub(super) fn may_not_stop(&self, target: &ObjectKey) -> Option<String> {
        if let Some(no) = self.clock_doubt.as_deref().or(self.frozen()) {
            return Some(no.to_owned());
        }
        if self.posture.ceiling < Mode::Approve {
            return Some(format!("the daemon may only {}", self.posture.ceiling.word()));
        }
        if self.is_inventory_stale() {
            return Some(self.inventory_age());
        }
        (!self.has_cause(target)).then(|| "no rule in force would stop it now".to_owned())
    }

    /// Whether a breaker that holds the target is still tripped, with its orders in force (F7), and would
    /// still choose it: a namespace may have gone to another tenant since.
    fn has_cause(&self, target: &ObjectKey) -> bool {
        let Some(hold) = self.holds.get(target) else { return false };
        if self.has_idle_cause(hold) {
            return true;
        }
        let slots = hold.holders.iter().filter_map(|name| self.slot_of(name));
        slots
            .filter(|slot| self.rule_mode(self.cold[*slot as usize].budget) >= Mode::Approve)
            .filter(|slot| self.trip_of(*slot).is_some_and(|trip| trip.in_force))
            .any(|slot| self.expand(slot).targets.contains(target))
    }

    /// A raise whose change was never seen (a watch that was down) is found by looking at what is.
    pub(super) fn notice_quiet_raise(&mut self, target: &ObjectKey, out: &mut Outcome) {
        let settled = |h: &Hold| h.verified_at.is_some_and(|at| self.now >= at.plus(RAISE_SETTLES));
        let workload = self.inventory.scaled_objects.get(target).and_then(|o| o.workload.clone());
        let Some(workload) = workload else { return };
        if self.is_up(&workload) && self.holds.get(target).is_some_and(settled) {
            self.raised(target, &workload, "its workload is above zero", out);
        }
    }

    fn is_up(&self, workload: &ObjectKey) -> bool {
        self.inventory.workloads.get(workload).is_some_and(|w| w.replicas > 0)
    }

    pub(super) fn workload_raised(&mut self, workload: &ObjectKey, replicas: u32, out: &mut Outcome) {
        let scales = |o: &ScaledObject| o.workload.as_ref() == Some(workload);
        let target =
            self.inventory.scaled_objects.iter().find(|(_, o)| scales(o)).map(|(key, _)| key.clone());
        if let Some(target) = target
            && self.holds.get(&target).is_some_and(|h| h.state == HoldState::Verified)
        {
            self.raised(&target, workload, &format!("somebody raised it to {replicas}"), out);
        }
    }

    /// Reversed twice, contested the third time. A foreign or orphaned hold is never fought over; that it runs
    /// is told.
    pub(super) fn raised(&mut self, target: &ObjectKey, workload: &ObjectKey, seen: &str, out: &mut Outcome) {
        let Some(hold) = self.holds.get(target) else { return };
        if hold.holders.is_empty() {
            return;
        }
        if !hold.orphan && self.end_idle_hold(target, seen, out) {
            return;
        }
        let Some(hold) = self.holds.get(target) else { return };
        if hold.foreign || hold.orphan {
            let detail = format!("{seen}; the pause is not known to be ours, and nothing is reversed");
            return self.hold_becomes(target, HoldState::NotStopped, detail, out);
        }
        let raises = hold.raises + 1;
        if raises > MOST_REVERSALS {
            self.count_raise(target);
            let detail = format!("{seen}; reversed {MOST_REVERSALS} times already, no longer fighting");
            return self.hold_becomes(target, HoldState::Contested, detail, out);
        }
        if let Some(no) = self.may_not_stop(target) {
            let detail = format!("{seen}; not reversed: {no}");
            self.hold_becomes(target, HoldState::NotStopped, detail, out);
            if let Some(hold) = self.holds.get_mut(target) {
                hold.unanswered = true;
            }
            return;
        }
        self.count_raise(target);
        let paused = self.inventory.scaled_objects.get(target).is_some_and(is_paused_at_zero);
        let effect =
            if paused { Effect::ReverseRaise { workload: workload.clone() } } else { Effect::PauseToZero };
        let detail = format!("{seen}; reversing it ({raises} of {MOST_REVERSALS})");
        self.hold_becomes(target, HoldState::Ordered, detail, out);
        self.give_order(target, effect, out);
    }

    fn count_raise(&mut self, target: &ObjectKey) {
        if let Some(hold) = self.holds.get_mut(target) {
            hold.raises += 1;
        }
    }

    /// A raise that could not be answered when it came. Where people took it back themselves nothing is
    /// reversed, but that it is stopped must be proven anew.
    pub(super) fn answer_late(&mut self, target: &ObjectKey, out: &mut Outcome) {
        if self.may_not_stop(target).is_some() {
            return;
        }
        let Some(object) = self.inventory.scaled_objects.get(target) else { return };
        let Some(workload) = object.workload.clone() else { return };
        if self.is_up(&workload) || !is_paused_at_zero(object) {
            return self.raised(target, &workload, "it was raised", out);
        }
        self.hold_becomes(target, HoldState::Ordered, "at zero again; to be proven anew".to_owned(), out);
        self.give_order(target, Effect::PauseToZero, out);
    }
}
