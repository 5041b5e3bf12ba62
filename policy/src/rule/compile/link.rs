//! The second pass: what documents name in one another.

use std::collections::{BTreeMap, BTreeSet};

use super::super::diagnose::{DiagnosticKind as Kind, meant, one_of};
use super::super::glob::glob_matches;
use super::super::node::Spot;
use super::super::read::{Ref, RefKind, Sink};
use super::super::{Act, Budget, Guardrail, Place, RuleSet, Template};
use super::prices_file::PriceFiles;
use super::{Found, Origin, attribution, guardrail, idle, lint, price, source, spot};
use crate::subject::field;

/// Joins and looks up.
pub(super) fn link(found: Found, files: &PriceFiles<'_>, sinks: &mut [Sink<'_>]) -> RuleSet {
    let attribution = attribution::join(found.attribution);
    let guardrail = guardrail::join(found.guardrails, sinks);
    let (prices, shadow) = price::join(found.prices, files, sinks);
    let sources = source::join(found.sources, &names_of(&found.names, "Source"), sinks);
    let names = Names {
        budgets: names_of(&found.names, "Budget"),
        routes: names_of(&found.names, "Route"),
        fields: field::ALL.into_iter().chain(attribution::fields(&attribution)).collect(),
    };
    for sink in &mut *sinks {
        for reference in std::mem::take(&mut sink.refs) {
            look_up(&reference, &names, sink);
        }
    }
    let broken = sinks.iter().any(|sink| sink.errors() > 0);
    if let Some(sink) = sinks.first_mut() {
        check_size(found.documents, found.watching_documents == 0, broken, sink);
    }
    refuse_cycles(&found.budgets, sinks);
    if !broken {
        lint::lint(&found.budgets, sinks);
    }
    for (budget, origin) in &found.budgets {
        warn_of_protected(&budget.on_trip, &guardrail, &mut sinks[origin.file]);
        warn_of_cap(&budget.on_trip, &guardrail, &mut sinks[origin.file]);
    }
    let mut budgets: Vec<_> = found.budgets.into_iter().map(|(budget, _)| budget).collect();
    budgets.sort_by(|a, b| a.name.cmp(&b.name));
    RuleSet {
        id: "".into(),
        revision: None,
        budgets,
        routes: found.routes.into_iter().map(|route| (route.name.clone(), route)).collect(),
        attribution,
        guardrail,
        prices,
        sources,
        idle: idle::join(found.idle),
        spot: spot::join(found.spot),
        shadow,
    }
}

struct Names<'a> {
    budgets: BTreeSet<&'a str>,
    routes: BTreeSet<&'a str>,
    fields: BTreeSet<&'a str>,
}

/// The names of a kind, also of documents that have mistakes of their own: one mistake, one diagnostic.
fn names_of<'a>(names: &'a BTreeMap<(&'static str, String), Place>, kind: &str) -> BTreeSet<&'a str> {
    names.keys().filter(|(k, _)| *k == kind).map(|(_, name)| name.as_str()).collect()
}

fn look_up(reference: &Ref, names: &Names<'_>, sink: &mut Sink<'_>) {
    let name = reference.name.as_str();
    match reference.kind {
        RefKind::Route if !names.routes.contains(name) => {
            let help = instead(name, &names.routes, sink, "write a `kind: Route` document of that name");
            sink.error(Kind::UnknownRoute, reference.spot, format!("there is no route `{name}`"), help);
        }
        RefKind::Budget if !names.budgets.contains(name) => {
            let help = instead(name, &names.budgets, sink, "write a `kind: Budget` document of that name");
            sink.error(Kind::UnknownBudget, reference.spot, format!("there is no budget `{name}`"), help);
        }
        RefKind::Declared => refuse_slip(reference, field::ALL, sink),
        RefKind::Field if !names.fields.contains(name) => {
            // Our own fields first: the comparison has a bound.
            refuse_slip(
                reference,
                field::ALL.into_iter().chain(names.fields.iter().copied()).take(200),
                sink,
            );
        }
        _ => {}
    }
}

fn instead(name: &str, names: &BTreeSet<&str>, sink: &Sink<'_>, otherwise: &str) -> String {
    match sink.meant(name, names.iter().copied()) {
        Some(close) => format!("did you mean `{close}`?"),
        None if names.is_empty() => otherwise.to_owned(),
        None => format!("write {}, or {otherwise}", one_of(names.iter().copied().take(10))),
    }
}

/// A field may be any namespace label. A bare word that is nearly a known field is a slip all the same: a
/// budget for each `tenat` would watch nobody. A bare word like none of them is taken, with a warning.
fn refuse_slip<'a>(reference: &Ref, known: impl IntoIterator<Item = &'a str>, sink: &mut Sink<'_>) {
    let name = reference.name.as_str();
    if field::ALL.contains(&name) || name.contains(['/', '.']) {
        return;
    }
    if let Some(close) = meant(name, known) {
        let help = format!("did you mean `{close}`?");
        return sink.error(Kind::UnknownField, reference.spot, format!("there is no field `{name}`"), help);
    }
    let label = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !name.chars().all(label) {
        let help = format!("write {}, or the key of a namespace label", one_of(field::ALL));
        return sink.error(Kind::UnknownField, reference.spot, format!("there is no field `{name}`"), help);
    }
    if reference.kind == RefKind::Field {
        let message = format!("`{name}` is no known field; it is taken as the namespace label of that name");
        let help =
            format!("write `namespaceLabels: {{{name}: {name}}}` in an Attribution to say so on purpose");
        sink.warn(Kind::UndeclaredField, reference.spot, message, help);
    }
}

fn check_size(documents: usize, no_budget: bool, broken: bool, sink: &mut Sink<'_>) {
    if documents == 0 && !broken {
        let message = "there is no rule in any file";
        sink.error(Kind::EmptySet, Spot::START, message, "write at least one document, such as a Budget");
    } else if documents > 0 && no_budget {
        let message = "the set has no budget, so nothing is watched";
        sink.warn(Kind::NoBudget, Spot::START, message, "write a `kind: Budget` document");
    }
}

/// Reports each circle once, at the budget of it whose name comes first. Each budget is walked once.
fn refuse_cycles(budgets: &[(Budget, Origin)], sinks: &mut [Sink<'_>]) {
    let by_name: BTreeMap<&str, &(Budget, Origin)> = budgets.iter().map(|b| (&*b.0.name, b)).collect();
    let mut walked: BTreeSet<&str> = BTreeSet::new();
    for start in by_name.keys() {
        let mut path: Vec<&str> = Vec::new();
        let mut here: BTreeMap<&str, usize> = BTreeMap::new();
        let mut at = Some(*start);
        while let Some(name) = at
            && walked.insert(name)
        {
            here.insert(name, path.len());
            path.push(name);
            at = by_name.get(name).and_then(|(budget, _)| budget.within.as_deref());
        }
        if let Some(first) = at.and_then(|name| here.get(name)) {
            refuse_cycle(&path[*first..], &by_name, sinks);
        }
    }
}

fn refuse_cycle(circle: &[&str], by_name: &BTreeMap<&str, &(Budget, Origin)>, sinks: &mut [Sink<'_>]) {
    let first = (0..circle.len()).min_by_key(|at| circle[*at]).unwrap_or(0);
    let around = circle[first..].iter().chain(&circle[..=first]);
    let mut names: Vec<&str> = around.copied().take(SHOWN).collect();
    if circle.len() >= SHOWN {
        names.push("…");
    }
    let Some((_, origin)) = circle.get(first).and_then(|name| by_name.get(name)) else { return };
    let message = format!("budgets are within each other: {}", names.join(" -> "));
    let help = "take `within` out of one of them; the outermost has none";
    sinks[origin.file].error(Kind::WithinCycle, origin.within.unwrap_or(origin.spot), message, help);
}

/// Budgets of a circle that are named at most.
const SHOWN: usize = 12;

fn warn_of_protected(acts: &[Act], guardrail: &Guardrail, sink: &mut Sink<'_>) {
    for act in acts {
        let Act::PauseScaledObjects { targets, place } = act else { continue };
        for namespace in &targets.namespaces {
            let Template::Literal(name) = namespace else { continue };
            if guardrail.protected_namespaces.iter().any(|glob| glob_matches(glob, name)) {
                let spot = Spot { line: place.line, column: place.column, width: WIDTH };
                let message = format!("namespace `{name}` is protected, so nothing in it is stopped");
                sink.warn(Kind::ProtectedTarget, spot, message, "take the namespace out of the targets");
            }
        }
    }
}

/// A rule that names more namespaces than all rules together may stop targets is over the cap as soon as each
/// has one.
fn warn_of_cap(acts: &[Act], guardrail: &Guardrail, sink: &mut Sink<'_>) {
    for act in acts {
        let Act::PauseScaledObjects { targets, place } = act else { continue };
        let named: BTreeSet<&str> = targets
            .namespaces
            .iter()
            .filter_map(|namespace| match namespace {
                Template::Literal(name) => Some(&**name),
                Template::Field(_) => None,
            })
            .collect();
        if u32::try_from(named.len()).unwrap_or(u32::MAX) > guardrail.overall {
            let spot = Spot { line: place.line, column: place.column, width: WIDTH };
            let message = format!(
                "it names {} namespaces, and at most {} targets per {} may be stopped: with one in each, every \
                 stop is over the cap",
                named.len(),
                guardrail.overall,
                guardrail.per
            );
            let help = "write a higher `overall` in the Guardrail, or several budgets";
            sink.warn(Kind::CapRefuses, spot, message, help);
        }
    }
}

/// Characters of `pauseScaledObjects`.
const WIDTH: u32 = 18;
