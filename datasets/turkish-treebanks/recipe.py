"""Turkish sentences with a part of speech per word, of two domains with one tag set."""

import pathlib

from fetch import Recipe, TaggedRow, Wheel, read_columns, split, write_tagged

DOMAINS = ("wiki", "web")


def sentences(member: pathlib.Path) -> list[TaggedRow]:
    # Columns as in CoNLL-U: the second is the word, the fourth its universal part of speech.
    return [
        TaggedRow(f"{member.stem}-{number:05}", [word[1] for word in words], [word[3] for word in words], member.stem)
        for number, words in enumerate(read_columns(member, "\t"))
    ]


def build(members: list[pathlib.Path], into: pathlib.Path) -> None:
    parts = [split(sentences(member), seed=0) for member in members]
    write_tagged(into / "train.jsonl", (row for train, _ in parts for row in train))
    write_tagged(into / "test.jsonl", (row for _, test in parts for row in test))


RECIPE = Recipe(
    wheels=(
        Wheel(
            "turkish-treebanks",
            "1.0.0",
            "5a009c29a8e96e8f7e25059d59ac293c3baead6d746bf0fa4c9d3349b1e37ba0",
            tuple(f"data/{domain}.conllu" for domain in DOMAINS),
        ),
    ),
    build=build,
    files={
        "train.jsonl": "5860e9891dce65852d2e7dbddd4608a99f7702bd6e8b41b6f00831208d60e908",
        "test.jsonl": "556d1d41cebde04ac7fd76fdef58e0fbaa411bdf35212c0edd452781777923bc",
    },
)
