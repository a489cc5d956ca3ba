//! The token that stands for what the vocabulary does not hold.

use tokenizers::ModelWrapper;

use super::TextTokenizer;

impl TextTokenizer {
    /// Its id; none where the tokenizer has no such token, as one that falls back to bytes.
    pub fn unknown_token(&self) -> Option<u32> {
        let named = |name: &String| self.tokenizer.token_to_id(name);
        match self.tokenizer.get_model() {
            ModelWrapper::BPE(model) => model.get_unk_token().as_ref().and_then(named),
            ModelWrapper::WordPiece(model) => named(&model.unk_token),
            ModelWrapper::WordLevel(model) => named(&model.unk_token),
            // It keeps the id to itself; the usual names are these.
            ModelWrapper::Unigram(_) => {
                ["<unk>", "[UNK]"].into_iter().find_map(|name| self.tokenizer.token_to_id(name))
            }
        }
    }
}
