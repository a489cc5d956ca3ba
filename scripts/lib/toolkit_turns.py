"""One pipeline's runs for scripts/bench-toolkits: rows, teacher, initial student, and all ways in turns."""

import hashlib
import json
import math
import os
import random
import resource
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import numpy
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from program import DISTILL, ROOT, predict
from toolkit_student import WAYS, copy_tokenizer, encode
from training_order import epoch

# The settings that all ways share, with distill's own defaults.
SHARED = {"epochs": 3, "batch_size": 32, "learning_rate": 5e-5, "warmup_ratio": 0.1, "weight_decay": 0.01,
          "max_grad_norm": 1.0, "temperature": 2.0, "hard_weight": 0.5, "soft_weight": 0.5}


def toml(tables):
    """The text of a pipeline file; JSON's words for numbers, texts and lists are TOML's, too."""
    written = lambda table: [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in table.items()
                             if not isinstance(value, dict)]
    lines = written(tables)
    for name, table in tables.items():
        lines += [f"[{name}]", *written(table)] if isinstance(table, dict) else []
    return "\n".join(lines) + "\n"


def fingerprint(paths):
    return hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in paths)).hexdigest()


def processor_seconds():
    """Seconds of processors that ended child processes have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Bench:
    """One pipeline: its rows and settings, and for each seed a directory with everything that was made."""

    def __init__(self, asked, arguments):
        pipeline, _, recipe = asked.partition(":")
        self.recipes = {f"distill, {Path(path).stem}": path for path in [recipe, *arguments.recipe] if path}
        self.arguments = arguments
        self.pipeline = tomllib.loads((ROOT / pipeline).read_text())
        self.data = self.pipeline["data"]
        if self.data.get("problem_type", "single_label_classification") != "single_label_classification":
            sys.exit(f"{pipeline}: the other toolkits' losses are for one class a row")
        if not isinstance(self.data.get("test"), str):
            sys.exit(f"{pipeline}: [data] test must be one file")
        student = self.pipeline["student"]
        self.settings = SHARED | {key: value for key, value in student.items() if key in SHARED}
        for word in arguments.set:
            key, _, value = word.partition("=")
            if key not in SHARED:
                sys.exit(f"--set {word}: none of {', '.join(SHARED)}")
            self.settings[key] = json.loads(value)
        known = [*SHARED, "layers", "init", "targets", "require_teacher", "no_teacher_baseline", "baseline_init"]
        if left := [key for key in student if key not in known]:
            print(f"{pipeline}: left out, as the others have nothing like it: {', '.join(left)}", file=sys.stderr)
        self.settings["max_length"] = self.data.get("max_length", 128)
        if arguments.exact and self.recipes:
            sys.exit("--exact: a recipe trains another student")
        self.name = Path(pipeline).stem + (f"-{arguments.rows}" if arguments.rows else "") + ("-exact" if arguments.exact else "")
        self.work = arguments.work.resolve() / self.name
        self.threads = ["--threads", arguments.threads, "--device", "cpu", "--dtype", "f32"]
        cores = str(arguments.threads)
        self.cores = {"OMP_NUM_THREADS": cores, "MKL_NUM_THREADS": cores, "RAYON_NUM_THREADS": cores}

    def rows(self, name):
        """The rows of a JSONL file under the columns' default names, with labels as they are written."""
        path, columns = ROOT / self.data[name], self.data.get("columns", {})
        if path.suffix not in (".jsonl", ".ndjson"):
            sys.exit(f"{path}: only JSONL is read here")
        rows = [json.loads(line) for line in open(path)]
        if not all(row.get(columns.get("label", "label")) is not None for row in rows):
            sys.exit(f"{path}: a row without a label, which the other toolkits cannot learn from")
        names = {key: columns.get(key, key) for key in ("id", "text", "text_pair", "label")}
        return [{"id": str(at)} | {key: row[column] for key, column in names.items() if column in row}
                for at, row in enumerate(rows)]

    def write_rows(self, seed):
        """Training, validation and test rows of a seed as files, which every way reads."""
        train, share = self.rows("train"), self.data.get("validation", 0.1)
        if self.arguments.rows:
            train = random.Random(0).sample(train, min(self.arguments.rows, len(train)))
        if isinstance(share, str):
            validation = self.rows("validation")
        else:
            order = random.Random(seed).sample(range(len(train)), len(train))
            held = set(order[: max(1, math.floor(share * len(train)))])
            validation = [row for at, row in enumerate(train) if at in held]
            train = [row for at, row in enumerate(train) if at not in held]
        folder = self.work / f"seed-{seed}"
        folder.mkdir(parents=True, exist_ok=True)
        for name, rows in [("train", train), ("validation", validation), ("test", self.rows("test"))]:
            (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return folder

    def run(self, command, **variables):
        """Runs it and gives the seconds it took, also those of processors, which other work beside it changes little; what
        it says is shown only if it fails."""
        start, words = time.perf_counter(), [str(word) for word in command]
        before = processor_seconds()
        ended = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT,
                               env=os.environ | self.cores | variables)
        seconds = time.perf_counter() - start
        self.processor_seconds = processor_seconds() - before
        if ended.returncode != 0:
            sys.exit(f"{ended.stdout}\n{' '.join(words)}: ended with {ended.returncode}")
        return seconds

    def own_data(self, folder):
        return {"train": str(folder / "train.jsonl"), "validation": str(folder / "validation.jsonl"),
                "max_length": self.settings["max_length"]}

    def make_teacher(self, folder, seed):
        """`distill finetune` on the seed's rows, which leaves a result that is up to date as it is."""
        if self.arguments.teacher:
            return Path(self.arguments.teacher.replace("{seed}", str(seed))).resolve()
        config, out = folder / "teacher.toml", folder / "teacher"
        text = toml({"data": self.own_data(folder), "finetune": self.pipeline["finetune"]})
        again = ["--overwrite"] if config.exists() and config.read_text() != text else []
        config.write_text(text)
        command = [DISTILL, "finetune", "--config", config, "--out", out, "--seed", seed, "--quiet", *self.threads, *again]
        print(f"{self.name}, seed {seed}: teacher {self.run(command):.1f} s", file=sys.stderr, flush=True)
        return out / "model"

    def make_student(self, folder, teacher):
        """The student before training: of the teacher the embeddings, the layers that are kept, pooler and head."""
        model, into = AutoModelForSequenceClassification.from_pretrained(teacher), folder / "student"
        if layers := self.pipeline["student"].get("layers"):
            path, stack = next((name, module) for name, module in model.base_model.named_modules()
                               if isinstance(module, torch.nn.ModuleList) and len(module) == model.config.num_hidden_layers)
            parent, _, name = path.rpartition(".")
            kept = torch.nn.ModuleList(stack[layer] for layer in layers)
            setattr(model.base_model.get_submodule(parent), name, kept)
            model.config.num_hidden_layers = len(layers)
        if self.arguments.exact:
            for name, value in model.config.to_dict().items():
                if "dropout" in name and isinstance(value, float):
                    setattr(model.config, name, 0.0)
        shutil.rmtree(into, ignore_errors=True)
        model.save_pretrained(into)
        copy_tokenizer(teacher, into)
        return into

    def check_student(self, folder, student):
        """The largest difference of a logit between distill and transformers, of the student before training."""
        out = folder / "initial.jsonl"
        own = torch.tensor(predict(student, folder / "test.jsonl", out, "--max-length", self.settings["max_length"],
                                   *self.threads, **self.cores))
        apart = (own - self.logits(student, folder)[0]).abs().max().item()
        if apart > 1e-4:
            sys.exit(f"{student}: distill and transformers differ by {apart} in a logit: nothing was trained")
        return apart

    def logits(self, directory, folder):
        """Logits of the test rows by transformers, and the labels."""
        tokenizer = AutoTokenizer.from_pretrained(directory)
        model = AutoModelForSequenceClassification.from_pretrained(directory).eval()
        rows = encode(tokenizer, folder / "test.jsonl", self.settings["max_length"], model.config.label2id)
        order = sorted(range(len(rows)), key=lambda at: len(rows[at]["input_ids"]))
        logits = torch.empty(len(rows), model.config.num_labels)
        for at in range(0, len(rows), 64):
            part = order[at : at + 64]
            batch = [{name: values for name, values in rows[row].items() if name != "labels"} for row in part]
            with torch.inference_mode():
                logits[part] = model(**tokenizer.pad(batch, return_tensors="pt")).logits
        return logits, torch.tensor([row["labels"] for row in rows])

    def right(self, directory, folder):
        """For each test row whether the model is right: the same function for all."""
        logits, labels = self.logits(directory, folder)
        return (logits.argmax(-1) == labels).tolist()

    def run_other(self, way, seed, folder, out, request):
        orders = None
        if self.arguments.exact:
            rows = sum(1 for _ in open(request["train"]))
            orders = [epoch(rows, seed, number) for number in range(self.settings["epochs"])]
        (out / "request.json").write_text(json.dumps(request | {"out": str(out), "orders": orders}))
        whole = self.run([sys.executable, ROOT / "scripts/lib/toolkit_student.py", way, out / "request.json"])
        result = json.loads((out / "result.json").read_text())
        shutil.rmtree(out / "checkpoints", ignore_errors=True)
        return out / "model", result | {"seconds_of_process": whole}

    def run_distill(self, recipe, seed, folder, out, request):
        """`distill run` from the teacher to the student: the same settings, or those of a recipe's own tables."""
        tables = {"out": str(out / "run"), "data": self.own_data(folder), "teacher": {}}
        if recipe:
            asked = tomllib.loads((ROOT / recipe).read_text())
            tables["data"] |= {key: asked["data"][key] for key in ("max_length",) if key in asked.get("data", {})}
            tables |= {key: asked[key] for key in ("augment", "teacher", "student") if key in asked}
            # Its teacher is this one, and no file of a run of its own is taken.
            own = {key: value for key, value in tables["student"].items() if key not in ("targets", "teacher_model")}
            tables["student"] = own | {"no_teacher_baseline": False}
        else:
            shared = {key: value for key, value in self.settings.items() if key in SHARED}
            tables["student"] = shared | {"init": request["student"]}
        tables["teacher"] = tables["teacher"] | {"model": request["teacher"]}
        (out / "pipeline.toml").write_text(toml(tables))
        # A token cache of an earlier run would spare distill work that the others do.
        seconds = self.run([DISTILL, "run", out / "pipeline.toml", "--seed", seed, "--quiet", *self.threads],
                           DISTILL_CACHE=str(out / "cache"))
        shutil.rmtree(out / "cache", ignore_errors=True)
        ended = json.loads((out / "run/student/run.json").read_text())["results"]
        return out / "run/student/model", {"seconds": seconds, "seconds_of_process": seconds,
                                           "processor_seconds": self.processor_seconds,
                                           "validation_accuracy": ended["validation"]["accuracy"]}

    def ways(self):
        own = {way: lambda *rest, recipe=recipe: self.run_distill(recipe, *rest) for way, recipe in self.recipes.items()}
        others = {way: lambda *rest, way=way: self.run_other(way, *rest) for way in self.arguments.beside or WAYS}
        return others | {"distill": lambda *rest: self.run_distill(None, *rest)} | own

    def one(self, way, go, seed, folder, request):
        """A way's result for a seed; one that was kept counts if it was asked for the same."""
        out = folder / way.replace(", ", "-")
        program = DISTILL if way.startswith("distill") else ROOT / "scripts/lib/toolkits.txt"
        recipe = (ROOT / self.recipes[way]).read_text() if way in self.recipes else None
        kept, asked = out / "kept.json", request | {"program": fingerprint([program]), "recipe": recipe}
        if kept.exists() and not self.arguments.again:
            result = json.loads(kept.read_text())
            if result["asked"] == asked:
                return result
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        model, found = go(seed, folder, out, request)
        result = found | {"asked": asked, "right": self.right(model, folder), "model": str(model)}
        kept.write_text(json.dumps(result) + "\n")
        print(f"{self.name}, seed {seed}: {way} {result['seconds']:.1f} s, {numpy.mean(result['right']):.4f}",
              file=sys.stderr, flush=True)
        return result

    def measure(self):
        """All ways for all seeds, in turns; each seed begins with another way."""
        ways, seeds = list(self.ways().items()), [int(seed) for seed in self.arguments.seeds.split(",")]
        found = {"name": self.name, "seeds": seeds, "settings": self.settings, "apart": 0.0, "trained_apart": {}, "rows": [],
                 "ways": {"teacher": []} | {way: [] for way, _ in ways}}
        for turn, seed in enumerate(seeds):
            folder = self.write_rows(seed)
            teacher = self.make_teacher(folder, seed)
            student = self.make_student(folder, teacher)
            found["apart"] = max(found["apart"], self.check_student(folder, student))
            found["rows"].append([sum(1 for _ in open(folder / f"{name}.jsonl")) for name in ("train", "validation", "test")])
            found["ways"]["teacher"].append({"right": self.right(teacher, folder)})
            train, validation = folder / "train.jsonl", folder / "validation.jsonl"
            request = {"teacher": str(teacher), "student": str(student), "train": str(train), "validation": str(validation),
                       "settings": self.settings, "seed": seed, "threads": self.arguments.threads,
                       "inputs": fingerprint([train, validation, folder / "test.jsonl", teacher / "model.safetensors"])}
            for way, go in ways[turn % len(ways) :] + ways[: turn % len(ways)]:
                found["ways"][way].append(self.one(way, go, seed, folder, request))
            if self.arguments.exact:
                last = {way: self.logits(found["ways"][way][-1]["model"], folder)[0] for way, _ in ways}
                for way in set(last) - {"distill"}:
                    apart = (last[way] - last["distill"]).abs().max().item()
                    found["trained_apart"][way] = max(found["trained_apart"].get(way, 0.0), apart)
        return found
