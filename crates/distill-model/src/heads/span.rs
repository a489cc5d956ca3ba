//! For each token, how well an answer starts there and how well it ends there: a layer with two outputs.
//!
//! Source: Devlin et al. 2019, arXiv:1810.04805, section 4.2.

use crate::architecture::HeadKind;
use crate::config::{ModelConfig, SPAN_OUTPUTS};
use crate::error::ModelError;
use crate::heads::Head;
use crate::heads::token::TokenHead;
use crate::parameters::Scope;
use crate::parts::Linear;

/// `…ForQuestionAnswering`, as [`TokenHead`] with two outputs.
pub(crate) fn head(root: &Scope<'_>, config: &ModelConfig, dropout: f64) -> TokenHead {
    let outputs = root.sub(config.architecture.output(HeadKind::Span));
    TokenHead { transform: None, dropout, classifier: Linear::new(&outputs, config.hidden_size, SPAN_OUTPUTS) }
}

/// Without dropout, as most architectures have it.
pub(crate) fn build(root: &Scope<'_>, config: &ModelConfig) -> Result<Box<dyn Head>, ModelError> {
    Ok(Box::new(head(root, config, 0.0)))
}
