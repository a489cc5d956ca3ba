//! How long made-up rows are.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

/// The 99th percentile of the standard normal distribution.
const HUNDREDTH: f64 = 2.326_347_874;

/// Tokens of a row, drawn for each row.
#[derive(Clone, Debug, PartialEq)]
pub enum Lengths {
    /// Every length between these as often, both included.
    Between(usize, usize),
    /// Many short and few long, as texts are: half of the rows are no longer than `median`, and one in a hundred is
    /// cut at `longest`.
    LogNormal {
        /// Of all rows.
        median: usize,
        /// Where longer ones are cut.
        longest: usize,
    },
    /// Lengths, each with the sum of the shares up to its own.
    Listed(Vec<(usize, f64)>),
}

impl Lengths {
    /// `27`, `8..64`, `lognormal:20..256` or `16:0.5,64:0.3,256:0.2`; none where it is nothing of these.
    pub fn parse(text: &str) -> Option<Self> {
        let range = |text: &str| {
            let (from, to) = text.split_once("..").unwrap_or((text, text));
            let (from, to) = (from.trim().parse::<usize>().ok()?, to.trim().parse::<usize>().ok()?);
            (from <= to).then_some((from, to))
        };
        if let Some(rest) = text.strip_prefix("lognormal:") {
            let (median, longest) = range(rest)?;
            return (median > 0).then_some(Lengths::LogNormal { median, longest });
        }
        if !text.contains(':') {
            return range(text).map(|(from, to)| Lengths::Between(from, to));
        }
        let mut sum = 0.0;
        let listed = text.split(',').map(|part| {
            let (length, share) = part.split_once(':')?;
            let share = share.trim().parse::<f64>().ok().filter(|share| share.is_finite() && *share > 0.0)?;
            sum += share;
            Some((length.trim().parse().ok()?, sum))
        });
        listed.collect::<Option<Vec<_>>>().map(Lengths::Listed)
    }

    /// The shortest that is asked for by name, and the longest.
    pub fn bounds(&self) -> (usize, usize) {
        match self {
            Lengths::Between(from, to) => (*from, *to),
            Lengths::LogNormal { median, longest } => (*median, *longest),
            Lengths::Listed(listed) => {
                let lengths = || listed.iter().map(|(length, _)| *length);
                (lengths().min().unwrap_or(0), lengths().max().unwrap_or(0))
            }
        }
    }

    /// The next row's length, of at least `least` tokens.
    pub fn draw(&self, random: &mut ChaCha8Rng, least: usize) -> usize {
        match self {
            Lengths::Between(from, to) => from + (random.next_u64() % (to - from + 1) as u64) as usize,
            Lengths::LogNormal { median, longest } => {
                let sigma = (*longest as f64 / *median as f64).ln() / HUNDREDTH;
                let length = *median as f64 * (sigma * normal(random)).exp();
                (length.round() as usize).clamp(least, *longest)
            }
            Lengths::Listed(listed) => {
                let at = unit(random) * listed.last().map_or(0.0, |(_, sum)| *sum);
                listed.iter().find(|(_, sum)| at < *sum).or(listed.last()).map_or(least, |(length, _)| *length)
            }
        }
    }
}

/// Evenly from 0, less than 1.
fn unit(random: &mut ChaCha8Rng) -> f64 {
    (random.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// Box & Muller 1958.
fn normal(random: &mut ChaCha8Rng) -> f64 {
    let radius = (-2.0 * (1.0 - unit(random)).ln()).sqrt();
    radius * (std::f64::consts::TAU * unit(random)).cos()
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    fn drawn(text: &str) -> Vec<usize> {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let lengths = Lengths::parse(text).unwrap();
        let mut drawn: Vec<usize> = (0..10_000).map(|_| lengths.draw(&mut random, 3)).collect();
        drawn.sort_unstable();
        drawn
    }

    #[test]
    fn lengths_are_a_number_a_range_a_course_or_a_list() {
        assert_eq!(Lengths::parse("27"), Some(Lengths::Between(27, 27)));
        assert_eq!(Lengths::parse("8..64"), Some(Lengths::Between(8, 64)));
        let lognormal = Lengths::LogNormal { median: 20, longest: 256 };
        assert_eq!(Lengths::parse("lognormal:20..256"), Some(lognormal));
        assert_eq!(Lengths::parse("16:1, 64:0.5").unwrap().bounds(), (16, 64));
        for bad in [
            "",
            "x",
            "9..8",
            "1..2..3",
            "-1",
            "lognormal:",
            "lognormal:0..9",
            "lognormal:9..8",
            "16:0",
            "16:1,",
            "16:x",
            "16:1,64",
            "16:inf",
        ] {
            assert_eq!(Lengths::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_lognormal_has_its_median_and_a_hundredth_of_its_rows_at_the_end() {
        let drawn = drawn("lognormal:20..256");
        assert!(drawn[5_000].abs_diff(20) <= 1, "{}", drawn[5_000]);
        let cut = drawn.iter().filter(|length| **length == 256).count();
        assert!((60..140).contains(&cut) && drawn[0] >= 3, "{cut} of 10,000 from {}", drawn[0]);
        let mean = drawn.iter().sum::<usize>() / drawn.len();
        assert!((25..50).contains(&mean), "{mean}: long rows pull the mean up");
    }

    #[test]
    fn a_list_has_its_shares_and_a_range_its_ends() {
        let listed = drawn("16:1,64:3");
        let short = listed.iter().filter(|length| **length == 16).count();
        assert!(
            (2_300..2_700).contains(&short) && listed.iter().all(|length| [16, 64].contains(length)),
            "{short}"
        );
        let between = drawn("8..10");
        assert_eq!((between[0], between[9_999]), (8, 10));
    }
}
