//! Commands: from JSON to a fact, and back to what came of it.

use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use policy::decision::DecisionKind;
use policy::engine::Outcome;
use policy::fact::{Command, CommandKind};
use policy::id::DecisionId;
use serde::{Deserialize, Serialize};

use super::auth;
use super::socket::Peer;
use super::{Api, shape};
use crate::edge::GivenBack;
use crate::marker::{ACTOR, RELEASE_ALL};

/// What a person can say, as JSON: `{"reset": {"breaker": "tenant-daily/acme", "more": "10%"}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Saying {
    /// Yes to a decision.
    Approve {
        /// `d17`.
        decision: String,
    },
    /// The wall clock is right.
    ApproveClock {},
    /// The prices that are looked at count from now on.
    ApprovePrices {},
    /// Somebody has seen it.
    Ack {
        /// `d17`, a breaker, or `all`.
        what: String,
    },
    /// Trip by hand.
    Trip {
        /// Breaker name.
        breaker: String,
        /// For people.
        reason: String,
    },
    /// Forgive what was spent.
    Reset {
        /// Breaker name.
        breaker: String,
        /// Share of the limit that may still be spent, `10%`.
        more: String,
    },
    /// No new stop.
    Freeze {
        /// For people.
        reason: String,
    },
    /// End the freeze.
    Unfreeze {},
    /// Give one object back.
    Release {
        /// `checkout/api` or `ScaledObject/checkout/api`.
        target: String,
    },
    /// Freeze, then give everything back.
    ReleaseAll {},
    /// It may be idle, as long as the rules let such a word hold.
    AckIdle {
        /// `checkout/api`, `ScaledObject/checkout/api` or `Deployment/checkout/api`.
        object: String,
    },
}

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// Actor and command, as recorded.
    pub what: String,
    /// Why it was refused, where it was.
    pub refused: Option<String>,
    /// What was left undone although it was taken.
    #[serde(default)]
    pub warning: Option<String>,
    /// All decisions that came of it.
    pub decisions: Vec<shape::Decision>,
    /// Orders that came of it, `pause ScaledObject/checkout/api`.
    pub orders: Vec<String>,
    /// Of `release --all`: each object that carried our marks.
    #[serde(default)]
    pub released: Vec<GivenBack>,
}

impl Saying {
    /// The command, or why it cannot be one.
    ///
    /// # Errors
    /// What cannot be read, and what to write instead.
    pub fn parse(&self) -> Result<CommandKind, String> {
        Ok(match self {
            Self::Approve { decision } => CommandKind::Approve { decision: parse_decision(decision)? },
            Self::ApproveClock {} => CommandKind::ClockIsRight,
            Self::ApprovePrices {} => CommandKind::PricesCount,
            Self::Ack { what } => CommandKind::Ack { what: what.clone() },
            Self::Trip { breaker, reason } => {
                CommandKind::Trip { breaker: breaker.clone(), reason: reason.clone() }
            }
            Self::Reset { breaker, more } => CommandKind::Reset {
                breaker: breaker.clone(),
                more: more.parse().map_err(|error| format!("{error}"))?,
            },
            Self::Freeze { reason } => CommandKind::Freeze { reason: reason_of(reason)? },
            Self::Unfreeze {} => CommandKind::Unfreeze,
            Self::Release { target } => {
                CommandKind::Release { target: target.parse().map_err(|error| format!("{error}"))? }
            }
            Self::ReleaseAll {} => CommandKind::ReleaseAll,
            Self::AckIdle { object } => {
                CommandKind::AckIdle { object: object.parse().map_err(|error| format!("{error}"))? }
            }
        })
    }
}

/// A reason for a freeze. The marker in the cluster is known by its words, so a person's must not read like ours:
/// a daemon that finds `release --all` there gives everything back.
fn reason_of(reason: &str) -> Result<String, String> {
    let ours = [RELEASE_ALL, ACTOR].into_iter().find(|words| reason.contains(words));
    match ours {
        Some(words) => {
            Err(format!("a freeze for `{words}` would be taken for another; write the reason otherwise"))
        }
        None => Ok(reason.to_owned()),
    }
}

/// Reads `d17` or `17`.
///
/// # Errors
/// When it is neither.
pub fn parse_decision(text: &str) -> Result<DecisionId, String> {
    let digits = text.strip_prefix('d').unwrap_or(text);
    digits.parse().map(DecisionId).map_err(|_| format!("`{text}` is no decision; write it like d17"))
}

pub(super) async fn take(
    State(api): State<Api>,
    peer: Option<Extension<ConnectInfo<Peer>>>,
    headers: HeaderMap,
    body: Result<Json<Saying>, axum::extract::rejection::JsonRejection>,
) -> Response {
    let peer = peer.map(|Extension(ConnectInfo(peer))| peer);
    let actor = match auth::actor(peer.as_ref(), &headers, &api.operators) {
        Ok(actor) => actor,
        Err(why) => return shape::refuse(StatusCode::UNAUTHORIZED, why),
    };
    let kind = match body {
        Ok(Json(saying)) => saying.parse(),
        Err(error) => Err(error.body_text()),
    };
    let kind = match kind {
        Ok(kind) => kind,
        Err(why) => return shape::refuse(StatusCode::BAD_REQUEST, &why),
    };
    tracing::info!(actor, command = ?kind, "command");
    match api.handle.command(Command { actor: actor.clone(), kind: kind.clone() }).await {
        Ok(outcome) => {
            let said = follow(&api, &actor, &kind, said(&outcome)).await;
            let status = if said.refused.is_some() { StatusCode::CONFLICT } else { StatusCode::OK };
            (status, Json(said)).into_response()
        }
        Err(gone) => shape::refuse(StatusCode::SERVICE_UNAVAILABLE, &gone.to_string()),
    }
}

/// A freeze and its end are followed by the marker, and `release --all` by what it says; what could not be done
/// is told.
async fn follow(api: &Api, actor: &str, kind: &CommandKind, mut said: Said) -> Said {
    let set = match kind {
        CommandKind::Freeze { reason } => api.marker.set(actor, reason).await,
        CommandKind::ReleaseAll => {
            release_all(api, actor, &mut said).await;
            Ok(())
        }
        CommandKind::Unfreeze => match api.marker.clear(actor).await {
            // The engine was not frozen, but the marker was: that was the freeze that was meant.
            Ok(true) => {
                said.refused = None;
                Ok(())
            }
            Ok(false) => Ok(()),
            Err(why) => {
                said.refused = Some(format!("the freeze marker stays, and still freezes: {why}"));
                Ok(())
            }
        },
        _ => Ok(()),
    };
    if let Err(why) = set {
        tracing::warn!(error = why, "the freeze marker could not be written");
        said.warning = Some(format!(
            "this daemon is frozen; other daemons are not told, since the marker could not be written: {why}"
        ));
    }
    said
}

/// The engine lets go, and orders only what the daemon may write now; a person's word goes further (the clock may
/// be in doubt, the Lease another's, the journal lost), so what carries our marks is given back here.
async fn release_all(api: &Api, actor: &str, said: &mut Said) {
    match api.marker.release_all(actor).await {
        None => {}
        Some(Ok(released)) => {
            let held: Vec<&str> =
                released.iter().filter(|b| b.held.is_some()).map(|b| b.object.as_str()).collect();
            said.refused = (!held.is_empty()).then(|| format!("still held: {}", held.join(", ")));
            said.released = released;
        }
        Some(Err(why)) => {
            tracing::warn!(error = why, "nothing could be given back");
            said.refused = Some(why);
        }
    }
}

fn said(outcome: &Outcome) -> Said {
    let (what, refused) = outcome
        .decisions
        .iter()
        .find_map(|decision| match &decision.kind {
            DecisionKind::Commanded { what, refused } => Some((what.clone(), refused.clone())),
            _ => None,
        })
        .unwrap_or_default();
    Said {
        what,
        refused,
        warning: None,
        decisions: outcome.decisions.iter().map(shape::Decision::of).collect(),
        orders: outcome.orders.iter().map(shape::order_in_words).collect(),
        released: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_s_reason_for_a_freeze_is_never_taken_for_a_word_of_ours() {
        let freeze = |reason: &str| Saying::Freeze { reason: reason.to_owned() }.parse();
        let taken = CommandKind::Freeze { reason: "release day".to_owned() };
        assert_eq!(freeze("release day"), Ok(taken));
        for reason in ["release --all went wrong", "I took the freeze marker off"] {
            assert!(freeze(reason).unwrap_err().contains("write the reason otherwise"), "{reason}");
        }
    }
}
