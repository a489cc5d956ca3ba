#!/usr/bin/env python3
"""Writes the golden figures that distill-task's entities are tested against, computed by seqeval.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install seqeval==1.2.2
    /tmp/venv/bin/python scripts/goldens/entities.py

`entities`: every sequence of up to four tags of two types (three for IOBES and BILOU), whether or not it follows its
scheme, with the entities of seqeval's default and strict mode. `figures`: tables of random rows, with every figure of
both modes; a figure that is NaN is null. seqeval's default mode does not know BILOU's L and U: it gets E and S.
"""

import itertools
import json
import math
import random
import warnings
from pathlib import Path

from seqeval import scheme
from seqeval.metrics import accuracy_score
from seqeval.metrics.sequence_labeling import get_entities, precision_recall_fscore_support
from seqeval.metrics.v1 import precision_recall_fscore_support as strict_support

GOLDEN = Path(__file__).resolve().parents[2] / "crates/distill-task/tests/golden/entities.json"
SCHEMES = {
    "bio": (scheme.IOB2, "BI"),
    "iob1": (scheme.IOB1, "BI"),
    "iobes": (scheme.IOBES, "BIES"),
    "bilou": (scheme.BILOU, "BILU"),
}


def tags_of(name, types):
    letters = SCHEMES[name][1]
    return ["O"] + [f"{letter}-{kind}" if kind else letter for kind in types for letter in letters]


def known_letters(tags):
    """What the default mode knows: E for L, S for U."""
    return [{"L": "E", "U": "S"}.get(tag[0], tag[0]) + tag[1:] for tag in tags]


def shown(entities):
    return " ".join(f"{start}-{end}-{kind}" for kind, start, end in entities)


def every_sequence(name, length):
    tags = tags_of(name, ["X", "Y"])
    for words in range(1, length + 1):
        for sequence in itertools.product(tags, repeat=words):
            found = get_entities(known_letters(sequence))
            strict = scheme.Tokens(list(sequence), SCHEMES[name][0]).entities
            yield [
                " ".join(sequence),
                shown((kind, start, end + 1) for kind, start, end in found),
                shown((entity.tag, entity.start, entity.end) for entity in strict),
            ]


def shares(result):
    return [None if math.isnan(value) else float(value) for value in result[:3]]


def figures(gold, predicted, name, strict):
    if strict:
        types = sorted(
            scheme.Entities(gold, SCHEMES[name][0]).unique_tags | scheme.Entities(predicted, SCHEMES[name][0]).unique_tags
        )

        def support(average):
            return strict_support(gold, predicted, average=average, scheme=SCHEMES[name][0])
    else:
        gold, predicted = ([known_letters(row) for row in rows] for rows in (gold, predicted))
        types = sorted({entity[0] for rows in (gold, predicted) for entity in get_entities(rows)})

        def support(average):
            return precision_recall_fscore_support(gold, predicted, average=average)

    out = {average: shares(support(average)) for average in ("micro", "macro", "weighted")}
    precision, recall, f1, gold_entities = support(None)
    out["types"] = {
        kind: [float(p), float(r), float(f), int(n)]
        for kind, p, r, f, n in zip(types, precision, recall, f1, gold_entities, strict=True)
    }
    return out


def table(label, name, gold, predicted):
    return {
        "name": label,
        "scheme": name,
        "gold": [" ".join(row) for row in gold],
        "predicted": [" ".join(row) for row in predicted],
        "token_accuracy": accuracy_score(gold, predicted),
        "default": figures(gold, predicted, name, strict=False),
        "strict": figures(gold, predicted, name, strict=True),
    }


def well_formed(rng, name, types, words):
    """A row that follows its scheme."""
    _, letters = SCHEMES[name]
    row, last = [], None
    while len(row) < words:
        length = min(rng.choice([0, 1, 1, 2, 3]), words - len(row))
        if length == 0:
            row.append("O")
            last = None
            continue
        kind = rng.choice(types)
        tag = (lambda letter: f"{letter}-{kind}" if kind else letter)
        if name == "bio":
            entity = ["B"] + ["I"] * (length - 1)
        elif name == "iob1":
            entity = ["B" if last == kind else "I"] + ["I"] * (length - 1)
        else:
            entity = [letters[3]] if length == 1 else ["B"] + ["I"] * (length - 2) + [letters[2]]
        row += [tag(letter) for letter in entity]
        last = kind
    return row


def noisy(rng, row, tags, share):
    return [rng.choice(tags) if rng.random() < share else tag for tag in row]


def tables():
    rng = random.Random(7)
    for name in SCHEMES:
        types = ["PER", "LOC", "time-of-day"]
        tags = tags_of(name, types)
        for share in (0.0, 0.1, 0.3, 1.0):
            gold = [well_formed(rng, name, types, rng.randint(1, 14)) for _ in range(12)]
            yield table(f"{share} noise", name, gold, [noisy(rng, row, tags, share) for row in gold])
        gold = [[rng.choice(tags) for _ in range(rng.randint(1, 8))] for _ in range(12)]
        yield table("nothing follows the scheme", name, gold, [noisy(rng, row, tags, 0.4) for row in gold])
        gold = [well_formed(rng, name, [""], rng.randint(1, 9)) for _ in range(6)]
        yield table("tags without a type", name, gold, [noisy(rng, row, tags_of(name, [""]), 0.3) for row in gold])
        gold = [well_formed(rng, name, ["PER"], 6) for _ in range(4)]
        yield table("found nothing", name, gold, [["O"] * 6 for _ in gold])
        yield table("nothing to find", name, [["O"] * 6 for _ in gold], gold)
        yield table("nothing at all", name, [["O"] * 3], [["O"] * 3])
        other = [well_formed(rng, name, ["LOC"], 6) for _ in range(4)]
        yield table("another type", name, gold, other)


def main():
    warnings.simplefilter("ignore")
    lengths = {"bio": 4, "iob1": 4, "iobes": 3, "bilou": 3}
    golden = {
        "seqeval": "1.2.2",
        "entities": {name: list(every_sequence(name, length)) for name, length in lengths.items()},
        "figures": list(tables()),
    }
    GOLDEN.parent.mkdir(parents=True, exist_ok=True)
    lines = [f'"seqeval": "{golden["seqeval"]}"']
    for name, rows in golden["entities"].items():
        lines.append(f'"{name}": [\n' + ",\n".join(json.dumps(row) for row in rows) + "\n]")
    lines.append('"figures": [\n' + ",\n".join(json.dumps(case) for case in golden["figures"]) + "\n]")
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
