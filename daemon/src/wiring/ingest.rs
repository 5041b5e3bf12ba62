//! `POST /v1/usage` from the configuration: which tokens may push, and what is fixed for each.
//!
//! Secrets are read again every few seconds, so that a rotated token works without a restart. Only their
//! hashes are kept. A source whose secret cannot be read has no token, and so nobody can push as it.

use std::sync::Arc;
use std::time::Duration;

use collector::deadletter::DeadLetters;
use collector::http::{Counts, Limits, SourceToken, TokenTable, router};
use collector::usage::Fixed;
use tokio::sync::watch;

use crate::app::{Ingest, IngestRoutes};
use crate::config::{Config, Token};
use crate::http::secret;

/// Between two looks at the secrets.
const ROTATION: Duration = Duration::from_secs(5);

/// The route; none where no source may push.
pub(super) fn routes(config: &Config, letters: DeadLetters, counts: Arc<Counts>) -> Option<IngestRoutes> {
    if config.tokens.is_empty() {
        return None;
    }
    let tokens = config.tokens.clone();
    let limits = Limits { body_bytes: config.limits.body_bytes, ..Limits::default() };
    Some(Box::new(move |ingest: Ingest| {
        for token in tokens.iter().filter(|token| secret(&token.secret).is_none()) {
            tracing::error!(
                source = token.name,
                "its token cannot be read or is empty: nobody can push as it"
            );
        }
        let (known, table) = watch::channel(Arc::new(table(&tokens)));
        tokio::spawn(follow(tokens, known));
        router(collector::http::Ingest {
            tokens: table,
            intake: ingest.intake,
            id_key: ingest.id_key,
            pressure: ingest.pressure,
            letters,
            limits,
            counts,
        })
    }))
}

/// Reads the secrets again until the route is gone.
async fn follow(tokens: Vec<Token>, known: watch::Sender<Arc<TokenTable>>) {
    loop {
        tokio::select! {
            () = known.closed() => return,
            () = tokio::time::sleep(ROTATION) => {}
        }
        known.send_replace(Arc::new(table(&tokens)));
    }
}

fn table(tokens: &[Token]) -> TokenTable {
    let with_secret = |token: &Token| {
        let fixed = Fixed { fields: token.fields.clone(), account: token.account.clone() };
        Some(SourceToken::new(&token.name, &secret(&token.secret)?, fixed))
    };
    TokenTable::new(tokens.iter().filter_map(with_secret).collect())
}
