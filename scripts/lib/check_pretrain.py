"""Runs `distill pretrain` and the same steps in PyTorch with transformers, and compares losses, weights and logits.

examples:
  scripts/check-pretrain
  scripts/check-pretrain --every-architecture --steps 60 --rows 200
  scripts/check-pretrain --model models/all-MiniLM-L6-v2 --data data/imdb/train.jsonl --rows 2000 --length 128

Both sides begin with the same weights. Tokenization is that of each side's library; packing, masks and the order of the
sequences are drawn again in Python (scripts/lib/masking.py, scripts/lib/training_order.py). Dropout is off. Compared are
the loss of every step, the validation loss of every epoch, and the logits of the written model, which transformers loads
without a missing or extra weight. `--every-architecture` begins with random weights of each model under tests/golden/*-masked. `--untied` does the same with a decoder that is not the table of word vectors.
$DISTILL names the program, by default target/release/distill. Exit status 1: something differs.
"""

import argparse
import json
import math
import pathlib
import random
import shutil
import sys
import tempfile

import torch
import transformers
from transformers import AutoConfig, AutoModelForMaskedLM, AutoTokenizer

import made_up
import program
import training_order
from masking import VALIDATION, Masking, packed

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests/golden/bert-masked"
TOLERANCE = 1e-4
SEED = 7
SHARE = 0.15
WARMUP = 0.1
DECAY = 0.01
CLIP = 1.0


def parse():
    parser = argparse.ArgumentParser(
        prog="scripts/check-pretrain", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=pathlib.Path, default=GOLDEN, help="what both begin with (default: a tiny BERT)")
    parser.add_argument("--data", type=pathlib.Path, metavar="ROWS.jsonl", help="texts (default: made up)")
    parser.add_argument("--rows", type=int, default=900, help="of them (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=200, help="steps at least (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=8, help="sequences a step (default: %(default)s)")
    parser.add_argument("--length", type=int, default=32, help="tokens of a sequence (default: %(default)s)")
    parser.add_argument("--learning-rate", type=float, default=5e-4, help="its peak (default: %(default)s)")
    parser.add_argument("--every-architecture", action="store_true", help="each in turn, instead of --model")
    parser.add_argument("--untied", action="store_true", help="with a decoder of its own")
    return parser.parse_args()


def texts(asked):
    if asked.data:
        with open(asked.data, encoding="utf-8") as rows:
            return [json.loads(line)["text"] for line in rows][: asked.rows]
    draw = random.Random(1)
    return [" ".join(draw.choices(made_up.WORDS, k=draw.choice([0, 3, 8, 40, 90]))) for _ in range(asked.rows)]


def start(asked, work):
    """A masked language model without dropout, as a directory that both read."""
    folder = work / "start"
    config = AutoConfig.from_pretrained(asked.model)
    for name in ["hidden_dropout_prob", "attention_probs_dropout_prob", "dropout", "attention_dropout", "embedding_dropout", "mlp_dropout"]:
        if hasattr(config, name):
            setattr(config, name, 0.0)
    config.tie_word_embeddings = not asked.untied
    torch.manual_seed(SEED)
    tokenizer = asked.model
    if asked.every_architecture:
        # The only golden model with a tokenizer has the largest vocabulary.
        tokenizer, config.vocab_size = GOLDEN, AutoConfig.from_pretrained(GOLDEN).vocab_size
        model = AutoModelForMaskedLM.from_config(config, dtype=torch.float32)
    else:
        model = AutoModelForMaskedLM.from_pretrained(asked.model, config=config, dtype=torch.float32)
    model.save_pretrained(folder)
    for file in tokenizer.iterdir():
        if "token" in file.name or "vocab" in file.name or file.name == "merges.txt":
            shutil.copy(file, folder / file.name)
    return folder


def sequences(tokenizer, rows, length):
    documents = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in rows]
    before, after = [tokenizer.cls_token_id or tokenizer.bos_token_id], [tokenizer.sep_token_id or tokenizer.eos_token_id]
    return packed(documents, before, after[0], after, length)


def batch_loss(model, batch, masking, epoch, reduction="mean"):
    """Cross-entropy of the masked places of sequences with their numbers, padded."""
    masked = [masking.masked(ids, number, epoch) for number, ids in batch]
    width = max(len(ids) for ids, _ in masked)
    inputs = torch.zeros(len(masked), width, dtype=torch.long)
    attention = torch.zeros(len(masked), width, dtype=torch.long)
    labels = torch.full((len(masked), width), -100)
    for row, ((ids, places), (_, original)) in enumerate(zip(masked, batch)):
        inputs[row, : len(ids)] = torch.tensor(ids)
        attention[row, : len(ids)] = 1
        for place in places:
            labels[row, place] = original[place]
    logits = model(input_ids=inputs, attention_mask=attention).logits
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction=reduction), (labels >= 0).sum().item()


def optimizer(model, learning_rate):
    decays = lambda name: "bias" not in name.lower() and "norm" not in name.lower()
    named = list(model.named_parameters())
    groups = [
        {"params": [tensor for name, tensor in named if decays(name)], "weight_decay": DECAY},
        {"params": [tensor for name, tensor in named if not decays(name)], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=learning_rate)


def rate(step, total, peak):
    warmup = min(math.ceil(WARMUP * total), total - 1)
    return peak * step / warmup if step < warmup else peak * (total - step) / max(1, total - warmup)


def trained(model, train, validation, masking, epochs, asked):
    """The loss of each step, and the validation loss of each epoch."""
    adamw = optimizer(model, asked.learning_rate)
    losses, validations, total = [], [], epochs * math.ceil(len(train) / asked.batch)
    for epoch in range(epochs):
        model.train()
        order = training_order.epoch(len(train), SEED, epoch)
        for at in range(0, len(order), asked.batch):
            for group in adamw.param_groups:
                group["lr"] = rate(len(losses), total, asked.learning_rate)
            loss, _ = batch_loss(model, [(n, train[n]) for n in order[at : at + asked.batch]], masking, epoch)
            adamw.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
            adamw.step()
            losses.append(loss.item())
        model.eval()
        with torch.no_grad():
            pairs = [batch_loss(model, [one], masking, VALIDATION, "sum") for one in enumerate(validation)]
        validations.append(sum(loss.item() for loss, _ in pairs) / sum(places for _, places in pairs))
    return losses, validations


def distill(start_folder, work, epochs, asked):
    """The same by distill: its losses, and where its model is."""
    program.run(
        "pretrain", "--model", start_folder, "--data", work / "train.jsonl", "--validation", work / "validation.jsonl",
        "--out", work / "out", "--epochs", epochs, "--batch-size", asked.batch, "--max-length", asked.length,
        "--learning-rate", asked.learning_rate, "--seed", SEED, "--device", "cpu", "--no-cache",
        "--set", "pretrain.log_every=1", "--warmup-ratio", WARMUP, "--weight-decay", DECAY,
    )  # fmt: skip
    lines = [json.loads(line) for line in (work / "out/metrics.jsonl").read_text().splitlines()]
    of = lambda event: [line["loss"] for line in lines if line["event"] == event]
    return of("train"), of("validation"), work / "out/model"


def write(path, rows):
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in rows), encoding="utf-8")


def widest(left, right):
    if len(left) != len(right):
        sys.exit(f"{len(left)} losses by distill, {len(right)} by PyTorch")
    return max(abs(one - other) for one, other in zip(left, right))


def loaded(folder):
    """The written model; a missing or extra weight is no warning here."""
    model, info = AutoModelForMaskedLM.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    wrong = {kind: sorted(map(str, names)) for kind, names in info.items() if names}
    if wrong:
        sys.exit(f"{folder}: weights do not fit: {wrong}")
    return model.eval()


def check(asked):
    """Whether both give the same; says how near they are."""
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        rows = texts(asked)
        cut = max(1, len(rows) // 10)
        write(work / "train.jsonl", rows[cut:])
        write(work / "validation.jsonl", rows[:cut])
        folder = start(asked, work)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        train, validation = (sequences(tokenizer, part, asked.length) for part in (rows[cut:], rows[:cut]))
        epochs = math.ceil(asked.steps / math.ceil(len(train) / asked.batch))
        losses, validations, written = distill(folder, work, epochs, asked)
        model = AutoModelForMaskedLM.from_pretrained(folder, dtype=torch.float32)
        masking = Masking(tokenizer, SHARE, SEED)
        own, own_validations = trained(model, train, validation, masking, epochs, asked)
        of_steps, of_epochs = widest(losses, own), widest(validations, own_validations)
        print(f"{len(losses)} steps, {len(train)} sequences: losses {losses[0]:.4f} to {losses[-1]:.4f}, within {of_steps:.1e}")
        print(f"{epochs} epochs: validation loss {validations[-1]:.4f}, within {of_epochs:.1e}")
        differences = [of_steps, of_epochs]
        again = loaded(written)
        best = min(range(epochs), key=lambda epoch: validations[epoch])
        if best == epochs - 1:
            with torch.no_grad():
                ids = torch.tensor([masking.masked(validation[0], 0, VALIDATION)[0]])
                differences.append((again(input_ids=ids).logits - model(input_ids=ids).logits).abs().max().item())
            print(f"logits of the written model within {differences[-1]:.1e}")
        return max(differences) < TOLERANCE


def main():
    asked = parse()
    torch.use_deterministic_algorithms(True)
    transformers.logging.set_verbosity_error()
    same = True
    for model in sorted(GOLDEN.parent.glob("*-masked")) if asked.every_architecture else [asked.model]:
        print(model)
        same &= check(argparse.Namespace(**vars(asked) | {"model": model}))
    print("the same" if same else f"DIFFERENT by more than {TOLERANCE}")
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
