//! Text that must fit: Slack refuses a whole message for one character too many.
//!
//! Slack counts what it is sent, so text is escaped first and cut between characters, never inside an
//! entity. What is left out is said.

/// What `&`, `<` and `>` must be written as in Slack's mrkdwn (docs.slack.dev, "Formatting message text").
const fn entity(letter: char) -> Option<&'static str> {
    match letter {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        _ => None,
    }
}

/// Escaped for mrkdwn, at most `most` characters.
pub(super) fn escaped(text: &str, most: usize) -> String {
    cut(text, most, |letter, out| match entity(letter) {
        Some(entity) => out.push_str(entity),
        None => out.push(letter),
    })
}

/// Escaped for mrkdwn and whole; `None` where it would be longer.
pub(super) fn whole(text: &str, most: usize) -> Option<String> {
    let text = escaped(text, usize::MAX);
    (text.chars().count() <= most).then_some(text)
}

/// As it is, at most `most` characters, on one line.
pub(super) fn plain(text: &str, most: usize) -> String {
    cut(text, most, |letter, out| out.push(if letter.is_control() { ' ' } else { letter }))
}

/// Writes letter by letter; where the whole does not fit, as many as leave room for an ellipsis.
fn cut(text: &str, most: usize, write: impl Fn(char, &mut String)) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut length, mut keep) = (0, 0);
    for letter in text.chars() {
        let before = out.len();
        write(letter, &mut out);
        length += out[before..].chars().count();
        if length < most {
            keep = out.len();
        }
        if length > most {
            out.truncate(keep);
            out.push('…');
            return out;
        }
    }
    out
}

/// Lines (escaped already) that fit into `most` characters and `count` lines, with the number of those
/// left out.
pub(super) fn lines(lines: &[String], most: usize, count: usize) -> String {
    /// Room for "… and 4294967295 more".
    const TAIL: usize = 24;
    let mut out = String::new();
    let mut length = 0;
    for (at, line) in lines.iter().enumerate() {
        let long = line.chars().count() + 1;
        let last = at + 1 == lines.len();
        let room = if last { most } else { most.saturating_sub(TAIL) };
        if length + long > room || (at >= count && !last) || at > count {
            let left = lines.len() - at;
            return format!("{out}… and {left} more");
        }
        out.push_str(line);
        out.push('\n');
        length += long;
    }
    out.truncate(out.trim_end().len());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entity_is_never_cut_in_two() {
        for most in 1..40 {
            let text = escaped("a<b>&c <!channel> & more of it", most);
            assert!(text.chars().count() <= most, "{most}: {text}");
            let rest = text.replace("&lt;", "").replace("&gt;", "").replace("&amp;", "");
            assert!(!rest.contains(['&', '<', '>', ';']), "{most}: {text}");
        }
        assert_eq!(escaped("<!channel> & co", 100), "&lt;!channel&gt; &amp; co");
    }

    #[test]
    fn what_fits_exactly_is_whole_and_one_more_is_cut() {
        assert_eq!(plain(&"ä".repeat(150), 150).chars().count(), 150);
        assert!(!plain(&"ä".repeat(150), 150).contains('…'));
        let cut = plain(&"ä".repeat(151), 150);
        assert_eq!(cut.chars().count(), 150);
        assert!(cut.ends_with("ä…"));
    }

    #[test]
    fn lines_that_do_not_fit_are_counted() {
        let many: Vec<String> = (0..500).map(|n| format!("line {n}")).collect();
        let text = lines(&many, 3000, 20);
        assert_eq!(text.lines().count(), 21);
        assert!(text.ends_with("… and 480 more"), "{text}");
        let wide: Vec<String> = (0..500).map(|n| format!("line {n} {}", "x".repeat(900))).collect();
        let text = lines(&wide, 3000, 20);
        assert!(text.chars().count() <= 3000);
        assert!(text.ends_with("… and 497 more"), "{text}");
        assert_eq!(lines(&many[..2], 3000, 20), "line 0\nline 1");
    }

    #[test]
    fn one_line_over_the_count_is_shown_and_not_counted_out() {
        let few: Vec<String> = (0..4).map(|n| format!("line {n}")).collect();
        assert_eq!(lines(&few, 3000, 3), "line 0\nline 1\nline 2\nline 3");
        assert_eq!(lines(&few, 3000, 2), "line 0\nline 1\n… and 2 more");
    }
}
