//! Files in every form, as they come, grow, break and are replaced.

use std::io::Write as _;

use policy::engine::Engine;
use policy::fact::{Clock, RefusedReason, Settings, SourceState, UsageOutcome};
use tokio::sync::mpsc;

use super::*;
use crate::deadletter::Limits;

const RECORD: &str = include_str!("../../samples/bedrock-invocation-converse.json");

fn line(id: &str) -> String {
    let mut record: serde_json::Value = serde_json::from_str(RECORD).unwrap();
    record["requestId"] = id.into();
    format!("{record}\n")
}

fn gzip(text: &str) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    gzip.write_all(text.as_bytes()).unwrap();
    gzip.finish().unwrap()
}

/// A follower of a folder of its own, with the end that the turn would have.
struct Bench {
    dir: tempfile::TempDir,
    follower: Follower,
    letters: DeadLetters,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("logs")).unwrap();
        let letters = DeadLetters::new(dir.path().join("letters"), Limits::default());
        let follower = follower(&dir.path().join("logs"), &letters, BTreeMap::new());
        Self { dir, follower, letters }
    }

    fn write(&self, file: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.dir.path().join("logs").join(file), bytes).unwrap();
    }

    fn append(&self, file: &str, text: &str) {
        let path = self.dir.path().join("logs").join(file);
        let mut file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    /// One pass: the request ids that came, and what was said of the source.
    async fn pass(&mut self) -> (Vec<String>, Vec<SourceState>) {
        let (intake, taken) = Intake::new(64);
        let turn = tokio::spawn(turn(taken));
        self.follower.pass(&intake).await.unwrap();
        drop(intake);
        turn.await.unwrap()
    }

    async fn ids(&mut self) -> Vec<String> {
        self.pass().await.0
    }

    /// The names that are told to be forgotten.
    async fn forget(&mut self, before: Timestamp) -> Vec<Box<str>> {
        let (intake, mut taken) = Intake::new(1);
        self.follower.forget(before, &intake).await.unwrap();
        match taken.try_recv() {
            Ok(Envelope { fact: Fact::FilesGone(gone), .. }) => gone.files,
            Ok(other) => panic!("unexpected {other:?}"),
            Err(_) => Vec::new(),
        }
    }

    /// Reasons of the dead letters so far, with their places.
    fn reasons(&self) -> Vec<(String, u64)> {
        let Ok(entries) = std::fs::read_dir(self.dir.path().join("letters")) else { return Vec::new() };
        let text: String = entries.map(|e| std::fs::read_to_string(e.unwrap().path()).unwrap()).collect();
        let letters = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        letters.map(|l| (l["reason"].as_str().unwrap().to_owned(), l["offset"].as_u64().unwrap())).collect()
    }
}

fn follower(path: &Path, letters: &DeadLetters, positions: BTreeMap<Box<str>, FileRead>) -> Follower {
    Follower::new(LogFolder {
        name: "bedrock-log".to_owned(),
        path: path.to_owned(),
        poll: Duration::from_millis(10),
        settle: Duration::ZERO,
        assume: Assume::default(),
        id_key: IdKey([1, 2]),
        positions,
        letters: letters.clone(),
    })
}

async fn turn(mut taken: mpsc::Receiver<Envelope>) -> (Vec<String>, Vec<SourceState>) {
    let (mut ids, mut said) = (Vec::new(), Vec::new());
    while let Some(envelope) = taken.recv().await {
        match &envelope.fact {
            Fact::Usage(batch) => {
                let key = |row| batch.key_of(row).rsplit(':').next().unwrap().to_owned();
                ids.extend(batch.rows.iter().map(key));
                // Nobody waits any more where the source has ended.
                let outcomes = vec![UsageOutcome::Accepted; batch.rows.len()];
                let _ = envelope.ack.unwrap().send(Ack::Usage(outcomes));
            }
            Fact::Health(health) => said.push(health.state.clone()),
            other => panic!("unexpected {other:?}"),
        }
    }
    (ids, said)
}

#[tokio::test]
async fn every_form_of_file_is_read_and_a_source_says_that_it_caught_up() {
    let mut bench = Bench::new();
    bench.write("a.json", RECORD);
    bench.write("b.jsonl", line("b1") + &line("b2"));
    bench.write("c.json.gz", [gzip(&line("c1")), gzip(&line("c2"))].concat());
    bench.write("d.json", format!("[{},{}]", line("d1").trim(), line("d2").trim()));
    std::fs::create_dir(bench.dir.path().join("logs/data")).unwrap();
    bench.write("data/large.json", RECORD);
    let (ids, said) = bench.pass().await;
    assert_eq!(ids, ["4f0c6f4e-6a55-4d0e-9d6c-0b6f6d1f7a10", "b1", "b2", "c1", "c2", "d1", "d2"]);
    assert_eq!(said, [SourceState::CaughtUp, SourceState::Heard]);
    assert!(bench.ids().await.is_empty(), "what was read is not read again");
    assert!(bench.reasons().is_empty());
}

#[tokio::test]
async fn a_file_that_grows_is_read_on_and_a_line_waits_until_it_is_whole() {
    let mut bench = Bench::new();
    let (b1, b2) = (line("b1"), line("b2"));
    bench.write("b.jsonl", b1.clone() + &b2[..200]);
    assert_eq!(bench.ids().await, ["b1"]);
    bench.append("b.jsonl", &b2[200..]);
    assert_eq!(bench.ids().await, ["b2"]);
    bench.append("b.jsonl", &line("b3"));
    assert_eq!(bench.ids().await, ["b3"]);
    // A file may come while others are followed.
    bench.write("c.json.gz", gzip(&line("c1")));
    assert_eq!(bench.ids().await, ["c1"]);
}

#[tokio::test]
async fn a_restart_goes_on_from_what_was_durable_also_within_a_gzip() {
    let mut bench = Bench::new();
    bench.write("b.jsonl", line("b1"));
    bench.write("c.json.gz", gzip(&line("c1")));
    assert_eq!(bench.ids().await, ["b1", "c1"]);
    let positions = bench.follower.places.files();
    bench.append("b.jsonl", &line("b2"));
    bench.write("c.json.gz", [gzip(&line("c1")), gzip(&line("c2"))].concat());
    bench.follower = follower(&bench.dir.path().join("logs"), &bench.letters, positions);
    assert_eq!(bench.ids().await, ["b2", "c2"]);
}

#[tokio::test]
async fn a_replaced_file_is_a_new_one_and_one_that_was_cut_short_is_read_from_its_start() {
    let mut bench = Bench::new();
    bench.write("b.jsonl", line("b1") + &line("b2"));
    assert_eq!(bench.ids().await, ["b1", "b2"]);
    bench.write("b.jsonl", line("other1") + &line("other2") + &line("other3"));
    assert_eq!(bench.ids().await, ["other1", "other2", "other3"]);
    bench.write("b.jsonl", line("other1"));
    assert_eq!(bench.ids().await, ["other1"], "ids decide what of it is new");
}

#[tokio::test]
async fn a_file_that_was_renamed_or_compressed_is_the_same_file() {
    let mut bench = Bench::new();
    let text = line("a1") + &line("a2");
    bench.write("now.jsonl", &text);
    assert_eq!(bench.ids().await, ["a1", "a2"]);
    let logs = bench.dir.path().join("logs");
    std::fs::rename(logs.join("now.jsonl"), logs.join("old.jsonl")).unwrap();
    bench.write("now.jsonl", line("b1"));
    assert_eq!(bench.ids().await, ["b1"]);
    bench.append("old.jsonl", &line("a3"));
    assert_eq!(bench.ids().await, ["a3"], "and it is read on");
    std::fs::remove_file(logs.join("old.jsonl")).unwrap();
    bench.write("old.jsonl.gz", gzip(&(text.clone() + &line("a3"))));
    assert!(bench.ids().await.is_empty());
}

/// What is older than ids are remembered would count twice if it were read twice.
#[tokio::test]
async fn of_a_copy_beside_its_original_only_what_differs_is_read() {
    let mut bench = Bench::new();
    let (a1, a2) = (line("a1"), line("a2"));
    bench.write("m.jsonl", a1.clone() + &a2);
    // At the first start there is no telling which one is the original.
    bench.write("n.jsonl", a1.clone() + &a2);
    assert_eq!(bench.ids().await, ["a1", "a2"]);
    // Also one that is listed before it, is compressed, has grown, or was cut short.
    bench.write("a.jsonl", a1.clone() + &a2 + &line("a3"));
    bench.write("b.jsonl.gz", gzip(&(a1.clone() + &a2)));
    bench.write("c.jsonl", a1.clone() + &a2[..100]);
    bench.write("d.jsonl", a1.clone() + &line("d2"));
    assert_eq!(bench.ids().await, ["a3", "d2"]);
    // What both hold that neither was read of comes from the original.
    bench.append("m.jsonl", &line("a4"));
    bench.write("e.jsonl", a1.clone() + &a2 + &line("a4"));
    assert_eq!(bench.ids().await, ["a4"]);
    let positions = bench.follower.places.files();
    bench.append("e.jsonl", &line("e1"));
    bench.follower = follower(&bench.dir.path().join("logs"), &bench.letters, positions);
    assert_eq!(bench.ids().await, ["e1"], "nor after a restart");
}

#[tokio::test]
async fn a_log_that_is_copied_and_cut_short_is_counted_once() {
    let mut bench = Bench::new();
    let logs = bench.dir.path().join("logs");
    let text = line("a1") + &line("a2");
    bench.write("now.jsonl", &text);
    assert_eq!(bench.ids().await, ["a1", "a2"]);
    std::fs::copy(logs.join("now.jsonl"), logs.join("now.jsonl.1.jsonl")).unwrap();
    bench.write("now.jsonl", "");
    assert!(bench.ids().await.is_empty(), "the copy goes on where the log was");
    bench.write("now.jsonl", line("b1"));
    assert_eq!(bench.ids().await, ["b1"]);
    // A look between the copy and the cut.
    bench.append("now.jsonl", &line("b2"));
    std::fs::copy(logs.join("now.jsonl"), logs.join("a-copy.jsonl")).unwrap();
    assert_eq!(bench.ids().await, ["b2"]);
    bench.write("now.jsonl", "");
    assert!(bench.ids().await.is_empty());
}

/// Logs come as a new file every few minutes.
#[tokio::test]
async fn a_file_that_is_gone_for_long_is_forgotten_and_one_that_stands_never() {
    let mut bench = Bench::new();
    let logs = bench.dir.path().join("logs");
    for file in ["cut.jsonl", "gone.jsonl", "moved.jsonl", "stands.jsonl"] {
        bench.write(file, line(file));
    }
    assert_eq!(bench.ids().await.len(), 4);
    std::fs::remove_file(logs.join("gone.jsonl")).unwrap();
    std::fs::rename(logs.join("moved.jsonl"), logs.join("archive.jsonl")).unwrap();
    bench.write("cut.jsonl", line("cut-again"));
    assert_eq!(bench.ids().await, ["cut-again"]);
    let (long_ago, later) = (now().minus(REMEMBERED), now().plus(Span::from_hours(1)));
    assert!(bench.forget(long_ago).await.is_empty(), "what is young may come back");
    assert!(bench.forget(long_ago).await.is_empty());
    assert!(bench.forget(later).await.is_empty(), "it may be away for a moment");
    let names = bench.forget(later).await;
    let paths: Vec<_> = names.iter().map(|name| name.split('#').next().unwrap()).collect();
    assert_eq!(paths, ["cut.jsonl", "gone.jsonl"], "of a log that was cut short, what it was before");
    assert!(bench.forget(later).await.is_empty(), "said once");
    assert_eq!(bench.follower.places.files().len(), 3);
    assert!(bench.ids().await.is_empty(), "what stands is not read again");
    bench.write("gone.jsonl", line("gone.jsonl"));
    assert_eq!(bench.ids().await, ["gone.jsonl"], "the engine decides whether it is new");
}

/// What a real engine makes of a pass that ends `days` after the records of these tests.
async fn outcomes(bench: &mut Bench, engine: &mut Engine, days: i64) -> Vec<UsageOutcome> {
    let (intake, mut taken) = Intake::new(64);
    let facts = tokio::spawn(async move {
        let mut facts = Vec::new();
        while let Some(envelope) = taken.recv().await {
            let _ = envelope.ack.map(|ack| ack.send(Ack::Done));
            facts.push(envelope.fact);
        }
        facts
    });
    bench.follower.pass(&intake).await.unwrap();
    drop(intake);
    engine.step(after(days), &facts.await.unwrap()).usage.concat()
}

/// So many days after the records of these tests.
fn after(days: i64) -> Clock {
    let record = Timestamp::parse_rfc3339("2026-11-20T10:15:04Z").unwrap();
    Clock { wall: record.plus(Span::from_hours(24 * days)), mono: 0 }
}

#[tokio::test]
async fn what_comes_back_after_it_was_forgotten_is_refused_also_after_a_restart() {
    let (mut bench, mut engine) = (Bench::new(), Engine::new(Settings::new(IdKey([1, 2]), "test")));
    let text = line("a1") + &line("a2");
    bench.write("a.jsonl", &text);
    bench.write("b.jsonl", line("b1"));
    let accepted = UsageOutcome::Accepted;
    assert_eq!(outcomes(&mut bench, &mut engine, 40).await, [accepted; 3], "a backlog counts");
    std::fs::remove_file(bench.dir.path().join("logs/a.jsonl")).unwrap();
    assert!(outcomes(&mut bench, &mut engine, 40).await.is_empty());
    let later = now().plus(Span::from_hours(1));
    bench.forget(later).await;
    let files = bench.forget(later).await;
    let gone = FilesGone { source: "bedrock-log".into(), files };
    let _ = engine.step(after(40), &[Fact::FilesGone(gone)]);
    let positions = engine.positions_of("bedrock-log");
    assert_eq!(positions.len(), 1, "{positions:?}");
    bench.follower = follower(&bench.dir.path().join("logs"), &bench.letters, positions);
    bench.write("a.jsonl", &text);
    let late = UsageOutcome::Refused(RefusedReason::TooLate);
    assert_eq!(outcomes(&mut bench, &mut engine, 41).await, [late; 2]);
    bench.append("a.jsonl", &line("a3"));
    assert_eq!(
        outcomes(&mut bench, &mut engine, 41).await,
        [late],
        "and no less so now that it is known again"
    );
}

#[tokio::test]
async fn nothing_is_forgotten_of_a_folder_that_is_away_or_not_wholly_readable() {
    let mut bench = Bench::new();
    let logs = bench.dir.path().join("logs");
    let later = now().plus(Span::from_hours(1));
    bench.write("b.jsonl", line("b1"));
    bench.ids().await;
    std::fs::rename(&logs, bench.dir.path().join("away")).unwrap();
    std::fs::create_dir(&logs).unwrap();
    bench.ids().await;
    for _ in 0..3 {
        assert!(bench.forget(later).await.is_empty());
    }
    std::os::unix::fs::symlink("/proc/self/mem", logs.join("a.json")).unwrap();
    bench.write("c.jsonl", line("c1"));
    bench.ids().await;
    for _ in 0..3 {
        assert!(bench.forget(later).await.is_empty());
    }
    std::fs::remove_file(logs.join("a.json")).unwrap();
    bench.ids().await;
    assert!(bench.forget(later).await.is_empty());
    assert_eq!(bench.forget(later).await.len(), 1);
}

#[tokio::test]
async fn what_is_no_record_is_a_dead_letter_with_its_place_and_costs_no_other() {
    let mut bench = Bench::new();
    let first = line("b1");
    let mut bytes = first.clone().into_bytes();
    bytes.extend(b"not json\n{\"requestId\":\"x\"}\n");
    bytes.extend(b"{\"requestId\":\"\xff\"}\n");
    bytes.extend(line("b2").replace("\"inputTokenCount\":1200", "\"inputTokenCount\":-1").bytes());
    bytes.extend(line("b3").bytes());
    bench.write("b.jsonl", bytes);
    assert_eq!(bench.ids().await, ["b1", "b3"]);
    let at = first.len() as u64;
    let reasons = [("not_json", at), ("not_a_record", at + 9), ("not_utf8", at + 27), ("bad_field", at + 45)];
    assert_eq!(bench.reasons(), reasons.map(|(reason, at)| (reason.to_owned(), at)));
}

#[tokio::test]
async fn what_ends_in_the_middle_is_a_dead_letter_once_it_has_settled_and_is_read_on_if_it_grows() {
    let mut bench = Bench::new();
    let whole = gzip(&(line("d1") + &line("d2")));
    bench.write("d.json.gz", &whole[..whole.len() - 400]);
    bench.write("e.jsonl", line("e1") + &line("e2")[..50]);
    assert_eq!(bench.ids().await, ["d1", "e1"], "what decoded is used");
    assert!(bench.reasons().is_empty(), "it may still be being written");
    for _ in 0..2 {
        assert!(bench.ids().await.is_empty());
    }
    let cut = |before: String| ("cut_off".to_owned(), before.len() as u64);
    assert_eq!(bench.reasons(), [cut(line("d1")), cut(line("e1"))], "said once");
    bench.write("d.json.gz", &whole);
    bench.append("e.jsonl", &line("e2")[50..]);
    assert_eq!(bench.ids().await, ["d2", "e2"]);
}

#[tokio::test]
async fn a_folder_that_cannot_be_listed_is_said_to_be_broken_and_does_not_count_as_caught_up() {
    let mut bench = Bench::new();
    bench.follower = follower(&bench.dir.path().join("gone"), &bench.letters, BTreeMap::new());
    let (_, said) = bench.pass().await;
    assert!(matches!(&said[..], [SourceState::Broken(why)] if why.contains("gone")), "{said:?}");
    assert!(bench.pass().await.1.is_empty(), "the same trouble is not said at each poll");
    std::fs::create_dir(bench.dir.path().join("gone")).unwrap();
    assert_eq!(bench.pass().await.1, [SourceState::CaughtUp, SourceState::Heard]);
}

#[tokio::test]
async fn a_source_whose_facts_are_not_made_durable_ends() {
    let mut bench = Bench::new();
    bench.write("b.jsonl", line("b1"));
    let (intake, taken) = Intake::new(1);
    drop(taken);
    assert_eq!(bench.follower.pass(&intake).await, Err(IntakeClosed));
}

#[tokio::test]
async fn many_small_files_share_batches_and_a_large_one_is_split() {
    let mut bench = Bench::new();
    for number in 0..20 {
        bench.write(&format!("{number:02}.json"), line(&format!("s{number}")));
    }
    let large: String = (0..2 * ROWS).map(|n| line(&format!("l{n}"))).collect();
    bench.write("large.jsonl", large);
    let (intake, mut taken) = Intake::new(64);
    let turn = tokio::spawn(async move {
        let mut sizes = Vec::new();
        while let Some(envelope) = taken.recv().await {
            if let Fact::Usage(batch) = &envelope.fact {
                assert!(batch.catching_up, "what was there at the start trips nothing");
                sizes.push((batch.rows.len(), batch.files.len()));
                let _ = envelope.ack.unwrap().send(Ack::Usage(Vec::new()));
            }
        }
        sizes
    });
    bench.follower.pass(&intake).await.unwrap();
    drop(intake);
    let sizes = turn.await.unwrap();
    assert_eq!(sizes.iter().map(|(rows, _)| rows).sum::<usize>(), 20 + 2 * ROWS);
    assert!(sizes.len() > 1, "{sizes:?}");
    assert_eq!(sizes[0].1, 21, "twenty files and the beginning of the large one");
    assert!(sizes.iter().all(|(rows, _)| *rows < 2 * ROWS), "{sizes:?}");
}

#[tokio::test]
async fn a_source_has_caught_up_only_when_what_it_read_is_durable() {
    let mut bench = Bench::new();
    bench.write("b.jsonl", line("b1"));
    let (intake, mut taken) = Intake::new(64);
    let pass = tokio::spawn(async move { bench.follower.pass(&intake).await });
    let usage = taken.recv().await.unwrap();
    // On this runtime the pass goes on at each of these, if it does not wait.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(taken.try_recv().is_err(), "nothing is said while the batch is under way");
    usage.ack.unwrap().send(Ack::Usage(Vec::new())).unwrap();
    let next = taken.recv().await.unwrap().fact;
    assert!(matches!(next, Fact::Health(health) if health.state == SourceState::CaughtUp));
    pass.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_trouble_and_costs_no_other() {
    let mut bench = Bench::new();
    bench.write("b.jsonl", line("b1"));
    // A file whose beginning nobody can read, root included.
    std::os::unix::fs::symlink("/proc/self/mem", bench.dir.path().join("logs/a.json")).unwrap();
    let (ids, said) = bench.pass().await;
    assert_eq!(ids, ["b1"]);
    let trouble = |state: &SourceState| matches!(state, SourceState::Broken(why) if why.contains("a.json"));
    assert!(matches!(&said[..], [SourceState::CaughtUp, state] if trouble(state)), "{said:?}");
    assert_eq!(
        bench.pass().await,
        (Vec::new(), Vec::new()),
        "it is not well, and the trouble is told already"
    );
    assert_eq!(bench.reasons(), [("unreadable".to_owned(), 0)]);
    std::fs::remove_file(bench.dir.path().join("logs/a.json")).unwrap();
    assert_eq!(bench.pass().await.1, [SourceState::Heard]);
}
