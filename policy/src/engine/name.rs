//! Names of breakers: one name for one breaker, whatever callers call themselves.
//!
//! A name holds what a label, a role or a caller said, and it is shown in messages, on terminals and in
//! commands that people paste. So it is made only of characters that neither a shell nor Slack's mrkdwn nor a
//! terminal reads: letters and digits of any language, `-`, and `_`, `.` and `@` between two of them. All else
//! is percent-encoded, here and once; whoever shows a name then need not ask where it came from. `%`, `/`, `=`
//! and `,` are never bare in a value: they encode, part fields, mark what is asserted, and part names.

use std::fmt::Write as _;

use crate::breaker::InstanceValue;
use crate::rule::Budget;
use crate::subject::Trust;

/// Stands for a value that is missing.
const UNATTRIBUTED: &str = "unattributed";
/// Stands behind a value that is only asserted.
const ASSERTED: &str = "=asserted";
/// Letters to Unicode that are shown as nothing: two names could look the same.
const BLANK_LETTERS: [char; 6] = ['\u{115f}', '\u{1160}', '\u{17b4}', '\u{17b5}', '\u{3164}', '\u{ffa0}'];

/// Name of a breaker: one name for one breaker, whatever the values contain.
pub(super) fn breaker_name(budget: &Budget, values: &[InstanceValue]) -> Box<str> {
    let mut name = String::from(&*budget.name);
    for value in values {
        name.push('/');
        match &value.value {
            None => name.push_str(UNATTRIBUTED),
            Some(text) => name.push_str(&encoded(text)),
        }
        if value.value.is_some() && value.trust == Trust::Asserted {
            name.push_str(ASSERTED);
        }
    }
    name.into()
}

/// A value as it stands in a name: what is encoded decodes to one value only.
pub(super) fn encoded(value: &str) -> String {
    if value == UNATTRIBUTED {
        return "%75nattributed".to_owned();
    }
    let mut name = String::with_capacity(value.len());
    let mut before = None;
    let mut letters = value.chars().peekable();
    while let Some(letter) = letters.next() {
        let mut inside = || before.is_some_and(is_plain) && letters.peek().copied().is_some_and(is_plain);
        if is_plain(letter) || letter == '-' || (matches!(letter, '_' | '.' | '@') && inside()) {
            name.push(letter);
        } else {
            for byte in letter.encode_utf8(&mut [0; 4]).bytes() {
                // Writing to a String cannot fail.
                let _ = write!(name, "%{byte:02x}");
            }
        }
        before = Some(letter);
    }
    name
}

/// A letter or digit that can be seen.
fn is_plain(letter: char) -> bool {
    letter.is_alphanumeric() && !BLANK_LETTERS.contains(&letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What callers have called themselves, or might.
    const NASTY: [&str; 26] = [
        "$(rm -rf ~)",
        "`reboot`",
        "a b",
        "\"a\"",
        "'a'",
        "a\nb",
        "a\u{1b}[2J",
        "a\u{202e}b",
        "a\u{200b}b",
        "\u{3164}",
        "<!channel>",
        "*b*",
        "_i_",
        "~s~",
        ":skull:",
        "@here",
        "..",
        "-rf",
        "a,b",
        "a=asserted",
        "a;b|c&d>e<f",
        "a?*[x]{y,z}!#^\\",
        "a/b",
        "a%2fb",
        "%75nattributed",
        "unattributed",
    ];

    #[test]
    fn no_value_can_take_another_breakers_name() {
        let plain = ["a", "a?", "x y", "a.b", ".a", "a_b", "_ab", "%61", "a\u{301}", "\u{e1}", ""];
        let mut names: Vec<String> = NASTY.iter().chain(&plain).map(|value| encoded(value)).collect();
        assert!(names.iter().all(|name| !name.contains('/') && name != UNATTRIBUTED), "{names:?}");
        names.sort();
        names.dedup();
        assert_eq!(names.len(), NASTY.len() + plain.len());
    }

    #[test]
    fn a_name_has_only_characters_that_no_shell_no_slack_and_no_terminal_reads() {
        for value in NASTY {
            let name = encoded(value);
            let safe = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '@' | '%');
            assert!(name.chars().all(safe), "{value:?}: {name}");
            assert!(!name.chars().any(|c| BLANK_LETTERS.contains(&c)), "{value:?}: {name}");
            let edge = |c: Option<char>| c.is_some_and(|c| matches!(c, '_' | '.' | '@'));
            assert!(!edge(name.chars().next()) && !edge(name.chars().next_back()), "{value:?}: {name}");
        }
    }

    #[test]
    fn people_can_read_the_names_of_all_who_call_themselves_by_letters() {
        for value in
            ["team-search_2", "ana@shop.example", "m\u{fc}ller", "\u{5317}\u{4eac}", "\u{5d0}\u{5d1}"]
        {
            assert_eq!(encoded(value), value);
        }
    }
}
