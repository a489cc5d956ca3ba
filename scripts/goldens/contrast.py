"""Writes contrast.json in tests/golden: the contrastive loss of SimCSE and its gradients on small vectors, in f64.

    scripts/goldens/setup-venv && .venv/bin/python scripts/goldens/contrast.py

`nn.CosineSimilarity` over all pairs, divided by the temperature, then `CrossEntropyLoss` with each sequence's own number as
its class, as in the authors' code (princeton-nlp/SimCSE, `cl_forward` in `simcse/models.py`).
"""

import json
import pathlib

import torch
from torch import nn

TARGET = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden" / "contrast.json"
TEMPERATURE = 0.05


def case(rows, width, seed):
    torch.manual_seed(seed)
    first = torch.randn(rows, width, dtype=torch.float64, requires_grad=True)
    second = (first + 0.3 * torch.randn(rows, width, dtype=torch.float64)).detach().requires_grad_(True)
    similar = nn.CosineSimilarity(dim=-1)(first.unsqueeze(1), second.unsqueeze(0)) / TEMPERATURE
    loss = nn.CrossEntropyLoss()(similar, torch.arange(rows))
    loss.backward()
    named = {"first": first, "second": second, "first_gradient": first.grad, "second_gradient": second.grad}
    return {"loss": loss.item()} | {name: tensor.tolist() for name, tensor in named.items()}


def main():
    cases = [case(2, 3, 1), case(5, 4, 2), case(8, 16, 3)]
    TARGET.write_text(json.dumps({"made_with": torch.__version__, "cases": cases}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
