"""Exercises of lesson 06's further part: rates and noise scales."""

import math

from d2lstab.course.exercise import Exercise, Mistake
from d2lstab.theory.batches import two_batch_estimate

__all__ = ["FURTHER", "LARGEST_RATE"]

# Exercise 4: the largest rate for a wanted accuracy.


def _largest_rate(wanted: float, curvature: float, noise: float, batch_size: int) -> float:
    return 2 * wanted * curvature / (noise / batch_size + wanted * curvature**2)


LARGEST_RATE = Exercise(
    id="06-largest-rate",
    title="The largest rate at which noisy descent settles within a wanted variance",
    inputs=(
        (0.05, 1.0, 1.0, 1),
        (0.05, 1.0, 1.0, 10),
        (0.2, 3.0, 2.0, 4),
        (1e-3, 0.5, 4.0, 32),
        (2.0, 0.1, 0.5, 2),
    ),
    reference=_largest_rate,
    mistakes=(
        Mistake(
            lambda wanted, curvature, noise, batch_size: (
                2 * wanted * curvature * batch_size / noise
            ),
            "This is the law for small rates, lr s^2 / (2 curvature B). The 2 - lr * curvature "
            "below the line makes the variance larger, so the rate has to be smaller.",
        ),
        Mistake(
            lambda wanted, curvature, noise, batch_size: _largest_rate(wanted, curvature, noise, 1),
            "The batch size is missing: the mean of B samples has noise s^2 / B.",
        ),
        Mistake(
            lambda wanted, curvature, noise, batch_size: _largest_rate(
                wanted, curvature, noise * batch_size**2, batch_size
            ),
            "The batch size went the wrong way: a larger batch is less noisy and allows a "
            "larger rate.",
        ),
        Mistake(
            lambda wanted, curvature, noise, batch_size: _largest_rate(
                wanted**0.5, curvature, noise, batch_size
            ),
            "`wanted` is a variance: do not take its root.",
        ),
        Mistake(
            lambda wanted, curvature, noise, batch_size: _largest_rate(
                wanted, curvature, noise**2, batch_size
            ),
            "`noise` is already a variance: do not square it.",
        ),
    ),
    hints=(
        "Set (5) equal to the wanted variance v: it is linear in the rate once multiplied out.",
        "v curvature (2 - lr curvature) = lr s^2 / B, so lr = 2 v curvature / (s^2 / B + "
        "v curvature^2).",
    ),
    solution="""
def largest_rate(wanted, curvature, noise, batch_size):
    # v c (2 - lr c) = lr s^2 / B, collected by lr
    return 2 * wanted * curvature / (noise / batch_size + wanted * curvature**2)
""",
)

# Exercise 5: the batch that makes most of the possible progress.


def _useful(noise_scale: float, share: float) -> int:
    return math.ceil(noise_scale * share / (1 - share))


USEFUL_BATCH = Exercise(
    id="06-useful-batch",
    title="The smallest batch that makes a wanted share of the full batch's progress",
    inputs=((48.0, 0.5), (48.1, 0.8), (50.3, 0.9), (1800.0, 0.25), (7.7, 0.6)),
    reference=_useful,
    mistakes=(
        Mistake(
            lambda noise_scale, share: math.ceil(noise_scale * share),
            "At B equal to the noise scale the share is one half, not one: "
            "the share is 1 / (1 + scale / B).",
        ),
        Mistake(
            lambda noise_scale, share: math.ceil(noise_scale * (1 - share) / share),
            "Upside down: more progress per update needs a larger batch, not a smaller one.",
        ),
        Mistake(
            lambda noise_scale, share: math.ceil(noise_scale / (1 - share)),
            "This solves scale / B = 1 - share. The share is 1 / (1 + scale / B): "
            "invert it first, then subtract 1.",
        ),
        Mistake(
            lambda noise_scale, share: math.floor(noise_scale * share / (1 - share)),
            "Rounded down the share is missed by a little: round up.",
        ),
    ),
    hints=(
        "The share is s = 1 / (1 + scale / B). Solve for B.",
        "scale / B = 1/s - 1 = (1 - s) / s, so B = scale s / (1 - s), rounded up.",
    ),
    solution="""
def useful_batch(noise_scale, share):
    # share = 1 / (1 + scale / B), solved for B
    return math.ceil(noise_scale * share / (1 - share))
""",
)

# Exercise 6: the noise scale from squared gradient norms alone.


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)


def _scale(small: int, norms_small: list[float], large: int, norms_large: list[float]) -> float:
    found = two_batch_estimate(small, _mean(norms_small), large, _mean(norms_large))
    return found.trace / found.squared_norm


def _single(small: int, a: float, large: int, b: float) -> float:
    trace = (a - b) * small * large / (large - small)
    return trace * (large - small) / (large * b - small * a)


_NORMS = (
    (1, [5.0, 5.0], 2, [3.0, 3.0]),
    (8, [3.0, 2.0, 4.0, 3.5], 128, [0.6, 0.5, 0.4, 0.7]),
    (4, [1.0, 1.2, 2.0], 64, [0.9, 0.5, 0.4]),
    (16, [0.8, 0.9, 0.7], 32, [0.5, 0.6, 0.7]),
)

NOISE_SCALE = Exercise(
    id="06-noise-scale",
    title="The simple noise scale from many squared gradient norms at two batch sizes",
    inputs=_NORMS,
    reference=_scale,
    mistakes=(
        Mistake(
            lambda small, norms_small, large, norms_large: _mean(
                [_single(small, a, large, b) for a, b in zip(norms_small, norms_large, strict=True)]
            ),
            "This is a mean of ratios: each single ratio divides by a noisy number that may "
            "even be negative. Average first, divide once.",
        ),
        Mistake(
            lambda small, norms_small, large, norms_large: (
                1 / _scale(small, norms_small, large, norms_large)
            ),
            "Upside down: the scale is the noise divided by the squared gradient.",
        ),
        Mistake(
            lambda small, norms_small, large, norms_large: _mean(norms_small) / _mean(norms_large),
            "The squared norm at the large batch still holds noise, tr(Sigma) / B, and the one at "
            "the small batch still holds the gradient. Solve both equations.",
        ),
        Mistake(
            lambda small, norms_small, large, norms_large: (
                two_batch_estimate(small, _mean(norms_small), large, _mean(norms_large)).trace
                / _mean(norms_large)
            ),
            "The noise is right. But the large batch's squared norm is still too large by "
            "tr(Sigma) / B: use the estimate of the squared gradient.",
        ),
        Mistake(
            lambda small, norms_small, large, norms_large: (
                two_batch_estimate(small, _mean(norms_small), large, _mean(norms_large)).trace
            ),
            "This is tr(Sigma). The scale divides it by the squared gradient.",
        ),
    ),
    hints=(
        "E|g_b|^2 = |g|^2 + tr(Sigma) / b holds for both sizes: two equations, two unknowns.",
        "Average each list, hand the means to two_batch_estimate, then divide its trace by its "
        "squared_norm.",
    ),
    solution="""
def noise_scale(small, norms_small, large, norms_large):
    a, b = sum(norms_small) / len(norms_small), sum(norms_large) / len(norms_large)
    # |g|^2 + t/small = a and |g|^2 + t/large = b; averages first, one division at the end
    trace = (a - b) / (1 / small - 1 / large)
    return trace / (b - trace / large)
""",
)

FURTHER = (USEFUL_BATCH, NOISE_SCALE)
