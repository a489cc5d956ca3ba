"""Commands other than the two long passes, each with what it needs, for `scripts/torture` to kill.

A command is described by what is run before it, by itself, and by what it writes. An undisturbed run is kept; after every
kill the same command, until it ends, must leave the same files with the same content, but for times.
"""

import json
import shutil
import time
from pathlib import Path

TEACHER = "teacher --model tiny --data rows.jsonl"
PIPELINE = """out = "out"
[data]
train = "rows.jsonl"
test = "test.jsonl"
max_length = 32
[finetune]
model = "tiny"
epochs = 1
[student]
layers = [0]
epochs = 2
[report]
timing = false
"""
SWEEP = """[sweep]
pipeline = "p.toml"
[space]
"student.temperature" = [1.0, 4.0]
"""
# The name, what is run before, the command, what it writes, and whether that holds a result before each trial.
COMMANDS = {
    "merge": ([f"{TEACHER} --out targets"], "targets merge targets --out out", "out"),
    "average": ([f"{TEACHER} --out targets", f"{TEACHER} --max-length 16 --out other"],
                "targets average targets other --out out", "out"),
    "augment": ([], "augment --data rows.jsonl --copies 2 --out out", "out"),
    "predict": ([], "predict --model tiny --data rows.jsonl --out out.jsonl --overwrite", "out.jsonl"),
    "report": ([], "report --model tiny --data test.jsonl --no-timing --junit gates.xml --out out", "out"),
    "run": ([], "run p.toml", "out"),
    "run --seeds": ([], "run p.toml --seeds 1,2", "out"),
    "sweep": ([], "sweep s.toml --out out", "out"),
    "ablate": ([], "ablate p.toml --out out", "out"),
}
# One result in the place of another: what is there before each trial.
REPLACING = {
    "augment anew": ("augment --data rows.jsonl --copies 1 --out out",
                     "augment --data rows.jsonl --copies 2 --out out --overwrite", "out"),
    "finetune anew": ("finetune --model tiny --data rows.jsonl --epochs 1 --out out",
                      "finetune --model tiny --data rows.jsonl --epochs 3 --batch-size 8 --checkpoint-every 4 "
                      "--set finetune.log_every=2 --out out --overwrite", "out"),
    "teacher anew": ("teacher --model tiny --data test.jsonl --out out",
                     "teacher --model tiny --data rows.jsonl --out out --overwrite", "out"),
}


class Violated(Exception):
    """What a user was promised, and what was seen."""


class Command:
    """One of them in a folder of its own, with the interface of a pass of `scripts/torture`."""

    def __init__(self, program, scratch, name, prepare, tiny):
        before, self.command, self.out = COMMANDS[name] if name in COMMANDS else ([], *REPLACING[name][1:])
        self.earlier = REPLACING[name][0] if name in REPLACING else None
        self.program, self.name = program, name
        self.work = scratch / name.replace(" ", "-")
        self.work.mkdir()
        (self.work / "tiny").symlink_to(tiny)
        prepare(self.work)
        (self.work / "p.toml").write_text(PIPELINE)
        (self.work / "s.toml").write_text(SWEEP)
        for command in before:
            self.must(command)
        self.forget()
        began = time.monotonic()
        self.counts = self.must(self.command)
        self.seconds = time.monotonic() - began
        (self.work / self.out).rename(self.work / f"whole-{self.out}")
        self.forget()

    def must(self, command):
        code, said, counts, _ = self.program.run(self.work, command)
        if code != 0:
            raise Violated(f"{command} gave {code}: {said}")
        return counts

    def forget(self):
        """Begins anew: with the result that is to be replaced, where there is one."""
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

    def check_same(self):
        whole, found = self.files(f"whole-{self.out}"), self.files(self.out)
        if whole.keys() != found.keys():
            raise Violated(f"{sorted(whole.keys() ^ found.keys())} is left or missing")
        for name, path in whole.items():
            if content(path) != content(found[name]):
                raise Violated(f"{name} differs")
        left = [path.name for path in self.work.iterdir() if path.name.endswith(".tmp")]
        if left:
            raise Violated(f"{left} is left")

    def check_visible(self):
        """What has its own name is whole: JSON parses, and weights are those of one whole run or another."""
        for name, path in self.files(self.out).items():
            if any(part.startswith(".") for part in Path(name).parts):
                continue
            if path.suffix == ".json":
                json.loads(path.read_text())
            if path.name == "model.safetensors" and not (path.parent / "config.json").exists():
                raise Violated(f"{name} without its config")

    def finish(self):
        code, said, _, _ = self.program.run(self.work, self.command)
        if code != 0:
            raise Violated(f"the same command again gave {code}: {said}")
        if "passed over" in said or "built again" in said:
            raise Violated(f"something visible was damaged: {said}")
        self.check_same()


def content(path):
    """A file without times."""
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
