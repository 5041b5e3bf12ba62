//! A notifier with everything around it faked: Slack, a webhook's receiver, secrets, memory, time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use actions::notify::{Answer, Delivered, DeliveryLog, Notifier, Patience, Secret, SecretError, Secrets};
use async_trait::async_trait;
use policy::decision::Notice;
use policy::rule::{Place, Receiver, Route, RuleSet, SecretRef};
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::fake_slack::{FakeSlack, TOKEN};
use crate::scenes::daily;

/// What the webhook's body is signed with.
pub const SIGNING: &str = "very-secret-signing-key";

/// Deliveries in memory.
#[derive(Default)]
pub struct Memory(pub Mutex<Vec<Delivered>>);

#[async_trait]
impl DeliveryLog for Memory {
    fn handle(&self, thread: &str, receiver: &str) -> Option<Box<str>> {
        let all = self.0.lock().unwrap();
        let of = all.iter().rev().filter(|d| &*d.thread == thread && &*d.receiver == receiver);
        of.filter_map(|d| d.handle.clone()).next()
    }

    fn delivered(&self, key: &str, receiver: &str) -> bool {
        self.0.lock().unwrap().iter().any(|d| &*d.key == key && &*d.receiver == receiver)
    }

    async fn record(&self, delivered: Delivered) {
        self.0.lock().unwrap().push(delivered);
    }
}

/// `TOKEN`, `HOOK` and `SIGNING` are there; nothing else.
struct Known {
    hook: String,
}

impl Secrets for Known {
    fn read(&self, from: &SecretRef) -> Result<Secret, SecretError> {
        match from {
            SecretRef::Env(name) if &**name == "TOKEN" => Ok(Secret::new(TOKEN)),
            SecretRef::Env(name) if &**name == "STALE" => Ok(Secret::new("xoxb-stale-secret")),
            SecretRef::Env(name) if &**name == "HOOK" => Ok(Secret::new(&self.hook)),
            SecretRef::Env(name) if &**name == "SIGNING" => Ok(Secret::new(SIGNING)),
            SecretRef::Env(name) => Err(SecretError::NoVariable(name.to_string())),
            SecretRef::File(path) => Err(SecretError::EmptyFile(path.to_string())),
        }
    }
}

pub fn env(name: &str) -> SecretRef {
    SecretRef::Env(name.into())
}

pub fn chat() -> Receiver {
    Receiver::SlackChat { token: env("TOKEN"), channel: "#oncall".into() }
}

pub fn slack_hook() -> Receiver {
    Receiver::SlackWebhook { url: env("HOOK") }
}

/// Rules with the daily budget and these routes; the last is the page route.
pub fn rules(routes: Vec<(&str, Vec<Receiver>)>) -> Arc<RuleSet> {
    let mut rules = RuleSet { budgets: vec![daily()], ..RuleSet::default() };
    for (name, receivers) in routes {
        let place = Place::default();
        rules
            .routes
            .insert(name.into(), Route { name: name.into(), place, receivers, delivery: Default::default() });
        rules.guardrail.page = Some(name.into());
    }
    Arc::new(rules)
}

/// All of it.
pub struct Bench {
    pub slack: FakeSlack,
    pub hooks: MockServer,
    pub memory: Arc<Memory>,
    pub waits: Arc<Mutex<Vec<Duration>>>,
    pub notifier: Notifier,
}

impl Bench {
    /// With one route, `oncall`.
    pub async fn new(receivers: impl FnOnce(&MockServer) -> Vec<Receiver>) -> Self {
        let (slack, hooks) = (FakeSlack::start().await, MockServer::start().await);
        let memory = Arc::new(Memory::default());
        let waits: Arc<Mutex<Vec<Duration>>> = Arc::default();
        let seen = Arc::clone(&waits);
        let patience = Patience::default().resting(move |wait| {
            seen.lock().unwrap().push(wait);
            Box::pin(std::future::ready(()))
        });
        let log: Arc<dyn DeliveryLog> = Arc::clone(&memory) as Arc<dyn DeliveryLog>;
        let notifier = Notifier::new(Arc::new(Known { hook: slack.hook_url() }), log)
            .unwrap()
            .with_patience(patience)
            .with_slack_api_url(&slack.api_url());
        notifier.use_rules(rules(vec![("oncall", receivers(&hooks))]));
        Self { slack, hooks, memory, waits, notifier }
    }

    /// The webhook's receiver answers this, as often as it is asked.
    pub async fn hooks_answer(&self, answer: ResponseTemplate) {
        self.hooks.reset().await;
        Mock::given(method("POST")).respond_with(answer).mount(&self.hooks).await;
    }

    /// What the webhook's receiver got.
    pub async fn hooked(&self) -> Vec<Request> {
        self.hooks.received_requests().await.unwrap()
    }

    pub async fn deliver(&self, notice: &Notice) -> Vec<Answer> {
        self.notifier.deliver(notice, false).await
    }

    pub fn waited(&self) -> Vec<Duration> {
        std::mem::take(&mut self.waits.lock().unwrap())
    }
}

/// A signed webhook at the bench's receiver.
pub fn webhook(at: &MockServer) -> Receiver {
    Receiver::Webhook { url: format!("{}/very-secret-path", at.uri()).into(), secret: env("SIGNING") }
}

/// The only answer, which must be a delivery.
pub fn delivered(answers: Vec<Answer>) -> Option<String> {
    let [(_, result)] = <[Answer; 1]>::try_from(answers).unwrap();
    result.unwrap()
}
