"""What the benchmark scripts share when they write about themselves: the machine, and tables between markers."""

import platform
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parents[2] / "docs/benchmarks.md"


def processor():
    for line in open("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def must_have_place(script):
    """docs/benchmarks.md around the tables of `script`, with its markers; ends the program where it has none."""
    before, begin, rest = BENCHMARKS.read_text().partition(f"<!-- {script} begins -->\n")
    _, end, after = rest.partition(f"<!-- {script} ends -->\n")
    if not (begin and end):
        sys.exit(f"{BENCHMARKS} has no place for the tables of {script}")
    return before + begin, end + after


def write_between(script, text):
    """Puts `text` into docs/benchmarks.md in place of what stands between the markers of `script`."""
    before, after = must_have_place(script)
    BENCHMARKS.write_text(before + text + after)
