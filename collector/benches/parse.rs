//! Bedrock records to rows, on one core: parse and intern, without engine and disk.

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};

use collector::bedrock::Parser;
use policy::fact::{IdKey, UsageBatchBuilder};

fn main() {
    divan::main();
}

const RECORDS: usize = 4096;

/// Records of one shape with ids of their own, one to a line.
fn lines(sample: &str) -> Vec<String> {
    let compact: Box<serde_json::value::RawValue> = serde_json::from_str(sample).expect("a sample");
    let mut line: String = compact.get().lines().map(str::trim_start).collect();
    line = line.replace("\": ", "\":");
    let id =
        line.split("\"requestId\":\"").nth(1).expect("an id").split('"').next().expect("an id").to_owned();
    (0..RECORDS).map(|n| line.replace(&id, &format!("{n:08x}-6a55-4d0e-9d6c-0b6f6d1f7a10"))).collect()
}

const CONVERSE: &str = include_str!("../samples/bedrock-invocation-converse.json");
const STREAM: &str = include_str!("../samples/bedrock-invocation-invokemodel-stream.json");
const EMBEDDING: &str = include_str!("../samples/bedrock-invocation-embedding.json");
const LARGE: &str = include_str!("../samples/bedrock-invocation-large-body-s3.json");

#[divan::bench(args = ["large_body", "embedding", "converse", "stream"])]
fn parse(bencher: Bencher<'_, '_>, shape: &str) {
    let sample = match shape {
        "large_body" => LARGE,
        "embedding" => EMBEDDING,
        "converse" => CONVERSE,
        _ => STREAM,
    };
    let lines = lines(sample);
    let bytes: usize = lines.iter().map(String::len).sum();
    let mut parser = Parser::default();
    let mut out = UsageBatchBuilder::new(IdKey([1, 2]), "bedrock-log", false);
    bencher.counter(ItemsCount::new(RECORDS)).counter(BytesCount::new(bytes)).bench_local(|| {
        for line in &lines {
            parser.parse(line.as_bytes(), None, &mut out).expect("a good record");
        }
        out.finish()
    });
}
