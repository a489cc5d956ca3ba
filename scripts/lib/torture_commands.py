"""The commands that `scripts/torture` kills, other than the two long passes.

Each command has a directory of its own. An undisturbed run is kept there. After any number of kills, the same command must
end with the same files and the same content (except times).
"""

import json
import shutil
import time
from pathlib import Path

JOURNAL = ".distill-swap.tmp"
TEACHER = "teacher --model tiny --data rows.jsonl"
FINETUNE = "finetune --model tiny --data rows.jsonl"
STUDENT = "student --targets targets --init tiny --layers 0"
REPORT = "report --model tiny --data test.jsonl --no-timing"
PIPELINE = """out = "out"
[data]
train = "rows.jsonl"
test = "test.jsonl"
max_length = 32
[finetune]
model = "tiny"
epochs = EPOCHS
[student]
layers = [0]
epochs = 2
[report]
timing = false
"""
SWEEP = """[sweep]
pipeline = "PIPELINE"
[space]
"student.temperature" = [1.0, 4.0]
"""
FILES = {
    "p.toml": PIPELINE.replace("EPOCHS", "1"),
    "earlier.toml": PIPELINE.replace("EPOCHS", "2"),
    "s.toml": SWEEP.replace("PIPELINE", "p.toml"),
    "earlier-sweep.toml": SWEEP.replace("PIPELINE", "earlier.toml"),
}
STORE = f"{TEACHER} --out targets"
OTHER_STORE = f"{TEACHER} --max-length 16 --out other"
LOGGED = "--batch-size 8 --checkpoint-every 4 --set finetune.log_every=2"
# Name: what is run once before, the command, and what the command writes.
COMMANDS = {
    "pretrain": ([], "pretrain --model tiny --data rows.jsonl --epochs 2 --batch-size 8 --checkpoint-every 4 --set pretrain.log_every=2 --out out", "out"),
    "finetune": ([], f"{FINETUNE} --epochs 2 {LOGGED} --out out", "out"),
    "finetune, frozen": ([], f"{FINETUNE} --freeze encoder --epochs 2 {LOGGED} --out out", "out"),
    "merge": ([STORE], "targets merge targets --out out", "out"),
    "average": ([STORE, OTHER_STORE], "targets average targets other --out out", "out"),
    "augment": ([], "augment --data rows.jsonl --copies 2 --out out", "out"),
    "predict": ([], "predict --model tiny --data rows.jsonl --out out.jsonl --overwrite", "out.jsonl"),
    "report": ([], f"{REPORT} --junit gates.xml --out out", "out"),
    "run": ([], "run p.toml", "out"),
    "run --seeds": ([], "run p.toml --seeds 1,2", "out"),
    "sweep": ([], "sweep s.toml --out out", "out"),
    "ablate": ([], "ablate p.toml --out out", "out"),
}
# The same where a finished result is replaced. Name: what is run once before, what makes the earlier result before each
# trial, the command, and what both write.
REPLACING = {
    "replace finetune": ([], f"{FINETUNE} --epochs 1 --out out",
                         f"{FINETUNE} --epochs 3 {LOGGED} --out out --overwrite", "out"),
    "replace teacher": ([], "teacher --model tiny --data test.jsonl --out out", f"{TEACHER} --out out --overwrite", "out"),
    "replace student": ([STORE], f"{STUDENT} --epochs 1 --out out",
                        f"{STUDENT} --epochs 2 --batch-size 8 --checkpoint-every 4 --out out --overwrite", "out"),
    "replace merge": ([STORE, OTHER_STORE], "targets merge other --out out",
                      "targets merge targets --out out --overwrite", "out"),
    "replace average": ([STORE, OTHER_STORE], "targets average targets other --weights 1,3 --out out",
                        "targets average targets other --out out --overwrite", "out"),
    "replace augment": ([], "augment --data rows.jsonl --copies 1 --out out",
                        "augment --data rows.jsonl --copies 2 --out out --overwrite", "out"),
    "replace report": ([], f"{REPORT} --set report.confidence=0.9 --out out", f"{REPORT} --out out --overwrite", "out"),
    "replace run": ([], "run earlier.toml", "run p.toml", "out"),
    "replace sweep": ([], "sweep earlier-sweep.toml --out out", "sweep s.toml --out out", "out"),
}
# Their stages write files more than once (model cards, tables), so a visible file may be neither the old nor the new one.
SEVERAL_STAGES = ("replace run", "replace sweep")


class Violated(Exception):
    """A guarantee of docs/reliability.md that did not hold, and what was seen."""


class Command:
    """A command in a directory of its own, with the interface of `scripts/torture`'s passes."""

    def __init__(self, program, scratch, name, prepare, tiny):
        if name in REPLACING:
            before, self.earlier, self.command, self.out = REPLACING[name]
        else:
            (before, self.command, self.out), self.earlier = COMMANDS[name], None
        self.program, self.name, self.old = program, name, None
        self.work = scratch / name.replace(" ", "-").replace(",", "")
        self.work.mkdir()
        (self.work / "tiny").symlink_to(tiny)
        prepare(self.work)
        for file, text in FILES.items():
            (self.work / file).write_text(text)
        for command in before:
            self.must(command)
        self.forget()
        if self.earlier and name not in SEVERAL_STAGES:
            self.old = contents(self.files(self.out))
        began = time.monotonic()
        self.counts = self.must(self.command)
        self.seconds = time.monotonic() - began
        (self.work / self.out).rename(self.work / f"whole-{self.out}")
        self.new = contents(self.files(f"whole-{self.out}"))
        self.forget()

    def must(self, command):
        code, said, counts, _ = self.program.run(self.work, command)
        if code != 0:
            raise Violated(f"{command} gave {code}: {said}")
        return counts

    def forget(self):
        """Starts over, with the result that is to be replaced where the command replaces one."""
        self.is_fresh = True
        for name in (self.out, "cache"):
            path = self.work / name
            path.unlink() if path.is_file() else shutil.rmtree(path, ignore_errors=True)
        if self.earlier:
            self.must(self.earlier)

    def files(self, root):
        root = self.work / root
        if root.is_file():
            return {root.name.removeprefix("whole-"): root}
        paths = (path for path in root.rglob("*") if path.is_file() and path.name != ".lock")
        return {str(path.relative_to(root)): path for path in paths}

    def is_swapping(self):
        """Whether a kill left the journal of a result that was moving into place."""
        out = self.work / self.out
        return out.is_dir() and any(out.rglob(JOURNAL))

    def check_same(self):
        found = self.files(self.out)
        if self.new.keys() != found.keys():
            raise Violated(f"{sorted(self.new.keys() ^ found.keys())} is left or missing")
        for name, content in contents(found).items():
            if content != self.new[name]:
                raise Violated(f"{name} differs")
        left = [path.name for path in self.work.iterdir() if path.name.endswith(".tmp")]
        if left:
            raise Violated(f"{left} is left")

    def check_visible(self):
        """What has its final name is complete: the old result, the new one, or files of both while a journal exists."""
        visible = {name: path for name, path in self.files(self.out).items()
                   if not any(part.startswith(".") for part in Path(name).parts)}
        for name, path in visible.items():
            if path.suffix == ".json":
                json.loads(path.read_text())
            if path.name == "model.safetensors" and not (path.parent / "config.json").exists():
                raise Violated(f"{name} without its config")
        if self.old is not None:
            self.check_replaced(contents(visible))

    def check_replaced(self, visible):
        if self.is_swapping():
            wrong = [name for name, content in visible.items()
                     if content not in (self.old.get(name), self.new.get(name))]
        else:
            wrong = [] if visible in (self.old, self.new) else sorted(visible)
        if wrong:
            raise Violated(f"{wrong} is neither the old result nor the new one")

    def finish(self):
        code, said, _, _ = self.program.run(self.work, self.command)
        if code != 0:
            raise Violated(f"the same command again gave {code}: {said}")
        if "passed over" in said or "built again" in said:
            raise Violated(f"something visible was damaged: {said}")
        self.check_same()


def contents(files):
    return {name: content(path) for name, path in files.items()}


def content(path):
    """A file's content without times."""
    if path.name == "run.json":
        record = json.loads(path.read_text())
        return record["settings"], record["inputs"], bool(record["results"]), sorted(record.get("files", {}))
    if path.suffix == ".json":
        return timeless(json.loads(path.read_text()))
    if path.name == "metrics.jsonl":
        return [timeless(json.loads(line)) for line in path.read_text().splitlines()]
    return path.read_bytes()


def timeless(value):
    if isinstance(value, dict):
        times = ("seconds", "rows_per_second", "text")
        return {key: timeless(entry) for key, entry in value.items() if key not in times}
    return [timeless(entry) for entry in value] if isinstance(value, list) else value
