//! Marks that nobody sees, made visible.
//!
//! A model's id, a charge's id and a refusal's words come from outside. A mark that turns the direction of
//! writing, or that has no width, makes one name look like another, and the person who reads it decides.

use super::message::Message;

/// Characters of no width, that turn the direction, or that look like nothing: Unicode's format characters,
/// its default ignorables, and blank letters.
const UNSEEN: [(char, char); 17] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{2028}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{2800}', '\u{2800}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fffb}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e0fff}'),
];

/// The text with each such mark written as `\u{202e}`; line ends stay.
pub(super) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_unseen(letter) {
            shown.extend(letter.escape_unicode());
        } else {
            shown.push(letter);
        }
    }
    shown
}

fn is_unseen(letter: char) -> bool {
    let control = letter.is_control() && letter != '\n';
    control || UNSEEN.iter().any(|(first, last)| (*first..=*last).contains(&letter))
}

impl Message {
    /// The same, with nothing in it that cannot be seen.
    pub(super) fn visible(mut self) -> Self {
        let lines = self.lines.iter_mut().chain(&mut self.charges);
        let values = self.fields.iter_mut().map(|field| &mut field.value);
        let words = self.targets.iter_mut().map(|target| &mut target.words);
        let actions = self.actions.iter_mut().flat_map(|a| [&mut a.what, &mut a.command]);
        let ends = [&mut self.title, &mut self.footer];
        for text in lines.chain(values).chain(words).chain(actions).chain(ends) {
            *text = visible(text);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_that_nobody_sees_are_written_out_and_letters_of_any_language_stay() {
        assert_eq!(visible("claude\u{202e}-4\u{200b}"), "claude\\u{202e}-4\\u{200b}");
        assert_eq!(visible("a\u{1b}[2J\nb"), "a\\u{1b}[2J\nb");
        for text in [
            "m\u{fc}ller",
            "\u{5317}\u{4eac}",
            "\u{5d0}\u{5d1}",
            "\u{928}\u{92e}\u{938}\u{94d}\u{924}\u{947}",
            "a\\b `c`",
        ] {
            assert_eq!(visible(text), text);
        }
    }

    #[test]
    fn the_table_is_in_order_so_that_a_gap_can_be_seen() {
        let bounds: Vec<char> = UNSEEN.iter().flat_map(|(first, last)| [*first, *last]).collect();
        assert!(bounds.is_sorted(), "{bounds:?}");
    }
}
