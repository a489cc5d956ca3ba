#!/usr/bin/env python3
"""Writes tests/golden/*-masked: tiny random masked language models, and their logits where tokens are masked.

    scripts/goldens/setup-venv && .venv/bin/python scripts/goldens/masked.py

`golden.safetensors` holds a batch of rows of 1 to 64 tokens, `masked` (1 where a token is masked) and `logits`, a row for each
masked token, in the order of rows and tokens. `bert-masked` also has the tokenizer of bert-tiny, and `golden.json`: for
each word of some texts, masked alone, all other whole words of the vocabulary, the likeliest first. All in f32 on the CPU,
one thread, eager attention over the padded batch. camembert-masked and mpnet-masked have a decoder of their own, the others
the table of word vectors.
"""

import json
import pathlib

import torch
import transformers as hf
from safetensors.torch import load_file, save_file

import encoders
import tiny_bert

GOLDEN = encoders.GOLDEN
MASK = 4
TEXTS = [
    "What is the name of the first city?",
    "who was in the long river",
    "How many cities did state",
    "when",
    "where (is) the RIVER in Zq, and how long are the cities",
]
# Nearer logits could change places with another order of adding up.
GAP = 1e-4


def configs():
    """Name of the folder: class and settings."""
    mixed = encoders.configs()
    distilbert = mixed["distilbert-tiny"]
    labels = ("num_labels", "id2label", "label2id")
    plain = encoders.less(*labels)
    own = dict(vocab_size=99, hidden_size=32, num_attention_heads=4, max_position_embeddings=80)
    return {
        "bert-masked": (hf.BertConfig, plain | own),
        "roberta-masked": (hf.RobertaConfig, plain | dict(type_vocab_size=1, pad_token_id=1)),
        "camembert-masked": (
            hf.CamembertConfig,
            plain | dict(type_vocab_size=1, pad_token_id=1, hidden_act="gelu_new", tie_word_embeddings=False),
        ),
        "distilbert-masked": (
            distilbert[0],
            {key: value for key, value in distilbert[1].items() if key not in labels} | dict(activation="relu"),
        ),
        "mpnet-masked": (hf.MPNetConfig, plain | dict(tie_word_embeddings=False)),
    } | {
        f"{name}-masked": (mixed[f"{name}-tiny"][0], {key: value for key, value in mixed[f"{name}-tiny"][1].items() if key not in labels})
        for name in ["albert", "electra", "deberta-v2", "modernbert", "nomic-bert"]
    }


def masked_batch(config, seed):
    """Every fifth token masked, and each row's first: most of them, and no row without."""
    inputs, _ = encoders.batch(config, seed)
    masked = torch.zeros_like(inputs["input_ids"])
    masked[:, ::5] = 1
    masked *= inputs["attention_mask"]
    inputs["input_ids"] = torch.where(masked.bool(), MASK, inputs["input_ids"])
    return inputs, masked


def likeliest(model, tokenizer, text):
    """For each word of a text that is one token: all other whole words, the likeliest first, where it is masked alone."""
    words = {id: token for token, id in tokenizer.get_vocab().items() if token.isalpha() and len(token) > 1}
    encoded = tokenizer(text, return_offsets_mapping=True)
    found, start = {}, 0
    for index, word in enumerate(text.split()):
        core = word.strip("?(),")
        begin = text.index(core, start)
        start = begin + len(core)
        places = [at for at, (left, right) in enumerate(encoded["offset_mapping"]) if begin <= left < right <= start]
        if len(places) != 1 or encoded["input_ids"][places[0]] not in words:
            continue
        own = encoded["input_ids"][places[0]]
        ids = torch.tensor([encoded["input_ids"]])
        ids[0, places[0]] = MASK
        logits = model(input_ids=ids).logits[0, places[0]]
        others = sorted((id for id in words if id != own), key=lambda id: -logits[id].item())
        gaps = [(logits[one] - logits[two]).item() for one, two in zip(others, others[1:])]
        assert min(gaps) > GAP, (text, word, min(gaps))
        found[index] = [words[id] for id in others]
    together = max(1, len(encoded["input_ids"]) * 15 // 100)
    return {"text": text, "masked_together": together, "likeliest": found}


@torch.no_grad()
def write(name, seed):
    kind, settings = configs()[name]
    model = encoders.random_model(kind(**settings), seed, hf.AutoModelForMaskedLM)
    inputs, masked = masked_batch(model.config, seed)
    logits = model(**inputs).logits[masked.bool()]
    folder = GOLDEN / name
    model.save_pretrained(folder)
    tensors = dict(inputs) | {"masked": masked, "logits": logits}
    save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, folder / "golden.safetensors")
    has_decoder = any("decoder.weight" in key or "projector.weight" in key for key in load_file(folder / "model.safetensors"))
    assert has_decoder != settings.get("tie_word_embeddings", True), name
    if name == "bert-masked":
        tokenizer = tiny_bert.tokenizer()
        tokenizer.save_pretrained(folder)
        golden = {
            "made_with": {"torch": torch.__version__, "transformers": hf.__version__},
            "texts": [likeliest(model, tokenizer, text) for text in TEXTS],
        }
        (folder / "golden.json").write_text(json.dumps(golden, indent=1) + "\n", encoding="utf-8")
    print(f"{name}: {len(logits)} masked tokens, logits within {logits.abs().max():.2f}, {model.num_parameters()} parameters")


def main():
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    for seed, name in enumerate(configs(), start=101):
        write(name, seed)


if __name__ == "__main__":
    main()
