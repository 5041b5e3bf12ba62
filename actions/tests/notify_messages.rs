//! What people read, held word for word.
//!
//! The goldens are in `tests/notify/golden`: text, Slack blocks and webhook body of each scene. After a
//! change that is meant, run with `UPDATE_GOLDENS=1` and read the difference.

#[path = "notify/scenes.rs"]
mod scenes;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use actions::notify::slack::slack_post;
use actions::notify::webhook::webhook_body;
use actions::notify::{Message, render};
use policy::decision::{ArmingCause, DecisionKind, HoldState, ReleaseCause};
use policy::page::PageTopic;
use scenes::{Scene, all};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/notify/golden")
}

fn message(scene: &Scene) -> Message {
    render(&scene.notice, scene.budget.as_ref(), scene.repeat)
}

/// The three forms of a scene, by file name.
fn forms(scene: &Scene) -> Vec<(String, String)> {
    let message = message(scene);
    let post = slack_post(&message);
    let slack = serde_json::json!({"text": post.text, "blocks": post.blocks});
    let body: serde_json::Value = serde_json::from_str(&webhook_body(&scene.notice, &message)).unwrap();
    let pretty = |value: &serde_json::Value| serde_json::to_string_pretty(value).unwrap() + "\n";
    vec![
        (format!("{}.txt", scene.name), format!("{message}\n")),
        (format!("{}.slack.json", scene.name), pretty(&slack)),
        (format!("{}.webhook.json", scene.name), pretty(&body)),
    ]
}

/// Too long to read: its Slack form is held by the limits below and by Slack's validators, its other forms by
/// the same code as the rest.
fn is_kept(file: &str) -> bool {
    !file.starts_with("extreme.") || file == "extreme.slack.json"
}

/// JSON is compared by value: the order of keys depends on serde_json's features in the whole build.
fn is_same(file: &str, kept: &str, text: &str) -> bool {
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
    if file.ends_with(".json") { json(kept).is_some() && json(kept) == json(text) } else { kept == text }
}

#[test]
fn every_scene_reads_as_its_golden() {
    let update = std::env::var_os("UPDATE_GOLDENS").is_some();
    let mut files = BTreeSet::new();
    let mut wrong = Vec::new();
    for (file, text) in all().iter().flat_map(forms).filter(|(file, _)| is_kept(file)) {
        let path = folder().join(&file);
        if update {
            fs::write(&path, &text).unwrap();
        }
        if !fs::read_to_string(&path).is_ok_and(|kept| is_same(&file, &kept, &text)) {
            wrong.push(format!("{file}:\n{text}"));
        }
        assert!(files.insert(file), "two scenes have one name");
    }
    assert!(wrong.is_empty(), "not as the golden (UPDATE_GOLDENS=1 writes them):\n{}", wrong.join("\n"));
    let there: BTreeSet<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(there, files, "a golden without a scene");
}

/// A new variant breaks this match: give it a scene, then a word here and in the list below.
fn words_of(kind: &DecisionKind) -> String {
    match kind {
        DecisionKind::Warned { .. } => "warned".to_owned(),
        DecisionKind::WarnedBy { measure } => format!("warned-by {}", measure.word()),
        DecisionKind::Arming { cause } => match cause {
            ArmingCause::Grace(_) => "arming grace",
            ArmingCause::OnTimeFact => "arming on-time-fact",
            ArmingCause::RuleChange => "arming rule-change",
            ArmingCause::PriceChange => "arming price-change",
            ArmingCause::Clock => "arming clock",
        }
        .to_owned(),
        DecisionKind::Tripped { .. } => "tripped".to_owned(),
        DecisionKind::Withheld { .. } => "withheld".to_owned(),
        DecisionKind::Released { cause, .. } => match cause {
            ReleaseCause::WindowRolled => "released window-rolled",
            ReleaseCause::FellBelow => "released fell-below",
            ReleaseCause::SourceHeard => "released source-heard",
            ReleaseCause::Reset(_) => "released reset",
            ReleaseCause::Person(_) => "released person",
            ReleaseCause::Wanted(_) => "released wanted",
        }
        .to_owned(),
        DecisionKind::BreachedAfterClose => "breached-after-close".to_owned(),
        DecisionKind::Hold { to, .. } => match to {
            HoldState::Ordered
            | HoldState::Verified
            | HoldState::NotStopped
            | HoldState::Contested
            | HoldState::Restoring
            | HoldState::Released => format!("hold {}", to.word()),
        },
        DecisionKind::Commanded { .. } => "commanded".to_owned(),
        DecisionKind::Idle { .. } => "idle".to_owned(),
        DecisionKind::Packable { .. } => "packable".to_owned(),
        DecisionKind::Spot(spot) => format!("spot {}", spot.notice.kind.word()),
        DecisionKind::Page { topic, .. } => match topic {
            PageTopic::Unpriced
            | PageTopic::SourceStale
            | PageTopic::InventoryStale
            | PageTopic::Clock
            | PageTopic::RuleChange
            | PageTopic::SubjectCap
            | PageTopic::Orphans
            | PageTopic::Posture
            | PageTopic::SourceHeard
            | PageTopic::Unjudged
            | PageTopic::FirstDays => format!("page {topic:?}"),
        },
    }
}

#[test]
fn every_kind_cause_topic_and_hold_state_has_a_scene() {
    let seen: BTreeSet<String> = all().iter().map(|s| words_of(&s.notice.decision.kind)).collect();
    let mut want: BTreeSet<String> = [
        "warned",
        "arming grace",
        "arming on-time-fact",
        "arming rule-change",
        "arming price-change",
        "arming clock",
        "warned-by burn-rate",
        "warned-by forecast",
        "tripped",
        "withheld",
        "released window-rolled",
        "released fell-below",
        "released source-heard",
        "released reset",
        "released person",
        "released wanted",
        "idle",
        "packable",
        "breached-after-close",
        "hold Ordered",
        "hold Verified",
        "hold NotStopped",
        "hold Contested",
        "hold Restoring",
        "hold Released",
        "commanded",
        "spot interruption",
        "spot rebalance",
        "spot capacity-reservation",
    ]
    .map(str::to_owned)
    .into();
    want.extend(scenes::TOPICS.iter().map(|topic| format!("page {topic:?}")));
    assert_eq!(seen, want);
}

/// Everything a person sees, in all forms.
fn seen(scene: &Scene) -> String {
    forms(scene).into_iter().map(|(_, text)| text).collect()
}

#[test]
fn only_what_is_proven_is_called_stopped_in_a_title() {
    for scene in all().into_iter().filter(|s| s.name != "extreme") {
        let title = message(&scene).title;
        let proven = scene.notice.targets.iter().all(|(_, state)| *state == HoldState::Verified)
            && matches!(scene.notice.decision.kind, DecisionKind::Hold { to: HoldState::Verified, .. });
        let bare = title.replace("nothing is stopped", "").replace("nothing new is stopped", "");
        let says = bare.contains("stopped");
        assert!(!says || proven, "{}: {title}", scene.name);
    }
    let names: Vec<String> = all()
        .iter()
        .filter(|s| message(s).title.starts_with("acme stopped: "))
        .map(|s| s.name.clone())
        .collect();
    assert_eq!(names, ["hold-verified", "hold-verified-alone"]);
}

#[test]
fn a_target_that_runs_on_is_nowhere_said_to_be_stopped() {
    let scene = all().into_iter().find(|s| s.name == "hold-not-stopped").unwrap();
    let text = seen(&scene);
    let words = text.replace("NotStopped", "").replace("hold-agent", "").to_lowercase();
    assert!(!words.contains("stopped"), "{text}");
    assert!(message(&scene).title.contains("still runs"));
}

#[test]
fn the_title_of_a_proven_stop_says_who_how_much_and_over_what() {
    let scene = all().into_iter().find(|s| s.name == "hold-verified").unwrap();
    assert_eq!(message(&scene).title, "acme stopped: spent 50.12 USD of 50.00 USD today (tenant-daily)");
    let text = message(&scene).to_string();
    assert!(text.contains("Accepted by the API server: 2026-11-20T12:00:02.412Z"), "{text}");
    assert!(text.contains("Proven at zero: 2026-11-20T12:00:03.100Z, 688ms later"), "{text}");
    assert!(text.contains("breakerbox reset tenant-daily/acme"), "{text}");
    assert!(text.contains("rule tenants.yaml:12"), "{text}");
}

#[test]
fn slack_limits_hold_whatever_the_names_are() {
    for scene in all() {
        let post = slack_post(&message(&scene));
        assert!(post.blocks.len() <= 50, "{}", scene.name);
        for block in serde_json::to_value(&post.blocks).unwrap().as_array().unwrap() {
            let length = |text: &serde_json::Value| text["text"].as_str().unwrap().chars().count();
            match block["type"].as_str().unwrap() {
                "header" => assert!(length(&block["text"]) <= 150, "{}", scene.name),
                "section" => {
                    if !block["text"].is_null() {
                        assert!(length(&block["text"]) <= 3000, "{}", scene.name);
                    }
                    let fields = block["fields"].as_array().cloned().unwrap_or_default();
                    assert!(fields.len() <= 10 && fields.iter().all(|f| length(f) <= 2000), "{}", scene.name);
                }
                "context" => assert!(block["elements"].as_array().unwrap().len() <= 10, "{}", scene.name),
                other => panic!("{other}"),
            }
        }
        assert!(!post.text.contains('<'), "{}: nothing may call a channel: {}", scene.name, post.text);
    }
}

#[test]
fn a_command_is_whole_or_it_is_said_where_to_find_it() {
    for length in [100, 340, 375, 376, 385, 420, 2000] {
        let mut scene = all().into_iter().find(|s| s.name == "tripped-enforce").unwrap();
        let name = format!("tenant-daily/{}", "x".repeat(length));
        scene.notice.decision.why.breaker.as_mut().unwrap().name = name.as_str().into();
        let message = message(&scene);
        let post = slack_post(&message);
        let texts = [serde_json::to_string(&post.blocks).unwrap(), post.as_plain_text().text];
        for text in texts {
            let shown = text.matches("`breakerbox reset").count();
            let whole = text.matches(&format!("`breakerbox reset {name}`")).count();
            assert_eq!(shown, whole, "{length}: {text}");
            assert_eq!(
                whole == 0,
                text.contains("too long to show here, see `breakerbox explain d17`"),
                "{text}"
            );
            assert_eq!(whole == 1, length <= 370, "{length}: {text}");
        }
    }
}

#[test]
fn a_page_shows_the_marks_in_a_models_name_that_nobody_sees() {
    let mut notice = scenes::page(PageTopic::Unpriced);
    if let DecisionKind::Page { detail, .. } = &mut notice.decision.kind {
        *detail = "`claude\u{202e}4-\u{200b}5`".to_owned();
    }
    let message = render(&notice, None, false);
    let texts = [
        serde_json::to_string(&slack_post(&message).blocks).unwrap(),
        webhook_body(&notice, &message),
        message.to_string(),
    ];
    for text in texts {
        assert!(!text.contains(['\u{202e}', '\u{200b}']), "{text:?}");
        assert!(text.contains("u{202e}4-") && text.contains("u{200b}5"), "{text}");
    }
}

/// Keys of an object and of the objects in it.
fn keys(value: &serde_json::Value, found: &mut BTreeSet<String>) {
    match value {
        serde_json::Value::Object(map) => map.iter().for_each(|(key, value)| {
            found.insert(key.clone());
            keys(value, found);
        }),
        serde_json::Value::Array(list) => list.iter().for_each(|value| keys(value, found)),
        _ => {}
    }
}

#[test]
fn every_field_and_state_of_the_webhook_is_in_its_reference() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/webhook.md");
    let page = fs::read_to_string(page).unwrap();
    let mut want = BTreeSet::new();
    for scene in all() {
        let body: serde_json::Value =
            serde_json::from_str(&webhook_body(&scene.notice, &message(&scene))).unwrap();
        keys(&body, &mut want);
        want.extend(
            body["targets"].as_array().unwrap().iter().map(|t| t["state"].as_str().unwrap().to_owned()),
        );
        for word in ["kind", "cause", "topic"].iter().filter_map(|key| body["decision"][key].as_str()) {
            want.insert(word.to_owned());
        }
    }
    let missing: Vec<_> = want
        .iter()
        .filter(|word| !page.contains(&format!("`{word}`")) && !page.contains(&format!(".{word}`")))
        .collect();
    assert!(want.len() > 60 && missing.is_empty(), "not in docs/webhook.md: {missing:?}");
}

#[test]
fn a_breakers_name_stands_in_commands_as_it_is() {
    const NAME: &str = "tenant-daily/a%27%24%28reboot%29=asserted";
    let mut named = 0;
    for mut scene in all() {
        let Some(breaker) = &mut scene.notice.decision.why.breaker else { continue };
        breaker.name = NAME.into();
        for action in message(&scene).actions.iter().filter(|a| a.command.contains("reboot")) {
            assert_eq!(action.command, format!("breakerbox reset {NAME}"), "{}", scene.name);
            named += 1;
        }
    }
    assert!(named > 10, "{named} commands name the breaker");
}
