"""Peak resident memory and time of the teacher pass and of training, by number of rows."""

import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from made_up import WORDS
from program import DISTILL, ROOT

MODEL = ROOT / "tests/golden/bert-tiny"
ALLOWED = 300  # MB
ALLOWED_TIME = 1.05  # times as long for each row


def write_rows(path, count):
    chosen = random.Random(0)
    with open(path, "w") as out:
        for row in range(count):
            text = " ".join(chosen.choice(WORDS) for _ in range(chosen.randrange(4, 24)))
            out.write(f'{{"id": "row-{row}", "text": "{text} {row}"}}\n')


def peak(command, environment):
    """Runs a command; its peak resident memory in MB and its seconds."""
    start = time.monotonic()
    child = subprocess.Popen([str(part) for part in command], env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        sys.exit(f"{command[1]} ended with {os.waitstatus_to_exitcode(status)}")
    return usage.ru_maxrss / 1000, time.monotonic() - start


def main():
    counts = [int(count) for count in sys.argv[1:]] or [100_000, 1_000_000]
    peaks = {}
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        environment = {**os.environ, "DISTILL_CACHE": str(scratch / "cache")}
        common = ["--device", "cpu", "--max-length", "32", "--quiet"]
        for count in counts:
            rows, targets, out = scratch / "rows.jsonl", scratch / f"targets-{count}", scratch / f"student-{count}"
            write_rows(rows, count)
            peaks["teacher", count] = peak(
                [DISTILL, "teacher", "--model", MODEL, "--data", rows, "--out", targets, *common], environment)
            peaks["student", count] = peak(
                [DISTILL, "student", "--targets", targets, "--init", MODEL, "--layers", "0", "--out", out, "--epochs", "1",
                 "--batch-size", "512", "--hard-weight", "0", "--soft-weight", "1", "--validation", "0.01", *common],
                environment)
            for name in ("teacher", "student"):
                megabytes, seconds = peaks[name, count]
                print(f"{name}, {count} rows: {megabytes:.0f} MB, {seconds:.0f} s", file=sys.stderr, flush=True)
    print("| pass | " + " | ".join(f"{count:,} rows" for count in counts) + " | more | time for each row |\n| --- |"
          + " --- |" * (len(counts) + 2))
    grown, slower = {}, {}
    for name in ("teacher", "student"):
        megabytes = [peaks[name, count][0] for count in counts]
        seconds = [peaks[name, count][1] for count in counts]
        grown[name] = megabytes[-1] - megabytes[0]
        slower[name] = seconds[-1] / seconds[0] * counts[0] / counts[-1]
        cells = [f"{value:.0f} MB, {took:.0f} s" for value, took in zip(megabytes, seconds)]
        print(f"| {name} | " + " | ".join(cells) + f" | {grown[name]:.0f} MB | {slower[name]:.2f}× |")
    if max(grown.values()) > ALLOWED:
        sys.exit(f"memory grew by more than {ALLOWED} MB")
    if max(slower.values()) > ALLOWED_TIME:
        sys.exit(f"a row took more than {ALLOWED_TIME} times as long")


main()
