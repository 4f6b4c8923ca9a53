"""Exercises of lesson 02: Xavier initialization."""

import math
from itertools import combinations, pairwise, permutations

import torch
from torch import Tensor

from d2lstab.course.exercise import Exercise, Mistake
from d2lstab.course.exercises.lesson_02_further import FURTHER

__all__ = ["EXERCISES"]

# Exercise 1: what gradient descent cannot tell apart.


def _pairs(*parts: Tensor) -> list[list[int]]:
    """Pairs of units whose rows agree in every part."""
    units = range(len(parts[0]))
    return [
        [i, j]
        for i, j in combinations(units, 2)
        if all(bool((part[i] == part[j]).all()) for part in parts)
    ]


def _matrix(*rows: list[float]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


_ROWS = _matrix([1.0, 2.0], [1.0, 2.0], [0.5, 0.5], [1.0, 2.0], [0.5, 0.5])
_BIAS = torch.tensor([0.0, 0.0, 1.0, 1.0, 1.0], dtype=torch.float64)
_OUT = _matrix([3.0, 3.0, 1.0, 3.0, 2.0], [0.0, 0.0, 4.0, 0.0, 4.0])
_SAME_OUT = _matrix([1.0, 1.0, 1.0, 1.0, 1.0])

TWINS = Exercise(
    id="02-twins",
    title="Hidden units that gradient descent can never tell apart",
    inputs=(
        (_ROWS, _BIAS, _OUT),
        (_ROWS, _BIAS, _SAME_OUT),
        (_ROWS, torch.zeros(5, dtype=torch.float64), _OUT),
        (torch.full((3, 2), 0.05), torch.zeros(3), torch.full((4, 3), 0.05)),
        (_matrix([1.0], [2.0]), torch.zeros(2), _matrix([1.0, 1.0])),
    ),
    reference=lambda W1, b1, W2: _pairs(W1, b1, W2.T),
    mistakes=(
        Mistake(
            lambda W1, b1, W2: _pairs(W1, b1),
            "These units compute the same now. But if different weights lead out of them, "
            "different gradients come back, and they part at the first step.",
        ),
        Mistake(
            lambda W1, b1, W2: _pairs(W2.T),
            "These units are used alike by the output, but they compute different things: "
            "look at what leads into them too.",
        ),
        Mistake(
            lambda W1, b1, W2: _pairs(W1, W2.T),
            "The biases are missing: units with different biases compute different things.",
        ),
        Mistake(
            lambda W1, b1, W2: [
                [i, j]
                for i, j in permutations(range(len(W1)), 2)
                if [min(i, j), max(i, j)] in _pairs(W1, b1, W2.T)
            ],
            "Every pair stands there twice: list each with i < j only.",
        ),
    ),
    hints=(
        "Two units stay equal if they compute the same and receive the same gradient.",
        "Compare rows of W1, entries of b1 and columns of W2: all three have to agree.",
    ),
    solution="""
def twins(W1, b1, W2):
    # equal weights in: the same output; equal weights out: the same gradient
    hidden = len(W1)
    return [
        [i, j]
        for i in range(hidden)
        for j in range(i + 1, hidden)
        if (W1[i] == W1[j]).all() and b1[i] == b1[j] and (W2[:, i] == W2[:, j]).all()
    ]
""",
)

# Exercise 2: the tolerance law.


def _spread(n: int, layers: int, networks: float, phi: str) -> float:
    return math.sqrt({"linear": 2, "relu": 5}[phi] * layers / n / networks)


LOG_SPREAD = Exercise(
    id="02-log-spread",
    title="How far the average over independent networks scatters",
    inputs=(
        (100, 20, 64, 1, "relu"),
        (256, 30, 1000, 4, "linear"),
        (50, 2, 1, 25, "relu"),
        (64, 10, 500, 16, "linear"),
    ),
    reference=lambda n, layers, samples, networks, phi: _spread(n, layers, networks, phi),
    mistakes=(
        Mistake(
            lambda n, layers, samples, networks, phi: _spread(n, layers, networks * samples, phi),
            "The samples do not count as independent: they all pass through the same weights "
            "and stray together. Only independent networks average the scatter away.",
        ),
        Mistake(
            lambda n, layers, samples, networks, phi: _spread(n, layers, networks, "linear"),
            "This is the law without activation for both: a ReLU cuts half of the terms, and "
            "its relative variance per layer is 5/n.",
        ),
        Mistake(
            lambda n, layers, samples, networks, phi: _spread(n, layers, networks, phi) ** 2,
            "This is the variance: take the square root.",
        ),
        Mistake(
            lambda n, layers, samples, networks, phi: _spread(n, layers, 1, phi),
            "This is the scatter of one network; an average over independent ones scatters less.",
        ),
        Mistake(
            lambda n, layers, samples, networks, phi: _spread(n, layers, 1, phi) / networks,
            "Nearly: the standard deviation of an average falls with the square root of the "
            "number of networks.",
        ),
    ),
    hints=(
        "Start from (4) for one network. What does averaging over independent networks do to it?",
        "sqrt(2L/n) or sqrt(5L/n), divided by the square root of the number of networks; one of "
        "the arguments does not matter.",
    ),
    solution="""
def log_spread(n, layers, samples, networks, phi):
    # the samples share the weights, so their number does not appear
    relative_variance = {"linear": 2, "relu": 5}[phi] / n
    return math.sqrt(relative_variance * layers / networks)
""",
)

# Exercise 3: changing widths.


def _product(widths: list[int]) -> float:
    return math.prod(2 * a / (a + b) for a, b in pairwise(widths))


def _cycle(widths: list[int]) -> float:
    return _product([*widths, widths[0]])


CYCLE = Exercise(
    id="02-cycle",
    title="What Xavier does to the mean square in one cycle of widths",
    inputs=(
        ([64, 256],),
        ([10, 20, 30],),
        ([100, 100, 100],),
        ([784, 256, 64, 256],),
        ([50, 10, 40],),
    ),
    reference=_cycle,
    mistakes=(
        Mistake(
            _product,
            "The cycle is not closed: the last width leads back to the first.",
        ),
        Mistake(
            lambda widths: 1.0,
            "Xavier keeps the mean square only where neighboring widths are equal.",
        ),
        Mistake(
            lambda widths: math.sqrt(_cycle(widths)),
            "This is the factor of the norm: the mean square was asked for.",
        ),
        Mistake(
            lambda widths: _cycle(widths) ** 2,
            "Every change of width counts twice here: 4ab/(a+b)^2 belongs to two layers, "
            "there and back.",
        ),
        Mistake(
            lambda widths: _cycle(widths) / 2 ** len(widths),
            "A 2 is missing in each layer: Xavier's variance is 2 over the sum of the widths.",
        ),
    ),
    hints=(
        "By (3), the layer from a to b units multiplies the mean square by a times the variance.",
        "Multiply 2a/(a+b) over all neighbors of the cycle, the last and the first included.",
    ),
    solution="""
def cycle_factor(widths):
    # each layer a -> b multiplies by a * 2/(a+b); the last leads back to the first
    factor = 1.0
    for a, b in zip(widths, widths[1:] + widths[:1]):
        factor *= 2 * a / (a + b)
    return factor
""",
)

# Exercise 4: He's argument for another activation.

LEAKY = Exercise(
    id="02-leaky",
    title="The standard deviation that keeps the mean square of a leaky ReLU layer",
    inputs=((100, 0.0), (100, 1.0), (256, 0.1), (64, 0.25), (7, 0.01)),
    reference=lambda fan_in, slope: math.sqrt(2 / ((1 + slope**2) * fan_in)),
    mistakes=(
        Mistake(
            lambda fan_in, slope: math.sqrt(2 / fan_in),
            "This is He's value for ReLU: the negative half is not lost here, only smaller.",
        ),
        Mistake(
            lambda fan_in, slope: 2 / ((1 + slope**2) * fan_in),
            "This is the variance: the standard deviation was asked for.",
        ),
        Mistake(
            lambda fan_in, slope: math.sqrt(2 / ((1 + slope) * fan_in)),
            "The slope enters the mean square, so it has to be squared.",
        ),
        Mistake(
            lambda fan_in, slope: math.sqrt(1 / ((1 + slope**2) * fan_in)),
            "A half is missing: positive and negative pre-activations each come half of the time.",
        ),
        Mistake(
            lambda fan_in, slope: 1 / math.sqrt(fan_in),
            "This keeps the mean square without an activation, that is for slope 1.",
        ),
    ),
    hints=(
        "What is the mean square of the activation, if z is symmetric about 0 with mean square q?",
        "It is q (1 + slope^2) / 2. Choose the variance so that fan_in times it gives back q.",
    ),
    solution="""
def leaky_std(fan_in, slope):
    # half of the pre-activations keep their square, half have it times slope^2
    kept = (1 + slope**2) / 2
    return math.sqrt(1 / (kept * fan_in))
""",
)

EXERCISES = (TWINS, LOG_SPREAD, CYCLE, LEAKY, *FURTHER)
