//! What the edges refused before any of it reached the engine, which counts what it refuses itself.

use std::sync::atomic::Ordering;

use super::Writer;
use crate::observe::Counted;

/// Dead letters by source and reason, and what `POST /v1/usage` turned away.
pub(super) fn edges(counted: &Counted, out: &mut Writer<'_>) -> std::fmt::Result {
    let letters = counted.letters.as_ref().map(|letters| letters.counts()).unwrap_or_default();
    out.counters(
        "dead_letters",
        "Records and events that could not be used, by source and reason",
        letters
            .letters
            .iter()
            .map(|((source, reason), n)| (vec![("source", &**source), ("reason", reason.word())], *n)),
    )?;
    out.counters(
        "dead_letters_unwritten",
        "Dead letters that were only counted, because they could not be written",
        [(vec![], letters.unwritten)],
    )?;
    out.counters(
        "dead_letter_files_dropped",
        "Files of dead letters removed to make room",
        [(vec![], letters.files_dropped)],
    )?;
    let requests = &counted.requests;
    let rows = [
        ("unauthorized", &requests.unauthorized),
        ("too_large", &requests.too_large),
        ("busy", &requests.busy),
        ("unreadable", &requests.unreadable),
    ];
    out.counters(
        "ingest_requests_refused",
        "Requests to push usage of which nothing was taken, by reason",
        rows.map(|(reason, n)| (vec![("reason", reason)], n.load(Ordering::Relaxed))),
    )?;
    out.counters(
        "ingest_events_refused",
        "Pushed events that were refused before they reached the engine",
        [(vec![], requests.refused.load(Ordering::Relaxed))],
    )
}
