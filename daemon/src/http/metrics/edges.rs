//! What the edges refused before any of it reached the engine, which counts what it refuses itself.

use std::sync::atomic::Ordering;

use super::{Writer, usd};
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
        "dead_letters_usd",
        "What usage in dead letters would have cost, where it has a price",
        [(vec![], usd(letters.amount))],
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
    )?;
    out.counters(
        "messages_without_blocks",
        "Messages that went as plain text because Slack refused their blocks",
        [(vec![], counted.plain_only.load(Ordering::Relaxed))],
    )
}

#[cfg(test)]
mod tests {
    use collector::deadletter::{DeadLetters, Letter, Limits, Reason};
    use prometheus_client::collector::Collector;
    use prometheus_client::encoding::DescriptorEncoder;
    use prometheus_client::registry::Registry;

    use super::*;

    #[derive(Debug)]
    struct Edges(Counted);

    impl Collector for Edges {
        fn encode(&self, encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
            edges(&self.0, &mut Writer(encoder))
        }
    }

    #[test]
    fn every_count_of_the_edges_is_a_series() {
        let dir = tempfile::tempdir().unwrap();
        // A file where the folder should be: nothing can be written.
        let blocked = dir.path().join("blocked");
        std::fs::write(&blocked, "").unwrap();
        let letters = DeadLetters::new(blocked, Limits::default());
        let amount = Some("1.5 USD".parse().unwrap());
        letters.put(&Letter { amount, ..Letter::new("eu", Reason::NotJson, "no", b"x") });
        let counted = Counted { letters: Some(letters), ..Counted::default() };
        let requests = &counted.requests;
        let counters = [
            &requests.unauthorized,
            &requests.too_large,
            &requests.busy,
            &requests.unreadable,
            &requests.refused,
        ];
        for (n, counter) in (2..).zip(counters) {
            counter.store(n, Ordering::Relaxed);
        }
        counted.plain_only.store(7, Ordering::Relaxed);
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Edges(counted)));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for want in [
            "dead_letters_total{source=\"eu\",reason=\"not_json\"} 1\n",
            "dead_letters_usd_total 1.5\n",
            "dead_letters_unwritten_total 1\n",
            "dead_letter_files_dropped_total 0\n",
            "ingest_requests_refused_total{reason=\"unauthorized\"} 2\n",
            "ingest_requests_refused_total{reason=\"too_large\"} 3\n",
            "ingest_requests_refused_total{reason=\"busy\"} 4\n",
            "ingest_requests_refused_total{reason=\"unreadable\"} 5\n",
            "ingest_events_refused_total 6\n",
            "messages_without_blocks_total 7\n",
        ] {
            assert!(text.contains(want), "{want}{text}");
        }
    }
}
