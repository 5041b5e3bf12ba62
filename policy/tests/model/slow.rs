//! The model: what the engine must answer, said as plainly as it can be, and never mind how long it takes.
//!
//! A breaker is a list of all charges that ever came to it. Each sum is added up anew from that list each time it
//! is asked for. There are no marks, no lanes, no cursors: nothing is kept that could be wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use policy::fact::{RefusedReason, UsageOutcome};

use crate::common::calendar::{known, window_of};
use crate::common::{Row, Used};
use crate::rule::{Back, Rule, Subject, Time, share};
use crate::side_by_side::word;

const MINUTE: i64 = 60_000;
/// Ids are remembered for so long; a charge on time is so old at most; so far ahead it is refused.
const HORIZON: i64 = 48 * 60 * MINUTE;
const ON_TIME: i64 = 15 * MINUTE;
const AHEAD: i64 = 5 * MINUTE;

/// What calendars are walked through: cases begin in 2027 or early in 2028.
pub const WALKED: (i64, i64) = (1_767_225_600_000, 1_872_288_000_000);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Says {
    Warned(u32),
    Arming(Waits),
    Tripped,
    WindowRolled,
    FellBelow,
    BreachedAfterClose,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waits {
    Grace(i64),
    OnTimeFact,
    RuleChange,
}

/// What it says of a breaker, with the sum, the limit and the number of charges that it says it for.
pub type Said = (Says, i128, i128, u64);

#[derive(Clone, Copy, Debug)]
struct Charge {
    at: i64,
    came: i64,
    on_time: bool,
    picos: Option<i128>,
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
    rule: usize,
    subject: Subject,
    charges: Vec<Charge>,
    /// Start of the calendar window that it was last looked at in.
    stands_in: i64,
    pub limit: i128,
    pub state: State,
    /// Thresholds that people were told of.
    told: usize,
    on_time_over: bool,
    grace_until: Option<i64>,
    /// A limit that ended by its date brought it over; of a rolling window, until when that is why.
    by_rules: Option<i64>,
    trips: Vec<i64>,
    breached: BTreeSet<i64>,
    starts: Option<Arc<Vec<i64>>>,
}

pub struct Model {
    pub rules: Vec<Rule>,
    pub now: i64,
    /// Every usage that was taken in, by source and id.
    taken: Vec<(&'static str, Row)>,
    pub breakers: BTreeMap<String, Breaker>,
    pub said: BTreeMap<String, Vec<Said>>,
    /// Names of breakers by subject and kind of charge.
    known: BTreeMap<(Subject, &'static str), Vec<String>>,
    last_tick: i64,
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

    fn of_window(&self, start: i64) -> Total {
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

    /// What a rolling window holds to the millisecond: at least, and at most.
    pub fn bounds(&self, length: i64, now: i64) -> (i128, i128) {
        let newer = |than: i64| self.add_up(|c| c.at > than && c.at > c.came - length).picos;
        (newer(now - length), newer(now - length - length / 60 - 1))
    }
}

impl Model {
    pub fn new(rules: Vec<Rule>, now: i64) -> Self {
        let (taken, breakers, said) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        Self { rules, now, taken, breakers, said, known: BTreeMap::new(), last_tick: now }
    }

    /// Usage comes; what becomes of each row.
    pub fn take(&mut self, source: &'static str, catching_up: bool, rows: &[Row]) -> Vec<UsageOutcome> {
        for row in rows.iter().filter(|row| row.used != Used::Nothing) {
            let (subject, kind) = (subject_of(source, row), kind_of(row.used));
            self.breakers_of(&subject, kind);
        }
        rows.iter().map(|row| self.take_row(source, catching_up, row)).collect()
    }

    fn take_row(&mut self, source: &'static str, catching_up: bool, row: &Row) -> UsageOutcome {
        if row.at > self.now + AHEAD {
            return UsageOutcome::Refused(RefusedReason::TooFarAhead);
        }
        if row.at < self.now - HORIZON {
            return UsageOutcome::Refused(RefusedReason::TooLate);
        }
        let same_id = |(from, other): &&(&str, Row)| *from == source && other.key == row.key;
        match self.taken.iter().find(same_id) {
            Some((_, other)) if other == row => return UsageOutcome::Duplicate,
            Some(_) => return UsageOutcome::Conflict,
            None => self.taken.push((source, row.clone())),
        }
        if row.used != Used::Nothing {
            let on_time = !catching_up && self.now - row.at <= ON_TIME;
            let charge = Charge { at: row.at, came: self.now, on_time, picos: row.used.picos() };
            for name in self.breakers_of(&subject_of(source, row), kind_of(row.used)) {
                self.charge(&name, charge);
            }
        }
        UsageOutcome::Accepted
    }

    /// Names of the breakers that a charge counts in, each once; they are made where there are none.
    fn breakers_of(&mut self, subject: &Subject, kind: &'static str) -> Vec<String> {
        // Rules stay as they are, so what they say of somebody need be found once only.
        let whom = (subject.clone(), kind);
        if let Some(names) = self.known.get(&whom) {
            return names.clone();
        }
        let mut names = Vec::new();
        for (index, rule) in self.rules.iter().enumerate().filter(|(_, rule)| rule.selects(subject, kind)) {
            let mut next = Some((index, rule));
            while let Some((index, rule)) = next {
                let name = name_of(rule, subject);
                if !names.contains(&name) {
                    names.push(name.clone());
                }
                self.breakers.entry(name).or_insert_with(|| Breaker::new(index, rule, subject, self.now));
                next = rule.within.map(|parent| (parent, &self.rules[parent]));
            }
        }
        self.known.insert(whom, names.clone());
        names
    }

    fn charge(&mut self, name: &str, charge: Charge) {
        self.roll(name);
        let now = self.now;
        let (breaker, rule) = self.of(name);
        breaker.charges.push(charge);
        if charge.picos.is_none() {
            return;
        }
        if let Time::Rolling(length) = rule.time {
            if charge.at > now - length {
                self.forget_blame(name);
                self.charged_rolling(name, charge);
            }
            return;
        }
        let (window, current) = (breaker.window(charge.at), breaker.window(now));
        if window == current {
            return self.charged(name, charge);
        }
        let total = breaker.of_window(window.0);
        let over = window.1 <= now && total.picos >= breaker.limit && breaker.breached.insert(window.0);
        if over {
            self.say(name, Says::BreachedAfterClose, total);
        }
    }

    /// A charge to the current calendar window. What waits for a person, for a grace or for the window's end does
    /// not wait for charges.
    fn charged(&mut self, name: &str, charge: Charge) {
        let now = self.now;
        let (breaker, rule) = self.of(name);
        let sum = breaker.total(rule.time, now).picos;
        let next = rule.warn_at.get(breaker.told).unwrap_or(&rule.trip_at);
        let looks = match breaker.state {
            State::Clear | State::Warned => sum >= share(breaker.limit, (*next).min(rule.trip_at)),
            State::Arming(waits) => waits == Waits::OnTimeFact,
            State::Tripped { .. } => false,
        };
        if looks {
            self.judge(name, Some(charge));
        }
    }

    fn charged_rolling(&mut self, name: &str, charge: Charge) {
        let now = self.now;
        let (breaker, rule) = self.of(name);
        let sum = breaker.total(rule.time, now).picos;
        let next = rule.warn_at.first().unwrap_or(&rule.trip_at);
        if breaker.state != State::Clear || sum >= share(breaker.limit, (*next).min(rule.trip_at)) {
            self.judge(name, Some(charge));
        }
    }

    fn judge(&mut self, name: &str, charge: Option<Charge>) {
        let now = self.now;
        let (breaker, rule) = self.of(name);
        if matches!(breaker.state, State::Tripped { .. }) {
            return;
        }
        let total = breaker.total(rule.time, now);
        if total.picos < share(breaker.limit, rule.trip_at) {
            return self.below(name, total);
        }
        breaker.on_time_over |= charge.is_some_and(|charge| charge.on_time);
        let waits = if breaker.by_rules.is_some() {
            Some(Waits::RuleChange)
        } else if !breaker.on_time_over {
            Some(Waits::OnTimeFact)
        } else if rule.grace > 0 {
            let until = *breaker.grace_until.get_or_insert(now + rule.grace);
            (now < until).then_some(Waits::Grace(until))
        } else {
            None
        };
        breaker.told = rule.warn_at.len();
        match waits {
            Some(waits) if breaker.state == State::Arming(waits) => {}
            Some(waits) => {
                breaker.state = State::Arming(waits);
                self.say(name, Says::Arming(waits), total);
            }
            None => {
                let window_end = breaker.window(now).1;
                breaker.state = State::Tripped { since: now, window_end };
                breaker.trips.push(now);
                self.say(name, Says::Tripped, total);
            }
        }
    }

    /// Not over: perhaps a warning is due, perhaps it is clear again.
    fn below(&mut self, name: &str, total: Total) {
        let (breaker, rule) = self.of(name);
        let mark = |percent: &u32| share(breaker.limit, *percent);
        let reached = rule.warn_at.iter().filter(|percent| total.picos >= mark(percent)).count();
        if reached > breaker.told {
            (breaker.told, breaker.state) = (reached, State::Warned);
            let threshold = rule.warn_at[reached - 1];
            return self.say(name, Says::Warned(threshold), total);
        }
        match rule.time {
            // It hovers: only well below what was told of it is forgotten.
            Time::Rolling(_) if breaker.told > 0 => {
                let told = mark(&rule.warn_at[breaker.told - 1]);
                if total.picos * 10 < told * 9 {
                    breaker.told = reached;
                }
            }
            Time::Rolling(_) => {}
            Time::Calendar(..) | Time::Lifetime => breaker.told = breaker.told.min(reached),
        }
        if matches!(breaker.state, State::Arming(_)) {
            (breaker.on_time_over, breaker.grace_until) = (false, None);
        }
        breaker.state = if breaker.told > 0 { State::Warned } else { State::Clear };
    }

    /// Time passes, and what only time moves is looked at.
    pub fn tick(&mut self) {
        self.end_overrides();
        let now = self.now;
        let names: Vec<String> = self.breakers.keys().cloned().collect();
        for name in names {
            // One that rests is moved on by its next charge.
            let (breaker, rule) = self.of(&name);
            let rests = matches!(breaker.state, State::Clear | State::Warned);
            let ended = breaker.stands_in != breaker.window(now).0;
            if ended && (!rests || breaker.total(rule.time, now).facts > 0) {
                self.roll(&name);
            }
            self.forget_blame(&name);
            let (breaker, rule) = self.of(&name);
            let rolling = matches!(rule.time, Time::Rolling(_));
            match breaker.state {
                State::Clear => {}
                State::Warned if !rolling => {}
                State::Warned | State::Arming(_) => self.judge(&name, None),
                State::Tripped { .. } => self.release_if_due(&name),
            }
        }
        self.last_tick = self.now;
    }

    /// Limits that end by their date: what that brings over waits for a person, or for the window's end.
    fn end_overrides(&mut self) {
        let (now, last) = (self.now, self.last_tick);
        let ended =
            |rule: &Rule| rule.overrides.iter().filter_map(|o| o.until).any(|at| last < at && at <= now);
        if !self.rules.iter().any(ended) {
            return;
        }
        let names: Vec<String> = self.breakers.keys().cloned().collect();
        for name in names {
            let (breaker, rule) = self.of(&name);
            if breaker.stands_in != breaker.window(now).0 {
                continue; // it has ended with the limit that it had
            }
            let sum = breaker.total(rule.time, now).picos;
            let before = sum >= share(breaker.limit, rule.trip_at);
            breaker.limit = rule.limit(&breaker.subject, now);
            let over = sum >= share(breaker.limit, rule.trip_at);
            let tripped = matches!(breaker.state, State::Tripped { .. });
            if breaker.state == State::Warned && !matches!(rule.time, Time::Rolling(_)) {
                let mark = |percent: &&u32| sum >= share(breaker.limit, **percent);
                breaker.told = breaker.told.min(rule.warn_at.iter().filter(mark).count());
                breaker.state = if breaker.told > 0 { State::Warned } else { State::Clear };
            }
            if over && !before && !tripped {
                breaker.by_rules = Some(match rule.time {
                    Time::Rolling(length) => now + length,
                    Time::Calendar(..) | Time::Lifetime => i64::MAX,
                });
                self.judge(&name, None);
            } else if !over {
                breaker.by_rules = None;
                if matches!(breaker.state, State::Arming(_)) {
                    self.judge(&name, None);
                }
            }
        }
    }

    /// After one length of a rolling window all of it was spent under the new limit.
    fn forget_blame(&mut self, name: &str) {
        let now = self.now;
        let (breaker, _) = self.of(name);
        if breaker.by_rules.is_some_and(|until| until <= now) {
            (breaker.by_rules, breaker.on_time_over) = (None, false);
        }
    }

    /// A calendar window ends, and the next one begins with what came early for it.
    fn roll(&mut self, name: &str) {
        let now = self.now;
        let (breaker, rule) = self.of(name);
        let (start, _) = breaker.window(now);
        if breaker.stands_in == start {
            return;
        }
        let old = breaker.of_window(breaker.stands_in);
        if old.picos >= breaker.limit && old.facts > 0 {
            breaker.breached.insert(breaker.stands_in);
        }
        breaker.stands_in = start;
        breaker.limit = rule.limit(&breaker.subject, now);
        (breaker.told, breaker.on_time_over, breaker.grace_until) = (0, false, None);
        breaker.by_rules = None;
        breaker.trips.clear();
        if !matches!(breaker.state, State::Tripped { .. }) {
            breaker.state = State::Clear;
        }
        self.release_if_due(name);
        let (breaker, rule) = self.of(name);
        if breaker.total(rule.time, now).facts > 0 {
            self.judge(name, None);
        }
    }

    fn release_if_due(&mut self, name: &str) {
        let now = self.now;
        let (breaker, rule) = self.of(name);
        let State::Tripped { since, window_end } = breaker.state else { return };
        if now < since + rule.min_hold {
            return;
        }
        let total = breaker.total(rule.time, now);
        let rolling = matches!(rule.time, Time::Rolling(_));
        if let Time::Rolling(length) = rule.time {
            breaker.trips.retain(|at| *at > now - length);
        }
        let ended = !rolling && window_end <= now;
        let fell = |percent: u32| total.picos < share(breaker.limit, percent);
        let may_fall = breaker.trips.len() < usize::try_from(rule.most_trips).unwrap();
        let why = match rule.back {
            Back::Manual => None,
            _ if ended => Some(Says::WindowRolled),
            Back::Rolls => (rolling && may_fall && fell(rule.trip_at)).then_some(Says::FellBelow),
            Back::Below(percent) => (may_fall && fell(percent)).then_some(Says::FellBelow),
        };
        if let Some(why) = why {
            breaker.state = State::Clear;
            (breaker.told, breaker.on_time_over, breaker.grace_until) = (0, false, None);
            self.say(name, why, total);
        }
    }

    fn of(&mut self, name: &str) -> (&mut Breaker, &Rule) {
        let breaker = self.breakers.get_mut(name).unwrap();
        let rule = &self.rules[breaker.rule];
        (breaker, rule)
    }

    pub fn rules_of(&self, breaker: &Breaker) -> &Rule {
        &self.rules[breaker.rule]
    }

    pub fn time_of(&self, breaker: &Breaker) -> Time {
        self.rules[breaker.rule].time
    }

    fn say(&mut self, name: &str, says: Says, total: Total) {
        let limit = self.breakers[name].limit;
        self.said.entry(name.to_owned()).or_default().push((says, total.picos, limit, total.facts));
    }
}

impl Breaker {
    fn new(index: usize, rule: &Rule, subject: &Subject, now: i64) -> Self {
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
            starts,
        };
        breaker.stands_in = breaker.window(now).0;
        breaker
    }
}

/// `budget/value`: a value that is missing is `unattributed`, one that only a caller says is marked.
fn name_of(rule: &Rule, subject: &Subject) -> String {
    let mut name = rule.name.clone();
    for field in &rule.per_each {
        match subject.get(*field) {
            None => name.push_str("/unattributed"),
            Some((value, true)) => name.push_str(&format!("/{value}")),
            Some((value, false)) => name.push_str(&format!("/{value}=asserted")),
        }
    }
    name
}

fn kind_of(used: Used) -> &'static str {
    match used {
        Used::Gpu(_) => "gpu",
        Used::Cheap(_) | Used::Pricey(_) | Used::Unpriced(_) | Used::Nothing => "tokens",
    }
}

/// Who spends: what the record and a token say is fixed, what callers say fills what is left, but never a tenant.
fn subject_of(source: &str, row: &Row) -> Subject {
    let mut subject = Subject::new();
    for (field, value) in [("source", source), ("account", "111122223333"), ("region", "us-east-1")] {
        subject.insert(field.to_owned(), (value.to_owned(), true));
    }
    for trusted in [true, false] {
        for (field, value, _) in row.claims.iter().filter(|(_, _, believed)| *believed == trusted) {
            if !value.is_empty() && (trusted || *field != "tenant") {
                subject.entry((*field).to_owned()).or_insert((value.clone(), trusted));
            }
        }
    }
    subject
}
