//! What the proofs stand on: rules from their own text, and usage whose price is a whole number.
//!
//! A token of `dollar-per-million` costs a millionth of a dollar, a token of `pricey` 3.3 of them: amounts are
//! known without the code that prices them.

pub mod calendar;

use policy::fact::{
    Fact, IdKey, InstanceUse, OriginRef, Quantities, UsageBatchBuilder, UsageFlags, UsageRef,
};
use policy::price::{Tier, TokenCounts};
use policy::rule::{RuleSet, SourceFile, compile};
use policy::subject::Trust;
use policy::time::Timestamp;

pub const KEY: IdKey = IdKey([1, 2]);

const PRICES: &str = "---
apiVersion: breakerbox.dev/v1alpha1
kind: PriceBook
metadata: {name: whole-numbers}
spec:
  models:
    dollar-per-million: {input: 1 USD per 1M tokens, output: 1 USD per 1M tokens}
    custom/dollar-per-million: {input: 1 USD per 1M tokens, output: 1 USD per 1M tokens}
    pricey: {input: 3.30 USD per 1M tokens, output: 3.30 USD per 1M tokens}
    custom/pricey: {input: 3.30 USD per 1M tokens, output: 3.30 USD per 1M tokens}
  instances:
    - {type: g5.xlarge, capacityType: on-demand, region: us-east-1, price: 3.60 USD per hour}
  accept: [us-east-1/g5.xlarge/on-demand]
---
apiVersion: breakerbox.dev/v1alpha1
kind: Route
metadata: {name: finops}
spec: {receivers: [{slackWebhook: {url: {env: SLACK_URL}}}]}
";

/// The rule set that a text comes to.
pub fn rules(text: &str) -> RuleSet {
    let text = format!("{PRICES}{text}");
    let files = [SourceFile { path: "rules.yaml", text: &text }];
    compile(&files).unwrap_or_else(|wrong| panic!("{wrong}\n{text}")).rules
}

pub fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).unwrap()
}

pub const fn ms(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// What was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Used {
    /// Tokens at a millionth of a dollar each.
    Cheap(u64),
    /// Tokens at 3.3 millionths of a dollar each.
    Pricey(u64),
    /// Tokens of a model that nobody has a price for.
    Unpriced(u64),
    /// So many milliseconds of a quarter of an instance: a quarter of a millionth of a dollar each.
    Gpu(i64),
    /// A call that used nothing.
    Nothing,
}

impl Used {
    /// What it costs, in 10⁻¹² USD; `None` where that is not known.
    pub fn picos(self) -> Option<i128> {
        match self {
            Self::Cheap(tokens) => Some(i128::from(tokens) * 1_000_000),
            Self::Pricey(tokens) => Some(i128::from(tokens) * 3_300_000),
            Self::Gpu(millis) => Some(i128::from(millis) * 250_000),
            Self::Unpriced(_) => None,
            Self::Nothing => Some(0),
        }
    }
}

/// One usage as a test writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub key: String,
    pub at: i64,
    pub used: Used,
    /// Name, value, and whether it can be believed.
    pub claims: Vec<(&'static str, String, bool)>,
}

/// The same on every run, and nobody chose it.
pub struct Dice(pub u64);

impl Dice {
    /// 0 up to but without `sides`.
    pub fn roll(&mut self, sides: i64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from(self.0 >> 33).unwrap() % sides
    }
}

/// A batch of rows.
pub fn usage(source: &str, catching_up: bool, rows: &[Row]) -> Fact {
    let mut batch = UsageBatchBuilder::new(KEY, source, catching_up);
    for row in rows {
        push(&mut batch, row);
    }
    Fact::Usage(batch.finish())
}

fn push(batch: &mut UsageBatchBuilder, row: &Row) {
    let trust = |yes: bool| if yes { Trust::Trusted } else { Trust::Asserted };
    let claims: Vec<(&str, &str, Trust)> =
        row.claims.iter().map(|(name, value, yes)| (*name, value.as_str(), trust(*yes))).collect();
    let arn = |name: &str| format!("arn:aws:bedrock:us-east-1:111122223333:imported-model/{name}");
    let (provider, model, capacity) = match row.used {
        Used::Gpu(_) => ("aws.ec2", "g5.xlarge".to_owned(), "on-demand"),
        Used::Pricey(_) => ("aws.bedrock", arn("pricey"), ""),
        Used::Unpriced(_) => ("aws.bedrock", "vendor.unheard-of-v1:0".to_owned(), ""),
        Used::Cheap(_) | Used::Nothing => ("aws.bedrock", arn("dollar-per-million"), ""),
    };
    let quantities = match row.used {
        Used::Cheap(input) | Used::Pricey(input) | Used::Unpriced(input) => {
            Quantities::Tokens(TokenCounts { input, ..TokenCounts::default() })
        }
        Used::Gpu(millis) => Quantities::Instance(InstanceUse {
            start: ms(row.at - millis),
            end: ms(row.at),
            share_milli: 250,
        }),
        Used::Nothing => Quantities::Nothing,
    };
    batch.push(&UsageRef {
        key: &row.key,
        occurred_at: ms(row.at),
        quantities,
        flags: UsageFlags::default(),
        origin: OriginRef {
            record: Trust::Trusted,
            provider,
            account: "111122223333",
            region: "us-east-1",
            model: &model,
            capacity,
            tier: Tier::Default,
            claims: &claims,
            ..OriginRef::default()
        },
        end: None,
        links: &[],
    });
}
