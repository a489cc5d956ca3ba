"""Rows a second of both passes, idle and next to a busy process, by how long libgomp's threads spin."""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys

from busy import Others, busy_core
from program import DISTILL, ROOT

WANTED_IDLE, WANTED_BUSY = 0.97, 0.40


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", default="default,distill,3000,4500,10000", help="values of GOMP_SPINCOUNT [%(default)s]")
    parser.add_argument("--passes", default="teacher,student", help="[%(default)s]")
    parser.add_argument("--layers", default="0,2,4", help="layers of the model that is trained [%(default)s]")
    parser.add_argument("--lengths", default="8..32", help="tokens of the rows, as `distill bench` takes them [%(default)s]")
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", help="write all rounds here")
    return parser.parse_args()


def environment(count):
    """`distill`: as the program starts by itself. `default`: libgomp's 300,000 turns."""
    clean = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    if count == "distill":
        return clean
    return clean | {"GOMP_SPINCOUNT": "300000" if count == "default" else count}


def measure(name, count, arguments):
    """Rows a second of one pass."""
    command = [DISTILL, "bench", "--model", ROOT / "models/all-MiniLM-L6-v2", "--pass", name, "--rounds", 1, "--rows",
               arguments.rows, "--lengths", arguments.lengths, "--json", "--quiet"]
    command += ["--layers", arguments.layers] if name == "student" else []
    ended = subprocess.run([str(word) for word in command], env=environment(count), stdout=subprocess.PIPE, text=True)
    if ended.returncode != 0:
        sys.exit(f"distill bench ended with {ended.returncode}")
    return json.loads(ended.stdout)["passes"][0]["rows_per_second"]


def main():
    arguments = parse_arguments()
    counts, passes = arguments.counts.split(","), arguments.passes.split(",")
    rates, foreign = {}, []
    for round_number in range(arguments.rounds):
        for is_busy in [False, True]:
            with busy_core() if is_busy else contextlib.nullcontext() as spinning:
                for name in passes:
                    for count in counts:
                        others = Others(spinning)
                        rate = measure(name, count, arguments)
                        foreign.append(others.cores())
                        rates.setdefault((name, count), ([], []))[is_busy].append(rate)
                        print(f"round {round_number + 1}, {'busy' if is_busy else 'idle'}: {name}, {count}: {rate:.1f} rows/s, "
                              f"others used {foreign[-1]:.2f} cores", file=sys.stderr, flush=True)
    print(f"{os.cpu_count()} cores, {arguments.rows} rows of {arguments.lengths} tokens, medians of {arguments.rounds} rounds; "
          f"processes besides these used {statistics.median(foreign):.2f} cores (at most {max(foreign):.2f})\n")
    print("| pass | GOMP_SPINCOUNT | idle, rows/s | of libgomp's default | one core busy, rows/s | of its own idle speed |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in passes:
        medians = {count: [statistics.median(rounds) for rounds in rates[name, count]] for count in counts}
        base = medians.get("default", [float("nan")])[0]
        for count, (idle, busy) in medians.items():
            print(f"| {name} | {count} | {idle:.1f} | {idle / base:.3f} | {busy:.1f} | {busy / idle:.2f} |")
        if "distill" in medians:
            idle, busy = medians["distill"]
            kept = idle >= WANTED_IDLE * base and busy >= WANTED_BUSY * idle
            print(f"\n{name}: {'as wanted' if kept else 'NOT AS WANTED'}: idle {idle / base:.3f} of libgomp's default "
                  f"(at least {WANTED_IDLE}), busy {busy / idle:.2f} of idle (at least {WANTED_BUSY})\n")
    if arguments.json:
        with open(arguments.json, "w") as out:
            json.dump([{"pass": name, "count": count, "idle": idle, "busy": busy}
                       for (name, count), (idle, busy) in rates.items()], out, indent=1)


main()
