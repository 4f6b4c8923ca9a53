"""Exercise 4 of lesson 01: one learning rate for each layer."""

import math

import torch
from torch import Tensor

from d2lstab.course.exercise import Exercise, Mistake

__all__ = ["LAYER_RATES"]


def _rates(
    weights: list[Tensor], gradients: list[Tensor], step: float, power: float = 1.0
) -> list[float]:
    pairs = zip(weights, gradients, strict=True)
    return [step * float(w.norm() / g.norm()) ** power for w, g in pairs]


def _joint(tensors: list[Tensor]) -> float:
    return math.sqrt(sum(float(t.square().sum()) for t in tensors))


def _matrix(*rows: list[float]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


_WEIGHTS = [_matrix([3.0, 4.0], [0.0, 0.0]), _matrix([1.0, -1.0], [2.0, 0.5])]
_GRADIENTS = [_matrix([1e-4, 0.0], [-3e-4, 2e-4]), _matrix([0.5, -1.0], [0.25, 1.5])]

LAYER_RATES = Exercise(
    id="01-layer-rates",
    title="A learning rate for each layer, so that all move by the same share of their size",
    inputs=(
        (_WEIGHTS, _GRADIENTS, 0.01),
        (_GRADIENTS, _WEIGHTS, 0.1),
        ([_WEIGHTS[1]], [_GRADIENTS[1]], 1.0),
        ([*_WEIGHTS, _matrix([0.1, 0.2, 0.2])], [*_GRADIENTS, _matrix([6.0, 0.0, 8.0])], 0.5),
    ),
    reference=_rates,
    mistakes=(
        Mistake(
            lambda weights, gradients, step: _rates(weights, gradients, step, power=-1.0),
            "The ratio is turned around: a layer with a small gradient needs a large rate.",
        ),
        Mistake(
            lambda weights, gradients, step: _rates(weights, gradients, 1.0),
            "With these rates every layer moves by its whole size: `step` is missing.",
        ),
        Mistake(
            lambda weights, gradients, step: _rates(weights, gradients, step, power=2.0),
            "These are ratios of squared norms: take the root.",
        ),
        Mistake(
            lambda weights, gradients, step: [step / float(g.norm()) for g in gradients],
            "With these rates every layer moves by the same length. The share is one of the "
            "layer's own size: multiply by the norm of its weights.",
        ),
        Mistake(
            lambda weights, gradients, step: (
                [step * _joint(weights) / _joint(gradients)] * len(weights)
            ),
            "This is one rate for all layers, from the norms over all of them. Each layer has "
            "norms of its own.",
        ),
        Mistake(
            lambda weights, gradients, step: [
                step * float(w.abs().max() / g.abs().max())
                for w, g in zip(weights, gradients, strict=True)
            ],
            "Here a matrix is as large as its largest entry. Its size, as in the text, is the "
            "norm: the root of the sum of all squares.",
        ),
    ),
    hints=(
        "One step changes a layer by -rate * gradient. How long is that?",
        "rate * gradient.norm() shall be step * weight.norm(), for each layer by itself.",
    ),
    solution="""
def layer_rates(weights, gradients, step):
    # a step moves a layer by rate * |g|; this shall be step * |W|
    return [step * float(W.norm() / g.norm()) for W, g in zip(weights, gradients)]
""",
)
