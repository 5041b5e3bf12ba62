//! Every form in which AWS writes a model id, and the key that it comes to.

use policy::price::{
    MeterQuery, PriceBook, PriceFlags, PriceOverrides, Resolution, Scope, ShortPrice, Tier, TokenClass,
    TokenCounts, UnpricedReason,
};

fn query<'a>(model: &'a str, region: &'a str) -> MeterQuery<'a> {
    MeterQuery { provider: "aws.bedrock", account: "111122223333", region, model, ..MeterQuery::default() }
}

fn resolved(book: &PriceBook, model: &str, region: &str) -> Result<(String, Scope), UnpricedReason> {
    match book.resolve(&query(model, region)) {
        Resolution::Priced(price) => Ok((price.key.clone(), price.scope)),
        Resolution::Unpriced(reason) => Err(reason),
    }
}

/// The embedded book with what a person would declare for the opaque ids below.
fn declared() -> PriceBook {
    let short = ShortPrice {
        input: Some("1.00 USD per 1M tokens".parse().expect("rate")),
        output: Some("1.00 USD per 1M tokens".parse().expect("rate")),
        ..ShortPrice::default()
    };
    let map = |(id, model): (&str, &str)| (id.to_owned(), model.to_owned());
    let overrides = PriceOverrides {
        name: "declared".to_owned(),
        models: ["my-imported-model", "us.mine"].map(|key| (key.to_owned(), short)).into(),
        profiles: [
            ("a1b2c3d4e5f6", "us.anthropic.claude-sonnet-4-6"),
            ("g7h8", "arn:aws:bedrock:us-west-2::foundation-model/anthropic.claude-v1"),
            (
                "arn:aws:bedrock:eu-west-1:111122223333:application-inference-profile/eu1",
                "eu.amazon.nova-pro-v1:0",
            ),
            ("arn:aws:bedrock:us-east-1:111122223333:imported-model/q9", "my-imported-model"),
            ("tuned7", "amazon.nova-lite-v1:0"),
        ]
        .map(map)
        .into(),
        ..PriceOverrides::default()
    };
    PriceBook::embedded().with_overrides(&overrides).expect("plausible")
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn every_form_of_a_known_model_comes_to_its_key() {
    let book = declared();
    use Scope::{Geo, Global, InRegion};
    for (model, region, key, scope) in [
        // Bare, with and without a regional key.
        ("amazon.nova-lite-v1:0", "us-east-1", "amazon.nova-lite-v1:0", InRegion),
        ("anthropic.claude-v1", "us-west-2", "bedrock/us-west-2/anthropic.claude-v1", InRegion),
        ("anthropic.claude-v1", "eu-west-1", "anthropic.claude-v1", InRegion),
        ("anthropic.claude-v1", "", "anthropic.claude-v1", InRegion),
        (
            "amazon.titan-embed-text-v2:0",
            "us-gov-west-1",
            "bedrock/us-gov-west-1/amazon.titan-embed-text-v2:0",
            InRegion,
        ),
        // A scope prefix is part of the key, wherever the call was made.
        ("us.anthropic.claude-sonnet-4-6", "us-west-2", "us.anthropic.claude-sonnet-4-6", Geo),
        ("eu.anthropic.claude-sonnet-4-6", "eu-west-1", "eu.anthropic.claude-sonnet-4-6", Geo),
        ("apac.amazon.nova-pro-v1:0", "ap-south-1", "apac.amazon.nova-pro-v1:0", Geo),
        ("jp.anthropic.claude-sonnet-4-6", "ap-northeast-1", "jp.anthropic.claude-sonnet-4-6", Geo),
        ("au.anthropic.claude-sonnet-4-6", "ap-southeast-2", "au.anthropic.claude-sonnet-4-6", Geo),
        ("us-gov.anthropic.claude-opus-4-8", "us-gov-west-1", "us-gov.anthropic.claude-opus-4-8", Geo),
        ("in.moonshotai.kimi-k3", "ap-south-1", "in.moonshotai.kimi-k3", Geo),
        ("global.anthropic.claude-sonnet-4-6", "eu-west-1", "global.anthropic.claude-sonnet-4-6", Global),
        // ARNs; the region is the ARN's own.
        (
            "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0",
            "us-east-1",
            "amazon.nova-lite-v1:0",
            InRegion,
        ),
        (
            "arn:aws:bedrock:us-west-2::foundation-model/anthropic.claude-v1",
            "us-east-1",
            "bedrock/us-west-2/anthropic.claude-v1",
            InRegion,
        ),
        (
            "arn:aws-us-gov:bedrock:us-gov-west-1::foundation-model/amazon.titan-embed-text-v2:0",
            "",
            "bedrock/us-gov-west-1/amazon.titan-embed-text-v2:0",
            InRegion,
        ),
        (
            "arn:aws:bedrock:us-east-1:111122223333:inference-profile/us.anthropic.claude-haiku-4-5-20251001-v1:0",
            "us-east-1",
            "us.anthropic.claude-haiku-4-5-20251001-v1:0",
            Geo,
        ),
        (
            "arn:aws:bedrock:us-east-1:111122223333:inference-profile/global.anthropic.claude-sonnet-4-6",
            "us-east-1",
            "global.anthropic.claude-sonnet-4-6",
            Global,
        ),
        // Opaque ids that a person declared: by id, by ARN, to an ARN.
        (
            "arn:aws:bedrock:us-east-1:111122223333:application-inference-profile/a1b2c3d4e5f6",
            "us-east-1",
            "us.anthropic.claude-sonnet-4-6",
            Geo,
        ),
        ("a1b2c3d4e5f6", "us-east-1", "us.anthropic.claude-sonnet-4-6", Geo),
        (
            "arn:aws:bedrock:us-east-1:111122223333:application-inference-profile/g7h8",
            "us-east-1",
            "bedrock/us-west-2/anthropic.claude-v1",
            InRegion,
        ),
        (
            "arn:aws:bedrock:eu-west-1:111122223333:application-inference-profile/eu1",
            "eu-west-1",
            "eu.amazon.nova-pro-v1:0",
            Geo,
        ),
        (
            "arn:aws:bedrock:us-east-1:111122223333:custom-model-deployment/tuned7",
            "us-east-1",
            "amazon.nova-lite-v1:0",
            InRegion,
        ),
        (
            "arn:aws:bedrock:us-east-1:111122223333:imported-model/q9",
            "us-east-1",
            "my-imported-model",
            InRegion,
        ),
        (
            "arn:aws:bedrock:us-east-1:111122223333:imported-model/my-imported-model",
            "us-east-1",
            "my-imported-model",
            InRegion,
        ),
        ("my-imported-model", "us-east-1", "my-imported-model", InRegion),
        // Without a second dot, `us` is a vendor and not a scope.
        ("us.mine", "us-east-1", "us.mine", InRegion),
    ] {
        assert_eq!(resolved(&book, model, region), Ok((key.to_owned(), scope)), "{model} in {region}");
    }
}

#[test]
fn what_nobody_declared_is_unpriced_and_says_why() {
    let book = declared();
    for model in [
        "arn:aws:bedrock:us-east-1:111122223333:application-inference-profile/zzz",
        "arn:aws:bedrock:us-east-1:111122223333:inference-profile/zzz",
        // The ARN was declared, the same id in another account was not.
        "arn:aws:bedrock:eu-west-1:444455556666:application-inference-profile/eu1",
    ] {
        let reason = UnpricedReason::OpaqueProfile { arn: model.to_owned() };
        assert_eq!(resolved(&book, model, "us-east-1"), Err(reason));
    }
    for model in [
        "arn:aws:bedrock:us-east-1:111122223333:custom-model/amazon.nova-lite-v1:0/abc",
        "arn:aws:bedrock:us-east-1:111122223333:custom-model-deployment/abc",
        "arn:aws:bedrock:us-east-1:111122223333:imported-model/abc",
        // Named after a listed model, and still not it.
        "arn:aws:bedrock:us-east-1:111122223333:imported-model/us.anthropic.claude-sonnet-4-6",
        "arn:aws:bedrock:us-east-1:111122223333:prompt/ABCDEFGHIJ",
        "arn:aws:bedrock:us-east-1:111122223333:prompt-router/abc",
        "arn:aws:bedrock:us-east-1:111122223333:something-new/abc",
        "arn:aws:sagemaker:us-east-1:111122223333:endpoint/llama",
        "arn:aws:bedrock",
        "arn:",
    ] {
        let reason = UnpricedReason::Undeclared { arn: model.to_owned() };
        assert_eq!(resolved(&book, model, "us-east-1"), Err(reason));
    }
    for model in [
        "anthropic.claude-sonnet-99",
        // No borrowed price: neither the bare one's, nor another scope's.
        "ca.anthropic.claude-sonnet-4-6",
        "xx.anthropic.claude-sonnet-4-6",
        "global.anthropic.claude-v1",
        // A scope needs a dot behind it.
        "us.claude-sonnet-4-6",
        "anthropic.claude-sonnet-4-6 ",
        "ANTHROPIC.claude-sonnet-4-6",
        "",
    ] {
        let reason = UnpricedReason::UnknownModel { model: model.to_owned() };
        assert_eq!(resolved(&book, model, "us-east-1"), Err(reason));
    }
    // A key of the book that is no model id does not resolve through a region made up for it.
    let commitment = resolved(&book, "anthropic.claude-v2:1", "us-east-1/1-month-commitment");
    assert_eq!(commitment.map(|(key, _)| key), Ok("anthropic.claude-v2:1".to_owned()));
}

#[test]
fn tokens_through_provisioned_throughput_cost_nothing_more_and_say_so() {
    let model = "arn:aws:bedrock:us-east-1:111122223333:provisioned-model/abcdefghijkl";
    let Resolution::Priced(price) = PriceBook::embedded().resolve(&query(model, "us-east-1")) else {
        panic!("provisioned throughput is known")
    };
    let tokens = TokenCounts { input: 1_000_000, cache_write_1h: 5, ..TokenCounts::default() };
    let amount = price.charge(&tokens).expect("a marginal price");
    assert!(amount.money.is_zero());
    assert!(amount.flags.has(PriceFlags::PROVISIONED));
    assert_eq!((price.model.as_str(), price.key.as_str()), ("abcdefghijkl", "provisioned"));
}

#[test]
fn a_regional_key_does_not_borrow_the_rates_that_its_bare_twin_has() {
    // In GovCloud the bare key of this model has cliffs and its regional key has none.
    let book = PriceBook::embedded();
    let Resolution::Priced(regional) =
        book.resolve(&query("anthropic.claude-sonnet-4-5-20250929-v1:0", "us-gov-west-1"))
    else {
        panic!("listed")
    };
    assert_eq!(regional.key, "bedrock/us-gov-west-1/anthropic.claude-sonnet-4-5-20250929-v1:0");
    assert_eq!(regional.cliffs().count(), 0);
    // No premium on top of a regional figure.
    let amount = regional.charge(&TokenCounts { input: 1, ..TokenCounts::default() }).expect("priced");
    assert_eq!((amount.money.picos(), amount.flags), (3_600_000, PriceFlags::NONE));
}

#[test]
fn the_mantle_endpoint_has_keys_of_its_own() {
    let book = PriceBook::embedded();
    let ask = |model, region| {
        let query = MeterQuery { provider: "aws.bedrock_mantle", region, model, ..MeterQuery::default() };
        match book.resolve(&query) {
            Resolution::Priced(price) => Ok(price.key.clone()),
            Resolution::Unpriced(reason) => Err(reason.word()),
        }
    };
    assert_eq!(ask("openai.gpt-5.5", "us-east-1"), Ok("bedrock_mantle/openai.gpt-5.5".to_owned()));
    assert_eq!(
        ask("openai.gpt-5.4", "us-gov-west-1"),
        Ok("bedrock_mantle/us-gov-west-1/openai.gpt-5.4".to_owned())
    );
    assert_eq!(ask("anthropic.claude-v1", "us-east-1"), Err("unknown_model"));
}

#[test]
fn a_provider_that_no_override_names_has_no_prices() {
    let query =
        MeterQuery { provider: "openai", model: "us.anthropic.claude-sonnet-4-6", ..MeterQuery::default() };
    let Resolution::Unpriced(reason) = PriceBook::embedded().resolve(&query) else {
        panic!("Bedrock's price is not OpenAI's")
    };
    assert_eq!(reason.word(), "unknown_model");
}

#[test]
fn an_unpriced_reason_says_what_to_do() {
    let arn = "arn:aws:bedrock:us-east-1:1:application-inference-profile/x".to_owned();
    for (reason, said) in [
        (
            UnpricedReason::UnknownModel { model: "m".to_owned() },
            "no price for model `m`; add it to a PriceBook",
        ),
        (
            UnpricedReason::OpaqueProfile { arn },
            "the profile `arn:aws:bedrock:us-east-1:1:application-inference-profile/x` does not say which model \
             it is; map it to a model id in a PriceBook",
        ),
        (
            UnpricedReason::MissingClass { class: TokenClass::CacheWrite5m },
            "no rate for `cache_write_5m` tokens; add one to a PriceBook",
        ),
        (
            UnpricedReason::NoTokenPrice {
                key: "amazon.rerank-v1:0".to_owned(),
                unit: Some("query".to_owned()),
            },
            "`amazon.rerank-v1:0` is billed by the query; it has no price per token",
        ),
    ] {
        assert_eq!(reason.to_string(), said);
    }
}

#[test]
fn tiers_are_read_by_their_words() {
    for tier in Tier::ALL {
        assert_eq!(tier.word().parse::<Tier>(), Ok(tier));
        assert_eq!(serde_json::to_string(&tier).expect("json"), format!("\"{}\"", tier.word()));
    }
    assert_eq!(
        "turbo".parse::<Tier>().expect_err("no tier").to_string(),
        "`turbo` is no service tier; write `default`, `flex`, `priority`, `reserved`, `batch` or `provisioned`"
    );
}
