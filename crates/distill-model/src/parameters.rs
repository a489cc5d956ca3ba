//! Where a model's parameters come from, and the check that every one of them fits.

use std::cell::RefCell;
use std::collections::BTreeMap;

use distill_torch::TorchError;
use tch::{Device, Kind, Tensor};

use crate::architecture::Architecture;
use crate::config::ModelConfig;

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
    /// None: the weights are a whole model.
    Nothing,
    /// The head, pooler included: the weights are a pretrained backbone, or a model with another head.
    Head,
    /// All: there are no weights, only a config.
    Everything,
}

/// Numbers of the largest parameter that is made fresh.
const MAX_FRESH: i64 = 1 << 29;

/// Hands out parameters by name while a model is put together, and collects what does not fit.
pub struct Builder {
    architecture: &'static Architecture,
    given: RefCell<BTreeMap<String, Tensor>>,
    fresh: Fresh,
    truncate: bool,
    device: Device,
    initializer_range: f64,
    taken: RefCell<Vec<(String, Tensor)>>,
    made_fresh: RefCell<Vec<String>>,
    problems: RefCell<Vec<String>>,
}

/// The parameters of a finished model.
#[derive(Debug, Default)]
pub struct Parameters {
    /// Every parameter in the order of the architecture.
    pub named: Vec<(String, Tensor)>,
    /// Names of those that no file gave.
    pub made_fresh: Vec<String>,
}

impl Parameters {
    /// Converts every parameter in place; none can be trained then.
    ///
    /// # Errors
    /// [`TorchError`] from libtorch.
    pub fn convert(&self, kind: Kind) -> Result<(), TorchError> {
        for (_, parameter) in &self.named {
            if parameter.kind() != kind {
                let mut parameter = parameter.set_requires_grad(false);
                let converted = parameter.f_to_kind(kind)?;
                parameter.set_data(&converted);
            }
        }
        Ok(())
    }
}

impl Builder {
    /// A builder over given weights under an architecture's names.
    pub fn new(config: &ModelConfig, given: BTreeMap<String, Tensor>, fresh: Fresh, device: Device) -> Self {
        Builder {
            architecture: config.architecture,
            given: RefCell::new(given),
            fresh,
            truncate: false,
            device,
            initializer_range: config.initializer_range,
            taken: RefCell::default(),
            made_fresh: RefCell::default(),
            problems: RefCell::default(),
        }
    }

    /// Takes of larger given weights the first rows and columns.
    pub fn truncating(self) -> Self {
        Builder { truncate: true, ..self }
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
        let extra: Vec<String> = self.given.into_inner().into_keys().collect();
        if !extra.is_empty() {
            problems.push(format!("extra {}", some_of(&extra)));
        }
        if problems.is_empty() {
            Ok(Parameters { named: self.taken.into_inner(), made_fresh: self.made_fresh.into_inner() })
        } else {
            Err(some_of(&problems))
        }
    }

    /// `parts` tensors of `shape` one below the other, under one name.
    fn take(&self, name: String, parts: i64, part: &[i64], init: Init) -> Tensor {
        let mut shape = part.to_vec();
        if let Some(rows) = shape.first_mut() {
            *rows *= parts;
        }
        let shape = shape.as_slice();
        let given = self.given.borrow_mut().remove(&name);
        let given = given.map(|given| if self.truncate { truncated(given, parts, part) } else { given });
        let tensor = match given {
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
            Fresh::Head => self.architecture.is_head(name),
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
        self.stacked(name, 1, shape, init)
    }

    /// The parameter `name` that is `parts` tensors of `shape` one below the other.
    pub fn stacked(&self, name: &str, parts: i64, shape: &[i64], init: Init) -> Tensor {
        self.builder.take(format!("{}{name}", self.prefix), parts, shape, init)
    }
}

/// The first rows and columns of each part, as far as they go; a tensor that is too small stays as it is.
fn truncated(given: Tensor, parts: i64, shape: &[i64]) -> Tensor {
    let size = given.size();
    let fits = size.len() == shape.len()
        && size.first().is_some_and(|rows| rows % parts == 0 && rows / parts >= shape[0])
        && size[1..].iter().zip(&shape[1..]).all(|(given, wanted)| given >= wanted);
    if !fits {
        return given;
    }
    let mut by_part = vec![parts, size[0] / parts];
    by_part.extend(&size[1..]);
    let narrowed = shape
        .iter()
        .enumerate()
        .fold(given.reshape(by_part), |tensor, (axis, wanted)| tensor.narrow(axis as i64 + 1, 0, *wanted));
    narrowed.flatten(0, 1).contiguous()
}

/// Checkpoints name the same tensors in older ways, or hold a backbone without its prefix. This gives them the names
/// that they have in a model with the config's head, and leaves out what that has no use for; a second time it changes
/// nothing.
pub fn canonical_names<T>(mut given: BTreeMap<String, T>, config: &ModelConfig) -> BTreeMap<String, T> {
    let (architecture, head) = (config.architecture, config.head);
    // Before a prefix makes other names of them, and once more when a prefix has made names of heads.
    given.retain(|name, _| !architecture.is_unused(head, name));
    let mut named = renamed(given, architecture);
    named.retain(|name, _| !architecture.is_unused(head, name));
    named
}

/// As [`canonical_names`], with the tensors of all heads.
pub(crate) fn renamed<T>(given: BTreeMap<String, T>, architecture: &Architecture) -> BTreeMap<String, T> {
    let bare = given.keys().any(|name| name.starts_with("embeddings."));
    given.into_iter().map(|(name, tensor)| (architecture.canonical(&name, bare), tensor)).collect()
}

/// The first few of a list that may be long.
fn some_of(items: &[String]) -> String {
    const SHOWN: usize = 6;
    let shown = items[..items.len().min(SHOWN)].join("; ");
    if items.len() > SHOWN { format!("{shown}; and {} more", items.len() - SHOWN) } else { shown }
}
