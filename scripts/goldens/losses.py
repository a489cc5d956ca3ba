"""Writes tests/golden/losses.json: the training loss and its gradient on small logits, in f64.

    scripts/goldens/setup-venv && .venv/bin/python scripts/goldens/losses.py

Each row's loss is `hard_weight · CE + soft_weight · T² · KL(teacher ‖ student)`, without its first term where
there is no label; the loss is the mean over all rows of the batch. PyTorch gives the numbers, and the textbook
formulas in plain Python must agree with them before anything is written.
"""

import json
import math
import pathlib

import torch
from torch.nn import functional as F

TARGET = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden" / "losses.json"

SMALL = {
    "student_logits": [[1.0, 2.0, 3.0], [0.5, -1.0, 0.0]],
    "teacher_logits": [[3.0, 1.0, 0.2], [2.0, 0.0, -2.0]],
    "labels": [0, 2],
}
UNLABELLED = {
    "student_logits": [[0.3, -0.7, 1.1, 0.0], [2.0, 2.0, 2.0, 2.0], [-1.5, 0.25, 0.75, 4.0]],
    "teacher_logits": [[0.0, 0.0, 0.0, 0.0], [5.0, -5.0, 1.0, 0.0], [-1.5, 0.25, 0.75, 4.0]],
    "labels": [None, 1, None],
}
NO_LABELS = {**UNLABELLED, "labels": [None, None, None]}
# Far beyond what exp() can take in f32: only a stable log-softmax survives.
LARGE = {
    "student_logits": [[300.0, -300.0], [-120.0, 90.0]],
    "teacher_logits": [[-200.0, 200.0], [150.0, 149.0]],
    "labels": [1, 0],
}
CASES = [
    *((f"kl_only_t{t:g}", SMALL, t, 0.0, 1.0) for t in (1.0, 2.0, 4.0)),
    ("ce_only", SMALL, 1.0, 1.0, 0.0),
    *((f"both_t{t:g}", SMALL, t, 0.3, 0.7) for t in (1.0, 2.0, 4.0)),
    ("equal_logits_have_no_kl", {**SMALL, "teacher_logits": SMALL["student_logits"]}, 2.0, 0.0, 1.0),
    ("some_unlabelled", UNLABELLED, 2.0, 0.1, 0.9),
    ("all_unlabelled", NO_LABELS, 2.0, 0.1, 0.9),
    ("large_logits", LARGE, 1.0, 0.5, 0.5),
]


def softmax(logits, temperature):
    top = max(logits)
    scaled = [math.exp((z - top) / temperature) for z in logits]
    return [value / sum(scaled) for value in scaled]


def log_softmax(logits, temperature):
    top = max(logits)
    total = math.log(sum(math.exp((z - top) / temperature) for z in logits))
    return [(z - top) / temperature - total for z in logits]


def by_hand(case, temperature):
    """(CE a row or None, KL a row) from the definitions."""
    ce, kl = [], []
    for student, teacher, label in zip(case["student_logits"], case["teacher_logits"], case["labels"], strict=True):
        ce.append(None if label is None else -log_softmax(student, 1.0)[label])
        p, log_p = softmax(teacher, temperature), log_softmax(teacher, temperature)
        log_q = log_softmax(student, temperature)
        kl.append(sum(a * (b - c) for a, b, c in zip(p, log_p, log_q, strict=True)))
    return ce, kl


def by_torch(case, temperature, hard_weight, soft_weight):
    student = torch.tensor(case["student_logits"], dtype=torch.float64, requires_grad=True)
    teacher = torch.tensor(case["teacher_logits"], dtype=torch.float64)
    labels = torch.tensor([-100 if label is None else label for label in case["labels"]])
    ce = F.cross_entropy(student, labels, ignore_index=-100, reduction="none")
    kl = F.kl_div(
        F.log_softmax(student / temperature, dim=-1),
        F.log_softmax(teacher / temperature, dim=-1),
        reduction="none",
        log_target=True,
    ).sum(-1)
    loss = (hard_weight * ce + soft_weight * temperature**2 * kl).mean()
    loss.backward()
    return ce.tolist(), kl.tolist(), loss.item(), student.grad.tolist()


def main():
    written = []
    for name, case, temperature, hard_weight, soft_weight in CASES:
        ce, kl, loss, grad = by_torch(case, temperature, hard_weight, soft_weight)
        hand_ce, hand_kl = by_hand(case, temperature)
        for torch_row, hand_row in zip(ce + kl, hand_ce + hand_kl, strict=True):
            assert math.isclose(torch_row, hand_row or 0.0, rel_tol=1e-12, abs_tol=1e-12), (name, torch_row, hand_row)
        written.append(
            {
                "name": name,
                "temperature": temperature,
                "hard_weight": hard_weight,
                "soft_weight": soft_weight,
                **case,
                "ce_per_row": hand_ce,
                "kl_per_row": kl,
                "loss": loss,
                "grad_student_logits": grad,
            }
        )
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(json.dumps({"made_with": {"torch": torch.__version__}, "cases": written}, indent=1) + "\n")
    print(f"{len(written)} cases in {TARGET}")


if __name__ == "__main__":
    main()
