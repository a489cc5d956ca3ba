//! Self-attention: projections to queries, keys and values.
//!
//! Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.2.
//!
//! Legend: `T` tokens, `N` tokens asked for, `B` rows, `S` longest row, `H` hidden, `h` heads, `d` size of a head.

use tch::Tensor;

use crate::parameters::Scope;
use crate::parts::Linear;
use crate::pass::{Pass, Queries};

/// `[N, H]` to `[N, h, d]`.
pub(crate) fn by_head(x: &Tensor, heads: i64) -> Tensor {
    let (tokens, hidden) = (x.size()[0], x.size()[1]);
    x.view([tokens, heads, hidden / heads]) // [N, h, d]
}

/// Queries, keys and values by three projections; the one on the output is the layer's.
#[derive(Debug)]
pub(crate) struct SelfAttention {
    pub query: Linear,
    pub key: Linear,
    pub value: Linear,
    heads: i64,
    dropout: f64,
}

impl SelfAttention {
    /// Projections of `hidden` under three names below `scope`.
    pub fn new(scope: &Scope<'_>, names: [&str; 3], hidden: i64, heads: i64, dropout: f64) -> Self {
        let [query, key, value] = names.map(|name| Linear::new(&scope.sub(name), hidden, hidden));
        SelfAttention { query, key, value, heads, dropout }
    }

    /// What `queries` gather from their rows: `x` `[T, H]`, returns `[N, H]`.
    pub fn forward(&self, x: &Tensor, queries: Queries, pass: &Pass<'_>) -> Tensor {
        pass.attend(self.query_key_value(x, queries, pass), queries, self.dropout)
    }

    pub fn pack(&self) {
        [&self.query, &self.key, &self.value].into_iter().for_each(Linear::pack);
    }

    /// Queries `[N, h, d]`, keys and values `[T, h, d]`.
    pub fn query_key_value(&self, x: &Tensor, queries: Queries, pass: &Pass<'_>) -> [Tensor; 3] {
        let asking = queries.of(x, pass.packing); // [N, H]
        [(&self.query, &asking), (&self.key, x), (&self.value, x)]
            .map(|(part, x)| by_head(&part.forward(x), self.heads))
    }
}

/// Queries, keys and values by one projection.
#[derive(Debug)]
pub(crate) struct StackedAttention {
    pub query_key_value: Linear,
    pub heads: i64,
    pub dropout: f64,
}

impl StackedAttention {
    /// What `queries` gather from their rows: `x` `[T, H]`, returns `[N, H]`.
    pub fn forward(&self, x: &Tensor, queries: Queries, pass: &Pass<'_>) -> Tensor {
        let parts = match queries {
            Queries::All => self.query_key_value.forward(x).chunk(3, -1), // 3 of [T, H]
            Queries::First => {
                let first = queries.of(x, pass.packing); // [B, H]
                let [query, others] = self.query_key_value.forward_apart(x.size()[1], &first, x);
                std::iter::once(query).chain(others.chunk(2, -1)).collect() // [B, H], 2 of [T, H]
            }
        };
        let [query, key, value] = [&parts[0], &parts[1], &parts[2]].map(|part| by_head(part, self.heads));
        pass.attend([query, key, value], queries, self.dropout)
    }
}
