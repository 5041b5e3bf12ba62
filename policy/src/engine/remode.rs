//! A trip whose rule has another mode now.
//!
//! A change of rules never orders (invariant 11). Where the new mode may stop what the old one did not, or
//! wants a yes that nobody gave, a person is asked; where it stops nothing, what is held stays held until the
//! trip ends, but is no longer fought for. A trip of which nobody was told is told once, as soon as the mode
//! tells.

use crate::breaker::Stage;
use crate::decision::{DecisionKind, Why};
use crate::rule::Mode;

use super::{Engine, Outcome};

impl Engine {
    /// Takes the new mode; true when a person is to be asked because of it.
    pub(super) fn change_mode(&mut self, slot: u32, before: Mode, out: &mut Outcome) -> bool {
        let (after, now) = (self.budget_of(slot).mode, self.now);
        let Some(trip) = self.trip_of_mut(slot).filter(|_| before != after) else { return false };
        if after < Mode::Approve {
            trip.stage = Stage::Observed;
            trip.in_force = false;
            trip.approved_by = None;
            trip.asked.clear();
            return false;
        }
        let waits = matches!(trip.stage, Stage::AwaitingApproval(_));
        let needs_yes = after == Mode::Approve && trip.approved_by.is_none();
        if waits || !(trip.stage == Stage::Observed || needs_yes) {
            return false;
        }
        trip.stage = Stage::AwaitingApproval(now); // asked right away
        trip.in_force = false;
        trip.asked.clear();
        self.order_again(slot, out);
        self.trip_of(slot).is_some_and(|trip| !trip.asked.is_empty())
    }

    /// What the new mode changes for a breaker about which a person is asked.
    pub(super) fn mode_difference(&self, slot: u32, before: Mode) -> String {
        let (hot, cold) = (&self.hot[slot as usize], &self.cold[slot as usize]);
        let (after, place) = (self.budget_of(slot).mode, &self.budget_of(slot).trip_place);
        format!(
            "{} (mode {} before, {} now, spent {} of {}; {}:{})",
            cold.name,
            before.word(),
            after.word(),
            hot.sum,
            cold.limit,
            place.file,
            place.line
        )
    }

    /// Tells once of a trip that nobody was told of, as it stands by now.
    pub(super) fn tell_what_stands(&mut self, slot: u32, out: &mut Outcome) {
        if self.mode_of(slot) < Mode::Alert {
            return;
        }
        let Some(trip) = self.trip_of_mut(slot).filter(|trip| !trip.told) else { return };
        trip.told = true;
        let note =
            format!("it stands tripped since {}; in mode `observe`, nobody was told of that", trip.since);
        let found = self.expand(slot);
        let why = Why { note, ..self.why(slot) };
        let kind = DecisionKind::Tripped { targets: found.targets, left: found.left };
        self.decide_with(Some(slot), kind, why, out);
    }
}
