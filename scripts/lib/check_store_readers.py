"""Opens a soft-target store in pyarrow, pandas, polars, DuckDB and datasets, and compares every column of every row.

examples:
  scripts/check-store-readers runs/trec/targets
  scripts/check-store-readers runs/trec/targets runs/half-precision

Also compared: the number of rows with the manifest's, each footer's fingerprint with the manifest's, and, where the
store has its texts, each text_hash with the blake3 of the text. Exit status 1: something differs.
"""

import argparse
import importlib.metadata
import json
import pathlib
import sys

import blake3
import datasets
import duckdb
import numpy as np
import pandas
import polars
import pyarrow.parquet as pq

COLUMNS = ["row", "id", "text_hash", "text", "text_pair", "label"]


class Mismatch(Exception):
    """What differs, in words."""


def plain(column: str, value):
    """One spelling for what readers give as bytes or bytearray, float or integer, NaN or None."""
    if value is None or value is pandas.NA or (isinstance(value, float) and np.isnan(value)):
        return None
    if column == "text_hash":
        return bytes(value)
    return int(value) if column in ("row", "label") else str(value)


def from_records(names: list[str], columns: dict) -> tuple[dict, np.ndarray]:
    """Columns as plain lists, and the logits as float32 [rows, labels]: exact for float16 too."""
    lists = {name: [plain(name, value) for value in columns[name]] for name in names}
    return lists, np.stack([np.asarray(logits, dtype=np.float32) for logits in columns["logits"]])


def with_pyarrow(files, names):
    table = pq.ParquetDataset(files).read()
    return {name: table[name].to_pylist() for name in [*names, "logits"]}


def with_pandas(files, names):
    return pandas.read_parquet(files)[[*names, "logits"]].to_dict("list")


def with_polars(files, names):
    return polars.read_parquet(files).select([*names, "logits"]).to_dict(as_series=False)


def with_duckdb(files, names):
    chosen = ", ".join([*names, "logits"])
    relation = duckdb.sql(f"SELECT {chosen} FROM read_parquet({files!r}) ORDER BY row")
    return dict(zip([*names, "logits"], zip(*relation.fetchall())))


def with_datasets(files, names):
    loaded = datasets.load_dataset("parquet", data_files=files, split="train")
    return {name: loaded[name][:] for name in [*names, "logits"]}


READERS = {
    "pyarrow": with_pyarrow,
    "pandas": with_pandas,
    "polars": with_polars,
    "duckdb": with_duckdb,
    "datasets": with_datasets,
}


def check_footers(files: list[str], manifest: dict) -> None:
    for file in files:
        found = json.loads(pq.read_metadata(file).metadata[b"distill.fingerprint"])
        if found != manifest["fingerprint"]:
            raise Mismatch(f"{file}: its fingerprint is not the manifest's")


def check_hashes(lists: dict) -> None:
    pairs = lists.get("text_pair", [None] * len(lists["text"]))
    for row_id, text, pair, found in zip(lists["id"], lists["text"], pairs, lists["text_hash"]):
        whole = text.encode() if pair is None else text.encode() + b"\0" + pair.encode()
        if blake3.blake3(whole).digest()[:16] != found:
            raise Mismatch(f"row {row_id}: text_hash is not the hash of the text")


def compare(reader: str, found: tuple, expected: tuple) -> None:
    (lists, logits), (others, reference) = found, expected
    for name, values in lists.items():
        if values != others[name]:
            row = next((row for row, pair in enumerate(zip(values, others[name])) if pair[0] != pair[1]), len(values))
            raise Mismatch(f"{reader}: column {name} differs from pyarrow's at row {row}")
    if logits.shape != reference.shape or logits.tobytes() != reference.tobytes():
        raise Mismatch(f"{reader}: logits differ from pyarrow's")


def check(store: pathlib.Path) -> None:
    manifest = json.loads((store / "manifest.json").read_text(encoding="utf-8"))
    files = [str(store / shard["name"]) for shard in manifest["shards"]]
    if not files:
        raise Mismatch(f"{store}: an empty shard has no files to open")
    check_footers(files, manifest)
    schema = pq.read_schema(files[0])
    names = [name for name in COLUMNS if name in schema.names]
    expected = None
    for reader, read in READERS.items():
        found = from_records(names, read(files, names))
        rows, labels = found[1].shape
        if (rows, labels) != (manifest["rows"], len(manifest["fingerprint"]["label_map"])):
            raise Mismatch(f"{reader}: {rows} rows of {labels} logits, the manifest says {manifest['rows']} rows")
        compare(reader, found, expected or found)
        expected = expected or found
        print(f"{reader} {importlib.metadata.version(reader)}: {rows} rows, {labels} logits a row, {', '.join(names)}")
    if "text" in names:
        check_hashes(expected[0])
        print("text_hash: that of every text")
    print(f"{store}: {len(files)} Parquet, {schema.field('logits').type}, the same in all {len(READERS)} readers")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/check-store-readers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stores", type=pathlib.Path, nargs="+", metavar="DIR", help="a soft-target store")
    datasets.disable_progress_bars()
    try:
        for store in parser.parse_args().stores:
            check(store)
    except (Mismatch, OSError, ValueError, KeyError) as error:
        print(f"check-store-readers: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
