use std::fs::{self, OpenOptions};
use std::path::Path;

use policy::decision::{
    Blast, Decision, DecisionKind, Effect, HoldState, Notice, Order, Severity, Times, Why,
};
use policy::engine::{Outcome, Rollup, Spend};
use policy::fact::{
    Clock, Fact, PriorState, Quantities, Receipt, ReceiptOutcome, Settings, UsageBatchBuilder, UsageFlags,
    UsageOutcome, UsageRef,
};
use policy::id::{DecisionId, OrderId};
use policy::inventory::ObjectKey;
use policy::money::Money;
use policy::price::TokenCounts;
use policy::rule::Mode;
use policy::time::{Span, Timestamp};
use rusqlite::Connection;

use super::disk::{Reserve, Room};
use super::snapshot::{self, Snapshot};
use super::*;

pub(super) fn settings(key: policy::fact::IdKey) -> Settings {
    Settings::new(key, "test")
}

pub(super) fn open(folder: &Path) -> Opened {
    Journal::open(folder, settings).unwrap()
}

pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000 + seconds * 1000)
}

fn clock(seconds: i64) -> Clock {
    Clock { wall: at(seconds), mono: u64::try_from(seconds * 1000).unwrap() }
}

fn usage(journal: &Journal, key: &str) -> Fact {
    let mut batch = UsageBatchBuilder::new(journal.settings().id_key, "bedrock-log", false);
    batch.push(&UsageRef {
        key,
        occurred_at: at(0),
        quantities: Quantities::Tokens(TokenCounts { input: 7, output: 3, ..TokenCounts::default() }),
        flags: UsageFlags::default(),
        origin: policy::fact::OriginRef { model: "m", ..policy::fact::OriginRef::default() },
        end: None,
        links: &[],
    });
    Fact::Usage(batch.finish())
}

pub(super) fn decision(id: u64) -> Decision {
    let breaker =
        policy::decision::BreakerRef { name: "tenant-daily/acme".into(), start: at(0), end: at(86_400) };
    Decision {
        id: DecisionId(id),
        at: at(1),
        kind: DecisionKind::Tripped { targets: vec![ObjectKey::scaled_object("acme", "api")], left: vec![] },
        mode: Mode::Enforce,
        why: Why { breaker: Some(breaker), ..Why::default() },
    }
}

pub(super) fn order(id: u64, decision: u64) -> Order {
    Order {
        id: OrderId(id),
        decision: DecisionId(decision),
        target: ObjectKey::scaled_object("acme", "api"),
        uid: "u".into(),
        effect: Effect::PauseToZero,
        issued_at: at(1),
        expires_at: at(301),
        mode: Mode::Enforce,
        approved_by: None,
        attempt: 1,
        holders: vec!["tenant-daily/acme".into()],
        blast: Blast::default(),
        why: Why::default(),
    }
}

pub(super) fn notice(id: u64, key: &str) -> Notice {
    Notice {
        id: OrderId(id),
        key: key.into(),
        thread: "tenant-daily/acme".into(),
        route: "oncall".into(),
        severity: Severity::Critical,
        progress: false,
        decision: decision(1),
        targets: vec![(ObjectKey::scaled_object("acme", "api"), HoldState::Ordered)],
        times: Times::default(),
        manner: Default::default(),
    }
}

fn rollup(minute: i64, picos: i128) -> Rollup {
    Rollup { minute: at(minute * 60), account: 0, amount: Money::from_picos(picos), facts: 1, unpriced: 0 }
}

fn accounts() -> Vec<Spend> {
    let (tenant, model) = (Some("acme".into()), "m".into());
    vec![Spend { tenant, model, amount: Money::ZERO, facts: 0, unpriced: 0 }]
}

pub(super) fn receipt(order: u64, outcome: ReceiptOutcome) -> Fact {
    Fact::Receipt(Receipt { order: OrderId(order), at: at(2), guard: vec![], outcome })
}

pub(super) fn prior() -> PriorState {
    PriorState {
        uid: "u".into(),
        resource_version: "5".into(),
        replicas: Some(3),
        paused_replicas: None,
        paused: None,
        hpa: Some("keda-hpa-api".into()),
    }
}

fn commit(journal: &mut Journal, seconds: i64, facts: &[Fact], outcome: &Outcome) -> Committed {
    journal
        .commit(&TurnRecord { clock: clock(seconds), facts, outcome, accounts: &accounts(), deliveries: &[] })
        .unwrap()
}

#[test]
fn what_was_committed_is_there_after_reopening_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let (facts, settings, id) = {
        let Opened { mut journal, snapshot, is_new } = open(dir.path());
        assert!(is_new && snapshot.is_none());
        let facts: Vec<Vec<Fact>> =
            (0..20).map(|n| vec![usage(&journal, &format!("call-{n}")), Fact::Tick]).collect();
        for (n, facts) in facts.iter().enumerate() {
            let committed = commit(&mut journal, i64::try_from(n).unwrap(), facts, &Outcome::default());
            assert_eq!(committed.seq, n as u64 + 1);
        }
        (facts, journal.settings().clone(), journal.id().to_owned())
    };
    let opened = open(dir.path());
    assert!(!opened.is_new);
    assert_eq!(opened.journal.settings(), &settings, "an old journal keeps its id key");
    assert_eq!(opened.journal.id(), id);
    assert_eq!(opened.journal.seq(), 20);
    let turns: Vec<StoredTurn> = opened.tail().unwrap().map(Result::unwrap).collect();
    assert_eq!(turns.iter().map(|t| t.seq).collect::<Vec<_>>(), (1..=20).collect::<Vec<_>>());
    assert_eq!(turns.iter().map(|t| t.facts.clone()).collect::<Vec<_>>(), facts);
    assert_eq!(turns[3].clock, clock(3));
}

#[test]
fn two_journals_have_different_secrets() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (one, other) = (open(one.path()), open(other.path()));
    assert_ne!(one.journal.settings().id_key, other.journal.settings().id_key);
    assert_ne!(one.journal.id(), other.journal.id());
}

#[test]
fn a_second_daemon_on_the_same_folder_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path());
    let error = Journal::open(dir.path(), settings).unwrap_err();
    assert!(matches!(error, JournalError::InUse { .. }), "{error}");
    drop(first);
    assert!(Journal::open(dir.path(), settings).is_ok());
}

#[test]
fn a_file_of_something_else_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("journal.db");
    fs::write(&file, "these are my holiday notes, not a database").unwrap();
    let error = Journal::open(dir.path(), settings).unwrap_err();
    assert!(matches!(error, JournalError::NotOurs { .. }), "{error}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "these are my holiday notes, not a database");
    fs::remove_file(&file).unwrap();
    Connection::open(&file).unwrap().execute_batch("CREATE TABLE recipes(name TEXT)").unwrap();
    let error = Journal::open(dir.path(), settings).unwrap_err();
    assert!(matches!(error, JournalError::NotOurs { .. }), "{error}");
}

/// A crash in the middle of a write: the last commit's frames are cut. What was committed before stays, and
/// the journal goes on from there.
#[test]
fn a_torn_tail_costs_only_the_turn_that_was_torn() {
    let dir = tempfile::tempdir().unwrap();
    let copy = tempfile::tempdir().unwrap();
    let Opened { mut journal, .. } = open(dir.path());
    for n in 0..5 {
        let facts = [usage(&journal, &format!("call-{n}"))];
        commit(&mut journal, n, &facts, &Outcome::default());
    }
    // Copied while open: closing would fold the log back.
    for name in ["journal.db", "journal.db-wal"] {
        fs::copy(dir.path().join(name), copy.path().join(name)).unwrap();
    }
    let wal = copy.path().join("journal.db-wal");
    let length = fs::metadata(&wal).unwrap().len();
    OpenOptions::new().write(true).open(&wal).unwrap().set_len(length - 100).unwrap();
    let mut opened = open(copy.path());
    assert_eq!(opened.journal.seq(), 4);
    let facts = [usage(&opened.journal, "call-again")];
    assert_eq!(commit(&mut opened.journal, 9, &facts, &Outcome::default()).seq, 5);
    assert_eq!(opened.tail().unwrap().map(Result::unwrap).count(), 5);
}

#[test]
fn a_damaged_turn_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let Opened { mut journal, .. } = open(dir.path());
    let facts = [usage(&journal, "call-1")];
    commit(&mut journal, 0, &facts, &Outcome::default());
    drop(journal);
    let conn = Connection::open(dir.path().join("journal.db")).unwrap();
    conn.execute("UPDATE turns SET blob = substr(blob, 1, length(blob) - 4)", []).unwrap();
    let error = open(dir.path()).tail().unwrap().next().unwrap().unwrap_err();
    assert_eq!(
        error.to_string(),
        "turn 1 in the journal cannot be read: the file is damaged, or of a newer version"
    );
}

#[test]
fn an_order_is_unresolved_until_a_receipt_settles_it_once() {
    let dir = tempfile::tempdir().unwrap();
    let Opened { mut journal, .. } = open(dir.path());
    let outcome = Outcome {
        decisions: vec![decision(1)],
        orders: vec![order(1, 1), order(2, 1)],
        ..Outcome::default()
    };
    commit(&mut journal, 0, &[Fact::Tick], &outcome);
    assert_eq!(journal.unresolved_orders().unwrap(), outcome.orders);

    let refused = ReceiptOutcome::Refused;
    let verified = ReceiptOutcome::Verified { signs: vec![], took: Span::from_secs(3) };
    let facts = [receipt(1, ReceiptOutcome::Prepared(prior())), receipt(2, refused.clone())];
    commit(&mut journal, 1, &facts, &Outcome::default());
    assert_eq!(journal.unresolved_orders().unwrap(), vec![order(1, 1)], "prepared is not settled");
    commit(&mut journal, 2, &[receipt(1, verified)], &Outcome::default());
    commit(&mut journal, 3, &[receipt(1, refused)], &Outcome::default());
    assert!(journal.unresolved_orders().unwrap().is_empty());

    let record = journal.reader().unwrap().decision(DecisionId(1)).unwrap().unwrap();
    assert_eq!(record.decision, decision(1));
    assert_eq!(record.seq, 1);
    let states: Vec<(&str, usize)> =
        record.orders.iter().map(|o| (o.state.as_str(), o.receipts.len())).collect();
    assert_eq!(states, [("Verified", 3), ("Refused", 1)], "the late refusal is kept and changes nothing");
    assert!(journal.reader().unwrap().decision(DecisionId(9)).unwrap().is_none());
}

#[test]
fn decisions_are_listed_newest_first_and_by_breaker() {
    let dir = tempfile::tempdir().unwrap();
    let Opened { mut journal, .. } = open(dir.path());
    let mut page = decision(2);
    page.why.breaker = None;
    let outcome = Outcome { decisions: vec![decision(1), page, decision(3)], ..Outcome::default() };
    commit(&mut journal, 0, &[Fact::Tick], &outcome);
    let reader = journal.reader().unwrap();
    let ids = |breaker| {
        let found = reader.decisions(breaker, 10).unwrap();
        found.iter().map(|d| d.id.0).collect::<Vec<_>>()
    };
    assert_eq!(ids(None), [3, 2, 1]);
    assert_eq!(ids(Some("tenant-daily/acme")), [3, 1]);
    assert_eq!(ids(Some("tenant-daily/other")), [0; 0]);
}

#[test]
fn a_notice_is_told_once_for_its_key_even_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let Opened { mut journal, .. } = open(dir.path());
    let outcome =
        Outcome { notices: vec![notice(1, "k1"), notice(2, "k1"), notice(3, "k2")], ..Outcome::default() };
    assert_eq!(commit(&mut journal, 0, &[Fact::Tick], &outcome).new_notices, [0, 2]);
    let handled = [receipt(1, ReceiptOutcome::Delivered { handle: None })];
    commit(&mut journal, 1, &handled, &Outcome::default());
    drop(journal);
    let Opened { mut journal, .. } = open(dir.path());
    assert_eq!(journal.undelivered_notices().unwrap(), vec![notice(3, "k2")]);
    let again = Outcome { notices: vec![notice(4, "k1")], ..Outcome::default() };
    assert!(commit(&mut journal, 2, &[Fact::Tick], &again).new_notices.is_empty());
}

#[test]
fn a_delivery_and_its_handle_are_durable_with_the_turn() {
    let dir = tempfile::tempdir().unwrap();
    let Opened { mut journal, .. } = open(dir.path());
    let delivery = Delivery {
        key: "k1".into(),
        receiver: "slack:#oncall".into(),
        thread: "t".into(),
        handle: Some("C1 1700.1".into()),
        at: at(3),
    };
    let deliveries = [delivery.clone()];
    let outcome = Outcome::default();
    journal
        .commit(&TurnRecord {
            clock: clock(3),
            facts: &[],
            outcome: &outcome,
            accounts: &[],
            deliveries: &deliveries,
        })
        .unwrap();
    drop(journal);
    assert_eq!(open(dir.path()).journal.deliveries().unwrap(), [delivery]);
}

#[test]
fn rollups_add_up_to_the_last_digit_across_writes_and_replays() {
    let dir = tempfile::tempdir().unwrap();
    let Opened { mut journal, .. } = open(dir.path());
    let big = i128::MAX / 4;
    let turn = |picos| Outcome { rollups: vec![rollup(1, picos), rollup(61, 5)], ..Outcome::default() };
    commit(&mut journal, 0, &[Fact::Tick], &turn(big));
    commit(&mut journal, 0, &[Fact::Tick], &turn(2));
    commit(&mut journal, 0, &[Fact::Tick], &turn(3));
    // Only the first was due; the process ends here, and the replay brings the two others again.
    drop(journal);
    let Opened { mut journal, .. } = open(dir.path());
    assert_eq!(journal.reader().unwrap().rollups_seq().unwrap(), 1);
    for (seq, picos) in [(1, big), (2, 2), (3, 3)] {
        journal.replayed(seq, &turn(picos).rollups);
    }
    commit(&mut journal, 10, &[Fact::Tick], &Outcome::default());
    let reader = journal.reader().unwrap();
    let minutes = reader.rollups_by_minute(at(0), 10).unwrap();
    let sums: Vec<(i128, u64)> = minutes.iter().map(|r| (r.amount.picos(), r.facts)).collect();
    assert_eq!(sums, [(big + 5, 3), (15, 3)]);
    assert_eq!(minutes[0].tenant.as_deref(), Some("acme"));
    let hours = reader.rollups_by_hour(at(-7200), 10).unwrap();
    assert_eq!(hours.iter().map(|r| r.amount.picos()).sum::<i128>(), big + 20);
    assert!(hours.iter().all(|r| r.start.millis() % 3_600_000 == 0));
}

#[test]
fn the_newest_whole_snapshot_of_this_journal_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let Opened { mut journal, .. } = open(dir.path());
    for n in 0..6 {
        commit(&mut journal, n, &[Fact::Tick], &Outcome::default());
    }
    let put = |seq: u64, id: &str| {
        let snapshot = Snapshot { seq, bytes: vec![u8::try_from(seq).unwrap(); 100] };
        snapshot::put(dir.path(), id, &snapshot).unwrap();
        snapshot
    };
    let id = journal.id().to_owned();
    drop(journal);
    put(1, &id);
    let second = put(2, &id);
    let third = put(3, &id);
    let files = || fs::read_dir(dir.path().join("snapshots")).unwrap().count();
    assert_eq!(files(), 2, "the two newest are kept");
    assert_eq!(open(dir.path()).snapshot, Some(third));
    assert_eq!(open(dir.path()).tail().unwrap().count(), 3);

    let newest = dir.path().join("snapshots").join(format!("{:020}.snap", 3));
    let mut bytes = fs::read(&newest).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&newest, &bytes).unwrap();
    assert_eq!(open(dir.path()).snapshot, Some(second), "a damaged one is passed over");
    fs::remove_dir_all(dir.path().join("snapshots")).unwrap();
    put(4, "another journal");
    assert_eq!(open(dir.path()).snapshot, None, "and so is another journal's");
    put(99, &id);
    assert_eq!(open(dir.path()).snapshot, None, "and one from turns that are not there");
}

#[test]
fn turns_are_pruned_only_when_old_and_behind_the_older_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let Opened { mut journal, .. } = open(dir.path());
    for n in 0..10 {
        commit(&mut journal, n * 100, &[Fact::Tick], &Outcome::default());
    }
    let keep = |seconds| Keep { turns_from: at(seconds), minutes_from: at(0), hours_from: at(0) };
    let left = |journal: &Journal| journal.reader().unwrap().first_turn().unwrap().unwrap();
    journal.prune(keep(10_000)).unwrap();
    assert_eq!(left(&journal), 1, "no snapshot, nothing goes");
    let id = journal.id().to_owned();
    for seq in [6, 8] {
        snapshot::put(dir.path(), &id, &Snapshot { seq, bytes: vec![] }).unwrap();
    }
    journal.prune(keep(250)).unwrap();
    assert_eq!(left(&journal), 4, "turns of seconds 0, 100 and 200 are old");
    journal.prune(keep(10_000)).unwrap();
    assert_eq!(left(&journal), 7, "all are old, those after the older snapshot stay");
    drop(journal);
    fs::remove_dir_all(dir.path().join("snapshots")).unwrap();
    let error = open(dir.path()).tail().unwrap_err();
    assert!(matches!(error, JournalError::Gap { first: 7, snapshot: 0 }), "{error}");
}

#[test]
fn old_rollups_are_forgotten_by_their_own_limits() {
    let dir = tempfile::tempdir().unwrap();
    let Opened { mut journal, .. } = open(dir.path());
    let outcome = Outcome { rollups: vec![rollup(0, 1), rollup(120, 2)], ..Outcome::default() };
    commit(&mut journal, 0, &[Fact::Tick], &outcome);
    let keep = Keep { turns_from: at(0), minutes_from: at(3600), hours_from: at(-86_400) };
    assert!(!journal.prune(keep).unwrap());
    let reader = journal.reader().unwrap();
    assert_eq!(reader.rollups_by_minute(at(-86_400), 10).unwrap().len(), 1);
    assert_eq!(reader.rollups_by_hour(at(-86_400), 10).unwrap().len(), 2);
}

#[test]
fn a_fingerprint_changes_with_anything_that_was_decided() {
    let empty = fingerprint(&Outcome::default());
    let with_decision = fingerprint(&Outcome { decisions: vec![decision(1)], ..Outcome::default() });
    let with_usage =
        fingerprint(&Outcome { usage: vec![vec![UsageOutcome::Accepted]], ..Outcome::default() });
    assert!(empty != with_decision && empty != with_usage && with_decision != with_usage);
    assert_eq!(empty, fingerprint(&Outcome::default()));
}

#[test]
fn the_log_is_folded_back_without_losing_a_turn() {
    let dir = tempfile::tempdir().unwrap();
    let Opened { mut journal, .. } = open(dir.path());
    let folder = journal.checkpointer().unwrap();
    for n in 0..50 {
        commit(&mut journal, n, &[Fact::Tick], &Outcome::default());
    }
    let size = fs::metadata(dir.path().join("journal.db")).unwrap().len();
    folder.fold().unwrap();
    assert!(fs::metadata(dir.path().join("journal.db")).unwrap().len() > size);
    commit(&mut journal, 50, &[Fact::Tick], &Outcome::default());
    drop((journal, folder));
    assert_eq!(open(dir.path()).tail().unwrap().count(), 51);
}

#[test]
fn the_reserve_is_low_only_below_its_line() {
    let reserve = Reserve { bytes: 100 };
    assert_eq!(reserve.judge(99), Room::Low(99));
    assert_eq!(reserve.judge(100), Room::Enough);
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(Reserve { bytes: 1 }.look(dir.path()), Room::Enough);
    assert!(matches!(Reserve { bytes: u64::MAX }.look(dir.path()), Room::Low(_)));
    assert_eq!(reserve.look(&dir.path().join("gone")), Room::Unknown);
}

#[test]
fn deliveries_are_forgotten_with_the_hourly_sums() {
    let dir = tempfile::tempdir().unwrap();
    let Opened { mut journal, .. } = open(dir.path());
    let delivery = |key: &str, seconds| Delivery {
        key: key.into(),
        receiver: "webhook".into(),
        thread: "t".into(),
        handle: None,
        at: at(seconds),
    };
    let deliveries = [delivery("old", 0), delivery("new", 100)];
    let outcome = Outcome::default();
    let record =
        TurnRecord { clock: clock(0), facts: &[], outcome: &outcome, accounts: &[], deliveries: &deliveries };
    journal.commit(&record).unwrap();
    journal.prune(Keep { turns_from: at(0), minutes_from: at(0), hours_from: at(50) }).unwrap();
    assert_eq!(journal.deliveries().unwrap(), [delivery("new", 100)]);
}
