//! Where a model's parameters come from, and the check that every one of them fits.

use std::cell::RefCell;
use std::collections::BTreeMap;

use tch::{Device, Kind, Tensor};

/// How a parameter begins that no file gives.
#[derive(Clone, Copy, Debug)]
pub enum Init {
    /// Normal around 0 with the config's `initializer_range`.
    Normal,
    /// All 0: biases.
    Zeros,
    /// All 1: a norm's weight.
    Ones,
}

/// Which parameters may be absent from the given weights and are then made fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fresh {
    /// None: the weights are a whole classifier.
    Nothing,
    /// Head and pooler: the weights are a pretrained encoder.
    Head,
    /// All: there are no weights, only a config.
    Everything,
}

/// Numbers of the largest parameter that is made fresh.
const MAX_FRESH: i64 = 1 << 29;

/// Hands out parameters by name while a model is put together, and collects what does not fit.
pub struct Builder {
    given: RefCell<BTreeMap<String, Tensor>>,
    fresh: Fresh,
    device: Device,
    initializer_range: f64,
    taken: RefCell<Vec<(String, Tensor)>>,
    made_fresh: RefCell<Vec<String>>,
    problems: RefCell<Vec<String>>,
}

/// The parameters of a finished model.
#[derive(Debug)]
pub struct Parameters {
    /// Every parameter in the order of the architecture.
    pub named: Vec<(String, Tensor)>,
    /// Names of those that no file gave.
    pub made_fresh: Vec<String>,
}

impl Builder {
    /// A builder over given weights.
    pub fn new(given: BTreeMap<String, Tensor>, fresh: Fresh, device: Device, initializer_range: f64) -> Self {
        Builder {
            given: RefCell::new(given),
            fresh,
            device,
            initializer_range,
            taken: RefCell::default(),
            made_fresh: RefCell::default(),
            problems: RefCell::default(),
        }
    }

    /// The root of the names.
    pub fn root(&self) -> Scope<'_> {
        Scope { builder: self, prefix: String::new() }
    }

    /// Ends the construction.
    ///
    /// # Errors
    /// A text that lists what is missing, extra and misshapen.
    pub fn finish(self) -> Result<Parameters, String> {
        let mut problems = self.problems.into_inner();
        let extra: Vec<String> =
            self.given.into_inner().into_keys().filter(|name| !is_known_extra(name)).collect();
        if !extra.is_empty() {
            problems.push(format!("extra {}", some_of(&extra)));
        }
        if problems.is_empty() {
            Ok(Parameters { named: self.taken.into_inner(), made_fresh: self.made_fresh.into_inner() })
        } else {
            Err(some_of(&problems))
        }
    }

    fn take(&self, name: String, shape: &[i64], init: Init) -> Tensor {
        let tensor = match self.given.borrow_mut().remove(&name) {
            Some(tensor) if tensor.size() == shape && tensor.kind() == Kind::Float => tensor,
            Some(tensor) => {
                let found = format!("{:?} {:?}", tensor.size(), tensor.kind());
                self.problems.borrow_mut().push(format!("{name} is {found}, expected {shape:?} Float"));
                stand_in()
            }
            None => {
                if self.may_be_fresh(&name) {
                    self.made_fresh.borrow_mut().push(name.clone());
                    self.initial(shape, init)
                } else {
                    self.problems.borrow_mut().push(format!("{name} {shape:?} is missing"));
                    stand_in()
                }
            }
        };
        let parameter = tensor.to_device(self.device).detach().set_requires_grad(true);
        self.taken.borrow_mut().push((name, parameter.shallow_clone()));
        parameter
    }

    fn may_be_fresh(&self, name: &str) -> bool {
        match self.fresh {
            Fresh::Nothing => false,
            Fresh::Head => name.starts_with("classifier.") || name.contains("pooler."),
            Fresh::Everything => true,
        }
    }

    fn initial(&self, shape: &[i64], init: Init) -> Tensor {
        let numbers = shape.iter().try_fold(1i64, |product, size| product.checked_mul(*size));
        if numbers.is_none_or(|numbers| numbers > MAX_FRESH) {
            self.problems.borrow_mut().push(format!("{shape:?} is larger than any parameter"));
        }
        // A model with problems is never used; its shapes may be larger than the memory.
        if !self.problems.borrow().is_empty() {
            return stand_in();
        }
        // On the CPU, so that a seed gives the same weights on every device.
        let options = (Kind::Float, Device::Cpu);
        match init {
            Init::Normal => Tensor::randn(shape, options) * self.initializer_range,
            Init::Zeros => Tensor::zeros(shape, options),
            Init::Ones => Tensor::ones(shape, options),
        }
    }
}

/// What stands for a parameter that does not fit: the model is never used, and the shape that a config asks for may
/// be larger than the memory.
fn stand_in() -> Tensor {
    Tensor::zeros([0], (Kind::Float, Device::Cpu))
}

/// A place in the tree of names.
pub struct Scope<'a> {
    builder: &'a Builder,
    prefix: String,
}

impl<'a> Scope<'a> {
    /// The place `name` below this one.
    pub fn sub(&self, name: impl std::fmt::Display) -> Scope<'a> {
        Scope { builder: self.builder, prefix: format!("{}{name}.", self.prefix) }
    }

    /// The parameter `name` at this place.
    pub fn parameter(&self, name: &str, shape: &[i64], init: Init) -> Tensor {
        self.builder.take(format!("{}{name}", self.prefix), shape, init)
    }
}

/// Tensors that BERT checkpoints carry and a classifier has no use for: a buffer that was once
/// saved, and the heads of pretraining.
fn is_known_extra(name: &str) -> bool {
    name.ends_with("embeddings.position_ids") || name.starts_with("cls.") || name.starts_with("bert.cls.")
}

/// Checkpoints name the same tensors in older ways: `gamma` and `beta`, or an encoder without
/// the `bert.` in front. This gives them the classifier's names.
pub fn canonical_names(given: BTreeMap<String, Tensor>, base_prefix: &str) -> BTreeMap<String, Tensor> {
    let bare = given.contains_key("embeddings.word_embeddings.weight");
    given
        .into_iter()
        .map(|(name, tensor)| {
            let name = match name.strip_suffix(".gamma") {
                Some(stem) => format!("{stem}.weight"),
                None => name.strip_suffix(".beta").map_or(name.clone(), |stem| format!("{stem}.bias")),
            };
            let own = bare && !name.starts_with("classifier.") && !name.starts_with("cls.");
            (if own { format!("{base_prefix}.{name}") } else { name }, tensor)
        })
        .collect()
}

/// The first few of a list that may be long.
fn some_of(items: &[String]) -> String {
    const SHOWN: usize = 6;
    let shown = items[..items.len().min(SHOWN)].join("; ");
    if items.len() > SHOWN { format!("{shown}; and {} more", items.len() - SHOWN) } else { shown }
}
