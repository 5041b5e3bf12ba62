//! What is served: metrics and health for machines, questions and commands for people.
//!
//! One router for two doors. On the TCP door anybody who can reach it may ask (bind it accordingly); commands
//! need an operator's token. On the Unix socket, of mode 0600, the kernel says who asks, and that is enough.
//! Nothing here changes the engine: commands become facts like all else, and the guard has the last word.

mod api;
mod auth;
mod commands;
mod metrics;
mod plan;
mod serve;
pub mod shape;
pub mod socket;

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::{get, post};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Operator};
use crate::journal::Reader;
use crate::marker::FreezeMarker;
use crate::observe::{Counted, Observed};
use crate::rules::Compile;
use crate::turn::Handle;

pub(crate) use auth::secret;
pub use commands::{Said, Saying};
pub use metrics::render as render_metrics;
pub use plan::{Asked, AskedFile};

/// What the routes need.
#[derive(Clone, Debug)]
pub struct Api {
    handle: Handle,
    reader: Arc<Mutex<Reader>>,
    observed: Arc<Observed>,
    counted: Counted,
    operators: Arc<[Operator]>,
    install: Arc<str>,
    journal: Arc<str>,
    marker: FreezeMarker,
    planner: Option<plan::Planner>,
    max_series: usize,
}

impl Api {
    /// Routes over that daemon.
    #[must_use]
    pub fn new(
        config: &Config,
        handle: Handle,
        reader: Reader,
        observed: Arc<Observed>,
        counted: Counted,
        journal: String,
        marker: FreezeMarker,
    ) -> Self {
        Self {
            handle,
            reader: Arc::new(Mutex::new(reader)),
            observed,
            counted,
            operators: config.operators.clone().into(),
            install: config.install_id.as_str().into(),
            journal: journal.into(),
            marker,
            planner: None,
            max_series: config.max_series,
        }
    }

    /// Answers plans too, from the journal in the data folder, with rules read by that compiler.
    #[must_use]
    pub fn planning(mut self, config: &Config, compile: Compile) -> Self {
        let folder = config.data_dir.clone();
        self.planner = Some(plan::Planner { folder, compile, busy: Arc::default() });
        self
    }

    fn router(self) -> Router {
        let whole = |request, next| serve::body_in_time(serve::COMMAND_WITHIN, request, next);
        Router::new()
            .route("/metrics", get(metrics::metrics))
            .route("/healthz", get(api::healthz))
            .route("/readyz", get(api::readyz))
            .route("/v1/status", get(api::status))
            .route("/v1/budgets", get(api::budgets))
            .route("/v1/breakers", get(api::breakers))
            .route("/v1/decisions", get(api::decisions))
            .route("/v1/decisions/{id}", get(api::decision))
            .route("/v1/explain", get(api::explain))
            .route("/v1/plan", post(plan::make).layer(DefaultBodyLimit::max(plan::MOST_BYTES)))
            .route("/v1/commands", post(commands::take).layer(middleware::from_fn(whole)))
            .with_state(self)
    }
}

/// Serves both doors until told to stop.
pub fn serve(
    api: Api,
    ingest: Option<Router>,
    listener: TcpListener,
    socket: UnixListener,
    stop: &CancellationToken,
    tasks: &mut JoinSet<()>,
) {
    let open = api.clone().router().merge(ingest.unwrap_or_default());
    let stopped = stop.clone();
    tasks.spawn(serve::serve(listener, open, serve::HEAD_WITHIN, stopped));
    let local = api.router().into_make_service_with_connect_info::<socket::Peer>();
    let stopped = stop.clone();
    tasks.spawn(async move {
        let served = axum::serve(socket, local);
        if let Err(error) = served.with_graceful_shutdown(stopped.cancelled_owned()).await {
            tracing::error!(%error, "the operator socket ended");
        }
    });
}
