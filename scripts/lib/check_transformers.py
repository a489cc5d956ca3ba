"""Loads a model directory that distill wrote with Python's transformers, and compares the logits of both.

examples:
  scripts/check-transformers runs/trec/student/model --data data/trec/test.jsonl --predictions predictions.parquet
  scripts/check-transformers runs/trec/student/model

Without --predictions it says what transformers makes of the directory. The predictions are a logits table with the
columns `id` and `logits` (Parquet, a directory of Parquet shards, or JSONL), written for the same rows and the same
--max-length. Needs the environment of scripts/goldens/setup-venv. Exit status 1: something differs.
"""

import argparse
import json
import pathlib
import sys

import pyarrow.parquet
import torch
import transformers
from transformers import AutoModelForSequenceClassification, AutoTokenizer

TOLERANCE = 1e-5


class Mismatch(Exception):
    """What differs, in words."""


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/check-transformers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=pathlib.Path, metavar="DIR", help="the model directory")
    parser.add_argument("--data", type=pathlib.Path, metavar="ROWS.jsonl", help="rows with text and, if any, text_pair")
    parser.add_argument("--predictions", type=pathlib.Path, metavar="FILE", help="distill's logits of these rows")
    parser.add_argument("--max-length", type=int, help="tokens a row is cut to (default: the tokenizer's own limit)")
    parser.add_argument("--batch", type=int, default=32, help="rows a batch (default: %(default)s)")
    asked = parser.parse_args()
    if (asked.data is None) != (asked.predictions is None):
        parser.error("--data and --predictions go together")
    return asked


def load(folder: pathlib.Path):
    """The model and tokenizer; a missing or extra weight, or one of another shape, is a mismatch, not a warning."""
    model, info = AutoModelForSequenceClassification.from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True, local_files_only=True
    )
    wrong = {kind: sorted(map(str, names)) for kind, names in info.items() if names}
    if wrong:
        raise Mismatch(f"weights do not fit: {wrong}")
    return model.eval(), AutoTokenizer.from_pretrained(folder, local_files_only=True)


def read_jsonl(path: pathlib.Path) -> list[dict]:
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def read_predictions(path: pathlib.Path) -> dict[str, list[float]]:
    if path.suffix == ".jsonl":
        rows = read_jsonl(path)
    else:
        rows = pyarrow.parquet.read_table(path, columns=["id", "logits"]).to_pylist()
    found = {str(row["id"]): row["logits"] for row in rows}
    if len(found) != len(rows):
        raise Mismatch(f"{path}: {len(rows) - len(found)} ids are duplicated")
    return found


@torch.no_grad()
def logits_of(model, tokenizer, rows: list[dict], batch: int, max_length: int | None) -> torch.Tensor:
    parts = []
    for start in range(0, len(rows), batch):
        chunk = rows[start : start + batch]
        pairs = [row.get("text_pair") for row in chunk]
        encoded = tokenizer(
            [row["text"] for row in chunk],
            pairs if any(pair is not None for pair in pairs) else None,
            padding=True,
            truncation="longest_first",
            max_length=max_length,
            return_tensors="pt",
        )
        parts.append(model(**encoded).logits)
    return torch.cat(parts)


def compare(model, tokenizer, asked: argparse.Namespace) -> None:
    rows, predictions = read_jsonl(asked.data), read_predictions(asked.predictions)
    ids = [str(row.get("id", number)) for number, row in enumerate(rows)]
    missing = [row_id for row_id in ids if row_id not in predictions]
    if missing or len(predictions) != len(ids):
        raise Mismatch(f"{len(missing)} of {len(ids)} rows lack predictions, of which there are {len(predictions)}")
    theirs = torch.tensor([predictions[row_id] for row_id in ids])
    ours = logits_of(model, tokenizer, rows, asked.batch, asked.max_length)
    if theirs.shape != ours.shape:
        raise Mismatch(f"distill's logits are {tuple(theirs.shape)}, transformers' are {tuple(ours.shape)}")
    difference = (theirs - ours).abs()
    worst = int(difference.max(dim=1).values.argmax())
    changed = int((theirs.argmax(1) != ours.argmax(1)).sum())
    print(
        f"{len(ids)} rows, {ours.shape[1]} labels: max abs difference {difference.max():.3e} (row {ids[worst]}), "
        f"{changed} predicted labels differ"
    )
    # Written so that a NaN on either side fails too.
    if not bool((difference <= TOLERANCE).all()):
        raise Mismatch(f"logits differ by more than {TOLERANCE:g}")


def main() -> int:
    asked = parse()
    try:
        if not asked.model.is_dir():
            raise Mismatch(f"{asked.model} is not a directory")
        model, tokenizer = load(asked.model)
        count = sum(parameter.numel() for parameter in model.parameters())
        labels = ", ".join(model.config.id2label[i] for i in range(model.config.num_labels))
        print(f"{type(model).__name__}, {count:,} parameters, labels {labels} (transformers {transformers.__version__})")
        if asked.data is not None:
            compare(model, tokenizer, asked)
    except (Mismatch, OSError, ValueError, KeyError) as error:
        print(f"check-transformers: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
