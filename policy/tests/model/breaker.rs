//! A breaker of the model: a list of all charges that ever came to it. Each sum is added up anew from that list
//! each time it is asked for.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::ground::calendar::{known, window_of};
use crate::rule::{CENT, Fast, Rule, Subject, Time, share};
use crate::side_by_side::word;
use crate::slow::Waits;

/// What calendars are walked through: cases begin in 2027 or early in 2028.
pub const WALKED: (i64, i64) = (1_767_225_600_000, 1_872_288_000_000);

#[derive(Clone, Copy, Debug)]
pub struct Charge {
    pub at: i64,
    pub came: i64,
    pub on_time: bool,
    pub picos: Option<i128>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Clear,
    Warned,
    Arming(Waits),
    Tripped { since: i64, window_end: i64 },
}

#[derive(Clone, Debug)]
pub struct Breaker {
    pub rule: usize,
    pub subject: Subject,
    pub charges: Vec<Charge>,
    /// Start of the calendar window that it was last looked at in.
    pub stands_in: i64,
    pub limit: i128,
    pub state: State,
    /// Thresholds that people were told of.
    pub told: usize,
    pub on_time_over: bool,
    pub grace_until: Option<i64>,
    /// A limit that ended by its date brought it over; of a rolling window, until when that is why.
    pub by_rules: Option<i64>,
    pub trips: Vec<i64>,
    pub breached: BTreeSet<i64>,
    /// Triggers that people were told of and that have not fallen back since, by their place in the rule.
    pub fast: BTreeSet<usize>,
    pub starts: Option<Arc<Vec<i64>>>,
}

/// Sum, charges and usage without a price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    pub picos: i128,
    pub facts: u64,
    pub unpriced: u64,
}

impl Breaker {
    fn add_up(&self, belongs: impl Fn(&Charge) -> bool) -> Total {
        let mut total = Total::default();
        for charge in self.charges.iter().filter(|charge| belongs(charge)) {
            match charge.picos {
                Some(picos) => (total.picos, total.facts) = (total.picos + picos, total.facts + 1),
                None => total.unpriced += 1,
            }
        }
        total
    }

    /// Start and end of the calendar window that an instant is in.
    pub fn window(&self, at: i64) -> (i64, i64) {
        match &self.starts {
            Some(starts) => window_of(starts, at).unwrap(),
            None => (i64::MIN, i64::MAX),
        }
    }

    pub fn of_window(&self, start: i64) -> Total {
        self.add_up(|charge| self.window(charge.at).0 == start)
    }

    /// What its window holds as of an instant.
    pub fn total(&self, time: Time, now: i64) -> Total {
        match time {
            Time::Calendar(..) | Time::Lifetime => self.of_window(self.window(now).0),
            Time::Rolling(length) => {
                // A sixtieth of the length is a bucket. A charge counts that was within the length when it came,
                // until its whole bucket has left it.
                let width = (length / 60).max(1);
                let oldest = (now - length).div_euclid(width);
                self.add_up(|c| c.at > c.came - length && c.at.div_euclid(width) >= oldest)
            }
        }
    }

    /// State and limit as anybody is shown them: where its window has ended, the new one has its own limit, and
    /// nobody was warned in it.
    pub fn shown(&self, now: i64, rule: &Rule) -> (&'static str, i128) {
        if self.stands_in == self.window(now).0 {
            return (word(self.state), self.limit);
        }
        let state = if self.state == State::Warned { State::Clear } else { self.state };
        (word(state), rule.limit(&self.subject, now))
    }

    /// What was spent within a span, by when it was spent: in twelfths, of which the running one is the last.
    fn spent(&self, span: i64, now: i64) -> i128 {
        let twelfth = |at: i64| at.div_euclid((span / 12).max(1));
        self.add_up(|charge| twelfth(charge.at.min(charge.came)) > twelfth(now) - 12).picos
    }

    /// What a trigger reads, and from where on it fires; of a burn rate's two spans the one that holds it back.
    pub fn reading(&self, fast: Fast, time: Time, now: i64) -> (i128, i128) {
        match fast {
            Fast::Delta { over, cents } => (self.spent(over, now), i128::from(cents) * CENT),
            Fast::Burn { long, short, tenths } => {
                let length = match time {
                    Time::Rolling(length) => length,
                    Time::Calendar(..) | Time::Lifetime => self.window(now).1 - self.window(now).0,
                };
                let even = |span: i64| share(self.limit, tenths * 10) * i128::from(span) / i128::from(length);
                let over = |span: i64| (self.spent(span, now), even(span).max(1));
                if over(long).0 >= over(long).1 { over(short) } else { over(long) }
            }
        }
    }

    /// Whether a trigger that trips fires.
    pub fn runs_away(&self, rule: &Rule, now: i64) -> bool {
        let fires = |fast: Fast| {
            let (read, fires_at) = self.reading(fast, rule.time, now);
            read >= fires_at
        };
        rule.triggers.iter().any(|trigger| trigger.trips && fires(trigger.fast))
    }

    /// What a rolling window holds to the millisecond: at least, and at most.
    pub fn bounds(&self, length: i64, now: i64) -> (i128, i128) {
        let newer = |than: i64| self.add_up(|c| c.at > than && c.at > c.came - length).picos;
        (newer(now - length), newer(now - length - length / 60 - 1))
    }
}

impl Breaker {
    pub fn new(index: usize, rule: &Rule, subject: &Subject, now: i64) -> Self {
        let starts = match rule.time {
            Time::Calendar(unit, zone) => Some(known(zone.parse().unwrap(), unit, WALKED.0, WALKED.1)),
            Time::Rolling(_) | Time::Lifetime => None,
        };
        // Its own values are all that a limit may depend on.
        let own = |field: &&str| Some(((*field).to_owned(), subject.get(*field)?.clone()));
        let subject: Subject = rule.per_each.iter().filter_map(own).collect();
        let limit = rule.limit(&subject, now);
        let mut breaker = Self {
            rule: index,
            subject,
            charges: Vec::new(),
            stands_in: 0,
            limit,
            state: State::Clear,
            told: 0,
            on_time_over: false,
            grace_until: None,
            by_rules: None,
            trips: Vec::new(),
            breached: BTreeSet::new(),
            fast: BTreeSet::new(),
            starts,
        };
        breaker.stands_in = breaker.window(now).0;
        breaker
    }
}
