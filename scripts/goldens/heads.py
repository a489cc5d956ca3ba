#!/usr/bin/env python3
"""Writes tests/golden/*-tiny/heads.safetensors and tests/golden/heads.json: heads for tokens and answers on the tiny models.

    scripts/goldens/setup-venv && .venv/bin/python scripts/goldens/heads.py

Run it after bert.py, encoders.py and masked.py. For each tiny model and each of `token` (…ForTokenClassification) and `span`
(…ForQuestionAnswering), which not every architecture has, the file holds random weights of the head, `KIND.NAME`, and
`KIND.logits` `[T, C]` of all tokens of the golden batch, row after row without padding; for answers start and end are side by
side. The backbone's weights are those in model.safetensors. `heads.json` has each class, the names of its head's weights on
disk, and the names in model.safetensors that it does not have there.

modernbert-cls-tiny also has `token.labels` `[T]` (-100 where nothing is to be learned), `token.loss` and every gradient,
`token.grad.NAME`. tests/golden/roberta-masked/training.safetensors has the same of a masked language model whose decoder is
the table of word vectors: `labels` of the masked tokens, `loss` and `grad.NAME`.

    .venv/bin/python scripts/goldens/heads.py --check DIR...

loads directories that `distill` wrote, named `MODEL-KIND`, and compares logits.
"""

import json
import pathlib
import sys
import tempfile

import torch
import transformers as hf
from safetensors.torch import load_file, save_file
from torch.nn import functional as F

import encoders

GOLDEN = encoders.GOLDEN
KINDS = {"token": hf.AutoModelForTokenClassification, "span": hf.AutoModelForQuestionAnswering}
HEADS = ("classifier", "qa_outputs", "head")
TRAINED = "modernbert-cls-tiny"
MASKED = "roberta-masked"


def batch(name):
    golden = load_file(GOLDEN / name / "golden.safetensors")
    return {key: golden[key] for key in ("input_ids", "attention_mask", "token_type_ids") if key in golden}


def packed_logits(outputs, mask):
    """`[T, C]`: of the tokens that are no padding, row after row."""
    if "start_logits" in outputs:
        logits = torch.stack([outputs.start_logits, outputs.end_logits], dim=-1)
    else:
        logits = outputs.logits
    return logits[mask.bool()]


def with_head(name, kind, seed):
    """The backbone of a tiny model with a random head; none where the architecture has no such head."""
    config = hf.AutoConfig.from_pretrained(GOLDEN / name, local_files_only=True, attn_implementation="eager")
    if type(config) not in KINDS[kind]._model_mapping.keys():
        return None, []
    if kind == "span":
        config.num_labels = 2
    model = KINDS[kind].from_pretrained(
        GOLDEN / name, config=config, local_files_only=True, ignore_mismatched_sizes=True, attn_implementation="eager"
    ).eval()
    generator = torch.Generator().manual_seed(seed)
    heads = [key for key, _ in model.named_parameters() if key.split(".")[0] in HEADS]
    with torch.no_grad():
        for key in heads:
            parameter = model.get_parameter(key)
            noise = torch.randn(parameter.shape, generator=generator)
            norm = parameter.dim() == 1 and key.endswith("weight")
            parameter.copy_(1.0 + 0.1 * noise if norm else 0.25 * noise)
    return model, heads


def names_on_disk(model, name):
    """Of the head, and those of the tiny model that are missing."""
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        config = json.loads((pathlib.Path(folder) / "config.json").read_text())
        assert config["architectures"] == [type(model).__name__]
        saved = set(load_file(pathlib.Path(folder) / "model.safetensors"))
    tiny = set(load_file(GOLDEN / name / "model.safetensors"))
    head = {key for key in saved if key.split(".")[0] in HEADS}
    assert saved - head <= tiny
    return {"head": sorted(head), "without": sorted(tiny - saved)}


def gradients(model, logits, mask, seed):
    """Loss over every second token, and what it gives to each weight."""
    labels = torch.randint(0, logits.shape[-1], (len(logits),), generator=torch.Generator().manual_seed(seed))
    labels[::2] = -100
    loss = F.cross_entropy(logits, labels)
    loss.backward()
    padded = torch.full(mask.shape, -100)
    padded[mask.bool()] = labels
    grads = encoders.on_disk(model, {key: tensor.grad for key, tensor in model.named_parameters()})
    return padded, labels, loss, grads


def write(name, seed, listed):
    tensors = {}
    inputs = batch(name)
    for kind in KINDS:
        model, heads = with_head(name, kind, seed)
        if model is None:
            continue
        logits = packed_logits(model(**inputs), inputs["attention_mask"])
        listed[f"{name}-{kind}"] = {"class": type(model).__name__} | names_on_disk(model, name)
        tensors |= {f"{kind}.{key}": model.get_parameter(key).detach() for key in heads}
        tensors[f"{kind}.logits"] = logits.detach()
        if name == TRAINED and kind == "token":
            padded, labels, loss, grads = gradients(model, logits, inputs["attention_mask"], seed)
            own = model(**inputs, labels=padded).loss
            assert torch.allclose(own, loss), (own, loss)
            tensors |= {"token.labels": labels, "token.loss": loss.detach()}
            tensors |= {f"token.grad.{key}": gradient for key, gradient in grads.items()}
        print(f"{name}-{kind}: {type(model).__name__}, logits within {logits.abs().max():.2f}")
    save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, GOLDEN / name / "heads.safetensors")


def write_masked(seed):
    model = hf.AutoModelForMaskedLM.from_pretrained(GOLDEN / MASKED, local_files_only=True, attn_implementation="eager").eval()
    inputs = batch(MASKED)
    masked = load_file(GOLDEN / MASKED / "golden.safetensors")["masked"]
    logits = model(**inputs).logits[masked.bool()]
    labels = torch.randint(0, logits.shape[-1], (len(logits),), generator=torch.Generator().manual_seed(seed))
    loss = F.cross_entropy(logits, labels)
    loss.backward()
    on_disk = load_file(GOLDEN / MASKED / "model.safetensors")
    tensors = {f"grad.{key}": tensor.grad for key, tensor in model.named_parameters() if key in on_disk}
    assert len(tensors) == len(on_disk), sorted(on_disk)
    tensors |= {"labels": labels, "loss": loss.detach()}
    save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, GOLDEN / MASKED / "training.safetensors")
    print(f"{MASKED}: loss {loss.item():.6f}")


@torch.no_grad()
def check(folder):
    """A directory that distill wrote: its class, all weights fit, and logits are equal."""
    name, _, kind = folder.name.rpartition("-")
    model, info = KINDS[kind].from_pretrained(
        folder, output_loading_info=True, local_files_only=True, attn_implementation="eager"
    )
    wrong = {what: sorted(map(str, names)) for what, names in info.items() if names}
    named = json.loads((folder / "config.json").read_text())["architectures"]
    if named != [type(model).__name__]:
        wrong["architectures"] = named
    inputs = batch(name)
    expected = load_file(GOLDEN / name / "heads.safetensors")[f"{kind}.logits"]
    logits = packed_logits(model.eval()(**inputs), inputs["attention_mask"])
    difference = (logits - expected).abs().max().item()
    print(f"{folder.name}: {type(model).__name__}, logits differ by {difference:.1e}", wrong or "")
    return not wrong and difference <= 1e-6


def main():
    hf.logging.set_verbosity_error()
    hf.logging.disable_progress_bar()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    if sys.argv[1:2] == ["--check"]:
        results = [check(pathlib.Path(folder)) for folder in sys.argv[2:]]
        sys.exit(0 if results and all(results) else 1)
    listed = {}
    for seed, name in enumerate(["bert-tiny", *encoders.configs()], start=201):
        write(name, seed, listed)
    write_masked(301)
    made_with = {"torch": torch.__version__, "transformers": hf.__version__}
    text = json.dumps({"made_with": made_with, "heads": listed}, indent=1)
    (GOLDEN / "heads.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
