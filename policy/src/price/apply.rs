//! Overrides onto a book: merged figure by figure, each past the magnitude guards, all issues at once.
//!
//! All or nothing: with one issue there is no new book, and whoever asked keeps the one in force.

use std::collections::BTreeMap;
use std::hash::Hasher;

use siphasher::sip::SipHasher13;

use super::book::{ANY_REGION, Book, HOME_REGION, ON_DEMAND, PriceBook, SPOT, instance_key};
use super::entry::{Entry, Figure, Listed};
use super::guard::{PriceIssue, PriceProblem, judge_hour_rate, judge_spot_rate, judge_token_rate};
use super::litellm::{self, FileEntry, FileRate, canonical, issue};
use super::model_id::{self, GEO_SCOPES, GLOBAL_SCOPE, ModelRef, split_scope};
use super::overrides::{InstanceOverride, PriceOverrides, ShortPrice};
use super::slip;
use crate::money::{HourRate, TokenRate};

impl PriceBook {
    /// This book with overrides merged in, judged against this book's own prices.
    ///
    /// # Errors
    /// Every price that was refused or could not be read. No price is taken then.
    pub fn with_overrides(&self, overrides: &PriceOverrides) -> Result<Self, Vec<PriceIssue>> {
        self.with_overrides_after(overrides, self)
    }

    /// The same, judged against the prices of `last`, the book that is in force. A reload starts from the
    /// embedded book, so that an override that was taken out is gone, but a changed one is compared with
    /// what it was.
    ///
    /// # Errors
    /// Every price that was refused or could not be read. No price is taken then.
    pub fn with_overrides_after(
        &self,
        overrides: &PriceOverrides,
        last: &Self,
    ) -> Result<Self, Vec<PriceIssue>> {
        let mut draft = Draft { book: self.book().clone(), last: last.book(), overrides, issues: Vec::new() };
        for text in &overrides.litellm {
            draft.add_litellm(text);
        }
        for (key, price) in &overrides.models {
            draft.add_short(key, price);
        }
        for instance in &overrides.instances {
            draft.add_instance(instance);
        }
        draft.book.spot_share = overrides.spot_share.or(draft.book.spot_share);
        draft.add_profiles();
        if !draft.issues.is_empty() {
            return Err(draft.issues);
        }
        let mut book = draft.book;
        if *overrides != PriceOverrides::default() {
            book.id = format!("{}+{}-{:016x}", book.id, overrides.name, content_hash(overrides));
        }
        Ok(Self::from_book(book))
    }
}

/// 64 bits over all that the overrides say, so that two books with one id are the same book.
fn content_hash(overrides: &PriceOverrides) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(0, 0);
    // Plain data without maps of unknown length: postcard has nothing to refuse.
    hasher.write(&postcard::to_stdvec(overrides).unwrap_or_default());
    hasher.finish()
}

struct Draft<'a> {
    book: Book,
    last: &'a Book,
    overrides: &'a PriceOverrides,
    issues: Vec<PriceIssue>,
}

impl Draft<'_> {
    fn accepted(&self, key: &str) -> bool {
        self.overrides.accept.contains(key)
    }

    fn add_litellm(&mut self, text: &str) {
        let (entries, issues) = litellm::read(text);
        self.issues.extend(issues);
        for (key, entry) in &entries {
            let global = global_twin(key, &entries, &self.book);
            self.add_file_entry(key, entry, &global);
        }
    }

    fn add_file_entry(&mut self, key: &str, file: &FileEntry, global: &BTreeMap<Figure, TokenRate>) {
        let mut entry = self.book.models.get(key).cloned().unwrap_or_default();
        let had_global_rates = entry.lists_global_rates();
        if file.provider.is_some() {
            entry.provider.clone_from(&file.provider);
        }
        // A file without the field is one that somebody wrote for this daemon.
        let provider = file.provider.as_deref().unwrap_or("bedrock");
        for (figure, rate) in &file.rates {
            if self.take(key, &rate.field, *figure, rate.rate, Some(provider)) {
                // LiteLLM has the global rate under these bare ids. A figure that is the global one still
                // lacks the premium; one that is not was stated by somebody who knew better.
                let before = entry.rate(figure.0, figure.1, figure.2).map(|listed| listed.rate);
                let is_global =
                    had_global_rates && (before == Some(rate.rate) || global.get(figure) == Some(&rate.rate));
                entry.set(*figure, Listed { rate: rate.rate, rounded: rate.rounded, is_global });
            }
        }
        self.book.models.insert(key.to_owned(), entry);
    }

    fn add_short(&mut self, key: &str, price: &ShortPrice) {
        let key = canonical(key);
        let mut entry = self.book.models.get(key).cloned().unwrap_or_default();
        if price.stated().next().is_none() {
            self.issues.push(issue(key, None, PriceProblem::Nothing));
        }
        for (class, rate) in price.stated() {
            let figure = (price.tier.unwrap_or_default(), 0, class);
            if self.take(key, class.word(), figure, rate, None) {
                entry.set(figure, Listed { rate, rounded: false, is_global: false });
            }
        }
        self.book.models.insert(key.to_owned(), entry);
    }

    /// Whether a figure is to be taken; refusing it is an issue, leaving out a zero that LiteLLM lists for
    /// what is billed otherwise is not. `provider` is LiteLLM's, `None` for the short form.
    fn take(
        &mut self,
        key: &str,
        field: &str,
        figure: Figure,
        rate: TokenRate,
        provider: Option<&str>,
    ) -> bool {
        if self.accepted(key) {
            return true;
        }
        let last = figure_in(self.last, key, figure);
        if rate == TokenRate::ZERO && last.is_none() && provider.is_some() {
            return false;
        }
        let siblings = siblings(key).into_iter();
        let siblings: Vec<(String, TokenRate)> = siblings
            .filter_map(|sibling| figure_in(self.last, &sibling, figure).map(|rate| (sibling, rate)))
            .collect();
        let written = if provider.is_some() { slip::in_both_forms } else { slip::in_short };
        let Some(problem) = judge_token_rate(rate, last, &siblings, written) else {
            return true;
        };
        // Upstream's file has slips of other vendors that are nobody's business here. What we have never
        // priced stays unpriced; one of Bedrock's, or one that we had a price for, is refused aloud.
        let foreign = provider.is_some_and(|provider| !provider.starts_with("bedrock"));
        if !(foreign && last.is_none()) {
            self.issues.push(issue(key, Some(field), problem));
        } else {
            self.book.left_out = self.book.left_out.saturating_add(1);
        }
        false
    }

    fn add_instance(&mut self, instance: &InstanceOverride) {
        let region = instance.region.as_deref().unwrap_or(ANY_REGION);
        let key = instance_key(region, &instance.instance_type, &instance.capacity_type);
        if !self.accepted(&key) && !self.accepted(&instance.instance_type) {
            let look = |capacity: &str| hour_rate_in(self.last, region, &instance.instance_type, capacity);
            let last = look(&instance.capacity_type);
            let on_demand = look(ON_DEMAND).filter(|_| last.is_none() && instance.capacity_type == SPOT);
            let problem =
                judge_hour_rate(instance.price, last).or_else(|| judge_spot_rate(instance.price, on_demand));
            if let Some(problem) = problem {
                self.issues.push(issue(&key, None, problem));
                return;
            }
        }
        self.book.instances.insert(key, instance.price);
    }

    /// Each target must be a model of the book: a map to nothing would be unpriced for ever.
    fn add_profiles(&mut self) {
        for (id, target) in &self.overrides.profiles {
            let known = match model_id::parse(target) {
                ModelRef::Model { id, .. } => self.knows(id),
                _ => false,
            };
            if known {
                self.book.profiles.insert(id.clone(), target.clone());
            } else {
                self.issues.push(issue(id, None, PriceProblem::BadTarget { target: target.clone() }));
            }
        }
    }

    /// Whether the id has a key, of its own or in some region.
    fn knows(&self, id: &str) -> bool {
        let regional = |key: &String| {
            key.strip_prefix("bedrock/")
                .and_then(|rest| rest.split_once('/'))
                .is_some_and(|(_, bare)| bare == id)
        };
        !id.is_empty() && (self.book.models.contains_key(id) || self.book.models.keys().any(regional))
    }
}

fn figure_in(book: &Book, key: &str, (tier, above, class): Figure) -> Option<TokenRate> {
    let entry: &Entry = book.models.get(key)?;
    entry.rate(tier, above, class).map(|listed| listed.rate)
}

/// The last price of that region, of every region, or of the home region.
fn hour_rate_in(book: &Book, region: &str, kind: &str, capacity: &str) -> Option<HourRate> {
    [region, ANY_REGION, HOME_REGION]
        .iter()
        .find_map(|region| book.instances.get(&instance_key(region, kind, capacity)))
        .copied()
}

/// The keys of the same model under every other scope. Regional keys have none.
fn siblings(key: &str) -> Vec<String> {
    if key.contains('/') {
        return Vec::new();
    }
    let (_, bare) = split_scope(key);
    let scoped = GEO_SCOPES.iter().chain([&GLOBAL_SCOPE]).map(|scope| format!("{scope}.{bare}"));
    std::iter::once(bare.to_owned()).chain(scoped).filter(|sibling| sibling != key).collect()
}

/// The figures of `global.<key>`, in the file where it has them, else in the book.
fn global_twin(key: &str, file: &BTreeMap<String, FileEntry>, book: &Book) -> BTreeMap<Figure, TokenRate> {
    let twin = format!("{GLOBAL_SCOPE}.{key}");
    let mut figures = BTreeMap::new();
    if let Some(entry) = book.models.get(&twin) {
        figures.extend(entry.figures().map(|(figure, listed)| (figure, listed.rate)));
    }
    if let Some(entry) = file.get(&twin) {
        figures.extend(entry.rates.iter().map(|(figure, FileRate { rate, .. })| (*figure, *rate)));
    }
    figures
}
