//! Breakers for people and for metrics, asked for in parts: while the engine is looked at no fact is taken.

use std::collections::BTreeMap;

use policy::engine::{BreakerView, Survey, Tally, Wanted};

use super::{Gone, Handle};

/// Breakers in one part: a millisecond or two of a turn's time.
const PART: usize = 8192;

/// All breakers counted, and the furthest of those asked for.
#[derive(Clone, Debug, Default)]
pub struct Surveyed {
    /// All breakers, by budget.
    pub tallies: BTreeMap<Box<str>, Tally>,
    /// Those asked for, the furthest first.
    pub breakers: Vec<BreakerView>,
}

impl Surveyed {
    /// How many breakers there are, in the states of which `is` says yes.
    #[must_use]
    pub fn count(&self, is: impl Fn(&str) -> bool) -> usize {
        let states = self.tallies.values().flat_map(|tally| &tally.states);
        states.filter(|(state, _)| is(state)).map(|(_, count)| count).sum()
    }
}

impl Handle {
    /// Counts all breakers, and shows at most so many of those that are wanted, the furthest first.
    ///
    /// # Errors
    /// The turn has ended.
    pub async fn survey(&self, wanted: Wanted, most: usize) -> Result<Surveyed, Gone> {
        let mut survey = Survey::new(wanted, most);
        loop {
            let so_far = survey;
            let part = self.look(move |engine, now| {
                let mut survey = so_far;
                let more = engine.survey(&mut survey, PART, now);
                (survey, more)
            });
            let more;
            (survey, more) = part.await?;
            if !more {
                break;
            }
        }
        let mut breakers = Vec::new();
        for part in survey.found().chunks(PART) {
            let part = part.to_vec();
            breakers.append(&mut self.look(move |engine, now| engine.breakers(&part, now)).await?);
        }
        breakers.sort_by(|a, b| {
            b.sum.percent_of(b.limit).cmp(&a.sum.percent_of(a.limit)).then_with(|| a.name.cmp(&b.name))
        });
        Ok(Surveyed { tallies: survey.into_tallies(), breakers })
    }
}
