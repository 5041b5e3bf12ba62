//! One breaker: the money of one budget instance in its windows, and its state.
//!
//! A breaker is cut in two. [`Hot`] is one cache line: what every charge touches. [`Cold`] is everything
//! else, touched when a mark is crossed. Both are plain state; the engine decides.

mod buckets;
mod moments;
mod pace;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::decision::{ArmingCause, Cause, LargeCharge};
use crate::fact::GuardCheck;
use crate::id::DecisionId;
use crate::inventory::ObjectKey;
use crate::money::{Money, Percent, Rounding};
use crate::rule::{Budget, WindowSpec};
use crate::subject::Trust;
use crate::time::{Span, Timestamp};
use crate::window::Window;

pub use buckets::Bucket;
pub use moments::Moment;
pub use pace::{Blame, Pace, Ring};

/// How many of the largest charges a breaker keeps for its why.
pub const LARGEST: usize = 3;
/// Far from its marks a breaker keeps no charge smaller than this part of its limit.
const NOTABLE: i128 = 1_000;
/// Buckets of a rolling window: its sum is at most one sixtieth of the window's length behind.
pub const BUCKETS: i64 = 60;
/// Closed windows that a breaker keeps in memory; the journal's rollups keep all.
pub const CLOSED_WINDOWS: usize = 64;

/// What every charge touches: one cache line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[repr(align(64))]
pub struct Hot {
    /// Current window.
    pub window: Window,
    /// Sum of its charges.
    pub sum: Money,
    /// The sum at which something is to be judged.
    pub next_mark: Money,
    /// Charges up to this amount (in 10⁻¹² USD) are not kept among the largest.
    pub floor: u64,
    /// Charges in the sum.
    pub facts: u64,
}

const _: () = assert!(size_of::<Hot>() == 64, "what every charge touches is one cache line");

/// One value of an instance.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct InstanceValue {
    /// `None` where the subject has no such field: the unattributed bucket.
    pub value: Option<Box<str>>,
    /// How far to believe it.
    pub trust: Trust,
}

/// Everything about a breaker that not every charge touches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cold {
    /// Index of its budget in the rule set.
    pub budget: u16,
    /// `tenant-daily/acme`.
    pub name: Box<str>,
    /// Values of `perEach`, in its order.
    pub values: Box<[InstanceValue]>,
    /// The limit in the current window.
    pub limit: Money,
    /// State in the current window.
    pub state: State,
    /// Warning thresholds already crossed in the current window.
    pub warned: u8,
    /// The largest charges of the current window, largest first. Below half of the first mark only those of more
    /// than a thousandth of the limit: most breakers never come near, and ids of charges are long.
    pub largest: Vec<LargeCharge>,
    /// Usage without a price in the current window.
    pub unpriced: u64,
    /// Reserved, not spent; not in the sum.
    pub pending: Money,
    /// Trips in the current window.
    pub trips: u16,
    /// A person forgave the sum: no trip below this.
    pub reset_mark: Option<Money>,
    /// What price changes since the window began have added.
    pub price_excess: Money,
    /// How many changes of prices there had been when a person accepted them for this window.
    pub prices_accepted: u32,
    /// A reload brought it over; only a person or the window's end lets it trip.
    pub by_reload: bool,
    /// A fact on time has added to it while it was over.
    pub on_time_over: bool,
    /// When the grace ends, once it runs.
    pub grace_until: Option<Timestamp>,
    /// Event time of the charge that brought it over.
    pub crossed_at: Option<Timestamp>,
    /// What its messages are about: since when it is not clear (a calendar window: its start). All messages
    /// of one crossing, from the warning to the give-back, share it as their thread.
    pub episode: Option<Timestamp>,
    /// Other windows and buckets, where there are any.
    pub side: Option<Box<Side>>,
}

/// Windows other than the current one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    /// Closed windows by their start (and the next one, for facts a little ahead of the clock).
    pub windows: BTreeMap<Timestamp, Closed>,
    /// Buckets of a rolling window by number.
    pub buckets: BTreeMap<i64, Bucket>,
    /// Trips within a rolling window, which has no end at which they could be forgotten. No more than the
    /// rule's `maxTripsPerWindow` of them.
    pub trips: Vec<Timestamp>,
    /// Until when a reset of a rolling window forgives.
    pub reset_until: Option<Timestamp>,
    /// Until when a reload is why a rolling window is over.
    pub reload_until: Option<Timestamp>,
    /// What its burn in the current window is measured from; at most two.
    pub moments: Vec<Moment>,
    /// What its triggers measure, where its budget has some.
    pub pace: Option<Box<Pace>>,
    /// Usage without a price of the current window, at the highest known price. Not in the sum.
    pub assumed: Money,
    /// What was not spent in the window before, and may be spent in this one.
    pub carried: Money,
    /// The limit that a label of its namespace states.
    pub label: Option<Money>,
}

/// A window that is not the current one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// First instant after it.
    pub end: Timestamp,
    /// Sum of its charges.
    pub sum: Money,
    /// Charges in the sum.
    pub facts: u64,
    /// It was or turned out to be over its limit.
    pub breached: bool,
    /// Usage without a price.
    pub unpriced: u64,
}

/// State of the money.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Below every threshold.
    #[default]
    Clear,
    /// Above a warning threshold.
    Warned,
    /// Over, and not yet tripped.
    Arming {
        /// Since when.
        since: Timestamp,
        /// What it waits for.
        cause: ArmingCause,
        /// The decision that said so; a person can approve it.
        decision: DecisionId,
    },
    /// Over, and acted on.
    Tripped(Box<Trip>),
}

impl State {
    /// The word in YAML tests, metrics and messages.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Clear => "Clear",
            Self::Warned => "Warned",
            Self::Arming { .. } => "Arming",
            Self::Tripped(_) => "Tripped",
        }
    }
}

/// A trip.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trip {
    /// Since when.
    pub since: Timestamp,
    /// End of the window in which it tripped.
    pub window_end: Timestamp,
    /// The decision.
    pub decision: DecisionId,
    /// How far its orders have come.
    pub stage: Stage,
    /// Who tripped it by hand.
    pub by: Option<String>,
    /// The objects that a person was last asked about: a yes is to these.
    pub asked: Vec<ObjectKey>,
    /// Who said yes.
    pub approved_by: Option<String>,
    /// Its orders stand: given once, and no change of mode has taken them back since. While they do, what it
    /// holds is kept stopped, whatever waits beside it.
    pub in_force: bool,
    /// People were told of it: it tripped, or was asked about, in a mode that tells.
    pub told: bool,
    /// What brought it about.
    pub cause: Cause,
}

/// How far the orders of a trip have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// The rule's mode orders nothing.
    Observed,
    /// A guard said no; tried again when that may have changed.
    Withheld(GuardCheck),
    /// Waits for a person's yes until then.
    AwaitingApproval(Timestamp),
    /// Ordered.
    Ordered,
}

impl Hot {
    /// Nothing spent yet in that window.
    #[must_use]
    pub const fn new(window: Window) -> Self {
        Self { window, sum: Money::ZERO, next_mark: Money::ZERO, floor: 0, facts: 0 }
    }
}

impl Cold {
    /// A breaker that nobody has spent on.
    #[must_use]
    pub fn new(budget: u16, name: Box<str>, values: Box<[InstanceValue]>) -> Self {
        Self {
            budget,
            name,
            values,
            limit: Money::ZERO,
            state: State::Clear,
            warned: 0,
            largest: Vec::new(),
            unpriced: 0,
            pending: Money::ZERO,
            trips: 0,
            reset_mark: None,
            price_excess: Money::ZERO,
            prices_accepted: 0,
            by_reload: false,
            on_time_over: false,
            grace_until: None,
            crossed_at: None,
            episode: None,
            side: None,
        }
    }

    /// Whether every value that the breaker is for is trusted and there.
    #[must_use]
    pub fn is_trusted(&self) -> bool {
        self.values.iter().all(|v| v.trust == Trust::Trusted && v.value.is_some())
    }

    /// The sum at which it trips.
    #[must_use]
    pub fn trip_mark(&self, rule: &Budget) -> Money {
        let mark = mark(self.limit, rule.trip_at);
        self.reset_mark.map_or(mark, |reset| reset.max(mark))
    }

    /// Everything that belongs to one window begins anew.
    pub fn forget_window(&mut self) {
        self.warned = 0;
        self.largest.clear();
        self.unpriced = 0;
        self.trips = 0;
        self.reset_mark = None;
        self.price_excess = Money::ZERO;
        self.prices_accepted = 0;
        self.by_reload = false;
        self.on_time_over = false;
        self.grace_until = None;
        self.crossed_at = None;
        if let Some(side) = &mut self.side {
            side.moments.clear();
            side.assumed = Money::ZERO;
            if let Some(pace) = &mut side.pace {
                (pace.warned, pace.blamed) = (0, None);
            }
        }
        if !matches!(self.state, State::Tripped(_)) {
            self.state = State::Clear;
            self.episode = None;
        }
    }

    /// What the old window leaves to the new one: what was not spent, up to the share that may move. A window in
    /// between in which nothing was spent leaves that share whole.
    pub fn carry_over(&mut self, rule: &Budget, old: &Hot, new: Window, now: Timestamp) {
        let Some(share) = rule.limit.rollover else { return };
        let most = self.own_limit(rule, now).share(share, Rounding::Down).unwrap_or(Money::ZERO);
        let left = match old.window.end == new.start {
            true => self.limit.saturating_sub(old.sum).max(Money::ZERO),
            false => most,
        };
        self.side().carried = left.min(most);
    }

    /// Keeps a charge if it is among the largest.
    pub fn keep_largest(&mut self, charge: LargeCharge) {
        let at = self.largest.partition_point(|kept| kept.amount >= charge.amount);
        self.largest.insert(at, charge);
        self.largest.truncate(LARGEST);
    }

    /// The amount (in 10⁻¹² USD) that a charge must be above to be kept; `far` from the first mark, small ones
    /// are not.
    #[must_use]
    pub fn floor(&self, far: bool) -> u64 {
        let smallest = self.largest.get(LARGEST - 1).map_or(Money::ZERO, |kept| kept.amount);
        let notable = if far { self.limit.picos() / NOTABLE } else { 0 };
        u64::try_from(smallest.picos().max(notable)).unwrap_or(u64::MAX)
    }

    /// The side windows, made when first needed.
    pub fn side(&mut self) -> &mut Side {
        self.side.get_or_insert_default()
    }

    /// The limit of this instance as of an instant: what its label says, else the first override that matches,
    /// else the amount; and what the window before left.
    #[must_use]
    pub fn limit_of(&self, rule: &Budget, at: Timestamp) -> Money {
        let carried = rule.limit.rollover.and(self.side.as_ref()).map_or(Money::ZERO, |side| side.carried);
        self.own_limit(rule, at).saturating_add(carried)
    }

    /// The same without what the window before left.
    #[must_use]
    pub fn own_limit(&self, rule: &Budget, at: Timestamp) -> Money {
        let value_of = |field: &str| {
            let index = rule.per_each.iter().position(|f| &**f == field)?;
            self.values.get(index).filter(|v| v.trust == Trust::Trusted)?.value.as_deref()
        };
        let label = rule.limit.from_label.as_ref().and(self.side.as_ref()).and_then(|side| side.label);
        if let Some(limit) = label {
            return limit;
        }
        rule.limit
            .overrides
            .iter()
            .filter(|o| o.until.is_none_or(|until| at < until))
            .find(|o| o.matches.iter().all(|(field, want)| value_of(field) == Some(&**want)))
            .map_or(rule.limit.amount, |o| o.amount)
    }
}

/// A share of a limit as an amount, rounded up: a sum that reaches it has reached the share.
#[must_use]
pub fn mark(limit: Money, share: Percent) -> Money {
    limit.share(share, Rounding::Up).unwrap_or(Money::MAX)
}

/// Number of the bucket that an instant falls into, and length of a bucket.
#[must_use]
pub fn bucket(length: Span, at: Timestamp) -> (i64, i64) {
    let width = (length.millis() / BUCKETS).max(1);
    (at.millis().div_euclid(width), width)
}

impl Side {
    /// Trips that are still within the rolling window.
    pub fn rolling_trips(&mut self, length: Span, now: Timestamp) -> u16 {
        self.trips.retain(|at| *at > now.minus(length));
        u16::try_from(self.trips.len()).unwrap_or(u16::MAX)
    }

    /// The window that an instant is in, where it begins at `end` or later: what was charged to it early.
    #[must_use]
    pub fn early(&self, end: Timestamp, at: Timestamp) -> Option<&Closed> {
        self.windows.range(end..=at).next_back().map(|(_, early)| early).filter(|early| at < early.end)
    }

    /// Keeps a window that has ended.
    pub fn close(&mut self, start: Timestamp, closed: Closed) {
        self.make_room(start);
        self.windows.insert(start, closed);
    }

    /// The oldest windows go where there is one too many.
    fn make_room(&mut self, start: Timestamp) {
        while self.windows.len() >= CLOSED_WINDOWS && !self.windows.contains_key(&start) {
            self.windows.pop_first();
        }
    }

    /// Adds to a window that is not the current one; gives it back.
    pub fn add_window(&mut self, window: Window, amount: Money) -> &mut Closed {
        let closed = self.window(window);
        closed.sum = closed.sum.saturating_add(amount);
        closed.facts = closed.facts.saturating_add(1);
        closed
    }

    /// A window that is not the current one, made where there is none.
    pub fn window(&mut self, window: Window) -> &mut Closed {
        self.make_room(window.start);
        self.windows.entry(window.start).or_insert(Closed {
            end: window.end,
            sum: Money::ZERO,
            facts: 0,
            breached: false,
            unpriced: 0,
        })
    }
}

/// The window that a breaker begins with: for a rolling one, an empty one, so that every charge goes the
/// long way through its buckets.
#[must_use]
pub fn first_window(spec: &WindowSpec, now: Timestamp) -> Window {
    match spec {
        WindowSpec::Rolling(_) => Window { start: Timestamp::MAX, end: Timestamp::MAX },
        WindowSpec::Calendar { .. } | WindowSpec::Lifetime => spec.at(now),
    }
}
