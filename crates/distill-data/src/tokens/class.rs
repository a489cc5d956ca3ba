//! Which of `transformers`' tokenizer classes reads a directory, and what it makes of it by default.
//!
//! Source: `AutoTokenizer.from_pretrained` and the classes' `__init__` in `transformers` 5.23. The classes of single
//! architectures take the vocabulary alone from `tokenizer.json` and build everything else anew.

/// A tokenizer class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// `TokenizersBackend`, also called `PreTrainedTokenizerFast`: `tokenizer.json` as it is.
    Backend,
    Bert,
    DistilBert,
    MpNet,
    Roberta,
    Albert,
    Camembert,
    XlmRoberta,
    DebertaV2,
}

/// The files that each kind of vocabulary is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vocabulary {
    WordPiece,
    Bpe,
    Unigram,
}

impl Vocabulary {
    /// `model.type` in `tokenizer.json`.
    pub fn name(self) -> &'static str {
        match self {
            Vocabulary::WordPiece => "WordPiece",
            Vocabulary::Bpe => "BPE",
            Vocabulary::Unigram => "Unigram",
        }
    }
}

/// Classes of `transformers` that build their tokenizer in ways that are not built here, without `Fast`.
const OTHERS: &str = "\
    BarthezTokenizer BartphoTokenizer BertGenerationTokenizer BertJapaneseTokenizer BertweetTokenizer BigBirdTokenizer \
    BioGptTokenizer BlenderbotSmallTokenizer BlenderbotTokenizer ByT5Tokenizer CLIPTokenizer CTRLTokenizer \
    CanineTokenizer ClvpTokenizer CodeGenTokenizer CodeLlamaTokenizer CohereTokenizer ConvBertTokenizer CpmAntTokenizer \
    CpmTokenizer DPRContextEncoderTokenizer DPRQuestionEncoderTokenizer DPRReaderTokenizer DebertaTokenizer DiaTokenizer \
    EsmTokenizer EsmcTokenizer FNetTokenizer FSMTTokenizer FastSpeech2ConformerTokenizer FlaubertTokenizer \
    FunnelTokenizer GPT2Tokenizer GPTNeoXJapaneseTokenizer GPTNeoXTokenizer GPTSw3Tokenizer GemmaTokenizer \
    HerbertTokenizer LasrTokenizer LayoutLMv2Tokenizer LayoutLMv3Tokenizer LayoutXLMTokenizer LlamaTokenizer \
    LukeTokenizer M2M100Tokenizer MBart50Tokenizer MBartTokenizer MLukeTokenizer MarianTokenizer MarkupLMTokenizer \
    MgpstrTokenizer MyT5Tokenizer NllbTokenizer NougatTokenizer OpenAIGPTTokenizer PLBartTokenizer ParakeetTokenizer \
    PegasusTokenizer PerceiverTokenizer PhobertTokenizer Pop2PianoTokenizer ProphetNetTokenizer Qwen2Tokenizer \
    Qwen3_5Tokenizer RagTokenizer ReformerTokenizer RemBertTokenizer RoCBertTokenizer RoFormerTokenizer \
    SeamlessM4TTokenizer Siglip2Tokenizer SiglipTokenizer Speech2TextTokenizer SpeechT5Tokenizer SplinterTokenizer \
    T5Tokenizer TapasTokenizer Tipsv2Tokenizer UdopTokenizer VideoPrismTokenizer VitsTokenizer Wav2Vec2CTCTokenizer \
    Wav2Vec2PhonemeCTCTokenizer WhisperTokenizer XGLMTokenizer XLMTokenizer XLNetTokenizer";

impl Class {
    /// The class that `AutoTokenizer` takes: the one that the files name, else that of the model's architecture.
    ///
    /// # Errors
    /// In words, for a class that is not built here.
    pub fn resolve(name: Option<&str>, model_type: Option<&str>) -> Result<Self, String> {
        match (name, model_type) {
            // The class that is registered for it takes the place of any other.
            (_, Some("modernbert")) => Ok(Class::Backend),
            (Some(name), _) => Self::named(name),
            (None, None | Some("")) => Ok(Class::Backend),
            (None, Some(model_type)) => Self::of_model_type(model_type).ok_or_else(|| {
                format!(
                    "tokenizer_class is missing, and no tokenizer class is known for model_type {model_type:?}"
                )
            }),
        }
    }

    /// The class that `transformers` registers for an architecture.
    fn of_model_type(model_type: &str) -> Option<Self> {
        Some(match model_type {
            "bert" | "distilbert" | "electra" | "nomic_bert" => Class::Bert,
            "mpnet" => Class::MpNet,
            "roberta" => Class::Roberta,
            "xlm-roberta" => Class::XlmRoberta,
            "camembert" => Class::Camembert,
            "albert" => Class::Albert,
            "deberta-v2" => Class::DebertaV2,
            _ => return None,
        })
    }

    /// A class by its name, with or without `Fast`; a name that `transformers` does not know reads `tokenizer.json`.
    fn named(name: &str) -> Result<Self, String> {
        let stem = name.strip_suffix("Fast").unwrap_or(name);
        Ok(match stem {
            "BertTokenizer"
            | "ElectraTokenizer"
            | "LxmertTokenizer"
            | "MobileBertTokenizer"
            | "SqueezeBertTokenizer" => Class::Bert,
            "DistilBertTokenizer" => Class::DistilBert,
            "MPNetTokenizer" => Class::MpNet,
            "RobertaTokenizer" | "BartTokenizer" | "LEDTokenizer" | "LongformerTokenizer" | "MvpTokenizer" => {
                Class::Roberta
            }
            "AlbertTokenizer" => Class::Albert,
            "CamembertTokenizer" => Class::Camembert,
            "XLMRobertaTokenizer" => Class::XlmRoberta,
            "DebertaV2Tokenizer" => Class::DebertaV2,
            other if OTHERS.split(' ').any(|known| known == other) => {
                return Err(format!(
                    "tokenizer_class {name:?} is not supported; supported are those of BERT, DistilBERT, ELECTRA, \
                     MPNet, RoBERTa, ALBERT, CamemBERT, XLM-RoBERTa and DeBERTa-v2, and PreTrainedTokenizerFast, \
                     which uses tokenizer.json unchanged"
                ));
            }
            _ => Class::Backend,
        })
    }

    /// The class's name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Class::Backend => "PreTrainedTokenizerFast",
            Class::Bert => "BertTokenizer",
            Class::DistilBert => "DistilBertTokenizer",
            Class::MpNet => "MPNetTokenizer",
            Class::Roberta => "RobertaTokenizer",
            Class::Albert => "AlbertTokenizer",
            Class::Camembert => "CamembertTokenizer",
            Class::XlmRoberta => "XLMRobertaTokenizer",
            Class::DebertaV2 => "DebertaV2Tokenizer",
        }
    }

    /// What the class builds its tokenizer from; none where it takes `tokenizer.json` as it is.
    pub fn vocabulary(self) -> Option<Vocabulary> {
        match self {
            Class::Backend => None,
            Class::Bert | Class::DistilBert | Class::MpNet => Some(Vocabulary::WordPiece),
            Class::Roberta => Some(Vocabulary::Bpe),
            Class::Albert | Class::Camembert | Class::XlmRoberta | Class::DebertaV2 => {
                Some(Vocabulary::Unigram)
            }
        }
    }

    /// Whether `model_input_names` has `token_type_ids` where the files do not say.
    pub fn is_typed(self) -> bool {
        matches!(self, Class::Bert | Class::DebertaV2)
    }

    /// Special tokens where the files name none, as the class's arguments have them.
    pub fn special_tokens(self) -> &'static [(&'static str, &'static str)] {
        const BERT: &[(&str, &str)] = &[
            ("unk_token", "[UNK]"),
            ("sep_token", "[SEP]"),
            ("pad_token", "[PAD]"),
            ("cls_token", "[CLS]"),
            ("mask_token", "[MASK]"),
        ];
        const ROBERTA: &[(&str, &str)] = &[
            ("bos_token", "<s>"),
            ("eos_token", "</s>"),
            ("unk_token", "<unk>"),
            ("sep_token", "</s>"),
            ("pad_token", "<pad>"),
            ("cls_token", "<s>"),
            ("mask_token", "<mask>"),
        ];
        const MPNET: &[(&str, &str)] = &[
            ("bos_token", "<s>"),
            ("eos_token", "</s>"),
            ("unk_token", "[UNK]"),
            ("sep_token", "</s>"),
            ("pad_token", "<pad>"),
            ("cls_token", "<s>"),
            ("mask_token", "<mask>"),
        ];
        const ALBERT: &[(&str, &str)] = &[
            ("bos_token", "[CLS]"),
            ("eos_token", "[SEP]"),
            ("unk_token", "<unk>"),
            ("sep_token", "[SEP]"),
            ("pad_token", "<pad>"),
            ("cls_token", "[CLS]"),
            ("mask_token", "[MASK]"),
        ];
        const DEBERTA: &[(&str, &str)] = &[
            ("bos_token", "[CLS]"),
            ("eos_token", "[SEP]"),
            ("unk_token", "[UNK]"),
            ("sep_token", "[SEP]"),
            ("pad_token", "[PAD]"),
            ("cls_token", "[CLS]"),
            ("mask_token", "[MASK]"),
        ];
        match self {
            Class::Backend => &[],
            Class::Bert | Class::DistilBert => BERT,
            Class::MpNet => MPNET,
            Class::Roberta | Class::Camembert | Class::XlmRoberta => ROBERTA,
            Class::Albert => ALBERT,
            Class::DebertaV2 => DEBERTA,
        }
    }
}

/// Architectures whose models take no token types, or have one alone, so that all are 0.
pub(super) fn takes_types(model_type: Option<&str>) -> bool {
    !matches!(model_type, Some("distilbert" | "mpnet" | "modernbert" | "roberta" | "xlm-roberta" | "camembert"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_name_decides_before_the_architecture() {
        let resolve = Class::resolve;
        assert_eq!(resolve(None, Some("electra")), Ok(Class::Bert));
        assert_eq!(resolve(Some("PreTrainedTokenizerFast"), Some("bert")), Ok(Class::Backend));
        assert_eq!(resolve(Some("TokenizersBackend"), Some("roberta")), Ok(Class::Backend));
        assert_eq!(resolve(Some("XLMRobertaTokenizerFast"), Some("bert")), Ok(Class::XlmRoberta));
        assert_eq!(resolve(Some("OurTokenizer"), Some("bert")), Ok(Class::Backend));
        assert_eq!(resolve(None, None), Ok(Class::Backend));
        assert_eq!(resolve(Some("BertTokenizer"), Some("modernbert")), Ok(Class::Backend));
        assert!(resolve(Some("GPT2TokenizerFast"), Some("roberta")).unwrap_err().contains("GPT2TokenizerFast"));
        assert!(resolve(None, Some("gpt2")).unwrap_err().contains("gpt2"));
    }
}
