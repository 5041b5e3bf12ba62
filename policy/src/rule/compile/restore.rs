//! `restore`: when a tripped breaker gives back.

use super::super::diagnose::DiagnosticKind as Kind;
use super::super::node::{Node, Spot};
use super::super::read::{Fields, Keys, Sink};
use super::super::{Restore, RestoreWhen, Waves, WindowSpec};
use super::LONGEST;
use crate::money::Percent;
use crate::time::Span;

/// How long a trip lasts at least where the rule does not say.
const MIN_HOLD: Span = Span::from_mins(10);
/// Trips in one window where the rule does not say.
const MAX_TRIPS: u32 = 2;

pub(super) const RESTORE: Keys = Keys::of(&["when", "below", "minHold", "maxTripsPerWindow", "waves"]);

#[derive(Clone, Copy)]
enum WhenWord {
    Rolls,
    Manual,
}

pub(super) fn read(
    fields: &Fields<'_>,
    trip: Option<Percent>,
    window: Option<&WindowSpec>,
    sink: &mut Sink<'_>,
) -> Option<Restore> {
    let Some(node) = fields.get("restore") else {
        let when = RestoreWhen::WindowRolls;
        warn_if_never(when, window, fields.spot, sink);
        return Some(Restore { when, min_hold: MIN_HOLD, max_trips_per_window: MAX_TRIPS, waves: None });
    };
    let fields = sink.object(node, "`restore`", "restore: {when: window-rolls}", &RESTORE)?;
    let words = [("window-rolls", WhenWord::Rolls), ("manual", WhenWord::Manual)];
    let word = fields.get("when").map(|n| sink.word(n, "`when`", Kind::UnknownWord, &words));
    let below = fields.get("below").map(|n| sink.percent(n, "`below`", "1%", "1000%"));
    let min_hold = fields.get("minHold");
    let min_hold = min_hold.map_or(Some(MIN_HOLD), |n| sink.span(n, "`minHold`", Span::ZERO, LONGEST));
    let trips = fields.get("maxTripsPerWindow");
    let trips = trips.map_or(Some(MAX_TRIPS), |n| sink.count(n, "`maxTripsPerWindow`", 1, 1000));
    let waves = fields.get("waves").map_or(Some(None), |node| waves(node, sink).map(Some));
    let when = match (word, below) {
        (Some(_), Some(_)) => {
            let help = "keep one of `when` and `below`";
            sink.error(Kind::Conflict, fields.spot, "`restore` has `when` and `below`", help);
            None
        }
        (Some(word), None) => word.map(|word| match word {
            WhenWord::Rolls => RestoreWhen::WindowRolls,
            WhenWord::Manual => RestoreWhen::Manual,
        }),
        (None, Some(below)) => below.map(RestoreWhen::Below),
        (None, None) => Some(RestoreWhen::WindowRolls),
    }?;
    if let (RestoreWhen::Below(below), Some(trip)) = (when, trip)
        && below >= trip
    {
        let spot = fields.entry("below").map_or(fields.spot, |e| e.value.spot);
        let message = format!("it would give back below `{below}` and trip at `{trip}`");
        sink.error(Kind::OutOfRange, spot, message, format!("write a share below `{trip}`"));
    }
    warn_if_never(when, window, fields.spot, sink);
    Some(Restore { when, min_hold: min_hold?, max_trips_per_window: trips?, waves: waves? })
}

/// "10% every 1m".
fn waves(node: &Node, sink: &mut Sink<'_>) -> Option<Waves> {
    let text = sink.text(node, "`waves`")?;
    let read = text.split_once(" every ").and_then(|(share, every)| {
        let (share, every) = (share.trim().parse::<Percent>().ok()?, every.trim().parse::<Span>().ok()?);
        Some(Waves { share, every })
    });
    let Some(waves) = read else {
        let help = "write it like `10% every 1m`";
        sink.error(Kind::BadWaves, node.spot, format!("`{text}` says no waves"), help);
        return None;
    };
    let shares = Percent::from_ppm(10_000)..=Percent::from_ppm(500_000);
    let spans = Span::from_secs(10)..=Span::from_hours(1);
    if !shares.contains(&waves.share) || !spans.contains(&waves.every) {
        let help = "write a share from 1% to 50%, and a time from 10s to 1h";
        sink.error(Kind::OutOfRange, node.spot, format!("`waves` cannot be `{text}`"), help);
        return None;
    }
    Some(waves)
}

fn warn_if_never(when: RestoreWhen, window: Option<&WindowSpec>, spot: Spot, sink: &mut Sink<'_>) {
    let message = match (when, window) {
        (RestoreWhen::WindowRolls | RestoreWhen::Below(_), Some(WindowSpec::Lifetime)) => {
            "a lifetime window never ends, so nothing is given back by itself"
        }
        (RestoreWhen::WindowRolls, Some(WindowSpec::Rolling(_))) => {
            "a rolling window never ends, so nothing is given back by itself"
        }
        (RestoreWhen::Below(_), Some(WindowSpec::Calendar { .. })) => {
            "the sum of a calendar window does not fall before the window ends"
        }
        _ => return,
    };
    let help = match window {
        Some(WindowSpec::Rolling(_)) => "write `restore: {below: 80%}`, or `when: manual` on purpose",
        Some(WindowSpec::Lifetime) => "write `restore: {when: manual}` to say so on purpose",
        _ => "write `restore: {when: window-rolls}`",
    };
    sink.warn(Kind::NeverRestores, spot, message, help);
}
