"""Softmax with cross-entropy against the squared error, in the gap of two logits.

The gap d is the wrong logit minus the right one; the right class has the probability
p = 1 / (1 + e^d). Positive gaps are wrong answers.
"""

import math

from d2lstab.arguments import choice, finite_number, positive_number

__all__ = ["cross_entropy_slope", "escape_steps", "mse_slope"]

_GAP = "pass the wrong logit minus the right one"


def _sigmoid(d: float) -> float:
    """1 / (1 + e^-d) to round-off on both sides, without overflow."""
    if d >= 0:
        return 1 / (1 + math.exp(-d))
    ratio = math.exp(d)
    return ratio / (1 + ratio)


def cross_entropy_slope(gap: float) -> float:
    """The derivative of the cross-entropy -ln p by the right logit.

        p - 1 = -1 / (1 + e^-d)

    Between -1 and 0: it saturates where the answer is wrong. Relative error of a few
    round-offs at every gap.

    Raises:
        ValueError: `gap` is NaN or infinite.

    Source: Goodfellow, Bengio and Courville (2016), section 6.2.2.

    >>> cross_entropy_slope(0.0)
    -0.5
    """
    return -_sigmoid(finite_number(gap, "gap", _GAP))


def mse_slope(gap: float) -> float:
    """The derivative of the squared error (1 - p)^2 + (1 - p)^2 by the right logit.

        -4 p (1 - p)^2

    The sum over both outputs, not the mean. Steepest, -16/27, at p = 1/3 (d = ln 2); it
    vanishes like -4 e^-d where the answer is confidently wrong. Relative error of a few
    round-offs until it underflows.

    Raises:
        ValueError: `gap` is NaN or infinite.

    Source: Goodfellow, Bengio and Courville (2016), section 6.2.2.

    >>> mse_slope(0.0)
    -0.5
    """
    d = finite_number(gap, "gap", _GAP)
    return -4 * _sigmoid(-d) * _sigmoid(d) ** 2


def escape_steps(loss: str, gap: float, lr: float) -> float:
    """Steps of gradient descent on the two logits until a wrong answer stops winning.

        cross_entropy  (d + 1 - e^-d) / (2 lr)                               ~ d / (2 lr)
        mse            (e^d - 1 + 3 d + 3 (1 - e^-d) + (1 - e^-2d) / 2) / (8 lr)  ~ e^d / (8 lr)

    The time from a gap d > 0 down to a gap of 0 of the differential equation d' = 2 lr slope
    (both logits move, in opposite directions), in steps. Exact in the limit of small lr; at
    a finite lr descent differs by about half the logarithm of the ratio of the slopes at both
    ends, and by the rounding to whole steps. 0 where the gap is not positive, infinite where
    the number exceeds the largest float.

    Raises:
        ValueError: `loss` is not "cross_entropy" or "mse", `gap` not finite, `lr` not
            positive.

    >>> round(escape_steps("cross_entropy", 20.0, 0.1), 3)
    105.0
    """
    choice(loss, "loss", ("cross_entropy", "mse"))
    d, eta = finite_number(gap, "gap", _GAP), positive_number(lr, "lr", "pass a learning rate")
    if d <= 0:
        return 0.0
    if loss == "cross_entropy":
        return (d - math.expm1(-d)) / (2 * eta)
    if d > math.log(1.7e308):
        return math.inf
    time = math.expm1(d) + 3 * d - 3 * math.expm1(-d) - math.expm1(-2 * d) / 2
    return time / 8 / eta
