//! Events in every form, and every way in which one can be wrong.

use policy::fact::{IdKey, InstanceUse, Quantities, UsageBatch, UsageBatchBuilder, UsageFlags};
use policy::price::{Tier, TokenCounts};
use policy::subject::Trust;
use policy::time::Timestamp;

use super::*;

const BEDROCK: &str = include_str!("../../samples/usage-event.bedrock.json");
const CLOUD: &str = include_str!("../../samples/usage-event.cloudevents.json");
const GPU: &str = include_str!("../../samples/usage-event.gpu.json");

fn read(json: &str, fixed: &Fixed) -> Result<UsageBatch, EventError> {
    let mut builder = UsageBatchBuilder::new(IdKey([1, 2]), "gateway", false);
    let pushed = EventParser::new(fixed).push_json(json, &mut builder);
    assert_eq!(pushed.is_ok(), builder.len() == 1, "what is refused adds nothing");
    pushed.map(|()| builder.finish())
}

fn fixed(fields: &[(&str, &str)], account: Option<&str>) -> Fixed {
    Fixed {
        fields: fields.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
        account: account.map(ToOwned::to_owned),
    }
}

fn claims(batch: &UsageBatch) -> Vec<(&str, &str, Trust)> {
    batch.origins[0].claims.iter().map(|(n, v, t)| (&**n, &**v, *t)).collect()
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).unwrap()
}

/// A valid event with one field changed.
fn with(field: &str, value: &str) -> String {
    let mut event: serde_json::Value = serde_json::from_str(BEDROCK).unwrap();
    *event.pointer_mut(field).unwrap() = serde_json::from_str(value).unwrap();
    event.to_string()
}

#[test]
fn the_bedrock_sample_gives_its_tokens_and_believes_nothing_of_itself() {
    let batch = read(BEDROCK, &Fixed::default()).unwrap();
    let row = batch.rows[0];
    assert_eq!(
        row.quantities,
        Quantities::Tokens(TokenCounts {
            input: 1200,
            cache_read: 8000,
            cache_write_5m: 1500,
            cache_write_1h: 500,
            output: 350
        })
    );
    assert_eq!(row.occurred_at, at("2026-11-20T10:15:04Z"));
    assert_eq!(batch.key_of(&row), "bedrock-log:111122223333:us-east-1:4f0c6f4e-6a55-4d0e-9d6c-0b6f6d1f7a10");
    assert_eq!(batch.links.len(), 1);
    let origin = &batch.origins[0];
    assert!(origin.model.ends_with("application-inference-profile/a1b2c3d4e5f6"), "raw, not resolved");
    assert_eq!((&*origin.account, &*origin.principal), ("", ""), "an event cannot vouch for either");
    assert_eq!((&*origin.region, &*origin.served_region), ("us-east-1", "us-west-2"));
    assert!(claims(&batch).iter().all(|(_, _, trust)| *trust == Trust::Asserted));
    assert!(claims(&batch).contains(&("tenant", "acme", Trust::Asserted)));
    assert!(claims(&batch).contains(&("principal", "role/team-search-agent", Trust::Asserted)));
}

#[test]
fn what_the_token_fixes_is_trusted_and_the_events_own_word_for_it_is_dropped() {
    let token = fixed(&[("tenant", "beta"), ("region", "eu-west-1")], Some("999900001111"));
    let batch = read(BEDROCK, &token).unwrap();
    let origin = &batch.origins[0];
    assert_eq!((&*origin.account, &*origin.region), ("999900001111", "eu-west-1"));
    let all = claims(&batch);
    assert_eq!(all.iter().filter(|(name, _, _)| *name == "tenant").count(), 1);
    assert!(all.contains(&("tenant", "beta", Trust::Trusted)));
    assert_eq!(all.iter().filter(|(name, _, _)| *name == "account").count(), 1);
    assert!(all.contains(&("account", "999900001111", Trust::Trusted)));
    assert_eq!(origin.record, Trust::Asserted, "of region and model only what the token fixes is believed");
    assert!(all.contains(&("region", "eu-west-1", Trust::Trusted)));
    assert!(all.contains(&("agent", "researcher", Trust::Asserted)));
}

#[test]
fn a_cloud_event_is_the_event_that_it_carries() {
    let plain = read(BEDROCK, &Fixed::default()).unwrap();
    assert_eq!(read(CLOUD, &Fixed::default()).unwrap(), plain);
    // What the envelope says stands in for what the event leaves out.
    let mut cloud: serde_json::Value = serde_json::from_str(CLOUD).unwrap();
    for field in ["id", "schema", "occurred_at"] {
        cloud["data"].as_object_mut().unwrap().remove(field);
    }
    assert_eq!(read(&cloud.to_string(), &Fixed::default()).unwrap(), plain);
}

#[test]
fn gpu_time_is_a_stretch_of_an_instance() {
    let batch = read(GPU, &Fixed::default()).unwrap();
    let minute = Quantities::Instance(InstanceUse {
        start: at("2026-11-20T10:15:00Z"),
        end: at("2026-11-20T10:16:00Z"),
        share_milli: 1000,
    });
    assert_eq!(batch.rows[0].quantities, minute);
    let origin = &batch.origins[0];
    assert_eq!(
        (&*origin.provider, &*origin.model, &*origin.capacity, &*origin.region),
        ("aws.ec2", "g5.xlarge", "spot", "us-east-1")
    );
    let mut without_window: serde_json::Value = serde_json::from_str(GPU).unwrap();
    without_window["window"] = serde_json::Value::Null;
    assert_eq!(read(&without_window.to_string(), &Fixed::default()).unwrap().rows[0].quantities, minute);
}

#[test]
fn kinds_that_have_no_price_here_are_counted_and_an_error_used_nothing() {
    let event = |kind: &str, quantities: &str, more: &str| {
        format!(
            r#"{{"schema":"usage.v1","id":"x","occurred_at":"2026-11-20T10:15:04Z","kind":"{kind}",
            "model":"amazon.nova-canvas-v1:0","quantities":{quantities}{more}}}"#
        )
    };
    let got = |json: &str| read(json, &Fixed::default()).unwrap().rows[0].quantities;
    assert_eq!(got(&event("images", r#"{"images":3}"#, "")), Quantities::Other(3));
    assert_eq!(got(&event("seconds", r#"{"video_ms":5,"audio_ms":2}"#, "")), Quantities::Other(7));
    assert_eq!(got(&event("requests", r#"{"queries":4}"#, "")), Quantities::Other(4));
    assert_eq!(got(&event("flat", "null", "")), Quantities::Other(1));
    assert_eq!(got(&event("tokens", "{}", r#","status":"error""#)), Quantities::Nothing);
    let batch =
        read(&event("tokens", r#"{"output_tokens":1}"#, r#","batch":true"#), &Fixed::default()).unwrap();
    assert_eq!((batch.origins[0].tier, &*batch.origins[0].model), (Tier::Batch, "amazon.nova-canvas-v1:0"));
}

#[test]
fn what_the_sender_is_unsure_of_is_flagged() {
    let batch = read(&with("/flags", r#"["split_assumed","late","unheard of"]"#), &Fixed::default()).unwrap();
    assert_eq!(batch.rows[0].flags, UsageFlags::SPLIT_ASSUMED);
}

#[test]
fn the_same_words_in_another_order_are_the_same_origin() {
    let a = with("/subject", r#"{"team":"search","agent":"r","note":null}"#);
    let b = with("/subject", r#"{"agent":"r","team":"search"}"#);
    let digest = |json: &str| read(json, &Fixed::default()).unwrap().digests[0];
    assert_eq!(digest(&a), digest(&b));
}

#[test]
fn an_event_that_cannot_be_right_says_what_is_wrong_and_what_to_write() {
    let long = format!("\"{}\"", "x".repeat(3_000));
    let many = format!("[{}]", vec!["\"l\""; 40].join(","));
    for (field, value, reason, message, help) in [
        ("/schema", "null", "missing_field", "`schema` is missing", "usage.v1"),
        ("/schema", "\"usage.v2\"", "unknown_schema", "`usage.v2` in `schema`", "usage.v1"),
        ("/id", "null", "missing_field", "`id` is missing", "same name"),
        ("/id", &long, "too_long", "`id` has 3000 bytes", "2048"),
        ("/id", "\"a\\nb\"", "bad_field", "`a\\nb` in `id` has a control character", "line breaks"),
        ("/subject/team", "\"a\\u001b[31m\"", "bad_field", "in `subject` has a control", "line breaks"),
        ("/kind", "null", "missing_field", "`kind` is missing", "`gpu_time`"),
        ("/kind", "\"token\"", "unknown_kind", "`token` in `kind`", "`tokens`"),
        ("/kind", "\"gpu_time\"", "missing_field", "`instance.type` is missing", "g5.xlarge"),
        ("/occurred_at", "null", "missing_field", "`occurred_at` is missing", "2026-"),
        ("/occurred_at", "\"noon\"", "bad_time", "`noon` in `occurred_at`", "2026-"),
        ("/occurred_at", "1763633704", "bad_time", "`1763633704` in `occurred_at`", "2026-"),
        ("/tier", "\"turbo\"", "bad_field", "`turbo` in `tier`", "`flex`"),
        ("/quantities", "null", "missing_field", "`quantities.input_tokens` is missing", "status: error"),
        ("/quantities/input_tokens", "-5", "bad_count", "`-5` in `quantities.input_tokens`", "whole number"),
        ("/quantities/output_tokens", "1.5", "bad_count", "`1.5` in `quantities.output_tokens`", "whole"),
        ("/quantities/output_tokens", "1000000000001", "bad_count", "`1000000000001` in", "1000000000000"),
        ("/quantities/output_tokens", "\"7\"", "bad_count", "`\"7\"` in", "whole number"),
        ("/link_ids", &many, "too_long", "`link_ids` has more than 16 entries", "16"),
    ] {
        let error = read(&with(field, value), &Fixed::default()).unwrap_err();
        assert_eq!(error.reason, reason, "{field} {value}: {error}");
        assert!(error.message.contains(message), "{field} {value}: {error}");
        assert!(error.help.contains(help), "{field} {value}: {}", error.help);
    }
}

#[test]
fn a_time_charge_that_cannot_be_right_is_refused() {
    for (field, value, message) in [
        ("/window/end", "\"2026-11-20T10:14:00Z\"", "before it starts"),
        ("/window/end", "null", "in `window.end` is no time"),
        ("/instance/gpu_share_milli", "1001", "more than the whole"),
        ("/instance/gpu_share_milli", "-1", "is no count"),
    ] {
        let mut event: serde_json::Value = serde_json::from_str(GPU).unwrap();
        *event.pointer_mut(field).unwrap() = serde_json::from_str(value).unwrap();
        let error = read(&event.to_string(), &Fixed::default()).unwrap_err();
        assert!(error.message.contains(message), "{field}: {error}");
    }
}

#[test]
fn a_cloud_event_of_another_type_or_without_data_is_refused() {
    let cloud = |more: &str| format!(r#"{{"specversion":"1.0","id":"c"{more}}}"#);
    let error = |more: &str| read(&cloud(more), &Fixed::default()).unwrap_err();
    assert_eq!(error(r#","type":"com.example.other""#).reason, "unknown_kind");
    assert_eq!(error(r#","type":"dev.breakerbox.usage.v1""#).message, "`data` is missing");
}
