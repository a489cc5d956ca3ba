"""Rows a second of distill and of what people use instead, measured in turns.

Each round runs every way once, so that a slow minute of the machine falls on all of them; medians and the ratio of
medians are shown. Inference counts tokenization and, for distill, writing Parquet too. Training starts from tokens.
FLOP/s count the full model's matrix products on real tokens, padding and skipped work left out, against one large
matrix product timed in every round, in the number format asked for. Before anything is timed, the logits of each way are
compared, and all students start from the model that gave them.

With --dtype bf16 the tuned loops compute in bf16 (training by autocast), as distill does; `pipeline` and `Trainer` stay at
their default, f32. torch.compile, on a GPU or with --compile, has its graphs before the clock starts.
"""

import argparse
import contextlib
import json
import os
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    Trainer,
    TrainingArguments,
    pipeline,
)
from transformers.utils import logging as transformers_logging

from busy import busy_core
from document import must_have_place, processor, write_between
from program import ROOT, predict, run

# name, rows file, tokens at most, rows of a teacher pass and of a training pass on a CPU, and on a GPU, on which a few batches
# would say nothing
WORKLOADS = [
    ("rotten tomatoes", "data/rotten-tomatoes/train.jsonl", 128, (1536, 768), (6824, 4096)),
    ("imdb", "data/imdb/train.jsonl", 256, (256, 128), (8192, 4096)),
]


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="models/all-MiniLM-L6-v2", help="encoder or classifier [%(default)s]")
    parser.add_argument("--shape", choices=["bert-base"], help="fresh weights of this shape, with --model's tokenizer")
    parser.add_argument("--device", default="cpu", help="cpu or cuda [%(default)s]")
    parser.add_argument("--dtype", choices=["f32", "bf16"], default="f32", help="[%(default)s]")
    parser.add_argument("--batch", type=int, help="rows of a batch of the loops [32; 256 on a GPU]")
    parser.add_argument("--max-length", type=int, help="tokens of a row at most, instead of each workload's own")
    parser.add_argument("--compile", action="store_true", help="torch.compile on a CPU, too")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--only", default="", help="ways whose name holds this text")
    parser.add_argument("--rows", type=int, help="rows of a pass, instead of each workload's own")
    parser.add_argument("--busy", action="store_true", help="every way also while a process computes on one of the cores")
    parser.add_argument("--json", help="write all rounds here")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/benchmarks.md")
    return parser.parse_args()


class Machine:
    """Where the peers compute, in which number format, and when it is done."""

    def __init__(self, arguments):
        self.device, self.dtype, self.threads = arguments.device, arguments.dtype, arguments.threads
        self.cuda, self.bf16 = self.device.startswith("cuda"), self.dtype == "bf16"
        self.number = torch.bfloat16 if self.bf16 else torch.float32
        self.batch = arguments.batch or (256 if self.cuda else 32)
        self.compile = arguments.compile or self.cuda

    def name(self):
        cpu = f"{processor()}, {self.threads} threads"
        return f"{torch.cuda.get_device_name(self.device)}; {cpu}" if self.cuda else cpu

    def now(self):
        if self.cuda:
            torch.cuda.synchronize(self.device)
        return time.perf_counter()

    def autocast(self):
        return torch.autocast(torch.device(self.device).type, torch.bfloat16) if self.bf16 else contextlib.nullcontext()

    def product(self, config):
        """FLOP/s of a matrix product: the model's inner one on a CPU, a large square one on a GPU.

        On a CPU by the faster of PyTorch's product and the one on a weight laid out for it: neither is so everywhere.
        """
        rows, inner, outer = (8192,) * 3 if self.cuda else (2048, config.hidden_size, config.intermediate_size)
        x = torch.randn(rows, inner, device=self.device).to(self.number)
        w = torch.randn(inner, outer, device=self.device).to(self.number)
        products = [lambda: x @ w]
        if not self.cuda and (not self.bf16 or torch.ops.mkldnn._is_mkldnn_bf16_supported()):
            packed = torch.ops.mkldnn._reorder_linear_weight(w.T.contiguous(), rows)
            products.append(lambda: torch.ops.mkldnn._linear_pointwise(x, packed, None, "none", [], ""))
        best = float("inf")
        for _ in range(4):
            for product in products:
                start = self.now()
                for _ in range(30):
                    product()
                best = min(best, self.now() - start)
        return 2 * 30 * rows * inner * outer / best


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
        self.by_length = sorted(range(len(self.texts)), key=lambda row: self.lengths[row])

    def encode(self):
        return self.tokenizer(self.texts, truncation=True, max_length=self.max_length)["input_ids"]

    def write(self, path):
        with open(path, "w") as out:
            out.writelines(json.dumps({"text": text}) + "\n" for text in self.texts)


def padded(tokenizer, ids):
    return tokenizer.pad({"input_ids": ids}, return_tensors="pt")


def infer(work, run, order, machine):
    """Logits of all rows in their own order, by `run` over batches in `order`, and the seconds it took."""
    start = machine.now()
    ids, kept = work.encode(), []
    with torch.inference_mode():
        for at in range(0, len(order), machine.batch):
            batch = padded(work.tokenizer, [ids[row] for row in order[at : at + machine.batch]])
            kept.append(run(batch.to(machine.device)))
    joined = torch.cat(kept).float().cpu()
    logits = torch.empty_like(joined)
    logits[torch.tensor(order)] = joined
    return machine.now() - start, logits


def made_up_targets(work, num_labels):
    """A label and a teacher's logits for each row."""
    rows = len(work.texts)
    soft = torch.randn(rows, num_labels, generator=torch.Generator().manual_seed(0))
    return torch.arange(rows) % num_labels, soft


def distillation_loss(logits, soft, labels):
    """KL at T = 2 and cross-entropy, half each."""
    kl = F.kl_div(F.log_softmax(logits / 2, -1), F.softmax(soft / 2, -1), reduction="batchmean")
    return 2.0 * kl + 0.5 * F.cross_entropy(logits, labels)


def train(work, fresh, machine, compiled=False):
    """Seconds of one epoch by AdamW over batches of rows of like length, which are shuffled.

    In the number format asked for, by autocast. A compiled model goes through its batches once before.
    """
    weights = fresh().to(machine.device).train()
    model = torch.compile(weights, dynamic=True) if compiled else weights
    labels, soft = made_up_targets(work, weights.config.num_labels)
    batches = [work.by_length[at : at + machine.batch] for at in range(0, len(work.texts), machine.batch)]
    random.Random(0).shuffle(batches)
    optimizer = torch.optim.AdamW(weights.parameters(), lr=5e-5, fused=True)

    def epoch():
        for batch in batches:
            rows = padded(work.tokenizer, [work.ids[row] for row in batch]).to(machine.device)
            with machine.autocast():
                logits = model(**rows).logits.float()
            distillation_loss(logits, soft[batch].to(machine.device), labels[batch].to(machine.device)).backward()
            torch.nn.utils.clip_grad_norm_(weights.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    if compiled or machine.cuda:
        epoch()
    start = machine.now()
    epoch()
    return machine.now() - start


class DistillationTrainer(Trainer):
    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        return distillation_loss(model(**inputs["rows"]).logits, inputs["soft"], inputs["labels"])


def train_by_trainer(work, fresh, machine, scratch):
    """Seconds of one epoch of transformers' `Trainer` with its defaults: batches drawn at random, padded to their longest row."""
    model = fresh()
    labels, soft = made_up_targets(work, model.config.num_labels)
    collate = lambda rows: {"rows": padded(work.tokenizer, [work.ids[row] for row in rows]), "soft": soft[rows],
                            "labels": labels[rows]}
    settings = TrainingArguments(
        output_dir=str(scratch / "trainer"), per_device_train_batch_size=machine.batch, num_train_epochs=1, learning_rate=5e-5,
        remove_unused_columns=False, save_strategy="no", report_to=[], disable_tqdm=True, use_cpu=not machine.cuda)
    trainer = DistillationTrainer(model, settings, train_dataset=list(range(len(work.texts))), data_collator=collate)
    start = machine.now()
    with contextlib.redirect_stdout(sys.stderr):
        trainer.train()
    return machine.now() - start


def distill(directory, rows, name, work, machine):
    # On a GPU the first round loads kernels, as the peers' unclocked one does.
    rounds = 2 if machine.cuda else 1
    answer = run("bench", "--model", directory, "--data", rows, "--pass", name, "--rounds", rounds, "--json",
                 "--threads", machine.threads, "--device", machine.device, "--dtype", machine.dtype,
                 "--max-length", work.max_length, "--batch-size", machine.batch)
    return json.loads(answer)["passes"][0]["rounds"][-1]["seconds"]


def distill_logits(directory, rows, work, machine, scratch):
    return torch.tensor(predict(directory, rows, scratch / "logits.jsonl", "--device", machine.device, "--dtype", machine.dtype,
                                "--max-length", work.max_length))


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


def teacher_ways(work, make, directory, rows, machine, scratch):
    """What is timed, by name, and what gives logits of all rows to be checked beside the first's, PyTorch's in f32."""
    model = make().eval().to(machine.device)
    ask = pipeline("text-classification", model=model, tokenizer=work.tokenizer, device=machine.device)

    def by_pipeline():
        start = machine.now()
        list(ask(work.texts, batch_size=32, truncation=True, max_length=work.max_length))
        return machine.now() - start

    def pipeline_logits():
        found = ask(work.texts, batch_size=32, truncation=True, max_length=work.max_length, top_k=None, function_to_apply="none")
        number = model.config.label2id
        return torch.tensor([[score["score"] for score in sorted(row, key=lambda score: number[score["label"]])] for row in found])

    plain = lambda batch: model(**batch).logits
    own_order = list(range(len(work.texts)))
    ways = {"transformers `pipeline`, batch 32, f32": by_pipeline}
    loops = {}
    if not machine.bf16:
        ways["PyTorch loop, as rows come, f32"] = lambda: infer(work, plain, own_order, machine)[0]
    tuned = make().eval().to(machine.device, machine.number) if machine.bf16 else model
    loops["PyTorch loop, sorted by length"] = lambda batch: tuned(**batch).logits
    if machine.compile:
        compiled = torch.compile(tuned, dynamic=True)
        loops["torch.compile, sorted by length"] = lambda batch: compiled(**batch).logits
    if not (machine.cuda or machine.bf16):
        loops["ONNX Runtime, sorted by length"] = onnx_session(model, scratch, machine.threads)
    ways |= {f"{name}, {machine.dtype}": lambda run=run: infer(work, run, work.by_length, machine)[0]
             for name, run in loops.items()}
    ways[f"distill teacher, {machine.dtype}"] = lambda: distill(directory, rows, "teacher", work, machine)
    checked = {"PyTorch": lambda: infer(work, plain, work.by_length, machine)[1], "`pipeline`": pipeline_logits,
               "distill": lambda: distill_logits(directory, rows, work, machine, scratch)}
    checked |= {name: lambda run=run: infer(work, run, work.by_length, machine)[1] for name, run in loops.items()}
    return ways, checked


def student_ways(work, make, directory, rows, machine, scratch):
    ways = {
        "transformers `Trainer`, f32": lambda: train_by_trainer(work, make, machine, scratch),
        f"PyTorch loop, sorted by length, {machine.dtype}": lambda: train(work, make, machine),
    }
    if machine.compile:
        ways[f"torch.compile, sorted by length, {machine.dtype}"] = lambda: train(work, make, machine, compiled=True)
    ways[f"distill student, {machine.dtype}"] = lambda: distill(directory, rows, "student", work, machine)
    return ways


def measure(title, ways, work, flops, config, machine, arguments):
    ways = {name: way for name, way in ways.items() if arguments.only in name}
    seconds, products = {name: [] for name in ways}, []
    next_to_busy = {name: [] for name in ways}
    for round_number in range(arguments.rounds):
        products.append(machine.product(config))
        for name, way in ways.items():
            seconds[name].append(way())
            print(f"{title}, round {round_number + 1}: {name} {seconds[name][-1]:.2f} s", file=sys.stderr, flush=True)
        with busy_core() if arguments.busy else contextlib.nullcontext():
            for name, way in ways.items() if arguments.busy else ():
                next_to_busy[name].append(way())
                print(f"{title}, round {round_number + 1}, one core busy: {name} {next_to_busy[name][-1]:.2f} s",
                      file=sys.stderr, flush=True)
    return {"title": title, "rows": len(work.texts), "tokens": sum(work.lengths), "flops": flops,
            "products": products, "seconds": seconds, "busy": next_to_busy if arguments.busy else None}


def table(result):
    medians = {name: statistics.median(times) for name, times in result["seconds"].items()}
    own = next((median for name, median in medians.items() if name.startswith("distill")), None)
    # The median here, too: the machine's speed changes from round to round, and a way's best minute may not be the product's.
    product, fastest = statistics.median(result["products"]), max(result["products"])
    lines = [f"**{result['title']}**: {result['rows']} rows of {result['tokens'] / result['rows']:.1f} tokens; one matrix "
             f"product {product / 1e9:.0f} GFLOP/s, median ({min(result['products']) / 1e9:.0f} to {fastest / 1e9:.0f})", "",
             "| way | rows/s, median | slowest to fastest | of the product | distill is faster by |",
             "| --- | --- | --- | --- | --- |"]
    for name, median in medians.items():
        rates = [result["rows"] / second for second in result["seconds"][name]]
        ratio = f"{median / own:.2f}×" if own and not name.startswith("distill") else ""
        lines.append(f"| {name} | {result['rows'] / median:.1f} | {min(rates):.1f} to {max(rates):.1f} | "
                     f"{result['flops'] / median / product:.0%} | {ratio} |")
    return "\n".join(lines) + "\n" + busy_table(result, medians)


def busy_table(result, medians):
    """The same ways while another process computes on one of the cores; nothing where that was not asked for."""
    if not result["busy"]:
        return ""
    lines = ["", "While another process computes on one of the cores:", "",
             "| way | rows/s, median | slowest to fastest | of its own speed on the idle machine |", "| --- | --- | --- | --- |"]
    for name, times in result["busy"].items():
        rates = [result["rows"] / second for second in times]
        median = statistics.median(times)
        lines.append(f"| {name} | {result['rows'] / median:.1f} | {min(rates):.1f} to {max(rates):.1f} | "
                     f"{medians[name] / median:.2f} |")
    return "\n".join(lines) + "\n"


def largest_differences(checked, machine):
    """By way the largest difference of a logit from PyTorch's in f32; ends the program where one is too large."""
    found = {name: logits() for name, logits in checked.items()}
    expected = found.pop("PyTorch")
    apart = {name: (expected - logits).abs().max().item() for name, logits in found.items()}
    # bf16 has 8 bits of precision; a GPU's f32 may go through TF32.
    allowed = 0.05 * max(1.0, expected.abs().max().item()) if machine.bf16 else 1e-2 if machine.cuda else 1e-4
    if max(apart.values()) > allowed:
        sys.exit(f"the logits differ by {apart}, more than {allowed:.1e}: nothing was timed")
    return ("Largest difference of a logit from PyTorch's in f32: "
            + ", ".join(f"{name} {value:.1e}" for name, value in apart.items()) + ".\n")


def main():
    arguments = parse_arguments()
    place = " ".join(["scripts/bench", *(["--device cuda"] if arguments.device != "cpu" else []),
                      *(["--dtype bf16"] if arguments.dtype == "bf16" else [])])
    if arguments.write:
        must_have_place(place)
    machine = Machine(arguments)
    transformers_logging.set_verbosity_error()
    torch.set_num_threads(arguments.threads)
    results, texts = [], []
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        directory = scratch / "model"
        torch.manual_seed(0)
        tokenizer = AutoTokenizer.from_pretrained(ROOT / arguments.model)
        if arguments.shape:
            AutoModelForSequenceClassification.from_config(BertConfig(num_labels=2)).save_pretrained(directory)
        else:
            AutoModelForSequenceClassification.from_pretrained(ROOT / arguments.model, num_labels=2).save_pretrained(directory)
        tokenizer.save_pretrained(directory)
        make = lambda: AutoModelForSequenceClassification.from_pretrained(directory)
        config = AutoConfig.from_pretrained(directory)
        for name, path, max_length, on_cpu, on_gpu in WORKLOADS:
            max_length = arguments.max_length or max_length
            for kind, count in zip(["teacher", "student"], on_gpu if machine.cuda else on_cpu):
                work = Workload(name, path, max_length, arguments.rows or count, tokenizer, config)
                rows = scratch / "rows.jsonl"
                work.write(rows)
                flops = work.flops
                if kind == "teacher":
                    ways, checked = teacher_ways(work, make, directory, rows, machine, scratch)
                    texts.append(largest_differences(checked, machine))
                else:
                    ways = student_ways(work, make, directory, rows, machine, scratch)
                    flops *= 3
                title = f"{kind}, {name} at {max_length}"
                results.append(measure(title, ways, work, flops, config, machine, arguments))
                texts.append(table(results[-1]))
    head = (f"{machine.name()}, {machine.dtype}, batches of {machine.batch} rows, {arguments.shape or Path(arguments.model).name}, "
            f"{arguments.rounds} rounds in turns. PyTorch {torch.__version__.split('+')[0]}.\n")
    text = "\n".join([head] + texts)
    print(text)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps({"machine": head, "results": results}, indent=1) + "\n")
    if arguments.write:
        write_between(place, text)


main()
