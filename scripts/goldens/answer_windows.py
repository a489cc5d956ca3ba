#!/usr/bin/env python3
"""Make crates/distill-data/testdata/answer_windows.json: the windows that transformers gives for questions and their texts.

    scripts/goldens/setup-venv && .venv/bin/python scripts/goldens/answer_windows.py

Each case is one of the tiny tokenizers of `tokens.py`, called as `run_qa.py` of transformers does; the positions of the
answers are calculated as there. Running it again changes no file. It needs transformers alone.
"""

import json
import os
import tempfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
import transformers  # noqa: E402
from tokenizer_settings import BERT, OUT, ROBERTA, lay  # noqa: E402
from transformers import AutoTokenizer  # noqa: E402

# Question, text, and answers as (first character, one after the last).
ROWS = [
    ("what is the capital of France?", "The capital of France is Paris, far from Denver.", [(25, 30), (0, 11), (43, 48)]),
    ("how far", "what is the capital of france and how far is it from it to the capital " * 6, [(12, 19), (200, 240), (0, 5)]),
    ("what", "Café 巴黎 e\u0301a 😀 👩‍👩‍👧‍👦 naïve  ＦＵＬＬ\u00a0width ½ [MASK] x", [(0, 4), (5, 7), (8, 11), (12, 13), (33, 37)]),
    ("", "what is it", [(5, 7)]),
    ("who", "", []),
    ("who", " \u200b ", []),
    ("is it", "x" * 120 + " what " + "!" * 60, [(121, 125), (125, 140)]),
]


def cases():
    """(tokenizer, tokenizer_config.json, model_type, max_length, stride)"""
    def case(base, config, model_type, max_length, stride):
        files = {"config.json": {"model_type": model_type}, "tokenizer_config.json": config}
        return {"tokenizer": base, "files": files, "change": {}, "without": [], "max_length": max_length, "stride": stride}

    backend = {"tokenizer_class": "PreTrainedTokenizerFast"}
    for length, stride in [(24, 0), (24, 5), (31, 8), (384, 128)]:
        yield case("tiny-bert", {}, "bert", length, stride)
        yield case("tiny-bert", {"do_lower_case": False}, "bert", length, stride)
        yield case("tiny-untyped", BERT, "mpnet", length, stride)
    for length, stride in [(48, 6), (512, 128)]:
        yield case("tiny-byte-level", ROBERTA, "roberta", length, stride)
        yield case("tiny-byte-level", backend, "modernbert", length, stride)
        for model_type in ["xlm-roberta", "camembert", "albert", "deberta-v2"]:
            yield case("tiny-unigram", ROBERTA, model_type, length, stride)


def positions(offsets, answer):
    """As `prepare_train_features` of run_qa.py, where the text is the second one; none where it says CLS."""
    start_char, end_char = answer
    inside = [at for at, place in enumerate(offsets) if place is not None]
    if not inside:
        return None
    start, end = inside[0], inside[-1]
    if not (offsets[start][0] <= start_char and offsets[end][1] >= end_char):
        return None
    while start <= inside[-1] and offsets[start][0] <= start_char:
        start += 1
    while offsets[end][1] >= end_char:
        end -= 1
        if end < inside[0]:
            break
    return [start - 1, end + 1]


def rows(tokenizer, case):
    made = []
    for question, text, answers in ROWS:
        # As a batch of one: for a single row, transformers takes an empty text for no text.
        out = tokenizer([question], [text], truncation="only_second", max_length=case["max_length"], stride=case["stride"],
                        return_overflowing_tokens=True, return_offsets_mapping=True)
        windows = []
        for at, ids in enumerate(out["input_ids"]):
            of = out.sequence_ids(at)
            offsets = [list(place) if of[token] == 1 else None for token, place in enumerate(out["offset_mapping"][at])]
            windows.append([ids, offsets, [positions(offsets, answer) for answer in answers]])
        made.append(windows)
    return made


def main():
    made = []
    for case in cases():
        with tempfile.TemporaryDirectory() as directory:
            lay(case, Path(directory))
            found = rows(AutoTokenizer.from_pretrained(directory), case)
        kept = {key: case[key] for key in ["tokenizer", "files", "max_length", "stride"]}
        made.append(kept | {"rows": found})
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in made)
    head = json.dumps({"transformers": transformers.__version__, "rows": ROWS})[:-1]
    (OUT / "answer_windows.json").write_text(f"{head}, \"cases\": [\n{lines}\n]}}\n", encoding="utf-8")
    print(len(made), "cases,", (OUT / "answer_windows.json").stat().st_size, "bytes")


if __name__ == "__main__":
    main()
