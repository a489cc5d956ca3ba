//! From start and end logits to one answer: the best span over the windows of a text.

/// One window's logits.
#[derive(Clone, Copy, Debug)]
pub struct Window<'a> {
    /// How likely each token begins the answer, `[L]`; the first token stands for "no answer".
    pub start: &'a [f32],
    /// How likely each token ends it, `[L]`.
    pub end: &'a [f32],
    /// Where each token begins and ends in the context, in characters, `[L]`; none for a token of the question and
    /// for special tokens.
    pub offsets: &'a [Option<(usize, usize)>],
}

/// How a span is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpanSettings {
    /// Start and end tokens that are tried in each window, and candidates that are kept.
    pub n_best: usize,
    /// Tokens of the longest answer.
    pub max_answer_length: usize,
    /// Whether there may be no answer, and by how much the score of none must exceed that of the best span to be
    /// chosen.
    pub null_threshold: Option<f64>,
}

impl Default for SpanSettings {
    /// 20 candidates, 30 tokens, an answer in every text: as `transformers`' example has it.
    fn default() -> Self {
        SpanSettings { n_best: 20, max_answer_length: 30, null_threshold: None }
    }
}

/// A possible answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Where it begins and ends in the context, in characters; none for "no answer".
    pub span: Option<(usize, usize)>,
    /// The logit of its first token as a start.
    pub start_logit: f32,
    /// The logit of its last token as an end.
    pub end_logit: f32,
    /// Softmax of [`Candidate::logit`] over the candidates that were kept.
    pub probability: f64,
}

impl Candidate {
    /// What candidates are compared by: the sum of both logits.
    pub fn logit(&self) -> f32 {
        self.start_logit + self.end_logit
    }
}

/// What was chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Where the answer begins and ends in the context, in characters; none where there is no answer.
    pub span: Option<(usize, usize)>,
    /// The probability of the chosen candidate among those that were kept; 0 where there was none to choose.
    pub score: f64,
    /// By how much the score of no answer exceeds that of the best span; only with a `null_threshold`, and where there
    /// is a span.
    pub null_score_diff: Option<f64>,
    /// The candidates that were kept, the best first.
    pub candidates: Vec<Candidate>,
}

/// The best valid span over all windows of a text: start not after end, at most so many tokens, both in the context.
/// With a `null_threshold`, "no answer" competes with the lowest of the windows' scores for it.
///
/// Source: `postprocess_qa_predictions` of `transformers`' question-answering example. Where it makes up the answer
/// "empty" because no span is valid, there is no answer here. Of equal logits the first token is tried first.
pub fn best_answer(windows: &[Window<'_>], settings: &SpanSettings) -> Answer {
    let mut candidates: Vec<Candidate> = Vec::new();
    windows.iter().for_each(|window| spans_of(window, settings, &mut candidates));
    let no_answer = settings.null_threshold.and_then(|_| no_answer(windows));
    candidates.extend(no_answer);
    candidates.sort_by(|left, right| right.logit().total_cmp(&left.logit()));
    candidates.truncate(settings.n_best);
    if let Some(no_answer) = no_answer.filter(|_| candidates.iter().all(|one| one.span.is_some())) {
        candidates.push(no_answer);
    }
    let largest = candidates.first().map_or(0.0, |first| f64::from(first.logit()));
    let powers: Vec<f64> = candidates.iter().map(|one| (f64::from(one.logit()) - largest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    candidates.iter_mut().zip(powers).for_each(|(candidate, power)| candidate.probability = power / sum);
    choose(candidates, no_answer, settings)
}

fn choose(candidates: Vec<Candidate>, no_answer: Option<Candidate>, settings: &SpanSettings) -> Answer {
    let allowed = settings.null_threshold.is_some();
    // Where there may be no answer, a span without a character is passed over.
    let is_answer = |one: &&Candidate| one.span.is_some_and(|(start, end)| !allowed || start < end);
    let best = candidates.iter().find(is_answer).copied();
    let diff = no_answer
        .zip(best)
        .map(|(no_answer, best)| f64::from(no_answer.logit() - best.start_logit - best.end_logit));
    let is_none = best.is_none() || diff.zip(settings.null_threshold).is_some_and(|(diff, at)| diff > at);
    let chosen = if is_none { candidates.iter().find(|one| one.span.is_none()).copied() } else { best };
    Answer {
        span: chosen.and_then(|chosen| chosen.span),
        score: chosen.map_or(0.0, |chosen| chosen.probability),
        null_score_diff: diff,
        candidates,
    }
}

/// The valid spans among the best starts and ends of one window.
fn spans_of(window: &Window<'_>, settings: &SpanSettings, candidates: &mut Vec<Candidate>) {
    let ends = largest(window.end, settings.n_best);
    let offset = |token: usize| window.offsets.get(token).copied().flatten();
    for start in largest(window.start, settings.n_best) {
        for end in ends.iter().copied() {
            let (Some((from, _)), Some((_, to))) = (offset(start), offset(end)) else { continue };
            if end < start || end - start + 1 > settings.max_answer_length {
                continue;
            }
            let (start_logit, end_logit) = (window.start[start], window.end[end]);
            candidates.push(Candidate { span: Some((from, to)), start_logit, end_logit, probability: 0.0 });
        }
    }
}

/// "No answer" with the lowest score that a window's first token gives it.
fn no_answer(windows: &[Window<'_>]) -> Option<Candidate> {
    let first = |window: &Window<'_>| {
        let (start_logit, end_logit) = (*window.start.first()?, *window.end.first()?);
        Some(Candidate { span: None, start_logit, end_logit, probability: 0.0 })
    };
    windows.iter().filter_map(first).min_by(|left, right| left.logit().total_cmp(&right.logit()))
}

/// The tokens of the `count` largest logits, the largest first, the first of equals first.
fn largest(logits: &[f32], count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|left, right| logits[*right].total_cmp(&logits[*left]));
    order.truncate(count);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFSETS: [Option<(usize, usize)>; 5] = [None, Some((0, 3)), Some((4, 9)), Some((10, 12)), None];

    fn answer(start: [f32; 5], end: [f32; 5], settings: SpanSettings) -> Answer {
        best_answer(&[Window { start: &start, end: &end, offsets: &OFFSETS }], &settings)
    }

    #[test]
    fn a_span_neither_ends_before_it_begins_nor_leaves_the_context_nor_is_too_long() {
        // The best start comes after the best end, and the special tokens are the best of all.
        let (start, end) = ([9.0, 2.0, 0.0, 4.5, 9.0], [9.0, 5.0, 1.0, 2.0, 9.0]);
        let best = answer(start, end, SpanSettings::default());
        assert_eq!((best.span, best.candidates.len()), (Some((0, 3)), 6));
        assert!(best.null_score_diff.is_none() && best.score < 1.0);
        let (start, end) = ([0.0, 5.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 5.0, 0.0]);
        assert_eq!(answer(start, end, SpanSettings::default()).span, Some((0, 12)));
        let short = SpanSettings { max_answer_length: 2, ..SpanSettings::default() };
        assert_eq!(answer(start, end, short).span, Some((0, 9)));
    }

    #[test]
    fn no_answer_wins_only_above_the_threshold() {
        let (start, end) = ([3.0, 2.0, 0.0, 0.0, 0.0], [3.0, 2.0, 0.0, 0.0, 0.0]);
        let at =
            |null_threshold| answer(start, end, SpanSettings { null_threshold, ..SpanSettings::default() });
        assert_eq!(at(None).span, Some((0, 3)));
        assert_eq!((at(Some(1.5)).span, at(Some(1.5)).null_score_diff), (None, Some(2.0)));
        assert_eq!(at(Some(2.0)).span, Some((0, 3)));
    }

    #[test]
    fn without_a_valid_span_there_is_no_answer() {
        let window = Window { start: &[1.0], end: &[1.0], offsets: &[None] };
        for null_threshold in [None, Some(0.0)] {
            let answer = best_answer(&[window], &SpanSettings { null_threshold, ..SpanSettings::default() });
            assert_eq!(answer.span, None);
        }
        assert_eq!(best_answer(&[], &SpanSettings::default()).score, 0.0);
    }
}
