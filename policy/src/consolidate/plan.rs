//! The plan itself: nodes in the order of how empty they are, each wholly emptied or left as it is.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::fit::fits;
use super::movable::immovable;
use super::room::{Room, is_open};
use crate::idle::{Fleet, PodRef, Seat};
use crate::inventory::PodKey;
use crate::money::{Money, Percent};
use crate::rule::{Guardrail, NodeSelector, Pack};
use crate::time::{Span, Timestamp};

/// A node younger than this may still wait for the pods that it was bought for.
const YOUNG: Span = Span::from_mins(10);

/// What could be emptied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Nodes that could be, in the order in which that was found; the moves build on one another.
    pub vacated: Vec<Vacated>,
    /// What they cost per hour together.
    pub saving: Money,
    /// Under-filled nodes that stay, by name, and why.
    pub left: Vec<Left>,
}

/// A node that could be emptied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vacated {
    /// The node.
    pub node: Box<str>,
    /// Share of its GPUs that is asked for.
    pub allocation: Percent,
    /// What it costs per hour.
    pub saving: Money,
    /// Where its pods would go.
    pub moves: Vec<Move>,
}

/// A pod that would go elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Move {
    /// The pod.
    pub pod: PodKey,
    /// The node where it would go.
    pub to: Box<str>,
}

/// An under-filled node that stays.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Left {
    /// The node.
    pub node: Box<str>,
    /// Why.
    pub because: Box<str>,
}

/// Plans for the nodes that `select` selects.
#[must_use]
pub fn plan(pack: &Pack, select: &NodeSelector, fleet: &Fleet<'_>, rail: &Guardrail, now: Timestamp) -> Plan {
    let mut candidates: Vec<(Percent, usize)> = Vec::new();
    for (at, seat) in fleet.seats.iter().enumerate() {
        if let Some(allocation) = allocation(seat)
            && allocation < pack.allocation_below
            && select.selects(seat.node)
        {
            candidates.push((allocation, at));
        }
    }
    candidates.sort_unstable_by_key(|(allocation, at)| {
        let price = fleet.seats.get(*at).and_then(|seat| seat.price).map_or(0, |rate| rate.picos());
        (*allocation, std::cmp::Reverse(price), *at)
    });
    let allowed = fleet.inventory.disruption_budgets.iter().map(|(key, budget)| (key, budget.allowed));
    let mut packing = Packing {
        fleet,
        rail,
        room: Room::new(fleet),
        allowed: allowed.collect(),
        receives: BTreeSet::new(),
        now,
    };
    let mut plan = Plan::default();
    for (allocation, at) in candidates {
        let Some(seat) = fleet.seats.get(at) else { continue };
        match packing.vacate(at, seat) {
            Ok((saving, moves)) => {
                plan.saving = plan.saving.saturating_add(saving);
                plan.vacated.push(Vacated { node: seat.name.into(), allocation, saving, moves });
            }
            Err(because) => plan.left.push(Left { node: seat.name.into(), because: because.into() }),
        }
    }
    plan.left.sort_unstable();
    plan
}

/// Share of a node's GPUs that is asked for; `None` for a node without any.
fn allocation(seat: &Seat<'_>) -> Option<Percent> {
    let asked = u64::from(seat.requested).saturating_mul(1_000_000);
    let share = asked.checked_div(seat.node.allocatable.gpus.into())?;
    Some(Percent::from_ppm(u32::try_from(share).unwrap_or(u32::MAX)))
}

struct Packing<'a> {
    fleet: &'a Fleet<'a>,
    rail: &'a Guardrail,
    room: Room<'a>,
    /// Disruptions that each budget still allows.
    allowed: BTreeMap<&'a PodKey, u32>,
    /// Nodes onto which the plan moves something: they stay.
    receives: BTreeSet<usize>,
    now: Timestamp,
}

impl<'a> Packing<'a> {
    /// Empties a node, or says why it stays; then nothing has changed.
    fn vacate(&mut self, at: usize, seat: &Seat<'a>) -> Result<(Money, Vec<Move>), String> {
        let saving = self.may_go(at, seat)?;
        let pods: Vec<PodRef<'a>> = seat.pods.iter().filter(|(_, pod)| !pod.daemon).copied().collect();
        for pod in &pods {
            if let Some(because) = immovable(*pod, self.fleet, self.rail) {
                return Err(format!("{}: {because}", pod.0));
            }
        }
        let was_open = is_open(seat);
        self.room.close(at);
        let mut moved: Vec<(PodRef<'a>, usize)> = Vec::new();
        // Those that ask for the most first: they fit in the fewest places.
        let mut order = pods;
        order.sort_by_key(|(key, pod)| {
            let asks = pod.requests;
            (std::cmp::Reverse((asks.gpus, asks.cpu_milli, asks.memory)), *key)
        });
        for pod in order {
            match self.move_one(pod, at, seat) {
                Ok(to) => moved.push((pod, to)),
                Err(because) => {
                    self.undo(&moved);
                    if was_open {
                        self.room.open(at);
                    }
                    return Err(because);
                }
            }
        }
        self.receives.extend(moved.iter().map(|(_, to)| *to));
        let name = |at: usize| self.fleet.seats.get(at).map_or("", |seat| seat.name);
        let mut moves: Vec<Move> =
            moved.iter().map(|((key, _), to)| Move { pod: (*key).clone(), to: name(*to).into() }).collect();
        moves.sort_unstable();
        Ok((saving, moves))
    }

    fn may_go(&self, at: usize, seat: &Seat<'_>) -> Result<Money, String> {
        let node = seat.node;
        if self.receives.contains(&at) {
            return Err("pods of other nodes would go onto it".to_owned());
        }
        if node.deleting {
            return Err("it is going away already".to_owned());
        }
        if node.do_not_disrupt {
            return Err("it says do-not-disrupt".to_owned());
        }
        let protecting = |(name, value): &&(Box<str>, Box<str>)| node.labels.get(name) == Some(value);
        if let Some((name, value)) = self.rail.protected_labels.iter().find(protecting) {
            return Err(format!("label {name}={value} protects it"));
        }
        if node.created_at.is_none_or(|at| self.now.since(at) < YOUNG) {
            return Err("it is new, or its age is not known".to_owned());
        }
        match seat.price {
            Some(rate) => Ok(Money::from_picos(rate.picos().into())),
            None => Err("it has no price".to_owned()),
        }
    }

    fn move_one(&mut self, pod: PodRef<'a>, from: usize, seat: &Seat<'a>) -> Result<usize, String> {
        let (key, pod) = pod;
        if let Some(budget) = pod.budgets.first() {
            let name = PodKey { namespace: key.namespace.clone(), name: budget.clone() };
            match self.allowed.get_mut(&name) {
                Some(allowed) if *allowed > 0 => *allowed = allowed.saturating_sub(1),
                _ => return Err(format!("{key}: disruption budget `{budget}` allows no (further) eviction")),
            }
        }
        let fleet = self.fleet;
        let takes = |to: usize| fleet.seats.get(to).is_some_and(|to| fits(pod, seat.node, to.node));
        let to = self.room.place(pod, from, takes);
        if to.is_none() {
            self.give_back(key, pod);
        }
        to.ok_or_else(|| format!("{key} fits on no other node"))
    }

    fn give_back(&mut self, key: &PodKey, pod: &crate::inventory::Pod) {
        let Some(budget) = pod.budgets.first() else { return };
        let name = PodKey { namespace: key.namespace.clone(), name: budget.clone() };
        if let Some(allowed) = self.allowed.get_mut(&name) {
            *allowed = allowed.saturating_add(1);
        }
    }

    fn undo(&mut self, moved: &[(PodRef<'a>, usize)]) {
        for ((key, pod), to) in moved {
            self.room.take_back(*to, pod);
            self.give_back(key, pod);
        }
    }
}
