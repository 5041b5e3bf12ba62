//! What charges would have come to by prices that are looked at before they count.

use policy::engine::ShadowView;

use super::{Labels, Writer, usd};

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
