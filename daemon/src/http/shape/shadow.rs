//! Prices that are looked at before they count, on the wire.

use policy::engine::ShadowView;
use serde::{Deserialize, Serialize};

/// Pairs of tenant and model that are shown, those with the largest difference.
const MOST: usize = 20;

/// Prices that are looked at, beside those that count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shadow {
    /// Id of the book that is looked at.
    pub prices: String,
    /// Since when charges are priced by it too.
    pub since: String,
    /// From then on it counts; none: when a person says so.
    pub until: Option<String>,
    /// What was charged since.
    pub counted: String,
    /// What would have been charged.
    pub would: String,
    /// The largest differences.
    pub spend: Vec<ShadowSpend>,
}

/// What one tenant spent on one model by both books.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShadowSpend {
    /// Tenant; none where it is not known and trusted.
    pub tenant: Option<String>,
    /// Resolved model.
    pub model: String,
    /// What was charged.
    pub counted: String,
    /// What would have been charged.
    pub would: String,
    /// Usages.
    pub usages: u64,
    /// Of these, usage for which the new book has no price.
    pub unpriced: u64,
}

impl From<&ShadowView> for Shadow {
    fn from(view: &ShadowView) -> Self {
        let spend = view.spend.iter().take(MOST).map(|row| ShadowSpend {
            tenant: row.tenant.as_deref().map(str::to_owned),
            model: row.model.to_string(),
            counted: row.counted.exact(),
            would: row.shadow.exact(),
            usages: row.facts,
            unpriced: row.unpriced,
        });
        Self {
            prices: view.prices.to_string(),
            since: view.since.to_string(),
            until: view.until.map(|until| until.to_string()),
            counted: view.counted.exact(),
            would: view.shadow.exact(),
            spend: spend.collect(),
        }
    }
}
