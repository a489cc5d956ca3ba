"""Writes tests/golden/bert-tiny: logits, losses, every gradient and a ten-step loss curve of a tiny BERT.

    scripts/goldens/setup-venv && .venv/bin/python scripts/goldens/bert.py

Also bert-tiny-encoder: the same weights as a BertModel, without head and without the `bert.` prefix.
All in f32 on the CPU, one thread, eager attention over the padded batch.
"""

import json
import pathlib

import torch
import transformers
from safetensors.torch import save_file
from torch.nn import functional as F
from transformers import get_linear_schedule_with_warmup

import tiny_bert

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden"
TEMPERATURE, HARD_WEIGHT, SOFT_WEIGHT = 2.0, 0.5, 0.5
STEPS, WARMUP_STEPS = 10, 2
LEARNING_RATE, WEIGHT_DECAY, MAX_GRAD_NORM = 1e-3, 0.01, 1.0
TEXTS = [
    ("What is the first city?", None),
    ("Who?", None),
    ("", None),
    ("How many rivers: 42!", "When did the state name it? ... Zürich 北"),
]


def forward(model, batch):
    return model(
        input_ids=batch["input_ids"],
        attention_mask=batch["attention_mask"],
        token_type_ids=batch["token_type_ids"],
    ).logits


def losses(logits, batch):
    """(CE, T² · KL, their weighted sum), each a mean over rows."""
    ce = F.cross_entropy(logits, batch["labels"])
    kl = F.kl_div(
        F.log_softmax(logits / TEMPERATURE, dim=-1),
        F.log_softmax(batch["teacher_logits"] / TEMPERATURE, dim=-1),
        reduction="batchmean",
        log_target=True,
    )
    soft = TEMPERATURE**2 * kl
    return ce, soft, HARD_WEIGHT * ce + SOFT_WEIGHT * soft


def gradients(model, loss):
    model.zero_grad()
    loss.backward()
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters()}


def decay_groups(model):
    """Weight decay on everything but biases and LayerNorm, as `transformers` has it."""
    decayed, kept = [], []
    for name, parameter in model.named_parameters():
        (kept if name.endswith("bias") or "LayerNorm" in name else decayed).append(parameter)
    return [{"params": decayed, "weight_decay": WEIGHT_DECAY}, {"params": kept, "weight_decay": 0.0}]


def curve(model, batch):
    """Ten steps on the same batch: loss before each step, gradient norm before clipping, rate used."""
    optimizer = torch.optim.AdamW(decay_groups(model), lr=LEARNING_RATE, betas=(0.9, 0.999), eps=1e-8, foreach=False)
    schedule = get_linear_schedule_with_warmup(optimizer, WARMUP_STEPS, STEPS)
    rows = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = losses(forward(model, batch), batch)[2]
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), MAX_GRAD_NORM)
        rate = schedule.get_last_lr()[0]
        optimizer.step()
        schedule.step()
        rows.append({"loss": loss.item(), "grad_norm": norm.item(), "learning_rate": rate})
    return rows


def checksums(model):
    """Sum and sum of absolute values of each tensor, in f64.

    Key biases are left out: softmax does not see them, so their gradient is rounding noise, which Adam
    scales up to a whole step in a direction that no two programs agree on.
    """
    return {
        name: {"sum": parameter.double().sum().item(), "abs_sum": parameter.double().abs().sum().item()}
        for name, parameter in model.state_dict().items()
        if not name.endswith("attention.self.key.bias")
    }


def tokenized(tokenizer):
    rows = []
    for text, pair in TEXTS:
        encoded = tokenizer(text, pair)
        row = {"text": text, "text_pair": pair}
        row |= {"input_ids": encoded["input_ids"], "token_type_ids": encoded["token_type_ids"]}
        rows.append(row)
    return rows


def main():
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    folder = GOLDEN / "bert-tiny"
    model, batch, tokenizer = tiny_bert.random_model(seed=1), tiny_bert.batch(seed=2), tiny_bert.tokenizer()
    model.save_pretrained(folder)
    model.bert.save_pretrained(GOLDEN / "bert-tiny-encoder")
    tokenizer.save_pretrained(folder)
    tiny_bert.save_vocabulary(folder)

    tensors = dict(batch)
    logits = forward(model, batch)
    tensors["logits"] = logits.detach().clone()
    ce, soft, both = losses(logits, batch)
    golden = {
        "made_with": {"torch": torch.__version__, "transformers": transformers.__version__},
        "temperature": TEMPERATURE,
        "hard_weight": HARD_WEIGHT,
        "soft_weight": SOFT_WEIGHT,
        "ce": ce.item(),
        "kl_times_temperature_squared": soft.item(),
        "loss": both.item(),
    }
    for kind, which in (("grad_ce", 0), ("grad_loss", 2)):
        loss = losses(forward(model, batch), batch)[which]
        tensors |= {f"{kind}.{name}": grad for name, grad in gradients(model, loss).items()}
    model.train()
    golden["optimizer"] = {
        "learning_rate": LEARNING_RATE,
        "betas": [0.9, 0.999],
        "eps": 1e-8,
        "weight_decay": WEIGHT_DECAY,
        "no_decay": ["*bias", "*LayerNorm.weight"],
        "warmup_steps": WARMUP_STEPS,
        "total_steps": STEPS,
        "max_grad_norm": MAX_GRAD_NORM,
    }
    golden["curve"] = curve(model, batch)
    golden["final_weights"] = checksums(model)
    golden["tokenized"] = tokenized(tokenizer)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "golden.safetensors")
    (folder / "golden.json").write_text(json.dumps(golden, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"loss {golden['loss']:.6f}, after {STEPS} steps {golden['curve'][-1]['loss']:.6f}")


if __name__ == "__main__":
    main()
