//! Batches for inference: rows of like length together, cut by a budget of tokens.

/// Groups rows by length and cuts the groups so that the tokens of a batch stay within `token_budget`.
///
/// Longest rows come first, so that memory is at its peak in the first batch; rows of one length keep their
/// order. A row longer than the budget is a batch of its own. The result depends on nothing but the arguments.
///
/// # Shapes
/// - `lengths`: tokens of each row, `[N]`
/// - returns indices into `lengths`, each exactly once
pub fn order_by_length(lengths: &[u32], token_budget: u64) -> Vec<Vec<u32>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|row| std::cmp::Reverse(lengths[*row]));
    let mut batches = Vec::new();
    let mut batch: Vec<u32> = Vec::new();
    let mut tokens = 0;
    for row in order {
        let length = u64::from(lengths[row]);
        if !batch.is_empty() && tokens + length > token_budget {
            batches.push(std::mem::take(&mut batch));
            tokens = 0;
        }
        batch.push(row as u32);
        tokens += length;
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lengths as a corpus has them: mostly short, some at the maximum.
    fn lengths(count: u32) -> Vec<u32> {
        (0..count).map(|row| 3 + row.wrapping_mul(2_654_435_761) % 97 * (1 + row % 3)).collect()
    }

    fn sorted(batches: &[Vec<u32>]) -> Vec<u32> {
        let mut rows: Vec<u32> = batches.concat();
        rows.sort_unstable();
        rows
    }

    #[test]
    fn every_row_is_in_one_batch_and_no_batch_of_two_exceeds_the_budget() {
        let lengths = lengths(1000);
        for budget in [0, 1, 50, 512, 1 << 40] {
            let batches = order_by_length(&lengths, budget);
            assert_eq!(sorted(&batches), (0..1000).collect::<Vec<_>>());
            for batch in &batches {
                let tokens: u64 = batch.iter().map(|row| u64::from(lengths[*row as usize])).sum();
                assert!(batch.len() == 1 || tokens <= budget, "{tokens} > {budget}");
            }
            assert_eq!(batches, order_by_length(&lengths, budget));
        }
        assert!(order_by_length(&[], 8).is_empty());
    }

    #[test]
    fn lengths_fall_from_batch_to_batch_and_equal_rows_keep_their_order() {
        assert_eq!(order_by_length(&[2, 5, 2, 5, 9], 10), [vec![4], vec![1, 3], vec![0, 2]]);
    }
}
