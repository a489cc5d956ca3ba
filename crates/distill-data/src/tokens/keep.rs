//! Which tokens a part of a vocabulary has, and its `tokenizer.json`.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::moved::Form;

/// Code points of a range whose characters are kept together: a script, or a part of one.
const RANGE: u32 = 128;

/// The vocabulary in a `tokenizer.json`.
pub(super) struct Model {
    kind: Kind,
    /// Tokens of the vocabulary by their ids.
    tokens: BTreeMap<u32, String>,
    /// Ids of the tokens that are added to it, those of the vocabulary among them, and of those around texts.
    special: BTreeSet<u32>,
    byte_fallback: bool,
}

enum Kind {
    WordPiece,
    Bpe { merges: Vec<(String, String)>, ranks: BTreeMap<(String, String), usize>, ids: BTreeMap<String, u32> },
    Unigram { scores: Vec<f64>, unknown: Option<u32> },
}

impl Model {
    /// # Errors
    /// In words, for a vocabulary of another kind or form.
    pub fn read(json: &Value) -> Result<Self, String> {
        let (kind, tokens) = vocabulary(&json["model"])?;
        let id_of = |id: &Value| id.as_u64().and_then(|id| u32::try_from(id).ok());
        let added = json["added_tokens"].as_array().into_iter().flatten();
        let added: Option<BTreeSet<u32>> = added.map(|token| id_of(&token["id"])).collect();
        let mut special = added.ok_or("an added token has no id")?;
        ids_around(&mut json["post_processor"].clone(), &mut |id| special.extend(id_of(id)));
        let byte_fallback = json["model"]["byte_fallback"] == true;
        Ok(Model { kind, tokens, special, byte_fallback })
    }

    /// Kept tokens in the order of their new ids: those of the vocabulary, then those that are only added.
    pub fn order(&self, kept: &BTreeSet<u32>) -> Vec<u32> {
        let own = kept.iter().filter(|id| self.tokens.contains_key(id));
        let added = kept.iter().filter(|id| !self.tokens.contains_key(id));
        own.chain(added).copied().collect()
    }

    /// Writes the part of the vocabulary whose tokens have new ids.
    ///
    /// # Errors
    /// In words, where something refers to a token that is not kept.
    pub fn write(&self, json: &mut Value, ids: &BTreeMap<u32, u32>) -> Result<(), String> {
        let kept = || self.tokens.iter().filter(|(id, _)| ids.contains_key(id));
        let renumbered = || -> Value { kept().map(|(id, token)| (token.clone(), json!(ids[id]))).collect() };
        let model = &mut json["model"];
        match &self.kind {
            Kind::WordPiece => model["vocab"] = renumbered(),
            Kind::Bpe { merges, .. } => {
                let known: BTreeSet<&str> = kept().map(|(_, token)| token.as_str()).collect();
                let is_whole = |(left, right): &&(String, String)| {
                    let merged = format!("{left}{right}");
                    [left, right, &merged].into_iter().all(|token| known.contains(token.as_str()))
                };
                let merges: Vec<Value> =
                    merges.iter().filter(is_whole).map(|(left, right)| json!([left, right])).collect();
                model["vocab"] = renumbered();
                model["merges"] = merges.into();
            }
            Kind::Unigram { scores, unknown } => {
                let pieces = kept().map(|(id, piece)| json!([piece, scores[*id as usize]]));
                model["vocab"] = pieces.collect::<Vec<_>>().into();
                model["unk_id"] = json!(unknown.and_then(|id| ids.get(&id)));
            }
        }
        let mut lost = None;
        let mut renumber = |id: &mut Value| match id.as_u64().and_then(|id| ids.get(&u32::try_from(id).ok()?)) {
            Some(new) => *id = (*new).into(),
            None => lost = Some(id.to_string()),
        };
        if let Some(added) = json["added_tokens"].as_array_mut() {
            added.iter_mut().for_each(|token| renumber(&mut token["id"]));
            added.sort_by_key(|token| token["id"].as_u64());
        }
        ids_around(&mut json["post_processor"], &mut renumber);
        lost.map_or(Ok(()), |id| Err(format!("token {id} is used and not in the vocabulary")))
    }

    /// A token with all that it is merged of.
    fn with_parts(&self, id: u32) -> Vec<u32> {
        let (Kind::Bpe { ranks, ids, .. }, Some(token)) = (&self.kind, self.tokens.get(&id)) else {
            return vec![id];
        };
        let mut parts: Vec<String> = token.chars().map(|character| character.to_string()).collect();
        let mut all: BTreeSet<u32> =
            [id].into_iter().chain(parts.iter().filter_map(|part| ids.get(part).copied())).collect();
        loop {
            let rank = |at: usize| ranks.get(&(parts[at].clone(), parts[at + 1].clone())).copied();
            let first = (0..parts.len().saturating_sub(1)).filter_map(|at| Some((rank(at)?, at))).min();
            let Some((_, at)) = first else { return all.into_iter().collect() };
            let right = parts.remove(at + 1);
            parts[at].push_str(&right);
            all.extend(ids.get(&parts[at]).copied());
        }
    }

    /// Pieces without which others would be cut differently.
    fn fixed(&self) -> Vec<u32> {
        let is_byte = |token: &&String| token.len() == 6 && token.starts_with("<0x") && token.ends_with('>');
        let bytes =
            self.tokens.iter().filter(|(_, token)| self.byte_fallback && is_byte(token)).map(|(id, _)| *id);
        let lowest = match &self.kind {
            // An unknown character costs what the least likely piece does, and more.
            Kind::Unigram { scores, .. } => {
                (0..).zip(scores).min_by(|left, right| left.1.total_cmp(right.1)).map(|(id, _)| id)
            }
            _ => None,
        };
        let unknown = if let Kind::Unigram { unknown, .. } = &self.kind { *unknown } else { None };
        bytes.chain(lowest).chain(unknown).collect()
    }
}

/// What is kept of a vocabulary.
pub(super) struct Keep<'a> {
    pub model: &'a Model,
    /// How its tokens say characters.
    pub form: Form,
    /// How often each token occurs.
    pub counts: &'a [u64],
    /// Tokens with a role.
    pub roles: BTreeSet<u32>,
}

impl Keep<'_> {
    /// What cannot be left out: special and added tokens, and the characters of the texts by themselves.
    pub fn required(&self) -> BTreeSet<u32> {
        let used = self.characters();
        let mut kept: BTreeSet<u32> = self.roles.union(&self.model.special).copied().collect();
        kept.extend(self.model.fixed());
        kept.extend(self.single(|character| used.contains(&character)));
        kept
    }

    /// What is kept: all that occurs and the characters that lie near, or of a size the most frequent tokens, then those
    /// characters, then the first others. `kept` is what cannot be left out.
    pub fn chosen(&self, mut kept: BTreeSet<u32>, size: Option<usize>) -> BTreeSet<u32> {
        let mut occurring: Vec<u32> =
            (0..).zip(self.counts).filter(|(_, count)| **count > 0).map(|(id, _)| id).collect();
        occurring.sort_by_key(|id| (Reverse(self.counts[*id as usize]), *id));
        let ranges: BTreeSet<u32> = self.characters().into_iter().map(|c| u32::from(c) / RANGE).collect();
        let near = self.single(|character| ranges.contains(&(u32::from(character) / RANGE)));
        // BERT's `[unused7]` says nothing.
        let others =
            self.model.tokens.iter().filter(|(_, token)| !token.starts_with("[unused")).map(|(id, _)| *id);
        let others = others.filter(|_| size.is_some());
        for id in occurring.into_iter().chain(near).chain(others) {
            let mut parts = self.model.with_parts(id);
            parts.retain(|part| !kept.contains(part));
            if size.is_none_or(|size| kept.len() + parts.len() <= size) {
                kept.extend(parts);
            }
        }
        kept
    }

    /// The characters of the tokens that occur.
    fn characters(&self) -> BTreeSet<char> {
        let occurring = self
            .model
            .tokens
            .iter()
            .filter(|(id, _)| self.counts.get(**id as usize).is_some_and(|count| *count > 0));
        occurring
            .filter_map(|(_, token)| self.form.surface(token))
            .flat_map(|surface| surface.text.chars().collect::<Vec<_>>())
            .collect()
    }

    /// Tokens of one character that is wanted, or of a byte.
    fn single(&self, is_wanted: impl Fn(char) -> bool) -> Vec<u32> {
        let is_single = |token: &str| {
            if self.form.is_byte(token) {
                return true;
            }
            let Some(surface) = self.form.surface(token) else { return false };
            let mut characters = surface.text.chars();
            match (characters.next(), characters.next()) {
                (Some(only), None) => is_wanted(only),
                // A space alone.
                (None, _) => true,
                _ => false,
            }
        };
        self.model.tokens.iter().filter(|(_, token)| is_single(token)).map(|(id, _)| *id).collect()
    }
}

/// Kind and tokens of a `model`.
fn vocabulary(model: &Value) -> Result<(Kind, BTreeMap<u32, String>), String> {
    match model["type"].as_str().unwrap_or_default() {
        "WordPiece" => Ok((Kind::WordPiece, numbered(&model["vocab"])?)),
        "BPE" => {
            let is_there = |key: &&str| model[*key].as_str().is_some_and(|affix| !affix.is_empty());
            let affix = ["continuing_subword_prefix", "end_of_word_suffix"].into_iter().find(is_there);
            if let Some(affix) = affix {
                return Err(format!("a BPE vocabulary with a {affix} cannot be made smaller"));
            }
            let merges = model["merges"].as_array().into_iter().flatten().map(pair);
            let merges: Option<Vec<(String, String)>> = merges.collect();
            let merges = merges.ok_or("a merge is not two tokens")?;
            let tokens = numbered(&model["vocab"])?;
            let ranks = merges.iter().cloned().zip(0..).collect();
            let ids = tokens.iter().map(|(id, token)| (token.clone(), *id)).collect();
            Ok((Kind::Bpe { merges, ranks, ids }, tokens))
        }
        "Unigram" => {
            let pieces: Vec<(String, f64)> =
                serde_json::from_value(model["vocab"].clone()).map_err(|error| error.to_string())?;
            let unknown = model["unk_id"].as_u64().and_then(|id| u32::try_from(id).ok());
            let scores = pieces.iter().map(|(_, score)| *score).collect();
            let tokens = (0..).zip(pieces).map(|(id, (piece, _))| (id, piece)).collect();
            Ok((Kind::Unigram { scores, unknown }, tokens))
        }
        other => Err(format!("a vocabulary of type {other:?} cannot be made smaller")),
    }
}

/// Tokens by their ids.
fn numbered(vocab: &Value) -> Result<BTreeMap<u32, String>, String> {
    let tokens: BTreeMap<String, u32> =
        serde_json::from_value(vocab.clone()).map_err(|error| format!("model.vocab: {error}"))?;
    Ok(tokens.into_iter().map(|(token, id)| (id, token)).collect())
}

/// A merge as a list of two tokens, or as a text with a space between them.
fn pair(merge: &Value) -> Option<(String, String)> {
    let of = |left: &str, right: &str| (left.to_owned(), right.to_owned());
    match merge {
        Value::String(merge) => merge.split_once(' ').map(|(left, right)| of(left, right)),
        other => Some(of(other[0].as_str()?, other[1].as_str()?)),
    }
}

/// Visits the ids in a post-processor, or in those of a sequence.
fn ids_around(part: &mut Value, visit: &mut dyn FnMut(&mut Value)) {
    if let Some(parts) = part["processors"].as_array_mut() {
        parts.iter_mut().for_each(|part| ids_around(part, visit));
    }
    for name in ["sep", "cls"] {
        if let Some(id) = part.get_mut(name).and_then(|token| token.get_mut(1)) {
            visit(id);
        }
    }
    for token in part
        .get_mut("special_tokens")
        .and_then(Value::as_object_mut)
        .into_iter()
        .flat_map(|map| map.values_mut())
    {
        token["ids"].as_array_mut().into_iter().flatten().for_each(&mut *visit);
    }
}
