//! Usage spread evenly: calls at even distances, whose parts add up to the whole to the last token.

use crate::fact::{
    IdKey, InstanceUse, OriginRef, Quantities, UsageBatch, UsageBatchBuilder, UsageFlags, UsageRef,
};
use crate::money::{Money, TokenRate};
use crate::price::{ShortPrice, TokenCounts};
use crate::rule::RuleSet;
use crate::rule::trial::{TrialFact, TrialFactKind, TrialQuantity, TrialUsage};
use crate::subject::{Trust, field};
use crate::time::{Span, Timestamp};

/// Where nothing else is said.
const ACCOUNT: &str = "111122223333";
const REGION: &str = "us-east-1";

/// A model that costs one dollar for a million tokens: what an amount is charged as.
const DOLLARS: &str = "dollars";
const DOLLARS_ARN: &str = "arn:aws:bedrock:us-east-1:111122223333:imported-model/dollars";
/// A micro-dollar, the price of one of its tokens, in pico-dollars.
const MICRO: i128 = 1_000_000;

/// Gives the model of amounts its price.
pub(super) fn price_dollars(rules: &mut RuleSet) {
    let rate: Option<TokenRate> = "1 USD per 1M tokens".parse().ok();
    let price = ShortPrice { input: rate, output: rate, ..ShortPrice::default() };
    rules.prices.models.insert(format!("custom/{DOLLARS}"), price);
    rules.prices.models.insert(DOLLARS.to_owned(), price);
}

/// Number and instant of each call. The first is at the beginning, and none at the very end: a day of usage is
/// within its day.
pub(super) fn calls(from: Timestamp, usage: &TrialUsage) -> impl Iterator<Item = (u32, Timestamp)> + use<> {
    let (calls, over) = (usage.calls(), usage.over);
    (0..calls).map(move |call| (call, from.plus(nth(over, call, calls))))
}

/// So much of a time as is over when that call is made.
fn nth(over: Span, call: u32, calls: u32) -> Span {
    let millis = i128::from(over.millis()).saturating_mul(i128::from(call)) / i128::from(calls.max(1));
    Span::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
}

/// What falls to one call: what is due with it, less what was due before.
fn part(total: u64, call: u32, calls: u32) -> u64 {
    let due =
        |calls_made: u32| u128::from(total).saturating_mul(u128::from(calls_made)) / u128::from(calls.max(1));
    u64::try_from(due(call.saturating_add(1)).saturating_sub(due(call))).unwrap_or(u64::MAX)
}

/// The calls of one instant as batches, one for each run of the same source.
pub(super) fn batches(key: IdKey, facts: &[TrialFact], calls: &[(usize, u32)]) -> Vec<UsageBatch> {
    let mut batches = Vec::new();
    let mut builder: Option<(&str, UsageBatchBuilder)> = None;
    for (number, call) in calls {
        let fact = &facts[*number];
        let TrialFactKind::Usage(usage) = &fact.kind else { continue };
        if builder.as_ref().is_none_or(|(source, _)| *source != &*usage.source)
            && let Some((_, mut done)) =
                builder.replace((&*usage.source, UsageBatchBuilder::new(key, &usage.source, false)))
        {
            batches.push(done.finish());
        }
        if let Some((_, builder)) = &mut builder {
            push(builder, *number, fact.at, usage, *call);
        }
    }
    batches.extend(builder.map(|(_, mut last)| last.finish()));
    batches
}

fn push(builder: &mut UsageBatchBuilder, number: usize, from: Timestamp, usage: &TrialUsage, call: u32) {
    let calls = usage.calls();
    let of = |name: &str| usage.fields.iter().find(|(field, _)| **field == *name).map(|(_, value)| &**value);
    let in_origin = [field::PROVIDER, field::ACCOUNT, field::REGION, field::MODEL, field::PRINCIPAL];
    let scope = usage.fields.iter().filter(|(name, _)| !in_origin.contains(&&**name));
    let scope = scope.map(|(name, value)| (&**name, &**value, Trust::Trusted));
    let asserted = usage.asserted.iter().map(|(name, value)| (&**name, &**value, Trust::Asserted));
    let claims: Vec<(&str, &str, Trust)> = scope.chain(asserted).collect();
    let mut origin = OriginRef {
        provider: of(field::PROVIDER).unwrap_or("aws.bedrock"),
        account: of(field::ACCOUNT).unwrap_or(ACCOUNT),
        region: of(field::REGION).unwrap_or(REGION),
        principal: of(field::PRINCIPAL).unwrap_or_default(),
        record: Trust::Trusted,
        claims: &claims,
        ..OriginRef::default()
    };
    let start = from.plus(nth(usage.over, call, calls));
    let quantities = match &usage.what {
        TrialQuantity::Tokens { model, tier, tokens } => {
            (origin.model, origin.tier) = (model, *tier);
            Quantities::Tokens(part_of(tokens, call, calls))
        }
        TrialQuantity::Amount(amount) => {
            origin.model = DOLLARS_ARN;
            let input = part(micros(*amount), call, calls);
            Quantities::Tokens(TokenCounts { input, ..TokenCounts::default() })
        }
        TrialQuantity::Instance { instance, capacity, share } => {
            origin.provider = of(field::PROVIDER).unwrap_or("aws.ec2");
            (origin.model, origin.capacity) = (instance, capacity);
            let end = from.plus(nth(usage.over, call.saturating_add(1), calls));
            Quantities::Instance(InstanceUse { start, end, share_milli: share.ppm() / 1000 })
        }
    };
    builder.push(&UsageRef {
        key: &format!("{number}-{call}"),
        occurred_at: start,
        quantities,
        flags: UsageFlags::default(),
        origin,
        end: None,
        links: &[],
    });
}

fn part_of(tokens: &TokenCounts, call: u32, calls: u32) -> TokenCounts {
    let of = |total| part(total, call, calls);
    TokenCounts {
        input: of(tokens.input),
        cache_read: of(tokens.cache_read),
        cache_write_5m: of(tokens.cache_write_5m),
        cache_write_1h: of(tokens.cache_write_1h),
        output: of(tokens.output),
    }
}

/// The tokens of [`DOLLARS`] that an amount is.
fn micros(amount: Money) -> u64 {
    u64::try_from(amount.picos() / MICRO).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_whole_add_up_to_it_and_differ_by_one_at_most() {
        for (total, calls) in [(900_000_000, 600), (7, 10), (10, 7), (u64::MAX, 3), (0, 5)] {
            let parts: Vec<u64> = (0..calls).map(|call| part(total, call, calls)).collect();
            assert_eq!(parts.iter().map(|part| u128::from(*part)).sum::<u128>(), u128::from(total));
            assert!(parts.iter().max().unwrap() - parts.iter().min().unwrap() <= 1, "{total} in {calls}");
        }
    }
}
