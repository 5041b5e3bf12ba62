//! The whole daemon in this process: real journal, engine, rules, HTTP and socket; fakes only at the edges.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use policy::decision::{Effect, Notice, Order};
use policy::fact::{Fact, Posture, Receipt, ReceiptOutcome};
use policy::inventory::ObjectKey;
use policy::page::PageTopic;
use policy::rule::Mode;
use policy::time::{Span, Timestamp};
use tokio::sync::mpsc;

use super::*;
use crate::client::{AskError, Daemon};
use crate::clock::{Clock as _, ManualClock};
use crate::config::Overrides;
use crate::edge::{GivenBack, SendFailure, Sent};
use crate::http::shape::{Breaker, BudgetShape, Decision, Detail, Reason, Status};
use crate::http::{Said, Saying};
use crate::journal::Delivery;
use crate::observe::Counted;
use crate::testing::{Kept, Switches, cluster, noon, usage};
use crate::wiring::compile;

const RULES: &str = r#"apiVersion: breakerbox.dev/v1alpha1
kind: Budget
metadata:
  name: tenant-daily
spec:
  description: What each tenant may spend in a day.
  select: {all: true}
  perEach: [tenant]
  limit:
    amount: 50 USD
  window: {calendar: day, timezone: UTC}
  warnAt: [80%]
  tripAt: 100%
  onWarn:
    - notify: {route: oncall}
  onTrip:
    - notify: {route: oncall}
    - pauseScaledObjects: {in: {namespaceLabels: {tenant: "${tenant}"}}}
  restore: {when: window-rolls}
  mode: enforce
---
apiVersion: breakerbox.dev/v1alpha1
kind: Route
metadata:
  name: oncall
spec:
  receivers:
    - webhook: {url: "http://127.0.0.1:9/hook", secret: {env: HOOK}}
---
apiVersion: breakerbox.dev/v1alpha1
kind: Guardrail
metadata:
  name: default
spec:
  page: oncall
"#;

/// Takes orders and does nothing but show them; answers what it is told to.
#[derive(Debug)]
struct Hand {
    taken: mpsc::UnboundedSender<Order>,
    marked: Mutex<Result<Vec<String>, String>>,
    seeded: Mutex<Vec<(ObjectKey, Timestamp)>>,
    marker: Mutex<Result<bool, String>>,
    /// What the marker says while it says frozen.
    says: Mutex<String>,
    server_clock: Mutex<Result<Timestamp, String>>,
    release: Mutex<Result<Vec<GivenBack>, String>>,
}

#[async_trait]
impl Actuator for Hand {
    async fn dispatch(&self, order: Order, _: &Handle) {
        self.taken.send(order).unwrap();
    }
    async fn finish(&self, _: Duration) {}
    fn seed(&self, stopped: Vec<(ObjectKey, Timestamp)>) {
        *self.seeded.lock().unwrap() = stopped;
    }
    async fn mark_freeze(&self, frozen: bool, _: &str, _: &str) -> Result<bool, String> {
        let mut marker = self.marker.lock().unwrap();
        let was = marker.clone()?;
        *marker = Ok(frozen);
        Ok(was)
    }
    async fn server_clock(&self) -> Result<Timestamp, String> {
        self.server_clock.lock().unwrap().clone()
    }
    async fn freeze_mark(&self) -> Result<Option<String>, String> {
        let said = self.marker.lock().unwrap().clone()?;
        Ok(said.then(|| self.says.lock().unwrap().clone()))
    }
    async fn release_all(&self, _: &str) -> Result<Vec<GivenBack>, String> {
        self.release.lock().unwrap().clone()
    }
    async fn marked(&self) -> Result<Vec<String>, String> {
        self.marked.lock().unwrap().clone()
    }
}

/// Shows what it is to deliver; fails when told to.
#[derive(Debug)]
struct Mouth {
    known: Mutex<Vec<Delivery>>,
    told: mpsc::UnboundedSender<(Notice, bool)>,
    fail: Mutex<Option<SendFailure>>,
}

#[async_trait]
impl Messenger for Mouth {
    fn begin(&self, known: &[Delivery], _: &Handle) {
        *self.known.lock().unwrap() = known.to_vec();
    }
    async fn deliver(&self, notice: &Notice, repeat: bool) -> Vec<Sent> {
        self.told.send((notice.clone(), repeat)).unwrap();
        let answer = match self.fail.lock().unwrap().clone() {
            None => Ok(Some("C1 17.1".to_owned())),
            Some(failure) => Err(failure),
        };
        vec![("webhook".to_owned(), answer)]
    }
}

struct World {
    dir: tempfile::TempDir,
    clock: Arc<ManualClock>,
    hand: Arc<Hand>,
    mouth: Arc<Mouth>,
    orders: mpsc::UnboundedReceiver<Order>,
    told: mpsc::UnboundedReceiver<(Notice, bool)>,
    levers: Arc<Switches>,
    lead: Option<watch::Sender<Leading>>,
    ceiling: &'static str,
    accept: bool,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("rules")).unwrap();
        fs::write(dir.path().join("rules/tenants.yaml"), RULES).unwrap();
        let (taken, orders) = mpsc::unbounded_channel();
        let (tell, told) = mpsc::unbounded_channel();
        Self {
            dir,
            clock: Arc::new(ManualClock::at(noon())),
            hand: Arc::new(Hand {
                taken,
                marked: Mutex::new(Ok(vec![])),
                seeded: Mutex::default(),
                marker: Mutex::new(Ok(false)),
                says: Mutex::new("night shift (alice)".to_owned()),
                server_clock: Mutex::new(Err("no answer".to_owned())),
                release: Mutex::new(Ok(vec![])),
            }),
            mouth: Arc::new(Mouth { known: Mutex::default(), told: tell, fail: Mutex::new(None) }),
            orders,
            told,
            levers: Arc::default(),
            lead: None,
            ceiling: "enforce",
            accept: false,
        }
    }

    fn config(&self) -> Config {
        let path = self.dir.path().display();
        let token = self.dir.path().join("operator-token");
        fs::write(&token, "open sesame\n").unwrap();
        let text = format!(
            "dataDir: {path}/data\nrulesDir: {path}/rules\nhttp: {{listen: \"127.0.0.1:0\"}}\n\
             ceiling: {}\ninstallId: test\ncluster: {{connect: kubeconfig}}\n\
             operators:\n  - {{name: oncall, secret: {{file: {}}}}}\n\
             limits: {{diskReserve: 1 B}}\npoll: {{rules: 5ms, tick: 20ms}}\n",
            self.ceiling,
            token.display()
        );
        Config::parse("config.yaml", &text, &Overrides::default()).unwrap()
    }

    async fn start(&mut self) -> Result<Running, StartError> {
        let leading = self.lead.as_ref().map(watch::Sender::subscribe);
        let deps = Deps {
            clock: self.clock.clone(),
            sources: vec![],
            ingest: None,
            actuator: Some(self.hand.clone()),
            messenger: self.mouth.clone(),
            levers: self.levers.clone(),
            letters: Box::new(Kept::default()),
            counted: Counted::default(),
            leading,
            compile,
            every: keeper::Every { turns: 10, look: Duration::from_millis(5), apart: false },
            accept_lost_journal: self.accept,
        };
        App::new(self.config(), deps).start().await
    }

    async fn run(&mut self) -> Running {
        let running = self.start().await.unwrap();
        running.handle.fact(cluster()).await.unwrap();
        running
    }

    /// A tenant spends 16.50 USD for each million, on time.
    async fn spend(&self, running: &Running, key: &str, tenant: &str, millions: u64) {
        let fact = usage(running.id_key, key, tenant, millions, self.clock.read().wall);
        running.intake.put_durably(fact).await.unwrap();
    }

    async fn order(&mut self) -> Order {
        wait(self.orders.recv()).await.unwrap()
    }

    /// The next message whose decision is of that kind.
    async fn told(&mut self, word: &str) -> (Notice, bool) {
        loop {
            let (notice, repeat) = wait(self.told.recv()).await.unwrap();
            if crate::journal::decision_word(&notice.decision.kind) == word {
                return (notice, repeat);
            }
        }
    }
}

/// Nothing here takes long; what does not come is a failure and not a test that hangs.
async fn wait<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what).await.expect("it never came")
}

/// Asks until the answer is as wanted.
async fn until(running: &Running, wanted: impl Fn(&Status) -> bool) -> Status {
    let daemon = Daemon::Socket(running.socket.clone());
    wait(async {
        loop {
            let status: Status = daemon.get("/v1/status").await.unwrap();
            if wanted(&status) {
                return status;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

fn write_rules(dir: &Path, text: &str) {
    let draft = dir.join("rules/.draft");
    fs::write(&draft, text).unwrap();
    fs::rename(draft, dir.join("rules/tenants.yaml")).unwrap();
}

async fn http(running: &Running, request: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(running.addr).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    wait(stream.read_to_string(&mut answer)).await.unwrap();
    answer
}

async fn get(running: &Running, path: &str) -> String {
    http(running, &format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn from_usage_to_order_message_receipt_and_explanation() {
    let mut world = World::new();
    let running = world.run().await;
    world.spend(&running, "c1", "acme", 1).await;
    world.spend(&running, "c2", "acme", 3).await;
    let order = world.order().await;
    assert_eq!(order.target.to_string(), "ScaledObject/acme/api");
    let (notice, repeat) = world.told("Tripped").await;
    assert!(!repeat);
    let receipt = |outcome| Receipt { order: order.id, at: noon(), guard: vec![], outcome };
    let signs = vec![policy::fact::Observation { sign: "pods".into(), seen: "0".into(), proves: true }];
    let verified = ReceiptOutcome::Verified { signs, took: Span::from_secs(4) };
    running.handle.receipt(receipt(verified)).await.unwrap();

    let daemon = Daemon::Socket(running.socket.clone());
    let id = notice.decision.id.to_string();
    let detail: Detail = daemon.get(&format!("/v1/decisions/{id}")).await.unwrap();
    assert_eq!(detail.head.breaker.as_deref(), Some("tenant-daily/acme"));
    assert_eq!((detail.head.sum.as_str(), detail.head.limit.as_str()), ("66.00 USD", "50.00 USD"));
    assert_eq!(detail.head.place, "tenants.yaml:13", "the line of tripAt");
    assert_eq!(detail.orders[0].state, "Verified");
    let text = &detail.text;
    assert!(text.contains("49.50 USD  2026-11-20T12:00:00Z  gateway:c2"), "{text}");
    assert!(text.contains("verified in 4s: pods 0"), "{text}");

    let why: Vec<Reason> = daemon.get("/v1/explain?name=rival").await.unwrap();
    assert!(why[0].reason.contains("ever seen"), "{why:?}");
    let budgets: Vec<BudgetShape> = daemon.get("/v1/budgets").await.unwrap();
    assert_eq!((budgets[0].states["Tripped"], budgets[0].window.as_str()), (1, "day (utc)"));
    let breakers: Vec<Breaker> = daemon.get("/v1/breakers?state=Tripped").await.unwrap();
    assert_eq!(breakers.len(), 1);
    let decisions: Vec<Decision> = daemon.get("/v1/decisions?breaker=tenant-daily/acme").await.unwrap();
    assert!(decisions.iter().any(|d| d.id == id), "{decisions:?}");
    let status = until(&running, |_| true).await;
    assert_eq!((status.holds[0].state.as_str(), status.usage.accepted), ("Verified", 2));
    running.drain().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_open_at_a_restart_is_taken_up_again_and_what_was_done_is_not() {
    let mut world = World::new();
    *world.mouth.fail.lock().unwrap() = Some(SendFailure { text: "down".into(), retryable: true });
    let running = world.run().await;
    world.spend(&running, "c1", "acme", 4).await;
    let order = world.order().await;
    world.told("Tripped").await;
    running.drain().await.unwrap();

    *world.mouth.fail.lock().unwrap() = None;
    let running = world.run().await;
    assert_eq!(world.order().await, order, "the same order, by its number");
    assert!(world.told("Tripped").await.1, "marked as a repeat");
    running
        .handle
        .receipt(Receipt { order: order.id, at: noon(), guard: vec![], outcome: ReceiptOutcome::Refused })
        .await
        .unwrap();
    running.drain().await.unwrap();

    let running = world.run().await;
    world.spend(&running, "c2", "acme", 1).await;
    running.drain().await.unwrap();
    assert!(world.orders.try_recv().is_err());
    while let Ok((notice, _)) = world.told.try_recv() {
        assert_ne!(crate::journal::decision_word(&notice.decision.kind), "Tripped", "it was delivered");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_socket_is_for_its_owner_and_names_the_actor() {
    let mut world = World::new();
    let running = world.run().await;
    let mode = fs::metadata(&running.socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let daemon = Daemon::Socket(running.socket.clone());
    let freeze = Saying::Freeze { reason: "audit".into() };
    let said: Said = daemon.post("/v1/commands", &freeze).await.unwrap();
    let me = crate::http::socket::actor_of(nix::unistd::getuid().as_raw());
    assert_eq!((said.what, said.refused), (format!("{me}: freeze (audit)"), None));
    assert!(until(&running, |_| true).await.freeze.unwrap().contains("audit"));
    let said: Said = daemon.post("/v1/commands", &Saying::Approve { decision: "d999".into() }).await.unwrap();
    assert!(said.refused.unwrap().contains("d999"));
    let error =
        daemon.post::<Said>("/v1/commands", &Saying::Approve { decision: "x".into() }).await.unwrap_err();
    assert!(
        matches!(&error, AskError::Refused { text, .. } if text.contains("write it like d17")),
        "{error}"
    );
    let socket = running.socket.clone();
    running.drain().await.unwrap();
    assert!(!socket.exists());
    assert!(daemon.get::<Status>("/v1/status").await.unwrap_err().is_unreachable());
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_over_http_need_an_operators_token() {
    let mut world = World::new();
    let running = world.run().await;
    let daemon = |token: Option<&str>| Daemon::Http {
        address: running.addr.to_string(),
        token: token.map(str::to_owned),
    };
    let freeze = Saying::Freeze { reason: "audit".into() };
    for (token, words) in [(None, "need an operator's token"), (Some("guess"), "no operator has this token")]
    {
        let error = daemon(token).post::<Said>("/v1/commands", &freeze).await.unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
    assert_eq!(until(&running, |_| true).await.freeze, None);
    let said: Said = daemon(Some("open sesame")).post("/v1/commands", &freeze).await.unwrap();
    assert_eq!(said.what, "token:oncall: freeze (audit)");
    running.drain().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn breakers_are_listed_the_furthest_first_and_counted_beyond_what_is_listed() {
    let mut world = World::new();
    let running = world.run().await;
    for (n, tenant) in ["acme", "beta", "carol"].into_iter().enumerate() {
        world.spend(&running, &format!("c{n}"), tenant, 1 + n as u64).await;
    }
    let daemon = Daemon::Http { address: running.addr.to_string(), token: None };
    let names = async |query: &str| {
        let found: Vec<Breaker> = daemon.get(&format!("/v1/breakers{query}")).await.unwrap();
        found.into_iter().map(|b| b.name).collect::<Vec<_>>()
    };
    assert_eq!(names("?limit=2").await, ["tenant-daily/carol", "tenant-daily/beta"]);
    assert_eq!(names("?name=tenant-daily/acme").await, ["tenant-daily/acme"]);
    assert_eq!(names("?budget=nobodys").await, [""; 0]);
    let budgets: Vec<BudgetShape> = daemon.get("/v1/budgets").await.unwrap();
    assert_eq!((budgets[0].states.values().sum::<usize>(), &*budgets[0].sum), (3, "99.00 USD"));
    running.drain().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn health_metrics_and_missing_things_answer_as_machines_expect() {
    let mut world = World::new();
    let running = world.run().await;
    world.spend(&running, "c1", "acme", 1).await;
    assert!(get(&running, "/healthz").await.starts_with("HTTP/1.1 200"));
    assert!(get(&running, "/readyz").await.starts_with("HTTP/1.1 200"));
    let metrics = get(&running, "/metrics").await;
    for line in [
        "breakerbox_spend_usd_total{tenant=\"acme\",model=\"us.anthropic.claude-sonnet-4-6\"} 16.5",
        "breakerbox_budget_limit_usd{budget=\"tenant-daily\",breaker=\"tenant-daily/acme\"} 50.0",
        "breakerbox_budget_burn_usd_per_hour{budget=\"tenant-daily\",breaker=\"tenant-daily/acme\",basis=\"window\"} ",
        "breakerbox_usages_total{outcome=\"accepted\"} 1",
        "breakerbox_rules_current 1.0",
        "breakerbox_ceiling 3.0",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    assert!(metrics.trim_end().ends_with("# EOF"));
    assert!(get(&running, "/v1/decisions/d999").await.starts_with("HTTP/1.1 404"));
    assert!(get(&running, "/v1/decisions/one").await.starts_with("HTTP/1.1 400"));
    running.drain().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_valid_rules_a_new_daemon_does_not_start_and_an_old_one_keeps_its_own() {
    let mut world = World::new();
    write_rules(world.dir.path(), "kind: Budgett\n");
    let error = world.start().await.unwrap_err();
    assert!(matches!(&error, StartError::Rules(report) if report.contains("tenants.yaml")), "{error}");
    write_rules(world.dir.path(), RULES);
    world.run().await.drain().await.unwrap();
    write_rules(world.dir.path(), "kind: Budgett\n");
    let running = world.run().await;
    let (page, _) = world.told("Page").await;
    let policy::decision::DecisionKind::Page { topic, detail } = page.decision.kind else { unreachable!() };
    assert_eq!(topic, PageTopic::RuleChange);
    assert!(detail.contains("the old rules stay in force"), "{detail}");
    let status = until(&running, |_| true).await;
    assert!(!status.rules_current && !status.rules.is_empty());
    world.spend(&running, "c1", "acme", 4).await;
    assert_eq!(world.order().await.target.to_string(), "ScaledObject/acme/api", "the old ones still hold");
    running.drain().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_swaps_a_valid_set_and_refuses_every_other() {
    let mut world = World::new();
    let running = world.run().await;
    let first = until(&running, |_| true).await.rules;
    write_rules(world.dir.path(), &RULES.replace("50 USD", "5000 USD"));
    let second = until(&running, |status| status.rules != first).await.rules;
    write_rules(world.dir.path(), &RULES.replace("50 USD", "50 pounds"));
    until(&running, |status| !status.rules_current && status.rules == second).await;
    let (page, _) = world.told("Page").await;
    assert!(format!("{:?}", page.decision.kind).contains("the old rules stay in force"));
    fs::remove_dir_all(world.dir.path().join("rules")).unwrap();
    wait(async {
        while !get(&running, "/metrics").await.contains("breakerbox_rules_refused_total 2") {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(until(&running, |_| true).await.rules, second, "a vanished folder keeps the old set");
    fs::create_dir(world.dir.path().join("rules")).unwrap();
    write_rules(world.dir.path(), RULES);
    until(&running, |status| status.rules_current && status.rules == first).await;
    running.drain().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_journal_beside_marked_objects_observes_until_a_person_has_looked() {
    let mut world = World::new();
    *world.hand.marked.lock().unwrap() = Ok(vec!["ScaledObject/acme/api".into()]);
    let running = world.run().await;
    let status = until(&running, |_| true).await;
    assert_eq!(status.ceiling, "observe");
    assert!(
        status.because.as_deref().unwrap().contains("1 object(s) carry our marks (ScaledObject/acme/api)")
    );
    assert_eq!(*world.levers.ceiling.lock().unwrap(), Mode::Observe);
    let (notice, _) = world.told("Page").await;
    let policy::decision::DecisionKind::Page { detail, .. } = &notice.decision.kind else {
        panic!("{notice:?}")
    };
    assert!(detail.contains("the journal is new and 1 object(s)"), "{detail}");
    world.spend(&running, "c1", "acme", 4).await;
    running.drain().await.unwrap();
    assert!(world.orders.try_recv().is_err(), "nothing is ordered");

    *world.hand.marked.lock().unwrap() = Ok(vec![]);
    let running = world.run().await;
    assert_eq!(until(&running, |_| true).await.ceiling, "observe", "it stays so over a restart");
    running.drain().await.unwrap();
    world.accept = true;
    let running = world.run().await;
    assert_eq!(until(&running, |_| true).await.ceiling, "enforce");
    running.drain().await.unwrap();
    world.accept = false;
    let running = world.run().await;
    assert_eq!(until(&running, |_| true).await.ceiling, "enforce", "and that stays too");
    running.drain().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_no_start_compared_with_the_cluster_is_new_however_often_it_was_opened() {
    for first in ["fails", "observes"] {
        let mut world = World::new();
        *world.hand.marked.lock().unwrap() = Ok(vec!["ScaledObject/acme/api".into()]);
        if first == "fails" {
            write_rules(world.dir.path(), "kind: Budgett\n");
            world.start().await.unwrap_err();
            write_rules(world.dir.path(), RULES);
        } else {
            world.ceiling = "observe";
            world.run().await.drain().await.unwrap();
            world.ceiling = "enforce";
        }
        for _ in 0..2 {
            let running = world.run().await;
            let status = until(&running, |_| true).await;
            assert_eq!(status.ceiling, "observe", "the first start {first}");
            assert!(status.because.unwrap().contains("(ScaledObject/acme/api)"));
            running.drain().await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_journal_that_knows_what_is_marked_is_not_lost() {
    let mut world = World::new();
    let running = world.run().await;
    world.spend(&running, "c1", "acme", 4).await;
    world.order().await;
    running.drain().await.unwrap();
    // As a version left it that wrote no such mark.
    let opened = crate::journal::Journal::open(&world.dir.path().join("data"), |_| unreachable!());
    opened.unwrap().journal.set_mark("compared", "").unwrap();
    *world.hand.marked.lock().unwrap() = Ok(vec!["ScaledObject/acme/api".into()]);
    let running = world.run().await;
    assert_eq!(until(&running, |_| true).await.ceiling, "enforce");
    running.drain().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_journal_observes_when_nobody_can_tell_what_is_marked() {
    let mut world = World::new();
    *world.hand.marked.lock().unwrap() = Err("no answer".into());
    let running = world.run().await;
    assert_eq!(until(&running, |_| true).await.ceiling, "observe");
    running.drain().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lease_raises_what_may_be_done_and_its_loss_ends_the_process() {
    let mut world = World::new();
    world.lead = Some(watch::channel(Leading::No("another holds it".into())).0);
    let mut running = world.run().await;
    let status = until(&running, |_| true).await;
    assert_eq!(
        (status.ceiling.as_str(), status.because.as_deref()),
        ("observe", Some("no Lease: another holds it"))
    );
    world.lead.as_ref().unwrap().send_replace(Leading::Yes);
    until(&running, |status| status.ceiling == "enforce" && status.because.is_none()).await;
    world.lead.as_ref().unwrap().send_replace(Leading::Lost("not renewed in time".into()));
    let ended = wait(running.broken()).await;
    assert!(matches!(&*ended, Ended::LeaseLost(why) if why == "not renewed in time"), "{ended}");
    running.drain().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_open_at_a_restart_waits_for_the_lease_and_is_not_refused_for_want_of_it() {
    let mut world = World::new();
    world.lead = Some(watch::channel(Leading::Yes).0);
    let running = world.run().await;
    world.spend(&running, "c1", "acme", 4).await;
    let order = world.order().await;
    running.drain().await.unwrap();
    world.lead = Some(watch::channel(Leading::No("the dead one holds it".into())).0);
    let running = world.run().await;
    // So many turns later it would long have been given again.
    let turn = until(&running, |_| true).await.turn;
    until(&running, |status| status.turn > turn + 5).await;
    assert!(world.orders.try_recv().is_err(), "the guard would have refused it");
    world.lead.as_ref().unwrap().send_replace(Leading::Yes);
    assert_eq!(world.order().await, order, "the same order, by its number");
    running.drain().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn other_limits_and_another_install_id_hold_from_the_next_start_on() {
    let mut world = World::new();
    world.ceiling = "observe";
    let running = world.run().await;
    running.drain().await.unwrap();
    let mut config = world.config();
    config.limits.on_time = Span::from_mins(1);
    config.install_id = "renamed".into();
    let deps = Deps {
        clock: world.clock.clone(),
        sources: vec![],
        ingest: None,
        actuator: None,
        messenger: world.mouth.clone(),
        levers: world.levers.clone(),
        letters: Box::new(Kept::default()),
        counted: Counted::default(),
        leading: None,
        compile,
        every: keeper::Every::default(),
        accept_lost_journal: false,
    };
    let running = App::new(config, deps).start().await.unwrap();
    let settings = running.handle.look(|engine, _| engine.settings().clone()).await.unwrap();
    assert_eq!(
        (&*settings.install, settings.on_time, settings.id_key),
        ("renamed", Span::from_mins(1), running.id_key)
    );
    running.drain().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_on_the_same_data_is_refused_while_the_first_runs() {
    let mut world = World::new();
    let running = world.run().await;
    let error = world.start().await.unwrap_err();
    assert!(error.to_string().contains("in use by another breakerbox"), "{error}");
    running.drain().await.unwrap();
    world.run().await.drain().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_are_made_while_it_runs_and_the_next_start_begins_at_one() {
    let mut world = World::new();
    let running = world.run().await;
    let snapshots = world.dir.path().join("data/snapshots");
    let mut n = 0;
    wait(async {
        while fs::read_dir(&snapshots).map_or(0, Iterator::count) == 0 {
            n += 1;
            world.clock.advance(Span::from_secs(2));
            world.spend(&running, &format!("c{n}"), "acme", 0).await;
        }
    })
    .await;
    let before = running.handle.look(|engine, _| engine.snapshot()).await.unwrap();
    assert!(!before.is_empty());
    running.drain().await.unwrap();
    let running = world.start().await.unwrap();
    let metrics = get(&running, "/metrics").await;
    assert!(!metrics.contains("breakerbox_snapshot_turn 0.0"), "{metrics}");
    assert!(metrics.contains("breakerbox_diverged_turn 0.0"), "{metrics}");
    running.drain().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_posture_says_is_journalled_as_a_fact() {
    let mut world = World::new();
    world.ceiling = "alert";
    let running = world.run().await;
    running.drain().await.unwrap();
    let opened = crate::journal::Journal::open(&world.dir.path().join("data"), |_| unreachable!()).unwrap();
    let started = opened.tail().unwrap().flatten().flat_map(|turn| turn.facts).find_map(|fact| match fact {
        Fact::Started(posture) => Some(posture),
        _ => None,
    });
    assert_eq!(started, Some(Posture { ceiling: Mode::Alert, because: None }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_and_its_end_are_followed_by_the_marker() {
    let mut world = World::new();
    let running = world.run().await;
    let daemon = Daemon::Socket(running.socket.clone());
    let freeze = Saying::Freeze { reason: "audit".into() };
    let unfreeze = Saying::Unfreeze {};
    let said: Said = daemon.post("/v1/commands", &freeze).await.unwrap();
    assert_eq!((said.refused, said.warning), (None, None));
    assert_eq!(*world.hand.marker.lock().unwrap(), Ok(true));
    daemon.post::<Said>("/v1/commands", &unfreeze).await.unwrap();
    assert_eq!(*world.hand.marker.lock().unwrap(), Ok(false));
    let said: Said = daemon.post("/v1/commands", &unfreeze).await.unwrap();
    assert_eq!(said.refused.as_deref(), Some("it was not frozen"));

    // Somebody froze without the daemon: its word ends that too.
    *world.hand.marker.lock().unwrap() = Ok(true);
    let said: Said = daemon.post("/v1/commands", &unfreeze).await.unwrap();
    assert_eq!(said.refused, None);

    *world.hand.marker.lock().unwrap() = Err("no answer".into());
    let said: Said = daemon.post("/v1/commands", &freeze).await.unwrap();
    assert!(said.refused.is_none() && said.warning.unwrap().contains("no answer"));
    let said: Said = daemon.post("/v1/commands", &unfreeze).await.unwrap();
    assert!(said.refused.unwrap().contains("still freezes: no answer"));
    running.drain().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn release_all_through_a_daemon_that_may_write_nothing_says_what_was_given_back_and_what_is_left() {
    let mut world = World::new();
    world.lead = Some(watch::channel(Leading::No("another holds it".into())).0);
    let running = world.run().await;
    let daemon = Daemon::Socket(running.socket.clone());
    let back = |object: &str, held: Option<&str>| GivenBack {
        object: format!("ScaledObject/acme/{object}"),
        held: held.map(str::to_owned),
    };
    let all = vec![back("api", None), back("web", None)];
    *world.hand.release.lock().unwrap() = Ok(all.clone());
    let said: Said = daemon.post("/v1/commands", &Saying::ReleaseAll {}).await.unwrap();
    assert_eq!((said.refused, said.released), (None, all));
    let some = vec![back("api", None), back("web", Some("it changes all the time"))];
    *world.hand.release.lock().unwrap() = Ok(some.clone());
    let said: Said = daemon.post("/v1/commands", &Saying::ReleaseAll {}).await.unwrap();
    assert_eq!(said.refused.as_deref(), Some("still held: ScaledObject/acme/web"));
    assert_eq!(said.released, some);
    *world.hand.release.lock().unwrap() = Err("no answer".into());
    let said: Said = daemon.post("/v1/commands", &Saying::ReleaseAll {}).await.unwrap();
    assert_eq!((said.refused.as_deref(), said.released.len()), (Some("no answer"), 0));
    assert!(until(&running, |_| true).await.freeze.is_some());
    running.drain().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_file_written_while_no_daemon_ran_freezes_the_next_one() {
    let mut world = World::new();
    let config = world.config();
    fs::create_dir_all(&config.data_dir).unwrap();
    fs::write(crate::marker::file(&config), "night shift (uid:0)\n").unwrap();
    let running = world.run().await;
    let status = until(&running, |_| true).await;
    assert!(status.freeze.unwrap().contains("night shift (uid:0)"));
    let daemon = Daemon::Socket(running.socket.clone());
    daemon.post::<Said>("/v1/commands", &Saying::Unfreeze {}).await.unwrap();
    running.drain().await.unwrap();
    let running = world.run().await;
    assert_eq!(until(&running, |_| true).await.freeze, None);
    running.drain().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_clusters_marker_says_is_heard_at_start_and_followed_to_its_end() {
    let mut world = World::new();
    *world.hand.marker.lock().unwrap() = Ok(true);
    let running = world.run().await;
    let status = until(&running, |_| true).await;
    assert!(status.freeze.unwrap().contains("night shift (alice)"), "from the start on");
    *world.hand.marker.lock().unwrap() = Err("no answer".into());
    until(&running, |status| status.freeze.is_some()).await;
    *world.hand.marker.lock().unwrap() = Ok(false);
    until(&running, |status| status.freeze.is_none()).await;
    // A person's freeze of the daemon does not end because the marker lacks it.
    let daemon = Daemon::Socket(running.socket.clone());
    let freeze = Saying::Freeze { reason: "audit".into() };
    daemon.post::<Said>("/v1/commands", &freeze).await.unwrap();
    *world.hand.marker.lock().unwrap() = Ok(false);
    let marker = crate::marker::FreezeMarker::new(&world.config(), Some(world.hand.clone()));
    marker.take_cluster(&running.handle).await.unwrap();
    assert!(until(&running, |_| true).await.freeze.unwrap().contains("audit"));
    running.drain().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_in_doubt_is_cleared_by_the_api_servers_and_by_none_that_says_otherwise() {
    let mut world = World::new();
    let running = world.run().await;
    // An hour forward, and the monotonic clock stands: somebody set it, or it was wrong before.
    let later = noon().plus(Span::from_hours(1));
    world.clock.set_wall(later);
    until(&running, |status| status.clock_doubt.is_some()).await;
    let judge = |said: Result<Timestamp, String>| {
        *world.hand.server_clock.lock().unwrap() = said;
        let (hand, clock, handle) = (world.hand.clone(), world.clock.clone(), running.handle.clone());
        async move { crate::server_clock::judge(&*hand, &*clock, &handle).await.unwrap() }
    };
    for wrong in [Err("no answer".to_owned()), Ok(noon()), Ok(later.plus(Span::from_secs(10)))] {
        judge(wrong).await;
        assert!(until(&running, |_| true).await.clock_doubt.is_some());
    }
    judge(Ok(later.minus(Span::from_secs(1)))).await;
    until(&running, |status| status.clock_doubt.is_none()).await;
    running.drain().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_back_without_the_daemon_is_not_stopped_again_by_it() {
    let mut world = World::new();
    let running = world.run().await;
    world.spend(&running, "c1", "acme", 4).await;
    let order = world.order().await;
    let took = Span::from_millis(100);
    let proven = ReceiptOutcome::Verified { signs: vec![], took };
    let receipt = Receipt { order: order.id, at: noon(), guard: vec![], outcome: proven };
    running.handle.receipt(receipt).await.unwrap();
    running.drain().await.unwrap();

    *world.hand.marker.lock().unwrap() = Ok(true);
    *world.hand.says.lock().unwrap() = "release --all (uid:0)".to_owned();
    let running = world.run().await;
    let back = world.order().await;
    assert!(matches!(back.effect, Effect::Restore { .. }), "{back:?}");
    let daemon = Daemon::Socket(running.socket.clone());
    daemon.post::<Said>("/v1/commands", &Saying::Unfreeze {}).await.unwrap();
    world.spend(&running, "c2", "acme", 1).await;
    let status = until(&running, |status| status.freeze.is_none()).await;
    assert_eq!(status.holds[0].state, "Restoring", "exempt for the window");
    running.drain().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_edges_are_told_what_was_stopped_and_delivered_before_the_restart() {
    let mut world = World::new();
    let running = world.run().await;
    world.spend(&running, "c1", "acme", 4).await;
    let order = world.order().await;
    let accepted = ReceiptOutcome::Accepted { resource_version: "7".into() };
    let receipt = Receipt { order: order.id, at: noon(), guard: vec![], outcome: accepted };
    running.handle.receipt(receipt).await.unwrap();
    let delivery = Delivery {
        key: "k".into(),
        receiver: "webhook".into(),
        thread: "t".into(),
        handle: None,
        at: noon(),
    };
    running.handle.delivered(delivery.clone()).await.unwrap();
    running.drain().await.unwrap();
    let running = world.run().await;
    assert_eq!(*world.hand.seeded.lock().unwrap(), [(order.target.clone(), order.issued_at)]);
    assert_eq!(*world.mouth.known.lock().unwrap(), [delivery]);
    running.drain().await.unwrap();
    world.clock.advance(Span::from_mins(11));
    let running = world.run().await;
    assert!(world.hand.seeded.lock().unwrap().is_empty(), "the guardrail's ten minutes are over");
    running.drain().await.unwrap();
}
