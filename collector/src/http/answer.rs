//! What a sender is told of each event.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use policy::fact::UsageOutcome;
use serde_json::{Value, json};

use super::body::Item;
use crate::deadletter::{Reason, explain};

/// The answer for each event, in the order in which they came. `outcomes` are those of the batch.
pub(super) fn of(items: &[Item], outcomes: &[UsageOutcome]) -> Response {
    let mut outcomes = outcomes.iter();
    let mut taken = 0;
    let events: Vec<Value> = items
        .iter()
        .map(|item| match &item.refused {
            Some(error) => json!({
                "id": item.id, "outcome": "refused",
                "reason": error.reason, "detail": error.message, "help": error.help,
            }),
            None => {
                let outcome = outcomes.next();
                taken +=
                    usize::from(matches!(outcome, Some(UsageOutcome::Accepted | UsageOutcome::Duplicate)));
                told(item, outcome.copied())
            }
        })
        .collect();
    let status = match taken {
        all if all == items.len() => StatusCode::OK,
        0 => StatusCode::UNPROCESSABLE_ENTITY,
        _ => StatusCode::MULTI_STATUS,
    };
    (status, Json(json!({"taken": taken, "events": events}))).into_response()
}

/// What the engine made of one event.
fn told(item: &Item, outcome: Option<UsageOutcome>) -> Value {
    let id = &item.id;
    match outcome {
        Some(UsageOutcome::Accepted) => json!({"id": id, "outcome": "accepted"}),
        Some(UsageOutcome::Duplicate) => json!({"id": id, "outcome": "duplicate"}),
        Some(UsageOutcome::Conflict) => json!({
            "id": id, "outcome": "conflict", "reason": "conflict",
            "help": "this id was counted before with other content; send other usage under another id",
        }),
        Some(UsageOutcome::Refused(reason)) => {
            json!({
                "id": id, "outcome": "refused",
                "reason": reason.word(), "detail": explain(reason), "help": Reason::Refused(reason).help(),
            })
        }
        None => json!({"id": id, "outcome": "refused", "reason": "unknown", "help": "send it again"}),
    }
}
