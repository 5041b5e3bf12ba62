//! The rules folder, looked at for ever.

use std::sync::Arc;
use std::time::Duration;

use policy::fact::{Fact, Trouble};
use policy::page::PageTopic;
use tokio_util::sync::CancellationToken;

use crate::observe::Observed;
use crate::rules::{News, Watcher};
use crate::turn::{Gone, Handle};

/// Longest part of a report that goes into a page; the log has all of it.
const PAGE_CHARS: usize = 600;

pub(super) struct Reload {
    pub(super) watcher: Watcher,
    pub(super) handle: Handle,
    pub(super) observed: Arc<Observed>,
    pub(super) every: Duration,
    pub(super) stop: CancellationToken,
}

impl Reload {
    /// Looks, and brings what it finds, until told to stop.
    pub(super) async fn run(mut self) {
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(self.every) => {}
            }
            // Reading a folder blocks (a network volume may hang); nothing else waits for it.
            let looked = tokio::task::spawn_blocking(move || {
                let news = self.watcher.poll();
                (self, news)
            });
            let Ok((back, news)) = looked.await else { return };
            self = back;
            if self.take(news).await.is_err() {
                return;
            }
        }
    }

    async fn take(&self, news: News) -> Result<(), Gone> {
        match news {
            News::Same => Ok(()),
            News::Changed(compiled) => {
                if !compiled.warnings.is_empty() {
                    tracing::warn!("the new rules have warnings\n{}", compiled.warnings);
                }
                let id = compiled.rules.id.clone();
                self.handle.fact(Fact::Rules(Box::new(compiled.rules))).await?;
                // Prices are judged by the engine, against those in force: it may refuse what compiles.
                let taken = self.handle.look(move |engine, _| engine.rules().id == id).await?;
                match taken {
                    true => tracing::info!("new rules are in force"),
                    false => {
                        tracing::error!("the new rules are not taken: their prices are refused, see the page")
                    }
                }
                self.observed.rules(taken);
                Ok(())
            }
            News::Refused(report) => {
                self.observed.rules(false);
                tracing::error!("the rules folder holds no valid set; the old rules stay in force\n{report}");
                self.handle.fact(Fact::Trouble(refused(&report))).await.map(|_| ())
            }
        }
    }
}

/// The page about a set that was refused.
pub(super) fn refused(report: &str) -> Trouble {
    let shown: String = report.chars().take(PAGE_CHARS).collect();
    let detail = format!("the rules folder holds no valid set; the old rules stay in force: {shown}");
    Trouble { topic: PageTopic::RuleChange, detail }
}
