#!/usr/bin/env python3
"""Writes the golden figures that distill-task's answers are tested against.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install numpy tqdm
    /tmp/venv/bin/python scripts/goldens/answers.py EVALUATE UTILS_QA

EVALUATE is a checkout of huggingface/evaluate, whose `metrics/squad` and `metrics/squad_v2` are the official evaluation
scripts of SQuAD 1.1 and 2.0. UTILS_QA is `examples/pytorch/question-answering/utils_qa.py` of transformers. Neither is
in a package.

`normalised`: texts and what SQuAD compares. `scored`: a prediction, the answers in the data, and exact match and F1 by
1.1 and by 2.0. `data`: figures of whole data sets. `spans`: windows of logits and the answer that is chosen, null where
it is none, with all candidates. Where the example makes up the answer "empty" because no span is valid, it is null.
"""

import contextlib
import importlib.util
import io
import json
import random
import sys
import tempfile
from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).resolve().parents[2] / "crates/distill-task/tests/golden/answers.json"
TEXTS = [
    "", " ", "the", "The", "a an the", "Theatre", "the U.S.A.", "  two\tspaces\n", "an-other", "a_b", "it's the end",
    "\u00a0a\u00a0b", "a\u001fb", "a\u0085b", "a\u200bb", "\u3000x\u3000", "a\u0301", "a\u0903 x", "a\u24d0 b", "\u24b6 a",
    "a\u00b2 b", "\u0130stanbul", "\u03a3\u03a3", "\u4e2da", "a\u4e2d", "\u00e0 la the", "\u2019the\u2019", "$5.00", "...", "a.",
    ".the.", "the\u2014a", "THE AN A", "\ufb01the", "the1", "1the", "_the_", "(the)", "\U0001d400 a", "a\U0001f600",
]  # fmt: skip
WORDS = ["the", "a", "an", "Paris", "paris", "in", "1999", "U.S.", "U.S", "city", "City,", "of", "\u00c9cole", "\u4e2d", "-"]


def module(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def phrase(rng, longest=5):
    return " ".join(rng.choice(WORDS) for _ in range(rng.randint(0, longest)))


def scored(rng, v1, v2):
    for _ in range(300):
        prediction = phrase(rng)
        answers = [phrase(rng) for _ in range(rng.randint(1, 3))]
        if rng.random() < 0.3:
            answers[0] = prediction.upper() + rng.choice(["", ".", " the"])
        one = [
            float(v1.metric_max_over_ground_truths(metric, prediction, answers))
            for metric in (v1.exact_match_score, v1.f1_score)
        ]
        qa = {"id": "q", "answers": {"text": answers}}
        exact, f1 = v2.get_raw_scores([{"paragraphs": [{"qas": [qa]}]}], {"q": prediction})
        yield [prediction, answers, one, [float(exact["q"]), float(f1["q"])]]


def data_sets(rng, v1, v2):
    for share_without in (0.0, 0.4, 1.0):
        rows = []
        for _ in range(40):
            answers = [] if rng.random() < share_without else [phrase(rng, 4) for _ in range(rng.randint(1, 3))]
            rows.append([answers[0] if answers and rng.random() < 0.4 else phrase(rng, 4), answers])
        predictions = {str(at): prediction for at, (prediction, _) in enumerate(rows)}
        out = {"rows": rows}
        if share_without == 0.0:
            qas = [{"id": str(at), "answers": [{"text": text} for text in answers]} for at, (_, answers) in enumerate(rows)]
            found = v1.compute_score([{"paragraphs": [{"qas": qas}]}], predictions)
            out["v1"] = [found["exact_match"], found["f1"]]
        qas = [{"id": str(at), "answers": {"text": answers}} for at, (_, answers) in enumerate(rows)]
        data = [{"paragraphs": [{"qas": qas}]}]
        exact, f1 = v2.get_raw_scores(data, predictions)
        has_answer = v2.make_qid_to_has_ans(data)
        for name, wanted in (("v2", None), ("answerable", True), ("unanswerable", False)):
            ids = None if wanted is None else [qid for qid, has in has_answer.items() if has == wanted]
            if ids != []:
                found = v2.make_eval_dict(exact, f1, ids)
                out[name] = [found["exact"], found["f1"]]
        yield out


def window(rng, context, question_tokens, no_answer):
    """A window of a context: special tokens and the question first, a part of the words, a special token."""
    starts = [at for at, letter in enumerate(context) if at == 0 or context[at - 1] == " "]
    words = [(start, start + len(context[start:].split(" ")[0])) for start in starts]
    first = rng.randint(0, max(0, len(words) - 6))
    offsets = [None] * (question_tokens + 2) + words[first : first + 12] + [None]

    # Whole thousandths, none twice: the order of equal logits is not defined in numpy.
    def logits():
        thousandths = rng.sample(range(-4000, 4000), len(offsets))
        thousandths[0] = no_answer + rng.randint(0, 999)
        return np.array(thousandths, dtype=np.float32) / np.float32(1000)

    return offsets, logits(), logits()


def spans(rng, example):
    for at in range(120):
        context = " ".join(rng.choice(["x", "word", "\u00e9t\u00e9", "longer"]) for _ in range(rng.randint(1, 25)))
        no_answer = rng.choice([-5000, 4000, 5000])
        windows = [window(rng, context, rng.randint(1, 4), no_answer) for _ in range(rng.randint(1, 4))]
        if at % 40 == 39:
            windows = [([None] * len(offsets), start, end) for offsets, start, end in windows]
        settings = {
            "n_best_size": rng.choice([1, 3, 20]),
            "max_answer_length": rng.choice([1, 2, 5, 30]),
            "null_score_diff_threshold": rng.choice([-3.0, -0.5, 0.0, 2.5]),
            "version_2_with_negative": rng.random() < 0.6,
        }
        features = [{"example_id": "q", "offset_mapping": offsets} for offsets, _, _ in windows]
        longest = max(len(offsets) for offsets, _, _ in windows)
        pad = lambda logits: np.pad(logits, (0, longest - len(logits)), constant_values=-1e4)  # noqa: E731
        predictions = tuple([pad(one[side]) for one in windows] for side in (1, 2))
        found, candidates = chosen(example, context, features, predictions, settings)
        yield {
            "context": context,
            "windows": [
                {"offsets": offsets, "start": shown(start), "end": shown(end)} for offsets, start, end in windows
            ],
            "n_best": settings["n_best_size"],
            "max_answer_length": settings["max_answer_length"],
            "null_threshold": settings["null_score_diff_threshold"] if settings["version_2_with_negative"] else None,
            "answer": found,
            "candidates": candidates,
        }


def shown(logits):
    return [round(float(logit), 3) for logit in logits]


def chosen(example, context, features, predictions, settings):
    """The answer, and every candidate with its probability: read from the file that the example writes."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        found = example.postprocess_qa_predictions(
            Examples(context), features, predictions, output_dir=folder, **settings
        )
        candidates = json.loads((Path(folder) / "nbest_predictions.json").read_text())["q"]
    if any(one["text"] == "empty" for one in candidates):
        return None, None
    return found["q"] or None, [[one["text"], one["probability"]] for one in candidates]


class Examples(list):
    """What the example expects of a data set with one row."""

    def __init__(self, context):
        super().__init__([{"id": "q", "context": context}])

    def __getitem__(self, key):
        return ["q"] if key == "id" else super().__getitem__(key)


def main(evaluate, utils_qa):
    v1 = module(Path(evaluate) / "metrics/squad/compute_score.py")
    v2 = module(Path(evaluate) / "metrics/squad_v2/compute_score.py")
    rng = random.Random(11)
    golden = {
        "normalised": [[text, v1.normalize_answer(text)] for text in TEXTS],
        "scored": list(scored(rng, v1, v2)),
        "data": list(data_sets(rng, v1, v2)),
        "spans": list(spans(rng, module(Path(utils_qa)))),
    }
    lines = [f'"{name}": [\n' + ",\n".join(map(json.dumps, rows)) + "\n]" for name, rows in golden.items()]
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
