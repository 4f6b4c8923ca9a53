"""Exercises of lesson 02's further part: a stack of convolutions, and scales by measurement."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from d2lstab.course.exercise import Exercise, Mistake

__all__ = ["FURTHER"]

# Exercise 5: He et al.'s argument.


def _shrink(filters: list[int], inputs: float, std: float, half: float = 0.5) -> float:
    return math.prod(math.sqrt(half * inputs * d) * std for d in filters)


_VGG = [64, 128, 128, 256, 256, 512, 512, 512, 512]

GRADIENT_SHRINK = Exercise(
    id="02-gradient-shrink",
    title="How the gradient changes through a stack of convolutions with ReLU",
    inputs=(
        (_VGG, 3, 0.01),
        ([64], 3, 0.01),
        ([100, 50], 5, 0.02),
        ([32, 32, 32], 3, 0.1),
        ([8], 1, 0.5),
    ),
    reference=lambda filters, kernel, std: _shrink(filters, kernel**2, std),
    mistakes=(
        Mistake(
            lambda filters, kernel, std: _shrink(filters, kernel**2, std) ** 2,
            "This is the factor of the squared gradient: its size changes by the square root.",
        ),
        Mistake(
            lambda filters, kernel, std: _shrink(filters, kernel**2, std, half=1.0),
            "The ReLU is missing: it lets half of the squared gradient through.",
        ),
        Mistake(
            lambda filters, kernel, std: _shrink(filters, kernel, std),
            "A filter has kernel times kernel places, so that many of its weights meet each pixel.",
        ),
        Mistake(
            lambda filters, kernel, std: _shrink(filters, 1, std),
            "The filters' size is missing: each pixel is seen by kernel times kernel places of "
            "every filter.",
        ),
        Mistake(
            lambda filters, kernel, std: 1 / _shrink(filters, kernel**2, std),
            "Turned around: this is how many times smaller it becomes.",
        ),
    ),
    hints=(
        "How many outputs of a layer does each input reach? These take the place of n in (5).",
        "Each layer multiplies the squared gradient by kernel^2 * d * std^2 / 2; take the root.",
    ),
    solution="""
def gradient_shrink(filters, kernel, std):
    # (5) with kernel^2 * d outputs per input, and a half for the ReLU
    squared = 1.0
    for d in filters:
        squared *= 0.5 * kernel**2 * d * std**2
    return math.sqrt(squared)
""",
)

# Exercise 6: an initialization by measurement.


def _mean_square(z: Tensor) -> float:
    return float(z.square().mean())


def _scales(
    weights: list[Tensor],
    x: Tensor,
    *,
    size: Callable[[Tensor], float] = _mean_square,
    power: float = -0.5,
    relu: bool = True,
    passed_on: bool = True,
) -> list[float]:
    """The scales, with everything that can be mistaken as an argument."""
    found = []
    for weight in weights:
        z = x @ weight.T
        found.append(size(z) ** power)
        z = z * found[-1] if passed_on else z
        x = torch.relu(z) if relu else z
    return found


def _drawn(seed: int, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


UNIT_SCALES = Exercise(
    id="02-unit-scales",
    title="Scales that give every pre-activation the mean square 1 on a batch",
    inputs=(
        ([_drawn(1, 8, 4), _drawn(2, 8, 8), _drawn(3, 3, 8)], _drawn(4, 16, 4) + 1.0),
        ([0.01 * _drawn(5, 6, 5), 20 * _drawn(6, 6, 6)], _drawn(7, 10, 5).abs()),
        ([_drawn(8, 5, 3)], 3 * _drawn(9, 12, 3) - 1.0),
    ),
    reference=_scales,
    mistakes=(
        Mistake(
            lambda weights, x: _scales(weights, x, passed_on=False),
            "Every factor is measured on the unscaled network: once the first layer is scaled, "
            "the second sees another input.",
        ),
        Mistake(
            lambda weights, x: _scales(weights, x, size=lambda z: float(z.var(correction=0))),
            "This makes the variance 1. The mean square counts, and after a ReLU, or with a batch "
            "that is not centered, it is larger.",
        ),
        Mistake(
            lambda weights, x: _scales(weights, x, relu=False),
            "The ReLU between the layers is missing.",
        ),
        Mistake(
            lambda weights, x: _scales(weights, x, power=-1.0),
            "A weight's factor enters the mean square squared: take the root.",
        ),
        Mistake(
            lambda weights, x: _scales(weights, x, power=0.5, passed_on=False),
            "This is what the sizes are; the factors that bring them to 1 are their inverses, "
            "one layer after the other.",
        ),
    ),
    hints=(
        "Go through the layers once, from the input on, and keep the scaled output.",
        "z = x @ W.T; factor = z.square().mean() ** -0.5; x = relu(factor * z).",
    ),
    solution="""
def unit_scales(weights, x):
    factors = []
    for W in weights:
        z = x @ W.T
        factors.append(float(z.square().mean() ** -0.5))
        # the next layer sees the scaled output
        x = torch.relu(factors[-1] * z)
    return factors
""",
)

FURTHER = (GRADIENT_SHRINK, UNIT_SCALES)
