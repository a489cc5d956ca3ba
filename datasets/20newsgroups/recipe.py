"""20 Newsgroups: posts by the group they were sent to, in the official split."""

from fetch import orange_corpus

RECIPE = orange_corpus(
    "20newsgroups",
    prefix="20ng",
    files={
        "train.jsonl": "889de97a56c82df995aa8636fc874d7a1896a38a1ac5995781d4e92ab8e435f6",
        "test.jsonl": "b048ab3b0e0188f429dad7541960932bf9520557014e191fedb4d4b13c4b79ee",
    },
)
