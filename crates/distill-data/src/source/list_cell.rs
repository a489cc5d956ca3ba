//! Lists as Python prints them into a cell: `['anger', 'fear']`, `[1, 0]`.

/// One value of such a list.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Item {
    /// Between quotation marks.
    Text(String),
    /// A number, as it is written.
    Number(String),
}

/// The values of a text that looks like a list; none where it does not.
///
/// # Errors
/// What keeps it from being read, where it looks like one.
pub(super) fn parse(text: &str) -> Option<Result<Vec<Item>, String>> {
    let text = text.trim();
    let inner = [('[', ']'), ('(', ')'), ('{', '}')]
        .into_iter()
        .find_map(|(open, close)| text.strip_prefix(open)?.strip_suffix(close))?
        .trim();
    let is_square = text.starts_with('[');
    let first = inner.chars().next();
    let has_comma = inner.contains(',');
    match first {
        None => Some(Ok(Vec::new())).filter(|_| is_square),
        // An object of JSON starts so too.
        Some('\'' | '"') => Some(items(inner)).filter(|found| is_square || found.is_ok()),
        // `(1)` may well be a name.
        Some(first) if first.is_ascii_digit() || first == '-' => {
            (is_square || has_comma).then(|| items(inner)).filter(|found| is_square || found.is_ok())
        }
        Some(_) if is_square && has_comma => Some(Err("its values have no quotation marks".to_owned())),
        Some(_) => None,
    }
}

fn items(mut rest: &str) -> Result<Vec<Item>, String> {
    let mut items = Vec::new();
    loop {
        let (item, after) = item(rest)?;
        items.push(item);
        rest = after.trim_start();
        match rest.strip_prefix(',').map(str::trim_start) {
            // Python writes `('a',)` for a tuple of one.
            Some("") => return Ok(items),
            Some(next) => rest = next,
            None if rest.is_empty() => return Ok(items),
            None => return Err("there is no comma between two values".to_owned()),
        }
    }
}

/// The first value, and what is behind it.
fn item(text: &str) -> Result<(Item, &str), String> {
    let Some(quote) = text.chars().next().filter(|first| ['\'', '"'].contains(first)) else {
        let end = text.find([',', ' ']).unwrap_or(text.len());
        return match text[..end].parse::<f64>() {
            Ok(number) if number.is_finite() => Ok((Item::Number(text[..end].to_owned()), &text[end..])),
            _ => Err(format!("{:?} is neither in quotation marks nor a number", &text[..end])),
        };
    };
    let mut value = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            _ if character == quote => return Ok((Item::Text(value), &text[at + 1..])),
            _ => value.push(character),
        }
    }
    Err("a quotation mark is never closed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<Item> {
        parse(text).unwrap().unwrap()
    }

    #[test]
    fn what_python_prints_is_a_list_and_a_name_in_brackets_is_none() {
        let text = |text: &str| Item::Text(text.to_owned());
        assert_eq!(names("['anger', \"it's\"]"), [text("anger"), text("it's")]);
        assert_eq!(names(r"['a\'b',]"), [text("a'b")]);
        assert_eq!(names(" [1, 0.0] "), [Item::Number("1".to_owned()), Item::Number("0.0".to_owned())]);
        assert_eq!((names("('a',)"), names("{'a'}"), names("[]")), (vec![text("a")], vec![text("a")], vec![]));
        for name in ["[UNK]", "(1)", "(other, unspecified)", "a [b]", "()", "", "[", "(3, maybe)", "{\"a\": 1}"]
        {
            assert_eq!(parse(name), None, "{name}");
        }
        for broken in ["['a' 'b']", "[1 0]", "[anger, fear]", "['a", "['a', b]"] {
            assert!(parse(broken).is_none_or(|found| found.is_err()), "{broken}");
        }
        assert!(parse("['a' 'b']").unwrap().unwrap_err().contains("no comma"));
    }
}
