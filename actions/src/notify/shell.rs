//! Commands that people paste into a shell.
//!
//! A breaker's name holds what a label, a role or a caller said. The engine encodes what would make two
//! names equal, and leaves `$(…)`, `;` and quotes as they are: pasted bare, a tenant's name would run.

/// One word for a POSIX shell, whatever is in it.
pub(super) fn word(text: &str) -> String {
    let bare = |letter: char| letter.is_ascii_alphanumeric() || "-_./:@%+=,".contains(letter);
    if !text.is_empty() && text.chars().all(bare) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_plain_name_stays_as_people_write_it() {
        for text in ["tenant-daily/acme", "ScaledObject/checkout/api", "tenant-daily/a%20b", "t/a@b.example"]
        {
            assert_eq!(word(text), text);
        }
    }

    #[test]
    fn a_shell_reads_any_name_as_one_word_and_runs_nothing() {
        for text in [
            "tenant-daily/acme?",
            "tenant-daily/$(echo${IFS}ran)",
            "tenant-daily/`echo`;echo|ran&",
            "tenant-daily/'\"$HOME\\",
            "tenant-daily/~*[a]{b,c}!#<>é",
            "'",
            "",
        ] {
            let script = format!("printf '[%s]' {}", word(text));
            let output = Command::new("sh").arg("-c").arg(&script).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("[{text}]"), "{script}");
        }
    }
}
