//! What a config names: activations, and what the logits mean.

/// What a model's logits mean, with `transformers`' names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProblemType {
    /// `single_label_classification`: softmax over the labels.
    SingleLabel,
    /// `multi_label_classification`: a sigmoid for each label.
    MultiLabel,
    /// `regression`: the values themselves.
    Regression,
}

impl ProblemType {
    /// The name in `config.json`.
    pub fn name(self) -> &'static str {
        match self {
            ProblemType::SingleLabel => "single_label_classification",
            ProblemType::MultiLabel => "multi_label_classification",
            ProblemType::Regression => "regression",
        }
    }

    /// The type of a name.
    pub fn named(name: &str) -> Option<Self> {
        [ProblemType::SingleLabel, ProblemType::MultiLabel, ProblemType::Regression]
            .into_iter()
            .find(|known| known.name() == name)
    }
}

/// Activations that are built, with `transformers`' names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `gelu`: the exact form, with the error function.
    Gelu,
    /// `gelu_new`, `gelu_pytorch_tanh`: the tanh approximation.
    GeluTanh,
    /// `relu`.
    Relu,
    /// `silu`, `swish`.
    Silu,
    /// `tanh`.
    Tanh,
}

impl Activation {
    /// The activation of a name in `config.json`.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "gelu" => Activation::Gelu,
            "gelu_new" | "gelu_pytorch_tanh" => Activation::GeluTanh,
            "relu" => Activation::Relu,
            "silu" | "swish" => Activation::Silu,
            "tanh" => Activation::Tanh,
            _ => return None,
        })
    }
}
