//! Escaping of names and texts from outside: their content is shown, never interpreted.
//!
//! One function for each kind of output: [`visible`] for a name, [`lines`] for a whole output on a
//! terminal or in a log, [`json`] for a JSON document that is printed, [`markdown`] and [`html`] for documents.

/// Shows control characters, and characters that reverse or hide text, as visible escapes, on one line.
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = None;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if is_hidden(before, character, characters.peek().copied()) {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
        before = Some(character);
    }
    out
}

/// `1 word`, `2 words`: a count of something whose plural ends with an s.
pub fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Several lines, each [`visible`] except for tabs, none of which is a command to a CI system.
pub fn lines(text: &str) -> String {
    text.split('\n').map(|text| without_command(&line(text))).collect::<Vec<_>>().join("\n")
}

/// As [`lines`], for a text that starts within a line.
fn within_line(text: &str) -> String {
    match text.split_once('\n') {
        Some((rest, more)) => format!("{}\n{}", line(rest), lines(more)),
        None => line(text),
    }
}

/// One line, or a part of it that does not begin it: GitHub Actions and Azure Pipelines find `##[…` and `##vso[…` anywhere.
fn line(text: &str) -> String {
    let shown = text.split('\t').map(visible).collect::<Vec<_>>().join("\t");
    shown.replace("##[", "#\\u{23}[").replace("##vso[", "#\\u{23}vso[")
}

/// As [`lines`], for a text with colours that distill added (`ESC [ 1 ; 3 2 m`). Names in it must be [`visible`] already.
pub fn coloured(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let mut out = lines(parts.next().unwrap_or_default());
    for part in parts {
        match colour(part) {
            Some(end) => {
                out.push('\u{1b}');
                out.push_str(&part[..end]);
                out.push_str(&within_line(&part[end..]));
            }
            None => {
                out.push_str("\\u{1b}");
                out.push_str(&within_line(part));
            }
        }
    }
    out
}

/// Removes the colours that [`coloured`] keeps.
pub fn without_colours(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match colour(part) {
            Some(end) => out.push_str(&part[end..]),
            None => {
                out.push('\u{1b}');
                out.push_str(part);
            }
        }
    }
    out
}

/// End of the colour code at the start of a text after an escape character.
fn colour(after: &str) -> Option<usize> {
    let code = after.strip_prefix('[')?;
    let digits = code.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b';').count();
    code[digits..].starts_with('m').then_some(digits + 2)
}

/// A JSON document with hidden characters in strings escaped; its meaning is the same.
pub fn json(document: &str) -> String {
    let mut out = String::with_capacity(document.len());
    let mut before = None;
    let mut characters = document.chars().peekable();
    while let Some(character) = characters.next() {
        let is_layout = matches!(character, '\n' | '\t' | '\r');
        if !is_layout && is_hidden(before, character, characters.peek().copied()) {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(character);
        }
        before = Some(character);
    }
    // Between strings there is no `##[`, and in one this is the same character.
    out.replace("##[", "#\\u0023[").replace("##vso[", "#\\u0023vso[")
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
    // So that a log that shows the file contains no command either.
    out.replace("##[", "#&#35;[").replace("##vso[", "#&#35;vso[")
}

/// A whole line that does not begin with `::`, as a command to GitHub Actions does.
fn without_command(line: &str) -> String {
    let (space, rest) = line.split_at(line.len() - line.trim_start().len());
    match rest.strip_prefix("::") {
        Some(rest) => format!("{space}\\u{{3a}}:{rest}"),
        None => line.to_owned(),
    }
}

/// Whether a character has an invisible effect: control characters, changes of text direction, characters without width,
/// fillers that look like spaces.
fn is_hidden(before: Option<char>, character: char, after: Option<char>) -> bool {
    match character {
        // Persian, Indic scripts and emoji use these between two of their characters.
        '\u{200c}' | '\u{200d}' => !(is_joined(before) && is_joined(after)),
        _ => {
            character.is_control()
                || matches!(character,
                    '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
                    | '\u{180b}'..='\u{180f}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
                    | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}'
                    | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
        }
    }
}

/// Whether a joiner next to this character may be legitimate.
fn is_joined(character: Option<char>) -> bool {
    let is_plain = |c: char| c < '\u{590}' || ('\u{2000}'..='\u{206f}').contains(&c);
    character.is_some_and(|c| !is_plain(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_has_no_plural() {
        assert_eq!([0, 1, 2].map(|count| counted(count, "tag")), ["0 tags", "1 tag", "2 tags"]);
    }

    #[test]
    fn terminal_codes_and_reversed_text_become_visible() {
        assert_eq!(visible("a\u{1b}[31mb\n\u{202e}c"), r"a\u{1b}[31mb\n\u{202e}c");
        assert_eq!(
            visible("a\u{ad}\u{200b}\u{9b}\u{e0041}\u{3164}"),
            r"a\u{ad}\u{200b}\u{9b}\u{e0041}\u{3164}"
        );
        assert_eq!(visible("größe 漢字"), "größe 漢字");
    }

    #[test]
    fn joiners_are_shown_where_they_do_not_join() {
        let written = "می\u{200c}خواهم 👨\u{200d}👩 क्\u{200d}ष";
        assert_eq!(visible(written), written);
        assert_eq!(visible("po\u{200d}s \u{200c}"), r"po\u{200d}s \u{200c}");
        assert_eq!(visible("م\u{200c}\u{200c}م"), r"م\u{200c}\u{200c}م");
    }

    #[test]
    fn lines_stay_lines_and_no_line_is_a_command() {
        assert_eq!(lines("a\tb\n\r::error::x\n  ::warning::y"), "a\tb\n\\r::error::x\n  \\u{3a}:warning::y");
        assert_eq!(lines("::add-mask::x"), r"\u{3a}:add-mask::x");
        assert_eq!(lines("x ##[error]y ##vso[task]"), r"x #\u{23}[error]y #\u{23}vso[task]");
        assert_eq!(lines("a::b ##ing # 7"), "a::b ##ing # 7");
    }

    #[test]
    fn colours_pass_and_nothing_else_does() {
        let ours = "\u{1b}[1;32mPASSED\u{1b}[0m  x\n";
        assert_eq!(coloured(ours), ours);
        assert_eq!(coloured("\u{1b}[0m##[error]\n::error::"), "\u{1b}[0m#\\u{23}[error]\n\\u{3a}:error::");
        assert_eq!(without_colours(ours), "PASSED  x\n");
        assert_eq!(coloured("\u{1b}]0;title\u{7}\u{1b}[2J\u{1b}["), r"\u{1b}]0;title\u{7}\u{1b}[2J\u{1b}[");
    }

    #[test]
    fn a_printed_document_means_the_same() {
        let hostile = "\u{202e}\u{9b}31m\u{7f}\u{e0041}##[error]##vso[x]\u{1b}\n";
        let document = serde_json::json!({ hostile: [hostile] });
        let printed = json(&serde_json::to_string_pretty(&document).unwrap());
        assert_eq!(serde_json::from_str::<serde_json::Value>(&printed).unwrap(), document);
        assert!(printed.chars().all(|c| c == '\n' || (c.is_ascii() && !c.is_control())), "{printed}");
        assert!(!printed.contains("##["), "{printed}");
    }

    #[test]
    fn html_shows_markup_as_text() {
        let hostile = "\"><script>alert('x')</script>&\u{0}";
        assert_eq!(html(hostile), r"&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;\u{0}");
        assert_eq!(html("##[error]"), "#&#35;[error]");
    }

    #[test]
    fn markdown_shows_markup_as_text() {
        assert_eq!(markdown("<script>|`x`"), r"&lt;script&gt;\|\`x\`");
        assert_eq!(markdown("![a](b)\n# c"), r"!\[a\](b)\\n\# c");
    }
}
