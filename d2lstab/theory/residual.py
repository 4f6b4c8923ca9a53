"""Residual blocks h + scale * W phi(h): how fast a sum of branches grows, forward and backward."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln, xlogy

from d2lstab.arguments import (
    natural_number,
    non_negative_number,
    number_between,
    positive_integer,
)
from d2lstab.elementwise import Activation
from d2lstab.theory.activations import known_kinks
from d2lstab.theory.variance import moments_at

__all__ = ["ResidualProfile", "path_shares", "residual_log_variance", "residual_profile"]

_WIDTH = "pass the number of units of the residual stream"
_DEPTH = "pass the number of residual blocks"
_SCALE = "pass the factor of the branch, 1.0 for a plain block"
_LARGEST = 1e100  # of a branch scale: its square, and a few products more, fit in float64


@dataclass(frozen=True, slots=True, eq=False)
class ResidualProfile:
    """What a chain of wide residual blocks does to its signal and to its gradient."""

    forward: np.ndarray  # (depth + 1,): mean square of a unit of h, the input of the chain first
    backward: np.ndarray  # (depth + 1,): squared gradient by h, relative to that by the last h


def residual_profile(
    width: int,
    depth: int,
    weight_variance: float,
    phi: Activation = "relu",
    branch_scale: float = 1.0,
    input_second_moment: float = 1.0,
    *,
    kinks: Iterable[float] = (),
) -> ResidualProfile:
    """Mean squares of signal and gradient after every block h <- h + a W phi(h).

        q_(l+1) = q_l + a^2 n v E[phi(sqrt(q_l) z)^2],            z ~ N(0, 1)
        g_L = 1,  g_l = g_(l+1) (1 + a^2 n v E[phi'(sqrt(q_l) z)^2])

    The cross terms vanish because W is centered and independent of h. With phi = relu and
    v = 2/n both grow by 1 + a^2 a block: 2^L at a = 1, and (1 + 1/L)^L < e at a = 1/sqrt(L).

    `width` is n, `depth` the number L of blocks (0 gives the input alone), `weight_variance` v,
    `branch_scale` a, `input_second_moment` q_0; `kinks` as in `activations.moments`. The limit of
    large widths and a symmetric h; how far one network scatters around it says
    `residual_log_variance`. A value that leaves float64 is inf.

    Raises:
        TypeError, ValueError: `width` is not a positive integer, `depth` not an integer of at
            least 0, another number negative or not finite, `branch_scale` above 1e100, or phi
            as in `moments`.

    Source: Yang and Schoenholz (2017), "Mean field residual networks: on the edge of chaos".

    >>> profile = residual_profile(100, 10, 2 / 100)
    >>> round(float(profile.forward[-1]), 9), round(float(profile.backward[0]), 9)
    (1024.0, 1024.0)
    """
    n = positive_integer(width, "width", _WIDTH)
    depth = natural_number(depth, "depth", _DEPTH)
    advice = "pass the variance of a weight, not its standard deviation"
    factor = n * non_negative_number(weight_variance, "weight_variance", advice)
    factor *= _squared(branch_scale)
    second = non_negative_number(
        input_second_moment, "input_second_moment", "pass the mean square of the input"
    )
    kinks = known_kinks(phi, kinks)
    forward, slopes = np.full(depth + 1, second), np.ones(depth + 1)
    with np.errstate(over="ignore"):
        for block in range(depth):
            found = moments_at(phi, float(forward[block]), kinks)
            forward[block + 1] = forward[block] + factor * found.second
            slopes[block] = 1 + factor * found.derivative_second
        backward = np.cumprod(slopes[::-1])[::-1]
    return ResidualProfile(forward=forward, backward=backward)


def residual_log_variance(width: int, depth: int, branch_scale: float = 1.0) -> float:
    """The variance of ln |h_L|^2 over random ReLU networks with He weights, for one input.

        1/n [ L (4 p (1 - p) + 2 p^2) + p^2 sum_(k,l) K((1 + a^2)^(-|k - l| / 2)) ],
        K(c) = 2/pi ((1 + 2 c^2) asin c + 3 c sqrt(1 - c^2)),   p = a^2 / (1 + a^2)

    The first term is the chance in each block's weights; the second the share of |h|^2 on the
    active units. That share is remembered, because most of h passes every block unchanged:
    K(c) = E[u|u| v|v|] at correlation c, and c decays as h is diluted.

    `width` is n, `depth` L, `branch_scale` a. First order in L/n; the bias of ln |h_L|^2 is
    about minus half of it, or less. A mean over several inputs varies less. The input is Gaussian.

    Raises:
        TypeError, ValueError: as `residual_profile`.

    Source: derived here, in the way of Hanin and Nica (2018), whose plain networks have 5 L/n.

    >>> round(residual_log_variance(100, 1), 12)  # (6 + 3) / 4 / n
    0.0225
    """
    n = positive_integer(width, "width", _WIDTH)
    depth = natural_number(depth, "depth", _DEPTH)
    square = _squared(branch_scale)
    gaps = np.arange(depth)
    pairs = np.where(gaps == 0, depth, 2 * (depth - gaps))  # how often |k - l| takes each value
    # the correlation's logarithm: 1 - c keeps its digits at small scales
    c = np.exp(-gaps * math.log1p(square) / 2)
    remembered = 2 / math.pi * ((1 + 2 * c**2) * np.arcsin(c) + 3 * c * np.sqrt(1 - c**2))
    p = square / (1 + square)
    return float(depth * (4 * p * (1 - p) + 2 * p**2) + p**2 * (pairs @ remembered)) / n


def path_shares(depth: int, branch_scale: float = 1.0, branch_factor: float = 1.0) -> np.ndarray:
    """Which share of E|h_L|^2 comes over paths through exactly k of the L branches.

        (L choose k) p^k (1 - p)^(L - k),   p = a^2 f / (1 + a^2 f),   k = 0, ..., L

    A product of L factors (1 + a W) is a sum over 2^L paths, each through a subset of the
    branches; paths are uncorrelated, and one through k branches has the mean square (a^2 f)^k.

    `depth` is L, `branch_scale` a, `branch_factor` f = E|branch(h)|^2 / E|h|^2 (1 for linear
    branches with n v = 1). The result has shape (L + 1,) and sums to 1. Exact for linear branches.

    Raises:
        TypeError, ValueError: `depth` is not an integer of at least 0, or a number is negative
            or not finite.

    Source: Veit, Wilber and Belongie (2016), "Residual networks behave like ensembles of
    relatively shallow networks".

    >>> path_shares(2).tolist()
    [0.25, 0.5, 0.25]
    """
    depth = natural_number(depth, "depth", _DEPTH)
    advice = "pass the mean square of a branch relative to that of its input"
    square = _squared(branch_scale)
    square *= number_between(branch_factor, "branch_factor", 0, _LARGEST, advice)
    k = np.arange(depth + 1)
    ways = gammaln(depth + 1) - gammaln(k + 1) - gammaln(depth - k + 1)
    logs = ways + xlogy(k, square) - depth * math.log1p(square)
    shares = np.exp(logs)
    return np.asarray(shares / shares.sum())


def _squared(branch_scale: object) -> float:
    return number_between(branch_scale, "branch_scale", 0, _LARGEST, _SCALE) ** 2
