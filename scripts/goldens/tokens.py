#!/usr/bin/env python3
"""Make crates/distill-data/testdata: four tiny tokenizers and the ids that transformers gives for tricky texts.

    scripts/goldens/setup-venv && .venv/bin/python scripts/goldens/tokens.py

The Rust tests compare their ids with these. Running it again changes no file.
"""

import json
import tempfile
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, BertTokenizerFast

OUT = Path(__file__).resolve().parents[2] / "crates/distill-data/testdata"

TEXTS = [
    "",
    "   \t\n ",
    "What is the capital of France?",
    "HOW MANY Café's naïve coöperation costs, in Zürich?",
    "How far is it from Denver to Aspen ?",
    "[CLS] an attack [SEP] by [MASK] [UNK] [PAD]",
    "[SEP][SEP]what[MASK]is",
    "巴黎是法国的首都。中文 mixed with English文字",
    "日本語のテキスト、カタカナとひらがな",
    "مرحبا بالعالم، كيف الحال؟",
    "שלום עולם! ‏how‎ is it",
    "emoji 😀 👩‍👩‍👧‍👦 🇫🇷 ☕️ what",
    "e\u0301 vs \u00e9, a\u030a vs \u00e5, \u1e69 \u0073\u0323\u0307",
    "ＦＵＬＬ　ｗｉｄｔｈ ﬁ ligature ½ ² ™",
    "zero\u200bwidth\u00a0nbsp\u2028line\ufeffbom\u00adsoft",
    "control\x00\x01\x7f chars\r\nand\ttabs",
    "replacement \ufffd char",
    "x" * 100 + " " + "y" * 101 + " what",
    "İstanbul Straße ΣΊΣΥΦΟΣ ǅ",
    "don't  stop... #hash @user http://x.y/z?a=b&c=d 3.14 $5 1,000",
    "\U00020000\U0002a6d6\u3400 rare ideographs",
    "ไทย ภาษา हिन्दी देवनागरी 한국어 텍스트",
    "what is the " * 40,
    "!" * 90,
]
PAIRS = [
    ("what is the capital", "of France"),
    ("", ""),
    ("", "what is it"),
    ("what is it", ""),
    ("what is the capital of France " * 5, "how far"),
    ("how far", "what is the capital of France " * 5),
    ("what is the capital of France " * 5, "how far is it from Denver to Aspen " * 5),
    ("how far is it from Denver to Aspen " * 5, "what is the capital of France " * 5),
    ("中文 text [SEP]", "😀 second"),
]
WORDS = """what is the capital of france how many far it from to an attack by who was in and a i s t don
stop text with english emoji second cafe naive costs hash user rare line char chars mixed tab ##s ##pen den
##ver as ##a ##b ##e ##i ##n ##r ##t ##o ##l ##h ##w ##x width zero##""".split()
CJK = list("巴黎是法国的首都中文字日本語")


def vocabulary():
    tokens = ["[PAD]"] + [f"[unused{i}]" for i in range(3)] + ["[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = [chr(c) for c in range(33, 127) if not chr(c).isupper()]
    others = list("éåßσςλμרושםלحبا。、，؟é") + ["Café", "France", "Denver", "What", "É", "é"]
    for token in letters + ["##" + c for c in "abcdefghijklmnopqrstuvwxyz0123456789"] + WORDS + CJK + others:
        if token not in tokens:
            tokens.append(token)
    return tokens


def byte_level(directory):
    """A RoBERTa-like tokenizer: byte-level BPE with a few merges, <s> </s>, and a <mask> that eats spaces."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {token: i for i, token in enumerate(["<s>", "<pad>", "</s>", "<unk>", *alphabet])}
    merges = []
    for word in ["what", "Ġwhat", "Ġis", "Ġthe", "Ġfar", "ital", "'t"]:
        for end in range(2, len(word) + 1):
            if word[:end] not in vocab:
                vocab[word[:end]] = len(vocab)
                merges.append((word[: end - 1], word[end - 1]))
    tokenizer = Tokenizer(models.BPE(vocab, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>", AddedToken("<mask>", lstrip=True)])
    tokenizer.enable_truncation(7)
    tokenizer.enable_padding(length=9)
    directory.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(directory / "tokenizer.json"), pretty=False)
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "<pad>"}
    (directory / "tokenizer_config.json").write_text(json.dumps(config) + "\n")


def unigram(directory):
    """An XLM-RoBERTa-like tokenizer: SentencePiece's Unigram with `▁` for spaces, NFKC, <s> </s> </s> </s> around a pair."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(vocab_size=180, special_tokens=special, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(TEXTS[2:11] + WORDS * 3, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    directory.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(directory / "tokenizer.json"), pretty=False)
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "<pad>"}
    (directory / "tokenizer_config.json").write_text(json.dumps(config) + "\n")


def untyped(directory):
    """MPNet's: WordPiece with <s> </s>, a template with type ids that `model_input_names` leaves out."""
    special = ["<s>", "<pad>", "</s>", "<unk>", "[UNK]", "<mask>"]
    vocab = {token: i for i, token in enumerate(special + [t for t in vocabulary() if t not in special and t[0] != "["])}
    tokenizer = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B:1 </s>:1", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.add_special_tokens([*special[:4], AddedToken("<mask>", lstrip=True)])
    directory.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(directory / "tokenizer.json"), pretty=False)
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "<pad>",
              "model_input_names": ["input_ids", "attention_mask"]}
    (directory / "tokenizer_config.json").write_text(json.dumps(config) + "\n")


def rows(tokenizer, max_length):
    made = []
    for text, pair in [(text, None) for text in TEXTS] + PAIRS:
        # As a batch of one: for a single row, transformers takes an empty pair for no pair.
        out = tokenizer([text], None if pair is None else [pair], truncation="longest_first",
                        max_length=max_length, padding=False)
        # A model that is given no type ids takes 0 for all.
        types = out.get("token_type_ids", [[0] * len(out["input_ids"][0])])
        made.append({"text": text, "pair": pair, "input_ids": out["input_ids"][0], "token_type_ids": types[0]})
    return made


def main():
    vocab = OUT / "tiny-bert" / "vocab.txt"
    vocab.parent.mkdir(parents=True, exist_ok=True)
    vocab.write_text("".join(f"{token}\n" for token in vocabulary()), encoding="utf-8")
    byte_level(OUT / "tiny-byte-level")
    cases = []
    for config in [
        {},
        {"do_lower_case": False},
        {"do_lower_case": False, "strip_accents": True, "tokenize_chinese_chars": False},
        {"do_lower_case": True, "strip_accents": False},
        {"do_lower_case": True, "truncation_side": "left"},
    ]:
        config = {"tokenizer_class": "BertTokenizer"} | config
        with tempfile.TemporaryDirectory() as directory:
            (Path(directory) / "vocab.txt").write_bytes(vocab.read_bytes())
            (Path(directory) / "tokenizer_config.json").write_text(json.dumps(config))
            tokenizer = BertTokenizerFast.from_pretrained(directory)
            for max_length in [3, 8, 13, 512]:
                cases.append({"tokenizer": "tiny-bert", "config": config, "max_length": max_length,
                              "rows": rows(tokenizer, max_length)})
    unigram(OUT / "tiny-unigram")
    untyped(OUT / "tiny-untyped")
    for name in ["tiny-byte-level", "tiny-unigram", "tiny-untyped"]:
        tokenizer = AutoTokenizer.from_pretrained(OUT / name)
        for max_length in [4, 9, 24]:
            cases.append({"tokenizer": name, "config": None, "max_length": max_length,
                          "rows": rows(tokenizer, max_length)})
    lines = ",\n".join(json.dumps(case, ensure_ascii=True, separators=(",", ":")) for case in cases)
    (OUT / "tokens.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
