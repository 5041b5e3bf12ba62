//! Holds: what we keep stopped, who holds it, and what receipts say of it.
//!
//! A hold believes only receipts and the inventory. The first holder records the prior state, only the
//! last release restores (A29).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::annotation::{HOLDERS, INSTALL, ORDER, PAUSED_REPLICAS};
use crate::decision::{Blast, DecisionKind, Effect, HoldState, Why};
use crate::fact::{Observation, PriorState, Receipt, ReceiptOutcome};
use crate::id::{DecisionId, OrderId};
use crate::inventory::{Inventory, InventoryChange, ObjectKey, ScaledObject};
use crate::page::PageTopic;
use crate::rule::Mode;
use crate::time::{Span, Timestamp};

use super::{Engine, Outcome};

/// What is said of an object that is as it was before us.
pub(super) const GIVEN_BACK: &str = "given back as it was";

/// What we keep stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// `metadata.uid` of the object.
    pub uid: Box<str>,
    /// Breakers that hold it.
    pub holders: BTreeSet<Box<str>>,
    /// Its state.
    pub state: HoldState,
    /// Somebody else stopped it: never re-fired, never given back by us.
    pub foreign: bool,
    /// Found marked at start, unknown to the journal: watched, not re-fired, until a person decides.
    pub orphan: bool,
    /// What it was like before.
    pub prior: Option<PriorState>,
    /// The order that counts.
    pub order: OrderId,
    /// The decision that it follows from.
    pub decision: DecisionId,
    /// Why, as of the last order.
    pub why: Why,
    /// Fires so far.
    pub attempt: u32,
    /// When the last order was given.
    pub ordered_at: Timestamp,
    /// When the API server accepted the write.
    pub accepted_at: Option<Timestamp>,
    /// When the effect was proven.
    pub verified_at: Option<Timestamp>,
    /// Raises reversed so far, and the one that was contested.
    pub raises: u32,
    /// Somebody raised it when nothing of ours might answer: not counted, and answered once it may be.
    pub unanswered: bool,
    /// What was last seen, for people.
    pub detail: String,
    /// Who approved the order, where someone did.
    pub approved_by: Option<String>,
    /// Counted when it was ordered.
    pub blast: Blast,
    /// Nobody holds it any more, and its wave comes then.
    pub back_after: Option<Timestamp>,
}

impl Hold {
    pub(super) fn new(uid: Box<str>, holder: Box<str>, now: Timestamp) -> Self {
        Self {
            uid,
            holders: BTreeSet::from([holder]),
            state: HoldState::Ordered,
            foreign: false,
            orphan: false,
            prior: None,
            order: OrderId::default(),
            decision: DecisionId::default(),
            why: Why::default(),
            attempt: 0,
            ordered_at: now,
            accepted_at: None,
            verified_at: None,
            raises: 0,
            unanswered: false,
            detail: String::new(),
            approved_by: None,
            blast: Blast::default(),
            back_after: None,
        }
    }

    /// Whether it is neither given back nor being given back.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        !matches!(self.state, HoldState::Restoring | HoldState::Released)
    }
}

impl Engine {
    pub(super) fn take_receipt(&mut self, receipt: &Receipt, out: &mut Outcome) {
        let Some(target) =
            self.holds.iter().find(|(_, h)| h.order == receipt.order).map(|(key, _)| key.clone())
        else {
            return; // of an order that no longer counts, or of a notice
        };
        let restoring = self.holds[&target].state == HoldState::Restoring;
        let to = match &receipt.outcome {
            ReceiptOutcome::Prepared(prior) => return self.keep_prior(&target, prior),
            ReceiptOutcome::Accepted { .. } => return self.keep_accepted(&target, receipt.at),
            ReceiptOutcome::Delivered { .. } => return,
            ReceiptOutcome::Verified { .. } | ReceiptOutcome::AlreadySo { .. } if restoring => {
                return self.given_back(&target, out);
            }
            ReceiptOutcome::Verified { signs, .. } => (HoldState::Verified, signs_in_words(signs)),
            ReceiptOutcome::AlreadySo { by } => {
                self.adopt_foreign(&target);
                (HoldState::Verified, format!("already at zero, stopped by {by}; left as theirs"))
            }
            ReceiptOutcome::NotStopped { replicas, because } => {
                let running = replicas.map_or(String::new(), |n| format!("; {n} replicas run on"));
                (HoldState::NotStopped, format!("{because}{running}"))
            }
            ReceiptOutcome::Refused => return self.refused(&target, receipt, out),
            ReceiptOutcome::Failed { error, retryable } => {
                return self.failed(&target, error.clone(), *retryable, out);
            }
            ReceiptOutcome::NotObserved { signs } => {
                return self.failed(&target, signs_in_words(signs), true, out);
            }
            ReceiptOutcome::RestoreIncomplete { signs } => {
                let detail = format!("restore incomplete: {}", signs_in_words(signs));
                (HoldState::Restoring, detail)
            }
        };
        if to.0 == HoldState::Verified
            && let Some(hold) = self.holds.get_mut(&target)
        {
            hold.verified_at = Some(receipt.at);
            hold.attempt = 0;
            let ordered_at = hold.ordered_at;
            self.see_proof(ordered_at, receipt.at);
        }
        self.hold_becomes(&target, to.0, to.1, out);
    }

    fn keep_prior(&mut self, target: &ObjectKey, prior: &PriorState) {
        if let Some(hold) = self.holds.get_mut(target) {
            hold.prior.get_or_insert_with(|| prior.clone());
        }
    }

    fn keep_accepted(&mut self, target: &ObjectKey, at: Timestamp) {
        if let Some(hold) = self.holds.get_mut(target) {
            hold.accepted_at = Some(at);
        }
    }

    fn adopt_foreign(&mut self, target: &ObjectKey) {
        if let Some(hold) = self.holds.get_mut(target) {
            hold.foreign = true;
        }
    }

    /// The guard said no. What a person or time can change is asked again; the rest is final.
    fn refused(&mut self, target: &ObjectKey, receipt: &Receipt, out: &mut Outcome) {
        use crate::fact::GuardCheck::{Clock, Expiry, Freeze, Inventory, Leadership, Mode};
        let no = receipt.guard.iter().find(|answer| !answer.pass);
        let detail =
            no.map_or("the guard said no".to_owned(), |a| format!("{}: {}", a.check.word(), a.detail));
        let transient =
            no.is_some_and(|a| matches!(a.check, Clock | Expiry | Freeze | Inventory | Leadership | Mode));
        if transient {
            if let Some(hold) = self.holds.get_mut(target) {
                hold.detail = detail;
                hold.attempt = hold.attempt.saturating_sub(1); // nothing was tried
            }
            return;
        }
        // A refused restore is no failed stop: it stays to be given back, and somebody must know.
        let restoring = self.holds.get(target).is_some_and(|h| h.state == HoldState::Restoring);
        let (to, detail) = if restoring {
            (HoldState::Restoring, format!("restore incomplete: refused: {detail}"))
        } else {
            (HoldState::NotStopped, format!("refused: {detail}"))
        };
        self.hold_becomes(target, to, detail, out);
    }

    /// Tried and not proven: fired again on a tick, a bounded number of times.
    fn failed(&mut self, target: &ObjectKey, detail: String, retryable: bool, out: &mut Outcome) {
        let most = self.settings.max_attempts;
        let Some(hold) = self.holds.get_mut(target) else { return };
        let restoring = hold.state == HoldState::Restoring;
        if retryable && hold.attempt < most {
            hold.detail = detail;
            return;
        }
        let to = if restoring { HoldState::Restoring } else { HoldState::NotStopped };
        let detail = if restoring { format!("restore incomplete: {detail}") } else { detail };
        self.hold_becomes(target, to, detail, out);
    }

    fn given_back(&mut self, target: &ObjectKey, out: &mut Outcome) {
        self.hold_becomes(target, HoldState::Released, GIVEN_BACK.to_owned(), out);
        self.holds.remove(target);
    }

    /// Changes a hold's state and says so. Saying the same twice says nothing.
    pub(super) fn hold_becomes(
        &mut self,
        target: &ObjectKey,
        to: HoldState,
        detail: String,
        out: &mut Outcome,
    ) {
        let Some(hold) = self.holds.get_mut(target) else { return };
        let from = hold.state;
        if from == to && hold.detail == detail {
            return;
        }
        (hold.state, hold.unanswered) = (to, false);
        hold.detail.clone_from(&detail);
        self.decide_hold(target, DecisionKind::Hold { target: target.clone(), from, to, detail }, out);
    }

    pub(super) fn targets_only_held_by(&self, name: &str) -> Vec<ObjectKey> {
        let only = |h: &Hold| h.holders.len() == 1 && h.holders.contains(name);
        self.holds.iter().filter(|(_, h)| only(h)).map(|(key, _)| key.clone()).collect()
    }

    pub(super) fn drop_holder(&mut self, name: &str) {
        for hold in self.holds.values_mut() {
            hold.holders.remove(name);
        }
    }

    /// Gives back what nobody holds, and fires again what is not proven. A clock in doubt or a ceiling
    /// below `approve` gives nothing back: the hold waits.
    pub(super) fn settle_holds(&mut self, out: &mut Outcome) {
        let may_write = self.clock_doubt.is_none() && self.posture.ceiling >= Mode::Approve;
        let targets: Vec<ObjectKey> = self.holds.keys().cloned().collect();
        for target in targets {
            let Some(hold) = self.holds.get(&target) else { continue };
            if hold.orphan {
                continue;
            }
            if hold.holders.is_empty() && self.waits_for_its_wave(&target) {
                continue;
            }
            let Some(hold) = self.holds.get_mut(&target) else { continue };
            hold.back_after = None;
            if hold.holders.is_empty() {
                self.settle_unheld(&target, may_write, out);
            } else if may_write {
                self.refire(&target, out);
            }
        }
    }

    fn settle_unheld(&mut self, target: &ObjectKey, may_write: bool, out: &mut Outcome) {
        let Some(hold) = self.holds.get_mut(target) else { return };
        if hold.foreign {
            return self.left_as_found(target, out);
        }
        let waiting = hold.state == HoldState::Restoring;
        // Twice the time of a stop: KEDA brings back at its own pace, and an order that is replaced while it
        // still looks is never heard of again.
        let again = hold.ordered_at.plus(self.settings.refire_after).plus(self.settings.refire_after);
        let due = self.now >= again;
        let state = hold.state;
        if !may_write {
            return match state {
                HoldState::Verified | HoldState::NotStopped | HoldState::Contested
                    if self.is_back(target) =>
                {
                    self.back_by_hand(target, out);
                }
                _ => self.page_waiting(target, out),
            };
        }
        if waiting && !due {
            return;
        }
        let prior = hold.prior.clone();
        if !waiting {
            hold.attempt = 0;
            self.hold_becomes(target, HoldState::Restoring, "nobody holds it any more".to_owned(), out);
        }
        self.give_order(target, Effect::Restore { prior }, out);
    }

    /// What should be given back, and may not be written now, is somebody's production: a person must know.
    fn page_waiting(&mut self, target: &ObjectKey, out: &mut Outcome) {
        if self.lowered_at.is_some() {
            return; // it has just started, and may write in a moment
        }
        let since = self.holds.get(target).map_or(self.now, |hold| hold.ordered_at);
        if self.is_back(target) || self.now < since.plus(self.settings.refire_after) {
            return; // it is given back, or was to be a moment ago: by an order, or by `release --all`
        }
        let why = match (&self.clock_doubt, &self.posture.because) {
            (Some(doubt), _) => doubt.clone(),
            (None, Some(because)) => because.clone(),
            (None, None) => format!("its ceiling is `{}`", self.posture.ceiling.word()),
        };
        let detail = format!(
            "nobody holds {target} any more, but the daemon may not write now: {why}; it stays stopped until that \
             changes, or until a person gives it back: `breakerbox release --all`"
        );
        let kind = DecisionKind::Page { topic: PageTopic::Posture, detail };
        self.page_once(&format!("waiting {target}"), Span::from_hours(24), kind, out);
    }

    /// Whether the object as last seen carries neither our marks nor the pause.
    fn is_back(&self, target: &ObjectKey) -> bool {
        let seen = self.inventory.scaled_objects.get(target);
        seen.is_some_and(|object| !object.annotations.contains_key(ORDER) && !is_paused_at_zero(object))
    }

    /// Nobody held it, we might not write, and its pause is gone: `release --all`, or a person.
    fn back_by_hand(&mut self, target: &ObjectKey, out: &mut Outcome) {
        let detail = "given back by a person: neither our marks nor the pause are on it any more".to_owned();
        self.hold_becomes(target, HoldState::Released, detail, out);
        self.holds.remove(target);
    }

    /// What somebody else stopped is never given back by us (invariant 8).
    fn left_as_found(&mut self, target: &ObjectKey, out: &mut Outcome) {
        self.let_go(target, "left as it was found: somebody else had stopped it", out);
    }

    /// A pause without proof is fired again while its cause lasts, at most `max_attempts` times.
    fn refire(&mut self, target: &ObjectKey, out: &mut Outcome) {
        let Some(hold) = self.holds.get(target) else { return };
        if hold.unanswered {
            return self.answer_late(target, out);
        }
        let due = self.now >= hold.ordered_at.plus(self.settings.refire_after);
        if hold.state == HoldState::Verified {
            return self.notice_quiet_raise(target, out);
        }
        if hold.state != HoldState::Ordered || !due || self.may_not_stop(target).is_some() {
            return;
        }
        let Some(hold) = self.holds.get(target) else { return };
        if hold.attempt >= self.settings.max_attempts {
            let detail = format!("not proven after {} tries: {}", hold.attempt, hold.detail);
            return self.hold_becomes(target, HoldState::NotStopped, detail, out);
        }
        self.give_order(target, Effect::PauseToZero, out);
    }

    /// Takes a change of what exists in, and looks at what it means for holds.
    pub(super) fn take_inventory(&mut self, change: &InventoryChange, out: &mut Outcome) {
        let before = match change {
            InventoryChange::Workload(key, _) => self.inventory.workloads.get(key).map(|w| w.replicas),
            _ => None,
        };
        let relabelled = self.relabels(change);
        self.inventory.apply(change.clone(), self.now);
        self.inventory_changed |= change.is_of_targets();
        if relabelled {
            self.lanes.clear();
            self.read_labels(out);
        }
        match change {
            InventoryChange::Workload(key, workload) if before == Some(0) && workload.replicas > 0 => {
                self.workload_raised(key, workload.replicas, out);
            }
            InventoryChange::ScaledObject(key, object) => self.look_at_object(key, object, out),
            InventoryChange::Gone(key) => self.object_gone(key, out),
            InventoryChange::Snapshot(Inventory { scaled_objects, .. }) => {
                for (key, object) in scaled_objects {
                    self.look_at_object(key, object, out);
                }
            }
            _ => {}
        }
    }

    /// Whether labels that attribution may use have changed: then lanes are resolved anew.
    fn relabels(&self, change: &InventoryChange) -> bool {
        match change {
            InventoryChange::Namespace(name, namespace) => {
                self.inventory.namespaces.get(name) != Some(namespace)
            }
            InventoryChange::NamespaceGone(_) => true,
            InventoryChange::Snapshot(all) => self.inventory.namespaces != all.namespaces,
            _ => false,
        }
    }

    /// The pause was taken off, the object was replaced, or it is marked and nobody knows why.
    fn look_at_object(&mut self, key: &ObjectKey, object: &ScaledObject, out: &mut Outcome) {
        let marked = object.annotations.get(INSTALL).map(|i| &**i) == Some(&*self.settings.install)
            && object.annotations.contains_key(ORDER);
        let Some(hold) = self.holds.get_mut(key) else {
            if marked && !self.settings.install.is_empty() {
                self.adopt_orphan(key, object, out);
            }
            return;
        };
        if hold.uid != object.uid {
            return self.replaced(key, object.uid.clone(), marked, out);
        }
        if object.deleting && hold.is_active() {
            let back = if object.restore_to_original { "; KEDA brings its replicas back" } else { "" };
            let detail = format!("it is being deleted while held{back}");
            return self.hold_becomes(key, HoldState::NotStopped, detail, out);
        }
        if hold.orphan && !marked {
            return self.let_go(key, "our marks were taken off", out);
        }
        if hold.state != HoldState::Verified || is_paused_at_zero(object) {
            return;
        }
        if hold.foreign && !hold.holders.is_empty() {
            // What stopped it was never ours: for whoever is still tripped it is an object like any other.
            self.let_go(key, "whoever had stopped it took the pause off", out);
        } else if let Some(workload) = object.workload.clone() {
            self.raised(key, &workload, "its pause was taken off", out);
        }
    }

    /// Holds it no more, without a write: there is nothing of ours on it.
    fn let_go(&mut self, key: &ObjectKey, why: &str, out: &mut Outcome) {
        self.hold_becomes(key, HoldState::Released, why.to_owned(), out);
        self.holds.remove(key);
    }

    /// Another object under the name: what was ordered, proven or recorded of the old one says nothing of it.
    fn replaced(&mut self, key: &ObjectKey, uid: Box<str>, marked: bool, out: &mut Outcome) {
        let Some(hold) = self.holds.get_mut(key) else { return };
        (hold.uid, hold.order) = (uid, OrderId::default());
        if !marked && (hold.orphan || !hold.is_active()) {
            self.let_go(key, "the object was replaced; the new one does not carry our marks", out);
        } else if hold.is_active() && !hold.orphan {
            (hold.prior, hold.foreign, hold.attempt) = (None, false, 0);
            let detail = "the object was replaced while held".to_owned();
            self.hold_becomes(key, HoldState::Ordered, detail, out);
        }
    }

    fn object_gone(&mut self, key: &ObjectKey, out: &mut Outcome) {
        let Some(hold) = self.holds.get(key) else { return };
        if hold.holders.is_empty() || hold.orphan {
            self.let_go(key, "the object is gone", out);
        } else if hold.state != HoldState::NotStopped {
            let detail = "the object was deleted while held; its workload may run on".to_owned();
            self.hold_becomes(key, HoldState::NotStopped, detail, out);
        }
    }

    /// A marked object that the journal does not know: the hold is kept, and paged (A30).
    fn adopt_orphan(&mut self, key: &ObjectKey, object: &ScaledObject, out: &mut Outcome) {
        let holders = object.annotations.get(HOLDERS).map_or("", |h| h);
        let mut hold = Hold::new(object.uid.clone(), "".into(), self.now);
        hold.holders = holders.split(',').filter(|h| !h.is_empty()).map(Into::into).collect();
        hold.orphan = true;
        // Its other signs nobody has looked at; what runs is not called stopped.
        let workload = object.workload.as_ref().and_then(|key| self.inventory.workloads.get(key));
        let still = workload.is_some_and(|w| w.replicas == 0 && w.status_replicas == 0);
        let (state, detail) = match still && is_paused_at_zero(object) {
            true => (HoldState::Verified, "found marked as ours, at zero; the journal does not know why"),
            false => {
                (HoldState::NotStopped, "found marked as ours, not at zero; the journal does not know why")
            }
        };
        (hold.state, hold.detail) = (state, detail.to_owned());
        self.holds.insert(key.clone(), hold);
        self.page_orphan(key, holders, out);
    }
}

pub(super) fn is_paused_at_zero(object: &ScaledObject) -> bool {
    object.annotations.get(PAUSED_REPLICAS).is_some_and(|value| &**value == "0")
}

fn signs_in_words(signs: &[Observation]) -> String {
    let words: Vec<String> = signs.iter().map(|s| format!("{} {}", s.sign, s.seen)).collect();
    words.join(", ")
}
