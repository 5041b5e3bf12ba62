//! Questions.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use policy::engine::{StateWanted, Tally, View, Wanted};
use policy::rule::Budget;
use serde::Deserialize;

use crate::journal::{JournalError, Reader};
use crate::turn::Gone;

use super::Api;
use super::commands::parse_decision;
use super::shape::{self, Breaker, BudgetShape, Detail, Reason, Status, refuse};

/// Breakers that `status` lists.
const STATUS_BREAKERS: usize = 1000;
/// A turn that answers no question for so long is stuck.
const ALIVE_WITHIN: Duration = Duration::from_secs(10);

impl Api {
    pub(super) async fn view(&self) -> Result<View, Gone> {
        self.handle.look(|engine, now| engine.view(now)).await
    }

    async fn read<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Reader) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, Response> {
        let reader = self.reader.clone();
        let asked = tokio::task::spawn_blocking(move || {
            question(&reader.lock().unwrap_or_else(PoisonError::into_inner))
        });
        match asked.await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(refuse(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string())),
            Err(_) => Err(refuse(StatusCode::INTERNAL_SERVER_ERROR, "the question was not answered")),
        }
    }
}

fn gone(error: Gone) -> Response {
    refuse(StatusCode::SERVICE_UNAVAILABLE, &error.to_string())
}

/// Alive: the turn answers.
pub(super) async fn healthz(State(api): State<Api>) -> Response {
    match tokio::time::timeout(ALIVE_WITHIN, api.handle.look(|_, _| ())).await {
        Ok(Ok(())) => "ok\n".into_response(),
        Ok(Err(_)) => (StatusCode::SERVICE_UNAVAILABLE, "the turn has ended\n").into_response(),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the turn does not answer\n").into_response(),
    }
}

/// Ready: alive, with rules in force and room on the disk.
pub(super) async fn readyz(State(api): State<Api>) -> Response {
    let rules =
        tokio::time::timeout(ALIVE_WITHIN, api.handle.look(|engine, _| !engine.rules().id.is_empty()));
    let not = |why: &'static str| (StatusCode::SERVICE_UNAVAILABLE, why).into_response();
    match rules.await {
        Ok(Ok(true)) if api.observed.disk_low.load(Ordering::Relaxed) => {
            not("the disk is below its reserve\n")
        }
        Ok(Ok(true)) => "ready\n".into_response(),
        Ok(Ok(false)) => not("no rules are in force\n"),
        Ok(Err(_)) | Err(_) => not("the turn does not answer\n"),
    }
}

pub(super) async fn status(State(api): State<Api>) -> Response {
    let view = match api.view().await {
        Ok(view) => view,
        Err(error) => return gone(error),
    };
    let wanted = Wanted { state: StateWanted::NotClear, ..Wanted::default() };
    let surveyed = match api.handle.survey(wanted, STATUS_BREAKERS).await {
        Ok(surveyed) => surveyed,
        Err(error) => return gone(error),
    };
    let status = Status {
        install: api.install.to_string(),
        journal: api.journal.to_string(),
        turn: *api.handle.committed().borrow(),
        disk_low: api.observed.disk_low.load(Ordering::Relaxed),
        rules_current: api.observed.rules_current.load(Ordering::Relaxed),
        ..Status::of(&view, &surveyed)
    };
    Json(status).into_response()
}

pub(super) async fn budgets(State(api): State<Api>) -> Response {
    let asked = async {
        let surveyed = api.handle.survey(Wanted::default(), 0).await?;
        let rules = api.handle.look(|engine, _| engine.rules().clone()).await?;
        Ok((rules, surveyed))
    };
    match asked.await {
        Ok((rules, surveyed)) => {
            let (tallies, none) = (surveyed.tallies, Tally::default());
            let tally = |budget: &Budget| tallies.get(&budget.name).unwrap_or(&none);
            let budgets: Vec<BudgetShape> =
                rules.budgets.iter().map(|b| BudgetShape::of(b, tally(b))).collect();
            Json(budgets).into_response()
        }
        Err(error) => gone(error),
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct BreakerQuery {
    budget: Option<String>,
    state: Option<String>,
    name: Option<String>,
    limit: Option<usize>,
}

pub(super) async fn breakers(State(api): State<Api>, Query(query): Query<BreakerQuery>) -> Response {
    let state = query.state.map_or(StateWanted::Any, |state| StateWanted::Only(state.into()));
    let wanted = Wanted { budget: query.budget.map(Into::into), name: query.name.map(Into::into), state };
    match api.handle.survey(wanted, query.limit.unwrap_or(1000).min(100_000)).await {
        Ok(surveyed) => Json(surveyed.breakers.iter().map(Breaker::from).collect::<Vec<_>>()).into_response(),
        Err(error) => gone(error),
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct DecisionQuery {
    breaker: Option<String>,
    limit: Option<u32>,
}

pub(super) async fn decisions(State(api): State<Api>, Query(query): Query<DecisionQuery>) -> Response {
    let limit = query.limit.unwrap_or(50).min(1000);
    match api.read(move |reader| reader.decisions(query.breaker.as_deref(), limit)).await {
        Ok(found) => Json(found.iter().map(shape::Decision::of).collect::<Vec<_>>()).into_response(),
        Err(response) => response,
    }
}

pub(super) async fn decision(State(api): State<Api>, Path(id): Path<String>) -> Response {
    let wanted = match parse_decision(&id) {
        Ok(wanted) => wanted,
        Err(why) => return refuse(StatusCode::BAD_REQUEST, &why),
    };
    match api.read(move |reader| reader.decision(wanted)).await {
        Ok(Some(record)) => Json(Detail::from(&record)).into_response(),
        Ok(None) => refuse(
            StatusCode::NOT_FOUND,
            &format!("there is no decision `{wanted}`; `/v1/decisions` lists them"),
        ),
        Err(response) => response,
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct ExplainQuery {
    name: String,
}

/// Why the breakers of a name stopped nothing (or that they did).
pub(super) async fn explain(State(api): State<Api>, Query(query): Query<ExplainQuery>) -> Response {
    match api.handle.look(move |engine, now| engine.explain(&query.name, now)).await {
        Ok(reasons) => Json(reasons.iter().map(Reason::from).collect::<Vec<_>>()).into_response(),
        Err(error) => gone(error),
    }
}
