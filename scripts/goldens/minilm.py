"""Writes tests/golden/minilm-trec: logits of MiniLM-L6 with a fixed head on 200 real questions, as one padded batch.

    scripts/fetch data trec && scripts/fetch model all-MiniLM-L6-v2
    scripts/goldens/setup-venv && .venv/bin/python scripts/goldens/minilm.py
"""

import json
import pathlib

import torch
from safetensors.torch import save_file
from transformers import AutoTokenizer, BertForSequenceClassification

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODEL = ROOT / "models" / "all-MiniLM-L6-v2"
LABELS = ["ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM"]
QUESTIONS = 200


def questions(tokenizer):
    """Evenly spaced over all questions by their length in tokens, so the shortest and the longest are there."""
    rows = []
    for part in ("train", "test"):
        with open(ROOT / "data" / "trec" / f"{part}.jsonl", encoding="utf-8") as file:
            rows += [json.loads(line) for line in file]
    rows.sort(key=lambda row: (len(tokenizer(row["text"])["input_ids"]), row["id"]))
    last = len(rows) - 1
    chosen = [rows[round(i * last / (QUESTIONS - 1))] for i in range(QUESTIONS)]
    # By id, which mixes the lengths again.
    return sorted(chosen, key=lambda row: row["id"])


def main():
    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    model = BertForSequenceClassification.from_pretrained(
        MODEL, num_labels=len(LABELS), dtype=torch.float32, attn_implementation="eager"
    ).eval()
    # Ten times wider than BERT's own start: logits of order one, so that 1e-5 says something.
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        model.classifier.weight.copy_(0.2 * torch.randn(model.classifier.weight.shape, generator=generator))
        model.classifier.bias.copy_(0.2 * torch.randn(model.classifier.bias.shape, generator=generator))
    rows = questions(tokenizer)
    encoded = tokenizer([row["text"] for row in rows], padding=True, return_tensors="pt")
    with torch.no_grad():
        logits = model(**encoded).logits

    folder = ROOT / "tests" / "golden" / "minilm-trec"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "questions.jsonl", "w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    tensors = {
        "classifier.weight": model.classifier.weight.detach(),
        "classifier.bias": model.classifier.bias.detach(),
        "input_ids": encoded["input_ids"],
        "attention_mask": encoded["attention_mask"],
        "logits": logits,
    }
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "golden.safetensors")
    lengths = encoded["attention_mask"].sum(1)
    span = f"logits {logits.min():.3f} to {logits.max():.3f}"
    print(f"{len(rows)} questions of {lengths.min()} to {lengths.max()} tokens; {span}")


if __name__ == "__main__":
    main()
