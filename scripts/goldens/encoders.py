#!/usr/bin/env python3
"""Writes tests/golden/*-tiny but bert-tiny: a tiny random classifier of each architecture, its logits and gradients.

    scripts/goldens/setup-venv && .venv/bin/python scripts/goldens/encoders.py

Some architectures have a second folder with other settings. `golden.safetensors` holds a batch of rows of 1 to 64
tokens, `labels`, `logits`, `loss` (CE, or BCE for several labels a row) and every gradient, `grad.*`. All in f32 on the
CPU, one thread, eager attention over the padded batch.

    .venv/bin/python scripts/goldens/encoders.py --check DIR...

loads directories that `distill` wrote (their parent's name says which golden they belong to) and compares logits.
"""

import json
import pathlib
import sys

import torch
import transformers as hf
from safetensors.torch import load_file, save_file
from torch.nn import functional as F

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden"
LENGTHS = [64, 1, 2, 17, 33, 5, 48, 9, 3, 26, 12, 64]
LABELS = ["alpha", "beta", "gamma"]
VOCABULARY = 61
# What most configs share. No dropout: logits must not depend on a generator.
BERT = dict(
    vocab_size=VOCABULARY,
    hidden_size=24,
    num_hidden_layers=2,
    num_attention_heads=3,
    intermediate_size=40,
    max_position_embeddings=70,
    hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
    num_labels=len(LABELS),
    id2label=dict(enumerate(LABELS)),
    label2id={name: id for id, name in enumerate(LABELS)},
    attn_implementation="eager",
)

NOMIC_NAMES = [
    (".layers.", ".encoder.layers."),
    ("embeddings.LayerNorm", "emb_ln"),
    ("self_attn.o_proj", "attn.out_proj"),
    ("self_attn", "attn"),
    ("up_proj", "fc11"),
    ("gate_proj", "fc12"),
    ("down_proj", "fc2"),
    ("post_attention_layernorm", "norm1"),
    ("post_mlp_layernorm", "norm2"),
]


def less(*names, **more):
    return {key: value for key, value in BERT.items() if key not in names} | more


def configs():
    """Name of the folder: class and settings."""
    own = ("hidden_dropout_prob", "attention_probs_dropout_prob", "intermediate_size")
    modern = less(*own, intermediate_size=20, num_hidden_layers=4, pad_token_id=1)
    deberta = dict(
        relative_attention=True,
        position_biased_input=False,
        position_buckets=8,
        max_relative_positions=-1,
        norm_rel_ebd="layer_norm",
        share_att_key=True,
        pos_att_type=["p2c", "c2p"],
        type_vocab_size=0,
        pooler_hidden_act="gelu",
        pooler_dropout=0.0,
    )
    return {
        "roberta-tiny": (hf.RobertaConfig, BERT | dict(type_vocab_size=1, pad_token_id=1)),
        "xlm-roberta-tiny": (hf.XLMRobertaConfig, BERT | dict(type_vocab_size=1, problem_type="multi_label_classification")),
        "camembert-tiny": (hf.CamembertConfig, BERT | dict(type_vocab_size=1, hidden_act="gelu_new")),
        "distilbert-tiny": (
            hf.DistilBertConfig,
            less(
                *own, "hidden_size", "num_hidden_layers", "num_attention_heads", dim=24, n_layers=2, n_heads=3,
                hidden_dim=40, dropout=0.0, attention_dropout=0.0, seq_classif_dropout=0.0,
            ),
        ),
        "mpnet-tiny": (hf.MPNetConfig, BERT),
        "electra-tiny": (hf.ElectraConfig, BERT | dict(embedding_size=16)),
        "electra-wide-tiny": (hf.ElectraConfig, BERT | dict(embedding_size=24, num_hidden_layers=1)),
        "albert-tiny": (hf.AlbertConfig, BERT | dict(embedding_size=16, num_hidden_layers=3, classifier_dropout_prob=0.0)),
        "albert-groups-tiny": (
            hf.AlbertConfig,
            BERT | dict(embedding_size=16, num_hidden_layers=4, num_hidden_groups=2, inner_group_num=2,
                        classifier_dropout_prob=0.0),
        ),
        "deberta-v3-tiny": (hf.DebertaV2Config, BERT | deberta),
        "deberta-v2-tiny": (
            hf.DebertaV2Config,
            BERT | deberta | dict(share_att_key=False, norm_rel_ebd="none", position_buckets=-1, type_vocab_size=2,
                                  max_relative_positions=12, position_biased_input=True, embedding_size=16,
                                  pooler_hidden_act="tanh"),
        ),
        "modernbert-tiny": (hf.ModernBertConfig, modern | dict(local_attention=16, classifier_pooling="mean")),
        "modernbert-cls-tiny": (
            hf.ModernBertConfig,
            modern | dict(local_attention=6, num_hidden_layers=2, global_attn_every_n_layers=2, classifier_pooling="cls",
                          norm_bias=True, attention_bias=True, mlp_bias=True, classifier_bias=True,
                          hidden_activation="gelu_pytorch_tanh"),
        ),
        "nomic-bert-tiny": (hf.NomicBertConfig, BERT),
    }


def random_model(config, seed, kind=hf.AutoModelForSequenceClassification):
    """Weights wide enough that every one of them shows in the logits."""
    model = kind.from_config(config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.dim() == 1:
                norm = name.endswith("weight")
                parameter.copy_(1.0 + 0.1 * noise if norm else 0.1 * noise)
            else:
                parameter.copy_(0.25 * noise)
    return model.eval()


def batch(config, seed):
    """Rows of LENGTHS tokens, then padding; no padding token stands inside a row."""
    generator = torch.Generator().manual_seed(seed)
    pad = config.pad_token_id
    rows, longest = len(LENGTHS), max(LENGTHS)
    input_ids = torch.full((rows, longest), pad, dtype=torch.int64)
    token_type_ids, attention_mask = torch.zeros_like(input_ids), torch.zeros_like(input_ids)
    for row, length in enumerate(LENGTHS):
        input_ids[row, :length] = torch.randint(4, VOCABULARY, (length,), generator=generator)
        attention_mask[row, :length] = 1
        token_type_ids[row, length // 2 + 1 : length] = 1
    inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
    if getattr(config, "type_vocab_size", 0) > 1 and config.model_type not in ("distilbert", "mpnet", "modernbert"):
        inputs["token_type_ids"] = token_type_ids
    if config.problem_type == "multi_label_classification":
        labels = torch.randint(0, 2, (rows, len(LABELS)), generator=generator).float()
    else:
        labels = torch.randint(0, len(LABELS), (rows,), generator=generator)
    return inputs, labels


def on_disk(model, gradients):
    """Gradients under the names that `save_pretrained` gives: NomicBERT's keep those of the published checkpoints."""
    if model.config.model_type != "nomic_bert":
        return gradients
    renamed = {}
    for name, tensor in gradients.items():
        for ours, theirs in NOMIC_NAMES:
            name = name.replace(ours, theirs)
        renamed[name] = tensor
    for name in [name for name in renamed if name.endswith("attn.q_proj.weight")]:
        parts = [renamed.pop(name.replace("q_proj", part)) for part in ("q_proj", "k_proj", "v_proj")]
        renamed[name.replace("q_proj", "Wqkv")] = torch.cat(parts)
    return renamed


def write(name, seed):
    kind, settings = configs()[name]
    config = kind(**settings)
    model = random_model(config, seed)
    inputs, labels = batch(config, seed)
    logits = model(**inputs).logits
    several = config.problem_type == "multi_label_classification"
    loss = F.binary_cross_entropy_with_logits(logits, labels) if several else F.cross_entropy(logits, labels)
    loss.backward()
    folder = GOLDEN / name
    model.save_pretrained(folder)
    tensors = dict(inputs) | {"labels": labels, "logits": logits.detach(), "loss": loss.detach()}
    gradients = on_disk(model, {parameter: tensor.grad for parameter, tensor in model.named_parameters()})
    assert set(gradients) == set(load_file(folder / "model.safetensors")), name
    tensors |= {f"grad.{parameter}": gradient for parameter, gradient in gradients.items()}
    save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, folder / "golden.safetensors")
    print(f"{name}: loss {loss.item():.6f}, logits within {logits.abs().max():.2f}, {model.num_parameters()} parameters")


@torch.no_grad()
def check(folder):
    """A directory that distill wrote for the golden of its parent's name: all weights fit, and logits are equal."""
    model, info = hf.AutoModelForSequenceClassification.from_pretrained(
        folder, output_loading_info=True, local_files_only=True, attn_implementation="eager"
    )
    wrong = {kind: sorted(map(str, names)) for kind, names in info.items() if names}
    golden = load_file(GOLDEN / folder.name / "golden.safetensors")
    inputs = {key: golden[key] for key in ("input_ids", "attention_mask", "token_type_ids") if key in golden}
    difference = (model.eval()(**inputs).logits - golden["logits"]).abs().max().item()
    print(f"{folder.name}: {type(model).__name__}, logits differ by {difference:.1e}", wrong or "")
    return not wrong and difference <= 1e-6


def main():
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    if sys.argv[1:2] == ["--check"]:
        results = [check(pathlib.Path(folder)) for folder in sys.argv[2:]]
        sys.exit(0 if results and all(results) else 1)
    for seed, name in enumerate(configs(), start=1):
        write(name, seed)
    made_with = {"torch": torch.__version__, "transformers": hf.__version__}
    (GOLDEN / "encoders.json").write_text(json.dumps({"made_with": made_with, "folders": list(configs())}, indent=1) + "\n")


if __name__ == "__main__":
    main()
