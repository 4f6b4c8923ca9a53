"""Exercises of lesson 03's further part: what ReLU networks build."""

import math
from itertools import pairwise

from d2lstab.course.exercise import Exercise, Mistake

__all__ = ["FURTHER"]

# Exercise 5: a polygon from ReLUs.


def _bends(values: list[float], scale: float) -> list[float]:
    inner = zip(values, values[1:], values[2:], strict=False)
    return [scale * (values[1] - values[0])] + [scale * (c - 2 * b + a) for a, b, c in inner]


def _slopes(values: list[float]) -> list[float]:
    n = len(values) - 1
    return [n * (b - a) for a, b in pairwise(values)]


RELU_WEIGHTS = Exercise(
    id="03-relu-weights",
    title="Output weights of a ReLU layer that passes through given points",
    inputs=(
        ([0.0, 0.25, 1.0],),
        ([0.0, 1.0, 0.0, 1.0, 0.0],),
        ([0.0, 0.3, 0.5, 2.0],),
        ([0.0, -2.0],),
    ),
    reference=lambda values: _bends(values, len(values) - 1),
    mistakes=(
        Mistake(
            _slopes,
            "These are the slopes of the pieces. The units to the left go on rising, so each new "
            "unit has to add only the change of slope.",
        ),
        Mistake(
            lambda values: _bends(values, 1.0),
            "The spacing is missing: a slope is a difference of values over 1/N, so times N.",
        ),
        Mistake(
            lambda values: _bends(values, (len(values) - 1) ** 2),
            "Divided by the spacing twice: that is a second derivative, but a weight is a change "
            "of slope.",
        ),
        Mistake(
            lambda values: [float(v) for v in values[1:]],
            "These are the values themselves, as if each unit rose in its own interval only. "
            "A ReLU rises for ever.",
        ),
    ),
    hints=(
        "Left of 1/N only the first unit is awake. At each later kink the slope changes by a_k.",
        "a_0 = N f(1/N), and a_k = N (f((k+1)/N) - 2 f(k/N) + f((k-1)/N)).",
    ),
    solution="""
def relu_weights(values):
    n = len(values) - 1
    first = n * (values[1] - values[0])  # the slope of the first piece
    # every later unit adds the change of slope at its kink
    return [first] + [n * (values[k + 1] - 2 * values[k] + values[k - 1]) for k in range(1, n)]
""",
)

# Exercise 6: width against depth.


def _width(epsilon: float) -> int:
    return math.ceil(1 / (2 * math.sqrt(epsilon)))


def _depth(epsilon: float) -> int:
    return math.ceil((-math.log2(epsilon) - 2) / 2)


SIZE_NEEDED = Exercise(
    id="03-size-needed",
    title="Units of one layer, and layers, for a given error on x^2",
    inputs=((0.05,), (0.007,), (2e-4,), (3e-6,), (5e-9,)),
    reference=lambda epsilon: [_width(epsilon), _depth(epsilon)],
    mistakes=(
        Mistake(
            lambda epsilon: [_depth(epsilon), _width(epsilon)],
            "The two numbers are exchanged: first the units of the flat network, then the layers.",
        ),
        Mistake(
            lambda epsilon: [_width(epsilon) - 1, _depth(epsilon) - 1],
            "Rounded down: with one less the error is just above epsilon.",
        ),
        Mistake(
            lambda epsilon: [math.ceil(1 / (4 * epsilon)), _depth(epsilon)],
            "The error of the flat network falls with the square of N: take the root.",
        ),
        Mistake(
            lambda epsilon: [math.ceil(1 / math.sqrt(8 * epsilon)), _depth(epsilon)],
            "This is the polygon that was lowered by half of its error. "
            "The question is about the one that was not.",
        ),
        Mistake(
            lambda epsilon: [_width(epsilon), math.ceil(-math.log2(epsilon) - 2)],
            "Each layer divides the error by 4, not by 2.",
        ),
    ),
    hints=(
        "Solve 1 / (4 N^2) <= epsilon for N and 2^-(2m+2) <= epsilon for m, and round up.",
        "N = ceil(1 / (2 sqrt(epsilon))), m = ceil((log2(1/epsilon) - 2) / 2).",
    ),
    solution="""
def size_needed(epsilon):
    import math
    units = math.ceil(1 / (2 * math.sqrt(epsilon)))
    layers = math.ceil((math.log2(1 / epsilon) - 2) / 2)
    return [units, layers]
""",
)

FURTHER = (RELU_WEIGHTS, SIZE_NEEDED)
