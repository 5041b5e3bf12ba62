//! Reserved money: announced before it is spent, shown beside the sum, never in it.
//!
//! A source may say that a call is under way (pending), and later what it came to (posted) or that it came
//! to nothing (voided), under one id. Pending money warns nobody and trips nothing: a reservation that
//! leaks would be a false stop (F3). It lapses by itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::fact::{FactId, Usage, UsageBatch, UsageFlags, UsageOutcome};
use crate::ledger::Recall;
use crate::money::Money;
use crate::time::{Span, Timestamp};

use super::{Engine, Outcome};

/// A reservation that nobody settles lapses after this.
const LAPSES_AFTER: Span = Span::from_mins(15);
/// Reservations at one time; one more voids the one that lapses first.
const MOST_PENDING: usize = 100_000;

/// One reservation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reservation {
    pub amount: Money,
    /// Names of the breakers that it is shown beside.
    pub breakers: Vec<Box<str>>,
    pub lapses_at: Timestamp,
}

/// All reservations, by id, and in the order in which they lapse.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pending {
    by_id: BTreeMap<FactId, Reservation>,
    lapsing: BTreeMap<(Timestamp, FactId), ()>,
}

impl Pending {
    fn insert(&mut self, id: FactId, reservation: Reservation) {
        self.lapsing.insert((reservation.lapses_at, id), ());
        self.by_id.insert(id, reservation);
    }

    fn remove(&mut self, id: FactId) -> Option<Reservation> {
        let reservation = self.by_id.remove(&id)?;
        self.lapsing.remove(&(reservation.lapses_at, id));
        Some(reservation)
    }

    fn first_to_lapse(&self) -> Option<(Timestamp, FactId)> {
        self.lapsing.keys().next().copied()
    }
}

impl Engine {
    /// What a row does to reservations. `None` for one that goes on to be posted.
    pub(super) fn settle_or_reserve(
        &mut self,
        batch: &UsageBatch,
        row: &Usage,
        lanes: &mut [u32],
        out: &mut Outcome,
    ) -> Option<UsageOutcome> {
        if row.flags.has(UsageFlags::PENDING) {
            return Some(self.reserve(batch, row, lanes, out));
        }
        let reserved = self.void(row.id);
        if !row.flags.has(UsageFlags::VOIDED) {
            return None;
        }
        // A void of what was posted changes nothing: what was spent was spent.
        self.counters.voided += u64::from(reserved);
        let known = self.seen.recall(row.id, row.content, row.occurred_at) != Recall::New;
        Some(if known { UsageOutcome::Duplicate } else { UsageOutcome::Accepted })
    }

    fn reserve(
        &mut self,
        batch: &UsageBatch,
        row: &Usage,
        lanes: &mut [u32],
        out: &mut Outcome,
    ) -> UsageOutcome {
        if self.seen.knows(row.id) || self.pending.by_id.contains_key(&row.id) {
            return UsageOutcome::Duplicate;
        }
        let lane = self.lane_of_row(batch, row, lanes, out);
        if self.is_set_aside(lane, row.occurred_at) {
            return UsageOutcome::Accepted;
        }
        let (amount, slots) = self.quote(lane, row);
        if self.pending.by_id.len() >= MOST_PENDING
            && let Some((_, first)) = self.pending.first_to_lapse()
        {
            self.void(first);
        }
        let mut breakers = Vec::with_capacity(slots.len());
        for slot in slots {
            let cold = &mut self.cold[slot as usize];
            cold.pending = cold.pending.saturating_add(amount);
            breakers.push(cold.name.clone());
        }
        let lapses_at = self.now.plus(LAPSES_AFTER);
        self.pending.insert(row.id, Reservation { amount, breakers, lapses_at });
        self.counters.reserved += 1;
        UsageOutcome::Accepted
    }

    /// Takes a reservation back; whether there was one.
    fn void(&mut self, id: FactId) -> bool {
        let Some(reservation) = self.pending.remove(id) else { return false };
        for name in &reservation.breakers {
            if let Some(slot) = self.slot_of(name) {
                let cold = &mut self.cold[slot as usize];
                cold.pending = cold.pending.saturating_sub(reservation.amount);
            }
        }
        true
    }

    /// Reservations that nobody settled.
    pub(super) fn lapse_reservations(&mut self) {
        while let Some((at, id)) = self.pending.first_to_lapse().filter(|(at, _)| *at <= self.now) {
            debug_assert!(at <= self.now);
            self.void(id);
            self.counters.voided += 1;
        }
    }
}
