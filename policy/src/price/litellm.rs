//! LiteLLM's price file as it stands: keys, field names and USD per token in JSON numbers.
//!
//! The numbers are read from their text, never through a float: `3.3e-06` is 3,300,000 pico-dollars and not
//! 3,299,999.9…. Fields that are not a price per token are passed over, as are tiers that Bedrock does not
//! sell; what is a price per token and cannot be read is an issue. A listed 0 is no price (LiteLLM writes it
//! for what is billed by the query or the image).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::entry::Figure;
use super::guard::{PriceIssue, PriceProblem, is_believable};
use super::{Tier, TokenClass, slip};
use crate::money::TokenRate;

/// One entry of the file.
#[derive(Debug, Default)]
pub(super) struct FileEntry {
    /// `litellm_provider`; `None` in files that people wrote by hand.
    pub(super) provider: Option<String>,
    /// The token rates with the field that each is from.
    pub(super) rates: BTreeMap<Figure, FileRate>,
}

/// One figure of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileRate {
    pub(super) field: String,
    pub(super) rate: TokenRate,
    /// The text had more digits than a pico-dollar.
    pub(super) rounded: bool,
}

/// LiteLLM's documentation entry, which looks like a model.
const SAMPLE: &str = "sample_spec";

/// The key under which a file that cannot be read at all is refused.
const WHOLE_FILE: &str = "litellm";

/// Where something stands in a file: line and column from 1, and characters that are marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilePlace {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// Characters that are marked.
    pub width: u32,
}

impl FilePlace {
    fn of(text: &str, offset: usize, length: usize) -> Self {
        let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let before = text.get(..offset).unwrap_or_default();
        let line = before.matches('\n').count().saturating_add(1);
        let column = before.chars().rev().take_while(|c| *c != '\n').count().saturating_add(1);
        let marked = text.get(offset..offset.saturating_add(length)).unwrap_or_default();
        let width = marked.lines().next().unwrap_or_default().chars().count().max(1);
        Self { line: small(line), column: small(column), width: small(width) }
    }
}

/// Where a LiteLLM file has a figure, by the key and the field that a [`PriceIssue`] names; where it is not
/// JSON, where that shows. `None` where the file has no such key.
#[must_use]
pub fn place_in_file(text: &str, key: &str, field: Option<&str>) -> Option<FilePlace> {
    let file: RawFile<'_> = match serde_json::from_str(text) {
        Ok(file) => file,
        Err(error) if key == WHOLE_FILE => {
            let line =
                text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum::<usize>();
            return Some(FilePlace::of(text, line.saturating_add(error.column().saturating_sub(1)), 1));
        }
        Err(_) => return None,
    };
    let (written, raw) = file.iter().find(|(written, _)| *written == key || canonical(written) == key)?;
    let offset_of = |part: &RawValue| (part.get().as_ptr() as usize).checked_sub(text.as_ptr() as usize);
    let fields = field.and_then(|field| Some((field, serde_json::from_str::<RawFile<'_>>(raw.get()).ok()?)));
    if let Some(value) = fields.and_then(|(field, fields)| fields.get(field).copied()) {
        return Some(FilePlace::of(text, offset_of(value)?, value.get().len()));
    }
    let quoted = format!("\"{written}\"");
    let value = offset_of(raw)?;
    let at = text.get(..value).and_then(|before| before.rfind(&quoted)).unwrap_or(value);
    Some(FilePlace::of(text, at, quoted.len()))
}

/// The same file with only what a book is made of: upstream's is some megabytes of other facts about models,
/// and what a rule set holds is written to the journal. A text that is no such file is answered as it is.
#[must_use]
pub fn reduced_file(text: &str) -> String {
    let Ok(file) = serde_json::from_str::<RawFile<'_>>(text) else { return text.to_owned() };
    let mut reduced = String::from("{");
    for (key, raw) in file.iter().filter(|(key, _)| *key != SAMPLE) {
        let kept = match serde_json::from_str::<RawFile<'_>>(raw.get()) {
            Ok(mut fields) => {
                let by_hand = !fields.contains_key("litellm_provider");
                fields.retain(|field, raw| {
                    field == "litellm_provider"
                        || (figure_of(field).is_some() && raw.get() != "null")
                        || unknown_unit(field, raw.get(), by_hand).is_some()
                });
                serde_json::to_string(&fields).ok()
            }
            Err(_) => None,
        };
        let comma = if reduced.len() > 1 { "," } else { "" };
        let key = serde_json::to_string(key).unwrap_or_default();
        reduced.push_str(&format!("{comma}{key}:{}", kept.as_deref().unwrap_or(raw.get())));
    }
    reduced.push('}');
    reduced
}

type RawFile<'a> = BTreeMap<String, &'a RawValue>;

/// Reads a file: the entries by canonical key, and everything that could not be read.
pub(super) fn read(text: &str) -> (BTreeMap<String, FileEntry>, Vec<PriceIssue>) {
    let mut issues = Vec::new();
    let mut entries = BTreeMap::new();
    let file: RawFile<'_> = match serde_json::from_str(text) {
        Ok(file) => file,
        Err(error) => {
            let what = format!("not a LiteLLM price file; write a JSON object of models by key: {error}");
            issues.push(issue(WHOLE_FILE, None, PriceProblem::BadFile { what }));
            return (entries, issues);
        }
    };
    for (key, raw) in file.into_iter().filter(|(key, _)| key != SAMPLE) {
        match serde_json::from_str::<RawFile<'_>>(raw.get()) {
            Ok(fields) => {
                let entry = read_entry(&key, &fields, &mut issues);
                insert(&mut entries, key, entry);
            }
            Err(_) => {
                let what = "not an object of prices; write one such as `{\"input_cost_per_token\": 3.3e-06}`"
                    .to_owned();
                issues.push(issue(&key, None, PriceProblem::BadFile { what }));
            }
        }
    }
    (entries, issues)
}

/// Under its canonical key, where a key that needed no canonical form wins over one that did.
fn insert(entries: &mut BTreeMap<String, FileEntry>, key: String, entry: FileEntry) {
    let canonical = canonical(&key).to_owned();
    if canonical == key {
        entries.insert(key, entry);
    } else {
        entries.entry(canonical).or_insert(entry);
    }
}

fn read_entry(key: &str, fields: &RawFile<'_>, issues: &mut Vec<PriceIssue>) -> FileEntry {
    let provider = fields
        .get("litellm_provider")
        .and_then(|raw| String::deserialize(&mut serde_json::Deserializer::from_str(raw.get())).ok());
    let mut entry = FileEntry { provider, ..FileEntry::default() };
    for (field, raw) in fields {
        let Some(figure) = figure_of(field) else {
            issues.extend(
                unknown_unit(field, raw.get(), entry.provider.is_none()).map(|p| issue(key, Some(field), p)),
            );
            continue;
        };
        match usd_per_token(raw.get()) {
            Some((rate, rounded)) => {
                entry.rates.insert(figure, FileRate { field: field.clone(), rate, rounded });
            }
            None if raw.get() == "null" => {}
            None => {
                let (text, instead) = (raw.get().to_owned(), instead_of(raw.get()));
                issues.push(issue(key, Some(field), PriceProblem::NotAPrice { text, instead }));
            }
        }
    }
    entry
}

pub(super) fn issue(key: &str, field: Option<&str>, problem: PriceProblem) -> PriceIssue {
    PriceIssue { key: key.to_owned(), field: field.map(str::to_owned), problem }
}

/// What a value that is no price may have meant: a price with a minus sign, in quotes, or with a unit.
fn instead_of(text: &str) -> String {
    let plain = text.trim_matches('"').trim();
    let read =
        plain.parse::<TokenRate>().ok().or_else(|| usd_per_token(plain.trim_start_matches('-')).map(|r| r.0));
    match read.filter(|rate| is_believable(*rate)) {
        Some(rate) => format!("did you mean {}?", slip::in_both_forms(rate)),
        None => "write a number of USD for one token, 0 or more, such as `3.3e-06`".to_owned(),
    }
}

/// Scales by which people quote prices and LiteLLM's fields do not, with their places.
const SCALES: [(&str, u32); 6] =
    [("million", 6), ("1m_tok", 6), ("mtok", 6), ("m_tok", 6), ("thousand", 3), ("1k_tok", 3)];

/// A field that looks like a price of tokens and is none of LiteLLM's: by another scale, or, in a file that
/// somebody wrote by hand, any price that is not known. Upstream's file has prices by the image, the second
/// and the query, which are passed over.
fn unknown_unit(field: &str, text: &str, by_hand: bool) -> Option<PriceProblem> {
    let (_, class) = [("input_cost", 3), ("output_cost", 4), ("cache_read", 2), ("cache_creation", 1)]
        .into_iter()
        .find(|(prefix, _)| field.starts_with(prefix))
        .or_else(|| (by_hand && field.contains("cost")).then_some(("", 3)))?;
    let scale = SCALES.iter().find(|(word, _)| field.contains(word)).filter(|_| !field.contains("above"));
    let suggested = CLASSES[class].0;
    let instead = match scale {
        Some((_, places)) => {
            let rate = usd_per_token(&format!("{text}e-{places}")).filter(|_| !text.contains(['e', 'E']));
            match rate {
                Some((rate, _)) => format!("write `\"{suggested}\": {}`", slip::per_token(rate)),
                None => format!("write `{suggested}`, in USD for one token"),
            }
        }
        None if by_hand => format!("write `{suggested}`, in USD for one token, or take it out"),
        None => return None,
    };
    Some(PriceProblem::UnknownUnit { field: field.to_owned(), instead })
}

/// `bedrock/<id>` and `bedrock/invoke/<id>` are the id; every other key is itself.
pub(super) fn canonical(key: &str) -> &str {
    match key.strip_prefix("bedrock/") {
        Some(id) if !id.contains('/') => id,
        Some(rest) => rest.strip_prefix("invoke/").filter(|id| !id.contains('/')).unwrap_or(key),
        None => key,
    }
}

/// The longer prefix first.
const CLASSES: [(&str, TokenClass); 5] = [
    ("cache_creation_input_token_cost_above_1hr", TokenClass::CacheWrite1h),
    ("cache_creation_input_token_cost", TokenClass::CacheWrite5m),
    ("cache_read_input_token_cost", TokenClass::CacheRead),
    ("input_cost_per_token", TokenClass::Input),
    ("output_cost_per_token", TokenClass::Output),
];

/// What a field is the price of: class, then cliff and tier in either order. `None` for all other fields.
fn figure_of(field: &str) -> Option<Figure> {
    let (mut rest, class) =
        CLASSES.iter().find_map(|(prefix, class)| Some((field.strip_prefix(prefix)?, *class)))?;
    let (mut tier, mut above) = (Tier::Default, 0_u64);
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("_above_") {
            let (thousands, after) = after.split_once("k_tokens")?;
            above = thousands.parse::<u64>().ok()?.checked_mul(1000)?;
            rest = after;
        } else {
            (rest, tier) = [("_batches", Tier::Batch), ("_flex", Tier::Flex), ("_priority", Tier::Priority)]
                .iter()
                .find_map(|(suffix, tier)| Some((rest.strip_prefix(suffix)?, *tier)))?;
        }
    }
    Some((tier, above, class))
}

/// Decimals of a pico-dollar.
const PICO_DECIMALS: i64 = 12;

/// Reads a JSON number of USD as whole pico-dollars, half-even, and whether that was a rounding. `None`
/// for all else, for negative numbers, and above [`TokenRate::MAX`].
fn usd_per_token(text: &str) -> Option<(TokenRate, bool)> {
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: i64 = exponent.parse().ok()?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let decimals = i64::try_from(fraction.len()).ok()?;
    let shift = exponent.checked_sub(decimals)?.checked_add(PICO_DECIMALS)?;
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    if digits.is_empty() {
        return Some((TokenRate::ZERO, false));
    }
    let (picos, rounded) = shifted(digits, shift)?;
    Some((TokenRate::from_picos(picos)?, rounded))
}

/// `digits` × 10^`shift` as a whole number, half-even, and whether digits were lost.
fn shifted(digits: &str, shift: i64) -> Option<(u64, bool)> {
    if let Ok(zeros) = u32::try_from(shift) {
        let value: u64 = digits.parse().ok()?;
        return Some((value.checked_mul(10_u64.checked_pow(zeros)?)?, false));
    }
    let dropped = usize::try_from(shift.unsigned_abs()).ok()?;
    let Some(kept) = digits.len().checked_sub(dropped) else {
        // Less than a tenth of a pico-dollar.
        return Some((0, true));
    };
    let (kept, lost) = digits.split_at(kept);
    let value: u64 = if kept.is_empty() { 0 } else { kept.parse().ok()? };
    let (first, others) = lost.split_at(1);
    let others = others.bytes().any(|b| b != b'0');
    let up = match first {
        "5" => others || value % 2 == 1,
        first => first > "5",
    };
    Some((value.checked_add(u64::from(up))?, first != "0" || others))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usd_is_read_from_its_text_without_a_float() {
        for (text, picos, rounded) in [
            ("3.3e-06", 3_300_000, false),
            ("1E-7", 100_000, false),
            ("1.44375e-7", 144_375, false),
            ("0.0000033", 3_300_000, false),
            ("0.00000330", 3_300_000, false),
            ("0", 0, false),
            ("0.0", 0, false),
            ("0e5", 0, false),
            ("1", 1_000_000_000_000, false),
            ("5e-9", 5_000, false),
            // Finer than a pico-dollar: half-even, and said so.
            ("1.5e-12", 2, true),
            ("2.5e-12", 2, true),
            ("2.50000000000000000000000000000001e-12", 3, true),
            ("1.20000000000000002e-06", 1_200_000, true),
            ("1.1999999999999999e-06", 1_200_000, true),
            ("9e-14", 0, true),
            ("6e-13", 1, true),
            ("5e-13", 0, true),
            ("1e-400", 0, true),
        ] {
            let rate = TokenRate::from_picos(picos).expect("in range");
            assert_eq!(usd_per_token(text), Some((rate, rounded)), "{text}");
        }
    }

    #[test]
    fn what_is_no_price_is_not_read_as_one() {
        let texts = [
            "-1e-6",
            "\"3e-6\"",
            "true",
            "[]",
            "{}",
            "",
            "1e400",
            "1001",
            "1e99999999999999999999",
            "1.2.3",
            "0x1",
        ];
        for text in texts {
            assert_eq!(usd_per_token(text), None, "{text}");
        }
    }

    #[test]
    fn field_names_give_class_cliff_and_tier() {
        use Tier::{Batch, Default, Flex, Priority};
        use TokenClass::{CacheRead, CacheWrite1h, CacheWrite5m, Input, Output};
        for (field, figure) in [
            ("input_cost_per_token", Some((Default, 0, Input))),
            ("output_cost_per_token_batches", Some((Batch, 0, Output))),
            ("output_cost_per_token_priority", Some((Priority, 0, Output))),
            ("cache_read_input_token_cost_flex", Some((Flex, 0, CacheRead))),
            ("cache_creation_input_token_cost", Some((Default, 0, CacheWrite5m))),
            ("cache_creation_input_token_cost_above_1hr", Some((Default, 0, CacheWrite1h))),
            (
                "cache_creation_input_token_cost_above_1hr_above_200k_tokens",
                Some((Default, 200_000, CacheWrite1h)),
            ),
            (
                "cache_creation_input_token_cost_above_100k_tokens_batches",
                Some((Batch, 100_000, CacheWrite5m)),
            ),
            ("input_cost_per_token_priority_above_272k_tokens", Some((Priority, 272_000, Input))),
            ("input_cost_per_token_ultrafast", None),
            ("input_cost_per_token_above_272k_tokens_ultrafast", None),
            ("input_cost_per_token_above_many_tokens", None),
            ("input_cost_per_audio_token", None),
            ("output_cost_per_image", None),
            ("mode", None),
        ] {
            assert_eq!(figure_of(field), figure, "{field}");
        }
    }

    #[test]
    fn keys_with_a_needless_bedrock_prefix_are_the_id() {
        for (key, id) in [
            ("bedrock/moonshotai.kimi-k2.5", "moonshotai.kimi-k2.5"),
            (
                "bedrock/invoke/anthropic.claude-3-5-sonnet-20240620-v1:0",
                "anthropic.claude-3-5-sonnet-20240620-v1:0",
            ),
            ("bedrock/us-west-2/anthropic.claude-v1", "bedrock/us-west-2/anthropic.claude-v1"),
            ("bedrock_mantle/openai.gpt-5.5", "bedrock_mantle/openai.gpt-5.5"),
            ("us.amazon.nova-pro-v1:0", "us.amazon.nova-pro-v1:0"),
        ] {
            assert_eq!(canonical(key), id, "{key}");
        }
    }

    #[test]
    fn a_file_that_is_not_one_says_what_it_should_be() {
        let (entries, issues) = read("[1]");
        assert!(entries.is_empty());
        assert!(issues[0].to_string().contains("not a LiteLLM price file"), "{}", issues[0]);
        let (_, issues) = read(r#"{"a.b": 3, "c.d": {"input_cost_per_token": "3e-6"}, "sample_spec": {}}"#);
        let said: Vec<String> = issues.iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "price of `a.b`: not an object of prices; write one such as `{\"input_cost_per_token\": 3.3e-06}`",
                "price of `c.d`, `input_cost_per_token`: `\"3e-6\"` is not a price per token; did you mean 3.00 USD \
                 per 1M tokens, `3e-06`?",
            ]
        );
    }
}
