"""Writes losses.json, soft_losses.json and multi_label_losses.json in tests/golden: losses and gradients on small logits, in f64.

    scripts/goldens/setup-venv && .venv/bin/python scripts/goldens/losses.py

Each row's loss is `hard_weight · CE + soft_weight · T² · KL(teacher ‖ student)`, without its first term where
there is no label; the loss is the mean over all rows of the batch. PyTorch gives the numbers, and the textbook
formulas in plain Python must agree with them before anything is written.

soft_losses.json has the other comparisons with a teacher, each transcribed from its paper or its authors' code, and
the hard loss with label smoothing and class weights.

multi_label_losses.json has the hard loss with several classes a row: PyTorch's `binary_cross_entropy_with_logits` with its
`weight`, and without smoothing with its `pos_weight`.

With label smoothing, a row's weight is that of its label: PyTorch's own arguments weight what smoothing gives to the other
labels by theirs, and so teach the classes of large weight in every row.
"""

import json
import math
import pathlib

import torch
from torch.nn import functional as F

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden"
TARGET = GOLDEN / "losses.json"
SOFT_TARGET = GOLDEN / "soft_losses.json"
MULTI_LABEL_TARGET = GOLDEN / "multi_label_losses.json"

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


def reverse_kl(student, teacher, labels, t, options):
    p, q = F.softmax(teacher / t, dim=-1), F.softmax(student / t, dim=-1)
    return t**2 * (q * (q.log() - p.log())).sum(-1).mean()


def js(student, teacher, labels, t, options):
    p, q = F.softmax(teacher / t, dim=-1), F.softmax(student / t, dim=-1)
    m = (p + q) / 2
    return t**2 * 0.5 * ((p * (p.log() - m.log())).sum(-1) + (q * (q.log() - m.log())).sum(-1)).mean()


def mse(student, teacher, labels, t, options):
    return F.mse_loss(student, teacher)


def dkd(student, teacher, labels, t, options):
    """As the authors write it (megvii-research/mdistiller, distillers/DKD.py), with the teacher's prediction as the
    target of a row without a label."""
    target = torch.where(labels == -100, teacher.argmax(-1), labels)
    gt_mask = torch.zeros_like(student).scatter_(1, target.unsqueeze(1), 1).bool()

    def cat_mask(p):
        return torch.cat([(p * gt_mask).sum(1, keepdims=True), (p * ~gt_mask).sum(1, keepdims=True)], dim=1)

    pred_student, pred_teacher = (cat_mask(F.softmax(z / t, dim=1)) for z in (student, teacher))
    tckd = F.kl_div(pred_student.log(), pred_teacher, reduction="sum") * t**2 / len(student)
    pred_teacher_part2 = F.softmax(teacher / t - 1000.0 * gt_mask, dim=1)
    log_pred_student_part2 = F.log_softmax(student / t - 1000.0 * gt_mask, dim=1)
    nckd = F.kl_div(log_pred_student_part2, pred_teacher_part2, reduction="sum") * t**2 / len(student)
    return options["dkd_alpha"] * tckd + options["dkd_beta"] * nckd


def dist(student, teacher, labels, t, options):
    """As the authors write it (hunto/DIST_KD, dist_kd.py)."""

    def cosine_similarity(x, y, eps=1e-8):
        return (x * y).sum(1) / (x.norm(dim=1) * y.norm(dim=1) + eps)

    def pearson_correlation(x, y):
        return cosine_similarity(x - x.mean(1).unsqueeze(1), y - y.mean(1).unsqueeze(1))

    y_s, y_t = (student / t).softmax(dim=1), (teacher / t).softmax(dim=1)
    inter = t**2 * (1 - pearson_correlation(y_s, y_t).mean())
    intra = t**2 * (1 - pearson_correlation(y_s.T, y_t.T).mean())
    return options["dist_beta"] * inter + options["dist_gamma"] * intra


def bce(student, teacher, labels, t, options):
    targets = torch.sigmoid(teacher / t)
    cross = F.binary_cross_entropy_with_logits(student / t, targets, reduction="none")
    entropy = F.binary_cross_entropy_with_logits(teacher / t, targets, reduction="none")
    return t**2 * (cross - entropy).sum(-1).mean()


def standardize(z):
    """As the authors write it (sunshangquan/logit-standardization-KD, distillers/KD.py)."""
    return (z - z.mean(dim=-1, keepdims=True)) / (1e-7 + z.std(dim=-1, keepdims=True))


def kl(student, teacher, labels, t, options):
    return F.kl_div(F.log_softmax(student / t, 1), F.softmax(teacher / t, 1), reduction="batchmean") * t**2


def hard(student, labels, options, is_bce):
    """The hard loss: summed over labelled rows, divided by all rows."""
    weights = options.get("class_weights")
    weights = None if weights is None else torch.tensor(weights, dtype=torch.float64)
    smoothing = options.get("label_smoothing", 0.0)
    known = labels != -100
    if not is_bce:
        by_row = F.cross_entropy(student[known], labels[known], reduction="none", label_smoothing=smoothing)
        summed = (by_row if weights is None else by_row * weights[labels[known]]).sum()
        if not smoothing:
            own = F.cross_entropy(student, labels, weight=weights, ignore_index=-100, reduction="sum")
            assert torch.isclose(own, summed, rtol=1e-12)
        return summed / len(student)
    targets = F.one_hot(labels[known], student.shape[1]).double() * (1 - smoothing) + smoothing / 2
    summed = F.binary_cross_entropy_with_logits(student[known], targets, weight=weights, reduction="sum")
    return summed / len(student)


SOFT = {"kl": kl, "reverse_kl": reverse_kl, "js": js, "mse": mse, "dkd": dkd, "dist": dist, "bce": bce}
WIDE = {
    "student_logits": [[0.3, -0.7, 1.1, 0.0], [2.0, 1.5, -2.0, 0.25], [-1.5, 0.25, 0.75, 4.0], [0.1, 0.2, 0.3, -3.0]],
    "teacher_logits": [[0.5, 0.0, 3.0, -1.0], [5.0, -5.0, 1.0, 0.0], [-1.5, 0.5, 1.75, 2.0], [4.0, 0.0, -0.5, 1.0]],
    "labels": [2, 1, None, 0],
}
SOFT_CASES = [
    *((f"{loss}_t{t:g}", loss, t, {}) for loss in SOFT if loss != "kl" for t in (1.0, 3.0)),
    ("dkd_weighted", "dkd", 4.0, {"dkd_alpha": 0.5, "dkd_beta": 2.0}),
    ("dist_by_row_only", "dist", 2.0, {"dist_gamma": 0.0}),
    ("dist_weighted", "dist", 2.0, {"dist_beta": 2.0, "dist_gamma": 0.5}),
    *((f"{loss}_standardized", loss, 2.0, {"standardize_logits": True}) for loss in ("kl", "reverse_kl", "js", "dkd")),
    ("smoothed", "kl", 2.0, {"label_smoothing": 0.1, "hard_weight": 1.0, "soft_weight": 0.0}),
    ("class_weights", "kl", 2.0, {"class_weights": [0.5, 2.0, 1.0, 0.0], "hard_weight": 0.4}),
    ("smoothed_with_class_weights", "js", 2.0, {"class_weights": [0.5, 2.0, 1.0, 3.0], "label_smoothing": 0.2}),
    ("bce_smoothed_with_class_weights", "bce", 2.0, {"class_weights": [0.5, 2.0, 1.0, 3.0], "label_smoothing": 0.2}),
]
OPTIONS = {"dkd_alpha": 1.0, "dkd_beta": 8.0, "dist_beta": 1.0, "dist_gamma": 1.0, "hard_weight": 0.3, "soft_weight": 0.7}


def soft_case(name, loss, temperature, changed):
    options = {**OPTIONS, **changed}
    student = torch.tensor(WIDE["student_logits"], dtype=torch.float64, requires_grad=True)
    teacher = torch.tensor(WIDE["teacher_logits"], dtype=torch.float64)
    labels = torch.tensor([-100 if label is None else label for label in WIDE["labels"]])
    zs, zt = (standardize(student), standardize(teacher)) if options.get("standardize_logits") else (student, teacher)
    soft = SOFT[loss](zs, zt, labels, temperature, options)
    total = options["hard_weight"] * hard(student, labels, options, loss == "bce") + options["soft_weight"] * soft
    total.backward()
    settings = {"loss": loss, "temperature": temperature, **options}
    return {
        "name": name,
        "settings": settings,
        **WIDE,
        "soft": soft.item(),
        "loss": total.item(),
        "grad_student_logits": student.grad.tolist(),
    }


# Rows of no, one, several and all classes, and one without labels.
MULTI_LABEL = {
    "student_logits": [
        [0.5, -2.0, 0.0, 1.5],
        [9.0, -9.0, 9.0, 0.25],
        [-0.75, 0.3, 2.0, -1.0],
        [1.0, -0.5, 0.1, 4.0],
        [-3.0, 0.2, 0.7, 30.0],
    ],
    "targets": [[1, 0, 1, 0], None, [0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 1, 0]],
}
# Counts of a training part: a rare label, a frequent one, one of no row, one of every row.
COUNTS = {"labelled": 20, "label_counts": [2, 16, 0, 20]}
POSITIVE = [9.0, 0.25, 1.0, 4.0]
MULTI_LABEL_CASES = [
    ("plain", {}),
    ("smoothed", {"label_smoothing": 0.1}),
    ("class_weights", {"class_weights": [0.5, 2.0, 0.0, 3.0]}),
    ("positive_weights", {"positive_weights": POSITIVE}),
    ("all_three", {"class_weights": [0.5, 2.0, 1.0, 3.0], "positive_weights": POSITIVE, "label_smoothing": 0.2}),
    ("balanced", {"counts": COUNTS}),
    ("balanced_smoothed", {"counts": COUNTS, "label_smoothing": 0.1}),
]


def balanced_positives(labelled, label_counts):
    """As BCEWithLogitsLoss' documentation says: rows without the label over rows with it; 1 where there are none."""
    return [(labelled - count) / count if 0 < count < labelled else 1.0 for count in label_counts]


def multi_label_case(name, options):
    student = torch.tensor(MULTI_LABEL["student_logits"], dtype=torch.float64, requires_grad=True)
    known = [place for place, targets in enumerate(MULTI_LABEL["targets"]) if targets is not None]
    smoothing = options.get("label_smoothing", 0.0)
    targets = torch.tensor([MULTI_LABEL["targets"][place] for place in known], dtype=torch.float64)
    tensor = lambda weights: None if weights is None else torch.tensor(weights, dtype=torch.float64)
    positive = options.get("positive_weights")
    if "counts" in options:
        positive = balanced_positives(**options["counts"])
    weight, positive = tensor(options.get("class_weights")), tensor(positive)
    smoothed = targets * (1 - smoothing) + smoothing / 2
    terms = F.binary_cross_entropy_with_logits(student[known], smoothed, weight=weight, reduction="none")
    if positive is not None:
        terms = terms * torch.where(targets == 1, positive, 1.0)
    if not smoothing:
        own = F.binary_cross_entropy_with_logits(
            student[known], targets, weight=weight, pos_weight=positive, reduction="sum")
        assert torch.isclose(own, terms.sum(), rtol=1e-12)
    loss = terms.sum() / len(student)
    loss.backward()
    settings = {"label_smoothing": smoothing, **options}
    return {"name": name, **settings, **MULTI_LABEL, "loss": loss.item(), "grad_student_logits": student.grad.tolist()}


def write(target, cases):
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps({"made_with": {"torch": torch.__version__}, "cases": cases}, indent=1) + "\n")
    print(f"{len(cases)} cases in {target}")


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
    write(TARGET, written)
    write(SOFT_TARGET, [soft_case(*case) for case in SOFT_CASES])
    write(MULTI_LABEL_TARGET, [multi_label_case(*case) for case in MULTI_LABEL_CASES])


if __name__ == "__main__":
    main()
