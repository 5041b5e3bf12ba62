//! `POST /v1/plan`: what the rules in force would do, and what others would.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, TryLockError};

use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use policy::rule::RuleSet;
use policy::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::socket::Peer;
use super::{Api, auth, shape};
use crate::plan;
use crate::rules::{Compile, RuleFile};

/// Bytes of a candidate set that are taken.
pub(super) const MOST_BYTES: usize = 16 << 20;

/// What is needed for one; one is made at a time.
#[derive(Clone, Debug)]
pub(super) struct Planner {
    pub(super) folder: PathBuf,
    pub(super) compile: Compile,
    pub(super) busy: Arc<Mutex<()>>,
}

/// Which rules are asked about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// The files; none for the rules in force alone.
    pub files: Vec<AskedFile>,
    /// The commit that they are of.
    pub revision: Option<String>,
}

/// A rule file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskedFile {
    /// Path under the rules folder.
    pub path: String,
    /// All of it.
    pub text: String,
}

pub(super) async fn make(
    State(api): State<Api>,
    peer: Option<Extension<ConnectInfo<Peer>>>,
    headers: HeaderMap,
    body: Result<Json<Asked>, axum::extract::rejection::JsonRejection>,
) -> Response {
    let peer = peer.map(|Extension(ConnectInfo(peer))| peer);
    // It changes nothing, and takes the memory of a second engine: not for anybody who can reach the door.
    let actor = match auth::actor(peer.as_ref(), &headers, &api.operators) {
        Ok(actor) => actor,
        Err(why) => return shape::refuse(StatusCode::UNAUTHORIZED, why),
    };
    let asked = match body {
        Ok(Json(asked)) => asked,
        Err(error) => return shape::refuse(StatusCode::BAD_REQUEST, &error.body_text()),
    };
    tracing::info!(actor, files = asked.files.len(), "plan");
    let now = match api.handle.look(|_, now| now).await {
        Ok(now) => now,
        Err(gone) => return shape::refuse(StatusCode::SERVICE_UNAVAILABLE, &gone.to_string()),
    };
    let Some(planner) = api.planner.clone() else {
        return shape::refuse(StatusCode::NOT_FOUND, "this daemon makes no plans");
    };
    match tokio::task::spawn_blocking(move || answer(&planner, asked, now)).await {
        Ok(Ok(plans)) => Json(plans).into_response(),
        Ok(Err((status, why))) => shape::refuse(status, &why),
        Err(_) => shape::refuse(StatusCode::INTERNAL_SERVER_ERROR, "the plan was not made"),
    }
}

fn answer(planner: &Planner, asked: Asked, now: Timestamp) -> Result<plan::Plans, (StatusCode, String)> {
    let _alone = match planner.busy.try_lock() {
        Ok(alone) => alone,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) => {
            return Err((StatusCode::TOO_MANY_REQUESTS, "another plan is being made; ask again".to_owned()));
        }
    };
    let candidate = compile(planner, asked).map_err(|report| (StatusCode::BAD_REQUEST, report))?;
    let (engine, past) =
        plan::of_journal(&planner.folder, now).map_err(|why| (StatusCode::INTERNAL_SERVER_ERROR, why))?;
    Ok(plan::plans(engine, &past, None, candidate.as_ref(), now))
}

fn compile(planner: &Planner, asked: Asked) -> Result<Option<RuleSet>, String> {
    if asked.files.is_empty() {
        return Ok(None);
    }
    let files: Vec<RuleFile> =
        asked.files.into_iter().map(|AskedFile { path, text }| RuleFile { path, text }).collect();
    let mut rules = (planner.compile)(&files)?.rules;
    rules.revision = asked.revision.map(Into::into);
    Ok(Some(rules))
}
