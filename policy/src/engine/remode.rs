//! A trip whose rule has another mode now, or chooses more to stop.
//!
//! A change of rules never orders (invariant 11). Where the new mode may stop what the old one did not, or
//! wants a yes that nobody gave, a person is asked; where it stops nothing, what is held stays held until the
//! trip ends, but is no longer fought for. What the new rules choose beside what the old ones did is asked about
//! too, and what it holds is kept stopped meanwhile. A trip of which nobody was told is told once, as soon as the mode
//! tells.

use std::collections::BTreeMap;

use crate::breaker::Stage;
use crate::decision::{DecisionKind, Why};
use crate::inventory::ObjectKey;
use crate::rule::Mode;

use super::{Engine, Outcome};

/// Objects that a page names for one breaker; the question names all.
const MOST_OBJECTS: usize = 5;

impl Engine {
    /// Takes the new mode; true when a person is to be asked because of it.
    pub(super) fn change_mode(&mut self, slot: u32, before: Mode, out: &mut Outcome) -> bool {
        let (after, now) = (self.rule_mode(self.cold[slot as usize].budget), self.now);
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
        let after = self.rule_mode(self.cold[slot as usize].budget);
        self.said_of(slot, &format!("mode {} before, {} now", before.word(), after.word()))
    }

    /// A tripped breaker in a page about a reload: what changed, what was spent, and where its rule stands.
    fn said_of(&self, slot: u32, change: &str) -> String {
        let (sum, cold) = (self.hot[slot as usize].sum, &self.cold[slot as usize]);
        let (place, unit) = (&self.budget_of(slot).trip_place, self.budget_of(slot).limit.unit);
        let (sum, limit) = (unit.of(sum), unit.of(cold.limit));
        format!("{} ({change}, spent {sum} of {limit}; {}:{})", cold.name, place.file, place.line)
    }

    /// What each trip that stops something, now or later, is for under the rules in force.
    pub(super) fn chosen(&self) -> BTreeMap<Box<str>, Vec<ObjectKey>> {
        let stops = |slot: &u32| self.trip_of(*slot).is_some_and(|trip| trip.stage != Stage::Observed);
        let slots = self.armed.iter().copied().filter(stops);
        slots.map(|slot| (self.cold[slot as usize].name.clone(), self.expand(slot).targets)).collect()
    }

    /// Asks a person about what a trip is for now and was not before; what is said of it, where somebody is asked.
    pub(super) fn ask_about_more(
        &mut self,
        slot: u32,
        before: &[ObjectKey],
        out: &mut Outcome,
    ) -> Option<String> {
        let now = self.now;
        let name = self.cold[slot as usize].name.clone();
        let ours = |target: &ObjectKey| self.holds.get(target).is_some_and(|h| h.holders.contains(&name));
        let mut more = self.expand(slot).targets;
        more.retain(|target| !before.contains(target) && !ours(target));
        let trip = self.trip_of_mut(slot).filter(|_| !more.is_empty())?;
        if trip.stage == Stage::Observed {
            return None;
        }
        // Also where a question waits: a yes to that one would be followed by what it did not name.
        trip.stage = Stage::AwaitingApproval(now); // asked right away
        trip.asked.clear();
        self.order_again(slot, out);
        let asked = self.trip_of(slot).is_some_and(|trip| !trip.asked.is_empty());
        asked.then(|| self.target_difference(slot, &more))
    }

    /// What the new rules choose more for a breaker about which a person is asked.
    fn target_difference(&self, slot: u32, more: &[ObjectKey]) -> String {
        let named: Vec<String> = more.iter().take(MOST_OBJECTS).map(ToString::to_string).collect();
        let rest = match more.len().saturating_sub(MOST_OBJECTS) {
            0 => String::new(),
            rest => format!(" and {rest} more"),
        };
        self.said_of(slot, &format!("now also {}{rest}", named.join(", ")))
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
