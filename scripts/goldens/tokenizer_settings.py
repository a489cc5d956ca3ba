#!/usr/bin/env python3
"""Make crates/distill-data/testdata/settings.json: what transformers' AutoTokenizer makes of a directory's settings.

    scripts/goldens/setup-venv && .venv/bin/python scripts/goldens/tokenizer_settings.py

Each case is one of the tiny tokenizers of `tokens.py` with other files next to it. The Rust tests put the same files
into a directory and compare `input_ids` and `token_type_ids`. Running it again changes no file.
"""

import json
import os
import shutil
import tempfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
import transformers  # noqa: E402
from transformers import AutoTokenizer  # noqa: E402

OUT = Path(__file__).resolve().parents[2] / "crates/distill-data/testdata"

TEXTS = [
    "What is the CAPITAL of Café France?",
    "how <new> far [NEW]the  <mask> [MASK] is new_it",
    "  naïve 巴黎 what\tＦＵ½ ``it''",
    "[CLS] [SEP] <s> </s> [UNK] [unk] what.is,the",
    "",
    "what is the capital of france and how far is it from it to the capital",
]
PAIRS = [("what is the capital", "of france"), ("how far", "what is the capital of france how far is it from the")]
NEVER_TYPED = ("distilbert", "mpnet", "modernbert", "roberta")
TYPED = {"model_input_names": ["input_ids", "token_type_ids", "attention_mask"]}
UNTYPED = {"model_input_names": ["input_ids", "attention_mask"]}


def token(content, **flags):
    plain = {"content": content, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False}
    return plain | {"special": True} | flags


def legacy(content, **flags):
    """As special_tokens_map.json has tokens: it does not say that they are special."""
    return {key: value for key, value in token(content, **flags).items() if key != "special"}


ROBERTA = {name: value for name, value in zip(
    ["bos_token", "eos_token", "sep_token", "cls_token", "unk_token", "pad_token", "mask_token"],
    ["<s>", "</s>", "</s>", "<s>", "<unk>", "<pad>", "<mask>"])}
# The special tokens of tiny-untyped under BERT's names.
BERT = ROBERTA | {"unk_token": "[UNK]"}


def cases():
    """(tokenizer, tokenizer_config.json, other files, changes of tokenizer.json, max_length)"""
    def case(base, config=None, model_type=None, files=None, change=None, max_length=40, less=()):
        files = dict(files or {})
        if config is not None:
            files["tokenizer_config.json"] = config
        if model_type is not None:
            files["config.json"] = {"model_type": model_type} | files.get("config.json", {})
        return {"tokenizer": base, "files": files, "change": change or {}, "without": list(less),
                "max_length": max_length, "model_type": model_type}

    bert = lambda config=None, **more: case("tiny-bert", config, more.pop("model_type", "bert"), **more)  # noqa: E731
    size = len((OUT / "tiny-bert/vocab.txt").read_text(encoding="utf-8").splitlines())
    # Classes, by name and by the model's type.
    yield bert()
    for name in ["BertTokenizer", "BertTokenizerFast", "ElectraTokenizerFast", "DistilBertTokenizerFast"]:
        yield bert({"tokenizer_class": name})
    for model_type in ["electra", "distilbert", "nomic_bert"]:
        yield bert(model_type=model_type)
    # Without these it would add its own, beyond what a model has embeddings for.
    brackets = {"bos_token": "[CLS]", "eos_token": "[SEP]", "cls_token": "[CLS]", "sep_token": "[SEP]",
                "pad_token": "[PAD]", "mask_token": "[MASK]"}
    yield bert(brackets | {"tokenizer_class": "MPNetTokenizer"})
    yield bert(brackets, model_type="mpnet")
    # BERT's settings.
    for config in [
        {"do_lower_case": False},
        {"do_lower_case": False, "strip_accents": True},
        {"strip_accents": False},
        {"strip_accents": None},
        {"tokenize_chinese_chars": False},
        {"do_lower_case": False, "strip_accents": False, "tokenize_chinese_chars": False},
        UNTYPED,
        TYPED,
    ]:
        yield bert(config)
    for config in [{"truncation_side": "left"}, {"truncation_side": "right"}]:
        yield bert(config, max_length=8)
    # Added tokens from every file that may name them.
    added = {"added_tokens.json": {"<new>": size, "[NEW]": size + 1}}
    yield bert(files=added)
    yield bert({"do_lower_case": False}, files=added)
    yield bert(files=added | {"special_tokens_map.json": {"additional_special_tokens": ["<new>"]}})
    yield bert({"extra_special_tokens": ["<new>"]}, files=added)
    yield bert({"additional_special_tokens": ["[NEW]", "<new>"]})
    yield bert({"extra_special_tokens": {"first_token": "<new>"}})
    yield bert({"first_token": "[NEW]"})
    decoder = {"added_tokens_decoder": {str(size): token("<new>", lstrip=True), str(size + 1): token("[NEW]", special=False)}}
    yield bert(decoder)
    yield bert(decoder | {"cls_token": "<new>"})
    yield bert({"added_tokens_decoder": {str(size): token("[NEW]", special=False, normalized=True, single_word=True)}})
    # A decoder in the config: special_tokens_map.json is not read then.
    yield bert(decoder, files={"special_tokens_map.json": {"cls_token": "what"}})
    yield bert(files={"special_tokens_map.json": {"cls_token": "what", "mask_token": legacy("<mask>", lstrip=True)}})
    yield bert({"cls_token": "is", "sep_token": {"__type": "AddedToken"} | token("far", rstrip=True)})
    yield bert({"unk_token": "who", "mask_token": "<mask>"})
    # tokenizer.json as it is, or rebuilt by the class.
    untyped = lambda config=None, model_type="bert", **more: case("tiny-untyped", config, model_type, **more)  # noqa: E731
    for name in ["PreTrainedTokenizerFast", "TokenizersBackend", "PreTrainedTokenizer", "MyOwnTokenizerFast"]:
        yield untyped({"tokenizer_class": name})
    yield untyped({"tokenizer_class": "TokenizersBackend"} | TYPED)
    yield untyped({}, model_type="modernbert")
    yield untyped({"tokenizer_class": "PreTrainedTokenizerFast"}, model_type="modernbert")
    yield untyped({"tokenizer_class": "BertTokenizer", "do_lower_case": False} | BERT, model_type="modernbert")
    yield untyped({"tokenizer_class": "PreTrainedTokenizerFast"}, model_type=None)
    yield untyped({"tokenizer_class": "BertTokenizer"} | BERT, model_type=None)
    yield untyped(BERT)
    yield untyped(BERT | {"do_lower_case": False})
    yield untyped(BERT, model_type="mpnet")
    yield untyped({"tokenizer_class": "MPNetTokenizer"})
    yield untyped(BERT | {"tokenizer_class": "DistilBertTokenizer"}, model_type="distilbert")
    yield untyped({"tokenizer_class": "PreTrainedTokenizerFast", "do_lower_case": False, "strip_accents": True})
    yield untyped(BERT, change={"normalizer": {"type": "Lowercase"}})
    yield untyped({"tokenizer_class": "PreTrainedTokenizerFast"}, change={"normalizer": {"type": "Lowercase"}})
    cased = {"type": "BertNormalizer", "clean_text": False, "handle_chinese_chars": False, "strip_accents": True,
             "lowercase": False}
    yield untyped(BERT, change={"normalizer": cased})
    yield untyped({"tokenizer_class": "TokenizersBackend"}, change={"normalizer": cased})
    yield untyped(BERT, change={"model.max_input_chars_per_word": 3})
    yield untyped({"tokenizer_class": "TokenizersBackend"}, change={"model.max_input_chars_per_word": 3})
    cut = {"truncation": {"direction": "Left", "max_length": 5, "strategy": "LongestFirst", "stride": 0},
           "padding": {"strategy": {"Fixed": 12}, "direction": "Left", "pad_to_multiple_of": None, "pad_id": 1,
                       "pad_type_id": 0, "pad_token": "<pad>"}}
    for config in [{"tokenizer_class": "TokenizersBackend"}, BERT, BERT | {"truncation_side": "right"}]:
        yield untyped(config, change=cut, max_length=8)
    json_size = len(json.loads((OUT / "tiny-untyped/tokenizer.json").read_text())["model"]["vocab"])
    more = {"added_tokens.json": {"<new>": json_size}}
    for config in [{"tokenizer_class": "TokenizersBackend"}, BERT]:
        yield untyped(config, files=more)
        yield untyped(config | {"added_tokens_decoder": {str(json_size): token("[NEW]", lstrip=True)}})
        yield untyped(config | {"extra_special_tokens": ["<new>"]})
    # RoBERTa.
    level = lambda config=None, **more: case("tiny-byte-level", config, more.pop("model_type", "roberta"), **more)  # noqa: E731
    prefixed = {"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}}
    yield level(ROBERTA)
    for name in ["RobertaTokenizer", "RobertaTokenizerFast", "LongformerTokenizer", "PreTrainedTokenizerFast"]:
        yield level({"tokenizer_class": name})
        yield level({"tokenizer_class": name, "add_prefix_space": True})
    yield level({"tokenizer_class": "RobertaTokenizer"}, change=prefixed)
    yield level({"tokenizer_class": "PreTrainedTokenizerFast"}, change=prefixed)
    yield level({"tokenizer_class": "PreTrainedTokenizerFast", "add_prefix_space": False}, change=prefixed)
    # From vocab.json and merges.txt, which the test takes out of tokenizer.json.
    mask = {"mask_token": "<mask>"}
    for config in [mask, mask | {"add_prefix_space": True}, {"mask_token": {"__type": "AddedToken"} | token("<mask>", lstrip=True)}]:
        yield level(config, less=["tokenizer.json"])
    yield level({}, less=["tokenizer.json"],
                files={"special_tokens_map.json": {"mask_token": legacy("<mask>", lstrip=True), "cls_token": "<pad>"}})
    # SentencePiece's.
    piece = lambda config=None, **more: case("tiny-unigram", config, more.pop("model_type"), **more)  # noqa: E731
    for model_type, configs in {
        "xlm-roberta": [ROBERTA, ROBERTA | {"add_prefix_space": False}],
        "camembert": [ROBERTA, {"tokenizer_class": "CamembertTokenizerFast", "extra_special_tokens": ["<new>"]}],
        "albert": [ROBERTA, ROBERTA | {"do_lower_case": False, "keep_accents": True}, ROBERTA | {"add_prefix_space": False}],
        "deberta-v2": [ROBERTA, ROBERTA | {"do_lower_case": True, "split_by_punct": True},
                       ROBERTA | {"add_prefix_space": False, "truncation_side": "left"}],
    }.items():
        for config in configs:
            yield piece(config, model_type=model_type)
    yield piece({"tokenizer_class": "XLMRobertaTokenizer"}, model_type=None)
    yield piece({"tokenizer_class": "PreTrainedTokenizerFast"}, model_type="xlm-roberta")
    yield piece({"tokenizer_class": "XLMRobertaTokenizer"}, model_type="bert")
    # From config.json, where the tokenizer's own file names no class.
    yield piece({}, model_type="bert", files={"config.json": {"tokenizer_class": "XLMRobertaTokenizer"}})
    yield piece({}, model_type="bert")
    yield untyped({"split_special_tokens": True, "tokenizer_class": "TokenizersBackend"})


def lay(case, directory):
    """As `lay` of the Rust tests."""
    shutil.copytree(OUT / case["tokenizer"], directory, dirs_exist_ok=True)
    original = directory / "tokenizer.json"
    if case["files"].get("tokenizer_config.json") is None:
        (directory / "tokenizer_config.json").unlink(missing_ok=True)
    if original.exists():
        tokenizer = json.loads(original.read_text(encoding="utf-8"))
        for key, value in case["change"].items():
            *path, last = key.split(".")
            inner = tokenizer
            for part in path:
                inner = inner[part]
            inner[last] = value
        original.write_text(json.dumps(tokenizer), encoding="utf-8")
        if "tokenizer.json" in case["without"]:
            original.unlink()
            model = tokenizer["model"]
            (directory / "vocab.json").write_text(json.dumps(model["vocab"]), encoding="utf-8")
            merges = [" ".join(merge) for merge in model["merges"]]
            (directory / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n", encoding="utf-8")
    for name, content in case["files"].items():
        (directory / name).write_text(json.dumps(content), encoding="utf-8")


def rows(tokenizer, case):
    made = []
    for text, pair in [(text, None) for text in TEXTS] + PAIRS:
        out = tokenizer([text], None if pair is None else [pair], truncation="longest_first",
                        max_length=case["max_length"], padding=False)
        ids = out["input_ids"][0]
        # These models take no token types, or have one alone: transformers' models would refuse them.
        typed = "token_type_ids" in out and case["model_type"] not in NEVER_TYPED
        types = out["token_type_ids"][0] if typed else [0] * len(ids)
        made.append([ids, types.index(1) if 1 in types else len(ids)])
        assert types == [0] * made[-1][1] + [1] * (len(ids) - made[-1][1]), types
    return made


def main():
    made = []
    for case in cases():
        with tempfile.TemporaryDirectory() as directory:
            lay(case, Path(directory))
            kept = {key: value for key, value in case.items() if key != "model_type" and value}
            try:
                found = rows(AutoTokenizer.from_pretrained(directory), case)
            # What transformers cannot read, or fails on, no tokenizer of ours may answer.
            except Exception as error:  # noqa: BLE001
                print(f"refused: {error}: {json.dumps(kept)}")
                found = None
            made.append(kept | {"rows": found})
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in made)
    head = json.dumps({"transformers": transformers.__version__, "texts": TEXTS, "pairs": PAIRS})[:-1]
    (OUT / "settings.json").write_text(f"{head}, \"cases\": [\n{lines}\n]}}\n", encoding="utf-8")
    print(len(made), "cases,", (OUT / "settings.json").stat().st_size, "bytes")


if __name__ == "__main__":
    main()
