//! Two rule sets side by side: by which day, hour and money they differ.
//!
//! Trips are paired by breaker and window, where a window has a start that both share, else by breaker and the
//! nearest day; what has no partner was done by one set alone. A budget that has another name is another budget.

use std::collections::BTreeMap;

use policy::money::Money;
use policy::time::{Span, Timestamp};
use serde::Serialize;

use super::findings::Findings;
use super::trips::{Trip, shown_where_known};

/// Trips of a rolling window are the same event where they are no further apart.
const NEAR: Span = Span::from_hours(24);

/// One trip on which the two sets do not agree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The breaker.
    pub breaker: Box<str>,
    /// When the one set trips; none where it does not.
    #[serde(serialize_with = "shown_where_known")]
    pub ours: Option<Timestamp>,
    /// When the other does.
    #[serde(serialize_with = "shown_where_known")]
    pub theirs: Option<Timestamp>,
    /// What was spent when the one trips.
    pub our_sum: Option<String>,
    /// What was spent when the other does.
    pub their_sum: Option<String>,
    /// How much more the one would have saved than the other; less than nothing where it is less. Nothing where
    /// neither stops anything.
    pub saves_more: Money,
    /// The same for people.
    pub text: String,
}

/// Where they differ, in the order of time.
pub(super) fn differences(ours: &Findings, theirs: &Findings) -> Vec<Difference> {
    let mut open: BTreeMap<&str, Vec<&Trip>> = BTreeMap::new();
    for trip in &theirs.trips {
        open.entry(&trip.breaker).or_default().push(trip);
    }
    let mut found = Vec::new();
    for trip in &ours.trips {
        let partner = open.get_mut(&*trip.breaker).and_then(|trips| {
            let rolling = ours.is_rolling(&trip.breaker) || theirs.is_rolling(&trip.breaker);
            let at = trips.iter().position(|other| is_same(trip, other, rolling))?;
            Some(trips.remove(at))
        });
        match partner {
            Some(other) if other.at == trip.at && other.sum == trip.sum && other.after == trip.after => {}
            other => found.push(difference(Some(trip), other)),
        }
    }
    found.extend(open.into_values().flatten().map(|trip| difference(None, Some(trip))));
    found.sort_by(|a, b| (a.ours.or(a.theirs), &a.breaker).cmp(&(b.ours.or(b.theirs), &b.breaker)));
    found
}

/// A rolling window has no start to be known by: of those, trips within a day of each other are the same.
fn is_same(a: &Trip, b: &Trip, rolling: bool) -> bool {
    let apart = a.at.since(b.at).millis().saturating_abs();
    if rolling { apart <= NEAR.millis() } else { a.window_start == b.window_start }
}

fn difference(ours: Option<&Trip>, theirs: Option<&Trip>) -> Difference {
    let saved = |trip: Option<&Trip>| match trip {
        Some(trip) if trip.stops => trip.after,
        _ => Money::ZERO,
    };
    let saves_more = saved(ours).saturating_sub(saved(theirs));
    let breaker = ours.or(theirs).map(|trip| trip.breaker.clone()).unwrap_or_default();
    let text = in_words(&breaker, ours, theirs, saves_more);
    Difference {
        breaker,
        ours: ours.map(|trip| trip.at),
        theirs: theirs.map(|trip| trip.at),
        our_sum: ours.map(spent),
        their_sum: theirs.map(spent),
        saves_more,
        text,
    }
}

fn in_words(breaker: &str, ours: Option<&Trip>, theirs: Option<&Trip>, saves_more: Money) -> String {
    let mut text = match (ours, theirs) {
        (Some(a), Some(b)) if a.at == b.at => {
            format!(
                "{breaker}: A and B trip at {}, A at {} and B at {}",
                day_and_hour(a.at),
                spent(a),
                spent(b)
            )
        }
        (Some(a), Some(b)) => {
            let (word, apart) = match a.at < b.at {
                true => ("before", b.at.since(a.at)),
                false => ("after", a.at.since(b.at)),
            };
            format!(
                "{breaker}: A trips at {} with {} spent, {} {word} B, which trips at {} with {} spent",
                day_and_hour(a.at),
                spent(a),
                to_minutes(apart),
                day_and_hour(b.at),
                spent(b)
            )
        }
        (Some(a), None) => {
            format!("{breaker}: only A trips, at {} with {} spent", day_and_hour(a.at), spent(a))
        }
        (None, Some(b)) => {
            format!("{breaker}: only B trips, at {} with {} spent", day_and_hour(b.at), spent(b))
        }
        (None, None) => String::new(),
    };
    if saves_more > Money::ZERO {
        text.push_str(&format!("; A would have saved up to {saves_more} more"));
    } else if saves_more < Money::ZERO {
        let more = Money::ZERO.saturating_sub(saves_more);
        text.push_str(&format!("; B would have saved up to {more} more"));
    }
    text
}

/// What was spent when it tripped, with its unit.
fn spent(trip: &Trip) -> String {
    trip.unit.of(trip.sum).to_string()
}

/// `2026-11-12 14:31:10 UTC`.
fn day_and_hour(at: Timestamp) -> String {
    super::to_second(at).replace('T', " ").replace('Z', " UTC")
}

/// Whole minutes, where it is a minute or more.
fn to_minutes(span: Span) -> Span {
    let past = span.millis() % 60_000;
    if span.millis() < 60_000 { span } else { Span::from_millis(span.millis() - past) }
}
