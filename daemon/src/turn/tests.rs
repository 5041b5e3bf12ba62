use collector::envelope::Ack;
use policy::decision::{DecisionKind, Effect};
use policy::fact::{Command, CommandKind, Fact, UsageOutcome};
use policy::inventory::ObjectKey;
use policy::rule::Mode;
use policy::time::Span;
use tokio::sync::oneshot;

use super::*;
use crate::clock::Clock as _;
use crate::keeper::{Every, Keeper};
use crate::replay::replay;
use crate::testing::{Bench, Wish, bench, rules, settings, usage};

async fn push(bench: &Bench, fact: Fact) -> Ack {
    let (ack, answer) = oneshot::channel();
    bench.intake.put(Envelope { fact, ack: Some(ack) }).await.unwrap();
    answer.await.unwrap()
}

fn accepted() -> Ack {
    Ack::Usage(vec![UsageOutcome::Accepted])
}

#[tokio::test]
async fn a_tenant_that_crosses_gets_one_order_and_one_notice_after_the_commit() {
    let dir = tempfile::tempdir().unwrap();
    let mut bench = bench(dir.path(), &Wish::default());
    bench.start(Mode::Enforce, rules(50, Mode::Enforce)).await;
    assert_eq!(push(&bench, bench.usage("c1", "acme", 1)).await, accepted());
    assert!(bench.orders.try_recv().is_err(), "16.50 of 50 USD");
    assert_eq!(push(&bench, bench.usage("c2", "acme", 4)).await, accepted());
    let order = bench.orders.recv().await.unwrap();
    assert_eq!(order.target, ObjectKey::scaled_object("acme", "api"));
    assert_eq!(order.effect, Effect::PauseToZero);
    assert_eq!((&*order.why.place.file, order.why.place.line), ("tenants.yaml", 9));
    assert!(bench.orders.try_recv().is_err(), "the other tenant is left alone");
    let told = bench.notices.recv().await.unwrap();
    assert!(!told.repeat);
    bench.end().await;
    let journal = Journal::open(dir.path(), settings).unwrap().journal;
    assert_eq!(journal.unresolved_orders().unwrap(), vec![order], "it was durable before it was given");
}

#[tokio::test]
async fn a_duplicate_is_told_as_one_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let first = bench(dir.path(), &Wish::default());
    first.start(Mode::Observe, rules(50, Mode::Observe)).await;
    let fact = first.usage("c1", "acme", 1);
    assert_eq!(push(&first, fact.clone()).await, accepted());
    assert_eq!(push(&first, fact.clone()).await, Ack::Usage(vec![UsageOutcome::Duplicate]));
    first.end().await;
    let second = bench(dir.path(), &Wish::default());
    assert_eq!(push(&second, fact).await, Ack::Usage(vec![UsageOutcome::Duplicate]));
    let sum = second.handle.look(|engine, now| engine.breaker("tenant-daily/acme", now).unwrap().sum).await;
    assert_eq!(sum.unwrap().picos(), 16_500_000_000_000);
    second.end().await;
}

#[tokio::test]
async fn refused_usage_is_kept_with_its_amount_and_told() {
    let dir = tempfile::tempdir().unwrap();
    let bench = bench(dir.path(), &Wish::default());
    bench.start(Mode::Observe, rules(50, Mode::Observe)).await;
    let ahead = bench.clock.read().wall.plus(Span::from_hours(1));
    let ack = push(&bench, usage(bench.secret, "c1", "acme", 1, ahead)).await;
    assert_eq!(ack, Ack::Usage(vec![UsageOutcome::Refused(policy::fact::RefusedReason::TooFarAhead)]));
    let letters = bench.letters.0.lock().unwrap().clone();
    assert_eq!(letters.len(), 1);
    assert_eq!((&*letters[0].key, letters[0].amount.unwrap().picos()), ("c1", 16_500_000_000_000));
    bench.end().await;
}

#[tokio::test]
async fn a_command_is_a_turn_of_its_own_and_answers_with_what_came_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let bench = bench(dir.path(), &Wish::default());
    bench.start(Mode::Enforce, rules(50, Mode::Enforce)).await;
    let say = |kind| bench.handle.command(Command { actor: "uid:0 (root)".into(), kind });
    let outcome = say(CommandKind::Freeze { reason: "audit".into() }).await.unwrap();
    let DecisionKind::Commanded { what, refused } = &outcome.decisions[0].kind else { panic!("{outcome:?}") };
    assert!(what.contains("uid:0 (root)") && refused.is_none());
    assert!(bench.levers.frozen.lock().unwrap().as_deref().unwrap().contains("audit"), "at once");
    let outcome =
        say(CommandKind::Reset { breaker: "nobody".into(), more: "10%".parse().unwrap() }).await.unwrap();
    let DecisionKind::Commanded { refused: Some(no), .. } = &outcome.decisions[0].kind else { panic!() };
    assert!(no.contains("`nobody`"));
    say(CommandKind::Unfreeze).await.unwrap();
    assert_eq!(*bench.levers.frozen.lock().unwrap(), None);
    bench.end().await;
}

#[tokio::test]
async fn a_freeze_still_holds_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let first = bench(dir.path(), &Wish::default());
    first.start(Mode::Enforce, rules(50, Mode::Enforce)).await;
    let freeze = CommandKind::Freeze { reason: "audit".into() };
    first.handle.command(Command { actor: "a".into(), kind: freeze }).await.unwrap();
    first.end().await;
    let second = bench(dir.path(), &Wish::default());
    // The answer to any question shows that the turn has begun.
    second.handle.look(|_, _| ()).await.unwrap();
    assert!(second.levers.frozen.lock().unwrap().is_some());
    second.end().await;
}

#[tokio::test]
async fn the_levers_follow_ceiling_rules_and_clock() {
    let dir = tempfile::tempdir().unwrap();
    let bench = bench(dir.path(), &Wish::default());
    bench.start(Mode::Alert, rules(50, Mode::Enforce)).await;
    assert_eq!(*bench.levers.ceiling.lock().unwrap(), Mode::Alert);
    assert_eq!(&*bench.levers.rules.lock().unwrap().id, "rules-50-enforce");
    let later = bench.clock.read().wall.plus(Span::from_hours(3));
    bench.clock.set_wall(later);
    bench.handle.fact(Fact::Tick).await.unwrap();
    assert!(bench.levers.clock_doubted.load(std::sync::atomic::Ordering::SeqCst));
    let right = Command { actor: "a".into(), kind: CommandKind::ClockIsRight };
    bench.handle.command(right).await.unwrap();
    assert!(!bench.levers.clock_doubted.load(std::sync::atomic::Ordering::SeqCst));
    bench.end().await;
}

#[tokio::test]
async fn below_the_disk_reserve_usage_waits_and_urgent_facts_do_not() {
    let dir = tempfile::tempdir().unwrap();
    let mut bench = bench(dir.path(), &Wish { reserve: u64::MAX, ..Wish::default() });
    // It is low before there are rules, which say where a page goes: it waits for them.
    bench.pressed.wait_for(|low| *low).await.unwrap();
    bench.start(Mode::Observe, rules(50, Mode::Observe)).await;
    let (ack, mut answer) = oneshot::channel();
    let fact = bench.usage("c1", "acme", 1);
    bench.intake.put(Envelope { fact, ack: Some(ack) }).await.unwrap();
    bench.handle.fact(Fact::Tick).await.unwrap();
    bench.handle.fact(Fact::Tick).await.unwrap();
    assert!(answer.try_recv().is_err(), "two turns went by without it");
    let told = bench.notices.recv().await.unwrap();
    let DecisionKind::Page { detail, .. } = &told.notice.decision.kind else { panic!("{told:?}") };
    assert!(detail.contains("less than the reserve"), "{detail}");
    bench.handle.stop().await;
    assert_eq!(answer.await.unwrap(), accepted(), "what had reached us is taken at the end all the same");
    bench.task.await.unwrap().unwrap();
}

#[tokio::test]
async fn orders_without_room_wait_in_order_and_none_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let mut bench = bench(dir.path(), &Wish { orders: 1, ..Wish::default() });
    bench.start(Mode::Enforce, rules(50, Mode::Enforce)).await;
    push(&bench, bench.usage("c1", "acme", 4)).await;
    push(&bench, bench.usage("c2", "rival", 4)).await;
    let first = bench.orders.recv().await.unwrap();
    let second = bench.orders.recv().await.unwrap();
    assert_eq!((&*first.target.namespace, &*second.target.namespace), ("acme", "rival"));
    bench.end().await;
}

#[tokio::test]
async fn what_had_reached_the_turn_when_it_was_stopped_is_durable_and_acked() {
    let dir = tempfile::tempdir().unwrap();
    let bench = bench(dir.path(), &Wish::default());
    bench.start(Mode::Observe, rules(50, Mode::Observe)).await;
    let mut answers = Vec::new();
    for n in 0..20 {
        let (ack, answer) = oneshot::channel();
        let fact = bench.usage(&format!("c{n}"), "acme", 1);
        bench.intake.put(Envelope { fact, ack: Some(ack) }).await.unwrap();
        answers.push(answer);
    }
    let handle = bench.handle.clone();
    bench.end().await;
    for answer in answers {
        assert_eq!(answer.await.unwrap(), accepted());
    }
    assert_eq!(handle.fact(Fact::Tick).await, Err(Gone));
}

#[tokio::test]
async fn a_snapshot_by_the_second_engine_gives_the_same_state_as_the_whole_journal() {
    let dir = tempfile::tempdir().unwrap();
    let bench = bench(dir.path(), &Wish::default());
    bench.start(Mode::Enforce, rules(50, Mode::Enforce)).await;
    for n in 0..30 {
        push(&bench, bench.usage(&format!("c{n}"), if n % 3 == 0 { "rival" } else { "acme" }, 1)).await;
        bench.clock.advance(Span::from_secs(2));
    }
    let whole = bench.handle.look(|engine, _| engine.snapshot()).await.unwrap();
    bench.end().await;

    let opened = Journal::open(dir.path(), settings).unwrap();
    let observed = Arc::new(Observed::default());
    let mut keeper = Keeper::new(&opened.journal, 0, Every::default(), observed).unwrap();
    assert_eq!(keeper.snapshot().unwrap(), None, "no turn came out otherwise");
    drop((opened, keeper));
    let replayed = replay(Journal::open(dir.path(), settings).unwrap()).unwrap();
    assert!(replayed.snapshot > 0 && replayed.turns < 5, "from {} on", replayed.snapshot);
    assert!(replayed.engine.snapshot() == whole, "byte for byte");
}

#[tokio::test]
async fn a_turn_whose_replay_differs_is_found_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let bench = bench(dir.path(), &Wish::default());
    bench.start(Mode::Observe, rules(50, Mode::Observe)).await;
    push(&bench, bench.usage("c1", "acme", 1)).await;
    bench.clock.advance(Span::from_secs(2));
    bench.handle.fact(Fact::Tick).await.unwrap();
    bench.end().await;
    let file = rusqlite::Connection::open(dir.path().join("journal.db")).unwrap();
    let turn: i64 = file.query_row("SELECT min(seq) + 1 FROM turns", [], |row| row.get(0)).unwrap();
    file.execute("UPDATE turns SET fingerprint = fingerprint + 1 WHERE seq = ?1", [turn]).unwrap();
    let turn = u64::try_from(turn).unwrap();
    let opened = Journal::open(dir.path(), settings).unwrap();
    let observed = Arc::new(Observed::default());
    let mut keeper = Keeper::new(&opened.journal, 0, Every::default(), observed.clone()).unwrap();
    assert_eq!(keeper.snapshot().unwrap(), Some(turn));
    assert_eq!(observed.diverged_at.load(std::sync::atomic::Ordering::Relaxed), turn);
    assert_eq!(replay(opened).unwrap().diverged, Some(turn));
}

#[test]
fn facts_are_kept_for_the_longest_window_and_lifetimes_for_the_configured_time() {
    let forever = Span::from_hours(400 * 24);
    let mut set = rules(50, Mode::Observe);
    assert_eq!(longest_window(&set, forever), Span::from_hours(48));
    set.budgets[0].window = policy::rule::WindowSpec::Lifetime;
    assert_eq!(longest_window(&set, forever), forever);
    assert_eq!(longest_window(&RuleSet::default(), forever), Span::from_hours(48));
}
