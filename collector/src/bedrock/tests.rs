//! Records as AWS documents them, and as real parsers met them.

use policy::fact::{IdKey, Origin, Quantities, Usage, UsageBatch, UsageBatchBuilder, UsageFlags};
use policy::price::{Tier, TokenCounts};
use policy::subject::Trust;

use super::{Assume, CacheTtl, Parser, RecordError};

const KEY: IdKey = IdKey([7, 9]);

const CONVERSE: &str = include_str!("../../samples/bedrock-invocation-converse.json");
const STREAM: &str = include_str!("../../samples/bedrock-invocation-invokemodel-stream.json");
const LARGE: &str = include_str!("../../samples/bedrock-invocation-large-body-s3.json");
const ERROR: &str = include_str!("../../samples/bedrock-invocation-error.json");
const EMBEDDING: &str = include_str!("../../samples/bedrock-invocation-embedding.json");

fn batch(text: &str, assume: Assume) -> Result<UsageBatch, RecordError> {
    let mut out = UsageBatchBuilder::new(KEY, "bedrock-log", false);
    Parser::new(assume).parse(text.as_bytes(), None, &mut out)?;
    Ok(out.finish())
}

fn read(text: &str) -> (Usage, Origin) {
    let batch = batch(text, Assume::default()).unwrap_or_else(|e| panic!("{text}: {e}"));
    (batch.rows[0], batch.origins[0].clone())
}

const fn tokens(input: u64, cache_read: u64, write_5m: u64, write_1h: u64, output: u64) -> Quantities {
    Quantities::Tokens(TokenCounts {
        input,
        cache_read,
        cache_write_5m: write_5m,
        cache_write_1h: write_1h,
        output,
    })
}

/// A record with that header, input, output and anything more.
fn record(more: &str, input: &str, output: &str) -> String {
    format!(
        r#"{{"timestamp":"2026-11-20T10:15:04Z","accountId":"111122223333","region":"us-east-1","requestId":"r-1","modelId":"m"{more},"input":{{{input}}},"output":{{{output}}}}}"#
    )
}

#[test]
fn every_sample_gives_the_counts_that_its_readme_states() {
    for (text, quantities, flags) in [
        (CONVERSE, tokens(1200, 8000, 1500, 500, 350), UsageFlags::default()),
        (STREAM, tokens(3, 0, 25_037, 0, 13), UsageFlags::default()),
        (LARGE, tokens(3, 0, 25_037, 0, 9001), UsageFlags::SPLIT_ASSUMED),
        (ERROR, Quantities::Nothing, UsageFlags::default()),
        (EMBEDDING, tokens(512, 0, 0, 0, 0), UsageFlags::default()),
    ] {
        let (row, _) = read(text);
        assert_eq!((row.quantities, row.flags), (quantities, flags), "{text}");
    }
}

#[test]
fn a_record_keeps_who_called_where_and_what_they_said() {
    let batch = batch(CONVERSE, Assume::default()).unwrap();
    let origin = &batch.origins[0];
    assert_eq!(batch.key_of(&batch.rows[0]), "111122223333:us-east-1:4f0c6f4e-6a55-4d0e-9d6c-0b6f6d1f7a10");
    assert_eq!(batch.rows[0].occurred_at.to_string(), "2026-11-20T10:15:04Z");
    assert_eq!(&*origin.account, "111122223333");
    assert_eq!((&*origin.region, &*origin.served_region), ("us-east-1", "us-west-2"));
    assert_eq!(
        &*origin.model,
        "arn:aws:bedrock:us-east-1:111122223333:application-inference-profile/a1b2c3d4e5f6"
    );
    assert!(origin.principal.contains("assumed-role/team-search-agent/"));
    let claims: Vec<_> = origin.claims.iter().map(|(n, v, t)| (&**n, &**v, *t)).collect();
    let said = Trust::Asserted;
    assert_eq!(claims, [("agent", "researcher", said), ("team", "search", said), ("tenant", "acme", said)]);
    let link = policy::fact::FactId::of(&KEY, "bedrock-log", "bedrock:4f0c6f4e-6a55-4d0e-9d6c-0b6f6d1f7a10");
    assert_eq!(batch.links, [(0, link)]);
}

#[test]
fn header_counts_come_first_then_the_bodys_and_what_neither_tells_is_flagged() {
    let usage = r#""outputBodyJson":{"usage":{"inputTokens":9,"outputTokens":8,"cacheReadInputTokens":7,"cacheWriteInputTokens":0}}"#;
    let unknown = UsageFlags::CACHE_UNKNOWN;
    for (input, output, quantities, flags) in [
        // Both tell: the header holds.
        (
            r#""inputTokenCount":1,"cacheReadInputTokenCount":2,"cacheWriteInputTokenCount":0"#,
            format!(r#""outputTokenCount":3,{usage}"#),
            tokens(1, 2, 0, 0, 3),
            UsageFlags::default(),
        ),
        // Only the body tells of the cache.
        (
            r#""inputTokenCount":1"#,
            format!(r#""outputTokenCount":3,{usage}"#),
            tokens(1, 7, 0, 0, 3),
            UsageFlags::default(),
        ),
        ("", usage.to_owned(), tokens(9, 7, 0, 0, 8), UsageFlags::default()),
        // Neither tells of the cache.
        (r#""inputTokenCount":1"#, r#""outputTokenCount":3"#.to_owned(), tokens(1, 0, 0, 0, 3), unknown),
        // Nobody tells anything: one call without a price, not zero.
        ("", String::new(), Quantities::Other(1), unknown),
        ("", r#""outputBodyJson":"plain words""#.to_owned(), Quantities::Other(1), unknown),
    ] {
        let (row, _) = read(&record("", input, &output));
        assert_eq!((row.quantities, row.flags), (quantities, flags), "{input} {output}");
    }
}

#[test]
fn bodies_in_every_form_tell_the_split_of_cache_writes() {
    let input = r#""inputTokenCount":1,"cacheReadInputTokenCount":0,"cacheWriteInputTokenCount":10"#;
    let start = r#"{"type":"message_start","message":{"usage":{"input_tokens":1,"cache_creation":{"ephemeral_5m_input_tokens":4,"ephemeral_1h_input_tokens":6}}}}"#;
    let quoted = serde_json::to_string(&format!("[{start}]")).unwrap();
    let lines = serde_json::to_string(&format!("{start}\n{{\"type\":\"message_stop\"}}")).unwrap();
    let assumed = UsageFlags::SPLIT_ASSUMED;
    for (body, split, flags) in [
        (
            r#"{"usage":{"cacheDetails":[{"ttl":"1h","inputTokens":6},{"ttl":"5m","inputTokens":4}]}}"#,
            (4, 6),
            0,
        ),
        (r#"[{"metadata":{"usage":{"cacheDetails":[{"ttl":"1h","inputTokens":10}]}}}]"#, (0, 10), 0),
        (&format!("[{start}]"), (4, 6), 0),
        (
            r#"{"usage":{"cache_creation":{"ephemeral_5m_input_tokens":4,"ephemeral_1h_input_tokens":6}}}"#,
            (4, 6),
            0,
        ),
        (&quoted, (4, 6), 0),
        (&lines, (4, 6), 0),
        // A TTL that nobody knows, a split that is too small, one that is too large, none at all.
        (r#"{"usage":{"cacheDetails":[{"ttl":"1d","inputTokens":10}]}}"#, (10, 0), assumed.0),
        (r#"{"usage":{"cacheDetails":[{"ttl":"1h","inputTokens":6}]}}"#, (4, 6), assumed.0),
        (r#"{"usage":{"cacheDetails":[{"ttl":"1h","inputTokens":16}]}}"#, (0, 10), assumed.0),
        (r#"{"usage":{}}"#, (10, 0), assumed.0),
        // Shapes that nobody expected cost only what they would have told.
        (r#"{"usage":null}"#, (10, 0), assumed.0),
        (r#"{"usage":[1,2],"message":"x","metadata":7,"serviceTier":"default"}"#, (10, 0), assumed.0),
        (r#"{"usage":{"cacheDetails":{"ttl":"1h"}}}"#, (10, 0), assumed.0),
        (r#"[[],1,null,"x"]"#, (10, 0), assumed.0),
        ("null", (10, 0), assumed.0),
        ("7", (10, 0), assumed.0),
        (r#""lone surrogate \ud83d""#, (10, 0), assumed.0),
    ] {
        let output = format!(r#""outputTokenCount":3,"outputBodyJson":{body}"#);
        let (row, _) = read(&record("", input, &output));
        assert_eq!(row.quantities, tokens(1, 0, split.0, split.1, 3), "{body}");
        assert_eq!(row.flags.0, flags, "{body}");
    }
    let text = record("", input, r#""outputTokenCount":3"#);
    let hour = Assume { cache_ttl: CacheTtl::OneHour, ..Assume::default() };
    assert_eq!(batch(&text, hour).unwrap().rows[0].quantities, tokens(1, 0, 0, 10, 3));
}

#[test]
fn a_split_alone_tells_how_much_was_written() {
    let body = r#""outputTokenCount":3,"outputBodyJson":{"usage":{"cacheReadInputTokens":0,"cacheDetails":[{"ttl":"1h","inputTokens":6},{"ttl":"1h","inputTokens":1},{"ttl":"5m","inputTokens":4}]}}"#;
    let (row, _) = read(&record("", r#""inputTokenCount":1"#, body));
    assert_eq!((row.quantities, row.flags.0), (tokens(1, 0, 4, 7, 3), 0));
}

#[test]
fn the_tier_is_the_headers_then_the_bodys_then_the_assumed_one() {
    let input = r#""inputTokenCount":1,"cacheReadInputTokenCount":0,"cacheWriteInputTokenCount":0"#;
    for (more, body, tier, flags) in [
        ("", r#"{"serviceTier":{"type":"flex"}}"#, Tier::Flex, 0),
        ("", r#"[{"metadata":{"serviceTier":{"type":"priority"}}}]"#, Tier::Priority, 0),
        (r#","serviceTier":"reserved""#, r#"{"serviceTier":{"type":"flex"}}"#, Tier::Reserved, 0),
        (r#","serviceTier":{"type":"priority"}"#, "{}", Tier::Priority, 0),
        ("", "{}", Tier::Default, 0),
        (r#","serviceTier":"gold""#, "{}", Tier::Default, UsageFlags::TIER_ASSUMED.0),
    ] {
        let output = format!(r#""outputTokenCount":3,"outputBodyJson":{body}"#);
        let (row, origin) = read(&record(more, input, &output));
        assert_eq!((origin.tier, row.flags.0), (tier, flags), "{more} {body}");
    }
    let text = record("", input, r#""outputTokenCount":3"#);
    let flex = Assume { tier: Tier::Flex, ..Assume::default() };
    assert_eq!(batch(&text, flex).unwrap().origins[0].tier, Tier::Flex);
}

#[test]
fn identity_may_be_absent_a_list_or_a_text_and_two_callers_are_nobody() {
    for (identity, principal) in [
        ("", ""),
        (r#","identity":null"#, ""),
        (r#","identity":{}"#, ""),
        (r#","identity":{"arn":"a"}"#, "a"),
        (r#","identity":[{"arn":"a"}]"#, "a"),
        (r#","identity":["a"]"#, "a"),
        (r#","identity":"a""#, "a"),
        (r#","identity":[{"arn":"a"},{"arn":"a"}]"#, "a"),
        (r#","identity":[{"arn":"a"},{"arn":"b"}]"#, ""),
        (r#","identity":[]"#, ""),
    ] {
        let (_, origin) = read(&record(identity, "", ""));
        assert_eq!(&*origin.principal, principal, "{identity}");
    }
}

#[test]
fn metadata_of_any_shape_never_costs_the_record() {
    for (metadata, claims) in [
        (r#"{"a":"x","b":7,"c":true,"d":null,"e":[1],"f":{"g":1},"h":-1,"i":1.5,"j\n":"y"}"#, 6),
        ("{}", 0),
        ("null", 0),
        ("7", 0),
        ("-7", 0),
        ("1.5", 0),
        ("true", 0),
        (r#""text""#, 0),
        (r#"[{"a":"x"}]"#, 0),
    ] {
        let (_, origin) = read(&record(&format!(r#","requestMetadata":{metadata}"#), "", ""));
        assert_eq!(origin.claims.len(), claims, "{metadata}");
    }
}

#[test]
fn metadata_beyond_sixteen_pairs_is_not_kept() {
    let pairs: Vec<String> = (0..40).map(|n| format!(r#""k{n}":"v""#)).collect();
    let (_, origin) = read(&record(&format!(r#","requestMetadata":{{{}}}"#, pairs.join(",")), "", ""));
    assert_eq!(origin.claims.len(), 16);
}

#[test]
fn a_failed_call_used_nothing_unless_it_says_what() {
    let counts = r#""inputTokenCount":5"#;
    for (more, input, quantities) in [
        (r#","errorCode":"ThrottlingException""#, "", Quantities::Nothing),
        (r#","status":429"#, "", Quantities::Nothing),
        (r#","status":"500""#, "", Quantities::Nothing),
        (r#","status":200"#, "", Quantities::Other(1)),
        (r#","errorCode":"ModelStreamErrorException""#, counts, tokens(5, 0, 0, 0, 0)),
        (r#","errorCode":"ThrottlingException""#, r#""inputTokenCount":0"#, Quantities::Nothing),
    ] {
        assert_eq!(read(&record(more, input, "")).0.quantities, quantities, "{more} {input}");
    }
}

#[test]
fn images_and_video_are_counted_in_their_own_unit() {
    let (images, _) = read(&record("", r#""inputTokenCount":0"#, r#""outputImageCount":4"#));
    assert_eq!(images.quantities, Quantities::Other(4));
    let (video, _) = read(&record("", "", r#""outputBodyJson":{"outputVideoDurationSeconds":6}"#));
    assert_eq!(video.quantities, Quantities::Other(6));
}

#[test]
fn images_beside_tokens_take_nothing_from_the_tokens() {
    let text = record("", r#""inputTokenCount":12"#, r#""outputTokenCount":3,"outputImageCount":4"#);
    let both = batch(&text, Assume::default()).unwrap();
    let rows: Vec<_> = both.rows.iter().map(|row| (both.key_of(row), row.quantities)).collect();
    let (one, other) = ("111122223333:us-east-1:r-1", "111122223333:us-east-1:r-1#other");
    assert_eq!(rows, [(one, tokens(12, 0, 0, 0, 3)), (other, Quantities::Other(4))]);
    // The call is known by one of them: the other would be taken for its copy.
    assert_eq!(both.links.iter().map(|(row, _)| *row).collect::<Vec<_>>(), [0]);
}

#[test]
fn what_cannot_be_used_says_why_and_adds_nothing() {
    for (text, word, said) in [
        ("not json", "not_json", "not a JSON record"),
        ("{", "not_json", "not a JSON record"),
        ("[]", "not_a_record", "no `accountId`; without it a record cannot be told from its own copy"),
        (
            r#"{"schemaType":"Other"}"#,
            "not_a_record",
            "`schemaType` is `Other`; only `ModelInvocationLog` is read here",
        ),
        (
            r#"{"accountId":"1","timestamp":"2026-11-20T10:15:04Z"}"#,
            "not_a_record",
            "no `requestId`; without it a record cannot be told from its own copy",
        ),
        (r#"{"accountId":"1","requestId":"r","timestamp":"yesterday"}"#, "bad_field", "bad `timestamp`"),
        (
            &record("", r#""inputTokenCount":-5"#, ""),
            "bad_field",
            "`inputTokenCount` is `-5`; a count is a whole number from 0",
        ),
        (
            &record("", "", r#""outputTokenCount":1.5"#),
            "bad_field",
            "`outputTokenCount` is `1.5`; a count is a whole number from 0",
        ),
    ] {
        let error = batch(text, Assume::default()).expect_err(text);
        assert_eq!((error.reason().word(), error.to_string().as_str()), (word, said), "{text}");
    }
    let mut out = UsageBatchBuilder::new(KEY, "bedrock-log", false);
    let error = Parser::default().parse(b"{\"a\":\"\xff\"}", None, &mut out).expect_err("not UTF-8");
    assert_eq!(error.to_string(), "not UTF-8 after byte 6");
    assert!(out.is_empty());
}

#[test]
fn a_record_and_its_copy_are_one_fact_and_another_count_is_a_conflict() {
    let (first, _) = read(CONVERSE);
    let (copy, _) = read(&CONVERSE.replace(
        "\"team\": \"search\",\n    \"tenant\": \"acme\"",
        "\"tenant\": \"acme\",\n    \"team\": \"search\"",
    ));
    assert_eq!((first.id, first.content), (copy.id, copy.content), "the order of metadata is nothing");
    let (other, _) = read(&CONVERSE.replace("\"outputTokenCount\": 350", "\"outputTokenCount\": 351"));
    assert_eq!(first.id, other.id);
    assert_ne!(first.content, other.content);
}

#[test]
fn nothing_of_a_body_is_kept() {
    let secret = "the prompt of a customer";
    let output = format!(
        r#""outputTokenCount":3,"outputBodyJson":{{"output":{{"message":{{"content":[{{"text":"{secret}"}}]}}}},"usage":{{"note":"{secret}"}}}}"#
    );
    let input = format!(r#""inputTokenCount":1,"inputBodyJson":{{"messages":["{secret}"]}}"#);
    let batch = batch(&record("", &input, &output), Assume::default()).unwrap();
    assert!(!format!("{batch:?}").contains(secret));
}
