//! The instants at which a crash is tried: before and after each write and each receipt.
//!
//! Without the feature `failpoints` they are nothing at all. With it, `FAILPOINTS=pause::after_apply=return(abort)`
//! ends the process there as a `kill -9` would: no destructor runs, nothing is flushed. The daemon has
//! instants of its own, by the same macro.

/// An instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point(&'static str);

/// Names instants, and lists them in `ALL`: a test goes through that list, so none can be forgotten.
#[macro_export]
macro_rules! failpoints {
    ($($name:ident = $text:literal: $doc:literal;)*) => {
        $(#[doc = $doc] pub const $name: $crate::failpoint::Point = $crate::failpoint::Point::new($text);)*
        /// All of them, for the tests that crash at each.
        pub const ALL: &[$crate::failpoint::Point] = &[$($name),*];
    };
}

failpoints! {
    PAUSE_BEFORE_PREPARED = "pause::before_prepared": "The prior state is read, and nowhere recorded.";
    PAUSE_AFTER_PREPARED = "pause::after_prepared": "The prior state is durable, nothing is written.";
    PAUSE_BEFORE_APPLY = "pause::before_apply": "The guard has said yes to the apply.";
    PAUSE_AFTER_APPLY = "pause::after_apply": "The API server has accepted the apply.";
    PAUSE_BEFORE_ACCEPTED = "pause::before_accepted": "The same, just before its receipt.";
    PAUSE_AFTER_ACCEPTED = "pause::after_accepted": "The receipt of the accepted apply is durable.";
    SCALE_BEFORE_WRITE = "scale::before_write": "The guard has said yes to the write of `/scale`.";
    SCALE_AFTER_WRITE = "scale::after_write": "The API server has accepted the write of `/scale`.";
    RAISE_BEFORE_ACCEPTED = "raise::before_accepted": "A raise is reversed, its receipt is not sent.";
    RAISE_AFTER_ACCEPTED = "raise::after_accepted": "The receipt of the reversal is durable.";
    RESTORE_BEFORE_APPLY = "restore::before_apply": "The guard has said yes to the release.";
    RESTORE_AFTER_APPLY = "restore::after_apply": "The API server has accepted the release.";
    RESTORE_BEFORE_ACCEPTED = "restore::before_accepted": "The same, just before its receipt.";
    RESTORE_AFTER_ACCEPTED = "restore::after_accepted": "The receipt of the accepted release is durable.";
    END_BEFORE_RECEIPT = "end::before_receipt": "What came of the order is known, and nowhere recorded.";
    END_AFTER_RECEIPT = "end::after_receipt": "The last receipt of the order is durable.";
}

impl Point {
    /// An instant of that name; for [`failpoints!`](crate::failpoints).
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// Its name, as `FAILPOINTS` takes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.0
    }

    /// Execution has come here.
    pub fn reached(self) {
        fail::fail_point!(self.0, |what: Option<String>| {
            if what.as_deref() == Some("abort") {
                // The one thing that is said: which of several ends of a process this was.
                eprintln!("failpoint {}", self.0);
                std::process::abort();
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_points_share_a_name() {
        let names: BTreeSet<_> = ALL.iter().map(|point| point.name()).collect();
        assert_eq!(names.len(), ALL.len());
    }
}
