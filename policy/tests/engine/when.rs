//! `select.when`: which charges count by an expression, and what is said of those that it cannot judge.

use policy::engine::Engine;
use policy::fact::{Fact, Posture, Settings};
use policy::rule::{Mode, Selector, SourceFile, compile};

use crate::world::{KEY, World, daily, usd};

fn select(when: &str) -> Selector {
    let text = format!(
        "apiVersion: breakerbox.dev/v1alpha1\nkind: Budget\nmetadata: {{name: b}}\nspec:\n  select:\n    when: \
         {when:?}\n  limit: {{amount: 1 USD}}\n  window: {{calendar: day}}\n"
    );
    let compiled = compile(&[SourceFile { path: "when.yaml", text: &text }]);
    compiled.unwrap_or_else(|all| panic!("{all}")).rules.budgets[0].select.clone()
}

fn counting(when: &str) -> World {
    let mut budget = daily("tenant-daily", "50", Mode::Enforce);
    budget.select = select(when);
    World::with(vec![budget])
}

fn unjudged(world: &World) -> (u64, usize) {
    let pages = world.pages().iter().filter(|page| page.contains("cannot tell whether it counts")).count();
    (world.engine.view(world.clock.wall).counters.unjudged, pages)
}

#[test]
fn only_what_the_expression_means_counts() {
    let mut world = counting("subject.tenant in ['acme', 'core'] && charge.kind == 'tokens'");
    world.spend("acme", "30");
    world.spend("blue", "60");
    assert_eq!(world.sum("tenant-daily/acme"), usd("30"));
    assert_eq!(world.state("tenant-daily/blue"), "none");
    world.spend("acme", "21");
    assert_eq!(world.ordered(), ["pause acme/api"]);
    assert_eq!(unjudged(&world), (0, 0));
}

#[test]
fn what_cannot_be_judged_is_not_counted_but_counted_apart_and_paged_once() {
    let mut world = counting("subject.team == 'search'");
    world.spend("acme", "60");
    world.spend("acme", "60");
    world.spend("blue", "60");
    assert_eq!(world.state("tenant-daily/acme"), "none");
    assert_eq!((unjudged(&world), world.orders.len()), ((3, 1), 0));
    let page = world.pages().into_iter().find(|page| page.contains("cannot tell")).unwrap();
    assert!(page.contains("the charge has no trusted `team`") && page.contains("(when.yaml:6)"), "{page}");
    world.pass("24h");
    world.spend("core", "1");
    assert_eq!(unjudged(&world), (4, 2), "a day later it is said again");
}

/// Lanes are a cache: a process that starts anew resolves each origin again, and must not page or count again
/// for it, nor may what it writes differ from the replay of the whole journal.
#[test]
fn a_restart_neither_pages_again_nor_gives_other_bytes() {
    let mut world = counting("subject.team == 'search' || subject.tenant == 'acme'");
    world.spend("acme", "20");
    world.spend("blue", "20");
    world.engine = Engine::restore(&world.engine.snapshot()).unwrap();
    world.clock.mono = 7;
    world.take(vec![Fact::Started(Posture { ceiling: Mode::Enforce, because: None })]);
    world.spend("blue", "20");
    world.spend("acme", "10");
    assert_eq!(world.sum("tenant-daily/acme"), usd("30"), "the expression was made anew from its text");
    assert_eq!(unjudged(&world), (2, 1));
    let mut again = Engine::new(Settings::new(KEY, "test"));
    for (clock, facts) in &world.journal {
        let _ = again.step(*clock, facts);
    }
    assert!(again.snapshot() == world.engine.snapshot(), "a replay gives other bytes");
}

#[test]
fn an_expression_that_only_moves_in_its_file_keeps_its_breakers() {
    let mut world = counting("charge.kind == 'tokens'");
    world.spend("acme", "30");
    let mut moved = world.rules.clone();
    moved.id = "r2".into();
    moved.budgets[0].select = {
        let text = "\n\n\napiVersion: breakerbox.dev/v1alpha1\nkind: Budget\nmetadata: {name: b}\nspec:\n  select:\n    \
                    when: charge.kind == 'tokens'\n  limit: {amount: 1 USD}\n  window: {calendar: day}\n";
        compile(&[SourceFile { path: "when.yaml", text }]).unwrap().rules.budgets[0].select.clone()
    };
    world.reload(moved);
    assert_eq!(world.sum("tenant-daily/acme"), usd("30"));
}
