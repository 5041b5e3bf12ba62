//! The price book: keys, rates, maps, and the order in which a model id is looked up.
//!
//! A book is an immutable value behind an `Arc`: cloning is cheap, changing means making another with
//! another id. It serialises whole, so that a journalled rule set replays with the prices it had, whatever
//! book a later binary carries.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::entry::{Entry, MANTLE_PROVIDER};
use super::model_id::{self, ModelRef, split_scope};
use super::{
    InstancePrice, MeterQuery, Price, PriceFlags, Resolution, Scope, Tier, TokenClass, UnpricedReason,
};
use crate::money::{HourRate, Percent, TokenRate};

/// Region whose on-demand prices stand in, flagged, for regions without their own.
pub(super) const HOME_REGION: &str = "us-east-1";
/// In an instance key: every region.
pub(super) const ANY_REGION: &str = "*";
pub(super) const ON_DEMAND: &str = "on-demand";
pub(super) const SPOT: &str = "spot";

/// Prices by key, with an id. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceBook(Arc<Book>);

/// What a book holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Book {
    pub(super) id: String,
    pub(super) as_of: String,
    pub(super) models: BTreeMap<String, Entry>,
    /// By [`instance_key`].
    pub(super) instances: BTreeMap<String, HourRate>,
    /// Opaque id or ARN to model id.
    pub(super) profiles: BTreeMap<String, String>,
    pub(super) spot_share: Option<Percent>,
    /// Figures of vendors other than AWS that an override file had and the guard did not believe.
    pub(super) left_out: u64,
}

/// The key of an instance price.
pub(super) fn instance_key(region: &str, instance_type: &str, capacity_type: &str) -> String {
    format!("{region}/{instance_type}/{capacity_type}")
}

impl PriceBook {
    pub(super) fn from_book(book: Book) -> Self {
        Self(Arc::new(book))
    }

    pub(super) fn book(&self) -> &Book {
        &self.0
    }

    /// Names the book and its content: "builtin@2026-11-20", with overrides
    /// "builtin@2026-11-20+negotiated-3fa2b1c4d5e6f708". Every ledger entry records it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// The day of the list that the book was made from, "2026-11-20".
    #[must_use]
    pub fn as_of(&self) -> &str {
        &self.0.as_of
    }

    /// How many figures of vendors other than AWS an override file had that the magnitude guard did not
    /// believe. They are unpriced; one of Bedrock's would have refused the file.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.0.left_out
    }

    /// Every key of a model, in order: for completion and "did you mean".
    pub fn model_keys(&self) -> impl Iterator<Item = &str> {
        self.0.models.keys().map(String::as_str)
    }

    /// What a model costs, or why that is not known. Allocates: ask once for each distinct origin.
    ///
    /// The order (each first hit decides):
    /// 1. an ARN gives its resource type and id; provisioned throughput costs nothing per token;
    /// 2. an opaque id is looked up in the profile map, and in nothing else;
    /// 3. an id with a scope prefix is a key as it stands;
    /// 4. a bare id is `bedrock/<region>/<id>`, then `<id>` with the in-region premium where it applies;
    /// 5. otherwise it is unpriced.
    #[must_use]
    pub fn resolve(&self, query: &MeterQuery<'_>) -> Resolution {
        let found = match query.provider {
            "" | "aws.bedrock" | "bedrock" => self.bedrock(query),
            "aws.bedrock_mantle" | "aws.bedrock-mantle" | MANTLE_PROVIDER => self.mantle(query),
            _ => self.elsewhere(query),
        };
        match found {
            Ok(price) => Resolution::Priced(Arc::new(price)),
            Err(reason) => Resolution::Unpriced(reason),
        }
    }

    fn bedrock(&self, query: &MeterQuery<'_>) -> Result<Price, UnpricedReason> {
        let raw = query.model;
        match model_id::parse(raw) {
            ModelRef::Model { id, region } => {
                let known = self.listed(id, region.unwrap_or(query.region), query.tier);
                known.or_else(|reason| match self.declared(raw, id, query) {
                    Some(price) if matches!(reason, UnpricedReason::UnknownModel { .. }) => price,
                    _ => Err(reason),
                })
            }
            ModelRef::Profile { id } => self
                .declared(raw, id, query)
                .unwrap_or_else(|| Err(UnpricedReason::OpaqueProfile { arn: raw.to_owned() })),
            ModelRef::Provisioned { id } => Ok(Price::provisioned(id, query.tier)),
            ModelRef::Declared { id } => self
                .declared(raw, id, query)
                .or_else(|| self.declared_key(raw, id, query.tier))
                .unwrap_or_else(|| Err(UnpricedReason::Undeclared { arn: raw.to_owned() })),
        }
    }

    /// The price of what the profile map says that an opaque id is.
    fn declared(&self, raw: &str, id: &str, query: &MeterQuery<'_>) -> Option<Result<Price, UnpricedReason>> {
        let target = self.0.profiles.get(raw).or_else(|| self.0.profiles.get(id))?;
        let (id, region) = match model_id::parse(target) {
            ModelRef::Model { id, region } => (id, region.unwrap_or(query.region)),
            _ => (target.as_str(), query.region),
        };
        Some(self.listed(id, region, query.tier))
    }

    /// A price that a person declared under the ARN or the bare name of a custom or imported model. A name
    /// with a dot could be a listed model's and is not looked up.
    fn declared_key(&self, raw: &str, id: &str, tier: Tier) -> Option<Result<Price, UnpricedReason>> {
        let key = if self.0.models.contains_key(raw) { raw } else { id };
        let entry = self.0.models.get(key).filter(|entry| entry.is_bedrock())?;
        (key == raw || !key.contains('.')).then(|| price_of(entry, id, key, Scope::InRegion, tier))
    }

    /// Steps 3 to 5: an id with or without a scope.
    fn listed(&self, id: &str, region: &str, tier: Tier) -> Result<Price, UnpricedReason> {
        let (scope, _) = split_scope(id);
        let regional = format!("bedrock/{region}/{id}");
        let keys = [(scope == Scope::InRegion).then_some(regional.as_str()), Some(id)];
        for key in keys.into_iter().flatten() {
            if let Some(entry) = self.0.models.get(key).filter(|entry| entry.is_bedrock()) {
                return price_of(entry, id, key, scope, tier);
            }
        }
        Err(UnpricedReason::UnknownModel { model: id.to_owned() })
    }

    fn mantle(&self, query: &MeterQuery<'_>) -> Result<Price, UnpricedReason> {
        let (id, region) = match model_id::parse(query.model) {
            ModelRef::Model { id, region } => (id, region.unwrap_or(query.region)),
            _ => (query.model, query.region),
        };
        let id = id.strip_prefix("bedrock_mantle/").unwrap_or(id);
        for key in [format!("{MANTLE_PROVIDER}/{region}/{id}"), format!("{MANTLE_PROVIDER}/{id}")] {
            if let Some(entry) = self.0.models.get(&key) {
                return price_of(entry, id, &key, split_scope(id).0, query.tier);
            }
        }
        Err(UnpricedReason::UnknownModel { model: query.model.to_owned() })
    }

    /// Providers other than AWS have a price only where an override file names them.
    fn elsewhere(&self, query: &MeterQuery<'_>) -> Result<Price, UnpricedReason> {
        let qualified = format!("{}/{}", query.provider, query.model);
        for key in [qualified.as_str(), query.model] {
            let entry = self.0.models.get(key);
            if let Some(entry) = entry.filter(|e| e.provider.as_deref() == Some(query.provider)) {
                return price_of(entry, query.model, key, Scope::InRegion, query.tier);
            }
        }
        Err(UnpricedReason::UnknownModel { model: query.model.to_owned() })
    }

    /// What an hour of an instance costs. An empty capacity type is on demand.
    ///
    /// The order: this region; every region; for on demand the home region of the embedded table, flagged
    /// approximate; for Spot the declared share of on demand, flagged approximate.
    ///
    /// # Errors
    /// [`UnpricedReason::UnknownInstance`] otherwise.
    pub fn resolve_instance(
        &self,
        region: &str,
        instance_type: &str,
        capacity_type: &str,
    ) -> Result<Arc<InstancePrice>, UnpricedReason> {
        let capacity_type = if capacity_type.is_empty() { ON_DEMAND } else { capacity_type };
        self.hour_rate(region, instance_type, capacity_type)
            .map(|(key, rate, flags)| {
                Arc::new(InstancePrice {
                    instance_type: instance_type.to_owned(),
                    capacity_type: capacity_type.to_owned(),
                    key,
                    rate,
                    flags,
                })
            })
            .ok_or_else(|| UnpricedReason::UnknownInstance {
                instance_type: instance_type.to_owned(),
                capacity_type: capacity_type.to_owned(),
            })
    }

    /// The highest price of each class that the book has, in the order of [`TokenClass::ALL`]. Looks at all of it.
    #[must_use]
    pub fn highest_rates(&self) -> [TokenRate; 5] {
        let entries = || self.0.models.values();
        TokenClass::ALL.map(|class| entries().filter_map(|e| e.highest(class)).max().unwrap_or_default())
    }

    fn hour_rate(&self, region: &str, kind: &str, capacity: &str) -> Option<(String, HourRate, PriceFlags)> {
        let look = |region: &str, flags| {
            let key = instance_key(region, kind, capacity);
            self.0.instances.get(&key).map(|rate| (key, *rate, flags))
        };
        look(region, PriceFlags::NONE).or_else(|| look(ANY_REGION, PriceFlags::NONE)).or_else(|| {
            match capacity {
                ON_DEMAND => look(HOME_REGION, PriceFlags::APPROXIMATE),
                SPOT => {
                    let share = self.0.spot_share?;
                    let (key, rate, flags) = self.hour_rate(region, kind, ON_DEMAND)?;
                    let picos = u128::from(rate.picos()).checked_mul(u128::from(share.ppm()))?
                        / u128::from(Percent::WHOLE.ppm());
                    let rate = HourRate::from_picos(u64::try_from(picos).ok()?)?;
                    Some((key, rate, flags.with(PriceFlags::APPROXIMATE)))
                }
                _ => None,
            }
        })
    }
}

fn price_of(entry: &Entry, id: &str, key: &str, scope: Scope, tier: Tier) -> Result<Price, UnpricedReason> {
    Price::compile(entry, id, key, scope, tier)
        .ok_or_else(|| UnpricedReason::NoTokenPrice { key: key.to_owned(), unit: entry.unit.clone() })
}
