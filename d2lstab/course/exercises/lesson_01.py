"""Exercises of lesson 01: exploding and vanishing gradients."""

import math
from itertools import pairwise

import torch
from scipy.special import digamma
from torch import Tensor

from d2lstab.course.exercise import Exercise, Mistake
from d2lstab.course.exercises.lesson_01_further import FURTHER
from d2lstab.course.exercises.lesson_01_rates import LAYER_RATES

__all__ = ["EXERCISES"]


def _product(factors: list[Tensor], width: int) -> Tensor:
    result = torch.eye(width, dtype=torch.float64)
    for factor in factors:
        result = factor @ result
    return result


def _between(jacobians: list[Tensor], t: int) -> Tensor:
    return _product(jacobians[t:], jacobians[t].shape[1])


def _reversed(jacobians: list[Tensor], t: int) -> Tensor:
    return _product(jacobians[t:][::-1], jacobians[-1].shape[1])


def _one_too_many(jacobians: list[Tensor], t: int) -> Tensor:
    return _product(jacobians[t - 1 :], jacobians[t - 1].shape[1])


def _index_slip(jacobians: list[Tensor], t: int) -> Tensor:
    return _product(jacobians[t - 1 : -1], jacobians[t - 1].shape[1])


def _transposed(jacobians: list[Tensor], t: int) -> Tensor:
    return _between(jacobians, t).T


def _matrices(*sizes: int) -> list[Tensor]:
    """Small integer matrices whose products tell every order and every factor apart."""
    return [
        (torch.arange(b * a, dtype=torch.float64).reshape(b, a) * (i + 2) % 7) - 2
        for i, (a, b) in enumerate(pairwise(sizes))
    ]


JACOBIAN_PRODUCT = Exercise(
    id="01-jacobian-product",
    title="The Jacobian of the output by the output of layer t",
    inputs=(
        (_matrices(3, 3, 3, 3, 3), 2),
        (_matrices(3, 3, 3, 3), 1),
        (_matrices(2, 4, 3, 5, 2), 2),
    ),
    reference=_between,
    mistakes=(
        Mistake(
            _reversed,
            "The factors are right but their order is reversed: in the numerator layout the "
            "last layer stands on the left.",
        ),
        Mistake(
            _one_too_many,
            "One factor too many: the Jacobian of layer t itself leads from h^(t-1) to h^t, "
            "which lies before the point where you start. There are d - t factors.",
        ),
        Mistake(
            _index_slip,
            "The index slipped by one, as on the lecture's slide: these factors lead from "
            "h^(t-1) to h^(d-1). The factors from h^t to h^d are those of layers t+1 to d.",
        ),
        Mistake(
            _transposed,
            "This is the transpose: the denominator layout. The question asks for the numerator "
            "layout, one row for each output.",
        ),
    ),
    hints=(
        "Write the chain rule for d = 3 and t = 1 with all indices, and count the factors.",
        "Start from the identity matrix of h^t's width and multiply each further layer's "
        "Jacobian from the left.",
    ),
    solution="""
def jacobian_between(jacobians, t):
    # jacobians[i] belongs to layer i + 1, so layers t+1, ..., d are jacobians[t:]
    product = torch.eye(jacobians[t].shape[1], dtype=jacobians[t].dtype)
    for jacobian in jacobians[t:]:
        product = jacobian @ product
    return product
""",
)


def _critical_std(n: int) -> float:
    return math.exp(-0.5 * (math.log(2) + float(digamma(n / 2))))


CRITICAL_STD = Exercise(
    id="01-critical-std",
    title="The standard deviation at which the typical norm stays",
    inputs=((1,), (2,), (4,), (16,), (100,)),
    reference=_critical_std,
    mistakes=(
        Mistake(
            lambda n: n**-0.5,
            "This keeps the mean of the squared norm constant. The typical norm still shrinks: "
            "the mean is carried by rare, very large products. Ask for growth exponent zero.",
        ),
        Mistake(
            lambda n: 1 / n,
            "This is the variance that keeps the mean square constant; a standard deviation "
            "was asked for, and of the typical norm.",
        ),
        Mistake(
            lambda n: 1.0,
            "A standard deviation of 1 explodes for every width above 1: n terms add up in each "
            "entry, so what counts is about std times the square root of n.",
        ),
        Mistake(
            lambda n: math.exp(-0.5 * (math.log(2) + float(digamma(n)))),
            "Nearly: the digamma function is taken at n/2, because the squared norm of n "
            "Gaussians is chi-squared with n degrees of freedom, a gamma variable of shape n/2.",
        ),
        Mistake(
            lambda n: math.exp(0.5 * (math.log(2) + float(digamma(n / 2)))),
            "The sign is turned: this is the growth factor at standard deviation 1. Divide by it.",
        ),
    ),
    hints=(
        "ln(std) is simply added to the growth per layer.",
        "Solve ln(s) + log_growth(n, 1).mean = 0 for s.",
    ),
    solution="""
def critical_std(n):
    # the growth per layer is ln(s) + log_growth(n, 1).mean, so it is zero at
    return math.exp(-log_growth(n, 1).mean)
""",
)


def _depth(log_smallest: float, log_factor: float) -> int:
    return math.floor(log_smallest / log_factor)


DEPTH_LIMIT = Exercise(
    id="01-depth-limit",
    title="How many layers back a vanishing gradient is still large enough",
    inputs=((0.05572, 2.0**-14), (0.5, 1e-5), (0.9, 1e-3), (0.25, 3e-5), (0.3, 1e-30)),
    reference=lambda chi, smallest: _depth(math.log(smallest), 0.5 * math.log(chi)),
    mistakes=(
        Mistake(
            lambda chi, smallest: _depth(math.log(smallest), math.log(chi)),
            "The factor belongs to the squared norm: the norm itself shrinks by its square root "
            "in each layer, so twice as many layers fit.",
        ),
        Mistake(
            lambda chi, smallest: _depth(math.log(smallest), 2 * math.log(chi)),
            "The square root went the wrong way: squared norm chi means norm sqrt(chi), "
            "not chi squared.",
        ),
        Mistake(
            lambda chi, smallest: _depth(math.log(smallest), 0.5 * math.log(chi)) + 1,
            "One layer too many: at this depth the norm has just fallen below the smallest number.",
        ),
        Mistake(
            lambda chi, smallest: math.log(smallest) / (0.5 * math.log(chi)),
            "The right equation, but a depth is a whole number: round down.",
        ),
    ),
    hints=(
        "After L layers the norm is sqrt(chi)**L. Set it equal to the smallest number.",
        "Take logarithms: L = ln(smallest) / (0.5 ln(chi)), rounded down.",
    ),
    solution="""
def depth_limit(chi, smallest):
    # the norm shrinks by sqrt(chi) in each layer
    return math.floor(math.log(smallest) / (0.5 * math.log(chi)))
""",
)

EXERCISES = (JACOBIAN_PRODUCT, CRITICAL_STD, DEPTH_LIMIT, LAYER_RATES, *FURTHER)
