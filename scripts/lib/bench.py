"""Rows a second of distill and of what people use instead, measured in turns.

Each round runs every way once, so that a slow minute of the machine falls on all of them; medians and the ratio of
medians are shown. Inference counts tokenization and, for distill, writing Parquet too. Training starts from tokens.
FLOP/s count the full model's matrix products on real tokens, padding and skipped work left out, against one large
matrix product timed in every round.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline
from transformers.utils import logging as transformers_logging

from document import processor, write_between

ROOT = Path(__file__).resolve().parents[2]
DISTILL = ROOT / "target/release/distill"
BATCH = 32
# name, rows file, tokens at most, rows of a teacher pass, rows of a training pass
WORKLOADS = [
    ("rotten-tomatoes", "data/rotten-tomatoes/train.jsonl", 128, 1536, 768),
    ("imdb at 256", "data/imdb/train.jsonl", 256, 256, 128),
]


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="models/all-MiniLM-L6-v2", help="encoder or classifier [%(default)s]")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--only", default="", help="ways whose name holds this text")
    parser.add_argument("--rows", type=int, help="rows of a pass, instead of each workload's own")
    parser.add_argument("--json", help="write all rounds here")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/benchmarks.md")
    return parser.parse_args()


class Workload:
    """Rows, their tokens, and the operations a full model does on them."""

    def __init__(self, name, path, max_length, count, tokenizer, config):
        rows = [json.loads(line) for line in open(ROOT / path)]
        random.Random(0).shuffle(rows)
        self.name, self.max_length, self.tokenizer = name, max_length, tokenizer
        self.texts = [row["text"] for row in rows[:count]]
        self.ids = self.encode()
        self.lengths = [len(ids) for ids in self.ids]
        hidden, inner, layers = config.hidden_size, config.intermediate_size, config.num_hidden_layers
        tokens, squares = sum(self.lengths), sum(length**2 for length in self.lengths)
        self.flops = layers * (tokens * (8 * hidden * hidden + 4 * hidden * inner) + 4 * hidden * squares)
        self.by_length = sorted(range(count), key=lambda row: self.lengths[row])

    def encode(self):
        return self.tokenizer(self.texts, truncation=True, max_length=self.max_length)["input_ids"]

    def write(self, path):
        with open(path, "w") as out:
            out.writelines(json.dumps({"text": text}) + "\n" for text in self.texts)


def padded(tokenizer, ids):
    return tokenizer.pad({"input_ids": ids}, return_tensors="pt")


def infer(work, run, order):
    """Logits of all rows in their own order, by `run` over batches in `order`, and the seconds it took."""
    start = time.perf_counter()
    ids, kept = work.encode(), []
    with torch.inference_mode():
        for at in range(0, len(order), BATCH):
            kept.append(run(padded(work.tokenizer, [ids[row] for row in order[at : at + BATCH]])))
    logits = torch.empty_like(joined := torch.cat(kept))
    logits[torch.tensor(order)] = joined
    return time.perf_counter() - start, logits


def train(work, model, order):
    """One epoch of KL and cross-entropy by AdamW, batches cut from `order` and shuffled; the seconds it took."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.tensor([row % model.config.num_labels for row in range(len(order))])
    soft = torch.randn(len(order), model.config.num_labels, generator=generator)
    batches = [order[at : at + BATCH] for at in range(0, len(order), BATCH)]
    random.Random(0).shuffle(batches)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-5, fused=True)
    model.train()
    start = time.perf_counter()
    for batch in batches:
        logits = model(**padded(work.tokenizer, [work.ids[row] for row in batch])).logits
        teacher = F.softmax(soft[batch] / 2, -1)
        loss = 2.0 * F.kl_div(F.log_softmax(logits / 2, -1), teacher, reduction="batchmean")
        loss = loss + 0.5 * F.cross_entropy(logits, labels[batch])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return time.perf_counter() - start


def matrix_product(config):
    x, w = torch.randn(2048, config.hidden_size), torch.randn(config.hidden_size, config.intermediate_size)
    best = float("inf")
    for _ in range(4):
        start = time.perf_counter()
        for _ in range(30):
            x @ w
        best = min(best, time.perf_counter() - start)
    return 2 * 30 * x.shape[0] * w.shape[0] * w.shape[1] / best


def distill(directory, rows, name, work, threads):
    command = [DISTILL, "bench", "--model", directory, "--data", rows, "--pass", name, "--rounds", "1", "--json", "--quiet",
               "--threads", str(threads), "--device", "cpu", "--max-length", str(work.max_length), "--batch-size", str(BATCH)]
    answer = json.loads(subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True).stdout)
    return answer["passes"][0]["rounds"][0]["seconds"]


def distill_logits(directory, rows, work, scratch):
    out = scratch / "logits.jsonl"
    subprocess.run([DISTILL, "predict", "--model", directory, "--data", rows, "--out", out, "--overwrite", "--quiet",
                    "--device", "cpu", "--max-length", str(work.max_length)], check=True, capture_output=True)
    return torch.tensor([json.loads(line)["logits"] for line in open(out)])


def onnx_session(model, scratch, threads):
    import onnxruntime

    class Logits(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, input_ids, attention_mask, token_type_ids):
            return self.model(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids).logits

    path, names = scratch / "model.onnx", ["input_ids", "attention_mask", "token_type_ids"]
    example = tuple(torch.ones(2, 8, dtype=torch.long) for _ in names)
    axes = {name: {0: "rows", 1: "tokens"} for name in names}
    torch.onnx.export(Logits().eval(), example, str(path), input_names=names, output_names=["logits"], dynamic_axes=axes,
                      dynamo=False, opset_version=17)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(batch):
        feed = {name: batch[name].numpy() for name in names if name in batch}
        feed.setdefault("token_type_ids", torch.zeros_like(batch["input_ids"]).numpy())
        return torch.from_numpy(session.run(["logits"], feed)[0])

    return run


def teacher_ways(work, model, directory, rows, scratch, threads):
    ask = pipeline("text-classification", model=model, tokenizer=work.tokenizer, device="cpu")

    def by_pipeline():
        start = time.perf_counter()
        list(ask(work.texts, batch_size=BATCH, truncation=True, max_length=work.max_length))
        return time.perf_counter() - start

    plain = lambda batch: model(**batch).logits
    onnx = onnx_session(model, scratch, threads)
    return {
        "transformers `pipeline`, batch 32": by_pipeline,
        "PyTorch loop, as rows come": lambda: infer(work, plain, list(range(len(work.texts))))[0],
        "PyTorch loop, sorted by length": lambda: infer(work, plain, work.by_length)[0],
        "ONNX Runtime, sorted by length": lambda: infer(work, onnx, work.by_length)[0],
        "distill teacher": lambda: distill(directory, rows, "teacher", work, threads),
    }, {"PyTorch": plain, "ONNX Runtime": onnx}


def student_ways(work, fresh, directory, rows, threads):
    shuffled = random.Random(1).sample(range(len(work.texts)), len(work.texts))
    return {
        "PyTorch loop, shuffled (as `Trainer`)": lambda: train(work, fresh(), shuffled),
        "PyTorch loop, sorted by length": lambda: train(work, fresh(), work.by_length),
        "distill student": lambda: distill(directory, rows, "student", work, threads),
    }


def measure(title, ways, work, flops, config, arguments):
    ways = {name: way for name, way in ways.items() if arguments.only in name}
    seconds, products = {name: [] for name in ways}, []
    for round_number in range(arguments.rounds):
        products.append(matrix_product(config))
        for name, way in ways.items():
            seconds[name].append(way())
            print(f"{title}, round {round_number + 1}: {name} {seconds[name][-1]:.2f} s", file=sys.stderr, flush=True)
    return {"title": title, "rows": len(work.texts), "tokens": sum(work.lengths), "flops": flops,
            "product": max(products), "seconds": seconds}


def table(result):
    medians = {name: statistics.median(times) for name, times in result["seconds"].items()}
    own = next((median for name, median in medians.items() if name.startswith("distill")), None)
    lines = [f"**{result['title']}**: {result['rows']} rows of {result['tokens'] / result['rows']:.1f} tokens; one matrix "
             f"product {result['product'] / 1e9:.0f} GFLOP/s", "",
             "| way | rows/s, median | slowest to fastest | of the product | distill is faster by |",
             "| --- | --- | --- | --- | --- |"]
    for name, median in medians.items():
        rates = [result["rows"] / second for second in result["seconds"][name]]
        ratio = f"{median / own:.2f}×" if own and not name.startswith("distill") else ""
        lines.append(f"| {name} | {result['rows'] / median:.1f} | {min(rates):.1f} to {max(rates):.1f} | "
                     f"{result['flops'] / median / result['product']:.0%} | {ratio} |")
    return "\n".join(lines) + "\n"


def main():
    arguments = parse_arguments()
    transformers_logging.set_verbosity_error()
    torch.set_num_threads(arguments.threads)
    results, texts = [], []
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        directory = scratch / "model"
        torch.manual_seed(0)
        make = lambda source: AutoModelForSequenceClassification.from_pretrained(source, num_labels=2)
        tokenizer = AutoTokenizer.from_pretrained(ROOT / arguments.model)
        make(ROOT / arguments.model).save_pretrained(directory)
        tokenizer.save_pretrained(directory)
        model = make(directory).eval()
        for name, path, max_length, teacher_rows, student_rows in WORKLOADS:
            for kind, count in [("teacher", arguments.rows or teacher_rows), ("student", arguments.rows or student_rows)]:
                work = Workload(name, path, max_length, count, tokenizer, model.config)
                rows = scratch / "rows.jsonl"
                work.write(rows)
                flops = work.flops
                if kind == "teacher":
                    ways, checked = teacher_ways(work, model, directory, rows, scratch, arguments.threads)
                    expected = infer(work, checked.pop("PyTorch"), work.by_length)[1]
                    found = {"distill": distill_logits(directory, rows, work, scratch)}
                    found |= {name: infer(work, run, work.by_length)[1] for name, run in checked.items()}
                    apart = {name: (expected - logits).abs().max().item() for name, logits in found.items()}
                    if max(apart.values()) > 1e-4:
                        sys.exit(f"the logits differ by {apart}: nothing was timed")
                    texts.append("Largest difference of a logit from PyTorch's: "
                                 + ", ".join(f"{name} {value:.1e}" for name, value in apart.items()) + ".\n")
                else:
                    ways = student_ways(work, lambda: make(directory), directory, rows, arguments.threads)
                    flops *= 3
                results.append(measure(f"{kind}, {name}", ways, work, flops, model.config, arguments))
                texts.append(table(results[-1]))
    head = (f"{processor()}, {arguments.threads} threads, f32, batches of {BATCH} rows, {Path(arguments.model).name}, "
            f"{arguments.rounds} rounds in turns. PyTorch {torch.__version__.split('+')[0]}.\n")
    text = "\n".join([head] + texts)
    print(text)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps({"machine": head, "results": results}, indent=1) + "\n")
    if arguments.write:
        write_between("scripts/bench", text)


main()
