//! Names and texts from outside, made harmless: what they hold is shown, never obeyed.

/// Control characters, and those that turn or hide text, as visible escapes. For terminals and plain text.
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if is_hidden(character) { out.extend(character.escape_default()) } else { out.push(character) }
    }
    out
}

fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{e0000}'..='\u{e007f}')
}

/// Text inside Markdown, also inside a table cell.
pub fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in visible(text).chars() {
        match character {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '$' | '#' => {
                out.push('\\');
                out.push(character);
            }
            _ => out.push(character),
        }
    }
    out
}

/// Text inside HTML, SVG and XML, between tags or in a quoted attribute.
pub fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in visible(text).chars() {
        match character {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_codes_and_turned_text_become_visible() {
        assert_eq!(visible("a\u{1b}[31mb\n\u{202e}c"), r"a\u{1b}[31mb\n\u{202e}c");
        assert_eq!(visible("größe 漢字"), "größe 漢字");
    }

    #[test]
    fn html_shows_markup_as_text() {
        let hostile = "\"><script>alert('x')</script>&\u{0}";
        assert_eq!(html(hostile), r"&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;\u{0}");
    }

    #[test]
    fn markdown_shows_markup_as_text() {
        assert_eq!(markdown("<script>|`x`"), r"&lt;script&gt;\|\`x\`");
    }
}
