//! What AWS said that it takes away, and what became of it.

use policy::engine::SpotView;

use super::Writer;

/// Notices by pool and kind, and what came of the instances. Pools are bounded by the engine.
pub(super) fn spot(view: &SpotView, out: &mut Writer<'_>) -> std::fmt::Result {
    let notices = view.pools.iter().flat_map(|(pool, n)| {
        let kinds = [
            ("interruption", n.interruptions),
            ("rebalance", n.rebalances),
            ("capacity-reservation", n.reservations),
        ];
        kinds.map(|(kind, count)| (vec![("pool", &**pool), ("kind", kind)], count))
    });
    out.counters("spot_notices", "Notices of AWS about nodes of ours, by pool and kind", notices)?;
    let ends = view.pools.iter().flat_map(|(pool, n)| {
        let ends = [("lost", n.lost), ("spared", n.spared)];
        ends.map(|(end, count)| (vec![("pool", &**pool), ("end", end)], count))
    });
    out.counters("spot_instances", "Instances with a notice, by what became of them", ends)?;
    let stale = view.pools.iter().map(|(pool, n)| (vec![("pool", &**pool)], n.stale));
    out.counters(
        "spot_stale_notices",
        "Notices that came too late, or from too far ahead, to act on",
        stale,
    )?;
    let rows = [("elsewhere", view.elsewhere), ("duplicate", view.duplicates), ("too-old", view.too_old)];
    out.counters(
        "spot_notices_passed_over",
        "Notices that are about no node of ours, came before, or are too old to know",
        rows.map(|(reason, n)| (vec![("reason", reason)], n)),
    )
}

#[cfg(test)]
mod tests {
    use policy::engine::{Engine, SpotView};
    use policy::fact::{IdKey, Settings};
    use policy::spot::Pool;
    use policy::time::Timestamp;

    use crate::http::metrics::render;
    use crate::observe::{Counted, Observed};
    use crate::turn::Surveyed;

    #[test]
    fn losses_are_shown_by_pool_and_what_was_passed_over_by_reason() {
        let engine = Engine::new(Settings::new(IdKey([1, 2]), "test"));
        let mut view = engine.view(Timestamp::default());
        let gpu = Pool { interruptions: 3, lost: 2, stale: 1, ..Pool::default() };
        view.spot = SpotView { pools: vec![("gpu".into(), gpu)], elsewhere: 7, ..SpotView::default() };
        let text = render(
            view,
            Surveyed::default(),
            &std::sync::Arc::new(Observed::default()),
            &Counted::default(),
            10,
        )
        .unwrap();
        for line in [
            "breakerbox_spot_notices_total{pool=\"gpu\",kind=\"interruption\"} 3",
            "breakerbox_spot_instances_total{pool=\"gpu\",end=\"lost\"} 2",
            "breakerbox_spot_stale_notices_total{pool=\"gpu\"} 1",
            "breakerbox_spot_notices_passed_over_total{reason=\"elsewhere\"} 7",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }
}
