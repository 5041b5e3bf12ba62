//! What AWS takes away, for people.

use policy::decision::{BreakerRef, DecisionKind, Severity, SpotDecision, Why};
use policy::rule::Mode;
use policy::spot::{Left, Loss, Plan, SpotKind, SpotNotice, Step};

use super::{Scene, at, notice, place};

/// What AWS takes away: with a deadline and somebody else who drains, and without one.
pub fn scenes() -> Vec<Scene> {
    let step = |act: &str| Left { act: act.into(), because: "Karpenter looks after this node".into() };
    let save = Step::Checkpoint { matching: vec![("app".into(), "train".into())], at: at("12:00:30") };
    let warned = Plan { steps: vec![save], left: vec![step("cordon"), step("drain")] };
    let kinds = [
        ("spot-interruption", SpotKind::Interruption(Loss::Terminate), warned, "node-1"),
        ("spot-hibernation", SpotKind::Interruption(Loss::Hibernate), Plan::default(), ""),
        ("spot-rebalance", SpotKind::Rebalance, Plan { steps: vec![Step::Cordon], left: vec![] }, "node-1"),
        ("spot-reservation", SpotKind::CapacityReservation(Loss::Stop), Plan::default(), "node-1"),
    ];
    let scenes = kinds.map(|(name, kind, plan, node)| {
        let severity = if kind == SpotKind::Rebalance { Severity::Info } else { Severity::Warning };
        let decided = SpotDecision {
            notice: SpotNotice {
                event: "1e5527d7-bb36-4607-3370-4164db56a40e".into(),
                kind,
                instance: "i-0123456789abcdef0".into(),
                account: "111122223333".into(),
                region: "us-east-1".into(),
                at: at("12:00:00"),
            },
            node: node.into(),
            pool: if node.is_empty() { "".into() } else { "gpu".into() },
            policy: "spot".into(),
            plan,
        };
        let mut told = notice(DecisionKind::Spot(Box::new(decided)), severity, "0");
        let now = told.decision.at;
        told.decision.mode = Mode::Alert;
        told.decision.why = Why {
            breaker: Some(BreakerRef { name: "spot/node-1".into(), start: now, end: now }),
            place: place(30),
            rules: "5f2c81d0".into(),
            prices: "bedrock-2026-08".into(),
            ..Why::default()
        };
        Scene { name: name.to_owned(), notice: told, budget: None, repeat: false }
    });
    scenes.into()
}
