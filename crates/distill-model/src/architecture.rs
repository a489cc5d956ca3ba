//! What an architecture is called: in `config.json`, and in the names of its weights. Data alone;
//! [`crate::backbones`] has the functions that go with it.

use distill_task::TaskId;

/// What a model predicts above its backbone, by the classes of `transformers`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HeadKind {
    /// `…ForSequenceClassification`: logits of each row.
    Sequence,
    /// `…ForTokenClassification`: logits of each wanted token.
    Token,
    /// `…ForQuestionAnswering`: for each wanted token, whether the answer starts and ends there.
    Span,
    /// `…ForMaskedLM`: for each wanted token, what may stand in its place.
    Masked,
}

impl HeadKind {
    /// Every kind.
    pub const ALL: [HeadKind; 4] = [HeadKind::Sequence, HeadKind::Token, HeadKind::Span, HeadKind::Masked];

    /// End of the names of its classes.
    pub fn suffix(self) -> &'static str {
        match self {
            HeadKind::Sequence => "ForSequenceClassification",
            HeadKind::Token => "ForTokenClassification",
            HeadKind::Span => "ForQuestionAnswering",
            HeadKind::Masked => "ForMaskedLM",
        }
    }

    /// The head that makes the logits of a task.
    pub fn of(task: TaskId) -> Self {
        Self::of_class(task.head()).unwrap_or(HeadKind::Sequence)
    }

    /// The head of a class that `architectures` in `config.json` names; none for a backbone alone, or a head that is
    /// not built in.
    pub fn of_class(class: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| class.ends_with(kind.suffix()))
    }
}

/// Names of the layers of each head, without `.weight` and `.bias`; the last is the one that gives logits. Empty where
/// an architecture has no such head.
#[derive(Debug)]
pub struct HeadLayers {
    /// Of [`HeadKind::Sequence`].
    pub sequence: &'static [&'static str],
    /// Of [`HeadKind::Token`].
    pub token: &'static [&'static str],
    /// Of [`HeadKind::Span`].
    pub span: &'static [&'static str],
    /// Of [`HeadKind::Masked`].
    pub masked: Option<MaskedLayers>,
}

impl HeadLayers {
    /// A row's head with these layers, and the other heads' layers as most architectures call them.
    pub(crate) const fn usual(sequence: &'static [&'static str], masked: Option<MaskedLayers>) -> Self {
        HeadLayers { sequence, token: &["classifier"], span: &["qa_outputs"], masked }
    }
}

/// Names of the layers of a masked language model's head.
#[derive(Debug)]
pub struct MaskedLayers {
    /// The dense layer, the norm after it, and the layer that gives logits.
    pub layers: [&'static str; 3],
    /// The bias of the logits as `transformers` stores it, where the decoder is the table of word vectors.
    pub bias: &'static str,
    /// Whether the dense layer is followed by GELU, whatever the backbone's activation is.
    pub always_gelu: bool,
    /// What `config.json` says of the dense layer and the norm, where it does.
    pub keys: Option<MaskedKeys>,
}

/// Keys of `config.json` for the layers of a masked language model's head.
#[derive(Debug)]
pub struct MaskedKeys {
    /// Whether the dense layer has a bias; by default it has none.
    pub dense_bias: &'static str,
    /// Whether the norm has a bias; by default it has none.
    pub norm_bias: &'static str,
    /// The activation between them, GELU by default.
    pub activation: &'static str,
    /// Whether the logits have a bias; they must have one.
    pub decoder_bias: &'static str,
}

impl MaskedLayers {
    /// The layer that gives logits.
    pub fn decoder(&self) -> &'static str {
        self.layers[2]
    }
}

/// One architecture of `transformers`: what its config and its weights are called.
#[derive(Debug)]
pub struct Architecture {
    /// `model_type` in `config.json`.
    pub model_type: &'static str,
    /// Beginning of the names of its classes, such as `Bert`.
    pub name: &'static str,
    /// What precedes the backbone's names in a model with a head.
    pub prefix: &'static str,
    /// What precedes a layer's number; empty where layers share their weights.
    pub layers: &'static str,
    /// Beginnings of the names of what follows the last layer and precedes the head.
    pub behind_layers: &'static [&'static str],
    /// Names of the heads' layers.
    pub heads: HeadLayers,
    /// Beginnings of names that checkpoints carry and no head here has a use for, such as other heads of pretraining.
    pub unused: &'static [&'static str],
    /// Names of the sizes in `config.json`.
    pub keys: Keys,
    /// Whether attention scores are `q·kᵀ/√d` and a bias that does not depend on the text.
    pub plain_scores: bool,
    /// Matrices between hidden and intermediate width in a layer: 2, or 3 where the feed-forward part is gated.
    pub feed_forward_products: u8,
}

/// Where a layer's parameter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the layer of this number, from 0.
    Numbered(usize),
    /// In several layers at once.
    Shared,
}

/// What an architecture calls its sizes.
#[derive(Debug)]
pub struct Keys {
    /// Number of layers.
    pub layers: &'static str,
    /// Width of the hidden states.
    pub hidden: &'static str,
    /// Attention heads of a layer.
    pub heads: &'static str,
    /// Width inside the feed-forward part.
    pub intermediate: &'static str,
}

/// BERT's, which most took over.
pub(crate) const BERT_KEYS: Keys = Keys {
    layers: "num_hidden_layers",
    hidden: "hidden_size",
    heads: "num_attention_heads",
    intermediate: "intermediate_size",
};

impl Architecture {
    /// The class of `transformers` with this head.
    pub fn class(&self, head: HeadKind) -> String {
        format!("{}{}", self.name, head.suffix())
    }

    /// Names of a head's layers; empty where the architecture has no such head.
    pub fn head_layers(&self, head: HeadKind) -> &[&'static str] {
        match head {
            HeadKind::Sequence => self.heads.sequence,
            HeadKind::Token => self.heads.token,
            HeadKind::Span => self.heads.span,
            HeadKind::Masked => self.heads.masked.as_ref().map_or(&[], |masked| &masked.layers),
        }
    }

    /// Name of the layer that gives logits.
    pub fn output(&self, head: HeadKind) -> &'static str {
        self.head_layers(head).last().copied().unwrap_or_default()
    }

    /// The layer that a parameter belongs to; none for embeddings, heads and what surrounds the layers.
    pub fn layer_of(&self, name: &str) -> Option<Place> {
        if self.layers.is_empty() {
            return name.contains("layer_groups.").then_some(Place::Shared);
        }
        let (number, _) = name.strip_prefix(self.layers)?.split_once('.')?;
        number.parse().ok().map(Place::Numbered)
    }

    /// Whether a parameter follows the last layer and precedes the head.
    pub fn is_behind_layers(&self, name: &str) -> bool {
        self.behind_layers.iter().any(|start| name.starts_with(start))
    }

    /// Whether a parameter belongs to a head, whichever it is.
    pub fn is_head(&self, name: &str) -> bool {
        HeadKind::ALL.into_iter().any(|head| self.is_of_head(head, name))
    }

    /// Whether a parameter belongs to this head.
    pub fn is_of_head(&self, head: HeadKind, name: &str) -> bool {
        let is_bias = |masked: &MaskedLayers| head == HeadKind::Masked && name == masked.bias;
        name.rsplit_once('.').is_some_and(|(layer, _)| self.head_layers(head).contains(&layer))
            || self.heads.masked.as_ref().is_some_and(is_bias)
    }

    /// Whether a tensor that checkpoints carry has no use in a model with this head: another head's, or a buffer.
    pub(crate) fn is_unused(&self, head: HeadKind, name: &str) -> bool {
        let of_others = || self.unused.iter().any(|start| name.starts_with(start)) || self.is_head(name);
        name.ends_with("embeddings.position_ids") || (!self.is_of_head(head, name) && of_others())
    }

    /// A tensor's name in a model with a head: older checkpoints say `gamma` and `beta`, and a `bare` backbone has no
    /// prefix.
    pub(crate) fn canonical(&self, name: &str, bare: bool) -> String {
        let name = match name.strip_suffix("LayerNorm.gamma") {
            Some(stem) => format!("{stem}LayerNorm.weight"),
            None => name
                .strip_suffix("LayerNorm.beta")
                .map_or(name.to_owned(), |stem| format!("{stem}LayerNorm.bias")),
        };
        if bare && !self.is_head(&name) { format!("{}.{name}", self.prefix) } else { name }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backbones::named;

    #[test]
    fn a_class_name_says_which_head_it_has() {
        let roberta = named("xlm-roberta").unwrap();
        for head in HeadKind::ALL {
            assert_eq!(HeadKind::of_class(&roberta.class(head)), Some(head));
        }
        assert_eq!(roberta.class(HeadKind::Span), "XLMRobertaForQuestionAnswering");
        assert_eq!(HeadKind::of_class("BertForPreTraining"), None);
    }

    /// Heads whose layers have the same beginnings must not take each other's weights.
    #[test]
    fn only_the_heads_own_weights_are_used() {
        let roberta = named("roberta").unwrap();
        for (head, used) in [
            (HeadKind::Sequence, [true, false, false, false]),
            (HeadKind::Token, [false, true, false, false]),
            (HeadKind::Span, [false, false, true, false]),
            (HeadKind::Masked, [false, false, false, true]),
        ] {
            let names = ["classifier.out_proj.weight", "classifier.weight", "qa_outputs.bias", "lm_head.bias"];
            assert_eq!(names.map(|name| !roberta.is_unused(head, name)), used, "{head:?}");
            assert!(!roberta.is_unused(head, "roberta.encoder.layer.0.output.dense.weight"));
            assert!(!roberta.is_unused(head, "classifier.adapter.weight"), "it is refused as extra");
        }
        assert!(named("bert").unwrap().is_unused(HeadKind::Token, "bert.pooler.dense.weight"));
    }
}
