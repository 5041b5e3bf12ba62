//! What belongs to the journal's format, and a journal of another one.

use policy::fact::{
    Fact, IdKey, OriginRef, Quantities, ReceiptOutcome, UsageBatchBuilder, UsageFlags, UsageRef,
};
use policy::price::TokenCounts;
use policy::rule::Mode;
use policy::time::Span;
use rusqlite::Connection;
use sha2::{Digest as _, Sha256};

use super::tests::{at, decision, notice, open, order, prior, receipt, settings};
use super::{FORMAT, Journal};

#[test]
fn a_journal_of_another_format_is_refused_with_both_formats_and_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let file = dir.path().join("journal.db");
    for (other, what) in [
        (7, "a newer version wrote it; run that version"),
        (
            2,
            "an older version wrote it; run that version, or move the folder away and start anew (the sums \
             begin at what the sources still tell, and what is held stays held until a person decides)",
        ),
    ] {
        let stamp = format!("PRAGMA user_version = {other}");
        Connection::open(&file).unwrap().execute_batch(&stamp).unwrap();
        let error = Journal::open(dir.path(), settings).unwrap_err();
        let place = file.display();
        let text = format!(
            "the journal `{place}` has format {other}, and this breakerbox reads format {FORMAT}: {what}"
        );
        assert_eq!(error.to_string(), text);
    }
}

/// Postcard names no field: a row of another shape is read as garbage, or not at all. So the bytes of a sample of
/// each kind of row belong to the format. This one fails: raise [`FORMAT`] and state the new sum beside it. (It
/// sees fields and their order in what the samples hold, not what a variant that they lack is made of.)
#[test]
fn the_shape_of_what_is_kept_belongs_to_its_format() {
    let mut usage = UsageBatchBuilder::new(IdKey([1, 2]), "bedrock-log", false);
    usage.push(&UsageRef {
        key: "call",
        occurred_at: at(0),
        quantities: Quantities::Tokens(TokenCounts { input: 7, output: 3, ..TokenCounts::default() }),
        flags: UsageFlags::default(),
        origin: OriginRef { model: "m", ..OriginRef::default() },
        end: None,
        links: &[],
    });
    let proven = ReceiptOutcome::Verified { signs: vec![], took: Span::from_secs(4) };
    let facts = vec![
        Fact::Usage(usage.finish()),
        crate::testing::cluster(),
        Fact::Rules(Box::new(crate::testing::rules(50, Mode::Observe))),
        receipt(1, ReceiptOutcome::Prepared(prior())),
        receipt(1, proven),
        Fact::Tick,
    ];
    let rows = (settings(IdKey([1, 2])), facts, decision(1), order(1, 1), notice(1, "k"));
    let bytes = postcard::to_stdvec(&rows).unwrap();
    let sum: String = Sha256::digest(&bytes)[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!((FORMAT, &*sum), (3, "3b263c49748df1f7"), "see above");
}
