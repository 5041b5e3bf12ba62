//! The file as it is written: every value with its place, nothing checked but the shape.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_saphyr::{Error, Spanned};

use super::report::{ConfigError, Mistake, Spot, nearest};

/// A text with its place.
pub(super) type Text = Spanned<String>;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(super) struct File {
    pub(super) data_dir: Option<Text>,
    pub(super) rules_dir: Option<Text>,
    pub(super) http: Http,
    pub(super) socket: Option<Text>,
    pub(super) ceiling: Option<Text>,
    pub(super) install_id: Option<Text>,
    pub(super) cluster: Cluster,
    pub(super) sources: Sources,
    pub(super) tokens: Vec<Token>,
    pub(super) operators: Vec<Operator>,
    pub(super) slack: Slack,
    pub(super) limits: Limits,
    pub(super) dead_letter_dir: Option<Text>,
    pub(super) poll: Poll,
    pub(super) metrics: Metrics,
    pub(super) log: Log,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Http {
    pub(super) listen: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(super) struct Cluster {
    pub(super) connect: Option<Text>,
    pub(super) kubeconfig: Option<Text>,
    pub(super) context: Option<Text>,
    pub(super) namespace: Option<Text>,
    pub(super) keda_namespace: Option<Text>,
    pub(super) keda_deployment: Option<Text>,
    pub(super) keda_version: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Sources {
    pub(super) bedrock: Vec<Bedrock>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Bedrock {
    #[serde(default)]
    pub(super) name: Option<Text>,
    pub(super) path: Text,
    #[serde(default)]
    pub(super) poll: Option<Text>,
    #[serde(default)]
    pub(super) settle: Option<Text>,
    #[serde(default)]
    pub(super) assume: Assume,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(super) struct Assume {
    pub(super) tier: Option<Text>,
    pub(super) cache_ttl: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Token {
    pub(super) name: Text,
    pub(super) secret: Spanned<Secret>,
    #[serde(default)]
    pub(super) fields: BTreeMap<String, Text>,
    #[serde(default)]
    pub(super) account: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Operator {
    pub(super) name: Text,
    pub(super) secret: Spanned<Secret>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Slack {
    pub(super) api: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Secret {
    pub(super) env: Option<String>,
    pub(super) file: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(super) struct Limits {
    pub(super) on_time: Option<Text>,
    pub(super) horizon: Option<Text>,
    pub(super) max_ahead: Option<Text>,
    pub(super) body: Option<Text>,
    pub(super) disk_reserve: Option<Text>,
    pub(super) keep: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Poll {
    pub(super) rules: Option<Text>,
    pub(super) tick: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(super) struct Metrics {
    pub(super) max_series: Option<Spanned<u64>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Log {
    pub(super) format: Option<Text>,
}

/// Reads the shape. A text without anything in it is all defaults.
pub(super) fn read(name: &str, text: &str) -> Result<File, ConfigError> {
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(File::default());
    }
    serde_saphyr::from_str(text).map_err(|error| {
        let mistake = explain(error.without_snippet());
        ConfigError::new(name, text, vec![mistake])
    })
}

/// What the parser said, in our words.
fn explain(error: &Error) -> Mistake {
    let spot = error.location().map(Spot::from).unwrap_or_default();
    let (message, help) = match error {
        Error::SerdeUnknownField { field, expected, .. } => {
            let help = match nearest(field, expected.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the keys here are {}", listed(expected)),
            };
            (format!("unknown key `{field}`"), help)
        }
        Error::SerdeMissingField { field, .. } => {
            (format!("`{field}` is missing"), format!("add `{field}:` to this entry"))
        }
        Error::DuplicateMappingKey { key, .. } => {
            let key = key.as_deref().unwrap_or("a key");
            (format!("`{key}` is written twice"), "keep one of them".to_owned())
        }
        Error::SerdeInvalidType { unexpected, expected, .. } => {
            (format!("found {unexpected} where {expected} belongs"), format!("write {expected} here"))
        }
        other => {
            let text = other.to_string();
            let first = text.lines().next().unwrap_or("not valid YAML").to_owned();
            (first, "this is not the YAML of a configuration; see the configuration reference".to_owned())
        }
    };
    Mistake { spot, message, help }
}

fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
