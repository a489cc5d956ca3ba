//! The validation part: chosen by seed and id, whatever the order of the rows.

use crate::error::DataError;

/// Marks the rows of a validation part: the `⌊fraction · n⌋`, at least one, whose
/// `blake3(seed as 8 little-endian bytes ‖ id)` is smallest by its first 8 bytes.
///
/// The same ids and seed give the same part in any order of rows and on any machine. Returns one
/// flag a row, true for validation. Rows of one id count as different rows, the earlier one first.
///
/// # Errors
/// [`DataError::Split`] unless `0 < fraction < 1`, or where no row would be left to train on.
pub fn choose_validation(
    ids: impl Iterator<Item = impl AsRef<[u8]>>,
    fraction: f64,
    seed: u64,
) -> Result<Vec<bool>, DataError> {
    if !(fraction > 0.0 && fraction < 1.0) {
        return Err(DataError::Split { what: format!("the share must be between 0 and 1, not {fraction}") });
    }
    let mut ranks: Vec<(u64, usize)> =
        ids.enumerate().map(|(row, id)| (rank(seed, id.as_ref()), row)).collect();
    let rows = ranks.len();
    let wanted = ((rows as f64 * fraction).floor() as usize).max(1);
    if wanted >= rows {
        return Err(DataError::Split { what: format!("none of the {rows} rows would be left for training") });
    }
    ranks.sort_unstable();
    let mut chosen = vec![false; rows];
    for (_, row) in &ranks[..wanted] {
        chosen[*row] = true;
    }
    Ok(chosen)
}

fn rank(seed: u64, id: &[u8]) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    hasher.update(id);
    let mut first = [0; 8];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(ids: &[String], fraction: f64, seed: u64) -> Vec<&String> {
        let flags = choose_validation(ids.iter().map(String::as_str), fraction, seed).unwrap();
        let mut names: Vec<&String> = ids.iter().zip(flags).filter(|(_, v)| *v).map(|(id, _)| id).collect();
        names.sort();
        names
    }

    #[test]
    fn the_part_depends_on_ids_and_seed_not_on_the_order_of_rows() {
        let ids: Vec<String> = (0..1000).map(|n| format!("row {n}")).collect();
        let reversed: Vec<String> = ids.iter().rev().cloned().collect();
        assert_eq!(chosen(&ids, 0.1, 7).len(), 100);
        assert_eq!(chosen(&ids, 0.1, 7), chosen(&reversed, 0.1, 7));
        assert_ne!(chosen(&ids, 0.1, 7), chosen(&ids, 0.1, 8));
    }

    #[test]
    fn a_larger_part_contains_the_smaller_one() {
        let ids: Vec<String> = (0..200).map(|n| n.to_string()).collect();
        let large = chosen(&ids, 0.3, 1);
        assert!(chosen(&ids, 0.1, 1).iter().all(|id| large.contains(id)));
    }

    #[test]
    fn at_least_one_row_is_chosen_and_one_is_left() {
        let ids = ["a", "b", "c"];
        let flags = choose_validation(ids.into_iter(), 0.01, 0).unwrap();
        assert_eq!(flags.iter().filter(|flag| **flag).count(), 1);
        assert!(choose_validation(["a"].into_iter(), 0.5, 0).is_err());
        assert!(choose_validation(ids.into_iter(), 1.0, 0).is_err());
        assert!(choose_validation(ids.into_iter(), f64::NAN, 0).is_err());
    }
}
