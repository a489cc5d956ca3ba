#!/usr/bin/env python3
"""Writes the golden figures that distill-report is tested against, computed by scikit-learn.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install scikit-learn==1.9.1
    /tmp/venv/bin/python scripts/goldens/report.py

Every case is a table of logits and labels: random ones of several widths, imbalanced, perfect, always
wrong, with equal rows (ties), with labels that occur nowhere or are only predicted. A metric that
scikit-learn leaves undefined is null.
"""

import json
import warnings
from pathlib import Path

import numpy as np
from scipy import stats
from sklearn import metrics as m
from sklearn.preprocessing import label_binarize

GOLDEN = Path(__file__).resolve().parents[2] / "crates/distill-report/tests/golden"
BINS = 15


def softmax(logits):
    shifted = logits - logits.max(axis=1, keepdims=True)
    exp = np.exp(shifted)
    return exp / exp.sum(axis=1, keepdims=True)


def reliability(confidence, correct):
    """ECE and MCE of Guo et al. 2017: 15 bins of equal width, (low, high]."""
    edges = np.linspace(0, 1, BINS + 1)
    ece, mce = 0.0, 0.0
    for low, high in zip(edges[:-1], edges[1:]):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            gap = abs(correct[inside].mean() - confidence[inside].mean())
            ece += gap * inside.mean()
            mce = max(mce, gap)
    return ece, mce


def best_temperature(logits, labels):
    """Halving in log(1/T) on the slope of the log-loss, between T = 0.01 and 100."""
    def slope(log_inverse):
        probabilities = softmax(logits * np.exp(log_inverse))
        return ((probabilities * logits).sum(axis=1) - logits[np.arange(len(labels)), labels]).sum()

    low, high = np.log(0.01), np.log(100)
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return float(np.exp(-(low + high) / 2))


def expected(logits, labels):
    width = logits.shape[1]
    every = list(range(width))
    probabilities = softmax(logits)
    predicted = logits.argmax(axis=1)
    out = {
        "accuracy": m.accuracy_score(labels, predicted),
        "balanced_accuracy": m.balanced_accuracy_score(labels, predicted),
        "mcc": m.matthews_corrcoef(labels, predicted),
        "cohen_kappa": m.cohen_kappa_score(labels, predicted),
        "log_loss": m.log_loss(labels, probabilities, labels=every),
        "brier": m.brier_score_loss(labels, probabilities, labels=every)
        if width > 2
        else m.brier_score_loss(labels, probabilities[:, 1], pos_label=1),
    }
    for average in ("macro", "micro", "weighted"):
        for name, value in zip(
            ("precision", "recall", "f1"),
            m.precision_recall_fscore_support(labels, predicted, average=average, zero_division=0),
        ):
            out[f"{average}_{name}"] = value
    for k in (3, 5):
        if width > k:
            out[f"top_{k}"] = m.top_k_accuracy_score(labels, logits, k=k, labels=every)
    if width == 2:
        out["roc_auc"] = m.roc_auc_score(labels, probabilities[:, 1])
        out["average_precision"] = m.average_precision_score(labels, probabilities[:, 1])
    else:
        # One-vs-rest over the classes that have rows; scikit-learn itself asks that every class has.
        present = sorted(set(labels.tolist()))
        onehot = label_binarize(labels, classes=every)[:, present]
        scores = probabilities[:, present]
        out["roc_auc"] = m.roc_auc_score(onehot, scores, average="macro")
        out["roc_auc_weighted"] = m.roc_auc_score(onehot, scores, average="weighted")
        out["average_precision"] = m.average_precision_score(onehot, scores, average="macro")
        if len(present) == width:
            ovr = m.roc_auc_score(labels, probabilities, multi_class="ovr", average="macro")
            assert abs(ovr - out["roc_auc"]) < 1e-12
    correct = (predicted == labels).astype(float)
    out["ece"], out["mce"] = reliability(probabilities.max(axis=1), correct)
    temperature = best_temperature(logits, labels)
    out["ece_scaled"], _ = reliability(softmax(logits / temperature).max(axis=1), correct)
    out = {name: None if np.isnan(value) else float(value) for name, value in out.items()}
    precision, recall, f1, support = m.precision_recall_fscore_support(
        labels, predicted, labels=every, zero_division=0
    )
    classes = [
        {"precision": float(p), "recall": float(r), "f1": float(f), "support": int(s)}
        for p, r, f, s in zip(precision, recall, f1, support)
    ]
    return {
        "metrics": out,
        "temperature": temperature,
        "classes": classes,
        "confusion": m.confusion_matrix(labels, predicted, labels=every).tolist(),
    }


def case(name, logits, labels):
    logits = np.float32(np.round(logits, 3)).astype(np.float64)
    labels = np.asarray(labels)
    return {
        "name": name,
        "num_labels": logits.shape[1],
        "labels": labels.tolist(),
        "logits": [round(float(x), 3) for x in logits.ravel()],
        **expected(logits, labels),
    }


def informed(rng, labels, width, strength, scale=1.0):
    logits = rng.normal(size=(len(labels), width))
    logits[np.arange(len(labels)), labels] += strength
    return logits * scale


def cases():
    rng = np.random.default_rng(20240601)
    for width, rows in ((2, 80), (3, 80), (4, 60), (7, 60)):
        labels = rng.integers(0, width, rows)
        yield case(f"random, {width} labels", rng.normal(size=(rows, width)), labels)
        yield case(f"informed, {width} labels", informed(rng, labels, width, 2.0, 1.5), labels)
    labels = rng.choice(5, size=80, p=[0.8, 0.1, 0.05, 0.03, 0.02])
    labels[:5] = range(5)
    yield case("imbalanced", informed(rng, labels, 5, 1.0), labels)
    labels = np.array([0, 1, 2] * 8)
    yield case("perfect and sure", informed(rng, labels, 3, 30.0), labels)
    yield case("always wrong and sure", informed(rng, (labels + 1) % 3, 3, 60.0), labels)
    yield case("always the first label", np.tile([3.0, 0.0, 0.0], (24, 1)), labels)
    labels = rng.choice([0, 2, 3], size=40)
    yield case("labels 1 and 4 have no rows", informed(rng, labels, 5, 1.0), labels)
    yield case("labels 1 and 4 occur nowhere", informed(rng, labels, 5, 1.0) - [0, 50, 0, 0, 50], labels)
    patterns = rng.normal(size=(4, 3)) * 2
    yield case("few distinct rows", patterns[rng.integers(0, 4, 60)], rng.integers(0, 3, 60))
    yield case("all rows equal", np.zeros((20, 4)), np.arange(20) % 4)
    tied = np.repeat([[1.0, 1.0, 0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0, 1.0, 0.0]], 12, axis=0)
    yield case("ties within rows", tied, np.arange(24) % 6)
    yield case("two rows", np.array([[0.2, 0.1], [0.3, 0.4]]), [0, 1])


def multi_label_case(name, logits, targets):
    logits = np.float32(np.round(logits, 3)).astype(np.float64)
    targets = np.asarray(targets).astype(int)
    predicted = (logits > 0).astype(int)
    probabilities = 1 / (1 + np.exp(-logits))
    out = {
        "subset_accuracy": m.accuracy_score(targets, predicted),
        "hamming_loss": m.hamming_loss(targets, predicted),
        "log_loss": np.mean([m.log_loss(t, p, labels=[0, 1]) for t, p in zip(targets.T, probabilities.T)]),
    }
    for average in ("micro", "macro", "weighted", "samples"):
        shares = m.precision_recall_fscore_support(targets, predicted, average=average, zero_division=0)
        out[average] = dict(zip(("precision", "recall", "f1"), map(float, shares)))
    # Over the labels that some rows have and others have not; scikit-learn has no ROC AUC for the rest.
    both = [c for c in range(targets.shape[1]) if 0 < targets[:, c].sum() < len(targets)]
    out["roc_auc"] = m.roc_auc_score(targets[:, both], logits[:, both], average="macro") if both else None
    out["average_precision"] = (
        m.average_precision_score(targets[:, both], logits[:, both], average="macro") if both else None
    )
    figures = {k: v if isinstance(v, dict) or v is None else float(v) for k, v in out.items()}
    return {
        "name": name,
        "num_labels": logits.shape[1],
        "logits": [round(float(x), 3) for x in logits.ravel()],
        "targets": [bool(x) for x in targets.ravel()],
        "figures": figures,
    }


def multi_label_cases():
    rng = np.random.default_rng(7)
    targets = rng.random((40, 5)) < 0.3
    yield multi_label_case("random", rng.normal(size=(40, 5)), targets)
    yield multi_label_case("informed", rng.normal(size=(40, 5)) + 2.0 * targets - 1.0, targets)
    sparse = targets & (np.arange(5) % 2 == 0)
    yield multi_label_case("labels that no row has", rng.normal(size=(40, 5)) + 2.0 * sparse - 1.0, sparse)
    yield multi_label_case("nothing predicted", -np.ones((20, 3)), rng.random((20, 3)) < 0.5)
    yield multi_label_case("nothing so", rng.normal(size=(20, 3)), np.zeros((20, 3)))
    yield multi_label_case("few distinct logits", rng.integers(-1, 2, size=(30, 3)), rng.random((30, 3)) < 0.5)


def regression_case(name, values, targets):
    values, targets = (np.float32(np.round(x, 3)).astype(np.float64) for x in (values, targets))
    constant = len(set(values)) == 1 or len(set(targets)) == 1
    figures = {
        "mse": m.mean_squared_error(targets, values),
        "rmse": m.root_mean_squared_error(targets, values),
        "mae": m.mean_absolute_error(targets, values),
        "max_error": m.max_error(targets, values),
        "r2": m.r2_score(targets, values),
        "explained_variance": m.explained_variance_score(targets, values),
        "pearson": None if constant else stats.pearsonr(values, targets).statistic,
        "spearman": None if constant else stats.spearmanr(values, targets).statistic,
    }
    return {
        "name": name,
        "values": [round(float(x), 3) for x in values],
        "targets": [round(float(x), 3) for x in targets],
        "figures": {k: None if v is None else float(v) for k, v in figures.items()},
    }


def regression_cases():
    rng = np.random.default_rng(8)
    targets = rng.normal(size=50)
    yield regression_case("random", rng.normal(size=50), targets)
    yield regression_case("informed", targets + 0.3 * rng.normal(size=50) + 0.5, targets)
    yield regression_case("ties", rng.integers(0, 4, 50), rng.integers(0, 4, 50))
    yield regression_case("perfect", targets, targets)
    yield regression_case("constant values", np.zeros(20), targets[:20])
    yield regression_case("constant targets", targets[:20], np.ones(20))
    yield regression_case("constant and met", np.ones(5), np.ones(5))


def write(name, cases):
    lines = ",\n".join(json.dumps(case) for case in cases)
    (GOLDEN / name).write_text(f"[\n{lines}\n]\n")


def main():
    warnings.simplefilter("ignore")
    GOLDEN.mkdir(parents=True, exist_ok=True)
    write("metrics.json", cases())
    write("multi_label.json", multi_label_cases())
    write("regression.json", regression_cases())


if __name__ == "__main__":
    main()
