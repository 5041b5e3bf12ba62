//! Messages to people: Slack and a signed webhook.
//!
//! A [`Notice`] is rendered once, purely, and written in the form of each receiver of its route. Tries are
//! bounded; what did not get there goes back as an error that says whether later can help. What did is
//! recorded in the [`DeliveryLog`], so that a restart repeats at most a message whose delivery was not
//! written down, and marks it. Messages to one receiver keep their order.
//!
//! A state that people must notice is a new post; progress edits the post it belongs to where the receiver
//! can edit, and is a second post where it cannot. It never decides what is worth saying (the engine does),
//! never holds a secret longer than a request, and never writes one to a log.

mod connect;
mod error;
mod fit;
mod held;
mod idle;
mod log;
mod message;
mod patience;
mod receiver;
mod render;
mod scene;
mod secret;
pub mod slack;
mod spot;
mod visible;
pub mod webhook;
mod words;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use futures::future::join_all;
use policy::decision::{DecisionKind, HoldState, Notice};
use policy::rule::{Budget, Mode, Receiver, Route, RuleSet};

pub use error::NotifyError;
pub use log::{Delivered, DeliveryLog};
pub use message::{Action, Field, Message, Standing, TargetLine};
pub use patience::Patience;
pub use render::render;
pub use secret::{EnvironmentAndFiles, Secret, SecretError, Secrets};

use slack::{Edit, Slack, SlackPost, slack_post};
use webhook::{Webhook, webhook_body};

/// What became of a message at one receiver: its name, and the handle for later edits where it has one.
pub type Answer = (String, Result<Option<String>, NotifyError>);

/// Carries messages to the receivers of routes.
pub struct Notifier {
    rules: RwLock<Arc<RuleSet>>,
    secrets: Arc<dyn Secrets>,
    log: Arc<dyn DeliveryLog>,
    patience: Patience,
    connector: connect::Connector,
    slack: Slack,
    webhook: Webhook,
    /// Messages whose blocks Slack refused.
    plain_only: Arc<AtomicU64>,
    /// One message at a time to each receiver, in the order in which they came.
    lanes: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl fmt::Debug for Notifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notifier").field("patience", &self.patience).finish_non_exhaustive()
    }
}

/// One message on its way to one receiver.
struct Errand<'a> {
    notice: &'a Notice,
    message: &'a Message,
    receiver: &'a Receiver,
    name: &'a str,
}

/// How a try to Slack looks.
#[derive(Clone, Copy)]
struct Form {
    /// An earlier try may have arrived.
    unsure: bool,
    /// Without blocks.
    plain: bool,
}

impl Form {
    fn of(self, message: &Message) -> SlackPost {
        let post = slack_post(&message.clone().repeated(self.unsure));
        if self.plain { post.as_plain_text() } else { post }
    }
}

impl Notifier {
    /// A notifier that knows no route yet: give it rules with [`Self::use_rules`].
    ///
    /// # Errors
    /// When the system has no root certificates.
    pub fn new(secrets: Arc<dyn Secrets>, log: Arc<dyn DeliveryLog>) -> io::Result<Self> {
        let connector = connect::connector()?;
        Ok(Self {
            rules: RwLock::default(),
            secrets,
            log,
            patience: Patience::default(),
            slack: Slack::new(connector.clone(), None),
            webhook: Webhook::new(connector.clone()),
            connector,
            plain_only: Arc::default(),
            lanes: Mutex::default(),
        })
    }

    /// Tries with other bounds.
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// Calls Slack's methods under this URL, without a slash at its end, instead of Slack's own.
    #[must_use]
    pub fn with_slack_api_url(mut self, url: &str) -> Self {
        self.slack = Slack::new(self.connector.clone(), Some(url));
        self
    }

    /// Uses these rules' routes and budgets from now on.
    pub fn use_rules(&self, rules: Arc<RuleSet>) {
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = rules;
        let idle = |_: &String, lane: &mut Arc<tokio::sync::Mutex<()>>| Arc::strong_count(lane) > 1;
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner).retain(idle);
    }

    /// Counts messages whose blocks Slack refused, so that they went as plain text.
    #[must_use]
    pub fn plain_only(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.plain_only)
    }

    /// Sends a notice to every receiver of its route that does not have it, and answers for each of those.
    ///
    /// `repeat` marks a message that may have been sent before. So is each further try after one that may have
    /// arrived. A notice of a rule that only
    /// observes is not sent (see [`may_be_sent`]): the answer is empty, as it is where all have it.
    pub async fn deliver(&self, notice: &Notice, repeat: bool) -> Vec<Answer> {
        if !may_be_sent(notice) {
            return Vec::new();
        }
        let rules = Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner));
        let Some(route) = route_of(&rules, notice) else {
            let name = format!("route {}", notice.route);
            return vec![(name, Err(NotifyError::NoRoute { route: notice.route.to_string() }))];
        };
        let message = render(notice, budget_of(&rules, notice), repeat);
        let mut names = BTreeSet::new();
        let tasks = route
            .receivers
            .iter()
            .map(|receiver| (receiver::name(&route.name, receiver), receiver))
            .filter(|(name, _)| names.insert(name.clone()))
            .map(|(name, receiver)| self.deliver_to(notice, &message, name, receiver));
        join_all(tasks).await.into_iter().flatten().collect()
    }

    /// `None` where the receiver has it already.
    async fn deliver_to(
        &self,
        notice: &Notice,
        message: &Message,
        name: String,
        receiver: &Receiver,
    ) -> Option<Answer> {
        let lane = self.lane(&name);
        let _turn = lane.lock().await;
        if self.log.delivered(&notice.key, &name) {
            return None;
        }
        let result = self.send(&Errand { notice, message, receiver, name: &name }).await;
        match &result {
            Ok(handle) => {
                self.log
                    .record(Delivered {
                        key: notice.key.clone(),
                        thread: notice.thread.clone(),
                        receiver: name.as_str().into(),
                        handle: handle.as_deref().map(Into::into),
                    })
                    .await;
            }
            Err(error) => {
                tracing::error!(receiver = %name, key = %notice.key, %error, "message not delivered")
            }
        }
        Some((name, result))
    }

    async fn send(&self, errand: &Errand<'_>) -> Result<Option<String>, NotifyError> {
        match errand.receiver {
            Receiver::SlackWebhook { url } => {
                self.as_slack_takes_it(errand, |form| async move {
                    let post = form.of(errand.message);
                    self.slack.by_webhook(errand.name, &self.secrets.read(url)?, &post).await
                })
                .await?;
                Ok(None)
            }
            Receiver::SlackChat { token, channel } => {
                let handle = self
                    .as_slack_takes_it(errand, |form| async move {
                        self.chat(errand, &self.secrets.read(token)?, channel, form).await
                    })
                    .await?;
                Ok(Some(handle).filter(|_| takes_edits(errand.notice)))
            }
            Receiver::Webhook { url, secret } => {
                self.patience
                    .persist(errand.name, |unsure| async move {
                        let body = webhook_body(errand.notice, &errand.message.clone().repeated(unsure));
                        let secret = self.secrets.read(secret)?;
                        self.webhook.post(errand.name, url, &secret, &errand.notice.key, &body).await
                    })
                    .await?;
                Ok(None)
            }
        }
    }

    /// Tries with blocks and, where Slack will not have these, as plain text: a page in plain words is
    /// better than none.
    async fn as_slack_takes_it<T, Fut>(
        &self,
        errand: &Errand<'_>,
        send: impl Fn(Form) -> Fut,
    ) -> Result<T, NotifyError>
    where
        Fut: Future<Output = Result<T, NotifyError>>,
    {
        let blocks = |unsure| send(Form { unsure, plain: false });
        match self.patience.persist(errand.name, blocks).await {
            Err(error @ NotifyError::Blocks { .. }) => {
                self.plain_only.fetch_add(1, Ordering::Relaxed);
                tracing::error!(
                    receiver = errand.name, key = %errand.notice.key, %error,
                    "sent as plain text instead; this is a fault of breakerbox, please report it"
                );
                self.patience.persist(errand.name, |unsure| send(Form { unsure, plain: true })).await
            }
            other => other,
        }
    }

    /// Edits the thread's message where this is progress and there is one, else posts.
    async fn chat(
        &self,
        errand: &Errand<'_>,
        token: &Secret,
        channel: &str,
        form: Form,
    ) -> Result<String, NotifyError> {
        if edits(errand.notice)
            && let Some(handle) = self.log.handle(&errand.notice.thread, errand.name)
            // The same edit twice is one edit: it is no repeat.
            && let post = (Form { unsure: false, ..form }).of(errand.message)
            && let Edit::Done(handle) = self.slack.edit(errand.name, token, &handle, &post).await?
        {
            return Ok(handle);
        }
        self.slack.post(errand.name, token, channel, &form.of(errand.message)).await
    }

    fn lane(&self, name: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(lanes.entry(name.to_owned()).or_default())
    }
}

/// Whether a notice may leave the house. A rule that observes says nothing. Pages about ourselves go out in
/// every mode; so does news of a hold: it exists only because something was written, whatever the mode is
/// by now.
#[must_use]
pub fn may_be_sent(notice: &Notice) -> bool {
    let always = matches!(notice.decision.kind, DecisionKind::Page { .. } | DecisionKind::Hold { .. });
    always || notice.decision.mode >= Mode::Alert
}

/// The end of something that people were alarmed about is news, not progress: an edit would go unseen.
fn edits(notice: &Notice) -> bool {
    let alarmed = matches!(
        notice.decision.kind,
        DecisionKind::Hold { from: HoldState::NotStopped | HoldState::Contested, .. }
    );
    notice.progress && !alarmed
}

/// Whether later progress of the thread edits this message: it does where the message is about the whole
/// stop, and a page about one target that runs on stays as it was said.
fn takes_edits(notice: &Notice) -> bool {
    match notice.decision.kind {
        DecisionKind::Tripped { .. } | DecisionKind::Withheld { .. } | DecisionKind::Released { .. } => true,
        DecisionKind::Hold { .. } => notice.progress,
        DecisionKind::Warned { .. }
        | DecisionKind::WarnedBy { .. }
        | DecisionKind::Arming { .. }
        | DecisionKind::BreachedAfterClose
        | DecisionKind::Commanded { .. }
        | DecisionKind::Idle { .. }
        | DecisionKind::Packable { .. }
        | DecisionKind::Page { .. }
        | DecisionKind::Spot(_) => false,
    }
}

/// The notice's route, or the page route where a reload took it away: a message must not go nowhere.
fn route_of<'a>(rules: &'a RuleSet, notice: &Notice) -> Option<&'a Route> {
    let page = || rules.guardrail.page.as_ref().and_then(|page| rules.routes.get(page));
    rules.routes.get(&notice.route).or_else(page)
}

fn budget_of<'a>(rules: &'a RuleSet, notice: &Notice) -> Option<&'a Budget> {
    let (_, budget) = words::who(notice.decision.why.breaker.as_ref());
    rules.budgets.iter().find(|b| &*b.name == budget)
}
