"""Compares students of TextBrewer, torchdistill and distill: accuracy on test rows, and seconds.

For each seed all get the same teacher, which distill fine-tuned on that seed's rows, the same initial weights of the student
(a directory with the teacher's chosen layers, made here and checked), the same training and validation rows, and the same
settings, those of the pipeline file: epochs, batch size, AdamW's learning rate, warmup and weight decay, gradient norm,
temperature, weights, tokens of a row; f32 on the CPU with the same threads. Each picks its best epoch by accuracy on the
validation rows. They run in turns, seed by seed. One function counts the right answers of what they wrote.

Seconds: of distill from the command's start to its end, the teacher's pass included; of the others from behind Python's
imports to the student's directory being written. Those of processors say more where other work runs beside. Finished runs are kept under --work and not done again.

examples:
  scripts/bench-toolkits                                          TREC, seeds 1, 2, 3
  scripts/bench-toolkits pipelines/trec.toml more.toml --write    and put the tables into docs/benchmarks.md
  scripts/bench-toolkits pipelines/trec.toml:pipelines/better.toml    distill with a better recipe as a further way
  scripts/bench-toolkits --rows 400 --set epochs=1 --threads 1    a quick look at whether all of it runs
  scripts/bench-toolkits --exact --rows 2000 --seeds 1            without chance: are the students the same?
"""

import argparse
import importlib.metadata
import json
import os
import statistics
import sys
from pathlib import Path

import numpy
import torch
from scipy import stats
from transformers.utils import logging as transformers_logging

from document import processor, write_between
from toolkit_student import WAYS
from toolkit_turns import ROOT, Bench

RESAMPLES = 10_000


def parse_arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench-toolkits", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pipelines", nargs="*", default=["pipelines/trec.toml"], metavar="PIPELINE.toml[:RECIPE.toml]",
                        help="data, teacher and settings, and a recipe for this data set [pipelines/trec.toml]")
    parser.add_argument("--seeds", default="1,2,3", help="[%(default)s]")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="[%(default)s]")
    parser.add_argument("--recipe", action="append", default=[], metavar="FILE.toml",
                        help="distill with this pipeline's [augment], [teacher] and [student], too, on all data sets")
    parser.add_argument("--teacher", help="this directory, instead of fine-tuning one for each seed; a {seed} in it is the seed's")
    parser.add_argument("--beside", choices=list(WAYS), action="append", metavar="TOOLKIT",
                        help=f"only this of {', '.join(WAYS)}; may be repeated [all]")
    parser.add_argument("--rows", type=int, help="use at most this many training rows, drawn once")
    parser.add_argument("--exact", action="store_true",
                        help="no dropout, and distill's order of rows in all: are the trained students the same?")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a shared setting, e.g. epochs=1")
    parser.add_argument("--work", type=Path, default=ROOT / "target/toolkits", help="where runs are kept [target/toolkits]")
    parser.add_argument("--again", action="store_true", help="do finished runs again; teachers stay")
    parser.add_argument("--json", type=Path, help="write every run here")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/benchmarks.md")
    return parser.parse_args()


def paired(own, other):
    """Lead of `own` over `other` in points, with two 95% intervals: of the test rows, and of the seeds.

    The first resamples the rows with the seeds averaged, the second is Student's t of the seeds' differences.
    """
    differences = 100 * (numpy.array(own, dtype=float) - numpy.array(other, dtype=float))  # [seeds, rows]
    mean, by_row, by_seed = differences.mean(), differences.mean(0), differences.mean(1)
    draws = numpy.random.default_rng(0)
    resampled = [by_row[draws.integers(len(by_row), size=len(by_row))].mean() for _ in range(RESAMPLES)]
    rows = numpy.quantile(resampled, [0.025, 0.975])
    half = numpy.inf
    if len(by_seed) > 1:
        half = stats.t.ppf(0.975, len(by_seed) - 1) * by_seed.std(ddof=1) / len(by_seed) ** 0.5
    return mean, rows, (mean - half, mean + half)


def lead(own, other):
    mean, rows, seeds = paired(own, other)
    over_seeds = f"; seeds {seeds[0]:+.2f} to {seeds[1]:+.2f}" if numpy.isfinite(seeds[0]) else ""
    return f"{mean:+.2f} (rows {rows[0]:+.2f} to {rows[1]:+.2f}{over_seeds})"


def table(found):
    """A data set's table: a pair of columns beside every way of distill's own."""
    ways, own = found["ways"], [way for way in found["ways"] if way.startswith("distill")]
    rights = {way: [result["right"] for result in results] for way, results in ways.items()}
    seconds = {way: [result["seconds"] for result in results] for way, results in ways.items() if way != "teacher"}
    settings, (train, validation, test) = found["settings"], found["rows"][0]
    processor = {way: [result["processor_seconds"] for result in results if "processor_seconds" in result]
                 for way, results in ways.items()}
    columns = ["way", f"accuracy, seeds {', '.join(map(str, found['seeds']))}", "mean ± sd", "seconds, median",
               "of processors, median"]
    for way in own:
        columns += [f"{way} is better by, points", f"{way} is faster by", "of processors"]
    lines = [f"**{found['name']}**: {train} training rows, {validation} for validation, {test} for the test; "
             f"epochs: {settings['epochs']}, batches of {settings['batch_size']}, peak learning rate "
             f"{settings['learning_rate']:g}, T = {settings['temperature']:g}, weights {settings['hard_weight']:g} (labels) and "
             f"{settings['soft_weight']:g} (teacher), rows of at most {settings['max_length']} tokens", "",
             f"| {' | '.join(columns)} |", "|" + " --- |" * len(columns)]
    for way, right in rights.items():
        accuracy = [float(numpy.mean(one)) for one in right]
        spread = f" ± {statistics.stdev(accuracy):.4f}" if len(accuracy) > 1 else ""
        cells = [way, " ".join(f"{value:.4f}" for value in accuracy), f"{statistics.mean(accuracy):.4f}{spread}"]
        cells.append(f"{statistics.median(seconds[way]):.1f}" if way in seconds else "")
        cells.append(f"{statistics.median(processor[way]):.1f}" if processor[way] else "")
        for ours in own:
            faster = way in seconds and ours != way
            cells.append("" if ours == way else lead(rights[ours], right))
            cells.append(f"{statistics.median(seconds[way]) / statistics.median(seconds[ours]):.2f}×" if faster else "")
            fewer = faster and processor[way] and processor[ours]
            cells.append(f"{statistics.median(processor[way]) / statistics.median(processor[ours]):.2f}×" if fewer else "")
        lines.append(f"| {' | '.join(cells)} |")
    if found["trained_apart"]:
        apart = ", ".join(f"{way} {value:.1e}" for way, value in sorted(found["trained_apart"].items()))
        lines += ["", f"Trained without dropout, with the rows in the same order; largest difference of a test row's logit from "
                  f"distill's: {apart}."]
    imports = [result["seconds_of_process"] - result["seconds"] for way, results in ways.items()
               if way in seconds and not way.startswith("distill") for result in results]
    lines += ["", f"Largest difference of a logit of the initial students between distill and transformers: "
              f"{found['apart']:.1e}. Python's imports, not counted: {statistics.median(imports):.1f} s a run (median)."]
    return "\n".join(lines) + "\n"


def main():
    arguments = parse_arguments()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    torch.set_num_threads(arguments.threads)
    version = importlib.metadata.version
    head = (f"{processor()}, {arguments.threads} threads, f32. TextBrewer {version('textbrewer')}, torchdistill "
            f"{version('torchdistill')}; PyTorch {torch.__version__.split('+')[0]}, transformers {version('transformers')}.\n")
    results, texts = [], [head]
    for pipeline in arguments.pipelines:
        results.append(Bench(pipeline, arguments).measure())
        texts.append(table(results[-1]))
        if arguments.json:
            arguments.json.write_text(json.dumps({"machine": head, "results": results}) + "\n")
    text = "\n".join(texts)
    print(text)
    if arguments.write:
        write_between("scripts/bench-toolkits", text)


main()
