"""Calls of the program that the scripts measure and check."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DISTILL = Path(os.environ.get("DISTILL") or ROOT / "target/release/distill")


def run(*words, **environment):
    """Runs `distill WORDS --quiet` and gives its stdout; where it fails, what it says is shown and the script ends."""
    command = [str(word) for word in (DISTILL, *words, "--quiet")]
    ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | environment)
    if ended.returncode != 0:
        sys.exit(f"{ended.stdout}{ended.stderr}{' '.join(command)}: ended with {ended.returncode}")
    return ended.stdout


def predict(model, rows, out, *options, **environment):
    """The logits of a JSONL file's rows, a list for each in the order of the rows; `out` is the JSONL file they come from."""
    run("predict", "--model", model, "--data", rows, "--out", out, "--overwrite", *options, **environment)
    with open(out, encoding="utf-8") as predictions:
        return [json.loads(line)["logits"] for line in predictions]
