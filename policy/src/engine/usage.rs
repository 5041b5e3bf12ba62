//! Usage in: refuse, recall, price, post.

use crate::breaker::Closed;
use crate::decision::{DecisionKind, LargeCharge};
use crate::fact::{FactId, Quantities, RefusedReason, Usage, UsageBatch, UsageOutcome};
use crate::ledger::Recall;
use crate::money::Money;
use crate::page::PageTopic;
use crate::price::{Amount, PriceFlags};
use crate::rule::WindowSpec;
use crate::subject::Subject;
use crate::time::{Span, Timestamp};

use super::lane::{Meter, kind_of};
use super::prices::MOST_BOOKS;
use super::{Engine, Letter, Outcome};

/// More tokens, images or the like than one call can use.
pub const MOST_COUNT: u64 = 1_000_000_000_000;
/// Longest stretch of instance time in one usage.
const LONGEST_USE: Span = Span::from_hours(24 * 32);
/// More than one line of a bill can come to: 1 billion USD.
const MOST_BILLED: Money = Money::from_picos(1_000_000_000_000_000_000_000);

/// Rows that are warmed together: what they touch fits the second-level cache.
const CHUNK: usize = 64;
/// How the keys of pages about usage without a price begin.
const UNPRICED: &str = "unpriced ";
/// Pages of that kind within a day.
const MOST_UNPRICED_PAGES: usize = 20;

/// No lane looked up yet.
const NO_LANE: u32 = u32::MAX;

/// One charge on its way into breakers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Posting<'a> {
    pub amount: Money,
    /// How much more it cost than in each of the past books; empty where it cost no more than in any.
    pub excess: &'a [Money],
    pub at: Timestamp,
    /// Recent enough, and from a source that has caught up: it may let a breaker trip.
    pub on_time: bool,
    pub batch: &'a UsageBatch,
    pub row: &'a Usage,
}

impl Engine {
    pub(super) fn take_usage(&mut self, batch: &UsageBatch, out: &mut Outcome) -> Vec<UsageOutcome> {
        self.hear(&batch.source, true);
        self.note_newest(batch);
        if self.is_fresh(&batch.source) {
            self.end_silence(&batch.source, out);
        }
        self.lanes.bound();
        let mut lanes = std::mem::take(&mut self.scratch);
        lanes.clear();
        lanes.resize(batch.origins.len().saturating_add(1) * 3, NO_LANE);
        let mut outcomes = Vec::with_capacity(batch.rows.len());
        let mut links = batch.links.as_slice();
        let mut number = 0;
        for chunk in batch.rows.chunks(CHUNK) {
            self.warm(batch, chunk, &mut lanes, out);
            for row in chunk {
                number += 1;
                // Links are in the order of their rows.
                let own = links.partition_point(|(r, _)| *r < number);
                outcomes.push(self.take_row(batch, row, &links[..own], &mut lanes, out));
                links = &links[own..];
            }
        }
        self.scratch = lanes;
        self.positions.advance(batch, self.now.plus(self.settings.max_ahead));
        outcomes
    }

    /// Reads what a chunk of rows will touch, in loops whose reads do not wait for one another: with a
    /// million breakers a row is some ten cache misses, and one after another they would be most of its cost.
    /// So each loop does one kind of read for all rows, and what it finds is where the next one reads.
    fn warm(&mut self, batch: &UsageBatch, rows: &[Usage], lanes: &mut [u32], out: &mut Outcome) {
        let mut touched = 0;
        for row in rows {
            touched ^= usize::from(self.seen.knows(row.id));
        }
        let mut chunk = [NO_LANE; CHUNK];
        for (row, lane) in rows.iter().zip(&mut chunk) {
            *lane = self.guess_lane(batch, row, lanes);
        }
        for lane in chunk.iter().filter(|lane| **lane != NO_LANE) {
            touched ^= self.lanes.get(*lane).account as usize;
        }
        for (row, lane) in rows.iter().zip(&mut chunk) {
            *lane = match row.quantities {
                Quantities::Nothing => NO_LANE,
                _ => self.lane_of_row(batch, row, lanes, out),
            };
        }
        for lane in chunk.iter().filter(|lane| **lane != NO_LANE) {
            let lane = self.lanes.get(*lane);
            for slot in lane.slots.as_slice() {
                touched ^= self.hot[*slot as usize].facts as usize;
            }
        }
        std::hint::black_box(touched);
    }

    fn take_row(
        &mut self,
        batch: &UsageBatch,
        row: &Usage,
        links: &[(u32, FactId)],
        lanes: &mut [u32],
        out: &mut Outcome,
    ) -> UsageOutcome {
        let refused = refuse(row, self.now, self.settings.max_ahead);
        if let Some(reason) = refused {
            return self.refuse_row(batch, row, reason, out);
        }
        if let Some(outcome) = self.settle_or_reserve(batch, row, lanes, out) {
            return outcome;
        }
        if row.occurred_at < self.now.minus(self.settings.horizon).max(self.seen.known_since()) {
            if !self.is_new_by_position(batch, row) {
                return self.refuse_row(batch, row, RefusedReason::TooLate, out);
            }
        } else {
            match self.recall(row, links) {
                Recall::New => {}
                Recall::Duplicate => {
                    self.counters.duplicates += 1;
                    return UsageOutcome::Duplicate;
                }
                Recall::Conflict => {
                    self.counters.conflicts += 1;
                    return UsageOutcome::Conflict;
                }
            }
        }
        self.counters.accepted += 1;
        if matches!(row.quantities, Quantities::Nothing) {
            self.counters.without_usage += 1;
        } else {
            let lane = self.lane_of_row(batch, row, lanes, out);
            self.charge(batch, row, lane, out);
        }
        UsageOutcome::Accepted
    }

    /// The lane that a row probably has: only its number was looked at, not whose it is.
    fn guess_lane(&self, batch: &UsageBatch, row: &Usage, lanes: &[u32]) -> u32 {
        let kind = kind_of(&row.quantities);
        match lanes[cell_of(batch, row)] {
            NO_LANE => batch.digests.get(row.origin as usize).and_then(|d| self.lanes.guess(*d, kind)),
            lane => Some(lane),
        }
        .unwrap_or(NO_LANE)
    }

    pub(super) fn lane_of_row(
        &mut self,
        batch: &UsageBatch,
        row: &Usage,
        lanes: &mut [u32],
        out: &mut Outcome,
    ) -> u32 {
        let (kind, cell) = (kind_of(&row.quantities), cell_of(batch, row));
        if lanes[cell] == NO_LANE {
            lanes[cell] = self.lane(batch, row.origin, kind, out);
        }
        lanes[cell]
    }

    /// A usage is also known by its links: another id of the same call under the same source.
    fn recall(&mut self, row: &Usage, links: &[(u32, FactId)]) -> Recall {
        let linked = links.iter().any(|(_, id)| self.seen.knows(*id));
        if linked && !self.seen.knows(row.id) {
            return Recall::Duplicate;
        }
        let recall = self.seen.recall(row.id, row.content, row.occurred_at);
        if recall == Recall::New {
            for (_, id) in links {
                self.seen.recall(*id, row.content, row.occurred_at);
            }
        }
        recall
    }

    fn charge(&mut self, batch: &UsageBatch, row: &Usage, lane: u32, out: &mut Outcome) {
        let marks = self.lanes.get(lane).slots.marks();
        if marks.unjudged {
            self.note_unjudged(lane, out);
        }
        let amount = price(&self.lanes.tariff(lane).meter, &row.quantities);
        if marks.overruled && self.set_aside(&batch.source, row, lane, amount.as_ref().ok().copied()) {
            return;
        }
        let tariff = self.lanes.tariff(lane);
        let shadow = tariff.shadow.as_ref().map(|meter| price(meter, &row.quantities).ok());
        let lane = self.lanes.get(lane);
        let (account, special) = (lane.account, marks.special);
        let mut slots = std::mem::take(&mut self.slot_scratch);
        slots.clear();
        slots.extend_from_slice(lane.slots.as_slice());
        let (money, flags, excess) = match amount {
            Ok(Amount { money, flags }) => {
                (money, flags.0 | row.flags.0, excess(&tariff.before, &row.quantities, money))
            }
            Err(what) => {
                self.look_at_usage(account, shadow, Money::ZERO);
                if special {
                    self.post_unpriced(batch, row, &mut slots, out);
                }
                self.count_unpriced(account, &slots, row, &what, out);
                self.slot_scratch = slots;
                return;
            }
        };
        self.count_flags(flags);
        self.look_at_usage(account, shadow, money);
        let excess = excess.as_ref().map_or(&[][..], |excess| &excess[..]);
        self.book_spend(account, row.occurred_at, money, out);
        let on_time = self.is_on_time(batch, row);
        match on_time {
            true => self.latency.lag.see(self.now.since(row.occurred_at), self.now),
            false => self.steady_since = self.now,
        }
        let posting = Posting { amount: money, excess, at: row.occurred_at, on_time, batch, row };
        for slot in &slots {
            match special {
                true => self.post_special(*slot, &posting, out),
                false => self.post(*slot, &posting, out),
            }
        }
        self.slot_scratch = slots;
    }

    /// Recent enough, and from a source that has caught up.
    pub(super) fn is_on_time(&self, batch: &UsageBatch, row: &Usage) -> bool {
        !batch.catching_up && self.now.since(row.occurred_at) <= self.settings.on_time
    }

    /// What a row would cost, and which breakers it would add to.
    pub(super) fn quote(&self, lane: u32, row: &Usage) -> (Money, Vec<u32>) {
        let meter = &self.lanes.tariff(lane).meter;
        let amount = price(meter, &row.quantities).map_or(Money::ZERO, |amount| amount.money);
        (amount, self.lanes.get(lane).slots.as_slice().to_vec())
    }

    fn count_flags(&mut self, mut flags: u16) {
        while flags != 0 {
            self.counters.flagged[flags.trailing_zeros() as usize] += 1;
            flags &= flags - 1;
        }
    }

    /// Adds a charge to one breaker. The short way touches one cache line.
    pub(super) fn post(&mut self, slot: u32, posting: &Posting<'_>, out: &mut Outcome) {
        let hot = &mut self.hot[slot as usize];
        let ended = self.now >= hot.window.end && self.clock_doubt.is_none();
        if ended || !hot.window.contains(posting.at) {
            return self.post_elsewhere(slot, posting, out);
        }
        hot.sum = hot.sum.saturating_add(posting.amount);
        hot.facts += 1;
        if posting.amount > Money::from_picos(i128::from(hot.floor)) {
            self.keep_largest(slot, posting);
        }
        if !posting.excess.is_empty() {
            self.add_excess(slot, posting);
        }
        if self.hot[slot as usize].sum >= self.hot[slot as usize].next_mark {
            self.judge(slot, Some(posting), out);
        }
    }

    /// The long way: a window to roll, a rolling window, a closed one, or the next one.
    fn post_elsewhere(&mut self, slot: u32, posting: &Posting<'_>, out: &mut Outcome) {
        let budget = usize::from(self.cold[slot as usize].budget);
        let spec = self.rules.budgets[budget].window.clone();
        match spec {
            WindowSpec::Rolling(length) => self.post_rolling(slot, length, posting, out),
            WindowSpec::Lifetime => {} // its window has no outside
            WindowSpec::Calendar { .. } => {
                if self.has_ended(slot) {
                    self.roll(slot, out);
                }
                if self.hot[slot as usize].window.contains(posting.at) {
                    return self.post(slot, posting, out);
                }
                let window = spec.at(posting.at);
                let cold = &mut self.cold[slot as usize];
                let (limit, closed_at) = (cold.limit, window.end);
                let closed = cold.side().add_window(window, posting.amount);
                let breach = closed_at <= self.now && !closed.breached && closed.sum >= limit;
                closed.breached |= breach;
                let closed: Closed = closed.clone();
                if closed_at > self.now {
                    self.armed.insert(slot); // it has not begun: its first tick looks at it
                }
                if breach {
                    self.breached_after_close(slot, window.start, &closed, posting, out);
                }
            }
        }
    }

    fn add_excess(&mut self, slot: u32, posting: &Posting<'_>) {
        let excess = self.excess_of(slot, posting);
        let cold = &mut self.cold[slot as usize];
        cold.price_excess = cold.price_excess.saturating_add(excess);
    }

    pub(super) fn keep_largest(&mut self, slot: u32, posting: &Posting<'_>) {
        let fact = format!("{}:{}", posting.batch.source, posting.batch.key_of(posting.row));
        let charge = LargeCharge { fact: fact.into(), occurred_at: posting.at, amount: posting.amount };
        self.cold[slot as usize].keep_largest(charge);
        self.set_floor(slot);
    }

    fn book_spend(&mut self, account: u32, at: Timestamp, amount: Money, out: &mut Outcome) {
        let total = &mut self.spend[account as usize];
        total.amount = total.amount.saturating_add(amount);
        total.facts += 1;
        let rollup = self.rollups.of(account, at, &mut out.rollups);
        rollup.amount = rollup.amount.saturating_add(amount);
        rollup.facts += 1;
    }

    fn count_unpriced(&mut self, account: u32, slots: &[u32], row: &Usage, what: &str, out: &mut Outcome) {
        self.counters.unpriced += 1;
        let total = &mut self.spend[account as usize];
        total.unpriced += 1;
        let model = std::sync::Arc::clone(&total.model);
        self.rollups.of(account, row.occurred_at, &mut out.rollups).unpriced += 1;
        for slot in slots {
            self.note_unpriced(*slot, row.occurred_at, out);
        }
        self.page_unpriced(&model, what, out);
    }

    /// A page for each model and reason a day; callers can make up models, so soon only one for all others.
    fn page_unpriced(&mut self, model: &str, what: &str, out: &mut Outcome) {
        let mut key = format!("{UNPRICED}{model} {what}");
        if self.paged.contains_key(&*key) {
            return;
        }
        let pages = self.paged.keys().filter(|key| key.starts_with(UNPRICED));
        let mut detail = match what.contains(model) {
            true => what.to_owned(),
            false => format!("model `{model}`: {what}"),
        };
        if pages.count() >= MOST_UNPRICED_PAGES {
            UNPRICED.clone_into(&mut key);
            detail = format!(
                "more than {MOST_UNPRICED_PAGES} kinds of usage have no price within a day; further ones are \
                 counted by model and not paged one by one"
            );
        }
        let kind = DecisionKind::Page { topic: PageTopic::Unpriced, detail };
        self.page_once(&key, Span::from_hours(24), kind, out);
    }

    fn refuse_row(
        &mut self,
        batch: &UsageBatch,
        row: &Usage,
        reason: RefusedReason,
        out: &mut Outcome,
    ) -> UsageOutcome {
        *self.counters.refused.entry(reason).or_default() += 1;
        let (amount, subject) = match batch.origins.get(row.origin as usize) {
            Some(origin) => {
                let meter = super::lane::meter(&self.book, origin, kind_of(&row.quantities));
                let amount = price(&meter, &row.quantities).ok().map(|amount| amount.money);
                (amount, self.subject(&batch.source, origin, meter.model(origin)))
            }
            None => (None, Subject::default()),
        };
        let refused = self.counters.refused_amount;
        self.counters.refused_amount = refused.saturating_add(amount.unwrap_or(Money::ZERO));
        out.letters.push(Letter {
            source: batch.source.clone(),
            key: batch.key_of(row).into(),
            reason,
            occurred_at: row.occurred_at,
            amount,
            place: place(batch, row).map(|(file, end)| (file.into(), end)),
            quantities: row.quantities,
            subject,
        });
        UsageOutcome::Refused(reason)
    }

    fn is_new_by_position(&self, batch: &UsageBatch, row: &Usage) -> bool {
        place(batch, row)
            .is_some_and(|(file, end)| self.positions.prove_new(&batch.source, file, end, row.occurred_at))
    }
}

/// The file of a row, and where it ends there.
fn place<'a>(batch: &'a UsageBatch, row: &Usage) -> Option<(&'a str, u64)> {
    let position = row.position?;
    Some((batch.files.get(position.file as usize)?, position.end))
}

/// Where the lane of a row's origin and kind is remembered while its batch is taken.
fn cell_of(batch: &UsageBatch, row: &Usage) -> usize {
    (row.origin as usize).min(batch.origins.len()) * 3 + kind_of(&row.quantities) as usize
}

/// What is refused whatever has been seen before.
fn refuse(row: &Usage, now: Timestamp, max_ahead: Span) -> Option<RefusedReason> {
    let absurd = match row.quantities {
        Quantities::Tokens(t) => t.by_class().iter().any(|n| *n > MOST_COUNT),
        Quantities::Instance(i) => i.end < i.start || i.end.since(i.start) > LONGEST_USE,
        Quantities::Other(n) => n > MOST_COUNT,
        Quantities::Nothing => false,
        Quantities::Billed(b) => b.amount < Money::ZERO || b.amount > MOST_BILLED,
    };
    if absurd {
        Some(RefusedReason::AbsurdCount)
    } else if row.occurred_at > now.plus(max_ahead) {
        Some(RefusedReason::TooFarAhead)
    } else {
        None
    }
}

/// The charge, or why there is none.
fn price(meter: &Meter, quantities: &Quantities) -> Result<Amount, String> {
    match (meter, quantities) {
        (_, Quantities::Billed(billed)) => Ok(Amount { money: billed.amount, flags: PriceFlags::NONE }),
        (Meter::Tokens(price), Quantities::Tokens(tokens)) => {
            price.charge(tokens).map_err(|reason| reason.to_string())
        }
        (Meter::Instance(price), Quantities::Instance(i)) => {
            price.charge(i.start.millis(), i.end.millis(), i.share_milli).map_err(|reason| reason.to_string())
        }
        (Meter::Unpriced(reason), _) => Err(reason.to_string()),
        (_, _) => Err("usage and price are of different kinds".to_owned()),
    }
}

/// How much more a charge costs than by the meters before; `None` where there are none.
fn excess(before: &[Option<Meter>], quantities: &Quantities, now: Money) -> Option<[Money; MOST_BOOKS]> {
    if before.is_empty() {
        return None;
    }
    let mut excess = [Money::ZERO; MOST_BOOKS];
    for (excess, meter) in excess.iter_mut().zip(before) {
        *excess = match meter.as_ref().map(|meter| price(meter, quantities)) {
            Some(Ok(before)) => now.saturating_sub(before.money).max(Money::ZERO),
            // It had no price before: all of it is news.
            Some(Err(_)) => now,
            None => Money::ZERO,
        };
    }
    Some(excess)
}
