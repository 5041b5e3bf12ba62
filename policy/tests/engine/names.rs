//! Names that callers choose: harmless wherever they are shown or pasted, and taken back as they are shown.

use std::process::Command;

use policy::decision::Notice;
use policy::engine::NotTrippedReason;
use policy::fact::CommandKind;
use policy::page::PageTopic;
use policy::rule::Mode;

use crate::world::{World, daily};

const NASTY: [&str; 12] = [
    "$(touch /tmp/ran)",
    "`reboot`;id|cat&",
    "with space",
    "\"quoted\" 'twice'",
    "two\nlines",
    "\u{1b}]0;title\u{7}",
    "\u{202e}evil\u{2066}",
    "<!channel>",
    "*bold* _it_ ~gone~ :skull:",
    "a?[b]{c,d}*!#\\",
    "../../etc,x=y",
    "@everyone.",
];

fn name_of(notices: &[Notice]) -> String {
    notices.last().unwrap().decision.why.breaker.as_ref().unwrap().name.to_string()
}

#[test]
fn a_shell_reads_every_breakers_name_as_one_word_and_runs_nothing() {
    for tenant in NASTY {
        let mut world = World::new();
        let name = name_of(&world.spend(tenant, "51").notices);
        assert_eq!(world.state(&name), "Tripped", "{tenant:?}");
        let output = Command::new("sh").arg("-c").arg(format!("printf '[%s]' {name}")).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("[{name}]"), "{tenant:?}");
        assert!(output.stderr.is_empty(), "{tenant:?}");
        assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.@%/".contains(&b)), "{name}");
    }
}

#[test]
fn a_name_is_taken_back_as_it_was_shown_by_reset_trip_and_explain() {
    for tenant in NASTY {
        let mut world = World::new();
        let name = name_of(&world.spend(tenant, "51").notices);
        world.reset(&name);
        assert_ne!(world.state(&name), "Tripped", "{tenant:?}");
        world.command(CommandKind::Trip { breaker: name.clone(), reason: "test".to_owned() });
        assert_eq!(world.state(&name), "Tripped", "{tenant:?}");
        for typed in [name.as_str(), name.split('/').nth(1).unwrap(), tenant] {
            let answer = world.engine.explain(typed, world.clock.wall);
            assert_eq!(answer[0].breaker.as_deref(), Some(&*name), "{typed:?}");
            let reason = &answer[0].reason;
            assert!(matches!(reason, NotTrippedReason::NoTargets { .. }), "{typed:?}: {reason}");
        }
    }
}

#[test]
fn a_page_about_rules_shows_no_name_as_its_caller_wrote_it() {
    let mut world = World::with(vec![daily("tenant-daily", "5000", Mode::Enforce)]);
    for tenant in NASTY {
        world.spend(tenant, "51");
    }
    let mut lower = world.rules.clone();
    lower.id = "r2".into();
    lower.budgets[0].limit.amount = crate::world::usd("50");
    world.reload(lower);
    let page = world.decisions.iter().rev().find_map(|d| match &d.kind {
        policy::decision::DecisionKind::Page { topic: PageTopic::RuleChange, detail } => Some(detail.clone()),
        _ => None,
    });
    let page = page.unwrap();
    for tenant in NASTY {
        assert!(!page.contains(tenant), "{page}");
    }
    assert_eq!(page.matches("tenant-daily/").count(), NASTY.len());
}
