//! What the daemon as a whole may do, from what is configured and what is so (invariant 9).

use policy::fact::Posture;
use policy::rule::Mode;

/// Whether this process leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leading {
    /// Not, and why.
    No(String),
    /// It holds the Lease.
    Yes,
    /// It held the Lease and lost it: the process must end.
    Lost(String),
}

/// What decides the posture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Circumstances {
    /// The configured ceiling.
    pub configured: Mode,
    /// Why the journal cannot be trusted to know what is held, where it cannot.
    pub lost: Option<String>,
    /// First turn whose replay differed.
    pub diverged: Option<u64>,
    /// Whether we lead; none where there is nobody to share with.
    pub leading: Option<Leading>,
}

/// The posture under those circumstances. Messages go out in any; only what writes is held back.
#[must_use]
pub fn posture_of(is: &Circumstances) -> Posture {
    let held_back = |because: String| Posture { ceiling: Mode::Observe, because: Some(because) };
    if is.configured < Mode::Approve {
        return Posture { ceiling: is.configured, because: None };
    }
    if let Some(why) = &is.lost {
        return held_back(why.clone());
    }
    if let Some(turn) = is.diverged {
        return held_back(format!(
            "the replay of turn {turn} differs from what was done: what is held may not be what the engine \
             believes; compare `breakerbox status` with the cluster, and report it"
        ));
    }
    match &is.leading {
        Some(Leading::No(why) | Leading::Lost(why)) => held_back(format!("no Lease: {why}")),
        Some(Leading::Yes) | None => Posture { ceiling: is.configured, because: None },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn well(configured: Mode) -> Circumstances {
        Circumstances { configured, lost: None, diverged: None, leading: Some(Leading::Yes) }
    }

    #[test]
    fn enforcing_needs_the_lease_a_known_journal_and_a_replay_that_agrees() {
        assert_eq!(posture_of(&well(Mode::Enforce)), Posture { ceiling: Mode::Enforce, because: None });
        let alone = Circumstances { leading: None, ..well(Mode::Enforce) };
        assert_eq!(
            posture_of(&alone).ceiling,
            Mode::Enforce,
            "outside a cluster there is nobody to share with"
        );
        for (circumstances, word) in [
            (Circumstances { lost: Some("journal lost".into()), ..well(Mode::Enforce) }, "journal lost"),
            (Circumstances { diverged: Some(7), ..well(Mode::Enforce) }, "turn 7"),
            (
                Circumstances { leading: Some(Leading::No("another".into())), ..well(Mode::Approve) },
                "no Lease",
            ),
            (
                Circumstances { leading: Some(Leading::Lost("late".into())), ..well(Mode::Enforce) },
                "no Lease",
            ),
        ] {
            let posture = posture_of(&circumstances);
            assert_eq!(posture.ceiling, Mode::Observe, "{circumstances:?}");
            assert!(posture.because.unwrap().contains(word), "{circumstances:?}");
        }
    }

    #[test]
    fn what_never_writes_is_not_held_back() {
        for mode in [Mode::Observe, Mode::Alert] {
            let circumstances = Circumstances {
                lost: Some("x".into()),
                diverged: Some(1),
                leading: Some(Leading::No("x".into())),
                ..well(mode)
            };
            assert_eq!(posture_of(&circumstances), Posture { ceiling: mode, because: None });
        }
    }
}
