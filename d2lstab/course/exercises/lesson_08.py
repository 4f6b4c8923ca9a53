"""Exercises of lesson 08: adaptive learning rates."""

import math

import torch
from torch import Tensor

from d2lstab.course.exercise import Exercise, Mistake
from d2lstab.course.exercises.lesson_08_further import FURTHER

__all__ = ["EXERCISES"]


def _largest(symmetric: Tensor) -> float:
    return float(torch.linalg.eigvalsh(symmetric)[-1])


def _scaled(hessian: Tensor) -> Tensor:
    d = hessian.diagonal()
    return hessian / torch.outer(d, d).sqrt()


RATE_LIMIT = Exercise(
    id="08-rate-limit",
    title="How far the rate can be raised when each parameter has its own",
    inputs=(
        (torch.tensor([[2.0, 1.0], [1.0, 2.0]], dtype=torch.float64),),
        (torch.tensor([[20.0, 5020.0], [5020.0, 1746828.0]], dtype=torch.float64),),
        (torch.tensor([[0.01, 0.0], [0.0, 30.0]], dtype=torch.float64),),
        (torch.tensor([[4.0, 1.0, 0.5], [1.0, 9.0, 2.0], [0.5, 2.0, 100.0]], dtype=torch.float64),),
    ),
    reference=lambda hessian: 2 / _largest(_scaled(hessian)),
    mistakes=(
        Mistake(
            lambda hessian: 2 / _largest(hessian),
            "This is the limit with one rate for all. The update is divided by H_ii, row by row: "
            "the eigenvalues of D^-1 H count.",
        ),
        Mistake(
            lambda hessian: 2.0,
            "This is the limit of a diagonal Hessian, where all parameters have curvature 1 after "
            "the division. Where they pull at each other, one direction is steeper than that.",
        ),
        Mistake(
            lambda hessian: (
                2 / _largest(hessian / torch.outer(hessian.diagonal(), hessian.diagonal()))
            ),
            "Here each entry is divided by H_ii H_jj. Every row is divided by its H_ii once "
            "only; made symmetric, that is H_ij / sqrt(H_ii H_jj).",
        ),
        Mistake(
            lambda hessian: 2 / _largest(hessian / hessian.diagonal()[:, None]),
            "The matrix D^-1 H is right, but not symmetric, and eigvalsh reads one triangle of it "
            "only. Use eigvals, or the symmetric D^-1/2 H D^-1/2, which has the same eigenvalues.",
        ),
        Mistake(
            lambda hessian: 1 / _largest(_scaled(hessian)),
            "At this rate the steepest direction is done in one update. It still converges up to "
            "twice as much: |1 - eta lambda| has to stay below 1.",
        ),
    ),
    hints=(
        "The error is multiplied by 1 - eta D^-1 H per update, D being the diagonal of H. So "
        "which matrix's eigenvalues count now?",
        "D^-1 H has the eigenvalues of the symmetric matrix H_ij / sqrt(H_ii H_jj). Descent "
        "converges up to 2 over the largest.",
    ),
    solution="""
def largest_rate(hessian):
    d = hessian.diagonal()
    # D^-1 H and D^-1/2 H D^-1/2 have the same eigenvalues; the second is symmetric
    values = torch.linalg.eigvalsh(hessian / torch.outer(d, d).sqrt())
    return 2 / float(values[-1])
""",
)

NEXT_SIGMA = Exercise(
    id="08-next-sigma",
    title="The root mean square after one more gradient, without storing the past",
    inputs=((3.0, 1, 4.0), (1.0, 9, 11.0), (0.5, 100, -20.0), (2.0, 3, 0.0)),
    reference=lambda sigma, t, g: math.sqrt((t * sigma**2 + g**2) / (t + 1)),
    mistakes=(
        Mistake(
            lambda sigma, t, g: math.sqrt((sigma**2 + g**2) / 2),
            "Here the whole past weighs as much as the one new gradient: sigma stands for t of "
            "them, so its square counts t times.",
        ),
        Mistake(
            lambda sigma, t, g: (t * sigma + abs(g)) / (t + 1),
            "This averages the sizes. A root mean square averages the squares, and takes the "
            "root at the end.",
        ),
        Mistake(
            lambda sigma, t, g: (t * sigma**2 + g**2) / (t + 1),
            "This is the mean square: the root is missing.",
        ),
        Mistake(
            lambda sigma, t, g: math.sqrt(sigma**2 + g**2),
            "Here the squares are summed without a mean, as in Adagrad.",
        ),
        Mistake(
            lambda sigma, t, g: math.sqrt(((t - 1) * sigma**2 + g**2) / t),
            "One gradient too few: sigma is the root mean square of t gradients, the new one is "
            "number t + 1.",
        ),
    ),
    hints=(
        "The sum of the first t squares can be had back from sigma and t.",
        "That sum is t sigma^2. Add g^2, divide by t + 1, take the root.",
    ),
    solution="""
def next_sigma(sigma, t, g):
    # t sigma^2 is the sum of the first t squares
    return math.sqrt((t * sigma**2 + g**2) / (t + 1))
""",
)


def _fuse(square_sum: float, curvature: float, lr: float) -> int:
    return math.floor(4 * square_sum / (lr * curvature) ** 2) + 1


FUSE = Exercise(
    id="08-fuse",
    title="When does a quiet direction become unstable under mean RMS?",
    inputs=((16.0, 4.0, 1.0), (100.0, 3.0, 1.0), (2.0, 8.0, 0.0625), (7.5, 0.5, 2.0)),
    reference=_fuse,
    mistakes=(
        Mistake(
            lambda square_sum, curvature, lr: math.ceil(4 * square_sum / (lr * curvature) ** 2),
            "Nearly: where the quotient is a whole number, eta lambda / sigma is exactly 2 there, "
            "and the deviation does not grow yet. It has to be above 2.",
        ),
        Mistake(
            lambda square_sum, curvature, lr: math.floor(square_sum / (lr * curvature) ** 2) + 1,
            "This is where eta lambda / sigma passes 1. At 1 a deviation is gone in a single "
            "update; it grows beyond 2.",
        ),
        Mistake(
            lambda square_sum, curvature, lr: (
                math.floor(2 * square_sum / (lr * curvature) ** 2) + 1
            ),
            "The 2 has to be squared as well: lr curvature sqrt(t / square_sum) > 2.",
        ),
        Mistake(
            lambda square_sum, curvature, lr: (
                math.floor(2 * math.sqrt(square_sum) / (lr * curvature)) + 1
            ),
            "The number of updates stands under the root: sigma falls like 1 / sqrt(t). Square "
            "both sides.",
        ),
        Mistake(
            lambda square_sum, curvature, lr: 4 * square_sum / (lr * curvature) ** 2,
            "The right border, but the number of an update is whole: take the first one above it.",
        ),
    ),
    hints=(
        "With no further gradients sigma = sqrt(square_sum / t) at update t.",
        "lr curvature sqrt(t / square_sum) > 2 means t > 4 square_sum / (lr curvature)^2.",
    ),
    solution="""
def fuse(square_sum, curvature, lr):
    # lr curvature / sqrt(square_sum / t) > 2, solved for t; strictly above, so floor + 1
    return math.floor(4 * square_sum / (lr * curvature) ** 2) + 1
""",
)


def _rare(beta1: float, beta2: float, t: int) -> float:
    return (1 - beta1) / (1 - beta1**t) / math.sqrt((1 - beta2) / (1 - beta2**t))


RARE_STEP = Exercise(
    id="08-rare-step",
    title="Adam's step for a gradient that comes once",
    inputs=((0.9, 0.999, 13), (0.9, 0.999, 1), (0.5, 0.9, 3), (0.9, 0.99, 500), (0.0, 0.75, 2)),
    reference=_rare,
    mistakes=(
        Mistake(
            lambda beta1, beta2, t: (1 - beta1) / math.sqrt(1 - beta2),
            "This is the step without bias correction: divide m by 1 - beta1^t, and v by "
            "1 - beta2^t.",
        ),
        Mistake(
            lambda beta1, beta2, t: 1.0,
            "One rate long it is only for a gradient that is always the same. Here t - 1 zeros "
            "have gone into both averages.",
        ),
        Mistake(
            lambda beta1, beta2, t: (1 - beta1**t) / math.sqrt(1 - beta2**t),
            "This is how much too long a step is without the correction. Asked is the length of "
            "a corrected step.",
        ),
        Mistake(
            lambda beta1, beta2, t: (1 - beta1) / (1 - beta1**t) / ((1 - beta2) / (1 - beta2**t)),
            "The root is missing: Adam divides by the root of the corrected v.",
        ),
        Mistake(
            lambda beta1, beta2, t: (
                (1 - beta1) * (1 - beta1**t) / math.sqrt((1 - beta2) * (1 - beta2**t))
            ),
            "The corrections are divisions: m / (1 - beta1^t) and v / (1 - beta2^t).",
        ),
        Mistake(
            lambda beta1, beta2, t: (1 - beta1) / (1 - beta1**t) / math.sqrt(1 - beta2),
            "m is corrected here, v is not.",
        ),
    ),
    hints=(
        "After t - 1 zeros m and v are still 0. What are they after step t, before the correction?",
        "m = (1 - beta1) g and v = (1 - beta2) g^2. Correct both, divide m by the root of v.",
    ),
    solution="""
def rare_step(beta1, beta2, t):
    m = (1 - beta1) / (1 - beta1**t)  # for g = 1: its size cancels
    v = (1 - beta2) / (1 - beta2**t)
    return m / math.sqrt(v)
""",
)

EXERCISES = (NEXT_SIGMA, FUSE, RARE_STEP, RATE_LIMIT, *FURTHER)
