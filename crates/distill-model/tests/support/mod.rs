//! Golden batches as the model takes them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use distill_model::{Inputs, weights};
use tch::{Device, Tensor};

pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

pub fn golden(name: &str) -> PathBuf {
    repository().join("tests/golden").join(name)
}

pub fn tensors(path: &Path) -> BTreeMap<String, Tensor> {
    weights::read(&[path.to_owned()]).unwrap()
}

/// A padded batch as a packed one, longest row first; `order[i]` is the padded row at place `i`.
pub fn packed(golden: &BTreeMap<String, Tensor>) -> (Inputs, Tensor) {
    let rows = |name: &str| -> Option<Vec<Vec<i64>>> {
        golden.get(name).map(|tensor| Vec::<Vec<i64>>::try_from(tensor).unwrap())
    };
    let (ids, mask) = (rows("input_ids").unwrap(), rows("attention_mask").unwrap());
    let types = rows("token_type_ids").unwrap_or_else(|| ids.iter().map(|row| vec![0; row.len()]).collect());
    let length = |row: &usize| mask[*row].iter().sum::<i64>() as usize;
    let mut order: Vec<usize> = (0..ids.len()).collect();
    order.sort_by_key(|row| std::cmp::Reverse(length(row)));
    let (mut input_ids, mut token_type_ids, mut position_ids, mut cu_seqlens) =
        (vec![], vec![], vec![], vec![0i32]);
    for row in &order {
        input_ids.extend(&ids[*row][..length(row)]);
        token_type_ids.extend(&types[*row][..length(row)]);
        position_ids.extend(0..length(row) as i64);
        cu_seqlens.push(input_ids.len() as i32);
    }
    let order: Vec<i64> = order.into_iter().map(|row| row as i64).collect();
    let inputs = Inputs::new(&input_ids, &token_type_ids, &position_ids, &cu_seqlens, Device::Cpu).unwrap();
    (inputs, Tensor::from_slice(&order))
}

pub fn largest_difference(left: &Tensor, right: &Tensor) -> f64 {
    assert_eq!(left.size(), right.size());
    (left - right).abs().max().double_value(&[])
}
