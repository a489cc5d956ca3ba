//! The questions that the rest of the program asks of what is predicted.

use std::fmt;

use distill_core::LabelMap;

use crate::label::{Label, LabelShape};
use crate::metric::SelectionMetric;
use crate::score::{Figures, Quality, Scored};

/// What a row has logits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Positions {
    /// The row itself: one prediction.
    Row,
    /// Each word, at its first sub-word.
    Word,
    /// Each token that a span may begin or end at.
    Span,
    /// Each masked token of a sequence.
    Masked,
}

/// What becomes of logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Activation {
    /// A distribution over the labels.
    Softmax,
    /// Yes or no for each label.
    Sigmoid,
    /// The numbers themselves.
    Identity,
}

/// A setting that does not go with every task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// A comparison of logits that reads them so.
    Loss(Activation),
    /// A share of a label's weight that is spread over all labels.
    LabelSmoothing,
    /// Weights of classes.
    ClassWeights,
    /// Epochs in which all classes have the same share.
    BalancedSampling,
    /// A validation part with the same share of every class.
    Stratify,
    /// Teachers whose probabilities are averaged.
    AverageProbabilities,
    /// Logits of one row or position that are shifted and scaled before they are compared.
    StandardizedLogits,
    /// A comparison of the logits of one label over all rows of a batch.
    WholeBatch,
}

/// One kind of prediction. There is one value of each, which [`crate::TaskId`] names.
pub trait Task: fmt::Debug + Send + Sync {
    /// Its name in files, settings and messages.
    fn name(&self) -> &'static str;

    /// The name that `--task` takes for it and those that share its head.
    fn group(&self) -> &'static str {
        match self.positions() {
            Positions::Row => "sequence_classification",
            Positions::Word | Positions::Span | Positions::Masked => self.name(),
        }
    }

    /// What one row is labelled with, for messages: `one class a row`.
    fn words(&self) -> &'static str;

    /// `problem_type` in `config.json`, where `transformers` has one for it.
    fn problem_type(&self) -> Option<&'static str> {
        (self.positions() == Positions::Row).then(|| self.name())
    }

    /// The end of its class's name in `transformers`: `ForSequenceClassification`.
    fn head(&self) -> &'static str {
        match self.positions() {
            Positions::Row => "ForSequenceClassification",
            Positions::Word => "ForTokenClassification",
            Positions::Span => "ForQuestionAnswering",
            Positions::Masked => "ForMaskedLM",
        }
    }

    /// Its `pipeline_tag` on a model card. It is also the name of its pipeline in `transformers`, which has none for questions since
    /// version 5.
    fn pipeline_tag(&self) -> &'static str {
        match self.positions() {
            Positions::Row => "text-classification",
            Positions::Word => "token-classification",
            Positions::Span => "question-answering",
            Positions::Masked => "fill-mask",
        }
    }

    /// What a row has logits for.
    fn positions(&self) -> Positions;

    /// What becomes of logits.
    fn activation(&self) -> Activation;

    /// What a row is labelled with.
    fn label_shape(&self) -> LabelShape;

    /// Logits of one position, `C`.
    fn outputs(&self, labels: &LabelMap) -> usize {
        labels.num_labels()
    }

    /// How many classes a softmax is over, given the number of labels. Of answers these are the positions of a window.
    fn competing(&self, num_labels: usize) -> usize {
        match self.positions() {
            Positions::Row | Positions::Word => num_labels,
            Positions::Span | Positions::Masked => usize::MAX,
        }
    }

    /// The number of labels that a label map must have, where the task leaves no choice.
    fn fixed_labels(&self) -> Option<usize> {
        None
    }

    /// What the logits of one row say, `[P, C]` row-major over its positions.
    fn decode(&self, logits: &[f32], outputs: usize) -> Label<i32>;

    /// The figures of rows. Rows without a label count for the agreement with a teacher alone.
    fn figures(&self, rows: &[Scored<'_>], labels: &LabelMap) -> Figures;

    /// A teacher, whose logits are those of the rows, compared with the best answer that is always the same; none without
    /// labels, or where there is no such answer.
    fn quality(&self, rows: &[Scored<'_>], labels: &LabelMap) -> Option<Quality>;

    /// What the best epoch may be chosen by. The first one is the default.
    fn selection_metrics(&self) -> &'static [SelectionMetric];

    /// Why a setting has no meaning here: what is expected instead, and the reason. None where it has.
    fn refuses(&self, setting: Setting) -> Option<&'static str>;
}
