//! Special and added tokens, from all of the files that may name them.
//!
//! Source: `PreTrainedTokenizerBase._from_pretrained` and `TokenizersBackend.__init__` of `transformers` 5.23.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use tokenizers::{AddedToken, Tokenizer};

use super::class::Class;

/// Names of the special tokens, in the order in which `transformers` adds them.
pub(super) const NAMES: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// Tokens beyond the vocabulary's, and those with a meaning.
#[derive(Debug, Default)]
pub(super) struct SpecialTokens {
    /// By name: those of [`NAMES`], then others whose key ends in `_token`.
    named: Vec<(String, AddedToken)>,
    /// `extra_special_tokens` or `additional_special_tokens`.
    extra: Vec<AddedToken>,
    /// Those of them that no file gives, but the class.
    defaults: BTreeSet<String>,
    /// By the id that a file gives them; only the order of the ids counts.
    decoder: BTreeMap<i64, AddedToken>,
}

/// The files that name tokens, as JSON objects.
pub(super) struct TokenFiles<'a> {
    /// `tokenizer_config.json`
    pub config: &'a Map<String, Value>,
    /// `special_tokens_map.json`
    pub special: &'a Map<String, Value>,
    /// `added_tokens.json`
    pub added: &'a Map<String, Value>,
    /// `added_tokens` of `tokenizer.json`
    pub own: &'a [Value],
}

impl SpecialTokens {
    /// # Errors
    /// In words, for a token that is none.
    pub fn read(files: &TokenFiles<'_>, class: Class) -> Result<Self, String> {
        let mut tokens = SpecialTokens::default();
        let mut named: BTreeMap<&str, AddedToken> = BTreeMap::new();
        let extra_key = ["extra_special_tokens", "additional_special_tokens"];
        let config_extra =
            extra_key.iter().find_map(|key| files.config.get(*key).filter(|value| is_given(value)));
        tokens.take_named(files.config, &mut named)?;
        tokens.take_extra(config_extra)?;
        if let Some(decoder) = files.config.get("added_tokens_decoder") {
            let decoder = decoder.as_object().ok_or("added_tokens_decoder is not an object")?;
            for (id, token) in decoder {
                let id = id.parse().map_err(|_| format!("added_tokens_decoder: {id:?} is not an id"))?;
                tokens.decoder.insert(id, parse_as(token, false)?);
            }
        } else {
            let given: BTreeSet<String> =
                named.values().chain(&tokens.extra).map(|token| token.content.clone()).collect();
            tokens.take_named(files.special, &mut named)?;
            if config_extra.is_none() {
                tokens.take_extra(extra_key.iter().find_map(|key| files.special.get(*key)))?;
            }
            let given: BTreeSet<String> =
                given.into_iter().chain(named.values().map(|token| token.content.clone())).collect();
            for (content, id) in files.added {
                let id = id.as_i64().ok_or_else(|| format!("added_tokens.json: {content:?} has no id"))?;
                tokens.decoder.insert(id, AddedToken::from(content, given.contains(content)));
            }
            for token in files.own {
                let id = token["id"].as_i64().ok_or("added_tokens: a token without an id")?;
                tokens.decoder.insert(id, parse_as(token, false)?);
            }
        }
        tokens.name(named, class);
        Ok(tokens)
    }

    /// The file's tokens under names; those of a directory under other names go to `self`.
    fn take_named<'a>(
        &mut self,
        file: &'a Map<String, Value>,
        named: &mut BTreeMap<&'a str, AddedToken>,
    ) -> Result<(), String> {
        for (key, value) in file {
            let is_token = value.is_string() || value.is_object();
            if NAMES.contains(&key.as_str()) {
                if value.is_null() {
                    named.remove(key.as_str());
                } else {
                    named.insert(key, parse(value).map_err(|error| format!("{key}: {error}"))?);
                }
            } else if key.ends_with("_token") && is_token {
                self.named.push((key.clone(), parse(value).map_err(|error| format!("{key}: {error}"))?));
            }
        }
        Ok(())
    }

    fn take_extra(&mut self, value: Option<&Value>) -> Result<(), String> {
        match value {
            Some(Value::Array(tokens)) => {
                self.extra = tokens.iter().map(parse).collect::<Result<_, _>>()?;
            }
            Some(Value::Object(tokens)) => {
                for (name, token) in tokens {
                    self.named.push((name.clone(), parse(token)?));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Puts the named tokens in their order, with the class's where the files name none.
    fn name(&mut self, mut given: BTreeMap<&str, AddedToken>, class: Class) {
        let by_content: BTreeMap<&str, &AddedToken> =
            self.decoder.values().map(|token| (token.content.as_str(), token)).collect();
        let mut named = Vec::new();
        for name in NAMES {
            let token = match given.remove(name) {
                Some(token) => {
                    by_content.get(token.content.as_str()).map_or(token.clone(), |known| (*known).clone())
                }
                None => match class.special_tokens().iter().find(|(known, _)| *known == name) {
                    Some((_, content)) => {
                        self.defaults.insert((*content).to_owned());
                        AddedToken::from(*content, true)
                    }
                    None => continue,
                },
            };
            // These classes let it take the space before it.
            let eats_space = name == "mask_token" && matches!(class, Class::MpNet | Class::Camembert);
            let is_plain = token == AddedToken::from(&token.content, true)
                && !by_content.contains_key(token.content.as_str());
            named.push((name.to_owned(), if eats_space && is_plain { token.lstrip(true) } else { token }));
        }
        named.append(&mut self.named);
        self.named = named;
        if class == Class::Camembert && self.extra.is_empty() {
            let unused = ["<s>NOTUSED", "</s>NOTUSED", "<unk>NOTUSED"];
            self.extra = unused.into_iter().map(|content| AddedToken::from(content, true)).collect();
            self.defaults.extend(unused.map(str::to_owned));
        }
    }

    /// The token of a name, such as `cls_token`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.named.iter().find(|(known, _)| known == name).map(|(_, token)| token.content.as_str())
    }

    /// All tokens that may be added, as text.
    pub fn contents(&self) -> impl Iterator<Item = &str> {
        let named = self.named.iter().map(|(_, token)| token);
        self.decoder.values().chain(named).chain(&self.extra).map(|token| token.content.as_str())
    }

    /// Adds what the tokenizer lacks, in `transformers`' order, which decides the ids of new tokens.
    ///
    /// `transformers` also adds the class's own tokens that the vocabulary lacks; no model has embeddings for those.
    pub fn add_to(&self, tokenizer: &mut Tokenizer) {
        let own: BTreeMap<String, AddedToken> = tokenizer
            .get_added_tokens_decoder()
            .into_values()
            .map(|token| (token.content.clone(), token))
            .collect();
        let mut known: BTreeSet<&str> = own.keys().map(String::as_str).collect();
        let mut wanted: Vec<&AddedToken> = self.decoder.values().collect();
        known.extend(wanted.iter().map(|token| token.content.as_str()));
        for token in self.named.iter().map(|(_, token)| token).chain(&self.extra) {
            let is_absent =
                self.defaults.contains(&token.content) && tokenizer.token_to_id(&token.content).is_none();
            if !is_absent && known.insert(&token.content) {
                wanted.push(token);
            }
        }
        let names: BTreeSet<&str> = self.named.iter().map(|(_, token)| token.content.as_str()).collect();
        let wanted = wanted.into_iter().map(|token| {
            let special = token.special || names.contains(token.content.as_str());
            token.clone().special(special)
        });
        // A token that is there keeps its flags, unless it becomes a special one.
        let wanted: Vec<AddedToken> = wanted
            .filter(|token| own.get(&token.content).is_none_or(|old| !old.special && token.special))
            .collect();
        tokenizer.add_tokens(&wanted);
    }
}

/// Whether Python takes a value for true.
fn is_given(value: &Value) -> bool {
    match value {
        Value::Array(items) => !items.is_empty(),
        Value::Object(items) => !items.is_empty(),
        other => !other.is_null(),
    }
}

/// A token as text, or as an object with its flags; one that stands under a name is special.
fn parse(value: &Value) -> Result<AddedToken, String> {
    parse_as(value, true)
}

/// As [`parse`], with what a token is that does not say whether it is special.
fn parse_as(value: &Value, is_special: bool) -> Result<AddedToken, String> {
    if let Value::String(content) = value {
        return Ok(AddedToken::from(content, true));
    }
    let Some(content) = value["content"].as_str() else {
        return Err("not a token: expected text, or an object with content".to_owned());
    };
    let flag = |name: &str| value[name].as_bool();
    let special = flag("special").unwrap_or(is_special);
    Ok(AddedToken::from(content, special)
        .single_word(flag("single_word").unwrap_or(false))
        .lstrip(flag("lstrip").unwrap_or(false))
        .rstrip(flag("rstrip").unwrap_or(false))
        .normalized(flag("normalized").unwrap_or(!special)))
}
