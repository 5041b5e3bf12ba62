//! Runs what people write beside their rules (`crate::rule::trial`) through the engine, on virtual time.
//!
//! It is the daemon's own engine, fed with the daemon's own facts; only time is made up, and the cluster, which
//! answers each order at once. Time goes on by ticks as in the daemon, one each second, for a quarter of an hour
//! after anything was decided and as long as a breaker waits. Else there is one each minute: a month of seconds
//! takes long, every window begins at a whole minute, and all that is late by it is a rolling sum that falls, by
//! less than a minute. Each fact and each expectation finds the engine at its own instant all the same.
//!
//! What it never does: read a file or a clock, or judge by anything that a person could not ask the daemon.

mod cluster;
mod compare;
mod usage;
mod world;

use crate::rule::trial::{Expectation, Trial, TrialFact, TrialFactKind};
use crate::rule::{Place, RuleSet};
use crate::time::{Span, Timestamp};

use world::World;

/// What came of a trial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Its name.
    pub name: Box<str>,
    /// Where it was written.
    pub place: Place,
    /// Expectations that were looked at.
    pub expectations: usize,
    /// What differed; none where it passed.
    pub failures: Vec<Failure>,
}

impl Report {
    /// Whether everything was as expected.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }
}

/// Something was not as expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Where the expectation, or the command that was refused, was written.
    pub place: Place,
    /// As of.
    pub at: Timestamp,
    /// The same, from the beginning of the trial.
    pub after: Span,
    /// What was expected, for people.
    pub wanted: String,
    /// What was there, for people.
    pub found: String,
    /// Why, for people: what the engine answers when it is asked.
    pub because: Vec<String>,
}

/// Something that happens or is looked at. At one instant in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A fact of the trial, by its number.
    Fact(usize),
    /// A call of a fact.
    Call(usize, u32),
    /// An expectation.
    Look(usize),
}

/// Runs a trial with its rules. The same trial gives the same report.
#[must_use]
pub fn run(rules: &RuleSet, trial: &Trial) -> Report {
    let mut world = World::new(rules, trial);
    let mut failures = Vec::new();
    let events = events(trial);
    let mut rest = events.as_slice();
    while let Some((at, _)) = rest.first() {
        let (now, later) = rest.split_at(rest.partition_point(|(other, _)| other == at));
        rest = later;
        world.pass_until(*at);
        happen(&mut world, trial, now, &mut failures);
    }
    Report {
        name: trial.name.clone(),
        place: trial.place.clone(),
        expectations: trial.expect.len(),
        failures,
    }
}

/// Everything until the last expectation, by its instant.
fn events(trial: &Trial) -> Vec<(Timestamp, Event)> {
    let mut events: Vec<(Timestamp, Event)> = Vec::new();
    for (number, fact) in trial.facts.iter().enumerate() {
        match &fact.kind {
            TrialFactKind::Usage(usage) => {
                let calls = usage::calls(fact.at, usage);
                let heard = |at: Timestamp| heard_at(trial, &usage.source, at.plus(usage.late));
                events.extend(calls.map(|(call, at)| (heard(at), Event::Call(number, call))));
            }
            _ => events.push((fact.at, Event::Fact(number))),
        }
    }
    let looks = trial.expect.iter().enumerate();
    events.extend(looks.map(|(number, expectation)| (expectation.at, Event::Look(number))));
    let last = trial.expect.iter().map(|expectation| expectation.at).max().unwrap_or(trial.at);
    events.retain(|(at, _)| *at <= last);
    events.sort_unstable();
    events
}

/// When a source tells what happened then: at once, or at the end of its silence.
fn heard_at(trial: &Trial, source: &str, at: Timestamp) -> Timestamp {
    silences(trial, source)
        .filter(|(from, until)| *from <= at && at < *until)
        .map(|(_, until)| until)
        .max()
        .unwrap_or(at)
}

/// From when until when a source is silent.
fn silences<'t>(trial: &'t Trial, of: &'t str) -> impl Iterator<Item = (Timestamp, Timestamp)> + 't {
    trial.facts.iter().filter_map(move |fact| match &fact.kind {
        TrialFactKind::Silence { source, span } if **source == *of => Some((fact.at, fact.at.plus(*span))),
        _ => None,
    })
}

fn happen(world: &mut World<'_>, trial: &Trial, now: &[(Timestamp, Event)], failures: &mut Vec<Failure>) {
    let mut calls = Vec::new();
    let mut looks: Vec<&Expectation> = Vec::new();
    for (_, event) in now {
        match event {
            Event::Fact(number) => {
                world.tick();
                let fact: &TrialFact = &trial.facts[*number];
                failures.extend(world.happen(fact));
            }
            Event::Call(number, call) => calls.push((*number, *call)),
            Event::Look(number) => looks.push(&trial.expect[*number]),
        }
    }
    world.charge(&calls);
    if looks.is_empty() {
        return;
    }
    world.tick();
    failures.extend(looks.into_iter().filter_map(|expectation| compare::compare(world, expectation)));
}
