"""Logits of distill and of transformers on the same real rows; see scripts/check-real-weights."""

import json
import pathlib
import random
import sys
import tempfile

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils import logging

from program import predict

TOLERANCE = 2e-5
MAX_LENGTH = 256


def texts():
    chosen = []
    for path, count in [("data/trec/test.jsonl", 150), ("data/imdb/test.jsonl", 50)]:
        rows = [json.loads(line)["text"] for line in open(path, encoding="utf-8")]
        random.Random(0).shuffle(rows)
        chosen += rows[:count]
    return chosen


def classifier(source):
    """The pretrained encoder with a head wide enough that every part of it shows in the logits."""
    torch.manual_seed(3)
    model = AutoModelForSequenceClassification.from_pretrained(source, num_labels=6).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.startswith("classifier") and parameter.dim() == 2:
                parameter.normal_(0.0, 0.1)
    return model


@torch.inference_mode()
def theirs(model, tokenizer, rows):
    """Each row by itself, so that no padding takes part."""
    encoded = (tokenizer(row, truncation=True, max_length=MAX_LENGTH, return_tensors="pt") for row in rows)
    return torch.cat([model(**row).logits for row in encoded])


def difference(name, rows, scratch):
    model, tokenizer = classifier(f"models/{name}"), AutoTokenizer.from_pretrained(f"models/{name}")
    folder, data, out = scratch / name, scratch / "rows.jsonl", scratch / f"{name}.jsonl"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    data.write_text("".join(json.dumps({"text": row}) + "\n" for row in rows), encoding="utf-8")
    ours = torch.tensor(predict(folder, data, out, "--max-length", MAX_LENGTH, "--device", "cpu"))
    expected = theirs(model, tokenizer, rows)
    return (ours - expected).abs().max().item(), expected.abs().max().item()


def main():
    logging.set_verbosity_error()
    rows, worst = texts(), 0.0
    with tempfile.TemporaryDirectory() as scratch:
        for name in sys.argv[1:]:
            apart, largest = difference(name, rows, pathlib.Path(scratch))
            print(f"{name}: {len(rows)} rows, logits up to {largest:.2f} differ by at most {apart:.1e}", flush=True)
            worst = max(worst, apart)
    sys.exit(0 if worst <= TOLERANCE else 1)


main()
