//! NaN and infinity must reach the output in every kernel: otherwise a broken model would give plausible logits and
//! would not be noticed. The tests of `attention` run this for each instruction set.

use super::tests::{packing, random, reference};
use super::*;

const LENGTHS: [i64; 6] = [65, 49, 17, 9, 2, 1];
/// One token of every row.
const BROKEN: [i64; 6] = [64, 70, 120, 139, 140, 142];
const HEADS: i64 = 3;
const SIZE: i64 = 20;

/// Queries with `value` in one number of one head of each token of [`BROKEN`].
fn broken(query: &Tensor, value: f64) -> Tensor {
    let query = query.detach().copy();
    for token in BROKEN {
        drop(query.get(token).get(1).narrow(0, 7, 1).fill_(value));
    }
    query.set_requires_grad(true)
}

#[test]
fn a_query_that_is_not_finite_spoils_its_output_and_its_gradients_and_nothing_else() {
    crate::rng::manual_seed(4);
    let packing = packing(&LENGTHS);
    let shape = [packing.tokens(), HEADS, SIZE];
    let (sound, k, v) = (random(&shape), random(&shape), random(&shape));
    let whole = attend(&sound, &k, &v, &packing, None, Scores::Plain);
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let q = broken(&sound, value);
        let [own, expected] =
            [attend(&q, &k, &v, &packing, None, Scores::Plain), reference(&q, &k, &v, &LENGTHS)];
        let lost = own.isnan();
        assert_eq!(lost, expected.isnan(), "{value}");
        let head = lost.view(shape).select(1, 1).any_dim(1, false); // [T]
        assert_eq!(Vec::<i64>::try_from(head.nonzero().flatten(0, 1)).unwrap(), BROKEN, "{value}");
        assert_eq!(own.masked_fill(&lost, 0.0), whole.masked_fill(&lost, 0.0), "{value}");
        let gradients = |of: &Tensor| Tensor::run_backward(&[of.sum(Kind::Float)], &[&q, &k, &v], false, false);
        for (own, expected) in gradients(&own).iter().zip(&gradients(&expected)) {
            assert_eq!(own.isnan(), expected.isnan(), "{value}");
        }
        let masked = attend(&q, &k, &v, &packing, Some((&Dropout::at(5, 9), 0.25)), Scores::Plain);
        assert_eq!(masked.isnan(), lost, "{value}, with dropout");
    }
}

#[test]
fn a_first_token_that_is_not_finite_spoils_its_row() {
    crate::rng::manual_seed(5);
    let packing = packing(&LENGTHS);
    let shape = [packing.tokens(), HEADS, SIZE];
    let (k, v) = (random(&shape), random(&shape));
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let q = random(&[packing.rows(), HEADS, SIZE]).detach();
        drop(q.get(2).get(1).narrow(0, 7, 1).fill_(value));
        let lost = attend_from_one(&q, &k, &v, &packing, None, Scores::Plain).isnan();
        let expected = Tensor::zeros([packing.rows(), HEADS * SIZE], (Kind::Bool, Device::Cpu));
        drop(expected.get(2).narrow(0, SIZE, SIZE).fill_(1));
        assert_eq!(lost, expected, "{value}");
    }
}

/// All keys that the query sees have a score of minus infinity: keys outside the window must not win.
#[test]
fn a_query_that_sees_nothing_finite_is_not_taken_for_a_sound_one() {
    crate::rng::manual_seed(6);
    let packing = packing(&LENGTHS);
    let shape = [packing.tokens(), HEADS, SIZE];
    let (q, k, v) = (random(&shape), random(&shape).detach(), random(&shape).detach());
    drop(k.narrow(2, 7, 1).fill_(-1.0));
    let hidden = |_: &Tensor, _: &Tensor| -> Tensor { panic!("the kernels take a window") };
    for kind in [Kind::Float, Kind::BFloat16] {
        if !ffi::attention_takes(kind, SIZE) {
            continue;
        }
        let [q, k, v] = [&broken(&q, f64::INFINITY), &k, &v].map(|x| x.to_kind(kind));
        let near = Scores::Within { reach: 1, hidden: &hidden };
        let lost = attend(&q, &k, &v, &packing, None, near).isnan().view(shape).select(1, 1).all_dim(1, false); // [T]
        assert_eq!(Vec::<i64>::try_from(lost.nonzero().flatten(0, 1)).unwrap(), BROKEN, "{kind:?}");
    }
}
