"""The tiny random BERT of tests/golden/bert-tiny, its batch, and its tokenizer."""

import pathlib

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

NUM_LABELS = 5
# One batch of mixed lengths: the shortest possible row, the longest, and what lies between.
LENGTHS = [64, 1, 2, 17, 33, 5, 48, 9, 3, 26, 12, 64]


def config() -> BertConfig:
    """No dropout: a loss curve must not depend on a generator."""
    return BertConfig(
        vocab_size=99,
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=80,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        num_labels=NUM_LABELS,
        id2label=dict(enumerate(["alpha", "beta", "gamma", "delta", "epsilon"])),
        label2id={name: i for i, name in enumerate(["alpha", "beta", "gamma", "delta", "epsilon"])},
        attn_implementation="eager",
    )


def random_model(seed: int) -> BertForSequenceClassification:
    """Weights wide enough that every one of them shows in the logits; BERT's own 0.02 leaves attention uniform."""
    model = BertForSequenceClassification(config())
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if name.endswith("LayerNorm.weight"):
                parameter.copy_(1.0 + 0.1 * noise)
            elif name.endswith("bias"):
                parameter.copy_(0.1 * noise)
            else:
                parameter.copy_(0.2 * noise)
    return model.eval()


def batch(seed: int) -> dict[str, torch.Tensor]:
    """Rows of LENGTHS tokens: `[CLS] first [SEP] second [SEP]` where there is room, then padding."""
    generator = torch.Generator().manual_seed(seed)
    rows, longest = len(LENGTHS), max(LENGTHS)
    input_ids = torch.zeros(rows, longest, dtype=torch.int64)
    token_type_ids = torch.zeros_like(input_ids)
    attention_mask = torch.zeros_like(input_ids)
    for row, length in enumerate(LENGTHS):
        ids = torch.randint(5, 99, (length,), generator=generator)
        ids[0] = 2
        if length > 1:
            ids[-1] = 3
        if length > 4:
            ids[length // 2] = 3
            token_type_ids[row, length // 2 + 1 : length] = 1
        input_ids[row, :length] = ids
        attention_mask[row, :length] = 1
    return {
        "input_ids": input_ids,
        "token_type_ids": token_type_ids,
        "attention_mask": attention_mask,
        "labels": torch.randint(0, NUM_LABELS, (rows,), generator=generator),
        "teacher_logits": 3.0 * torch.randn(rows, NUM_LABELS, generator=generator),
    }


def vocabulary() -> list[str]:
    """99 entries: BERT's special tokens, letters, their continuations, digits, marks and a few words."""
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)]
    words = "what who where when how is the of in did does are was city river year first name many long state".split()
    marks = list("?.,'-\"!:;()")
    entries = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{c}" for c in letters)]
    entries += [str(digit) for digit in range(10)] + marks + words
    return entries[:99]


def tokenizer() -> PreTrainedTokenizerFast:
    """BERT's pipeline over the small vocabulary."""
    entries = vocabulary()
    assert len(entries) == len(set(entries)) == 99, len(entries)
    wordpiece = models.WordPiece({token: i for i, token in enumerate(entries)}, unk_token="[UNK]")
    inner = Tokenizer(wordpiece)
    inner.normalizer = normalizers.BertNormalizer(lowercase=True)
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=80,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


def save_vocabulary(folder: pathlib.Path) -> None:
    """The vocabulary as BERT's older tokenizers read it."""
    (folder / "vocab.txt").write_text("\n".join(vocabulary()) + "\n", encoding="utf-8")
