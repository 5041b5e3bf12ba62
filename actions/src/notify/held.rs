//! What is said when a hold changes.
//!
//! This is where a wrong word costs most. `stopped` is said only when every object that the message lists
//! is proven at zero; an object that is not reads as `still runs`, whatever was ordered.

use policy::decision::HoldState;
use policy::inventory::ObjectKey;

use super::message::Action;
use super::scene::{Scene, Told, action, give_back};
use super::words;

pub(super) fn tell(scene: &Scene<'_>, target: &ObjectKey, to: HoldState, detail: &str) -> Told {
    let incomplete = detail.starts_with("restore incomplete");
    let (title, mut lines, actions, stops) = match to {
        HoldState::Ordered => (
            format!("{}: bringing {target} back to zero", scene.who),
            vec!["It is not proven to be at zero now.".to_owned()],
            give_back(scene),
            true,
        ),
        HoldState::Verified => (proven(scene, target, detail), Vec::new(), give_back(scene), true),
        HoldState::NotStopped => (
            format!("{} still runs: {target} is not at zero; {}", scene.who, scene.spent),
            vec!["It runs on and goes on spending.".to_owned()],
            vec![look(target), release(target)],
            false,
        ),
        HoldState::Contested => (
            format!("{} is contested: {target} is raised again and again; {}", scene.who, scene.spent),
            vec![
                "We reversed it twice and fight no longer: it may run and spend. Find who raises it."
                    .to_owned(),
            ],
            vec![look(target), release(target)],
            false,
        ),
        HoldState::Restoring if incomplete => (
            format!("{}: {target} is not back as it was", scene.who),
            vec!["It was given back, but not all of it has come back. It may need a person.".to_owned()],
            vec![look(target), release(target)],
            false,
        ),
        HoldState::Restoring => {
            (format!("{}: giving back {target}", scene.who), Vec::new(), Vec::new(), false)
        }
        HoldState::Released => (given_back(scene, target, detail), Vec::new(), Vec::new(), false),
    };
    if to.runs_on() {
        lines.push(words::costs(scene.who, &scene.notice.decision.why));
    }
    if !detail.is_empty() {
        lines.insert(0, format!("{target}: {detail}."));
    }
    Told { title, lines, targets: scene.held(), actions, stops }
}

/// All at zero, or how many of them.
fn proven(scene: &Scene<'_>, target: &ObjectKey, detail: &str) -> String {
    let all = scene.notice.targets.len();
    let at_zero = scene.notice.targets.iter().filter(|(_, state)| *state == HoldState::Verified).count();
    if all == 1 && detail.starts_with("already at zero") {
        format!("{} was at zero already, by somebody else: {}", scene.who, scene.spent)
    } else if at_zero == all {
        format!("{} stopped: {}", scene.who, scene.spent)
    } else {
        format!("{}: {target} is at zero, {at_zero} of {all} are; {}", scene.who, scene.spent)
    }
}

fn given_back(scene: &Scene<'_>, target: &ObjectKey, detail: &str) -> String {
    let others = scene.notice.targets.iter().any(|(_, state)| *state != HoldState::Released);
    match detail {
        "given back as it was" if !others => {
            let whole = scene.notice.decision.why.note.is_empty();
            match (whole, scene.notice.targets.len()) {
                (false, _) => format!("{} given back, but not all of it", scene.who),
                (true, 1) => format!("{} given back as it was: {target}", scene.who),
                (true, count) => format!("{} given back as it was: {count} objects", scene.who),
            }
        }
        "given back as it was" => format!("{}: {target} given back as it was", scene.who),
        _ => format!("{}: {target} is held no longer", scene.who),
    }
}

fn look(target: &ObjectKey) -> Action {
    action(
        "look at it",
        format!(
            "kubectl describe {} {} -n {}",
            target.kind.word().to_lowercase(),
            target.name,
            target.namespace
        ),
    )
}

fn release(target: &ObjectKey) -> Action {
    action("let it run for this window, and be told no more", format!("breakerbox release {}", target))
}
