//! The route against the real engine, in memory.

use axum::body::{Body, to_bytes};
use axum::http::Request;
use policy::engine::Engine;
use policy::fact::{Clock, Settings};
use policy::time::Timestamp;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tower::ServiceExt as _;

use super::*;
use crate::deadletter;
use crate::usage::Fixed;

const KEY: IdKey = IdKey([1, 2]);
const EVENT: &str = include_str!("../../samples/usage-event.bedrock.json");
const CLOUD: &str = include_str!("../../samples/usage-event.cloudevents.json");

/// A route with everything that it needs, and levers on it.
struct Bench {
    routes: Router,
    ingest: Ingest,
    pressure: watch::Sender<bool>,
    tokens: watch::Sender<Arc<TokenTable>>,
    taken: Option<mpsc::Receiver<Envelope>>,
    _folder: tempfile::TempDir,
}

fn table(token: &str) -> Arc<TokenTable> {
    Arc::new(TokenTable::new(vec![SourceToken::new("gateway", token, Fixed::default())]))
}

impl Bench {
    fn new(limits: Limits, bound: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (intake, taken) = Intake::new(bound);
        let (pressure, pressed) = watch::channel(false);
        let (tokens, known) = watch::channel(table("secret"));
        let ingest = Ingest {
            tokens: known,
            intake,
            id_key: KEY,
            pressure: pressed,
            letters: DeadLetters::new(folder.path().join("letters"), deadletter::Limits::default()),
            limits,
            counts: Arc::default(),
        };
        let routes = router(ingest.clone());
        Self { routes, ingest, pressure, tokens, taken: Some(taken), _folder: folder }
    }

    /// With an engine that takes what comes, at the time of the samples.
    fn running() -> Self {
        let mut bench = Self::new(Limits::default(), 8);
        tokio::spawn(turn(bench.taken.take().unwrap()));
        bench
    }

    async fn post(&self, token: &str, body: impl Into<Body>) -> (StatusCode, HeaderMap, Value) {
        let request = Request::post("/v1/usage").header("authorization", format!("Bearer {token}"));
        self.send(request.body(body.into()).unwrap()).await
    }

    async fn send(&self, request: Request<Body>) -> (StatusCode, HeaderMap, Value) {
        let response = self.routes.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        (parts.status, parts.headers, serde_json::from_slice(&bytes).unwrap())
    }

    fn letters(&self) -> u64 {
        self.ingest.letters.counts().letters.values().sum()
    }
}

async fn turn(mut taken: mpsc::Receiver<Envelope>) {
    let mut engine = Engine::new(Settings::new(KEY, ""));
    let wall = Timestamp::parse_rfc3339("2026-11-20T10:20:00Z").unwrap();
    while let Some(envelope) = taken.recv().await {
        let mut outcome = engine.step(Clock { wall, mono: 0 }, &[envelope.fact]);
        // A test may have stopped listening.
        let _ = envelope.ack.unwrap().send(Ack::Usage(outcome.usage.remove(0)));
    }
}

fn event(id: &str) -> Value {
    let mut event: Value = serde_json::from_str(EVENT).unwrap();
    event["id"] = json!(id);
    event["link_ids"] = json!([]);
    event
}

fn outcomes(answer: &Value) -> Vec<&str> {
    answer["events"].as_array().unwrap().iter().map(|e| e["outcome"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_body_that_never_ends_is_answered_408_in_clear_words_and_nothing_of_it_is_taken() {
    assert_eq!(Limits::default().body_within, Duration::from_secs(60));
    let bench = Bench::new(Limits { body_within: Duration::from_millis(50), ..Limits::default() }, 8);
    let begun = futures::stream::iter([Ok::<_, std::io::Error>(event("a").to_string())]);
    let never = futures::StreamExt::chain(begun, futures::stream::pending());
    let (status, _, answer) = bench.post("secret", Body::from_stream(never)).await;
    assert_eq!(status, StatusCode::REQUEST_TIMEOUT, "{answer}");
    assert_eq!(answer["error"], "the body did not come whole within 50ms; nothing of it was taken");
    assert!(answer["help"].as_str().unwrap().starts_with("send it again under the same ids"), "{answer}");
    assert_eq!(bench.ingest.counts.unreadable.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn one_event_an_array_lines_and_cloud_events_are_all_taken() {
    let bench = Bench::running();
    let (a, b) = (event("a"), event("b"));
    let cloud = |id: &str| {
        let mut cloud: Value = serde_json::from_str(CLOUD).unwrap();
        cloud["data"] = event(id);
        cloud
    };
    for (body, ids) in [
        (a.to_string(), vec!["a"]),
        (serde_json::to_string_pretty(&event("a2")).unwrap(), vec!["a2"]),
        (json!([b, event("c")]).to_string(), vec!["b", "c"]),
        (format!("{}\n{}\n", event("d"), event("e")), vec!["d", "e"]),
        (cloud("f").to_string(), vec!["f"]),
        (json!([cloud("g"), cloud("h")]).to_string(), vec!["g", "h"]),
    ] {
        let (status, _, answer) = bench.post("secret", body).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let got: Vec<_> = answer["events"].as_array().unwrap().iter().map(|e| e["id"].clone()).collect();
        assert_eq!(got, ids);
        assert!(outcomes(&answer).iter().all(|outcome| *outcome == "accepted"), "{answer}");
    }
}

#[tokio::test]
async fn each_event_has_its_own_answer_and_one_bad_one_costs_no_other() {
    let bench = Bench::running();
    assert_eq!(bench.post("secret", event("a").to_string()).await.0, StatusCode::OK);
    let mut conflict = event("a");
    conflict["quantities"]["output_tokens"] = json!(351);
    let mut negative = event("n");
    negative["quantities"]["input_tokens"] = json!(-5);
    let mut ahead = event("f");
    ahead["occurred_at"] = json!("2026-11-20T10:26:00Z");
    let body = format!("{}\nnot json\n{}\n{}\n{}\n{}\n", event("a"), conflict, negative, ahead, event("b"));
    let (status, _, answer) = bench.post("secret", body).await;
    assert_eq!(status, StatusCode::MULTI_STATUS);
    assert_eq!(
        outcomes(&answer),
        ["duplicate", "refused", "conflict", "refused", "refused", "accepted"],
        "{answer}"
    );
    let events = &answer["events"];
    assert_eq!(answer["taken"], 2);
    assert_eq!(events[1]["reason"], "not_json");
    assert_eq!((&events[3]["id"], &events[3]["reason"]), (&json!("n"), &json!("bad_count")));
    assert!(events[3]["help"].as_str().unwrap().contains("whole number"));
    assert_eq!(events[4]["reason"], "too_far_ahead");
    assert!(events[4]["help"].as_str().unwrap().contains("clock"));
    // What the engine refuses is kept by the turn; what never reached it is kept here.
    assert_eq!(bench.letters(), 2);
}

#[tokio::test]
async fn a_body_of_which_nothing_is_taken_is_no_success() {
    let bench = Bench::running();
    let (status, _, answer) = bench.post("secret", r#"{"schema":"usage.v1"}"#).await;
    assert_eq!(
        (status, &answer["events"][0]["reason"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("missing_field"))
    );
    for body in ["", "[]", "nonsense", "{\"cut\": ", "7", "\u{0}"] {
        let (status, _, answer) = bench.post("secret", body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}: {answer}");
        assert!(answer["help"].as_str().unwrap().contains("JSON"), "{answer}");
    }
    assert_eq!(bench.post("secret", vec![b'{', 0xff]).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn who_has_no_token_of_a_source_gets_nothing_in_and_a_new_table_takes_effect_at_once() {
    let bench = Bench::running();
    for (header, value) in [
        ("x", ""),
        ("authorization", "Bearer wrong"),
        ("authorization", "Bearer "),
        ("authorization", "secret"),
    ] {
        let request = Request::post("/v1/usage").header(header, value).body(Body::from(EVENT)).unwrap();
        let (status, headers, _) = bench.send(request).await;
        assert_eq!(
            (status, &headers["www-authenticate"]),
            (StatusCode::UNAUTHORIZED, &header::HeaderValue::from_static("Bearer"))
        );
    }
    assert_eq!(bench.ingest.counts.unauthorized.load(Ordering::Relaxed), 4);
    assert_eq!(bench.letters(), 0, "what strangers send is not kept");
    bench.tokens.send(table("rotated")).unwrap();
    assert_eq!(bench.post("secret", EVENT).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(bench.post("rotated", EVENT).await.0, StatusCode::OK);
}

#[tokio::test]
async fn an_id_of_one_source_takes_no_place_of_another() {
    let bench = Bench::running();
    let two = TokenTable::new(vec![
        SourceToken::new("gateway", "secret", Fixed::default()),
        SourceToken::new("rival", "other", Fixed::default()),
    ]);
    bench.tokens.send(Arc::new(two)).unwrap();
    assert_eq!(outcomes(&bench.post("other", EVENT).await.2), ["accepted"]);
    assert_eq!(outcomes(&bench.post("secret", EVENT).await.2), ["accepted"]);
    assert_eq!(outcomes(&bench.post("secret", EVENT).await.2), ["duplicate"]);
}

#[tokio::test]
async fn what_is_too_large_is_told_so_whether_its_length_is_said_or_not() {
    let bench = Bench::new(Limits { body_bytes: 4_000, events: 3, ..Limits::default() }, 8);
    let large = " ".repeat(4_001);
    let said =
        Request::post("/v1/usage").header("authorization", "Bearer secret").header("content-length", "4001");
    let (status, _, answer) = bench.send(said.body(Body::from(large.clone())).unwrap()).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(answer["help"].as_str().unwrap().contains("4000 bytes"), "{answer}");
    let chunks = futures::stream::iter([Ok::<_, std::io::Error>(large)]);
    let (status, _, _) = bench.post("secret", Body::from_stream(chunks)).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    let (status, _, answer) = bench.post("secret", "{\"id\":\"x\"}\n".repeat(4)).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(answer["error"].as_str().unwrap().contains("more than 3 events"), "{answer}");
    let zipped = Request::post("/v1/usage")
        .header("authorization", "Bearer secret")
        .header("content-encoding", "gzip");
    assert_eq!(bench.send(zipped.body(Body::empty()).unwrap()).await.0, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn under_pressure_a_sender_is_told_when_to_come_again_and_nothing_is_taken() {
    let mut bench = Bench::new(Limits::default(), 1);
    bench.pressure.send(true).unwrap();
    let (status, headers, _) = bench.post("secret", EVENT).await;
    assert_eq!(
        (status, &headers["retry-after"]),
        (StatusCode::TOO_MANY_REQUESTS, &header::HeaderValue::from(30))
    );
    bench.pressure.send(false).unwrap();
    // The intake is full.
    bench.ingest.intake.put(Envelope::without_ack(Fact::Tick)).await.unwrap();
    let (status, headers, _) = bench.post("secret", EVENT).await;
    assert_eq!(
        (status, &headers["retry-after"]),
        (StatusCode::TOO_MANY_REQUESTS, &header::HeaderValue::from(1))
    );
    let mut taken = bench.taken.take().unwrap();
    assert_eq!(taken.recv().await.unwrap().fact, Fact::Tick);
    assert!(taken.try_recv().is_err(), "of what was told to come again nothing was taken");
    assert_eq!(bench.ingest.counts.busy.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn what_was_not_made_durable_is_no_success() {
    let mut bench = Bench::new(Limits::default(), 1);
    let mut taken = bench.taken.take().unwrap();
    // The commit fails: the envelope is dropped with its ack.
    tokio::spawn(async move { drop(taken.recv().await) });
    let (status, headers, answer) = bench.post("secret", EVENT).await;
    assert_eq!(
        (status, &headers["retry-after"]),
        (StatusCode::SERVICE_UNAVAILABLE, &header::HeaderValue::from(1))
    );
    assert!(answer["help"].as_str().unwrap().contains("same ids"), "{answer}");
}
