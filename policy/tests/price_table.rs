//! Figures: each class, scope, tier and cliff of the embedded book, and the sample records.

use policy::money::{Money, TokenRate};
use policy::price::{
    Amount, MeterQuery, Price, PriceBook, PriceFlags, PriceOverrides, Resolution, Scope, Tier, TokenClass,
    TokenCounts, UnpricedReason,
};
use proptest::prelude::*;
use std::sync::Arc;

fn query(model: &str, tier: Tier) -> MeterQuery<'_> {
    MeterQuery {
        provider: "aws.bedrock",
        account: "111122223333",
        region: "us-east-1",
        served_region: None,
        model,
        tier,
    }
}

fn price_in(book: &PriceBook, model: &str, tier: Tier) -> Arc<Price> {
    match book.resolve(&query(model, tier)) {
        Resolution::Priced(price) => price,
        Resolution::Unpriced(reason) => panic!("{model} at {}: {reason}", tier.word()),
    }
}

fn price(model: &str, tier: Tier) -> Arc<Price> {
    price_in(&PriceBook::embedded(), model, tier)
}

/// A million tokens of one class.
fn million(class: TokenClass) -> TokenCounts {
    let mut tokens = TokenCounts::default();
    *match class {
        TokenClass::Input => &mut tokens.input,
        TokenClass::CacheRead => &mut tokens.cache_read,
        TokenClass::CacheWrite5m => &mut tokens.cache_write_5m,
        TokenClass::CacheWrite1h => &mut tokens.cache_write_1h,
        TokenClass::Output => &mut tokens.output,
    } = 1_000_000;
    tokens
}

fn charge(price: &Price, tokens: &TokenCounts) -> Amount {
    price.charge(tokens).unwrap_or_else(|reason| panic!("{}: {reason}", price.model))
}

fn counts([input, cache_read, cache_write_5m, cache_write_1h, output]: [u64; 5]) -> TokenCounts {
    TokenCounts { input, cache_read, cache_write_5m, cache_write_1h, output }
}

const PROFILE: &str = "arn:aws:bedrock:us-east-1:111122223333:application-inference-profile/a1b2c3d4e5f6";
const SONNET: &str = "us.anthropic.claude-sonnet-4-6";
const SONNET_ARN: &str =
    "arn:aws:bedrock:us-east-1:111122223333:inference-profile/us.anthropic.claude-sonnet-4-6";

#[test]
fn the_sample_records_cost_what_their_readme_says() {
    let mut overrides = PriceOverrides { name: "samples".to_owned(), ..PriceOverrides::default() };
    overrides.profiles.insert("a1b2c3d4e5f6".to_owned(), SONNET.to_owned());
    let book = PriceBook::embedded().with_overrides(&overrides).expect("a map is no price");
    for (record, model, tokens, picos) in [
        ("converse", PROFILE, [1200, 8000, 1500, 500, 350], 21_862_500_000),
        ("invokemodel-stream", SONNET_ARN, [3, 0, 25_037, 0, 13], 103_502_025_000),
        ("large-body-s3", SONNET_ARN, [3, 0, 25_037, 0, 9001], 251_804_025_000),
        ("error", "amazon.nova-micro-v1:0", [0; 5], 0),
        ("embedding", "amazon.titan-embed-text-v2:0", [512, 0, 0, 0, 0], 10_240_000),
    ] {
        let amount = charge(&price_in(&book, model, Tier::Default), &counts(tokens));
        assert_eq!(amount, Amount { money: Money::from_picos(picos), flags: PriceFlags::NONE }, "{record}");
    }
    let through_profile = price_in(&book, PROFILE, Tier::Default);
    assert_eq!(through_profile.model, SONNET);
    assert_eq!(through_profile.key, SONNET);
    assert_eq!(through_profile.scope, Scope::Geo);
    // Without the map the first record is unpriced, never guessed.
    assert_eq!(
        PriceBook::embedded().resolve(&query(PROFILE, Tier::Default)),
        Resolution::Unpriced(UnpricedReason::OpaqueProfile { arn: PROFILE.to_owned() })
    );
}

#[test]
fn each_class_has_its_own_rate_in_each_scope() {
    // USD per million tokens of input, cache read, cache write 5 m and 1 h, output.
    for (model, scope, flags, rates) in [
        (SONNET, Scope::Geo, PriceFlags::NONE, [3_300_000, 330_000, 4_125_000, 6_600_000, 16_500_000]),
        (
            "global.anthropic.claude-sonnet-4-6",
            Scope::Global,
            PriceFlags::NONE,
            [3_000_000, 300_000, 3_750_000, 6_000_000, 15_000_000],
        ),
        // The list has the global rate under the bare id; in its region it costs 1.1 times that.
        (
            "anthropic.claude-sonnet-4-6",
            Scope::InRegion,
            PriceFlags::PREMIUM,
            [3_300_000, 330_000, 4_125_000, 6_600_000, 16_500_000],
        ),
        (
            "us.anthropic.claude-opus-4-8",
            Scope::Geo,
            PriceFlags::NONE,
            [5_500_000, 550_000, 6_875_000, 11_000_000, 27_500_000],
        ),
    ] {
        let price = price(model, Tier::Default);
        assert_eq!(price.scope, scope, "{model}");
        for (class, picos) in TokenClass::ALL.into_iter().zip(rates) {
            let amount = charge(&price, &million(class));
            assert_eq!(amount.money, Money::from_picos(picos * 1_000_000), "{model} {}", class.word());
            assert_eq!(amount.flags, flags, "{model} {}", class.word());
        }
    }
}

#[test]
fn each_tier_has_its_own_rates() {
    for (tier, flags, rates) in [
        (Tier::Default, PriceFlags::NONE, [330_000, 82_500, 2_750_000]),
        (Tier::Flex, PriceFlags::NONE, [165_000, 41_250, 1_375_000]),
        (Tier::Priority, PriceFlags::NONE, [577_500, 144_375, 4_812_500]),
        // No list has a reserved rate, and a caller's word "provisioned" makes nothing free.
        (Tier::Reserved, PriceFlags::TIER_ASSUMED, [330_000, 82_500, 2_750_000]),
        (Tier::Provisioned, PriceFlags::TIER_ASSUMED, [330_000, 82_500, 2_750_000]),
    ] {
        let price = price("us.amazon.nova-2-lite-v1:0", tier);
        assert_eq!(price.tier, tier);
        for (class, picos) in
            [TokenClass::Input, TokenClass::CacheRead, TokenClass::Output].into_iter().zip(rates)
        {
            let amount = charge(&price, &million(class));
            assert_eq!(amount.money, Money::from_picos(picos * 1_000_000), "{tier:?} {}", class.word());
            assert_eq!(amount.flags, flags, "{tier:?} {}", class.word());
        }
    }
}

#[test]
fn a_class_without_a_batch_rate_takes_the_default_tiers_and_says_so() {
    let batch = price("us.anthropic.claude-haiku-4-5-20251001-v1:0", Tier::Batch);
    let input = charge(&batch, &million(TokenClass::Input));
    assert_eq!(input, Amount { money: "0.55 USD".parse().expect("money"), flags: PriceFlags::NONE });
    let read = charge(&batch, &million(TokenClass::CacheRead));
    assert_eq!(read, Amount { money: "0.11 USD".parse().expect("money"), flags: PriceFlags::TIER_ASSUMED });
}

#[test]
fn a_cliff_is_for_the_whole_request_and_counts_cached_tokens() {
    let haiku = price("us.anthropic.claude-haiku-5-5", Tier::Default);
    assert_eq!(haiku.cliffs().collect::<Vec<_>>(), [100_000]);
    // At the cliff: 0.11 USD per million. One token beyond it, in any prompt class: 0.55 for every token.
    for (tokens, picos) in [
        (counts([100_000, 0, 0, 0, 1000]), 100_000 * 110_000 + 1000 * 550_000),
        (counts([100_001, 0, 0, 0, 1000]), 100_001 * 550_000 + 1000 * 2_750_000),
        (counts([1, 100_000, 0, 0, 1000]), 550_000 + 100_000 * 55_000 + 1000 * 2_750_000),
        (counts([1, 0, 100_000, 0, 0]), 550_000 + 100_000 * 687_500),
        (counts([1, 0, 0, 100_000, 0]), 550_000 + 100_000 * 1_100_000),
        // What the model writes moves no cliff.
        (counts([100_000, 0, 0, 0, 1_000_000]), 100_000 * 110_000 + 1_000_000 * 550_000),
    ] {
        assert_eq!(charge(&haiku, &tokens).money, Money::from_picos(picos), "{tokens:?}");
    }
    // In its region the premium holds on both sides of the cliff.
    let bare = price("anthropic.claude-haiku-5-5", Tier::Default);
    for class in TokenClass::ALL {
        for prompt in [0, 100_001] {
            assert_eq!(bare.rate(class, prompt), haiku.rate(class, prompt), "{}", class.word());
        }
    }
    for (model, cliff, below, beyond) in [
        ("us.anthropic.claude-sonnet-4-20250514-v1:0", 200_000, 3_000_000, 6_000_000),
        ("us.openai.gpt-5.6-sol", 272_000, 4_400_000, 8_800_000),
    ] {
        let price = price(model, Tier::Default);
        let rate = |prompt| price.rate(TokenClass::Input, prompt).map(TokenRate::picos);
        assert_eq!((rate(cliff), rate(cliff + 1)), (Some(below), Some(beyond)), "{model}");
    }
}

#[test]
fn tokens_in_a_class_without_a_rate_are_unpriced_and_not_charged_as_input() {
    for (model, class) in [
        // Nobody lists cache writes of Amazon Nova.
        ("amazon.nova-pro-v1:0", TokenClass::CacheWrite5m),
        ("us.amazon.nova-pro-v1:0", TokenClass::CacheWrite1h),
        // A missing 1 h rate is not the 5 m rate.
        ("us.anthropic.claude-sonnet-4-20250514-v1:0", TokenClass::CacheWrite1h),
        // An embedding model's listed output price of 0 makes no output free.
        ("amazon.titan-embed-text-v2:0", TokenClass::Output),
        ("amazon.titan-embed-text-v2:0", TokenClass::CacheRead),
    ] {
        let price = price(model, Tier::Default);
        let mut tokens = million(class);
        tokens.input = 5;
        assert_eq!(price.charge(&tokens), Err(UnpricedReason::MissingClass { class }), "{model}");
        assert_eq!(price.rate(class, 0), None);
    }
}

#[test]
fn a_model_billed_by_another_unit_has_no_token_price() {
    for (model, unit) in [
        ("amazon.rerank-v1:0", "query"),
        ("cohere.rerank-v3-5:0", "query"),
        ("amazon.nova-canvas-v1:0", "image"),
        ("guardrails", "unit"),
    ] {
        assert_eq!(
            PriceBook::embedded().resolve(&query(model, Tier::Default)),
            Resolution::Unpriced(UnpricedReason::NoTokenPrice {
                key: model.to_owned(),
                unit: Some(unit.to_owned())
            })
        );
    }
}

#[test]
fn the_seventeen_bare_ids_cost_what_their_us_profile_costs() {
    let book = PriceBook::embedded();
    let mut marked = 0;
    for key in book.model_keys().filter(|key| !key.contains('/')) {
        let Resolution::Priced(bare) = book.resolve(&query(key, Tier::Default)) else { continue };
        let flagged = bare.charge(&counts([1, 0, 0, 0, 0])).is_ok_and(|a| a.flags.has(PriceFlags::PREMIUM));
        if !flagged {
            continue;
        }
        marked += 1;
        // One bare id is written without its vendor.
        let vendored = if key.starts_with("claude") { format!("anthropic.{key}") } else { key.to_owned() };
        let geo = price_in(&book, &format!("us.{vendored}"), Tier::Default);
        for class in TokenClass::ALL {
            assert_eq!(bare.rate(class, 0), geo.rate(class, 0), "{key} {}", class.word());
        }
    }
    assert_eq!(marked, 17);
}

#[test]
fn the_embedded_book_is_whole_and_plausible() {
    let book = PriceBook::embedded();
    assert_eq!(book.id(), "builtin@2026-11-20");
    assert_eq!(book.as_of(), "2026-11-20");
    let (mut models, mut priced) = (0, 0);
    for key in book.model_keys() {
        models += 1;
        for tier in Tier::ALL {
            let Resolution::Priced(price) = book.resolve(&query(key, tier)) else { continue };
            priced += 1;
            for class in TokenClass::ALL {
                for prompt in price.cliffs().map(|cliff| cliff + 1).chain([0]) {
                    let Some(rate) = price.rate(class, prompt) else { continue };
                    // 0.001 to 1,000 USD per million tokens: no listed zero got in, no slip of a power of ten.
                    assert!((1_000..=1_000_000_000).contains(&rate.picos()), "{key} {} {rate}", class.word());
                }
            }
        }
    }
    assert_eq!(models, 562);
    assert!(priced > 1800, "{priced}");
    // The smallest listed rate among them, which a per-thousand book could not hold.
    let rate = price("amazon.nova-micro-v1:0", Tier::Default).rate(TokenClass::CacheRead, 0);
    assert_eq!(rate.map(TokenRate::picos), Some(8_750));
}

#[test]
fn a_charge_of_the_most_that_can_be_counted_does_not_overflow() {
    let sonnet = price(SONNET, Tier::Default);
    let amount = charge(&sonnet, &counts([u64::MAX; 5]));
    let sum = 3_300_000 + 330_000 + 4_125_000 + 6_600_000 + 16_500_000_i128;
    assert_eq!(amount.money, Money::from_picos(sum * i128::from(u64::MAX)));
}

#[test]
fn a_price_and_a_book_come_back_from_the_journal_as_they_were() {
    let book = PriceBook::embedded();
    let bytes = postcard::to_stdvec(&book).expect("postcard");
    let back: PriceBook = postcard::from_bytes(&bytes).expect("postcard");
    assert_eq!(back, book);
    let haiku = price("anthropic.claude-haiku-5-5", Tier::Batch);
    let bytes = postcard::to_stdvec(&*haiku).expect("postcard");
    assert_eq!(postcard::from_bytes::<Price>(&bytes).expect("postcard"), *haiku);
    let again: PriceBook = serde_json::from_str(&serde_json::to_string(&book).expect("json")).expect("json");
    assert_eq!(again, book);
}

proptest! {
    #[test]
    fn a_charge_is_the_sum_of_its_classes(tokens in prop::array::uniform5(0..20_000_u64)) {
        let sonnet = price(SONNET, Tier::Default);
        let whole = charge(&sonnet, &counts(tokens)).money;
        let mut sum = Money::ZERO;
        for class in 0..5 {
            let mut one = [0; 5];
            one[class] = tokens[class];
            sum = sum.checked_add(charge(&sonnet, &counts(one)).money).expect("fits");
        }
        prop_assert_eq!(whole, sum);
    }
}
