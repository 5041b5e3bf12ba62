//! Breakers as people ask for them: counted by budget and state, and those that have come the furthest.
//!
//! A survey goes over them a part at a time. There may be a million of them, and while the engine is looked at
//! no fact is taken: between two parts the facts that came have their turn. So a survey shows each breaker as
//! it was at some instant of the survey, not all of them at one.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use super::Engine;
use super::view::BreakerView;
use crate::breaker::{Bucket, State};
use crate::money::{Money, Percent};
use crate::rule::{RuleSet, WindowSpec};
use crate::time::Timestamp;

/// Which breakers are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Only those of this budget.
    pub budget: Option<Box<str>>,
    /// Only the one of this name.
    pub name: Option<Box<str>>,
    /// Only those in such a state.
    pub state: StateWanted,
}

/// In which state a breaker is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StateWanted {
    /// In any.
    #[default]
    Any,
    /// In any but `Clear`.
    NotClear,
    /// In the one of this name: `Clear`, `Warned`, `Arming` or `Tripped`.
    Only(Box<str>),
}

impl StateWanted {
    fn is(&self, state: &str) -> bool {
        match self {
            Self::Any => true,
            Self::NotClear => state != State::Clear.word(),
            Self::Only(wanted) => **wanted == *state,
        }
    }
}

/// How the breakers of one budget stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many, by state.
    pub states: BTreeMap<&'static str, usize>,
    /// Sum over their windows.
    pub sum: Money,
}

/// A survey under way, and what it has found.
#[derive(Clone, Debug)]
pub struct Survey {
    wanted: Wanted,
    most: usize,
    next: usize,
    /// The rules that it is of: with others it begins again.
    rules: Option<Arc<RuleSet>>,
    furthest: BinaryHeap<Reverse<(Option<Percent>, Reverse<u32>)>>,
    tallies: BTreeMap<Box<str>, Tally>,
}

impl Survey {
    /// One that has not begun. It keeps at most so many of the breakers that are wanted, the furthest; it
    /// counts all there are.
    #[must_use]
    pub fn new(wanted: Wanted, most: usize) -> Self {
        let (furthest, tallies) = (BinaryHeap::new(), BTreeMap::new());
        Self { wanted, most, next: 0, rules: None, furthest, tallies }
    }

    /// All breakers, by budget.
    #[must_use]
    pub fn into_tallies(self) -> BTreeMap<Box<str>, Tally> {
        self.tallies
    }

    /// The breakers found, the furthest first; for [`Engine::breakers`].
    #[must_use]
    pub fn found(&self) -> Vec<u32> {
        let mut found: Vec<_> = self.furthest.iter().copied().collect();
        // The smallest of the reversed is the furthest.
        found.sort_unstable();
        found.into_iter().map(|Reverse((_, Reverse(at)))| at).collect()
    }

    fn keep(&mut self, share: Option<Percent>, at: u32) {
        self.furthest.push(Reverse((share, Reverse(at))));
        if self.furthest.len() > self.most {
            self.furthest.pop();
        }
    }
}

impl Engine {
    /// Goes on with a survey by at most so many breakers. Whether there are more.
    #[must_use]
    pub fn survey(&self, survey: &mut Survey, part: usize, now: Timestamp) -> bool {
        if survey.rules.as_ref().is_none_or(|rules| !Arc::ptr_eq(rules, &self.rules)) {
            *survey = Survey::new(std::mem::take(&mut survey.wanted), survey.most);
            survey.rules = Some(Arc::clone(&self.rules));
        }
        let end = self.hot.len().min(survey.next + part);
        for at in survey.next..end {
            self.count(survey, at, now);
        }
        survey.next = end;
        end < self.hot.len()
    }

    fn count(&self, survey: &mut Survey, at: usize, now: Timestamp) {
        let cold = &self.cold[at];
        let (state, sum) = (self.word_of(at, now), self.in_window(at, now).sum);
        let budget = &self.rules.budgets[usize::from(cold.budget)].name;
        if !survey.tallies.contains_key(budget) {
            survey.tallies.insert(budget.clone(), Tally::default());
        }
        if let Some(tally) = survey.tallies.get_mut(budget) {
            *tally.states.entry(state).or_default() += 1;
            tally.sum = tally.sum.saturating_add(sum);
        }
        let wanted = &survey.wanted;
        let is = |want: &Option<Box<str>>, is: &str| want.as_deref().is_none_or(|want| want == is);
        if wanted.state.is(state) && is(&wanted.budget, budget) && is(&wanted.name, &cold.name) {
            survey.keep(sum.percent_of(cold.limit), u32::try_from(at).unwrap_or(u32::MAX));
        }
    }

    /// Those breakers, in that order. A number that is none is left out.
    #[must_use]
    pub fn breakers(&self, which: &[u32], now: Timestamp) -> Vec<BreakerView> {
        let known = which.iter().map(|at| *at as usize).filter(|at| *at < self.hot.len());
        known.map(|at| self.breaker_view(at, now)).collect()
    }

    /// How many breakers there are.
    #[must_use]
    pub fn breaker_count(&self) -> usize {
        self.hot.len()
    }

    /// Whether a breaker's window has ended since it was last charged or judged.
    pub(super) fn rolled(&self, at: usize, now: Timestamp) -> bool {
        let budget = &self.rules.budgets[usize::from(self.cold[at].budget)];
        let rolling = matches!(budget.window, WindowSpec::Rolling(_));
        !rolling && now >= self.hot[at].window.end && self.clock_doubt.is_none()
    }

    /// The state of a breaker as of an instant. What was warned of in a window that has ended is over with it,
    /// though nothing has been charged to the next one.
    pub(super) fn word_of(&self, at: usize, now: Timestamp) -> &'static str {
        match &self.cold[at].state {
            State::Clear | State::Warned if self.rolled(at, now) => State::Clear.word(),
            state => state.word(),
        }
    }

    /// What is in the window of a breaker as of an instant.
    pub(super) fn in_window(&self, at: usize, now: Timestamp) -> Bucket {
        let (hot, cold) = (&self.hot[at], &self.cold[at]);
        if self.rolled(at, now) {
            // What came a little early is there already.
            let early = cold.side.as_ref().and_then(|side| side.early(hot.window.end, now));
            return early.map_or_else(Bucket::default, |early| Bucket {
                sum: early.sum,
                facts: early.facts,
                unpriced: early.unpriced,
                ..Bucket::default()
            });
        }
        let slid = match (&self.rules.budgets[usize::from(cold.budget)].window, &cold.side) {
            (WindowSpec::Rolling(length), Some(side)) if self.clock_doubt.is_none() => {
                side.slid(*length, now)
            }
            _ => None,
        };
        let excess = cold.price_excess;
        let (sum, facts, unpriced) = (hot.sum, hot.facts, cold.unpriced);
        slid.unwrap_or(Bucket { sum, excess, facts, unpriced, ..Bucket::default() })
    }
}
