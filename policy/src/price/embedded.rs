//! The embedded book: `rules/prices/*.json`, read once.
//!
//! The files are generated and tested with the crate, so a figure that cannot be read is a broken build,
//! not a condition at run time. Rates are strings of whole pico-dollars: no reader on the way can turn them
//! into floats.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::book::{Book, HOME_REGION, ON_DEMAND, PriceBook, instance_key};
use super::entry::{Entry, Listed};
use super::{Tier, TokenClass};
use crate::money::{HourRate, TokenRate};

const BEDROCK: &str = include_str!("../../../rules/prices/bedrock.json");
const EC2_GPU: &str = include_str!("../../../rules/prices/ec2-gpu.json");

#[derive(Deserialize)]
struct BedrockFile {
    id: String,
    as_of: String,
    models: BTreeMap<String, EntryFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryFile {
    provider: String,
    unit: Option<String>,
    #[serde(default)]
    lists_global_rate: bool,
    /// By level, "default", "batch", "default>200000"; then by class.
    #[serde(default)]
    rates: BTreeMap<String, BTreeMap<String, TokenRate>>,
}

#[derive(Deserialize)]
struct Ec2File {
    region: String,
    picos_per_hour: BTreeMap<String, HourRate>,
}

static EMBEDDED: LazyLock<PriceBook> = LazyLock::new(|| PriceBook::from_book(read()));

impl PriceBook {
    /// The book that the binary carries: Bedrock's list and EC2's GPU types, with their date.
    #[must_use]
    pub fn embedded() -> Self {
        EMBEDDED.clone()
    }
}

/// Reads the embedded files.
///
/// # Panics
/// When they are not what `generate.py` writes; a test reads them.
#[expect(
    clippy::expect_used,
    clippy::panic,
    reason = "the files are part of the program, and a test reads them"
)]
fn read() -> Book {
    let bedrock: BedrockFile = serde_json::from_str(BEDROCK).expect("rules/prices/bedrock.json is readable");
    let ec2: Ec2File = serde_json::from_str(EC2_GPU).expect("rules/prices/ec2-gpu.json is readable");
    assert_eq!(ec2.region, HOME_REGION, "rules/prices/ec2-gpu.json is of the home region");
    let models = bedrock.models.into_iter().map(|(key, file)| {
        let entry = entry(file).unwrap_or_else(|what| panic!("rules/prices/bedrock.json: `{key}`: {what}"));
        (key, entry)
    });
    let on_demand = |(kind, rate): (String, HourRate)| (instance_key(HOME_REGION, &kind, ON_DEMAND), rate);
    Book {
        id: bedrock.id,
        as_of: bedrock.as_of,
        models: models.collect(),
        instances: ec2.picos_per_hour.into_iter().map(on_demand).collect(),
        ..Book::default()
    }
}

fn entry(file: EntryFile) -> Result<Entry, String> {
    let mut entry = Entry::new(file.provider, file.unit);
    for (level, rates) in file.rates {
        let (tier, above) = level.split_once('>').unwrap_or((&level, "0"));
        let tier: Tier = tier.parse().map_err(|_| format!("`{level}` is no level"))?;
        let above = above.parse().map_err(|_| format!("`{level}` is no level"))?;
        for (word, rate) in rates {
            let class = TokenClass::ALL
                .into_iter()
                .find(|class| class.word() == word)
                .ok_or_else(|| format!("`{word}` is no class"))?;
            let listed = Listed { rate, rounded: false, is_global: file.lists_global_rate };
            entry.set((tier, above, class), listed);
        }
    }
    Ok(entry)
}
