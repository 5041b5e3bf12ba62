//! What an expression answers, and that no text can do harm.

use proptest::prelude::*;

use super::*;
use crate::subject::Trust;

fn subject(fields: &[(&str, &str, Trust)]) -> Subject {
    let mut subject = Subject::default();
    for (name, value, trust) in fields {
        subject.set(name, value, *trust, "test");
    }
    subject
}

fn acme() -> Subject {
    subject(&[
        ("tenant", "acme", Trust::Trusted),
        ("model", "us.anthropic.claude-sonnet-4-6", Trust::Trusted),
        ("agents.example.com/tier", "gold", Trust::Trusted),
        ("agent", "researcher", Trust::Asserted),
    ])
}

fn answer(text: &str, subject: &Subject) -> Result<bool, String> {
    let checked = check(text).unwrap_or_else(|problems| panic!("{text}: {problems:?}"));
    When::new(text, Place::default(), checked.program).holds(subject, ChargeKind::Tokens)
}

#[test]
fn an_expression_answers_as_it_reads() {
    for (text, wanted) in [
        ("true", true),
        ("charge.model.startsWith('us.anthropic')", true),
        ("charge.model.endsWith('4-6') && !charge.model.contains('haiku')", true),
        ("charge.kind == 'tokens'", true),
        ("charge.kind in ['gpu', 'other']", false),
        ("subject.tenant in ['acme', 'blue'] && size(subject.tenant) == 4", true),
        ("subject.tenant.size() >= 5", false),
        ("subject['agents.example.com/tier'] == \"gold\"", true),
        ("'agents.example.com/tier' in subject", true),
        ("['eu.', 'us.'].exists(p, charge.model.startsWith(p))", true),
        ("['us.', 'anthropic'].all(p, charge.model.contains(p))", true),
        ("[].exists(p, charge.model == p)", false),
        ("has(subject.team) ? subject.team == 'search' : subject.tenant == 'acme'", true),
        ("has(subject.team) && subject.team == 'search'", false),
        ("!has(subject.team) || subject.team == 'search'", true),
        ("has(charge.provider)", false),
        ("'it\\'s' != 'its'", true),
    ] {
        assert_eq!(answer(text, &acme()), Ok(wanted), "{text}");
    }
}

#[test]
fn what_only_the_caller_says_is_not_there() {
    assert_eq!(answer("has(subject.agent)", &acme()), Ok(false));
    assert_eq!(answer("'agent' in subject", &acme()), Ok(false));
    let why = answer("subject.agent == 'researcher'", &acme()).unwrap_err();
    assert_eq!(why, "the charge has no trusted `agent`");
    let pushed = subject(&[("model", "us.made-up", Trust::Asserted)]);
    assert_eq!(
        answer("charge.model == 'us.made-up'", &pushed),
        Err("the charge has no trusted `model`".to_owned())
    );
}

#[test]
fn a_missing_field_matters_only_where_the_answer_hangs_on_it() {
    assert_eq!(answer("subject.team == 'x' && charge.kind == 'gpu'", &acme()), Ok(false));
    assert_eq!(answer("subject.team == 'x' || charge.kind == 'tokens'", &acme()), Ok(true));
    assert!(answer("subject.team == 'x' || charge.kind == 'gpu'", &acme()).is_err());
}

#[test]
fn the_text_is_kept_and_the_program_made_anew() {
    let text = "charge.model.startsWith('us.')";
    let written = When::new(text, Place::default(), check(text).unwrap().program);
    let read: When = postcard::from_bytes(&postcard::to_stdvec(&written).unwrap()).unwrap();
    assert_eq!(read, written);
    assert_eq!(read.holds(&acme(), ChargeKind::Tokens), Ok(true));
}

#[test]
fn what_another_version_wrote_and_this_one_cannot_read_has_no_answer() {
    let written = Written { text: "charge.amount > 5".into(), place: Place::default() };
    let read: When = postcard::from_bytes(&postcard::to_stdvec(&written).unwrap()).unwrap();
    assert_eq!(
        read.holds(&acme(), ChargeKind::Tokens),
        Err("this version cannot read the expression".to_owned())
    );
}

#[test]
fn the_deepest_expression_that_is_taken_needs_little_stack() {
    let (open, close) = ("(".repeat(8), ")".repeat(8));
    let choices = "charge.kind == 'gpu' ? true : ".repeat(8);
    let deep = [
        format!("{open}true{close}"),
        format!("{choices}false"),
        format!("{}true", "!".repeat(900)),
        format!("subject{}", ".a".repeat(450)),
        format!("subject{}", "['a']".repeat(150)),
        format!("[{}'a'].exists(x, x == 'a')", "'a',".repeat(200)),
        format!("{}true", "true == ".repeat(120)),
        format!("{}true", "true && ".repeat(110)),
        format!("{}1 == 1", "1 + ".repeat(200)),
        format!("1 == {}1", "-".repeat(900)),
        format!("subject.a{}", ".b()".repeat(200)),
        "[".repeat(900),
        "(".repeat(900),
        "{".repeat(900),
        "f(".repeat(400),
        format!("'{}", "(".repeat(900)),
        "')' == (".repeat(100),
        "a?".repeat(400),
    ];
    // A thread of a test has 2 MiB, as one of the daemon's has.
    let small = std::thread::Builder::new().stack_size(1 << 20);
    let taken = small.spawn(move || deep.iter().filter(|text| check(text).is_ok()).count()).unwrap().join();
    assert_eq!(taken.unwrap(), 6);
}

/// Pieces of which expressions are made, right and wrong.
fn piece() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "charge",
        "subject",
        ".",
        "model",
        "kind",
        "tenant",
        "has",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "'a'",
        "\"us.\"",
        "==",
        "!=",
        "&&",
        "||",
        "!",
        "?",
        ":",
        ",",
        "in",
        "size",
        "startsWith",
        "exists",
        "all",
        "x",
        "1",
        "-1",
        "true",
        "false",
        "null",
        "1.5",
        "b'x'",
        "<",
        ">=",
        "+",
        "-",
        " ",
        "charge.model",
        "subject.tenant",
        "charge.kind == 'gpu'",
        "'k' in subject",
        "é",
        "\\",
        "'",
        "\n",
        "timestamp",
        "map",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        let _ = check(&text);
    }

    #[test]
    fn what_is_taken_has_an_answer_or_lacks_a_field(pieces in prop::collection::vec(piece(), 0..14)) {
        let text = pieces.join(" ");
        for text in [text, pieces.concat()] {
            if check(&text).is_ok() {
                let answers = [answer(&text, &acme()), answer(&text, &Subject::default())];
                for answer in answers {
                    prop_assert!(
                        answer.as_ref().err().is_none_or(|why| why.starts_with("the charge has no trusted ")),
                        "{text}: {answer:?}"
                    );
                }
            }
        }
    }
}
