//! What is ours in a model card, and what a user wrote around it: that stays, however often the card is written.
//!
//! The text of a card stands between two marks, the first of which has the text's hash, so that a change between them is
//! noticed. The front matter cannot hold such marks: of its entries, `model-index` is ours, with its hash in a comment
//! above it; all others that are there stay as they are.

use distill_core::hash::bytes_hash;

const BEGIN: &str =
    "<!-- distill writes the text from here on again and again; write above this line or below the last mark. ";
const BEGIN_END: &str = " -->\n";
const END: &str = "<!-- Up to here. -->\n";
const INDEX: &str = "model-index";
const INDEX_MARK: &str = "# distill writes model-index again and again. ";
const FENCE: &str = "---\n";
/// Sections of cards that earlier versions wrote, which have no marks.
const OLD_SECTIONS: [&str; 4] = ["Results", "Training", "Use", "Limits"];
const MADE: &str = "Made by `distill ";
const WRITTEN: &str = "\nWritten by distill ";

/// Whose a card is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Card {
    /// Its marks stand, and what is between them is as it was written; or an earlier version wrote it.
    Ours,
    /// It has our marks, but what is between them was changed, or one is missing.
    Changed,
    /// It has none.
    Users,
}

/// A card in parts.
#[derive(Debug, Default, PartialEq, Eq)]
struct Parts {
    /// Entries of the front matter, each with the comments above it.
    front: Vec<(String, String)>,
    above: String,
    ours: String,
    below: String,
    is_changed: bool,
    is_ours: bool,
}

/// Whose a card is.
pub fn whose(card: &str) -> Card {
    let parts = Parts::of(card);
    match (parts.is_ours, parts.is_changed) {
        (_, true) => Card::Changed,
        (true, false) => Card::Ours,
        (false, false) => Card::Users,
    }
}

/// The part of a card that is ours; all of it where it has no marks.
pub fn ours(card: &str) -> String {
    Parts::of(card).ours
}

/// A new card with its marks.
pub fn mark(card: &str) -> String {
    let new = Parts::of(card);
    Parts { ours: new.ours, front: new.front, ..Parts::default() }.written()
}

/// A new card with what a user wrote around the old one; none where the old one is not ours to write.
pub fn update(old: &str, card: &str) -> Option<String> {
    let (kept, new) = (Parts::of(old), Parts::of(card));
    if !kept.is_ours || kept.is_changed {
        return None;
    }
    let mut front: Vec<(String, String)> = kept.front.into_iter().filter(|(key, _)| key != INDEX).collect();
    for (key, text) in new.front {
        if key == INDEX || !front.iter().any(|(known, _)| *known == key) {
            front.push((key, text));
        }
    }
    // Comments at the end belong to no entry.
    front.sort_by_key(|(key, _)| key.is_empty());
    Some(Parts { front, above: kept.above, ours: new.ours, below: kept.below, ..Parts::default() }.written())
}

impl Parts {
    fn of(card: &str) -> Self {
        let (front, body) = split_front(card);
        let mut parts = Parts { front: entries(front), ..Parts::default() };
        if let Some((above, rest)) = body.split_once(BEGIN) {
            parts.marked(above, rest);
        } else if body.contains(END.trim_end()) {
            (parts.ours, parts.is_changed) = (body.to_owned(), true);
        } else {
            parts.unmarked(body);
        }
        let index = parts.front.iter_mut().find(|(key, _)| key == INDEX);
        if let Some((_, text)) = index
            && let Some((before, rest)) = text.split_once(INDEX_MARK)
            && let Some((hash, entry)) = rest.split_once('\n')
        {
            parts.is_changed |= hash != short_hash(entry);
            *text = format!("{before}{entry}");
        }
        parts
    }

    fn marked(&mut self, above: &str, rest: &str) {
        let whole = rest.split_once(BEGIN_END).and_then(|(hash, rest)| {
            let (ours, below) = rest.split_once(END)?;
            Some((hash, ours, below))
        });
        match whole {
            Some((hash, ours, below)) if !below.contains(BEGIN) => {
                (self.above, self.ours, self.below) = (above.to_owned(), ours.to_owned(), below.to_owned());
                self.is_ours = true;
                self.is_changed = hash != short_hash(ours);
            }
            _ => (self.ours, self.is_changed) = (rest.to_owned(), true),
        }
    }

    /// A card of an earlier version: sections that it did not write, and what stands behind its last line, are the
    /// user's.
    fn unmarked(&mut self, body: &str) {
        self.is_ours = body.contains(MADE) || body.contains(WRITTEN);
        let mut is_users = false;
        let mut has_ended = false;
        for line in body.split_inclusive('\n') {
            if let Some(title) = line.strip_prefix("## ") {
                is_users = self.is_ours && !OLD_SECTIONS.contains(&title.trim());
            }
            let is_last = line.starts_with(&WRITTEN[1..]);
            let part = if (is_users || has_ended) && !is_last { &mut self.below } else { &mut self.ours };
            part.push_str(line);
            has_ended |= self.is_ours && is_last;
        }
    }

    fn written(&self) -> String {
        let mut out = String::new();
        if !self.front.is_empty() {
            out.push_str(FENCE);
            for (key, text) in &self.front {
                if key == INDEX {
                    out.push_str(&format!("{INDEX_MARK}{}\n", short_hash(text)));
                }
                out.push_str(text);
            }
            out.push_str(FENCE);
        }
        out.push_str(&self.above);
        if !out.is_empty() && !out.ends_with('\n') {
            out.push('\n');
        }
        let end = if self.ours.ends_with('\n') { "" } else { "\n" };
        let ours = format!("{}{end}", self.ours);
        out.push_str(&format!("{BEGIN}{}{BEGIN_END}{ours}{END}{}", short_hash(&ours), self.below));
        out
    }
}

fn short_hash(text: &str) -> String {
    bytes_hash(text.as_bytes()).chars().take(16).collect()
}

/// The front matter without its fences, and the rest.
fn split_front(card: &str) -> (&str, &str) {
    let Some(rest) = card.strip_prefix(FENCE) else { return ("", card) };
    if let Some(body) = rest.strip_prefix(FENCE) {
        return ("", body);
    }
    match rest.find("\n---\n") {
        Some(end) => (&rest[..=end], &rest[end + 1 + FENCE.len()..]),
        None => ("", card),
    }
}

/// The entries at the top level of YAML, as text.
fn entries(front: &str) -> Vec<(String, String)> {
    let mut entries: Vec<(String, String)> = Vec::new();
    let mut waiting = String::new();
    for line in front.split_inclusive('\n') {
        let key = line.split_once(':').map(|(key, _)| key).filter(|key| {
            !key.is_empty()
                && key.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
                && !key.starts_with('-')
        });
        match (key, entries.last_mut()) {
            (Some(key), _) => entries.push((key.to_owned(), std::mem::take(&mut waiting) + line)),
            (None, _) if line.starts_with('#') || line.trim().is_empty() => waiting.push_str(line),
            (None, Some((_, text))) => {
                text.push_str(&std::mem::take(&mut waiting));
                text.push_str(line);
            }
            (None, None) => waiting.push_str(line),
        }
    }
    if !waiting.is_empty() {
        entries.push((String::new(), waiting));
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRAINED: &str = "---\nlibrary_name: transformers\npipeline_tag: text-classification\n---\n\n# Text classifier\n\n\
                           Made by `distill student` over 9 rows.\n";
    const REPORT: &str = "---\nlibrary_name: transformers\ntags: [a]\nmodel-index:\n- name: x\n  results: []\n---\n\n\
                          # student\n\n## Results\n\n0.9\n\n## Training\n\nMade by `distill student` over 9 rows.\n\n\
                          Written by distill 0.2 from its report.\n";

    #[test]
    fn what_a_user_wrote_around_a_card_stays_however_often_it_is_written() {
        let first = mark(TRAINED);
        assert_eq!(whose(&first), Card::Ours);
        let mine = "license: mit # ours\nmodel-owner:\n  - me\n---\nRead the notes.\n\n<!--";
        let noted = first.replacen("---\n<!--", mine, 1) + "\n## My notes\n\nUse it well.\n";
        assert_eq!(whose(&noted), Card::Ours);
        let filled = update(&noted, REPORT).unwrap();
        let again = update(&filled, REPORT).unwrap();
        assert_eq!(filled, again);
        for text in [
            "license: mit # ours",
            "model-owner:\n  - me\n",
            "Read the notes.",
            "## My notes\n\nUse it well.\n",
        ] {
            assert_eq!(again.matches(text).count(), 1, "{text}\n{again}");
        }
        for text in ["## Results", "tags: [a]", "pipeline_tag", "model-index:\n- name: x"] {
            assert_eq!(again.matches(text).count(), 1, "{text}\n{again}");
        }
        assert!(!again.contains("# Text classifier"));
        // A model that is trained again has no figures yet.
        let trained = update(&again, TRAINED).unwrap();
        assert!(
            !trained.contains("model-index:")
                && trained.contains("license: mit")
                && trained.contains("My notes")
        );
    }

    #[test]
    fn a_card_that_was_changed_between_the_marks_is_not_written() {
        let card = mark(REPORT);
        let index = card.replace("- name: x", "- name: mine");
        let end = card.replace(END, "");
        let begin = card.replace(BEGIN, "");
        for changed in [card.replace("0.9", "0.99"), index, end, begin, format!("{card}{card}")] {
            assert_eq!(whose(&changed), Card::Changed, "{changed}");
            assert_eq!(update(&changed, TRAINED), None);
        }
        assert_eq!(whose("# Mine\n"), Card::Users);
        assert_eq!(update("# Mine\n", REPORT), None);
    }

    #[test]
    fn a_card_of_an_earlier_version_keeps_sections_that_it_did_not_write() {
        let old =
            REPORT.replace("\n## Training", "\n## Licence\n\nMine.\n\n## Training") + "\nThanks to all.\n";
        let new = update(&old.replace("tags:", "license: mit\ntags:"), REPORT).unwrap();
        for text in
            ["## Licence\n\nMine.\n", "Thanks to all.", "license: mit", "## Results", "Written by distill"]
        {
            assert_eq!(new.matches(text).count(), 1, "{text}\n{new}");
        }
        assert_eq!(whose(&new), Card::Ours);
        assert!(ours(&new).contains("## Training\n\nMade by"));
    }
}
