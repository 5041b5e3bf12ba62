//! What is priced and in no sum: charges by prices that are looked at before they count, and usage for which
//! another source counts.

use std::collections::BTreeMap;

use policy::engine::{AsideView, ShadowView};
use policy::money::Money;

use super::{Labels, Writer, usd};

/// Usage that another source counts for, by the two; a source that is not enabled has none.
pub(super) fn asides(asides: &[AsideView], out: &mut Writer<'_>) -> std::fmt::Result {
    let mut by: BTreeMap<(&str, &str), (Money, u64)> = BTreeMap::new();
    for aside in asides {
        let (amount, facts) = by.entry((&aside.source, aside.counts.as_deref().unwrap_or(""))).or_default();
        *amount = amount.saturating_add(aside.amount);
        *facts = facts.saturating_add(aside.facts);
    }
    out.counters(
        "set_aside_usd",
        "What usage would have cost that another source counts for, by source and the one that counts",
        by.iter().map(|((source, counts), (amount, _))| {
            (vec![("source", *source), ("counts", *counts)], usd(*amount))
        }),
    )?;
    out.counters(
        "set_aside_usages",
        "Usage that another source counts for, by source and the one that counts",
        by.iter()
            .map(|((source, counts), (_, facts))| (vec![("source", *source), ("counts", *counts)], *facts)),
    )
}

/// By tenant and model, the largest differences first.
pub(super) fn shadow(view: Option<&ShadowView>, most: usize, out: &mut Writer<'_>) -> std::fmt::Result {
    let rows = || view.into_iter().flat_map(|view| view.spend.iter().take(most));
    let books = rows().flat_map(|row| {
        let labels = move |book: &'static str| -> Labels<'_> {
            vec![
                ("tenant", row.tenant.as_deref().unwrap_or("unattributed")),
                ("model", &*row.model),
                ("book", book),
            ]
        };
        [(labels("counts"), usd(row.counted)), (labels("shadow"), usd(row.shadow))]
    });
    out.gauges(
        "price_shadow_usd",
        "Charges since a price book is looked at, by the book that counts and by that one",
        books,
    )?;
    let unpriced = rows().filter(|row| row.unpriced > 0).map(|row| {
        let labels =
            vec![("tenant", row.tenant.as_deref().unwrap_or("unattributed")), ("model", &*row.model)];
        (labels, f64::from(u32::try_from(row.unpriced).unwrap_or(u32::MAX)))
    });
    out.gauges("price_shadow_unpriced", "Usage for which the book that is looked at has no price", unpriced)
}
