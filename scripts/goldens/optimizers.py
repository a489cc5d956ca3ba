"""Writes tests/golden/optimizers.json: weights after each of six steps of Adam, SGD, Lion and LAMB, in f64.

    scripts/goldens/setup-venv && .venv/bin/python scripts/goldens/optimizers.py

The loss is `Σ c · (w − target)² / 2` over two tensors, of which the bias does not decay. Adam and SGD are
`torch.optim`'s; Lion and LAMB are transcribed from their papers (arXiv:2302.06675, program 1; arXiv:1904.00962,
algorithm 2), as PyTorch has neither.
"""

import json
import pathlib

import torch

TARGET = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden" / "optimizers.json"
STEPS, RATE, DECAY, MOMENTUM = 6, 0.05, 0.1, 0.9
START = {"layer.weight": [0.9, -1.7, 0.05, 2.5], "layer.bias": [0.3, -0.2]}
GOAL = {"layer.weight": [0.0, 1.0, -1.0, 2.0], "layer.bias": [1.0, 1.0]}
CURVATURE = {"layer.weight": [1.0, 0.2, 3.0, 0.01], "layer.bias": [0.5, 2.0]}


def tensors(values):
    return {name: torch.tensor(value, dtype=torch.float64) for name, value in values.items()}


def gradients(weights):
    goal, curvature = tensors(GOAL), tensors(CURVATURE)
    return {name: curvature[name] * (weights[name] - goal[name]) for name in weights}


def by_torch(make):
    weights = {name: torch.nn.Parameter(value) for name, value in tensors(START).items()}
    groups = [
        {"params": [weights["layer.weight"]], "weight_decay": DECAY},
        {"params": [weights["layer.bias"]], "weight_decay": 0.0},
    ]
    optimizer, course = make(groups), []
    for _ in range(STEPS):
        for name, gradient in gradients({name: w.detach() for name, w in weights.items()}).items():
            weights[name].grad = gradient
        optimizer.step()
        course.append({name: w.tolist() for name, w in weights.items()})
    return course


def by_hand(update):
    weights, state, course = tensors(START), {name: {} for name in START}, []
    for step in range(1, STEPS + 1):
        for name, gradient in gradients(weights).items():
            decay = DECAY if name.endswith("weight") else 0.0
            weights[name] = update(weights[name], gradient, state[name], decay, step)
        course.append({name: w.tolist() for name, w in weights.items()})
    return course


def lion(w, g, state, decay, step):
    m = state.get("m", torch.zeros_like(w))
    update = torch.sign(0.9 * m + 0.1 * g)
    state["m"] = 0.99 * m + 0.01 * g
    return w - RATE * (update + decay * w)


def lamb(w, g, state, decay, step):
    m = state["m"] = 0.9 * state.get("m", torch.zeros_like(w)) + 0.1 * g
    v = state["v"] = 0.999 * state.get("v", torch.zeros_like(w)) + 0.001 * g**2
    r = (m / (1 - 0.9**step)) / ((v / (1 - 0.999**step)).sqrt() + 1e-6)
    update = r + decay * w
    return w - RATE * w.norm() / update.norm() * update


def main():
    courses = {
        "adam": by_torch(lambda groups: torch.optim.Adam(groups, lr=RATE)),
        "sgd": by_torch(lambda groups: torch.optim.SGD(groups, lr=RATE, momentum=MOMENTUM)),
        "lion": by_hand(lion),
        "lamb": by_hand(lamb),
    }
    document = {
        "made_with": {"torch": torch.__version__},
        "learning_rate": RATE,
        "weight_decay": DECAY,
        "momentum": MOMENTUM,
        "start": START,
        "goal": GOAL,
        "curvature": CURVATURE,
        "courses": courses,
    }
    TARGET.write_text(json.dumps(document, indent=1) + "\n")
    print(f"{len(courses)} optimizers in {TARGET}")


if __name__ == "__main__":
    main()
