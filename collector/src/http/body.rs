//! A request's body: read within its limit, and taken apart into events.

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, StatusCode, header};
use policy::fact::UsageBatchBuilder;

use super::refusal::{Refusal, refusal};
use super::{Counts, Ingest, Limits, SourceToken};
use crate::deadletter::{Letter, Reason};
use crate::json::Obj;
use crate::records::{Piece, Pieces};
use crate::usage::{Event, EventError, EventParser, error_of, id_shown};

/// One event of a request.
#[derive(Debug)]
pub(super) struct Item {
    /// Its id, where it has one.
    pub id: Option<String>,
    /// Why it is not in the batch; `None`: it is, in the order of the items that are.
    pub refused: Option<EventError>,
}

/// The bytes of the body.
pub(super) async fn read(
    headers: &HeaderMap,
    body: Body,
    limits: Limits,
) -> Result<axum::body::Bytes, Refusal> {
    let most = limits.body_bytes;
    let too_large = || {
        let help = format!("send at most {most} bytes at once, in several requests");
        refusal(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large", help)
    };
    let encoding = headers.get(header::CONTENT_ENCODING).map(|value| value.as_bytes());
    if encoding.is_some_and(|encoding| !encoding.is_empty() && encoding != b"identity") {
        let help = "send it without `Content-Encoding`";
        return Err(refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, "a compressed body is not read", help));
    }
    let said = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if said.is_some_and(|said| said > most as u64) {
        return Err(too_large());
    }
    let late = |_| {
        let within = limits.body_within;
        let message = format!("the body did not come whole within {within:?}; nothing of it was taken");
        refusal(StatusCode::REQUEST_TIMEOUT, message, "send it again under the same ids, in smaller requests")
    };
    let read = tokio::time::timeout(limits.body_within, to_bytes(body, most)).await.map_err(late)?;
    read.map_err(|error| {
        let limit =
            std::error::Error::source(&error).is_some_and(|e| e.is::<http_body_util::LengthLimitError>());
        if limit {
            too_large()
        } else {
            refusal(StatusCode::BAD_REQUEST, "the body broke off", "send it again")
        }
    })
}

/// The events of a body; those that can be right are in the batch.
pub(super) fn events(
    bytes: &[u8],
    token: &SourceToken,
    ingest: &Ingest,
    batch: &mut UsageBatchBuilder,
) -> Result<Vec<Item>, Refusal> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let message = format!("the body is not UTF-8 after byte {}", error.valid_up_to());
        refusal(StatusCode::BAD_REQUEST, message, "send JSON in UTF-8")
    })?;
    let parser = EventParser::new(token.fixed());
    let (mut pieces, mut items, mut objects) = (Pieces::new(text), Vec::new(), 0_usize);
    loop {
        let (id, payload, error) = match pieces.next::<Obj<Event<'_>>>() {
            Piece::Record(Obj(event)) => {
                objects += 1;
                let id = Some(id_shown(&event)).filter(|id| !id.is_empty()).map(shown);
                match parser.push(&event, batch) {
                    Ok(()) => {
                        items.push(Item { id, refused: None });
                        within(&items, ingest.limits.events)?;
                        continue;
                    }
                    Err(error) => (id, &text[pieces.began()..pieces.consumed()], error),
                }
            }
            Piece::Broken { text, error } => (None, text, unreadable(&error.to_string())),
            Piece::Incomplete => match pieces.abandon() {
                "" => break,
                rest => (None, rest, unreadable("it ends in the middle of an event")),
            },
        };
        let letter = Letter { id: id.as_deref(), ..letter(token.name(), &error, payload) };
        ingest.letters.put(&letter);
        Counts::add(&ingest.counts.refused, 1);
        items.push(Item { id, refused: Some(error) });
        within(&items, ingest.limits.events)?;
    }
    if objects == 0 {
        let why = items.first().and_then(|item| item.refused.as_ref()).map(|error| error.message.clone());
        let message = why.unwrap_or_else(|| "the body holds no event".to_owned());
        return Err(refusal(
            StatusCode::BAD_REQUEST,
            message,
            "send one JSON object, an array, or one a line",
        ));
    }
    Ok(items)
}

fn within(items: &[Item], most: usize) -> Result<(), Refusal> {
    if items.len() <= most {
        return Ok(());
    }
    let message = format!("the body holds more than {most} events; none of them was taken");
    Err(refusal(StatusCode::PAYLOAD_TOO_LARGE, message, "send fewer at once, in several requests"))
}

fn unreadable(error: &str) -> EventError {
    error_of("not_json", format!("no JSON object: {error}"), "send one JSON object, an array, or one a line")
}

fn letter<'a>(source: &'a str, error: &EventError, payload: &'a str) -> Letter<'a> {
    let reason = match error.reason {
        "not_json" => Reason::NotJson,
        "unknown_schema" | "unknown_kind" => Reason::NotARecord,
        "too_long" => Reason::TooLarge,
        _ => Reason::BadField,
    };
    Letter::new(source, reason, error.message.clone(), payload.as_bytes())
}

/// An id to answer with: as much of it as a person needs.
fn shown(id: &str) -> String {
    id.chars().take(256).collect()
}
