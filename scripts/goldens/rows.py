#!/usr/bin/env python3
"""Rows as other programs write them: one Parquet column of every type, and what each value is as a text, an id, a
class and a number. `null` in the expectation: the column cannot have that role.

    pip install pyarrow==26.0.1
    scripts/goldens/rows.py            # writes tests/golden/rows
"""

import datetime as dt
import decimal
import json
import pathlib
import uuid

import pyarrow as pa
import pyarrow.parquet as pq

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden" / "rows"
UTC = dt.timezone.utc


def texts(values):
    """What is a text: the same as an id and as a class, and no number."""
    return {"text": values, "id": values, "class": values, "number": None}


def whole(values):
    """Whole numbers: ids, classes by id, and numbers; no texts."""
    return {
        "text": None,
        "id": [str(value) for value in values],
        "class": list(values) if max(values) < 2**63 else None,
        "number": [float(value) for value in values],
    }


def numbers(values, classes=None):
    return {"text": None, "id": None, "class": classes, "number": values}


def moments(values, form):
    return texts([form(value) for value in values])


def decimals(precision, scale):
    """Three decimals, two of them with all digits."""
    digits = "923456789012345678901234567890123456789"[:precision]
    found = [decimal.Decimal(int(sign + digits)).scaleb(-scale, decimal.Context(prec=60)) for sign in ("", "-")]
    found.append(decimal.Decimal(0).scaleb(-scale))
    return found


def columns():
    yield "string", pa.array(["a", "é", "c"]), texts(["a", "é", "c"])
    yield "large_string", pa.array(["a", "é", "c"], pa.large_string()), texts(["a", "é", "c"])
    yield "dictionary", pa.array(["a", "b", "a"]).dictionary_encode(), texts(["a", "b", "a"])
    yield "binary", pa.array([b"a", b"b", b"c"]), texts(["a", "b", "c"])
    for bits in (8, 16, 32, 64):
        most = 2**bits - 1
        yield f"uint{bits}", pa.array([0, 1, most], getattr(pa, f"uint{bits}")()), whole([0, 1, most])
        least = -(2 ** (bits - 1))
        yield f"int{bits}", pa.array([0, 1, least], getattr(pa, f"int{bits}")()), whole([0, 1, least])
    yield "float16", pa.array([0.5, 2.0, -1.0], pa.float16()), numbers([0.5, 2.0, -1.0])
    yield "float32", pa.array([0.5, 2.0, -1.0], pa.float32()), numbers([0.5, 2.0, -1.0])
    yield "float64", pa.array([0.1, 2.0, -1.0]), numbers([0.1, 2.0, -1.0])
    yield "whole_float64", pa.array([0.0, 2.0, -1.0]), numbers([0.0, 2.0, -1.0], [0, 2, -1])
    yield "bool", pa.array([True, False, True]), {"text": None, "id": None, "class": [1, 0, 1], "number": None}
    days = [dt.date(2024, 1, 31), dt.date(1969, 12, 31), dt.date(1, 1, 1)]
    yield "date32", pa.array(days), moments(days, dt.date.isoformat)
    yield "date64", pa.array(days, pa.date64()), moments(days, dt.date.isoformat)
    clock = [dt.time(9, 30), dt.time(23, 59, 59, 123000), dt.time(0)]
    for unit, kind in (("ms", pa.time32("ms")), ("us", pa.time64("us")), ("ns", pa.time64("ns"))):
        places = {"ms": 3, "us": 6, "ns": 9}[unit]
        form = lambda t: t.isoformat("seconds") + (f".{t.microsecond * 1000:09d}"[: places + 1] if t.microsecond else "")
        yield f"time_{unit}", pa.array(clock, kind), moments(clock, form)
        points = [dt.datetime(2024, 1, 31, 9, 30), dt.datetime(1969, 12, 31, 23, 59, 59, 123000), dt.datetime(2000, 2, 29)]
        yield f"timestamp_{unit}", pa.array(points, pa.timestamp(unit)), moments(
            points, lambda p: p.date().isoformat() + "T" + form(p.time())
        )
        yield f"timestamp_{unit}_utc", pa.array(points, pa.timestamp(unit, "UTC")), moments(
            points, lambda p: p.date().isoformat() + "T" + form(p.time()) + "Z"
        )
    ids = [uuid.UUID(int=value) for value in (0, 2**128 - 1, 0x1234)]
    yield "uuid", pa.array([value.bytes for value in ids], pa.uuid()), texts([str(value) for value in ids])
    # A class that looks like a list is refused.
    documents = texts(['{"a": 1}', "[]", '"x"'])
    yield "json", pa.array(['{"a": 1}', "[]", '"x"'], pa.json_()), {**documents, "class": None}


def decimal_columns():
    for precision in (1, 2, 3, 4, 5, 9, 10, 18, 19, 20, 38):
        for scale in sorted({0, precision // 2, precision}):
            values = decimals(precision, scale)
            expected = numbers([float(value) for value in values])
            if scale == 0:
                expected["id"] = [str(int(value)) for value in values]
                if all(-(2**63) <= int(value) < 2**63 for value in values):
                    expected["class"] = [int(value) for value in values]
            yield f"decimal_{precision}_{scale}", pa.array(values, pa.decimal128(precision, scale)), expected


def write(name, found, **options):
    found = [("a_text", pa.array(["a", "b", "c"]), texts(["a", "b", "c"])), *found]
    table = pa.table({column: values for column, values, _ in found})
    # Every value twice: dictionaries have something to save.
    pq.write_table(pa.concat_tables([table] * 2), OUT / f"{name}.parquet", **options)
    expected = {
        column: {role: None if values is None else values * 2 for role, values in roles.items()}
        for column, _, roles in found
    }
    (OUT / f"{name}.json").write_text(json.dumps(expected, indent=1, ensure_ascii=False) + "\n")


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    write("types", columns())
    write("decimals", decimal_columns())
    write("decimals-as-integers", decimal_columns(), store_decimal_as_integer=True, use_dictionary=False)
    points = [dt.datetime(2024, 1, 31, 9, 30), dt.datetime(2000, 2, 29), dt.datetime(1969, 12, 31, 23, 59, 59)]
    write("int96", [("int96", pa.array(points, pa.timestamp("ns")), moments(points, lambda p: p.isoformat()))],
          use_deprecated_int96_timestamps=True)
    pq.write_table(pa.table({"text": ["a", "b"]}), OUT / "brotli.parquet", compression="brotli")
    class_labels()


def class_labels():
    """The same rows as `datasets` writes them: a ClassLabel column whose names are in the order of bert-tiny's labels,
    in the reverse order, and other names."""
    labels = ["alpha", "beta", "gamma", "delta", "epsilon"]
    rows = [labels[row % 5] for row in range(20)]
    texts = [f"{'what where city'.split()[row % 3]} is {'the river'.split()[row % 2]}" for row in range(20)]
    for name, order in (("same", labels), ("reversed", labels[::-1]), ("other", [name.upper() for name in labels])):
        ids = [labels.index(label) if name == "other" else order.index(label) for label in rows]
        features = {"text": {"dtype": "string", "_type": "Value"}, "label": {"names": order, "_type": "ClassLabel"}}
        table = pa.table({"text": texts, "label": pa.array(ids, pa.int64())})
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
        pq.write_table(table, OUT / f"class-labels-{name}.parquet")


if __name__ == "__main__":
    main()
