"""Exercises of lesson 01's further part: step sizes and the origins of NaN."""

import math

import torch
from torch import Tensor

from d2lstab.course.exercise import Exercise, Mistake

__all__ = ["FURTHER"]

# Exercise 5: gradient descent on a quadratic with several curvatures.

CONTRACTION = Exercise(
    id="01-contraction",
    title="How fast the slowest direction of a quadratic approaches the minimum",
    inputs=(
        ([0.1, 1.0], 1.0),
        ([0.5, 2.0], 0.9),
        ([0.01, 3.0], 0.7),
        ([1.0, 1.0], 1.0),
        ([2.0, 3.0], 1.0),
    ),
    reference=lambda curvatures, lr: max(abs(1 - lr * c) for c in curvatures),
    mistakes=(
        Mistake(
            lambda curvatures, lr: abs(1 - lr * max(curvatures)),
            "Only the steepest direction is looked at: the flattest one may be slower.",
        ),
        Mistake(
            lambda curvatures, lr: abs(1 - lr * min(curvatures)),
            "Only the flattest direction is looked at: the steepest one may overshoot and grow.",
        ),
        Mistake(
            lambda curvatures, lr: max(1 - lr * c for c in curvatures),
            "The absolute value is missing: a factor of -1.1 grows although it is below 1.",
        ),
        Mistake(
            lambda curvatures, lr: math.prod(abs(1 - lr * c) for c in curvatures),
            "The directions do not multiply: each has its own factor, and the largest one decides.",
        ),
    ),
    hints=(
        "Along a direction of curvature c one step multiplies the distance by 1 - lr * c.",
        "The worst direction is the one with the largest absolute factor.",
    ),
    solution="""
def contraction(curvatures, lr):
    return max(abs(1 - lr * c) for c in curvatures)
""",
)

# Exercise 6: ln(sum(exp(x))) that neither overflows nor underflows.


def _shifted(x: Tensor, shift: Tensor) -> float:
    return float(shift + (x - shift).exp().sum().log())


_INF = math.inf

LOG_SUM_EXP = Exercise(
    id="01-log-sum-exp",
    title="ln(sum(exp(x))) in float32 without overflow",
    inputs=tuple(
        (torch.tensor(x),)
        for x in (
            [0.0, 1.0, 2.0],
            [1000.0, 0.0],
            [-1000.0, -1001.0],
            [88.0, 89.0],
            [0.0, -_INF],
            [-_INF, -_INF],
        )
    ),
    reference=lambda x: float(torch.logsumexp(x, 0)),
    mistakes=(
        Mistake(
            lambda x: float(x.exp().sum().log()),
            "exp overflows float32 above 88.7, and underflows below -104: subtract the largest "
            "entry first and add it again outside.",
        ),
        Mistake(
            lambda x: _shifted(x, x.max()),
            "Right, but for one trap: where every entry is -inf, -inf minus -inf is NaN. "
            "Subtract a finite number there.",
        ),
        Mistake(
            lambda x: float((x - x.max()).exp().sum().log()),
            "The largest entry was subtracted but not added again outside the logarithm.",
        ),
        Mistake(
            lambda x: _shifted(x, x.mean()),
            "Subtracting the mean is not enough: the largest difference can still overflow. "
            "Subtract the largest entry.",
        ),
    ),
    hints=(
        "ln(sum(exp(x))) = c + ln(sum(exp(x - c))) for every finite c. Which c never overflows?",
        "c is the largest entry; where that is -inf, take c = 0.",
    ),
    solution="""
def log_sum_exp(x):
    largest = x.max()
    c = largest if largest.isfinite() else torch.zeros(())
    return float(c + (x - c).exp().sum().log())
""",
    tolerance=1e-5,
)

# Exercise 7: the gradient of a guarded logarithm.


def _value_and_gradient(x: Tensor, function: object) -> list[Tensor]:
    leaf = x.clone().requires_grad_()
    value = function(leaf)  # type: ignore[operator]
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    return [value.detach(), gradient]


def _guarded_inside(x: Tensor) -> Tensor:
    inside = torch.where(x > 0, x, torch.ones_like(x))
    return torch.where(x > 0, inside.log(), torch.zeros_like(x))


WHERE_TRAP = Exercise(
    id="01-where-trap",
    title="ln(x) for x > 0 and 0 elsewhere, with a gradient that is never NaN",
    inputs=tuple(
        (torch.tensor(x, dtype=torch.float64),) for x in ([1.0, 0.0], [2.0, -1.0, 0.5], [0.0, 0.0])
    ),
    reference=lambda x: _value_and_gradient(x, _guarded_inside),
    mistakes=(
        Mistake(
            lambda x: _value_and_gradient(
                x, lambda z: torch.where(z > 0, z.log(), torch.zeros_like(z))
            ),
            "The where-trap: the branch that is not taken still sends its gradient back, "
            "0 times infinity, which is NaN (or 0 times NaN below zero). Guard the input of "
            "the logarithm, not only its output.",
        ),
        Mistake(
            lambda x: _value_and_gradient(x, lambda z: z.clamp(min=1e-12).log()),
            "The gradient is finite now, but the value is ln(1e-12) where 0 was asked for.",
        ),
        Mistake(
            lambda x: _value_and_gradient(x, lambda z: z.clamp(min=0).add(1e-12).log()),
            "A small number inside the logarithm changes the value everywhere: 0 was asked for "
            "where x is not positive.",
        ),
        Mistake(
            lambda x: [_guarded_inside(x), torch.nan_to_num(1 / x)],
            "Repairing NaN afterwards hides it: where x is zero the gradient became the "
            "largest number, and below zero it is 1/x instead of 0.",
        ),
    ),
    hints=(
        "Look at the gradient of the branch that is not taken.",
        "Use two wheres: one that puts a harmless number into the logarithm, one outside.",
    ),
    solution="""
def safe_log(x):
    x = x.clone().requires_grad_()
    inside = torch.where(x > 0, x, torch.ones_like(x))
    value = torch.where(x > 0, inside.log(), torch.zeros_like(x))
    (gradient,) = torch.autograd.grad(value.sum(), x)
    return value.detach(), gradient
""",
)

FURTHER = (CONTRACTION, LOG_SUM_EXP, WHERE_TRAP)
