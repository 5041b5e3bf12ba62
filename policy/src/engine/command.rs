//! What a person said. Each command becomes a decision with its actor, taken or refused.

use crate::breaker::{Stage, State, mark};
use crate::decision::{ArmingCause, Cause, DecisionKind, ReleaseCause, Why};
use crate::fact::{Command, CommandKind, GuardCheck};
use crate::id::DecisionId;
use crate::inventory::ObjectKey;
use crate::money::Percent;
use crate::page::PageTopic;
use crate::time::Span;

use super::stop::Yes;
use super::{Engine, Outcome};

impl Engine {
    pub(super) fn take_command(&mut self, command: &Command, out: &mut Outcome) {
        let (what, slot, done) = self.carry_out(command, out);
        if done.is_ok() {
            self.answer(&command.kind, slot);
        }
        let kind =
            DecisionKind::Commanded { what: format!("{}: {what}", command.actor), refused: done.err() };
        match slot {
            Some(slot) => self.decide(slot, kind, out),
            None => {
                let why = Why {
                    rules: self.rules.id.clone(),
                    revision: self.rules.revision.clone(),
                    prices: self.book.id().into(),
                    ..Why::default()
                };
                self.decide_with(None, kind, why, out)
            }
        };
    }

    fn carry_out(
        &mut self,
        command: &Command,
        out: &mut Outcome,
    ) -> (String, Option<u32>, Result<(), String>) {
        let actor = command.actor.clone();
        match &command.kind {
            CommandKind::Approve { decision } => {
                let (slot, done) = self.approve(*decision, &actor, out);
                let came = slot.filter(|_| done.is_ok()).map_or("", |slot| self.came_of_trip(slot));
                (format!("approve {decision}{came}"), slot, done)
            }
            CommandKind::Trip { breaker, reason } => {
                let (slot, done) = self.trip_by_hand(breaker, &format!("{actor}: {reason}"), out);
                let came = slot.filter(|_| done.is_ok()).map_or("", |slot| self.came_of_trip(slot));
                (format!("trip {breaker} ({reason}){came}"), slot, done)
            }
            CommandKind::Reset { breaker, more } => {
                let (slot, done) = self.reset(breaker, *more, &actor, out);
                (format!("reset {breaker}, no new trip before a further {more} of the limit"), slot, done)
            }
            CommandKind::Freeze { reason } => {
                self.freeze = Some(format!("frozen by {actor} at {}: {reason}", self.now));
                (format!("freeze ({reason})"), None, Ok(()))
            }
            CommandKind::Unfreeze => {
                let person = self.freeze.take();
                let rules = self.frozen_at(self.now);
                let what = match (&person, &rules) {
                    (Some(_), Some(rules)) => format!("unfreeze; still {rules}"),
                    _ => String::from("unfreeze"),
                };
                let nobody = || match rules {
                    Some(rules) => format!("{rules}; no command ends that, a change of the rule does"),
                    None => "it was not frozen".to_owned(),
                };
                (what, None, person.map(|_| ()).ok_or_else(nobody))
            }
            CommandKind::Release { target } => {
                let done = self.release_object(target, &actor, out);
                (format!("release {target}"), None, done)
            }
            CommandKind::ReleaseAll => {
                self.freeze = Some(format!("frozen by {actor} at {}: release --all", self.now));
                let targets: Vec<ObjectKey> = self.holds.keys().cloned().collect();
                // What the engine may not order now, `actions` gives back on the person's word, in a moment.
                self.holds.values_mut().for_each(|hold| hold.ordered_at = self.now);
                let failed = targets.iter().filter_map(|t| self.release_object(t, &actor, out).err()).next();
                (
                    format!("freeze, and release all ({} held)", targets.len()),
                    None,
                    failed.map_or(Ok(()), Err),
                )
            }
            CommandKind::AckIdle { object } => match self.ack_idle(object, &actor) {
                Ok(until) => (format!("{object} may be idle until {until}"), None, Ok(())),
                Err(no) => (format!("{object} may be idle"), None, Err(no)),
            },
            CommandKind::Ack { what } => match self.acknowledge(what) {
                Ok(about) => (format!("acknowledge {about}"), self.slot_of(&about), Ok(())),
                Err(no) => (format!("acknowledge {what}"), None, Err(no)),
            },
            CommandKind::PricesCount => match self.adopt_shadow() {
                Some(what) => (what, None, Ok(())),
                None => {
                    let no = "no prices are looked at: no PriceBook has `shadow`, or it counts already";
                    (String::from("the prices in shadow count"), None, Err(no.to_owned()))
                }
            },
            CommandKind::ClockIsRight => {
                let done =
                    self.clock_doubt.take().map(|_| ()).ok_or_else(|| "the clock is not in doubt".to_owned());
                (String::from("the clock is right"), None, done)
            }
        }
    }

    /// Whoever acts has seen what they act on.
    fn answer(&mut self, kind: &CommandKind, slot: Option<u32>) {
        match kind {
            CommandKind::Approve { .. } | CommandKind::Reset { .. } => {
                if let Some(slot) = slot {
                    let name = self.cold[slot as usize].name.clone();
                    self.answered(&name);
                }
            }
            CommandKind::ReleaseAll => self.alarms.clear(),
            CommandKind::ClockIsRight => self.answered_topic(PageTopic::Clock),
            _ => {}
        }
    }

    fn find(&self, breaker: &str) -> Result<u32, String> {
        self.slot_of(breaker).ok_or_else(|| format!("no breaker `{breaker}`; `breakerbox status` lists them"))
    }

    /// Yes to what waits: a trip that was withheld or awaits approval, or a crossing by reload.
    fn approve(
        &mut self,
        decision: DecisionId,
        actor: &str,
        out: &mut Outcome,
    ) -> (Option<u32>, Result<(), String>) {
        let waits = |state: &State| match state {
            State::Arming {
                decision: d, cause: ArmingCause::RuleChange | ArmingCause::PriceChange, ..
            } => *d == decision,
            State::Tripped(trip) => {
                trip.decision == decision
                    && !trip.asked.is_empty()
                    && matches!(
                        trip.stage,
                        Stage::AwaitingApproval(_) | Stage::Withheld(GuardCheck::BlastRadius)
                    )
            }
            _ => false,
        };
        let Some(slot) = self.armed.iter().copied().find(|s| waits(&self.cold[*s as usize].state)) else {
            let idle = self.approve_idle(decision, actor, out);
            let none = || Err(format!("{decision} does not wait for approval (any more)"));
            return (None, idle.unwrap_or_else(none));
        };
        if let Some(no) = self.no_approver(actor) {
            return (Some(slot), Err(no));
        }
        if let Some(late) = self.too_late(slot) {
            return (Some(slot), Err(format!("{decision} {late}")));
        }
        if matches!(self.cold[slot as usize].state, State::Tripped(_)) {
            self.order_what_was_asked(slot, actor, out);
        } else {
            let cold = &mut self.cold[slot as usize];
            cold.by_reload = false;
            cold.on_time_over = true;
            self.accept_rules_for_pace(slot);
            self.accept_prices(slot);
            self.judge(slot, None, out);
        }
        (Some(slot), Ok(()))
    }

    /// Why a yes comes too late: the tick that ends a window or a question may not have come yet.
    fn too_late(&self, slot: u32) -> Option<String> {
        let (window_end, expired) = match &self.cold[slot as usize].state {
            State::Tripped(trip) => {
                let until = match trip.stage {
                    Stage::AwaitingApproval(until) => Some(until),
                    _ => None,
                };
                (trip.window_end, until.filter(|until| self.now >= *until))
            }
            _ => (self.hot[slot as usize].window.end, None),
        };
        if self.now >= window_end {
            return Some(format!("was about a window that ended at {window_end}; nothing is stopped for it"));
        }
        expired.map(|until| format!("waited until {until}; while its cause lasts it is asked again"))
    }

    /// A yes is to the objects that were named. Others that the rule chooses since are seen on the next tick.
    fn order_what_was_asked(&mut self, slot: u32, actor: &str, out: &mut Outcome) {
        let asked = self.trip_of(slot).map_or(Vec::new(), |trip| trip.asked.clone());
        let mut expansion = self.expand(slot);
        let before = expansion.targets.len();
        expansion.targets.retain(|target| asked.contains(target));
        self.inventory_changed |= expansion.targets.len() < before;
        self.order(slot, &expansion, Some(Yes { by: actor.to_owned(), to_these: true }), out);
    }

    fn trip_by_hand(
        &mut self,
        breaker: &str,
        by: &str,
        out: &mut Outcome,
    ) -> (Option<u32>, Result<(), String>) {
        match self.find(breaker) {
            Ok(slot) if matches!(self.cold[slot as usize].state, State::Tripped(_)) => {
                (Some(slot), Err("it is tripped already".to_owned()))
            }
            Ok(slot) => {
                if self.has_ended(slot) {
                    self.roll(slot, out);
                }
                self.trip(slot, Cause::Person, Some(by.to_owned()), out);
                (Some(slot), Ok(()))
            }
            Err(no) => (None, Err(no)),
        }
    }

    /// What a person who tripped or approved it must not believe: that something was stopped where nothing was.
    fn came_of_trip(&self, slot: u32) -> &'static str {
        match self.trip_of(slot).map(|trip| trip.stage) {
            Some(Stage::Observed) => "; nothing is stopped: the rule's mode only observes or alerts",
            Some(Stage::Withheld(_)) => {
                "; nothing is stopped yet: withheld, `breakerbox status` says by what"
            }
            Some(Stage::AwaitingApproval(_)) => {
                "; nothing is stopped yet: it waits for approval, `breakerbox status` says of which decision"
            }
            Some(Stage::Ordered) | None => "",
        }
    }

    /// Forgives the sum: no new trip in this window until a further share of the limit is spent.
    fn reset(
        &mut self,
        breaker: &str,
        more: Percent,
        actor: &str,
        out: &mut Outcome,
    ) -> (Option<u32>, Result<(), String>) {
        let slot = match self.find(breaker) {
            Ok(slot) => slot,
            Err(no) => {
                // A breaker whose budget is gone may still hold something.
                let held = self.held_by(breaker);
                self.drop_holder(breaker);
                self.settle_holds(out);
                return (None, if held.is_empty() { Err(no) } else { Ok(()) });
            }
        };
        let at = slot as usize;
        if self.has_ended(slot) {
            self.roll(slot, out);
        }
        let reset_mark = self.hot[at].sum.saturating_add(mark(self.cold[at].limit, more));
        self.forgive(slot, reset_mark);
        self.forgive_pace(slot);
        let held = !self.held_by(breaker).is_empty();
        if matches!(self.cold[at].state, State::Tripped(_)) || held {
            self.release(slot, ReleaseCause::Reset(actor.to_owned()), out);
        }
        self.judge(slot, None, out);
        (Some(slot), Ok(()))
    }

    /// Gives one object back, whoever holds it, and exempts it for the longest of their windows.
    fn release_object(&mut self, target: &ObjectKey, actor: &str, out: &mut Outcome) -> Result<(), String> {
        let Some(hold) = self.holds.get(target) else {
            return Err(format!("we do not hold `{target}`; `breakerbox status` lists what we hold"));
        };
        let slots: Vec<u32> = hold.holders.iter().filter_map(|h| self.slot_of(h)).collect();
        let until = slots.iter().map(|s| self.window_of(*s).end).max();
        let until = until.unwrap_or_else(|| self.now.plus(Span::from_hours(24)));
        self.exempt.insert(target.clone(), until);
        let holders: Vec<Box<str>> = hold.holders.iter().cloned().collect();
        holders.iter().for_each(|holder| self.answered(holder));
        if let Some(slot) = slots.first() {
            let kind = DecisionKind::Released {
                cause: ReleaseCause::Person(actor.to_owned()),
                targets: vec![target.clone()],
            };
            self.decide(*slot, kind, out);
        }
        if let Some(hold) = self.holds.get_mut(target) {
            hold.holders.clear();
            hold.orphan = false;
            hold.back_after = None;
        }
        self.settle_holds(out);
        Ok(())
    }
}
