//! The engine and the model, given the same, must say the same after every turn.

use std::collections::BTreeMap;

use policy::decision::{ArmingCause, DecisionKind, ReleaseCause};
use policy::engine::{Engine, Outcome};
use policy::fact::{Clock, Fact, Settings, UsageOutcome};

use crate::common::{KEY, Row, Used, ms, rules, usage};
use crate::made::{Case, Made, Turn};
use crate::rule::{Rule, Time};
use crate::slow::{Breaker, Model, Said, Says, State, Waits};

pub struct Both {
    pub engine: Engine,
    pub model: Model,
    mono: u64,
    /// All rows that were ever sent, in order.
    sent: Vec<(&'static str, Row)>,
    text: String,
}

impl Both {
    pub fn new(set: &[Rule], begins: i64) -> Self {
        let text: String = set.iter().map(|rule| rule.text(set)).collect();
        let engine = Engine::new(Settings::new(KEY, "test"));
        let mut both =
            Self { engine, model: Model::new(set.to_vec(), begins), mono: 0, sent: Vec::new(), text };
        both.step(&[Fact::Rules(Box::new(rules(&both.text)))]);
        both
    }

    fn step(&mut self, facts: &[Fact]) -> Outcome {
        self.engine.step(Clock { wall: ms(self.model.now), mono: self.mono }, facts)
    }

    /// The rows of a turn, with their ids and times.
    fn rows(&mut self, turn: &Turn) -> Vec<Row> {
        let (now, before) = (self.model.now, self.sent.len());
        let mut rows = Vec::new();
        for made in &turn.rows {
            let old = |ago: &usize| before.checked_sub(ago + 1).map(|at| self.sent[at].1.clone());
            let row = match made {
                Made::New(row) => {
                    let key = format!("u{}", self.sent.len() + rows.len());
                    Some(Row { key, at: now - row.at, ..row.clone() })
                }
                Made::Again(ago) => old(ago),
                Made::Altered(ago) => old(ago).map(|row| Row { used: Used::Cheap(77), ..row }),
            };
            rows.extend(row);
        }
        self.sent.extend(rows.iter().map(|row| (turn.source, row.clone())));
        rows
    }

    pub fn turn(&mut self, turn: &Turn) {
        let hour = 3_600_000;
        let after = match turn.after {
            -1 => hour - self.model.now.rem_euclid(hour),
            after => after,
        };
        self.pass(after);
        let rows = self.rows(turn);
        self.take(turn.source, turn.catching_up, &rows, turn.tick);
    }

    /// Time passes, by both clocks.
    pub fn pass(&mut self, millis: i64) {
        self.model.now += millis;
        self.mono += u64::try_from(millis).unwrap();
    }

    /// Gives both the same, and compares what they say.
    pub fn take(&mut self, source: &'static str, catching_up: bool, rows: &[Row], tick: bool) {
        let mut facts = vec![usage(source, catching_up, rows)];
        if tick {
            facts.push(Fact::Tick);
        }
        let outcome = self.step(&facts);
        self.model.said.clear();
        let wanted: Vec<UsageOutcome> = self.model.take(source, catching_up, rows);
        if tick {
            self.model.tick();
        }
        assert_eq!(outcome.usage, [wanted], "{}", self.here());
        assert_eq!(said(&outcome), self.model.said, "{}", self.here());
    }

    fn here(&self) -> String {
        format!("at {} under\n{}", ms(self.model.now), self.text)
    }

    /// Every breaker, whether anything happened to it or not.
    pub fn compare_all(&self) {
        assert_eq!(self.engine.breaker_count(), self.model.breakers.len(), "{}", self.here());
        for (name, breaker) in &self.model.breakers {
            self.compare(name, breaker);
        }
    }

    fn compare(&self, name: &str, breaker: &Breaker) {
        let now = self.model.now;
        let view = self.engine.breaker(name, ms(now)).unwrap_or_else(|| panic!("no {name} {}", self.here()));
        let time = self.model.time_of(breaker);
        let total = breaker.total(time, now);
        let seen = (view.sum.picos(), view.facts, view.unpriced);
        assert_eq!(seen, (total.picos, total.facts, total.unpriced), "{name} {}", self.here());
        if let Time::Rolling(length) = time {
            let (least, most) = breaker.bounds(length, now);
            assert!((least..=most).contains(&seen.0), "{name}: {least} to {most} {}", self.here());
        } else if let Time::Calendar(..) = time {
            assert_eq!((view.start.millis(), view.end.millis()), breaker.window(now), "{name}");
        }
        let (state, limit) = breaker.shown(now, self.model.rules_of(breaker));
        assert_eq!((&*view.state, view.limit.picos()), (state, limit), "{name} {}", self.here());
    }
}

/// What the engine said of each breaker, in order.
fn said(outcome: &Outcome) -> BTreeMap<String, Vec<Said>> {
    let mut said: BTreeMap<String, Vec<Said>> = BTreeMap::new();
    for decision in &outcome.decisions {
        let says = match &decision.kind {
            DecisionKind::Warned { threshold } => Says::Warned(threshold.ppm() / 10_000),
            DecisionKind::Arming { cause: ArmingCause::OnTimeFact } => Says::Arming(Waits::OnTimeFact),
            DecisionKind::Arming { cause: ArmingCause::RuleChange } => Says::Arming(Waits::RuleChange),
            DecisionKind::Arming { cause: ArmingCause::Grace(until) } => {
                Says::Arming(Waits::Grace(until.millis()))
            }
            DecisionKind::Tripped { .. } => Says::Tripped,
            DecisionKind::Released { cause: ReleaseCause::WindowRolled, .. } => Says::WindowRolled,
            DecisionKind::Released { cause: ReleaseCause::FellBelow, .. } => Says::FellBelow,
            DecisionKind::BreachedAfterClose => Says::BreachedAfterClose,
            DecisionKind::Page { .. } => continue,
            other => panic!("{other:?}"),
        };
        let why = &decision.why;
        let name = why.breaker.as_ref().unwrap().name.to_string();
        said.entry(name).or_default().push((says, why.sum.picos(), why.limit.picos(), why.facts));
    }
    said
}

pub const fn word(state: State) -> &'static str {
    match state {
        State::Clear => "Clear",
        State::Warned => "Warned",
        State::Arming(_) => "Arming",
        State::Tripped { .. } => "Tripped",
    }
}

/// A whole case, compared after each turn.
pub fn run(case: &Case) {
    let mut both = Both::new(&case.rules, case.begins);
    for turn in &case.turns {
        both.turn(turn);
        both.compare_all();
    }
}
