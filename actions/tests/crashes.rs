//! A crash at each failpoint, then a new process that is given the same order: it comes to the same end,
//! the undo record is the first one, and nothing is written twice. (The points are crossed by a panic of
//! the order's task here; a true `kill -9` at each is a test of the daemon.)

mod world;

use std::time::Duration;

use actions::failpoint::{self, Point};
use actions::keda::Timing;
use actions::undo::PRIOR;
use policy::decision::{Effect, Order};
use policy::fact::PriorState;
use policy::inventory::ObjectKey;
use world::fake::{Fake, Keda};
use world::{Actor, kind, order};

fn quick() -> Timing {
    Timing {
        poll: Duration::from_millis(5),
        stop_deadline: Duration::from_millis(400),
        scale_grace: Duration::from_millis(10),
        restore_deadline: Duration::from_millis(400),
    }
}

fn target() -> ObjectKey {
    ObjectKey::scaled_object("shop", "agent")
}

/// Runs an order into a crash at a point, in a process of its own.
async fn crash_at(point: Point, fake: &Fake, order: Order) -> Actor {
    let before = Actor::new(fake.client(), quick());
    fail::cfg(point.name(), "1*panic").unwrap();
    before.dispatch.submit(order).unwrap();
    before.dispatch.idle().await;
    fail::remove(point.name());
    before
}

/// Carries an order out over a crash; gives back what the second process wrote down.
async fn over_a_crash(point: Point, fake: &Fake, order: Order) -> Actor {
    let id = order.id.0;
    let first = crash_at(point, fake, order.clone()).await;
    let ended = point == failpoint::END_AFTER_RECEIPT;
    let told = first.notebook.all().iter().any(|r| !matches!(kind(&r.outcome), "Prepared" | "Accepted"));
    assert_eq!(told, ended, "{} was not reached", point.name());
    let after = Actor::new(fake.client(), quick());
    let end = after.carry_out(order).await;
    assert_eq!(kind(&end.outcome), "Verified", "order {id} after {}: {end:?}", point.name());
    after
}

fn prior(fake: &Fake) -> PriorState {
    let object = fake.scaled_object("shop");
    serde_json::from_str(object["metadata"]["annotations"][PRIOR].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn a_crash_at_any_point_of_an_action_leaves_one_effect_that_can_be_undone() {
    let mut crossed = Vec::new();
    for point in failpoint::ALL {
        let name = point.name();
        let fake = Fake::start().await;
        let uid = fake.tenant("shop", 2);
        let before = fake.scaled_object("shop");
        let stop = order(1, &target(), &uid, Effect::PauseToZero);
        let back = order(2, &target(), &uid, Effect::Restore { prior: None });
        let of = |prefixes: &[&str]| prefixes.iter().any(|p| name.starts_with(p));

        if of(&["scale::"]) {
            fake.state().keda = Keda::Racy;
        }
        if of(&["pause::", "end::", "scale::"]) {
            over_a_crash(*point, &fake, stop).await;
            crossed.push(name);
        } else {
            Actor::new(fake.client(), quick()).carry_out(stop).await;
        }
        assert_eq!((fake.replicas("shop"), prior(&fake).replicas), (0, Some(2)), "{name}");
        let applies = fake.writes().iter().filter(|w| w.starts_with("PATCH")).count();
        assert_eq!(applies, 1, "{name}: the pause is written once");

        if of(&["raise::"]) {
            fake.state().scale_workload("shop", 3);
            let workload = "Deployment/shop/agent".parse().unwrap();
            let raise = order(3, &target(), &uid, Effect::ReverseRaise { workload });
            over_a_crash(*point, &fake, raise).await;
            crossed.push(name);
            assert_eq!((fake.replicas("shop"), prior(&fake).replicas), (0, Some(2)));
        }
        fake.state().keda = Keda::Prompt;
        if of(&["restore::"]) {
            over_a_crash(*point, &fake, back).await;
            crossed.push(name);
        } else {
            Actor::new(fake.client(), quick()).carry_out(back).await;
        }
        let after = fake.scaled_object("shop");
        assert_eq!(after["metadata"].get("annotations"), before["metadata"].get("annotations"), "{name}");
        assert_eq!((&after["spec"], fake.replicas("shop")), (&before["spec"], 2), "{name}");
    }
    let all: Vec<&str> = failpoint::ALL.iter().map(|point| point.name()).collect();
    assert_eq!(crossed, all, "every point was crossed");
}
