//! Messages on their way: what a receiver gets, how often, and what the sender is told.

#[path = "notify/bench.rs"]
mod bench;
#[path = "notify/fake_slack.rs"]
mod fake_slack;
#[path = "notify/scenes.rs"]
mod scenes;

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actions::notify::NotifyError;
use actions::notify::webhook::{NOTICE, SIGNATURE, TIMESTAMP};
use bench::{Bench, SIGNING, chat, delivered, env, rules, slack_hook, webhook};
use fake_slack::{HOOK, TOKEN, Trouble};
use hmac::{Hmac, KeyInit, Mac};
use policy::decision::{HoldState, Notice};
use policy::page::PageTopic;
use policy::rule::{Mode, Receiver};
use scenes::{hold, page, tripped};
use sha2::Sha256;
use wiremock::ResponseTemplate;

const SIGNS: &str = "status.pausedReplicaCount 0, hpa absent, scale 0, pods 0";

fn proven() -> Notice {
    hold(HoldState::Ordered, HoldState::Verified, SIGNS, HoldState::Verified)
}

fn runs_on() -> Notice {
    hold(HoldState::Ordered, HoldState::NotStopped, "paused at 2 by kubectl", HoldState::Verified)
}

fn secs(seconds: &[f64]) -> Vec<Duration> {
    seconds.iter().map(|s| Duration::from_secs_f64(*s)).collect()
}

#[tokio::test]
async fn a_trip_is_one_post_and_its_proof_edits_that_post() {
    let bench = Bench::new(|_| vec![chat()]).await;
    let handle = delivered(bench.deliver(&tripped()).await);
    assert_eq!(handle.as_deref(), Some("C0ONCALL 1795176000.000100"));
    assert!(bench.slack.posted()[0].title().starts_with("🔴 acme tripped: "));
    assert_eq!(delivered(bench.deliver(&proven()).await), handle);
    let posted = bench.slack.posted();
    assert_eq!((posted.len(), posted[0].edits), (1, 1));
    assert_eq!(posted[0].title(), "🔵 acme stopped: spent 50.12 USD of 50.00 USD today (tenant-daily)");
}

#[tokio::test]
async fn an_incoming_webhook_gets_the_proof_as_a_second_post() {
    let bench = Bench::new(|_| vec![slack_hook()]).await;
    assert_eq!(delivered(bench.deliver(&tripped()).await), None);
    assert_eq!(delivered(bench.deliver(&proven()).await), None);
    let texts: Vec<_> = bench.slack.hooked().iter().map(|b| b["text"].as_str().unwrap().to_owned()).collect();
    assert_eq!(texts.len(), 2);
    assert!(texts[0].contains("acme tripped") && texts[1].contains("acme stopped"), "{texts:?}");
}

#[tokio::test]
async fn what_runs_on_is_a_post_of_its_own_that_progress_never_overwrites() {
    let bench = Bench::new(|_| vec![chat()]).await;
    delivered(bench.deliver(&tripped()).await);
    assert_eq!(delivered(bench.deliver(&runs_on()).await), None, "progress must not edit it");
    delivered(bench.deliver(&proven()).await);
    let posted = bench.slack.posted();
    let titles: Vec<_> = posted.iter().map(|p| p.title()).collect();
    assert_eq!(posted.len(), 2, "{titles:?}");
    assert!(titles[0].contains("acme stopped") && titles[1].contains("acme still runs"), "{titles:?}");
    assert_eq!((posted[0].edits, posted[1].edits), (1, 0));
}

#[tokio::test]
async fn the_end_of_an_alarm_is_a_new_post_since_nobody_sees_an_edit() {
    let bench = Bench::new(|_| vec![chat()]).await;
    delivered(bench.deliver(&tripped()).await);
    delivered(bench.deliver(&runs_on()).await);
    let ended = hold(HoldState::NotStopped, HoldState::Verified, SIGNS, HoldState::Verified);
    delivered(bench.deliver(&ended).await);
    let titles: Vec<_> = bench.slack.posted().iter().map(|p| p.title()).collect();
    assert_eq!(titles.len(), 3, "{titles:?}");
    assert!(titles[2].contains("acme stopped"), "{titles:?}");
}

#[tokio::test]
async fn progress_without_a_post_to_edit_is_posted() {
    let bench = Bench::new(|_| vec![chat()]).await;
    delivered(bench.deliver(&proven()).await);
    assert_eq!(bench.slack.posted().len(), 1);
    bench.slack.delete_all();
    let raised =
        hold(HoldState::Verified, HoldState::Ordered, "somebody raised it to 3", HoldState::Verified);
    delivered(bench.deliver(&raised).await);
    let posted = bench.slack.posted();
    assert_eq!((posted.len(), posted[0].edits), (1, 0), "a deleted message is posted anew");
}

#[tokio::test]
async fn a_429_is_waited_out_for_as_long_as_slack_asks() {
    let bench = Bench::new(|_| vec![chat()]).await;
    bench.slack.trouble(Trouble::TooMany(7));
    delivered(bench.deliver(&tripped()).await);
    assert_eq!(bench.waited(), secs(&[7.0]));
    assert_eq!(bench.slack.posted().len(), 1);
}

#[tokio::test]
async fn a_wait_longer_than_our_patience_goes_back_to_the_sender() {
    let bench = Bench::new(|_| vec![chat(), slack_hook()]).await;
    bench.slack.trouble(Trouble::TooMany(3600));
    bench.slack.trouble(Trouble::TooMany(3600));
    for (_, result) in bench.deliver(&tripped()).await {
        let error = result.unwrap_err();
        assert!(error.is_retryable(), "{error}");
    }
    assert_eq!((bench.waited(), bench.slack.calls()), (Vec::new(), 2));
    assert_eq!(bench.deliver(&tripped()).await.len(), 2, "it is not delivered, so it can be sent again");
}

#[tokio::test]
async fn a_slack_in_trouble_is_tried_four_times_and_no_more() {
    let troubles = [Trouble::Status(503, "upstream"), Trouble::Code("internal_error"), Trouble::NotSlack];
    for trouble in troubles {
        let bench = Bench::new(|_| vec![chat()]).await;
        (0..9).for_each(|_| bench.slack.trouble(trouble.clone()));
        let (_, result) = bench.deliver(&tripped()).await.remove(0);
        assert!(result.unwrap_err().is_retryable(), "{trouble:?}");
        assert_eq!(bench.slack.calls(), 4, "{trouble:?}");
        assert_eq!(bench.waited(), secs(&[0.5, 2.0, 8.0]), "{trouble:?}");
        assert!(bench.memory.0.lock().unwrap().is_empty(), "{trouble:?}");
    }
}

#[tokio::test]
async fn what_cannot_get_better_by_waiting_is_tried_once_and_says_what_to_do() {
    let stale = Receiver::SlackChat { token: env("STALE"), channel: "#oncall".into() };
    let elsewhere = Receiver::SlackChat { token: env("TOKEN"), channel: "#nowhere".into() };
    let missing = Receiver::SlackChat { token: env("MISSING"), channel: "#oncall".into() };
    for (receiver, calls, want) in [
        (stale, 1, "refused it: `invalid_auth`; give the receiver a valid bot token"),
        (elsewhere, 1, "refused it: `channel_not_found`; name an existing channel and invite the bot to it"),
        (missing, 0, "environment variable `MISSING` is not set or empty"),
    ] {
        let bench = Bench::new(|_| vec![receiver]).await;
        let (_, result) = bench.deliver(&tripped()).await.remove(0);
        let error = result.unwrap_err();
        assert!(error.to_string().contains(want), "{error}");
        assert!(!error.is_retryable(), "{error}");
        assert_eq!((bench.slack.calls(), bench.waited()), (calls, Vec::new()));
    }
}

#[tokio::test]
async fn a_revoked_incoming_webhook_is_refused_in_slacks_words() {
    let bench = Bench::new(|_| vec![slack_hook()]).await;
    bench.slack.trouble(Trouble::Status(403, "invalid_token"));
    let (_, result) = bench.deliver(&tripped()).await.remove(0);
    let error = result.unwrap_err().to_string();
    assert_eq!(error, "oncall: Slack webhook in env HOOK refused it: 403 Forbidden, `invalid_token`");
}

#[tokio::test]
async fn an_answer_that_does_not_come_in_time_is_a_failure_that_can_pass() {
    let mut bench = Bench::new(|_| vec![chat()]).await;
    let mut patience = actions::notify::Patience::default().resting(|_| Box::pin(std::future::ready(())));
    (patience.within, patience.retries) = (Duration::from_millis(200), 1);
    bench.notifier = bench.notifier.with_patience(patience);
    for _ in 0..2 {
        bench.slack.trouble(Trouble::Late(Duration::from_secs(30)));
    }
    let (_, result) = bench.deliver(&tripped()).await.remove(0);
    assert!(matches!(result, Err(NotifyError::TimedOut { .. })), "{result:?}");
    assert_eq!(bench.slack.calls(), 2);
}

#[tokio::test]
async fn a_try_after_one_that_was_not_answered_in_time_is_marked_as_a_repeat() {
    let mut bench = Bench::new(|_| vec![chat(), slack_hook()]).await;
    let mut patience = actions::notify::Patience::default().resting(|_| Box::pin(std::future::ready(())));
    patience.within = Duration::from_millis(500);
    bench.notifier = bench.notifier.with_patience(patience);
    for _ in 0..2 {
        bench.slack.trouble(Trouble::Late(Duration::from_secs(30)));
    }
    assert!(bench.deliver(&tripped()).await.iter().all(|(_, result)| result.is_ok()));
    let marked = "this may have arrived already";
    assert!(bench.slack.posted()[0].body.to_string().contains(marked));
    assert!(bench.slack.hooked()[0].to_string().contains(marked));
}

#[tokio::test]
async fn a_webhook_that_was_tried_before_without_an_answer_says_so_in_its_body() {
    let mut bench = Bench::new(|hooks| vec![webhook(hooks)]).await;
    let mut patience = actions::notify::Patience::default().resting(|_| Box::pin(std::future::ready(())));
    (patience.within, patience.retries) = (Duration::from_millis(300), 1);
    bench.notifier = bench.notifier.with_patience(patience);
    bench.hooks_answer(ResponseTemplate::new(204).set_delay(Duration::from_secs(30))).await;
    let _ = bench.deliver(&tripped()).await;
    let repeats: Vec<_> = bench.hooked().await.iter().map(|r| body_of(r)["repeat"].clone()).collect();
    assert_eq!(repeats, [false, true]);
}

fn body_of(request: &wiremock::Request) -> serde_json::Value {
    serde_json::from_slice(&request.body).unwrap()
}

#[tokio::test]
async fn a_try_after_a_clear_no_is_no_repeat() {
    for trouble in [Trouble::TooMany(1), Trouble::Code("service_unavailable")] {
        let bench = Bench::new(|_| vec![chat()]).await;
        bench.slack.trouble(trouble);
        delivered(bench.deliver(&tripped()).await);
        assert!(!bench.slack.posted()[0].body.to_string().contains("Repeat"));
    }
}

#[tokio::test]
async fn a_try_after_a_server_that_broke_is_marked_as_a_repeat() {
    for trouble in [Trouble::Status(503, ""), Trouble::Status(500, "oops"), Trouble::Code("fatal_error")] {
        let bench = Bench::new(|_| vec![chat()]).await;
        bench.slack.trouble(trouble);
        delivered(bench.deliver(&tripped()).await);
        assert!(bench.slack.posted()[0].body.to_string().contains("Repeat"));
    }
    let mut bench = Bench::new(|hooks| vec![webhook(hooks)]).await;
    let mut patience = actions::notify::Patience::default().resting(|_| Box::pin(std::future::ready(())));
    patience.retries = 1;
    bench.notifier = bench.notifier.with_patience(patience);
    bench.hooks_answer(ResponseTemplate::new(502)).await;
    let _ = bench.deliver(&tripped()).await;
    let repeats: Vec<_> = bench.hooked().await.iter().map(|r| body_of(r)["repeat"].clone()).collect();
    assert_eq!(repeats, [false, true]);
}

#[tokio::test]
async fn nobody_who_could_not_be_reached_at_all_has_it_already() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{closed}/").as_str().into();
    let bench = Bench::new(|_| vec![Receiver::Webhook { url, secret: env("SIGNING") }]).await;
    let (_, result) = bench.deliver(&tripped()).await.remove(0);
    assert!(matches!(result, Err(NotifyError::Unreachable { connected: false, .. })), "{result:?}");
}

#[tokio::test]
async fn blocks_that_slack_will_not_have_are_sent_once_more_as_plain_text_and_counted() {
    let bench = Bench::new(|_| vec![chat()]).await;
    bench.slack.trouble(Trouble::Code("invalid_blocks"));
    let handle = delivered(bench.deliver(&tripped()).await);
    let body = bench.slack.posted()[0].body.clone();
    assert!(body["blocks"].is_null(), "{body}");
    let text = body["text"].as_str().unwrap();
    assert!(text.contains("acme tripped") && text.contains("`breakerbox explain d17`"), "{text}");
    bench.slack.trouble(Trouble::Code("invalid_blocks_format"));
    assert_eq!(delivered(bench.deliver(&proven()).await), handle, "an edit, too");
    let posted = bench.slack.posted();
    assert_eq!(posted[0].body["blocks"], serde_json::json!([]), "the old blocks must go");
    assert!(posted[0].body["text"].as_str().unwrap().contains("acme stopped"));
    assert_eq!(bench.notifier.plain_only().load(std::sync::atomic::Ordering::Relaxed), 2);
    assert_eq!(bench.slack.calls(), 4);
}

#[tokio::test]
async fn an_incoming_webhook_that_refuses_blocks_gets_plain_text_and_a_second_no_is_the_end() {
    let bench = Bench::new(|_| vec![slack_hook()]).await;
    bench.slack.trouble(Trouble::Status(400, "invalid_blocks"));
    delivered(bench.deliver(&tripped()).await);
    let body = bench.slack.hooked()[0].clone();
    assert!(body["blocks"].is_null() && body["text"].as_str().unwrap().contains("What now"), "{body}");
    (0..9).for_each(|_| bench.slack.trouble(Trouble::Status(400, "invalid_blocks")));
    let (_, result) = bench.deliver(&proven()).await.remove(0);
    assert!(!result.unwrap_err().is_retryable());
    assert_eq!(bench.slack.calls(), 4);
}

#[tokio::test]
async fn after_a_restart_only_the_receiver_that_lacks_it_gets_it_marked_as_a_repeat() {
    let mut bench = Bench::new(|hooks| vec![chat(), webhook(hooks)]).await;
    bench.hooks_answer(ResponseTemplate::new(400)).await;
    let answers = bench.deliver(&tripped()).await;
    assert_eq!(answers.iter().filter(|(_, result)| result.is_ok()).count(), 1);
    bench.hooks_answer(ResponseTemplate::new(204)).await;
    // The memory is what outlives the process.
    let memory: Arc<bench::Memory> = Arc::clone(&bench.memory);
    bench.notifier = actions::notify::Notifier::new(Arc::new(Signing), memory).unwrap();
    bench.notifier.use_rules(rules(vec![("oncall", vec![chat(), webhook(&bench.hooks)])]));
    let answers = bench.notifier.deliver(&tripped(), true).await;
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert!(answers[0].0.contains("webhook") && answers[0].1.is_ok(), "{answers:?}");
    let body: serde_json::Value = serde_json::from_slice(&bench.hooked().await[0].body).unwrap();
    assert_eq!(body["repeat"], true);
    assert!(body["text"].as_str().unwrap().contains("Repeat: this may have arrived already"));
    assert!(bench.notifier.deliver(&tripped(), true).await.is_empty(), "now all have it");
    assert_eq!(bench.slack.posted().len(), 1);
}

struct Signing;

impl actions::notify::Secrets for Signing {
    fn read(
        &self,
        _: &policy::rule::SecretRef,
    ) -> Result<actions::notify::Secret, actions::notify::SecretError> {
        Ok(actions::notify::Secret::new(SIGNING))
    }
}

#[tokio::test]
async fn a_webhook_is_signed_over_its_time_and_body_and_carries_its_key() {
    let bench = Bench::new(|hooks| vec![webhook(hooks)]).await;
    bench.hooks_answer(ResponseTemplate::new(200)).await;
    assert_eq!(delivered(bench.deliver(&tripped()).await), None);
    let got = bench.hooked().await.remove(0);
    let header = |name: &str| got.headers[name].to_str().unwrap().to_owned();
    let mut mac = Hmac::<Sha256>::new_from_slice(SIGNING.as_bytes()).unwrap();
    mac.update(header(TIMESTAMP).as_bytes());
    mac.update(b".");
    mac.update(&got.body);
    let hex: String = mac.finalize().into_bytes().iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(header(SIGNATURE), format!("v1={hex}"));
    let sent: u64 = header(TIMESTAMP).parse().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert!(now.abs_diff(sent) <= 60, "{sent} against {now}");
    assert_eq!(header(NOTICE), &*tripped().key);
    let body: serde_json::Value = serde_json::from_slice(&got.body).unwrap();
    assert_eq!((&body["schema"], &body["key"]), (&"breakerbox.notice.v1".into(), &(&*tripped().key).into()));
}

#[tokio::test]
async fn a_webhook_is_tried_again_on_5xx_and_429_and_never_on_4xx() {
    for (answer, tries, waits) in [
        (ResponseTemplate::new(500), 4, secs(&[0.5, 2.0, 8.0])),
        (ResponseTemplate::new(429).insert_header("retry-after", "3"), 4, secs(&[3.0, 3.0, 3.0])),
        (ResponseTemplate::new(404), 1, Vec::new()),
        (ResponseTemplate::new(302).insert_header("location", "http://127.0.0.1:1/"), 1, Vec::new()),
    ] {
        let bench = Bench::new(|hooks| vec![webhook(hooks)]).await;
        bench.hooks_answer(answer).await;
        let (_, result) = bench.deliver(&tripped()).await.remove(0);
        let error = result.unwrap_err();
        assert_eq!(bench.hooked().await.len(), tries, "{error}");
        assert_eq!(bench.waited(), waits, "{error}");
        assert_eq!(error.is_retryable(), tries > 1, "{error}");
    }
}

#[tokio::test]
async fn messages_to_one_receiver_keep_their_order_although_the_first_has_to_wait() {
    let mut bench = Bench::new(|_| vec![chat()]).await;
    let (reached, mut waiting) = tokio::sync::mpsc::unbounded_channel();
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let held = Arc::clone(&gate);
    let patience = actions::notify::Patience::default().resting(move |_| {
        let held = Arc::clone(&held);
        reached.send(()).unwrap();
        Box::pin(async move { held.acquire().await.unwrap().forget() })
    });
    bench.notifier = bench.notifier.with_patience(patience);
    bench.slack.trouble(Trouble::TooMany(1));
    let (first, second) = (tripped(), proven());
    let later = async {
        waiting.recv().await.unwrap();
        let mut second = Box::pin(bench.deliver(&second));
        assert!(futures::poll!(second.as_mut()).is_pending(), "it waits for the first");
        gate.add_permits(1);
        second.await
    };
    let (first, second) = tokio::join!(bench.deliver(&first), later);
    assert_eq!(delivered(first), delivered(second), "the second edits what the first posted");
    assert_eq!(bench.slack.posted().len(), 1);
}

#[tokio::test]
async fn a_rule_that_observes_says_nothing_and_pages_about_ourselves_go_out() {
    let bench = Bench::new(|_| vec![chat()]).await;
    for scene in scenes::all() {
        let mut notice = scene.notice;
        notice.decision.mode = Mode::Observe;
        notice.route = "oncall".into();
        let sent = !bench.deliver(&notice).await.is_empty();
        let own = scene.name.starts_with("page-") || scene.name.starts_with("hold-");
        assert!(!sent || own, "{}", scene.name);
    }
    let titles: Vec<_> = bench.slack.posted().iter().map(|p| p.title()).collect();
    let pages = titles.iter().filter(|t| t.contains("breakerbox: ")).count();
    assert!(pages > 0, "{titles:?}");
    let mut alert = tripped();
    (alert.decision.mode, alert.key) = (Mode::Alert, "another".into());
    assert_eq!(bench.deliver(&alert).await.len(), 1);
}

#[tokio::test]
async fn a_route_that_a_reload_took_away_falls_back_to_the_page_route() {
    let bench = Bench::new(|_| vec![chat()]).await;
    let mut notice = page(PageTopic::Clock);
    notice.route = "gone".into();
    assert_eq!(bench.deliver(&notice).await.len(), 1);
    assert_eq!(bench.slack.posted().len(), 1);
    bench.notifier.use_rules(rules(Vec::new()));
    let (_, result) = bench.deliver(&notice).await.remove(0);
    let error = result.unwrap_err();
    assert!(matches!(error, NotifyError::NoRoute { .. }) && !error.is_retryable(), "{error}");
}

#[tokio::test]
async fn a_secret_url_that_would_go_over_plain_http_is_not_used() {
    struct Plain;
    impl actions::notify::Secrets for Plain {
        fn read(
            &self,
            _: &policy::rule::SecretRef,
        ) -> Result<actions::notify::Secret, actions::notify::SecretError> {
            Ok(actions::notify::Secret::new("http://hooks.example/services/very-secret"))
        }
    }
    let bench = Bench::new(|_| Vec::new()).await;
    let notifier = actions::notify::Notifier::new(Arc::new(Plain), bench.memory.clone()).unwrap();
    notifier.use_rules(rules(vec![("oncall", vec![slack_hook()])]));
    let (_, result) = notifier.deliver(&tripped(), false).await.remove(0);
    let error = result.unwrap_err().to_string();
    assert!(error.ends_with("must begin with https://") && !error.contains("secret"), "{error}");
}

/// Keeps everything that is logged.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_token_secret_or_secret_url_is_in_a_log_or_an_error_at_any_level() {
    let logged = Logged::default();
    let writer = logged.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    // With one subscriber alone, tracing asks the thread that comes to a line of log first, which may be that
    // of another test and have none: then the line would stay silent here too.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
    let bench = Bench::new(|hooks| vec![chat(), slack_hook(), webhook(hooks)]).await;
    bench.hooks_answer(ResponseTemplate::new(500)).await;
    let troubles =
        [Trouble::Status(500, "x"), Trouble::Code("invalid_auth"), Trouble::NotSlack, Trouble::TooMany(3600)];
    for (at, trouble) in troubles.into_iter().enumerate() {
        (0..2).for_each(|_| bench.slack.trouble(trouble.clone()));
        let mut notice = tripped();
        notice.key = format!("k{at}").into();
        for answer in bench.deliver(&notice).await {
            write!(logged.clone(), "{answer:?}").unwrap();
            if let Err(error) = answer.1 {
                writeln!(logged.clone(), "{error}").unwrap();
            }
        }
    }
    write!(logged.clone(), "{:?}", bench.notifier).unwrap();
    let text = String::from_utf8_lossy(&logged.0.lock().unwrap()).into_owned();
    assert!(text.contains("message not delivered, trying again"), "the log is empty: {text}");
    for secret in [TOKEN, HOOK, SIGNING, "very-secret"] {
        assert!(!text.contains(secret), "{secret} is in:\n{text}");
    }
}
