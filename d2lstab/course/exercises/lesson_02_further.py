"""Exercises of lesson 02's further part: a stack of convolutions, and scales by measurement."""

from collections.abc import Callable

import torch
from torch import Tensor

from d2lstab.course.exercise import Exercise, Mistake

__all__ = ["FURTHER"]

# Exercise 5: He et al.'s argument, turned into a cure.


def _stds(filters: list[int], places: float, kept: float = 0.5, power: float = 0.5) -> list[float]:
    return [(1 / (kept * places * d)) ** power for d in filters]


_VGG = [64, 128, 128, 256, 256, 512, 512, 512, 512]

CONV_STDS = Exercise(
    id="02-conv-stds",
    title="Weights that keep the gradient through a stack of convolutions with ReLU",
    inputs=(
        (64, _VGG, 3),
        (3, [64], 3),
        (10, [100, 50], 5),
        (32, [32, 64, 16], 3),
        (1, [8], 1),
    ),
    reference=lambda channels, filters, kernel: _stds(filters, kernel**2),
    mistakes=(
        Mistake(
            lambda channels, filters, kernel: _stds(filters, kernel**2, power=1.0),
            "These are the variances: take the root.",
        ),
        Mistake(
            lambda channels, filters, kernel: _stds(filters, kernel**2, kept=1.0),
            "The ReLU is missing: it lets half of the squared gradient through, and the weights "
            "must give it back.",
        ),
        Mistake(
            lambda channels, filters, kernel: _stds(filters, kernel),
            "A filter has kernel times kernel places, so that many of its weights meet each pixel.",
        ),
        Mistake(
            lambda channels, filters, kernel: _stds(filters, 1),
            "The filters' size is missing: each pixel is seen by kernel times kernel places of "
            "every filter.",
        ),
        Mistake(
            lambda channels, filters, kernel: _stds([channels, *filters[:-1]], kernel**2),
            "This is the forward condition: it counts the channels that come in. On its way back "
            "the gradient is a sum over the layer's own filters.",
        ),
    ),
    hints=(
        "How many outputs of a layer does each input reach? These take the place of n in (5).",
        "Each layer multiplies the squared gradient by kernel^2 * d * std^2 / 2. Make that 1; one "
        "of the arguments does not matter.",
    ),
    solution="""
def conv_stds(channels, filters, kernel):
    # (5) with kernel^2 * d outputs per input, and a half for the ReLU, shall be 1
    return [math.sqrt(2 / (kernel**2 * d)) for d in filters]
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

FURTHER = (CONV_STDS, UNIT_SCALES)
