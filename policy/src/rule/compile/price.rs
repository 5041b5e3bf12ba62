//! `kind: PriceBook`: prices in the short form, and LiteLLM's files by name. Several documents add up; no key
//! is stated twice in one form, and the short form holds over a file.
//!
//! What is stated is also held against the embedded book here, so that a price per token typed as a price
//! per million tokens is refused where it was written. (The engine compares it with the prices that were
//! accepted last as well.)

use std::collections::{BTreeMap, BTreeSet};

use super::super::ShadowPrices;
use super::super::diagnose::DiagnosticKind as Kind;
use super::super::node::{Node, Shape, Spot};
use super::super::read::{Fields, Keys, Sink};
use super::prices_file::{self, Named, PriceFiles};
use super::{Header, limit};
use crate::money::{HourRate, TokenRate};
use crate::price::{InstanceOverride, PriceBook, PriceIssue, PriceOverrides, ShortPrice, Tier, TokenClass};
use crate::time::Timestamp;

pub(super) const PRICE_BOOK: Keys =
    Keys::of(&["models", "litellm", "asOf", "shadow", "profiles", "instances", "accept", "spotShare"]);
pub(super) const SHADOW: Keys = Keys::of(&["until"]);
pub(super) const MODEL: Keys =
    Keys::of(&["tier", "input", "output", "cacheRead", "cacheWrite5m", "cacheWrite1h"]);
const MODEL_EXAMPLE: &str = "{input: 3.30 USD per 1M tokens, output: 16.50 USD per 1M tokens}";
pub(super) const INSTANCE: Keys = Keys::of(&["type", "capacityType", "region", "price"]);
const INSTANCE_EXAMPLE: &str = "{type: g5.xlarge, capacityType: spot, price: 0.4387 USD per hour}";

/// What one document says, and where it says each price.
pub(super) struct Part {
    name: Box<str>,
    file: usize,
    spot: Spot,
    /// Without a mistake of its own.
    whole: bool,
    prices: PriceOverrides,
    /// By key and, for a rate of a model, its class word.
    spots: BTreeMap<(String, Option<&'static str>), Spot>,
    /// The LiteLLM file that it names: path from the rules folder.
    litellm: Option<(String, Spot)>,
    /// It is looked at before it counts: until then, or until a person says so.
    shadow: Option<Option<Timestamp>>,
}

pub(super) fn read(header: &Header, spec: &Node, sink: &mut Sink<'_>, file: usize) -> Option<Part> {
    let before = sink.errors();
    let fields =
        sink.object(spec, "a price book", &format!("models: {{my.model: {MODEL_EXAMPLE}}}"), &PRICE_BOOK)?;
    let mut part = Part {
        name: header.name.clone(),
        file,
        spot: header.spot,
        whole: false,
        prices: PriceOverrides::default(),
        spots: BTreeMap::new(),
        litellm: None,
        shadow: fields.get("shadow").and_then(|node| shadow(node, sink)),
    };
    if let Some(node) = fields.get("asOf") {
        let date = as_of(node, sink);
        part.name = format!("{}@{}", part.name, date.unwrap_or_default()).into();
    }
    if let Some(node) = fields.get("litellm")
        && let Some(text) = sink.text(node, "`litellm`")
    {
        part.litellm = Some((prices_file::beside(sink.path(), text), node.spot));
    }
    if let Some(node) = fields.get("models") {
        models(node, &mut part, sink);
    }
    if let Some(node) = fields.get("profiles")
        && let Some(pairs) = sink.pairs(node, "`profiles`", "{a1b2c3d4e5f6: us.anthropic.claude-sonnet-4-6}")
    {
        for (entry, model) in pairs {
            part.spots.insert((entry.key.clone(), None), entry.value.spot);
            part.prices.profiles.insert(entry.key.clone(), model.to_owned());
        }
    }
    if let Some(node) = fields.get("instances")
        && let Some(items) = sink.list(node, "`instances`", &format!("[{INSTANCE_EXAMPLE}]"))
    {
        for item in items {
            instance(item, &mut part, sink);
        }
    }
    if let Some(node) = fields.get("accept")
        && let Some(texts) = sink.texts(node, "`accept`", "accept: [us.anthropic.claude-sonnet-4-6]")
    {
        part.prices.accept.extend(texts.into_iter().map(|(text, _)| text.to_owned()));
    }
    part.prices.spot_share =
        fields.get("spotShare").and_then(|n| sink.percent(n, "`spotShare`", "5%", "100%"));
    part.whole = sink.errors() == before;
    Some(part)
}

/// `true`, or `{until: 2026-12-01}`. What cannot be read is looked at all the same: one mistake, one diagnostic.
fn shadow(node: &Node, sink: &mut Sink<'_>) -> Option<Option<Timestamp>> {
    if let Shape::Bool(shadows) = node.shape {
        return shadows.then_some(None);
    }
    let fields = sink.object(node, "`shadow`", "{until: 2026-12-01}", &SHADOW);
    let help = "write `shadow: {until: 2026-12-01}`, or `shadow: true` until a person says that it counts";
    let until = fields.and_then(|fields| fields.required("until", help, sink));
    Some(until.and_then(|until| limit::until(until, None, sink)))
}

/// The day on which somebody read the prices: part of the book's id.
fn as_of<'n>(node: &'n Node, sink: &mut Sink<'_>) -> Option<&'n str> {
    let text = sink.text(node, "`asOf`")?;
    if chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").is_err() {
        let message = format!("`{text}` is not a date");
        sink.error(Kind::BadTime, node.spot, message, "write it like `2026-11-20`");
        return None;
    }
    Some(text)
}

fn models(node: &Node, part: &mut Part, sink: &mut Sink<'_>) {
    let Some(entries) = sink.map(node, "`models`", &format!("my.model: {MODEL_EXAMPLE}")) else { return };
    for entry in entries {
        let what = format!("`{}`", entry.key);
        let Some(fields) = sink.object(&entry.value, &what, MODEL_EXAMPLE, &MODEL) else { continue };
        part.spots.insert((entry.key.clone(), None), entry.spot);
        let mut rate = |key: &'static str, class: &'static str| {
            let node = fields.get(key)?;
            part.spots.insert((entry.key.clone(), Some(class)), node.spot);
            sink.quantity::<TokenRate>(node, &format!("`{key}`"), Kind::BadAmount)
        };
        let mut price = ShortPrice {
            tier: None,
            input: rate("input", "input"),
            output: rate("output", "output"),
            cache_read: rate("cacheRead", "cache_read"),
            cache_write_5m: rate("cacheWrite5m", "cache_write_5m"),
            cache_write_1h: rate("cacheWrite1h", "cache_write_1h"),
        };
        price.tier = tier(&fields, sink);
        part.prices.models.insert(entry.key.clone(), price);
    }
}

fn tier(fields: &Fields<'_>, sink: &mut Sink<'_>) -> Option<Tier> {
    let words = Tier::ALL.map(|tier| (tier.word(), tier));
    sink.word(fields.get("tier")?, "`tier`", Kind::UnknownWord, &words)
}

fn instance(node: &Node, part: &mut Part, sink: &mut Sink<'_>) {
    let Some(fields) = sink.object(node, "an instance", INSTANCE_EXAMPLE, &INSTANCE) else { return };
    let help = format!("write `{INSTANCE_EXAMPLE}`");
    let kind = fields.required("type", &help, sink).and_then(|n| sink.text(n, "`type`"));
    let words = [("spot", "spot"), ("on-demand", "on-demand")];
    let capacity = fields
        .required("capacityType", &help, sink)
        .and_then(|n| sink.word(n, "`capacityType`", Kind::UnknownWord, &words));
    let region = fields.get("region").and_then(|n| sink.text(n, "`region`"));
    let price_node = fields.required("price", &help, sink);
    let price = price_node.and_then(|n| sink.quantity::<HourRate>(n, "`price`", Kind::BadAmount));
    let (Some(kind), Some(capacity), Some(price)) = (kind, capacity, price) else { return };
    // The key by which the price module names it in what it refuses.
    let key = format!("{}/{kind}/{capacity}", region.unwrap_or("*"));
    let spot = price_node.map_or(fields.spot, |n| n.spot);
    if part.spots.insert((key.clone(), None), spot).is_some() {
        let message = format!("the price of `{key}` is here a second time");
        sink.error(Kind::DuplicateName, fields.spot, message, "keep one of the two");
    }
    part.prices.instances.push(InstanceOverride {
        instance_type: kind.to_owned(),
        capacity_type: capacity.to_owned(),
        region: region.map(ToOwned::to_owned),
        price,
    });
}

/// All documents in one, with the prices that are not believable reported; beside them, where some are only
/// looked at, the same with those over it.
pub(super) fn join(
    parts: Vec<Part>,
    files: &PriceFiles<'_>,
    sinks: &mut [Sink<'_>],
) -> (PriceOverrides, Option<ShadowPrices>) {
    let all_whole = parts.iter().all(|part| part.whole);
    let (shadows, counting): (Vec<Part>, Vec<Part>) = parts.into_iter().partition(|p| p.shadow.is_some());
    let mut named = files.named();
    let mut whole = Whole::default();
    whole.add(counting, &mut named, sinks);
    let dates: Vec<Option<Timestamp>> = shadows.iter().filter_map(|part| part.shadow).collect();
    let mut shadow = (!shadows.is_empty()).then(|| whole.clone());
    if let Some(shadow) = &mut shadow {
        shadow.stated.clear();
        shadow.add(shadows, &mut named, sinks);
    }
    // Of a book with gaps the comparison would report the gaps once more.
    if all_whole {
        for whole in std::iter::once(&whole).chain(&shadow) {
            whole.refuse_unbelievable(&named, sinks);
        }
    }
    named.warn_of_unused(sinks);
    // The latest date holds; one without a date waits for a person, and the others with it.
    let until = dates.into_iter().collect::<Option<Vec<_>>>().and_then(|dates| dates.into_iter().max());
    (whole.prices(), shadow.map(|shadow| ShadowPrices { prices: shadow.prices(), until }))
}

/// By key and, for a rate of a model, its class word: file and place.
type Spots = BTreeMap<(String, Option<&'static str>), (usize, Spot)>;

/// Documents that have been joined.
#[derive(Clone, Default)]
struct Whole {
    prices: PriceOverrides,
    names: BTreeSet<Box<str>>,
    spots: Spots,
    /// What the documents of this round state: no key twice.
    stated: Spots,
    /// The first document, for what has no place of its own.
    first: Option<(usize, Spot)>,
}

impl Whole {
    fn add(&mut self, parts: Vec<Part>, named: &mut Named<'_>, sinks: &mut [Sink<'_>]) {
        let mut share = None;
        for part in parts {
            share = share.or(part.prices.spot_share);
            if let Some((path, spot)) = &part.litellm {
                self.prices.litellm.extend(named.take(path, (part.file, *spot), sinks));
            }
            self.first = self.first.or(Some((part.file, part.spot)));
            self.names.insert(part.name);
            for (key, spot) in part.spots {
                if let Some((file, other)) = self.stated.get(&key)
                    && key.1.is_none()
                {
                    let place = sinks[*file].place(*other);
                    let message = format!("`{}` is priced a second time", key.0);
                    let help = format!("keep one of the two; the first is at {place}");
                    sinks[part.file].error(Kind::DuplicateName, spot, message, help);
                }
                self.stated.entry(key.clone()).or_insert((part.file, spot));
                self.spots.insert(key, (part.file, spot));
            }
            self.prices.models.extend(part.prices.models);
            self.prices.profiles.extend(part.prices.profiles);
            self.prices.instances.extend(part.prices.instances);
            self.prices.accept.extend(part.prices.accept);
        }
        self.prices.spot_share = share.or(self.prices.spot_share);
    }

    fn prices(&self) -> PriceOverrides {
        let name = self.names.iter().map(|n| &**n).collect::<Vec<_>>().join("+");
        PriceOverrides { name, ..self.prices.clone() }
    }

    fn refuse_unbelievable(&self, named: &Named<'_>, sinks: &mut [Sink<'_>]) {
        let Some(first) = self.first else { return };
        let Err(issues) = PriceBook::embedded().with_overrides(&self.prices) else { return };
        let places = Places { spots: &self.spots, named, first };
        for issue in issues {
            let (file, spot) = places.of(&issue);
            let text = issue.problem.to_string();
            let (problem, help) = text.split_once("; ").unwrap_or((&text, "correct the price"));
            let message = format!("the price of `{}` is refused: {problem}", issue.key);
            sinks[file].error(Kind::PriceRefused, spot, message, help);
        }
    }
}

/// Where each figure was written.
struct Places<'p> {
    spots: &'p Spots,
    named: &'p Named<'p>,
    /// The first price book, for what has no place of its own.
    first: (usize, Spot),
}

impl Places<'_> {
    fn of(&self, issue: &PriceIssue) -> (usize, Spot) {
        let class = TokenClass::ALL.into_iter().map(TokenClass::word);
        let class = class.into_iter().find(|word| issue.field.as_deref() == Some(*word));
        let short = || {
            let by_field = self.spots.get(&(issue.key.clone(), class));
            by_field.or_else(|| self.spots.get(&(issue.key.clone(), None))).copied()
        };
        let is_of_file = issue.field.is_some() && class.is_none();
        let in_file = || self.named.place(issue);
        let found = if is_of_file { in_file().or_else(short) } else { short().or_else(in_file) };
        found.unwrap_or(self.first)
    }
}
