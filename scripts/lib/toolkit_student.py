"""One student trained by another toolkit, for scripts/bench-toolkits: `toolkit_student.py WAY REQUEST.json`.

Both read the rows, the teacher and the student's initial weights that distill gets, and are given its settings. They are
used as their own examples for text classification do: the teacher runs in each step, and a batch is padded to its longest
row. `OUT/model` is the best epoch by accuracy on the validation rows, ties told apart by the loss. `OUT/result.json` has
the seconds without Python's imports, on the clock and of processors.
"""

import copy
import json
import math
import random
import shutil
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, RandomSampler, Sampler, SequentialSampler
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    get_linear_schedule_with_warmup,
)
from transformers.utils import logging as transformers_logging

# The name of the module that gives the logits: the same in BERT, DistilBERT, MPNet and RoBERTa.
HEAD = "classifier"
TOKENIZER = ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt", "vocab.json", "merges.txt"]


def encode(tokenizer, path, max_length, labels):
    """Tokenized rows of a JSONL file with `text`, maybe `text_pair`, and `label`: an id, or a name among `labels`."""
    rows = [json.loads(line) for line in open(path)]
    pairs = [row["text_pair"] for row in rows] if rows and "text_pair" in rows[0] else None
    tokens = tokenizer([row["text"] for row in rows], pairs, truncation=True, max_length=max_length)
    ids = [label if isinstance(label := row["label"], int) else labels[label] for row in rows]
    return [{name: values[at] for name, values in tokens.items()} | {"labels": ids[at]} for at in range(len(rows))]


def groups(model, weight_decay):
    """Parameters for AdamW: biases and norms do not decay."""
    named = list(model.named_parameters())
    plain = [name.endswith("bias") or "LayerNorm" in name or "layer_norm" in name for name, _ in named]
    return [{"params": [weight for (_, weight), flag in zip(named, plain) if not flag], "weight_decay": weight_decay},
            {"params": [weight for (_, weight), flag in zip(named, plain) if flag], "weight_decay": 0.0}]


class InOrder(Sampler):
    """Rows in an order that is given for each epoch."""

    def __init__(self, rows, orders):
        self.rows, self.orders = rows, iter(orders)

    def __len__(self):
        return len(self.rows)

    def __iter__(self):
        return iter(next(self.orders))


class Task:
    """What both toolkits are given, and what is kept of a run: the weights of its best epoch."""

    def __init__(self, request):
        self.settings, self.out = request["settings"], Path(request["out"])
        load = AutoModelForSequenceClassification.from_pretrained
        self.teacher, self.student = load(request["teacher"]), load(request["student"])
        self.source = Path(request["student"])
        self.tokenizer = AutoTokenizer.from_pretrained(request["teacher"])
        labels = self.teacher.config.label2id
        read = lambda path: encode(self.tokenizer, path, self.settings["max_length"], labels)
        self.train, self.validation = read(request["train"]), read(request["validation"])
        pad = DataCollatorWithPadding(self.tokenizer)
        self.collate = lambda rows: dict(pad(rows))
        orders = request.get("orders")
        self.training_sampler = (lambda rows: InOrder(rows, orders)) if orders else RandomSampler
        self.steps = math.ceil(len(self.train) / self.settings["batch_size"]) * self.settings["epochs"]
        self.warmup = math.ceil(self.settings["warmup_ratio"] * self.steps)
        self.epochs, self.best, self.weights = [], None, None

    def loader(self, rows, sampler):
        return DataLoader(rows, batch_size=self.settings["batch_size"], sampler=sampler(rows), collate_fn=self.collate)

    def finish_epoch(self, model, loader):
        """Validates, and keeps the weights of the best epoch so far."""
        model.eval()
        right, loss = 0, 0.0
        with torch.inference_mode():
            for batch in loader:
                labels = batch["labels"]
                logits = model(**{name: value for name, value in batch.items() if name != "labels"}).logits
                right += (logits.argmax(-1) == labels).sum().item()
                loss += F.cross_entropy(logits, labels, reduction="sum").item()
        found = (right / len(self.validation), -loss)
        self.epochs.append(found[0])
        if self.best is None or found > self.best:
            self.best, self.weights = found, copy.deepcopy(model.state_dict())

    def write(self):
        """The best epoch as a directory that transformers and distill read."""
        self.student.load_state_dict(self.weights)
        self.student.save_pretrained(self.out / "model")
        copy_tokenizer(self.source, self.out / "model")


def copy_tokenizer(source, into):
    for name in TOKENIZER:
        if (source / name).exists():
            shutil.copyfile(source / name, into / name)


def textbrewer(task):
    """TextBrewer's GeneralDistiller; its soft loss is a cross-entropy without T², which therefore stands in the weight."""
    from textbrewer import DistillationConfig, GeneralDistiller, TrainingConfig

    settings = task.settings
    adaptor = lambda batch, outputs: {"logits": outputs.logits, "losses": outputs.loss}
    distiller = GeneralDistiller(
        train_config=TrainingConfig(device="cpu", output_dir=str(task.out / "checkpoints"), log_dir=None),
        distill_config=DistillationConfig(
            temperature=settings["temperature"], kd_loss_type="ce",
            kd_loss_weight=settings["soft_weight"] * settings["temperature"] ** 2,
            hard_label_weight=settings["hard_weight"]),
        model_T=task.teacher, model_S=task.student, adaptor_T=adaptor, adaptor_S=adaptor)
    validation = task.loader(task.validation, SequentialSampler)
    optimizer = torch.optim.AdamW(groups(task.student, settings["weight_decay"]), lr=settings["learning_rate"], fused=True)
    with distiller:
        distiller.train(
            optimizer, task.loader(task.train, task.training_sampler), num_epochs=settings["epochs"],
            scheduler_class=get_linear_schedule_with_warmup,
            scheduler_args={"num_warmup_steps": task.warmup, "num_training_steps": task.steps},
            max_grad_norm=settings["max_grad_norm"],
            callback=lambda model, step: task.finish_epoch(model, validation))


def torchdistill_config(settings, steps, warmup, training_sampler):
    """The configuration that torchdistill's example for GLUE has in YAML, with these settings."""
    loader = lambda name, sampler: {
        "dataset_id": name, "requires_supp": False, "collate_fn": "pad_batch",
        "sampler": {"class_or_func": sampler, "kwargs": {}},
        "kwargs": {"batch_size": settings["batch_size"], "num_workers": 0}}
    hook = {"forward_proc": "forward_batch_only_as_kwargs", "forward_hook": {"input": [], "output": [HEAD]}}
    hard, soft, temperature = settings["hard_weight"], settings["soft_weight"], settings["temperature"]
    loss = {"key": "KDLoss", "kwargs": {
        "student_module_path": HEAD, "student_module_io": "output", "teacher_module_path": HEAD,
        "teacher_module_io": "output", "temperature": temperature, "alpha": hard, "beta": soft, "reduction": "batchmean"}}
    # Without a hard loss KDLoss leaves out `beta` and T², too.
    weight = 1.0 if hard else soft * temperature**2
    return {
        "num_epochs": settings["epochs"],
        "train_data_loader": loader("train", training_sampler), "val_data_loader": loader("validation", SequentialSampler),
        "teacher": hook | {"requires_grad": False}, "student": hook | {"requires_grad": True},
        "optimizer": {"key": "adamw_without_decay_of_norms", "filters_params": False,
                      "kwargs": {"lr": settings["learning_rate"], "weight_decay": settings["weight_decay"], "fused": True},
                      "max_grad_norm": settings["max_grad_norm"], "grad_accum_step": 1},
        "scheduler": {"key": "get_linear_schedule_with_warmup", "scheduling_step": 1,
                      "kwargs": {"num_warmup_steps": warmup, "num_training_steps": steps}},
        "criterion": {"key": "WeightedSumLoss", "kwargs": {"sub_terms": {"kd": {"criterion": loss, "weight": weight}}}}}


def torchdistill(task):
    """torchdistill's DistillationBox with KDLoss on the hooked logits, in the loop of its example without `accelerate`."""
    from torchdistill.core.distillation import get_distillation_box
    from torchdistill.datasets.registry import register_collate_func
    from torchdistill.optim.registry import register_optimizer, register_scheduler

    @register_optimizer
    def adamw_without_decay_of_norms(model, weight_decay, **kwargs):
        return torch.optim.AdamW(groups(model, weight_decay), **kwargs)

    register_scheduler(get_linear_schedule_with_warmup)
    register_collate_func(task.collate, key="pad_batch")
    box = get_distillation_box(
        task.teacher, task.student, {"train": task.train, "validation": task.validation},
        torchdistill_config(task.settings, task.steps, task.warmup, task.training_sampler), torch.device("cpu"), None, False, 1)
    for epoch in range(box.num_epochs):
        box.pre_epoch_process(epoch=epoch)
        for batch in box.train_data_loader:
            box.pre_forward_process()
            loss = box.forward_process(batch, targets=batch["labels"], supp_dict=None)
            box.post_forward_process(loss=loss)
        task.finish_epoch(box.student_model, box.val_data_loader)
        box.post_epoch_process()


WAYS = {"TextBrewer": textbrewer, "torchdistill": torchdistill}


def main():
    way, request = WAYS[sys.argv[1]], json.loads(Path(sys.argv[2]).read_text())
    # So that the imports of the toolkit itself are not in the time of its training either.
    __import__("textbrewer" if way is textbrewer else "torchdistill.core.distillation")
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    torch.set_num_threads(request["threads"])
    random.seed(request["seed"])
    torch.manual_seed(request["seed"])
    imported, used = time.perf_counter(), time.process_time()
    task = Task(request)
    way(task)
    task.write()
    ended = time.perf_counter()
    result = {"seconds": ended - imported, "processor_seconds": time.process_time() - used,
              "validation_accuracy": task.epochs}
    (task.out / "result.json").write_text(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
