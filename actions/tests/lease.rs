//! Two candidates and one Lease, against the API server in memory with its optimistic concurrency.

mod world;

use std::sync::Arc;
use std::time::Duration;

use actions::lease::{Candidate, LeaseNews, LeaseSettings};
use actions::live::Live;
use actions::now::SystemNow;
use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use world::fake::Fake;

const PATH: &str = "/apis/coordination.k8s.io/v1/namespaces/breakerbox/leases/breakerbox";

struct Running {
    live: Arc<Live>,
    news: watch::Receiver<LeaseNews>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<(), actions::lease::LeaseLost>>,
}

fn start(fake: &Fake, holder: &str) -> Running {
    let live = Live::new();
    let mut settings = LeaseSettings::new("breakerbox", holder);
    settings.duration = Duration::from_secs(1);
    settings.every = Duration::from_millis(60);
    settings.request_timeout = Duration::from_millis(200);
    let (candidate, news) = Candidate::new(fake.client(), Arc::clone(&live), Arc::new(SystemNow), settings);
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(candidate.run(async move {
        let _ = stopped.await;
    }));
    Running { live, news, stop: Some(stop), task }
}

impl Running {
    async fn until(&mut self, wanted: impl Fn(&LeaseNews) -> bool) {
        let wait = self.news.wait_for(|news| wanted(news));
        tokio::time::timeout(Duration::from_secs(20), wait).await.expect("the news comes").expect("it runs");
    }
}

fn holder(fake: &Fake) -> Value {
    let object: Value = fake.state().object(PATH).expect("the Lease is there");
    object["spec"]["holderIdentity"].clone()
}

#[tokio::test]
async fn of_many_that_race_one_leads_and_when_it_stops_another_follows_at_once() {
    let fake = Fake::start().await;
    let mut all: Vec<Running> = ["a", "b", "c", "d"].map(|name| start(&fake, name)).into();
    for one in &mut all {
        one.until(|news| !matches!(news, LeaseNews::Unknown)).await;
    }
    let leading: Vec<usize> = (0..all.len()).filter(|i| all[*i].live.leads()).collect();
    assert_eq!(leading.len(), 1);
    let mut leader = all.swap_remove(leading[0]);
    let first = holder(&fake);
    leader.stop.take().unwrap().send(()).unwrap();
    leader.task.await.unwrap().unwrap();
    assert!(!leader.live.leads());
    let next = futures::future::select_all(
        all.iter_mut().map(|one| Box::pin(one.until(|news| *news == LeaseNews::Leading))),
    );
    next.await;
    assert_eq!(all.iter().filter(|one| one.live.leads()).count(), 1);
    assert_ne!(holder(&fake), first);
}

#[tokio::test]
async fn who_loses_the_lease_to_another_ends_and_leads_no_more() {
    let fake = Fake::start().await;
    let mut one = start(&fake, "a");
    one.until(|news| *news == LeaseNews::Leading).await;
    fake.state().edit(PATH, |lease| lease["spec"]["holderIdentity"] = json!("thief"));
    let lost = one.task.await.unwrap().unwrap_err();
    assert!(lost.to_string().contains("thief"), "{lost}");
    assert!(!one.live.leads());
    assert!(matches!(&*one.news.borrow(), LeaseNews::Lost { .. }));
}

#[tokio::test]
async fn who_cannot_renew_stops_leading_before_another_may_take_over() {
    let fake = Fake::start().await;
    let mut one = start(&fake, "a");
    one.until(|news| *news == LeaseNews::Leading).await;
    fake.state().read_only = true;
    let since = std::time::Instant::now();
    let lost = one.task.await.unwrap().unwrap_err();
    assert!(lost.to_string().contains("in time"), "{lost}");
    assert!(since.elapsed() < Duration::from_secs(1), "before its Lease of 1 s ran out");
    assert!(!one.live.leads());
}

#[tokio::test]
async fn a_lease_whose_holder_died_is_taken_only_once_it_stood_still_for_its_whole_duration() {
    let fake = Fake::start().await;
    // As old as can be by its own account: that account is not believed.
    let spec = json!({"holderIdentity": "dead", "leaseDurationSeconds": 1, "renewTime": "2020-01-01T00:00:00.000000Z"});
    fake.state().put(PATH, json!({"metadata": {"name": "breakerbox"}, "spec": spec}));
    let since = std::time::Instant::now();
    let mut one = start(&fake, "a");
    one.until(|news| *news == LeaseNews::Following { holder: "dead".to_owned() }).await;
    assert!(!one.live.leads());
    one.until(|news| *news == LeaseNews::Leading).await;
    assert!(since.elapsed() >= Duration::from_secs(1));
    assert_eq!(fake.state().object(PATH).unwrap()["spec"]["leaseTransitions"], 1);
}
