#!/usr/bin/env python3
"""Make crates/distill-data/testdata/words.json: ids and word_ids that transformers gives for rows of words.

    scripts/goldens/setup-venv && .venv/bin/python scripts/goldens/words.py

Each case is one of the tiny tokenizers of `tokens.py` with other files next to it, called with
`is_split_into_words=True`. The Rust tests compare their ids, and the first sub-word of each word. Running it again
changes no file. It needs transformers alone.
"""

import json
import os
import tempfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
import transformers  # noqa: E402
from tokenizer_settings import BERT, OUT, ROBERTA, lay  # noqa: E402
from transformers import AutoTokenizer  # noqa: E402

ROWS = [
    ["what", "is", "the", "CAPITAL", "of", "France", "?"],
    ["How", "far", "from", "Denver", "to", "Aspen", "(", "U.S.", ")", ",", "3.14", "$5"],
    # Nothing, white space, control characters, marks that some normalizers take away.
    ["what", "", "is", " ", "the", "\u200b", "far", "\x00", "\u00ad", "\ufeff", "\u0301", "it"],
    [""],
    ["\u0001", "\t"],
    # White space inside a word and around it.
    ["New York", " what", "is ", "a\tb", "c\u00a0d", "\u3000far"],
    ["emoji", "😀", "👩‍👩‍👧‍👦", "🇫🇷", "☕️", "what😀is"],
    ["巴黎", "是", "法国的首都", "中文mixed", "日本語", "カタカナ", "한국어", "ไทย"],
    ["e\u0301", "\u00e9", "a\u030a", "\u1e69", "naïve", "ﬁ", "½", "ＦＵＬＬ", "İstanbul", "Straße"],
    ["x" * 100, "y" * 101, "what" * 30, "what", "!" * 40],
    ["[CLS]", "[SEP]", "[MASK]", "<s>", "</s>", "<mask>", "[UNK]", "<unk>", "a[MASK]b", " <mask>"],
    ["don't", "it's", "'t", "``", "''", "x-y", "@user", "#hash", "http://x.y/z?a=b", "▁what", "Ġis", "##is"],
    ["what", "is", "the"] * 30,
]
LEVEL = {"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}}
BACKEND = {"tokenizer_class": "PreTrainedTokenizerFast"}


def cases():
    """(tokenizer, tokenizer_config.json, model_type, for a fresh head, what transformers is told)"""
    def case(base, config, model_type, fresh=False, change=None, **told):
        files = {"config.json": {"model_type": model_type}, "tokenizer_config.json": config}
        return {"tokenizer": base, "files": files, "change": {}, "without": [], "fresh": fresh,
                "made_with": change or {}, "told": told}

    for config in [{}, {"do_lower_case": False}, {"strip_accents": False, "tokenize_chinese_chars": False}]:
        yield case("tiny-bert", config, "bert")
    yield case("tiny-bert", {}, "bert", fresh=True)
    yield case("tiny-untyped", BERT, "mpnet")
    yield case("tiny-untyped", BACKEND, "modernbert")
    # RoBERTa's class is told to put a space in front of every word; ours does by itself.
    for fresh in [False, True]:
        yield case("tiny-byte-level", ROBERTA, "roberta", fresh=fresh, add_prefix_space=True)
        yield case("tiny-byte-level", ROBERTA | {"add_prefix_space": True}, "roberta", fresh=fresh)
    # Another class does what its file says, and a fresh head gets the file that says so.
    yield case("tiny-byte-level", BACKEND, "modernbert")
    yield case("tiny-byte-level", BACKEND, "modernbert", fresh=True, change=LEVEL)
    for model_type in ["xlm-roberta", "camembert", "albert", "deberta-v2"]:
        yield case("tiny-unigram", ROBERTA, model_type)
        yield case("tiny-unigram", ROBERTA | {"add_prefix_space": False}, model_type)
    yield case("tiny-unigram", ROBERTA | {"do_lower_case": True, "split_by_punct": True}, "deberta-v2", fresh=True)
    yield case("tiny-unigram", BACKEND, "xlm-roberta")


def rows(tokenizer):
    made = []
    for words in ROWS:
        out = tokenizer([words], is_split_into_words=True)
        # The number of the word that each token is of; -1 of special ones.
        numbers = [-1 if number is None else number for number in out.word_ids(0)]
        made.append([out["input_ids"][0], numbers])
    return made


def main():
    made = []
    for case in cases():
        with tempfile.TemporaryDirectory() as directory:
            lay(case | {"change": case["made_with"]}, Path(directory))
            found = rows(AutoTokenizer.from_pretrained(directory, **case["told"]))
        kept = {key: case[key] for key in ["tokenizer", "files", "fresh"]}
        made.append(kept | {"rows": found})
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in made)
    head = json.dumps({"transformers": transformers.__version__, "rows": ROWS})[:-1]
    (OUT / "words.json").write_text(f"{head}, \"cases\": [\n{lines}\n]}}\n", encoding="utf-8")
    print(len(made), "cases,", (OUT / "words.json").stat().st_size, "bytes")


if __name__ == "__main__":
    main()
