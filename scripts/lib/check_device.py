"""Compares logits and gradients of distill on a device with those on the CPU in f32; see scripts/check-device.

Gradients are read off the weights: one step of plain gradient descent on 32 rows at a learning rate of 1, without dropout,
moves each weight by its gradient.
"""

import argparse
import json
import os
import random
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, BertConfig, ModernBertConfig, MPNetConfig

from made_up import WORDS
from program import predict, run

LETTERS = "abcdefghijklmnopqrstuvwxyz"
TINY = dict(hidden_size=64, num_hidden_layers=2, num_attention_heads=2, intermediate_size=128)
# The sizes that a config has by itself are those of the base models. ModernBERT's local layers see a window, MPNet adds to
# scores: each takes another way through attention than BERT.
SHAPES = {
    "tiny": (BertConfig, TINY),
    "bert-base": (BertConfig, {}),
    "tiny-modernbert": (ModernBertConfig, TINY | {"num_hidden_layers": 4, "local_attention": 16}),
    "modernbert-base": (ModernBertConfig, {}),
    "tiny-mpnet": (MPNetConfig, TINY),
    "mpnet-base": (MPNetConfig, {}),
}
# Of a logit, as a share of the largest; of a tensor's gradient, its cosine with the CPU's and its relative distance.
# A GPU's f32 products may go through TF32, which has 10 bits of precision; bf16 has 7.
BOUNDS = {"f32": (2e-3, 0.9999, 2e-2), "bf16": (5e-2, 0.98, 0.25)}
# Below this share of the largest gradient a tensor's own is rounding: attention's key biases have none at all.
NOTHING = 1e-5


def parse_arguments():
    parser = argparse.ArgumentParser(prog="scripts/check-device", description=__doc__)
    parser.add_argument("--device", default="cuda", help="[%(default)s]")
    parser.add_argument("--dtype", choices=list(BOUNDS), help="[both]")
    parser.add_argument("--shape", choices=list(SHAPES), default="bert-base", help="[%(default)s]")
    parser.add_argument("--max-length", type=int, default=256, help="tokens of the longest row [%(default)s]")
    return parser.parse_args()


def write_model(folder, shape, max_length):
    """A model with fresh weights, a vocabulary of words and letters, and no dropout."""
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted(set(WORDS)), *(f"##{letter}" for letter in LETTERS)]
    torch.manual_seed(0)
    named = lambda token: vocabulary.index(token)
    make, sizes = SHAPES[shape]
    config = make(vocab_size=len(vocabulary), max_position_embeddings=max(512, max_length) + 2, num_labels=4,
                  pad_token_id=named("[PAD]"), bos_token_id=named("[CLS]"), eos_token_id=named("[SEP]"),
                  cls_token_id=named("[CLS]"), sep_token_id=named("[SEP]"), **sizes)
    for name, value in config.to_dict().items():
        if "dropout" in name and isinstance(value, float):
            setattr(config, name, 0.0)
    model = AutoModelForSequenceClassification.from_config(config)
    head = getattr(model.classifier, "out_proj", model.classifier)
    with torch.no_grad():
        head.weight.normal_(0.0, 0.2)  # wide enough that every part of the encoder shows in the logits
    model.save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer", "do_lower_case": True}))


def write_rows(path, count, max_length):
    """Rows of 3 to `max_length` tokens, most of them short, with labels."""
    chosen = random.Random(0)
    lengths = [max_length - 2, 1] + [1 + int((max_length - 3) * chosen.random() ** 3) for _ in range(count - 2)]
    rows = [{"id": str(at), "text": " ".join(chosen.choices(WORDS, k=length)), "label": at % 4}
            for at, length in enumerate(lengths)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def logits(model, rows, where, out, max_length):
    return torch.tensor(predict(model, rows, out, "--max-length", max_length, *where))


def gradients(model, targets, where, out, max_length):
    run("student", "--targets", targets, "--init", model, "--out", out, "--max-length", max_length, "--epochs", 1,
        "--batch-size", 32, "--validation", 0.2, "--optimizer", "sgd", "--learning-rate", 1, "--warmup-ratio", 0,
        "--weight-decay", 0, "--schedule", "constant", "--set", "student.momentum=0.0", "--set", "student.max_grad_norm=1e9",
        "--seed", 1, *where)
    before, after = load_file(model / "model.safetensors"), load_file(out / "model/model.safetensors")
    return {name: (before[name] - after[name]).double() for name in before}


def compare(ours, reference):
    """Worst cosine and worst relative distance over the tensors that have a gradient, with their names."""
    largest = max(gradient.abs().max().item() for gradient in reference.values())
    worst = [(1.0, ""), (0.0, "")]
    for name, expected in reference.items():
        if expected.abs().max().item() < NOTHING * largest:
            continue
        found = ours[name]
        cosine = (torch.dot(found.flatten(), expected.flatten()) / (found.norm() * expected.norm()).clamp_min(1e-30)).item()
        distance = ((found - expected).norm() / expected.norm()).item()
        worst = [min(worst[0], (cosine, name)), max(worst[1], (distance, name))]
    return worst


def main():
    arguments = parse_arguments()
    length, failed = arguments.max_length, False
    cpu = ["--device", "cpu", "--dtype", "f32"]
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        os.environ["DISTILL_CACHE"] = str(scratch / "cache")
        model, rows, few, targets = scratch / "model", scratch / "rows.jsonl", scratch / "few.jsonl", scratch / "targets"
        write_model(model, arguments.shape, length)
        write_rows(rows, 200, length)
        write_rows(few, 40, length)
        run("teacher", "--model", model, "--data", few, "--out", targets, "--max-length", length, *cpu)
        expected = logits(model, rows, cpu, scratch / "cpu.jsonl", length)
        reference = gradients(model, targets, cpu, scratch / "cpu", length)
        print(f"{arguments.shape}, rows of 3 to {length} tokens, {arguments.device} compared with the CPU in f32\n\n"
              "| format | what | found | bound | |\n| --- | --- | --- | --- | --- |")
        for dtype in [arguments.dtype] if arguments.dtype else BOUNDS:
            where, (of_logit, least_cosine, most_distance) = ["--device", arguments.device, "--dtype", dtype], BOUNDS[dtype]
            found = logits(model, rows, where, scratch / f"{dtype}.jsonl", length)
            apart = ((found - expected).abs().max() / expected.abs().max()).item()
            moved = gradients(model, targets, where, scratch / dtype, length)
            (cosine, of_cosine), (distance, of_distance) = compare(moved, reference)
            lines = [("logits: largest difference / largest logit", apart, of_logit, apart <= of_logit, ""),
                     ("gradients: worst cosine of a tensor", cosine, least_cosine, cosine >= least_cosine, of_cosine),
                     ("gradients: worst distance / norm of a tensor", distance, most_distance, distance <= most_distance,
                      of_distance)]
            for what, value, bound, good, where_found in lines:
                failed |= not good
                print(f"| {dtype} | {what} | {value:.3g} | {bound:g} | {'' if good else '**beyond** '}{where_found} |", flush=True)
    sys.exit(1 if failed else 0)


main()
