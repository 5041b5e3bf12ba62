//! The model: what the engine must answer, said as plainly as it can be, and never mind how long it takes.
//!
//! Sums are added up from lists (`breaker`), and what is said follows from them. There are no marks, no
//! lanes, no cursors: nothing is kept that could be wrong.

use std::collections::BTreeMap;

use policy::fact::{RefusedReason, UsageOutcome};

use crate::breaker::{Breaker, Charge, State, Total};
use crate::ground::{Row, Used};
use crate::rule::{Back, Fast, Rule, Subject, Time, share};

const MINUTE: i64 = 60_000;
/// Ids are remembered for so long; a charge on time is so old at most; so far ahead it is refused.
const HORIZON: i64 = 48 * 60 * MINUTE;
const ON_TIME: i64 = 15 * MINUTE;
const AHEAD: i64 = 5 * MINUTE;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Says {
    Warned(u32),
    WarnedBy(&'static str),
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
            return self.paced(name, Some(charge).filter(|charge| charge.at > now - length));
        }
        let (window, current) = (breaker.window(charge.at), breaker.window(now));
        if window == current {
            self.charged(name, charge);
            return self.paced(name, Some(charge));
        }
        let total = breaker.of_window(window.0);
        let over = window.1 <= now && total.picos >= breaker.limit && breaker.breached.insert(window.0);
        if over {
            self.say(name, Says::BreachedAfterClose, total);
        }
        self.paced(name, None);
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

    /// Where a rule looks at how fast money goes, it does so with every charge.
    fn paced(&mut self, name: &str, charge: Option<Charge>) {
        if !self.of(name).1.triggers.is_empty() {
            self.judge(name, charge);
        }
    }

    /// Triggers that only warn do so once, until they have fallen well below where they fired.
    fn warn_by_pace(&mut self, name: &str, total: Total) {
        let now = self.now;
        let (_, rule) = self.of(name);
        for (which, trigger) in rule.triggers.clone().into_iter().enumerate().filter(|(_, t)| !t.trips) {
            let (breaker, rule) = self.of(name);
            let (read, fires_at) = breaker.reading(trigger.fast, rule.time, now);
            if read >= fires_at && breaker.fast.insert(which) {
                if breaker.state == State::Clear {
                    breaker.state = State::Warned;
                }
                let word = match trigger.fast {
                    Fast::Burn { .. } => "burn-rate",
                    Fast::Delta { .. } => "delta",
                };
                self.say(name, Says::WarnedBy(word), total);
            } else if read < share(fires_at, 90) {
                breaker.fast.remove(&which);
            }
        }
    }

    fn judge(&mut self, name: &str, charge: Option<Charge>) {
        let now = self.now;
        let (breaker, rule) = self.of(name);
        if matches!(breaker.state, State::Tripped { .. }) {
            return;
        }
        let total = breaker.total(rule.time, now);
        if total.picos < share(breaker.limit, rule.trip_at) && !breaker.runs_away(rule, now) {
            self.warn_by_pace(name, total);
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
        let warned = breaker.told > 0 || !breaker.fast.is_empty();
        breaker.state = if warned { State::Warned } else { State::Clear };
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
                State::Warned if !rolling && breaker.fast.is_empty() => {}
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
                let warned = breaker.told > 0 || !breaker.fast.is_empty();
                breaker.state = if warned { State::Warned } else { State::Clear };
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
        breaker.fast.clear();
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
        let fast = breaker.runs_away(rule, now);
        let fell = |percent: u32| !fast && total.picos < share(breaker.limit, percent);
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
            breaker.fast.clear();
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
