//! The parts of a sentence: who, over what time, when it comes back, what state an object is in.
//!
//! Times are UTC and whole: a message is read in another place and on another day than it was written.
//! A state is never called by a better name than the proof allows: only `Verified` reads as stopped.

use policy::decision::{ArmingCause, BreakerRef, HoldState, ReleaseCause, Times, Why};
use policy::money::Money;
use policy::page::PageTopic;
use policy::rule::{Budget, CalendarUnit, RestoreWhen, WindowSpec};
use policy::time::{Span, Timestamp};

/// The instance (`acme` of `tenant-daily/acme`) and its budget. A budget without `perEach` is its own.
pub(super) fn who(breaker: Option<&BreakerRef>) -> (&str, &str) {
    match breaker {
        Some(breaker) => match breaker.name.split_once('/') {
            Some((budget, instance)) => (instance, budget),
            None => (&breaker.name, &breaker.name),
        },
        None => ("breakerbox", "breakerbox"),
    }
}

/// "today", "this month", "in the last 24h": empty where nobody can know.
pub(super) fn over_what(budget: Option<&Budget>) -> String {
    match budget.map(|b| &b.window) {
        Some(WindowSpec::Calendar { unit: CalendarUnit::Day, .. }) => "today".to_owned(),
        Some(WindowSpec::Calendar { unit, .. }) => format!("this {}", unit.word()),
        Some(WindowSpec::Rolling(length)) => format!("in the last {length}"),
        Some(WindowSpec::Lifetime) => "since ever".to_owned(),
        None => "in its window".to_owned(),
    }
}

/// The window in instants, with the zone that its boundaries follow.
pub(super) fn window(breaker: &BreakerRef, budget: Option<&Budget>) -> String {
    match budget.map(|b| &b.window) {
        Some(WindowSpec::Rolling(length)) => format!("the last {length}"),
        Some(WindowSpec::Lifetime) => "since ever".to_owned(),
        Some(WindowSpec::Calendar { unit, timezone, .. }) => {
            format!("{} to {} ({} in {timezone})", breaker.start, breaker.end, unit.word())
        }
        None => format!("{} to {}", breaker.start, breaker.end),
    }
}

/// When a stop is given back, by the rule as it stands.
pub(super) fn comes_back(breaker: &BreakerRef, budget: Option<&Budget>) -> String {
    let Some(budget) = budget else {
        return "only when a person resets it: its budget is no longer in the rules".to_owned();
    };
    let rolling = match &budget.window {
        WindowSpec::Rolling(length) => Some(*length),
        WindowSpec::Calendar { .. } | WindowSpec::Lifetime => None,
    };
    let lifetime = matches!(budget.window, WindowSpec::Lifetime);
    let base = match (budget.restore.when, rolling) {
        (RestoreWhen::Manual, _) => return "only when a person resets it".to_owned(),
        (RestoreWhen::WindowRolls, None) if lifetime => {
            return "only when a person resets it: its window has no end".to_owned();
        }
        (RestoreWhen::WindowRolls, None) => format!("when the window ends, {}", breaker.end),
        (RestoreWhen::WindowRolls, Some(length)) => {
            format!("once the spend of the last {length} is below {} of the limit", budget.trip_at)
        }
        (RestoreWhen::Below(share), Some(length)) => {
            format!("once the spend of the last {length} is below {share} of the limit")
        }
        (RestoreWhen::Below(share), None) if lifetime => {
            format!("once the spend is below {share} of the limit")
        }
        (RestoreWhen::Below(share), None) => {
            format!("once the spend is below {share} of the limit, or when the window ends, {}", breaker.end)
        }
    };
    if budget.restore.min_hold > Span::ZERO {
        format!("{base}; not within {} of the trip", budget.restore.min_hold)
    } else {
        base
    }
}

/// "100.2%": the sum as a share of the limit, cut to tenths; `None` for a limit of nothing.
pub(super) fn share(sum: Money, limit: Money) -> Option<String> {
    if limit.picos() <= 0 || sum.picos() < 0 {
        return None;
    }
    let tenths = sum.picos().checked_mul(1000)? / limit.picos();
    Some(format!("{}.{}%", tenths / 10, tenths % 10))
}

/// "spent 50.12 USD of 50.00 USD today".
pub(super) fn spent(why: &Why, budget: Option<&Budget>) -> String {
    format!("spent {} of {} {}", why.unit.of(why.sum), why.unit.of(why.limit), over_what(budget))
}

/// What running on costs, with the span that it was measured over.
pub(super) fn costs(who: &str, why: &Why) -> String {
    match why.burn {
        Some(burn) => format!("{who} costs {}.", burn.in_unit(why.unit)),
        None => format!("What {who} costs per hour is not known yet."),
    }
}

/// What an arming breaker waits for.
pub(super) fn waits_for(cause: ArmingCause) -> String {
    match cause {
        ArmingCause::Grace(until) => format!("It trips when its grace ends at {until}, if it is still over."),
        ArmingCause::OnTimeFact => {
            "It trips with the next charge that is on time: what brought it over was late, or read while \
             catching up."
                .to_owned()
        }
        ArmingCause::RuleChange => {
            "A change of rules, or the end of an override, brought it over, not spend: it waits for a person, or \
             for its window to end."
                .to_owned()
        }
        ArmingCause::PriceChange => {
            "A change of prices brought it over, not spend: it waits for a person, or for its window to end."
                .to_owned()
        }
        ArmingCause::Clock => "The clocks disagree: it waits until somebody says which is right.".to_owned(),
    }
}

/// What ended a trip.
pub(super) fn ended_by(cause: &ReleaseCause) -> String {
    match cause {
        ReleaseCause::WindowRolled => "its window ended".to_owned(),
        ReleaseCause::FellBelow => "its spend fell below the mark of its rule".to_owned(),
        ReleaseCause::SourceHeard => "its source is heard again".to_owned(),
        ReleaseCause::Reset(actor) => format!("reset by {actor}"),
        ReleaseCause::Person(actor) => format!("released by {actor}"),
        ReleaseCause::Wanted(seen) => seen.clone(),
    }
}

/// What an object's state means, for people.
pub(super) fn state(state: HoldState, proven_at: Option<Timestamp>) -> String {
    match (state, proven_at) {
        (HoldState::Ordered, _) => "to be stopped, not proven yet".to_owned(),
        (HoldState::Verified, Some(at)) => format!("at zero, proven {at}"),
        (HoldState::Verified, None) => "at zero, proven".to_owned(),
        (HoldState::NotStopped, _) => "runs on, not at zero".to_owned(),
        (HoldState::Contested, _) => "raised by somebody again and again, no longer held at zero".to_owned(),
        (HoldState::Restoring, _) => "being given back, not proven yet".to_owned(),
        (HoldState::Released, _) => "given back".to_owned(),
    }
}

/// What a page is about.
pub(super) const fn topic(topic: PageTopic) -> &'static str {
    match topic {
        PageTopic::Unpriced => "a model without a price was used; its spend is not in any sum",
        PageTopic::SourceStale => "a source is silent; spend may be unseen",
        PageTopic::InventoryStale => "the cluster is not heard; nothing new is stopped",
        PageTopic::Clock => "the clocks disagree; nothing is stopped or given back",
        PageTopic::RuleChange => "a change of rules needs a person",
        PageTopic::SubjectCap => "a source brings more new names than it may",
        PageTopic::Orphans => "objects carry our mark, but the journal does not know them",
        PageTopic::Posture => "the daemon may do less than it was configured to do",
        PageTopic::SourceHeard => "a source that was silent is heard again",
        PageTopic::Unjudged => "a budget cannot tell whether it counts some charges, and does not count them",
        PageTopic::FirstDays => "budgets may do more from now on",
    }
}

/// The times of a stop as name and value, as far as they are known. The last two are those of the latest
/// object; only where `all` are at zero may they be read as those of the whole stop.
pub(super) fn times(times: &Times, all: bool) -> Vec<(&'static str, String)> {
    let mut named = Vec::new();
    if let Some(at) = times.occurred_at {
        named.push(("Charge that crossed", at.to_string()));
    }
    if let Some(at) = times.decided_at {
        named.push(("Decided", at.to_string()));
    }
    if let Some(at) = times.accepted_at {
        let name = if all { "Accepted by the API server" } else { "Last accepted by the API server" };
        named.push((name, at.to_string()));
    }
    if let Some(at) = times.verified_at {
        let after = times.accepted_at.filter(|accepted| all && at >= *accepted);
        let after = after.map_or(String::new(), |accepted| format!(", {} later", at.since(accepted)));
        named.push((if all { "Proven at zero" } else { "Last one proven at zero" }, format!("{at}{after}")));
    }
    named
}
