//! Slack's own SDK judges our messages, and the fake of Slack that the other tests talk to.
//!
//! The messages are the goldens of `actions`, so what is judged here is what the daemon sends.

#[path = "../../actions/tests/notify/fake_slack.rs"]
#[allow(dead_code)]
mod fake_slack;

use std::path::Path;

use fake_slack::{FakeSlack, TOKEN, Trouble};
use tests::servers::Installed;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slacks_own_sdk_takes_every_message_and_takes_the_fake_for_slack() {
    let slack = FakeSlack::start().await;
    slack.trouble(Trouble::TooMany(7));
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = tokio::process::Command::new(Installed::find().unwrap().python())
        .arg(here.join("slack/validate.py"))
        .arg(here.join("../actions/tests/notify/golden"))
        .args([slack.api_url(), slack.hook_url(), TOKEN.to_owned()])
        .output()
        .await
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    assert!(out.contains("messages taken by slack_sdk"), "{out}");
    let posted = slack.posted();
    assert_eq!((posted.len(), posted[0].edits, slack.hooked().len()), (1, 1, 1));
    assert_eq!(posted[0].body["text"], "edited");
}
