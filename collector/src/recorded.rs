//! Recorded facts, for questions about the past: a stretch of a file to rows.
//!
//! The same parsers as the daemon's sources, over text that is all there already. A stretch that is no record
//! is told with its place and costs itself alone. It never decides whether a record counts.

use policy::fact::UsageBatchBuilder;
use serde::de::Deserialize;

use crate::bedrock::{Assume, Parser, Record};
use crate::deadletter::Reason;
use crate::json::Obj;
use crate::records::{Piece, Pieces};
use crate::usage::{Event, EventParser, Fixed};

/// What the records of a file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Bedrock's invocation log.
    Bedrock,
    /// `usage.v1` events, alone or in CloudEvents.
    Events,
}

impl Form {
    /// The name of the source that such records count under: the daemon's own where it has one.
    #[must_use]
    pub const fn source(self) -> &'static str {
        match self {
            Self::Bedrock => "bedrock-log",
            Self::Events => "events",
        }
    }
}

/// What a file holds, by the mark that comes first in its beginning; `None` where there is none.
#[must_use]
pub fn form_of(head: &[u8]) -> Option<Form> {
    let find = |mark: &str| head.windows(mark.len()).position(|part| part == mark.as_bytes());
    let bedrock = find("\"ModelInvocationLog\"").or_else(|| find("\"modelId\""));
    let events = find("\"usage.v1\"").or_else(|| find("\"specversion\""));
    match (bedrock, events) {
        (Some(bedrock), Some(events)) => Some(if bedrock < events { Form::Bedrock } else { Form::Events }),
        (Some(_), None) => Some(Form::Bedrock),
        (None, Some(_)) => Some(Form::Events),
        (None, None) => None,
    }
}

/// A stretch that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Byte at which it begins in the text that was read; for a table its line.
    pub at: u64,
    /// Why.
    pub reason: Reason,
    /// The parser's words. Never text of a prompt.
    pub detail: String,
}

/// Reads stretches of one form.
#[derive(Debug)]
pub struct Reader {
    form: Form,
    parser: Parser,
    believed: bool,
    fixed: Fixed,
}

impl Reader {
    /// For records of that form. `believed`: what events say of themselves counts as trusted.
    #[must_use]
    pub fn new(form: Form, believed: bool) -> Self {
        Self { form, parser: Parser::new(Assume::default()), believed, fixed: Fixed::default() }
    }

    /// Reads all records of a text that ends with a record, and adds their rows.
    pub fn read(&mut self, text: &[u8], out: &mut UsageBatchBuilder, wrong: &mut Vec<Wrong>) {
        match std::str::from_utf8(text) {
            Ok(text) => self.read_text(text, 0, out, wrong),
            Err(_) => self.read_lines(text, out, wrong),
        }
    }

    /// Some of it is no UTF-8: line by line, so that only those lines are lost.
    fn read_lines(&mut self, text: &[u8], out: &mut UsageBatchBuilder, wrong: &mut Vec<Wrong>) {
        let mut at = 0;
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            match std::str::from_utf8(line) {
                Ok(line) => self.read_text(line, at, out, wrong),
                Err(error) => {
                    let detail = format!("not UTF-8 after byte {} of the line", error.valid_up_to());
                    wrong.push(Wrong { at, reason: Reason::NotUtf8, detail });
                }
            }
            at += line.len() as u64;
        }
    }

    fn read_text(&mut self, text: &str, at: u64, out: &mut UsageBatchBuilder, wrong: &mut Vec<Wrong>) {
        match self.form {
            Form::Bedrock => walk(text, at, wrong, |Obj(record): Obj<Record<'_>>| {
                self.parser.push(&record, None, out).map_err(|error| (error.reason(), chain(&error)))
            }),
            Form::Events => {
                let parser = match self.believed {
                    true => EventParser::believing(&self.fixed),
                    false => EventParser::new(&self.fixed),
                };
                walk(text, at, wrong, |Obj(event): Obj<Event<'_>>| {
                    let refused = |e: crate::usage::EventError| format!("{} ({})", e.message, e.help);
                    parser.push(&event, out).map_err(|error| (Reason::BadField, refused(error)))
                });
            }
        }
    }
}

/// Hands each record of a text to `take`, and tells what is none or was not taken.
fn walk<'t, T: Deserialize<'t>>(
    text: &'t str,
    base: u64,
    wrong: &mut Vec<Wrong>,
    mut take: impl FnMut(T) -> Result<(), (Reason, String)>,
) {
    let mut pieces = Pieces::new(text);
    let mut tell = |at: usize, reason, detail| wrong.push(Wrong { at: base + at as u64, reason, detail });
    loop {
        match pieces.next::<T>() {
            Piece::Record(record) => {
                if let Err((reason, detail)) = take(record) {
                    tell(pieces.began(), reason, detail);
                }
            }
            Piece::Broken { error, .. } => tell(pieces.began(), Reason::NotJson, error.to_string()),
            Piece::Incomplete => break,
        }
    }
    let at = pieces.began();
    if !pieces.abandon().is_empty() {
        tell(at, Reason::CutOff, "the text ends within a record".to_owned());
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use policy::fact::{IdKey, UsageBatch};
    use policy::subject::Trust;

    use super::*;

    const EVENT: &str = r#"{"schema":"usage.v1","id":"e1","kind":"tokens","occurred_at":"2026-11-20T10:15:04Z",
        "model":"m","quantities":{"input_tokens":7},"subject":{"tenant":"acme"}}"#;

    fn read(form: Form, believed: bool, text: &[u8]) -> (UsageBatch, Vec<Wrong>) {
        let mut out = UsageBatchBuilder::new(IdKey([1, 2]), form.source(), false);
        let mut wrong = Vec::new();
        Reader::new(form, believed).read(text, &mut out, &mut wrong);
        (out.finish(), wrong)
    }

    #[test]
    fn a_file_is_known_by_the_mark_that_comes_first() {
        let log = include_bytes!("../samples/bedrock-invocation-converse.json");
        assert_eq!(form_of(log), Some(Form::Bedrock));
        assert_eq!(form_of(EVENT.as_bytes()), Some(Form::Events));
        assert_eq!(form_of(b"{\"hello\": 1}"), None);
        assert_eq!(form_of(b""), None);
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_place_and_costs_itself_alone() {
        let event = EVENT.replace('\n', " ");
        let refused = event.replace("\"id\":\"e1\",", "");
        let text = format!("{event}\nnot json\n{refused}\n{}\n{{\"cut\": ", event.replace("e1", "e2"));
        let (batch, wrong) = read(Form::Events, false, text.as_bytes());
        assert_eq!(batch.rows.len(), 2);
        let reasons: Vec<_> = wrong.iter().map(|w| w.reason).collect();
        assert_eq!(reasons, [Reason::NotJson, Reason::BadField, Reason::CutOff]);
        let places: Vec<_> = wrong.iter().map(|w| usize::try_from(w.at).unwrap()).collect();
        assert_eq!(&text[places[0]..places[0] + 8], "not json");
        assert!(text[places[1]..].starts_with(&refused));
        assert!(text[places[2]..].starts_with("{\"cut\""));
    }

    #[test]
    fn a_line_that_is_no_utf8_costs_itself_alone() {
        let event = EVENT.replace('\n', " ");
        let mut text = format!("{event}\n").into_bytes();
        text.extend_from_slice(b"{\"id\":\"\xff\"}\n");
        text.extend_from_slice(event.replace("e1", "e2").as_bytes());
        let (batch, wrong) = read(Form::Events, false, &text);
        assert_eq!(batch.rows.len(), 2);
        assert_eq!((wrong.len(), wrong[0].reason), (1, Reason::NotUtf8));
        assert_eq!(wrong[0].at, event.len() as u64 + 1);
    }

    #[test]
    fn what_events_say_of_themselves_is_trusted_only_where_somebody_vouches_for_it() {
        for (believed, trust) in [(true, Trust::Trusted), (false, Trust::Asserted)] {
            let (batch, wrong) = read(Form::Events, believed, EVENT.as_bytes());
            assert_eq!(wrong, []);
            assert_eq!(batch.origins[0].claims, [("tenant".into(), "acme".into(), trust)]);
            assert_eq!(batch.origins[0].record, trust);
        }
    }
}
