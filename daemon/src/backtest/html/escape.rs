//! Names into a page, so that none of them can be more than text.

/// Text, also within quotes of an attribute.
pub(super) fn text(raw: &str) -> String {
    let mut safe = String::with_capacity(raw.len());
    for letter in raw.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            letter if letter.is_control() && letter != '\n' => safe.push('\u{fffd}'),
            letter => safe.push(letter),
        }
    }
    safe
}

/// JSON for an element of the page: nothing in it can end the element.
pub(super) fn json(raw: &str) -> String {
    raw.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_can_end_a_tag_an_attribute_or_a_script() {
        assert_eq!(
            text("<b a=\"x\" c='y'>&\u{1b}[0m"),
            "&lt;b a=&quot;x&quot; c=&#39;y&#39;&gt;&amp;\u{fffd}[0m"
        );
        let raw = serde_json::json!({"a": "</script><!--&"}).to_string();
        let safe = json(&raw);
        assert!(!safe.contains(['<', '>', '&']), "{safe}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).unwrap()["a"], "</script><!--&");
    }
}
