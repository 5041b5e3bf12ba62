//! What of a payload may be kept: a list of fields, never a list of exceptions.

use policy::fact::Quantities;
use policy::subject::{Subject, Trust, field};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::Letter;

/// Bytes of an excerpt at most.
pub const MOST_EXCERPT: usize = 1024;
/// Characters of one text in it at most.
const MOST_TEXT: usize = 200;
/// Larger payloads are not even parsed for an excerpt.
const MOST_PARSED: usize = 1 << 20;

/// Objects that are looked into. A text under one of these names is not kept: `input` may be a prompt.
const OBJECTS: [&str; 10] = [
    "identity",
    "input",
    "output",
    "serviceTier",
    "data",
    "window",
    "model",
    "instance",
    "quantities",
    "subject",
];

/// Fields that say how much, by whom, when and where; of Bedrock's record and of `usage.v1`. What is not
/// here is not kept, wherever it stands.
#[rustfmt::skip]
const FIELDS: [&str; 53] = [
    "schemaType", "schemaVersion", "timestamp", "accountId", "region", "requestId", "operation", "modelId",
    "inferenceRegion", "errorCode", "status", "arn", "type", "inputContentType", "inputTokenCount",
    "cacheReadInputTokenCount", "cacheWriteInputTokenCount", "outputContentType", "outputTokenCount",
    "outputImageCount", "specversion", "time", "schema", "id", "source", "kind", "occurred_at", "start", "end",
    "provider", "account", "served_region", "raw", "zone", "capacity_type", "gpu_share_milli", "tier", "batch",
    "input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "output_tokens",
    "gpu_ms", "node_ms", "tenant", "team", "agent", "cluster", "namespace", "workload", "pod", "principal",
];

/// The line of a letter, with its line break.
pub(super) fn line(letter: &Letter<'_>) -> Vec<u8> {
    let mut object = json!({
        "reason": letter.reason.word(),
        "source": letter.source,
        "detail": cut(&letter.detail),
        "help": letter.reason.help(),
    });
    let optional = [
        ("file", letter.file.map(|file| json!(file))),
        ("offset", letter.offset.map(|offset| json!(offset))),
        ("end", letter.end.map(|end| json!(end))),
        ("id", letter.id.map(|id| json!(cut(id)))),
        ("occurred_at", letter.occurred_at.map(|at| json!(at.to_string()))),
        ("usd", letter.amount.map(|amount| json!(amount.exact().trim_end_matches(" USD")))),
        ("quantities", letter.usage.map(|(used, _)| quantities(&used))),
        ("subject", letter.usage.map(|(_, subject)| who(subject))),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            object[name] = value;
        }
    }
    if !letter.payload.is_empty() {
        object["bytes"] = json!(letter.payload.len());
        match of(letter.payload) {
            Some(excerpt) => object["excerpt"] = excerpt,
            None => object["sha256"] = json!(hex(&Sha256::digest(letter.payload))),
        }
    }
    let mut line = object.to_string().into_bytes();
    line.push(b'\n');
    line
}

/// What was used, in the words of `usage.v1`; what is zero is left out.
fn quantities(used: &Quantities) -> Value {
    let counts = |counts: &[(&str, u64)]| -> Value {
        counts.iter().filter(|(_, count)| *count > 0).map(|(name, count)| (*name, json!(count))).collect()
    };
    match used {
        Quantities::Tokens(tokens) => counts(&[
            ("input_tokens", tokens.input),
            ("cache_read_tokens", tokens.cache_read),
            ("cache_write_5m_tokens", tokens.cache_write_5m),
            ("cache_write_1h_tokens", tokens.cache_write_1h),
            ("output_tokens", tokens.output),
        ]),
        Quantities::Instance(time) => {
            let (start, end) = (time.start.to_string(), time.end.to_string());
            json!({"start": start, "end": end, "gpu_share_milli": time.share_milli})
        }
        Quantities::Other(units) => counts(&[("units", *units)]),
        Quantities::Nothing => counts(&[]),
        Quantities::Billed(billed) => json!({"billed": billed.amount.to_string()}),
    }
}

/// Who used what: the fields that we know, marked where only the caller says so, as many as fit.
fn who(subject: &Subject) -> Value {
    let mut kept = Map::new();
    for field in field::ALL.iter().filter_map(|name| subject.get(name)) {
        let mark = if field.trust == Trust::Asserted { "=asserted" } else { "" };
        kept.insert(field.name.to_string(), json!(format!("{}{mark}", cut(&field.value))));
        if Value::Object(kept.clone()).to_string().len() > MOST_EXCERPT {
            kept.remove(&*field.name);
        }
    }
    Value::Object(kept)
}

/// The kept fields of a payload that is a JSON object and has some.
fn of(payload: &[u8]) -> Option<Value> {
    if payload.len() > MOST_PARSED {
        return None;
    }
    let value: Value = serde_json::from_slice(payload).ok()?;
    let kept = kept_of(value.as_object()?)?;
    (kept.to_string().len() <= MOST_EXCERPT).then_some(kept)
}

fn kept_of(fields: &Map<String, Value>) -> Option<Value> {
    let kept: Map<String, Value> = fields
        .iter()
        .filter_map(|(name, value)| {
            let (name, known) = (name.as_str(), |names: &[&str]| names.contains(&name.as_str()));
            let value = match value {
                Value::Object(inner) if known(&OBJECTS) => kept_of(inner)?,
                Value::String(text) if known(&FIELDS) => json!(cut(text)),
                Value::Number(_) | Value::Bool(_) | Value::Null if known(&FIELDS) => value.clone(),
                // No list in either format is needed to understand a letter, and stream chunks are lists.
                _ => return None,
            };
            Some((name.to_owned(), value))
        })
        .collect();
    (!kept.is_empty()).then_some(Value::Object(kept))
}

fn cut(text: &str) -> String {
    text.chars().take(MOST_TEXT).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
