#!/usr/bin/env python3
"""Make crates/distill-data/testdata/trained: tokenizers that `distill tokenizer train` trained, and transformers' ids.

    scripts/goldens/setup-venv && cargo build -p distill-cli
    .venv/bin/python scripts/goldens/trained_tokenizers.py [path of the distill binary]

The Rust tests train on corpus.txt again and compare the files, and compare the ids of the texts. Running it again changes no
file. It fails where transformers writes another vocabulary or other special tokens than those that were trained.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from transformers import AutoTokenizer

from tokens import PAIRS, TEXTS

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "crates/distill-data/testdata/trained"
FILES = ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"]
KINDS = {"wordpiece": ["--size", "310"], "unigram": ["--size", "300"], "bpe": ["--size", "500"]}
SPECIAL = {
    "wordpiece": ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"],
    "unigram": ["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
    "bpe": ["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
}


def train(binary, kind, options):
    with tempfile.TemporaryDirectory() as folder:
        command = [binary, "tokenizer", "train", "--data", OUT / "corpus.txt", "--kind", kind, "--out", folder, *options]
        subprocess.run([*command, "--quiet"], check=True, stdout=subprocess.DEVNULL)
        (OUT / kind).mkdir(exist_ok=True)
        for name in FILES:
            shutil.copyfile(Path(folder) / name, OUT / kind / name)


def golden(kind):
    tokenizer = AutoTokenizer.from_pretrained(OUT / kind)
    first = tokenizer.convert_ids_to_tokens(range(5))
    assert first == SPECIAL[kind], first
    names = {name: getattr(tokenizer, name) for name in ["unk_token", "pad_token", "cls_token", "sep_token", "mask_token"]}
    assert None not in names.values(), names
    own = json.loads((OUT / kind / "tokenizer.json").read_text())["model"]["vocab"]
    assert len(tokenizer) == len(own), (len(tokenizer), len(own))
    corpus = [line for line in (OUT / "corpus.txt").read_text().splitlines() if line]
    rows = []
    for text, pair in [(text, None) for text in corpus + TEXTS] + PAIRS:
        # As a batch, in which an empty second text is a text.
        batch = [[text]] if pair is None else [[text], [pair]]
        encoded = {key: value[0] for key, value in tokenizer(*batch, truncation="longest_first", max_length=64).items()}
        rows.append({"text": text, "pair": pair, "input_ids": encoded["input_ids"]})
        if "token_type_ids" in encoded:
            rows[-1]["token_type_ids"] = encoded["token_type_ids"]
    return rows


if __name__ == "__main__":
    binary = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "target/debug/distill").resolve()
    for kind, options in KINDS.items():
        train(binary, kind, options)
    written = {kind: golden(kind) for kind in KINDS}
    (OUT / "golden.json").write_text(json.dumps(written, ensure_ascii=False, separators=(",", ":")) + "\n")
