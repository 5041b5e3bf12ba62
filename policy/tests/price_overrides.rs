//! Overrides: both front ends, the merge, and the guards that keep a slip from stopping everybody.

use policy::price::{
    MeterQuery, Price, PriceBook, PriceFlags, PriceOverrides, PriceProblem, Resolution, ShortPrice, Tier,
    TokenClass, TokenCounts, UnpricedReason,
};
use std::sync::Arc;

const SONNET: &str = "us.anthropic.claude-sonnet-4-6";

fn litellm(text: &str) -> PriceOverrides {
    PriceOverrides { name: "test".to_owned(), litellm: vec![text.to_owned()], ..PriceOverrides::default() }
}

fn short(key: &str, input: &str) -> PriceOverrides {
    let price = ShortPrice { input: Some(input.parse().expect("rate")), ..ShortPrice::default() };
    PriceOverrides {
        name: "test".to_owned(),
        models: [(key.to_owned(), price)].into(),
        ..PriceOverrides::default()
    }
}

fn apply(overrides: &PriceOverrides) -> Result<PriceBook, Vec<String>> {
    PriceBook::embedded()
        .with_overrides(overrides)
        .map_err(|issues| issues.iter().map(ToString::to_string).collect())
}

fn accepting(mut overrides: PriceOverrides, key: &str) -> PriceOverrides {
    overrides.accept.insert(key.to_owned());
    overrides
}

fn price(book: &PriceBook, provider: &str, model: &str) -> Option<Arc<Price>> {
    let query = MeterQuery { provider, region: "us-east-1", model, ..MeterQuery::default() };
    match book.resolve(&query) {
        Resolution::Priced(price) => Some(price),
        Resolution::Unpriced(_) => None,
    }
}

fn rate(book: &PriceBook, model: &str, class: TokenClass) -> Option<u64> {
    Some(price(book, "aws.bedrock", model)?.rate(class, 0)?.picos())
}

/// LiteLLM's own file, cut to the cases that matter, with its fields that are not prices.
const FILE: &str = r#"{
    "sample_spec": {"litellm_provider": "one of the providers", "input_cost_per_token": "a float"},
    "us.anthropic.claude-sonnet-4-6": {
        "litellm_provider": "bedrock_converse", "mode": "chat", "max_tokens": 64000,
        "input_cost_per_token": 3.3e-06, "output_cost_per_token": 1.65e-05,
        "cache_read_input_token_cost": 3.3e-07, "cache_creation_input_token_cost": 4.125e-06,
        "cache_creation_input_token_cost_above_1hr": 6.6e-06,
        "input_cost_per_token_batches": 1.65e-06, "output_cost_per_token_batches": 8.25e-06,
        "search_context_cost_per_query": {"search_context_size_low": 0.01}, "supports_vision": true,
        "source": "https://example.com"
    },
    "my-imported-model": {
        "litellm_provider": "bedrock", "mode": "chat",
        "input_cost_per_token": 1e-06, "output_cost_per_token": 1e-06
    },
    "amazon.rerank-v1:0": {
        "litellm_provider": "bedrock", "mode": "rerank", "input_cost_per_query": 0.001,
        "input_cost_per_token": 0.0, "output_cost_per_token": 0.0
    },
    "novita/some-model": {
        "litellm_provider": "novita", "input_cost_per_token": 2.7000000000000003e-07, "output_cost_per_token": null
    },
    "watsonx/core42/jais-13b-chat": {
        "litellm_provider": "watsonx", "input_cost_per_token": 0.0005, "output_cost_per_token": 0.002
    }
}"#;

#[test]
fn a_litellm_file_is_taken_as_it_stands() {
    let book = apply(&litellm(FILE)).expect("accepted");
    assert_eq!(rate(&book, "my-imported-model", TokenClass::Input), Some(1_000_000));
    assert_eq!(rate(&book, SONNET, TokenClass::CacheWrite1h), Some(6_600_000));
    let query =
        MeterQuery { provider: "aws.bedrock", model: SONNET, tier: Tier::Batch, ..MeterQuery::default() };
    let Resolution::Priced(batch) = book.resolve(&query) else { panic!("priced") };
    assert_eq!(batch.rate(TokenClass::Output, 0).map(|rate| rate.picos()), Some(8_250_000));
    // A listed 0 is still no price.
    assert!(price(&book, "aws.bedrock", "amazon.rerank-v1:0").is_none());
    // Another vendor's model: found under its own provider only, and the float noise is rounded and flagged.
    let novita = price(&book, "novita", "some-model").expect("qualified by its provider");
    let amount = novita.charge(&TokenCounts { input: 1, ..TokenCounts::default() }).expect("priced");
    assert_eq!((amount.money.picos(), amount.flags), (270_000, PriceFlags::ROUNDED));
    assert!(price(&book, "aws.bedrock", "novita/some-model").is_none());
    // 2,000 USD per million tokens is not believed of a vendor that is nobody's business here: left out.
    assert_eq!(book.left_out(), 1);
    let jais = price(&book, "watsonx", "core42/jais-13b-chat").expect("its input is believed");
    assert_eq!(jais.rate(TokenClass::Output, 0), None);
}

#[test]
fn the_id_names_the_overrides_and_their_content() {
    let embedded = PriceBook::embedded();
    let same = embedded.with_overrides(&PriceOverrides::default()).expect("nothing to refuse");
    assert_eq!(same.id(), embedded.id());
    let one = apply(&short(SONNET, "3.00 USD per 1M tokens")).expect("plausible");
    let again = apply(&short(SONNET, "3.00 USD per 1M tokens")).expect("plausible");
    let other = apply(&short(SONNET, "3.01 USD per 1M tokens")).expect("plausible");
    assert!(one.id().starts_with("builtin@2026-11-20+test-"), "{}", one.id());
    assert_eq!(one, again);
    assert_ne!(one.id(), other.id());
}

#[test]
fn what_an_override_does_not_state_stays_as_it_was() {
    let book = apply(&short(SONNET, "2.97 USD per 1M tokens")).expect("plausible");
    assert_eq!(rate(&book, SONNET, TokenClass::Input), Some(2_970_000));
    assert_eq!(rate(&book, SONNET, TokenClass::Output), Some(16_500_000));
    assert_eq!(rate(&PriceBook::embedded(), SONNET, TokenClass::Input), Some(3_300_000), "a book is a value");
    // Cache writes of Amazon Nova, which no list has, from a person.
    let write = ShortPrice {
        cache_write_5m: Some("1.00 USD per 1M tokens".parse().expect("rate")),
        ..ShortPrice::default()
    };
    let overrides = PriceOverrides {
        models: [("us.amazon.nova-pro-v1:0".to_owned(), write)].into(),
        ..PriceOverrides::default()
    };
    let book = apply(&overrides).expect("plausible");
    assert_eq!(rate(&book, "us.amazon.nova-pro-v1:0", TokenClass::CacheWrite5m), Some(1_000_000));
    assert_eq!(rate(&book, "us.amazon.nova-pro-v1:0", TokenClass::CacheWrite1h), None);
}

#[test]
fn the_in_region_premium_is_added_to_a_listed_global_rate_and_to_nothing_else() {
    let bare = "anthropic.claude-sonnet-4-6";
    // LiteLLM's own figure for the bare id is the global rate.
    let listed =
        format!(r#"{{"{bare}": {{"litellm_provider": "bedrock_converse", "input_cost_per_token": 3e-06}}}}"#);
    assert_eq!(rate(&apply(&litellm(&listed)).expect("listed"), bare, TokenClass::Input), Some(3_300_000));
    // A new upstream file that lowers both keeps the premium on the bare one.
    let lowered = format!(
        r#"{{"{bare}": {{"litellm_provider": "bedrock_converse", "input_cost_per_token": 2e-06}},
            "global.{bare}": {{"litellm_provider": "bedrock_converse", "input_cost_per_token": 2e-06}}}}"#
    );
    assert_eq!(
        rate(&apply(&litellm(&lowered)).expect("plausible"), bare, TokenClass::Input),
        Some(2_200_000)
    );
    // Somebody who states the in-region rate is not charged the premium twice, in either form.
    let corrected = format!(r#"{{"{bare}": {{"input_cost_per_token": 3.3e-06}}}}"#);
    assert_eq!(
        rate(&apply(&litellm(&corrected)).expect("plausible"), bare, TokenClass::Input),
        Some(3_300_000)
    );
    let book = apply(&short(bare, "3.00 USD per 1M tokens")).expect("plausible");
    assert_eq!(rate(&book, bare, TokenClass::Input), Some(3_000_000));
    assert_eq!(rate(&book, bare, TokenClass::Output), Some(16_500_000), "not stated, still with its premium");
}

#[test]
fn a_class_without_a_rate_beyond_the_cliff_is_unpriced_there_and_not_at_the_lower_rate() {
    let file = r#"{"mine": {"litellm_provider": "bedrock", "input_cost_per_token": 1e-06,
        "input_cost_per_token_above_200k_tokens": 2e-06, "output_cost_per_token": 5e-06}}"#;
    let book = apply(&litellm(file)).expect("plausible");
    let mine = price(&book, "aws.bedrock", "mine").expect("declared");
    let tokens = |input, output| TokenCounts { input, output, ..TokenCounts::default() };
    assert_eq!(
        mine.charge(&tokens(200_000, 1)).expect("below").money.picos(),
        200_000 * 1_000_000 + 5_000_000
    );
    assert_eq!(mine.charge(&tokens(200_001, 0)).expect("beyond").money.picos(), 200_001 * 2_000_000);
    let missing = UnpricedReason::MissingClass { class: TokenClass::Output };
    assert_eq!(mine.charge(&tokens(200_001, 1)), Err(missing));
}

#[test]
fn prices_off_by_powers_of_ten_are_all_refused() {
    // Each listed rate of these models, shifted by 10^-4 to 10^4; every one refused, and nothing changed.
    let models = [
        "us.anthropic.claude-sonnet-4-6",
        "global.anthropic.claude-opus-4-8",
        "anthropic.claude-haiku-5-5",
        "us.amazon.nova-2-lite-v1:0",
        "amazon.nova-micro-v1:0",
        "us.openai.gpt-5.6-sol",
        "eu.amazon.nova-pro-v1:0",
        "amazon.titan-embed-text-v2:0",
    ];
    let mut refused = 0;
    for model in models {
        for shift in [-4, -3, -2, -1, 1, 2, 3, 4] {
            let listed = rate(&PriceBook::embedded(), model, TokenClass::Input).expect("listed");
            let text = format!(
                r#"{{"{model}": {{"litellm_provider": "bedrock", "input_cost_per_token": {listed}e{}}}}}"#,
                shift - 12
            );
            let issues = PriceBook::embedded().with_overrides(&litellm(&text)).expect_err(&text);
            assert_eq!(issues.len(), 1, "{text}");
            assert_eq!(
                (issues[0].key.as_str(), issues[0].field.as_deref()),
                (model, Some("input_cost_per_token"))
            );
            assert!(
                matches!(
                    issues[0].problem,
                    PriceProblem::FarFromLast { .. } | PriceProblem::Implausible { .. }
                ),
                "{}",
                issues[0]
            );
            // By name it is taken.
            PriceBook::embedded()
                .with_overrides(&accepting(litellm(&text), model))
                .expect("accepted by name");
            refused += 1;
        }
    }
    assert_eq!(refused, 64);
}

#[test]
fn a_price_per_token_typed_as_a_price_per_million_is_refused() {
    let said = apply(&litellm(r#"{"us.anthropic.claude-sonnet-4-6": {"input_cost_per_token": 3.30}}"#));
    assert_eq!(
        said.expect_err("a million times too dear"),
        [
            "price of `us.anthropic.claude-sonnet-4-6`, `input_cost_per_token`: `3300000.00 USD per 1M tokens` is \
          outside `0.001 USD per 1M tokens` to `1000.00 USD per 1M tokens`; did you mean 3.30 USD per 1M tokens, \
          `3.3e-06`? if not, add the key to `accept`"
        ]
    );
    // Of a model that the book has never heard of as well.
    assert!(apply(&litellm(r#"{"mine": {"input_cost_per_token": 3.30}}"#)).is_err());
    assert!(apply(&short("mine", "0.000003 USD per 1M tokens")).is_err());
    // The price per thousand of an older list, for a scope that the book lacks: the siblings tell.
    let said =
        apply(&short("ca.anthropic.claude-sonnet-4-6", "0.0033 USD per 1M tokens")).expect_err("1000 times");
    assert_eq!(
        said,
        [
            "price of `ca.anthropic.claude-sonnet-4-6`, `input`: `0.0033 USD per 1M tokens` is 1/909 of the price \
          `3.00 USD per 1M tokens` of `anthropic.claude-sonnet-4-6`; did you mean `3.30 USD per 1M tokens`? if not, \
          add the key to `accept`"
        ]
    );
    assert!(apply(&short("ca.anthropic.claude-sonnet-4-6", "3.30 USD per 1M tokens")).is_ok());
}

#[test]
fn three_times_away_is_refused_and_just_under_is_not() {
    for (input, taken) in [
        ("9.90 USD per 1M tokens", false),
        ("9.899999 USD per 1M tokens", true),
        ("1.10 USD per 1M tokens", false),
        ("1.100001 USD per 1M tokens", true),
    ] {
        assert_eq!(apply(&short(SONNET, input)).is_ok(), taken, "{input}");
    }
    let said = apply(&short(SONNET, "3300 USD per 1M tokens")).expect_err("1000 times");
    assert!(said[0].contains("outside"), "{said:?}");
    let said = apply(&short(SONNET, "330 USD per 1M tokens")).expect_err("100 times");
    assert_eq!(
        said,
        [
            "price of `us.anthropic.claude-sonnet-4-6`, `input`: `330.00 USD per 1M tokens` is 100 times the last \
          accepted price `3.30 USD per 1M tokens`; did you mean `3.30 USD per 1M tokens`? if not, add the key to `accept`"
        ]
    );
}

#[test]
fn the_guard_compares_with_the_book_in_force_and_not_only_with_the_embedded_one() {
    let cheap = accepting(short(SONNET, "0.33 USD per 1M tokens"), SONNET);
    let in_force = PriceBook::embedded().with_overrides(&cheap).expect("accepted by name");
    // Without the name once more: it is the price that was accepted last.
    let same = short(SONNET, "0.33 USD per 1M tokens");
    assert!(PriceBook::embedded().with_overrides(&same).is_err());
    assert!(PriceBook::embedded().with_overrides_after(&same, &in_force).is_ok());
    // And the way back to the list price is far from it.
    let back = short(SONNET, "3.30 USD per 1M tokens");
    assert!(PriceBook::embedded().with_overrides_after(&back, &in_force).is_err());
}

#[test]
fn zero_is_a_price_only_when_a_person_accepts_it_by_name() {
    let free = short("my-imported-model", "0 USD per 1M tokens");
    let said = apply(&free).expect_err("not by accident");
    assert!(said[0].contains("must be accepted by name"), "{said:?}");
    let book = apply(&accepting(free, "my-imported-model")).expect("accepted by name");
    let price = price(&book, "aws.bedrock", "my-imported-model").expect("declared free");
    let amount = price.charge(&TokenCounts { input: 9, ..TokenCounts::default() }).expect("free");
    assert!(amount.money.is_zero() && amount.flags.has(PriceFlags::DECLARED_FREE));
    // A list that drops a price to 0 does not make the model free.
    let dropped =
        r#"{"us.anthropic.claude-sonnet-4-6": {"litellm_provider": "bedrock", "input_cost_per_token": 0.0}}"#;
    assert!(apply(&litellm(dropped)).expect_err("was 3.30")[0].contains("zero"));
}

#[test]
fn all_issues_come_at_once_and_nothing_is_taken() {
    let mut overrides = litellm(
        r#"{"us.anthropic.claude-sonnet-4-6": {"input_cost_per_token": -1, "output_cost_per_token": "1e-6"}, "x": 7}"#,
    );
    overrides.models.insert("us.amazon.nova-pro-v1:0".to_owned(), ShortPrice::default());
    overrides.profiles.insert("a1b2".to_owned(), "us.anthropic.claude-sonnet-4-7".to_owned());
    overrides.profiles.insert(
        "c3d4".to_owned(),
        "arn:aws:bedrock:us-east-1:111122223333:application-inference-profile/a1b2".to_owned(),
    );
    assert_eq!(
        apply(&overrides).expect_err("six mistakes"),
        [
            "price of `us.anthropic.claude-sonnet-4-6`, `input_cost_per_token`: `-1` is not a price per token; write \
             a number of USD for one token, 0 or more, such as `3.3e-06`",
            "price of `us.anthropic.claude-sonnet-4-6`, `output_cost_per_token`: `\"1e-6\"` is not a price per \
             token; did you mean 1.00 USD per 1M tokens, `1e-06`?",
            "price of `x`: not an object of prices; write one such as `{\"input_cost_per_token\": 3.3e-06}`",
            "price of `us.amazon.nova-pro-v1:0`: no rate is stated; write at least one, such as `input: 3.30 USD per \
             1M tokens`",
            "price of `a1b2`: `us.anthropic.claude-sonnet-4-7` is not a model id of the book; write one such as \
             `us.anthropic.claude-sonnet-4-6`",
            "price of `c3d4`: `arn:aws:bedrock:us-east-1:111122223333:application-inference-profile/a1b2` is not a \
             model id of the book; write one such as `us.anthropic.claude-sonnet-4-6`",
        ]
    );
}
