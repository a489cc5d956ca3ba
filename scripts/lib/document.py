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


def write_between(script, text):
    """Puts `text` into docs/benchmarks.md in place of what stands between the markers of `script`."""
    before, begin, rest = BENCHMARKS.read_text().partition(f"<!-- {script} begins -->\n")
    _, end, after = rest.partition(f"<!-- {script} ends -->\n")
    if not (begin and end):
        sys.exit(f"{BENCHMARKS} has no place for the tables of {script}")
    BENCHMARKS.write_text(before + begin + text + end + after)
