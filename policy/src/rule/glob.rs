//! Globs: `*` is any run of characters (also none), `?` any one character, all else itself.
//!
//! Nothing more on purpose: a class or a negation in a rule that stops production is a riddle. Iterative,
//! with one point to go back to, so the work is at most pattern × text and there is no recursion. It never
//! allocates.

/// Longest pattern that rules may have, in bytes. IAM role ARNs and label values are far below it.
pub(super) const MAX_PATTERN: usize = 512;

/// Whether `text` as a whole is what `pattern` says.
///
/// ```
/// assert!(policy::rule::glob_matches("team-*", "team-search"));
/// assert!(!policy::rule::glob_matches("team-*", "my-team-search"));
/// ```
#[must_use]
pub fn glob_matches(pattern: &str, text: &str) -> bool {
    let mut pattern = pattern.chars();
    let mut text = text.chars();
    // Where to go on when the rest does not fit: behind the last `*`, with one more character swallowed.
    let mut back: Option<(std::str::Chars<'_>, std::str::Chars<'_>)> = None;
    loop {
        let mut ahead = pattern.clone();
        match ahead.next() {
            Some('*') => {
                back = Some((ahead.clone(), text.clone()));
                pattern = ahead;
                continue;
            }
            Some(wanted) => {
                let mut rest = text.clone();
                if rest.next().is_some_and(|c| wanted == '?' || wanted == c) {
                    (pattern, text) = (ahead, rest);
                    continue;
                }
            }
            None if text.as_str().is_empty() => return true,
            None => {}
        }
        let Some((behind_star, swallowed)) = &mut back else { return false };
        if swallowed.next().is_none() {
            return false;
        }
        (pattern, text) = (behind_star.clone(), swallowed.clone());
    }
}

/// Whether the text has a glob character.
pub(super) fn is_glob(text: &str) -> bool {
    text.contains(['*', '?'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_run_and_a_question_mark_any_one_character() {
        for (pattern, text, want) in [
            ("acme", "acme", true),
            ("acme", "acme2", false),
            ("acme", "", false),
            ("", "", true),
            ("", "x", false),
            ("*", "", true),
            ("*", "anything/at:all", true),
            ("**", "", true),
            ("team-*", "team-", true),
            ("team-*", "xteam-a", false),
            ("*-prod", "a-prod-prod", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("?", "é", true),
            ("*é?", "caféx", true),
            ("a*", "b", false),
            ("[a]", "a", false),
            ("[a]", "[a]", true),
        ] {
            assert_eq!(glob_matches(pattern, text), want, "{pattern} on {text}");
        }
    }

    #[test]
    fn a_pattern_of_many_stars_over_a_long_text_is_soon_done() {
        let pattern = format!("{}b", "*a".repeat(MAX_PATTERN / 2 - 1));
        let text = "a".repeat(100_000);
        assert!(!glob_matches(&pattern, &text));
    }

    #[test]
    fn it_agrees_with_the_plain_recursive_definition_on_every_short_text() {
        fn plain(pattern: &[char], text: &[char]) -> bool {
            match pattern.split_first() {
                None => text.is_empty(),
                Some(('*', rest)) => (0..=text.len()).any(|skip| plain(rest, &text[skip..])),
                Some((c, rest)) => {
                    text.split_first().is_some_and(|(t, more)| (*c == '?' || c == t) && plain(rest, more))
                }
            }
        }
        let words = |alphabet: &[char], longest: u32| {
            let mut all = vec![vec![]];
            let mut last: Vec<Vec<char>> = vec![vec![]];
            for _ in 0..longest {
                last = last
                    .iter()
                    .flat_map(|w| alphabet.iter().map(|c| [w.as_slice(), &[*c]].concat()))
                    .collect();
                all.extend(last.iter().cloned());
            }
            all
        };
        let texts = words(&['a', 'b'], 5);
        for pattern in words(&['a', 'b', '*', '?'], 4) {
            for text in &texts {
                let (p, t): (String, String) = (pattern.iter().collect(), text.iter().collect());
                assert_eq!(glob_matches(&p, &t), plain(&pattern, text), "{p} on {t}");
            }
        }
    }
}
