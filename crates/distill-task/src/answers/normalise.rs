//! Answers as SQuAD compares them: in lower case, without ASCII punctuation, English articles and extra spaces.

use std::sync::LazyLock;

use regex::Regex;

/// What Python's `\w` matches next to an article: a letter or a number of any script, or `_`.
#[allow(clippy::expect_used)]
static WORD: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^[\p{L}\p{N}_]$").expect("the expression is a constant and valid"));

const ARTICLES: [&str; 3] = ["a", "an", "the"];

/// A text as SQuAD's `normalize_answer` returns it.
///
/// Source: the official evaluation scripts of SQuAD 1.1 and 2.0, which agree.
pub fn normalise(text: &str) -> String {
    let lower = text.to_lowercase();
    let kept: String = lower.chars().filter(|c| !c.is_ascii_punctuation()).collect();
    let without_articles = without_articles(&kept);
    let words: Vec<&str> = without_articles.split(is_space).filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

/// `re.sub(r"\b(a|an|the)\b", " ", text)`.
fn without_articles(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut before = None;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let (shown, taken) = article(before, rest).map_or((c, c.len_utf8()), |article| (' ', article.len()));
        kept.push(shown);
        before = rest[..taken].chars().next_back();
        rest = &rest[taken..];
    }
    kept
}

/// The article that `rest` begins with, as a whole word after `before`.
fn article(before: Option<char>, rest: &str) -> Option<&'static str> {
    let is_word_before = before.is_some_and(is_word);
    ARTICLES.into_iter().find(|article| {
        let after = rest.strip_prefix(article);
        after.is_some_and(|after| !is_word_before && !after.chars().next().is_some_and(is_word))
    })
}

fn is_word(c: char) -> bool {
    WORD.is_match(c.encode_utf8(&mut [0; 4]))
}

/// What Python's `str.split` splits at: also the four separators U+001C to U+001F.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_punctuation_articles_and_spaces_do_not_count() {
        assert_eq!(normalise(" The  U.S. (an\u{a0}ally) "), "us ally");
        assert_eq!(normalise("A theatre, another Ana"), "theatre another ana");
        // Punctuation goes first: what is left of it is one word, and an article is none inside of a word.
        assert_eq!(normalise("the-end a_b"), "theend ab");
        assert_eq!(normalise("an the a"), "");
        assert_eq!(normalise("a\u{1f}b"), "b");
    }

    #[test]
    fn what_a_word_is_follows_python() {
        // A vowel sign of Devanagari and a circled letter are no word characters there, superscripts are.
        assert_eq!(normalise("a\u{93e} x"), "\u{93e} x");
        assert_eq!(normalise("a\u{24d0}"), "\u{24d0}");
        assert_eq!(normalise("a\u{b2}"), "a\u{b2}");
        assert_eq!(normalise("été à the"), "été à");
    }
}
