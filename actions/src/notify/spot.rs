//! What is said when AWS will take an instance away. Nothing is done about it by us, and the words say so:
//! what a rule would do reads as `would`.

use policy::decision::SpotDecision;
use policy::spot::Step;

use super::scene::{Scene, Told};

pub(super) fn tell(scene: &Scene<'_>, spot: &SpotDecision) -> Told {
    let notice = &spot.notice;
    let title = match notice.deadline() {
        Some(deadline) => format!("{} {} by {deadline}", spot.place(), notice.kind.in_words()),
        None => format!("{} {}", spot.place(), notice.kind.in_words()),
    };
    let pool =
        if spot.pool.is_empty() { "an unknown pool".to_owned() } else { format!("pool {}", spot.pool) };
    let mut lines = vec![format!(
        "AWS said so at {} ({}, {} of {pool} in {}); decided at {}.",
        notice.at,
        notice.kind.word(),
        notice.instance,
        notice.region,
        scene.notice.decision.at
    )];
    if !spot.plan.steps.is_empty() {
        let steps: Vec<String> = spot.plan.steps.iter().map(Step::in_words).collect();
        lines.push(format!("Rule {} would: {}. breakerbox does none of it.", spot.policy, steps.join("; ")));
    }
    lines.extend(spot.plan.left.iter().map(|left| format!("No {}: {}.", left.act, left.because)));
    Told { title, lines, ..Told::default() }
}
