"""Writes tests/golden/inside.json: losses inside the network and their gradients on small tensors, in f64.

    scripts/goldens/setup-venv && .venv/bin/python scripts/goldens/inside.py

Each is transcribed row by row from its paper, without padding: a mean over the tokens (or heads and queries) of a row,
then over the rows. TinyBERT, arXiv:1909.10351, equations 7 (attention scores) and 8 (hidden states); DistilBERT,
arXiv:1910.01108, section 3 (cosine); MiniLM, arXiv:2002.10957, equations 6 and 7, with relation heads as in MiniLMv2,
arXiv:2012.15828, section 3.1.
"""

import json
import pathlib

import torch
from torch.nn import functional as F

TARGET = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden" / "inside.json"
# Longest first, of unlike lengths, so that attention takes them in several groups with and without padding.
LENGTHS = [40, 12, 11, 5, 5, 1]
HEADS = 2
RELATION_HEADS = 4
STUDENT_WIDTH, TEACHER_WIDTH = 4, 8
PARTS = ("hidden", "query", "key", "value")


def tensors(width, generator):
    return {part: torch.randn(sum(LENGTHS), width, dtype=torch.float64, generator=generator) for part in PARTS}


def rows(x):
    return x.split(LENGTHS)


def mean_over_rows(values):
    return torch.stack(list(values)).mean()


def hidden_mse(student, teacher, projection):
    projected = student["hidden"] @ projection.T
    return mean_over_rows(F.mse_loss(s, t) for s, t in zip(rows(projected), rows(teacher["hidden"]), strict=True))


def hidden_cosine(student, teacher, projection):
    """As Hugging Face's distiller.py, where the target of every token is 1."""
    projected = student["hidden"] @ projection.T
    return mean_over_rows(
        F.cosine_embedding_loss(s, t, torch.ones(len(s), dtype=torch.float64))
        for s, t in zip(rows(projected), rows(teacher["hidden"]), strict=True)
    )


def scores(left, right, heads):
    """A·Bᵀ/√d of each row, [heads, length, length]."""
    for a, b in zip(rows(left), rows(right), strict=True):
        a, b = (x.view(len(x), heads, -1).transpose(0, 1) for x in (a, b))
        yield a @ b.transpose(1, 2) / a.shape[-1] ** 0.5


def kl(student, teacher, left, right, heads):
    def of_row(s, t):
        divergence = F.kl_div(F.log_softmax(s, -1), F.softmax(t, -1), reduction="sum")
        return divergence / (s.shape[0] * s.shape[1])  # heads and queries

    pairs = zip(scores(student[left], student[right], heads), scores(teacher[left], teacher[right], heads), strict=True)
    return mean_over_rows(of_row(s, t) for s, t in pairs)


def attention_mse(student, teacher, projection):
    of = [scores(model["query"], model["key"], HEADS) for model in (student, teacher)]
    return mean_over_rows(F.mse_loss(s, t) for s, t in zip(*of, strict=True))


def attention_kl(student, teacher, projection):
    return kl(student, teacher, "query", "key", HEADS)


def relations(student, teacher, projection):
    return kl(student, teacher, "query", "key", RELATION_HEADS) + kl(student, teacher, "value", "value", RELATION_HEADS)


LOSSES = (hidden_mse, hidden_cosine, attention_mse, attention_kl, relations)


def main():
    generator = torch.Generator().manual_seed(7)
    student, teacher = tensors(STUDENT_WIDTH, generator), tensors(TEACHER_WIDTH, generator)
    projection = torch.randn(TEACHER_WIDTH, STUDENT_WIDTH, dtype=torch.float64, generator=generator) * 0.3
    losses = {}
    for loss in LOSSES:
        leaves = {**{part: student[part].clone().requires_grad_() for part in PARTS}}
        weight = projection.clone().requires_grad_()
        value = loss(leaves, teacher, weight)
        value.backward()
        grad = {name: x.grad.tolist() for name, x in {**leaves, "projection": weight}.items() if x.grad is not None}
        losses[loss.__name__] = {"value": value.item(), "grad": grad}
    written = {
        "made_with": {"torch": torch.__version__},
        "lengths": LENGTHS,
        "heads": HEADS,
        "relation_heads": RELATION_HEADS,
        "student_width": STUDENT_WIDTH,
        "teacher_width": TEACHER_WIDTH,
        "student": {part: x.tolist() for part, x in student.items()},
        "teacher": {part: x.tolist() for part, x in teacher.items()},
        "projection": projection.tolist(),
        "losses": losses,
    }
    TARGET.write_text(json.dumps(written, separators=(",", ":")) + "\n")
    print(f"{len(losses)} losses in {TARGET}")


if __name__ == "__main__":
    main()
