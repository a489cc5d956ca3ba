"""Makes a run of every kind, and compares the logits of distill and of Python's transformers from what was written.

examples:
  scripts/check-written-models
  scripts/check-written-models --distill target/release/distill --only roberta

Kinds: a fine-tuned model and a student of each architecture under tests/golden, with the tokenizer class that belongs
to it; the same with a part of its vocabulary, and with other vocabularies; several classes a row, numbers, pairs; answers in a text; bf16; and directories whose settings `transformers` applies in its own way.
Neither side is told the length, the number format or the class: both take them from the directory. Exit status 1:
something differs.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import torch
import transformers
from transformers import AutoModelForQuestionAnswering, AutoModelForSequenceClassification, AutoTokenizer

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests/golden"
BYTE_LEVEL = ROOT / "crates/distill-data/testdata/tiny-byte-level"
TRAINED = ROOT / "crates/distill-data/testdata/trained"
TOLERANCE = 1e-5
LENGTH = 12
WORDS = "what who Café city RIVER year first name many long, state the".split()
LETTERS = [chr(code) for code in range(ord("a"), ord("z") + 1)]


class Mismatch(Exception):
    """What differs, in words."""


def rows(count, label, pairs=False):
    made = []
    for row in range(count):
        words = [WORDS[(row * 5 + word * (1 + row % 4)) % len(WORDS)] for word in range(1 + row % 9)]
        made.append({"id": str(row), "text": " ".join(words), "label": label(row)})
        if pairs:
            made[-1]["text_pair"] = " ".join(reversed(words[: 1 + row % 4]))
    return made


def write_rows(path, made):
    path.write_text("".join(json.dumps(row) + "\n" for row in made), encoding="utf-8")


def bert_tokenizer(folder, special, **config):
    """vocab.txt with letters, as far as a golden model's 61 words go."""
    words = [*special, *LETTERS, *("##" + letter for letter in LETTERS[:20]), "##y", "##r", ",", "é"]
    (folder / "vocab.txt").write_text("".join(f"{word}\n" for word in words), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def piece_tokenizer(folder, special, **config):
    """A tokenizer.json of SentencePiece's kind; its class builds all but the vocabulary."""
    pieces = [[piece, 0.0] for piece in special] + [["▁", -2.0]] + [[piece, -3.0] for piece in LETTERS + [",", "é"]]
    tokenizer = {
        "version": "1.0", "truncation": None, "padding": None, "normalizer": None, "pre_tokenizer": None,
        "post_processor": None, "decoder": None,
        "added_tokens": [{"id": place, "content": piece, "special": True, "normalized": False, "single_word": False,
                          "lstrip": False, "rstrip": False} for place, piece in enumerate(special)],
        "model": {"type": "Unigram", "unk_id": special.index("<unk>" if "<unk>" in special else "[UNK]"),
                  "vocab": pieces, "byte_fallback": False},
    }
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


BERT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
ROBERTA = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def lay_tokenizer(folder):
    kind = json.loads((folder / "config.json").read_text())["model_type"]
    if kind in ("bert", "distilbert", "electra", "nomic_bert"):
        bert_tokenizer(folder, BERT)
    elif kind == "mpnet":
        bert_tokenizer(folder, [*ROBERTA[:4], "[UNK]", "<mask>"])
    elif kind == "roberta":
        # A vocabulary of bytes is larger than the golden's: the class is named.
        bert_tokenizer(folder, [*ROBERTA[:4], "[UNK]", "<mask>"], tokenizer_class="MPNetTokenizer")
    elif kind in ("xlm-roberta", "camembert"):
        piece_tokenizer(folder, ROBERTA)
    elif kind == "albert":
        piece_tokenizer(folder, ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"])
    elif kind == "deberta-v2":
        piece_tokenizer(folder, ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"])
    else:
        # ModernBERT's class takes tokenizer.json as it is, and nothing else.
        bert_tokenizer(folder, ["[UNK]", "[PAD]", *BERT[2:]])
        transformers.BertTokenizer.from_pretrained(folder).save_pretrained(folder)
        config_of(folder, tokenizer_config={"tokenizer_class": "PreTrainedTokenizerFast"})


class Check:
    def __init__(self, distill, work):
        self.distill, self.work, self.worst, self.count = distill, work, 0.0, 0

    def run(self, *arguments):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("DISTILL_")}
        environment |= {"DISTILL_CACHE": str(self.work / "cache"), "DISTILL_THREADS": "1", "DISTILL_DEVICE": "cpu"}
        done = subprocess.run([self.distill, *map(str, arguments)], env=environment, cwd=self.work, capture_output=True,
                              text=True)
        if done.returncode != 0:
            raise Mismatch(f"distill {' '.join(map(str, arguments))}: exit {done.returncode}: {done.stderr[-600:]}")

    def model(self, source, name, change=None):
        """A copy of a golden model with a tokenizer."""
        folder = self.work / name
        folder.mkdir()
        for file in ("config.json", "model.safetensors"):
            shutil.copy(source / file, folder / file)
        lay_tokenizer(folder)
        if change:
            change(folder)
        return name

    def finetune(self, model, data, name, *more):
        usual = {"--epochs": 1, "--max-length": LENGTH}
        usual = [part for pair in usual.items() if pair[0] not in more for part in pair]
        self.run("finetune", "--model", model, "--data", data, *usual, "--out", name, *more)
        return f"{name}/model"

    def student(self, teacher, data, name, *more):
        self.run("teacher", "--model", teacher, "--data", data, "--out", f"{name}-targets")
        self.run("student", "--targets", f"{name}-targets", "--init", teacher, "--epochs", 1, "--out", name, *more)
        return f"{name}/model"

    def compare(self, model, data):
        """Logits of both from the directory alone."""
        out = self.work / f"{model.replace('/', '-')}.jsonl"
        self.run("predict", "--model", model, "--data", data, "--out", out, "--overwrite")
        ours = torch.tensor([json.loads(line)["logits"] for line in out.read_text().splitlines()])
        loaded, info = AutoModelForSequenceClassification.from_pretrained(self.work / model, output_loading_info=True)
        wrong = {kind: sorted(map(str, names)) for kind, names in info.items() if names}
        if wrong or loaded.dtype != torch.float32:
            raise Mismatch(f"{model}: {wrong or loaded.dtype}")
        tokenizer = AutoTokenizer.from_pretrained(self.work / model)
        read = [json.loads(line) for line in (self.work / data).read_text().splitlines()]
        pairs = [row["text_pair"] for row in read] if "text_pair" in read[0] else None
        cut = int(tokenizer.model_max_length)
        longest = max(len(ids) for ids in tokenizer([row["text"] for row in read], pairs)["input_ids"])
        with torch.no_grad():
            encoded = tokenizer([row["text"] for row in read], pairs, padding=True, truncation=True, return_tensors="pt")
            theirs = loaded.eval()(**encoded).logits
        difference = (ours - theirs).abs().max().item()
        self.worst, self.count = max(self.worst, difference), self.count + 1
        print(f"{model:34} {data:12} {type(loaded).__name__:40} cut to {cut} of {longest} tokens, differs by {difference:.1e}",
              flush=True)
        if cut != LENGTH or longest <= cut or not difference <= TOLERANCE:
            raise Mismatch(f"{model}: differs by {difference:.3e}, cut to {cut} of {longest}")

    def compare_answers(self, model, data):
        """Answers of both from the directory alone: the windows, the logits, and how a span is chosen."""
        out = self.work / f"{model.replace('/', '-')}-answers.jsonl"
        self.run("predict", "--model", model, "--data", data, "--out", out)
        ours = [json.loads(line) for line in out.read_text().splitlines()]
        read = [json.loads(line) for line in (self.work / data).read_text().splitlines()]
        loaded, info = AutoModelForQuestionAnswering.from_pretrained(self.work / model, output_loading_info=True)
        if wrong := {kind: sorted(map(str, names)) for kind, names in info.items() if names}:
            raise Mismatch(f"{model}: {wrong}")
        tokenizer = AutoTokenizer.from_pretrained(self.work / model)
        windows, worst = 0, 0.0
        for own, row in zip(ours, read, strict=True):
            found = best_answer(loaded.eval(), tokenizer, row["question"], row["context"])
            windows += found["windows"]
            if (own["start"], own["end"]) != found["span"]:
                raise Mismatch(f"{model}: row {own['id']}: {own['start']} to {own['end']}, transformers: {found['span']}")
            worst = max(worst, abs(own["score"] - found["score"]))
        self.worst, self.count = max(self.worst, worst), self.count + 1
        answered = sum(own["start"] is not None for own in ours)
        print(f"{model:34} {data:12} {type(loaded).__name__:40} {len(ours)} questions, {windows} windows, {answered} answered, "
              f"scores differ by {worst:.1e}", flush=True)
        if not worst <= TOLERANCE or windows < 2 * len(ours):
            raise Mismatch(f"{model}: scores differ by {worst:.3e} over {windows} windows")

    def card(self, model, data):
        """The snippet of a student's card runs, and cuts a long text."""
        self.run("report", "--model", f"student={model}", "--data", data, "--no-timing", "--card", "--out", "card")
        text = (self.work / model / "README.md").read_text(encoding="utf-8")
        snippet = re.search(r"```python\n(.*?)```", text, re.S).group(1)
        snippet = snippet.replace("path/to/this/directory", str(self.work / model)).replace("a text", "what who " * 400)
        exec(snippet, {})  # noqa: S102: the project's own lines
        print(f"{model:34} the card's snippet runs on a text of 800 words", flush=True)


def best_answer(model, tokenizer, question, context, best=20, longest=30):
    """As `run_qa.py --version_2_with_negative` chooses it, among the tokens of the context."""
    room = tokenizer.model_max_length - tokenizer.num_special_tokens_to_add(pair=True)
    room -= len(tokenizer(question, add_special_tokens=False)["input_ids"])
    encoded = tokenizer(question, context, truncation="only_second", stride=min(128, room // 2), padding=True,
                        return_overflowing_tokens=True, return_offsets_mapping=True, return_tensors="pt")
    takes = {name: encoded[name] for name in tokenizer.model_input_names if name in encoded}
    with torch.no_grad():
        logits = model(**takes)
    candidates, none = [], None
    for window in range(len(encoded["input_ids"])):
        start, end = logits.start_logits[window].clone(), logits.end_logits[window].clone()
        nothing = (start[0] + end[0]).item()
        none = nothing if none is None else min(none, nothing)
        places = [place if part == 1 else None for place, part in
                  zip(encoded["offset_mapping"][window].tolist(), encoded.sequence_ids(window), strict=True)]
        # The question's tokens are no candidates: run_qa.py counts them among the best 20 and drops them afterwards.
        outside = torch.tensor([place is None for place in places])
        start[outside], end[outside] = -torch.inf, -torch.inf
        ends = torch.argsort(end, descending=True, stable=True)[:best].tolist()
        for first in torch.argsort(start, descending=True, stable=True)[:best].tolist():
            for last in ends:
                if places[first] and places[last] and first <= last < first + longest:
                    candidates.append(((start[first] + end[last]).item(), (places[first][0], places[last][1])))
    candidates = sorted([*candidates, (none, (None, None))], key=lambda one: -one[0])[:best]
    if all(span[0] is not None for _, span in candidates):
        candidates.append((none, (None, None)))
    scores = torch.softmax(torch.tensor([score for score, _ in candidates], dtype=torch.float64), 0).tolist()
    spans = [place for place, (_, span) in enumerate(candidates) if span[0] is not None]
    chosen = spans[0] if spans and none <= candidates[spans[0]][0] else [span[0] for _, span in candidates].index(None)
    return {"span": candidates[chosen][1], "score": scores[chosen], "windows": len(encoded["input_ids"])}


def questions(count):
    """Rows with a context of some windows, in which the answer is one and the same word; some do not have it."""
    made = []
    for row in range(count):
        words = [WORDS[(row * 5 + word * (1 + row % 4)) % len(WORDS)] for word in range(9 + row % 9)]
        context = " ".join(words)
        answers = {"text": ["RIVER"], "answer_start": [context.index("RIVER")]} if "RIVER" in words else {"text": [], "answer_start": []}
        made.append({"id": str(row), "question": "who is it", "context": context, "answers": answers})
    return made


def config_of(folder, **changes):
    for file, values in changes.items():
        path = folder / f"{file}.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))


def half(folder):
    """f16 weights, as many published models have."""
    from safetensors.torch import load_file, save_file

    tensors = {name: tensor.half() for name, tensor in load_file(folder / "model.safetensors").items()}
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    config_of(folder, config={"dtype": "float16", "torch_dtype": "float16"})


def byte_level(folder):
    """RoBERTa with vocab.json and merges.txt alone."""
    folder.mkdir()
    tokenizer = json.loads((BYTE_LEVEL / "tokenizer.json").read_text(encoding="utf-8"))["model"]
    words = tokenizer["vocab"] | {"<mask>": len(tokenizer["vocab"])}
    (folder / "vocab.json").write_text(json.dumps(words))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{' '.join(merge)}\n" for merge in tokenizer["merges"]))
    torch.manual_seed(1)
    config = transformers.RobertaConfig(vocab_size=len(words), hidden_size=24, num_hidden_layers=2, num_attention_heads=3,
                                        intermediate_size=40, max_position_embeddings=70, type_vocab_size=1, num_labels=3)
    transformers.RobertaForSequenceClassification(config).save_pretrained(folder)


def kinds(check, only):
    """Every kind of run; names that do not hold `only` are passed over."""
    bert = GOLDEN / "bert-tiny"

    def wanted(name):
        return only in name

    for source in sorted(GOLDEN.glob("*-tiny")):
        if not wanted(source.name):
            continue
        several = json.loads((source / "config.json").read_text()).get("problem_type") == "multi_label_classification"
        data = "several.jsonl" if several else "rows.jsonl"
        model = check.model(source, source.name)
        more = ["--problem-type", "multi_label_classification"] if several else []
        tuned = check.finetune(model, data, f"{model}-ft", *more)
        check.compare(tuned, data)
        shared = "albert" in model or "modernbert" in model
        check.compare(check.student(tuned, data, f"{model}-st", *([] if shared else ["--layers", 0])), data)
        if not several:
            check.compare(check.finetune(model, "pairs.jsonl", f"{model}-pairs"), "pairs.jsonl")
        # NomicBERT has no class for answers.
        if not several and "nomic" not in model:
            answers = ["--task", "question_answering", "--max-length", 24, "--epochs", 20, "--learning-rate", 0.01]
            tuned = check.finetune(model, "questions.jsonl", f"{model}-qa", *answers)
            check.compare_answers(tuned, "questions.jsonl")
    for name, data, more in [
        ("several", "several.jsonl", ["--problem-type", "multi_label_classification"]),
        ("numbers", "numbers.jsonl", ["--problem-type", "regression"]),
        ("bf16", "rows.jsonl", ["--dtype", "bf16"]),
    ]:
        if wanted(name):
            model = check.model(bert, name)
            tuned = check.finetune(model, data, f"{name}-ft", *more)
            check.compare(tuned, data)
            check.compare(check.student(tuned, data, f"{name}-st", "--layers", "0,2", *more[2:]), data)
    if wanted("narrow"):
        tuned = check.finetune(check.model(bert, "narrow"), "rows.jsonl", "narrow-ft")
        student = check.student(tuned, "rows.jsonl", "narrow-st", "--hidden-size", 16)
        check.compare(student, "rows.jsonl")
        check.card(student, "rows.jsonl")
    changes = {
        "half": half,
        "cased": lambda folder: config_of(folder, tokenizer_config={"do_lower_case": False, "strip_accents": True}),
        "left": lambda folder: config_of(folder, tokenizer_config={"truncation_side": "left", "padding_side": "left"}),
        "untyped": lambda folder: config_of(folder, tokenizer_config={"model_input_names": ["input_ids", "attention_mask"]}),
        "added": lambda folder: (folder / "added_tokens.json").write_text(json.dumps({"city": 55, "river": 56})),
        "limit": lambda folder: config_of(folder, tokenizer_config={"model_max_length": 512}),
    }
    for name, change in changes.items():
        if wanted(name):
            model = check.model(bert, name, change)
            check.compare(check.finetune(model, "rows.jsonl", f"{name}-ft"), "rows.jsonl")
            check.compare(check.finetune(model, "pairs.jsonl", f"{name}-pairs"), "pairs.jsonl")
    for source in sorted(GOLDEN.glob("*-tiny")):
        name = f"{source.name}-vocabulary"
        if not wanted(name) or json.loads((source / "config.json").read_text()).get("problem_type"):
            continue
        model = check.model(source, name)
        tuned = check.finetune(model, "rows.jsonl", f"{name}-ft")
        check.compare(check.student(tuned, "rows.jsonl", f"{name}-part", "--vocabulary-from", "few.jsonl"), "rows.jsonl")
        for kind in ["wordpiece", "unigram", "bpe"]:
            # MPNet's positions are counted from behind id 1, which is not WordPiece's padding token.
            if not (kind == "wordpiece" and "mpnet" in name):
                moved = check.finetune(model, "rows.jsonl", f"{name}-{kind}", "--tokenizer", TRAINED / kind)
                check.compare(moved, "rows.jsonl")
    if wanted("merges"):
        byte_level(check.work / "merges")
        check.compare(check.finetune("merges", "rows.jsonl", "merges-ft"), "rows.jsonl")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/check-written-models", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--distill", type=pathlib.Path, default=ROOT / "target/debug/distill", help="default: %(default)s")
    parser.add_argument("--only", default="", metavar="TEXT", help="kinds whose name holds this")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as work:
        check = Check(asked.distill.resolve(), pathlib.Path(work))
        labels = ["alpha", "beta", "gamma"]
        write_rows(check.work / "rows.jsonl", rows(40, lambda row: labels[row % 3]))
        write_rows(check.work / "few.jsonl", rows(4, lambda row: labels[row % 3]))
        write_rows(check.work / "questions.jsonl", questions(24))
        write_rows(check.work / "pairs.jsonl", rows(40, lambda row: labels[row % 3], pairs=True))
        write_rows(check.work / "several.jsonl", rows(40, lambda row: [name for place, name in enumerate(labels) if row >> place & 1]))
        write_rows(check.work / "numbers.jsonl", rows(40, lambda row: row / 7))
        try:
            kinds(check, asked.only)
        except (Mismatch, OSError, ValueError, KeyError, RuntimeError) as error:
            print(f"check-written-models: {type(error).__name__}: {error}", file=sys.stderr)
            return 1
        print(f"{check.count} directories, transformers {transformers.__version__}: logits differ by at most {check.worst:.1e}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
