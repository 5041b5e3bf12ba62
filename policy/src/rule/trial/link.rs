//! What a trial names of the rules: budgets and routes must be there, or the trial could never say so.

use super::super::Place;
use super::super::RuleSet;
use super::super::diagnose::{DiagnosticKind as Kind, Diagnostics, one_of};
use super::super::node::{SourceFile, Spot};
use super::super::read::Sink;
use super::{Expected, Trial, TrialCommand, TrialFactKind};

/// Names of the rules that are shown at most.
const SHOWN: usize = 10;

/// Looks up what trials name.
///
/// # Errors
/// A budget or route that the rules do not have, with what may have been meant.
pub fn link(file: &SourceFile<'_>, trials: &[Trial], rules: &RuleSet) -> Result<(), Diagnostics> {
    let mut sink = Sink::new(file);
    for trial in trials {
        for fact in &trial.facts {
            if let TrialFactKind::Command(
                TrialCommand::Approve(name) | TrialCommand::Trip(name) | TrialCommand::Reset(name, _),
            ) = &fact.kind
            {
                budget_of(name, &fact.place, rules, &mut sink);
            }
        }
        for expectation in &trial.expect {
            match &expectation.what {
                Expected::Breaker(breaker) => budget_of(&breaker.name, &expectation.place, rules, &mut sink),
                Expected::Notices(notices) => {
                    for route in notices.iter().filter_map(|notice| notice.route.as_deref()) {
                        let routes = rules.routes.keys().map(|name| &**name);
                        look_up("route", route, routes, &expectation.place, &mut sink);
                    }
                    for name in notices.iter().filter_map(|notice| notice.breaker.as_deref()) {
                        budget_of(name, &expectation.place, rules, &mut sink);
                    }
                }
                _ => {}
            }
        }
    }
    let all = Diagnostics::new(sink.finish());
    if all.has_errors() { Err(all) } else { Ok(()) }
}

fn budget_of(breaker: &str, place: &Place, rules: &RuleSet, sink: &mut Sink<'_>) {
    let name = breaker.split('/').next().unwrap_or(breaker);
    look_up("budget", name, rules.budgets.iter().map(|budget| &*budget.name), place, sink);
}

fn look_up<'r>(
    kind: &str,
    name: &str,
    mut known: impl Iterator<Item = &'r str> + Clone,
    place: &Place,
    sink: &mut Sink<'_>,
) {
    let all = known.clone();
    if known.any(|other| other == name) {
        return;
    }
    let help = match sink.meant(name, all.clone()) {
        Some(close) => format!("did you mean `{close}`?"),
        None => format!("the rules of this test have {}", one_of(all.take(SHOWN))),
    };
    let code = if kind == "budget" { Kind::UnknownBudget } else { Kind::UnknownRoute };
    let spot = Spot { line: place.line, column: place.column, width: 1 };
    sink.error(code, spot, format!("there is no {kind} `{name}`"), help);
}
