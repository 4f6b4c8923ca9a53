"""Mean-field theory of two inputs: the correlation map and its fixed point."""

import math
from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from scipy.optimize import brentq

from d2lstab.arguments import number_between
from d2lstab.elementwise import Activation
from d2lstab.theory.activations import known_kinks
from d2lstab.theory.gaussian_integrals import value_and_slope
from d2lstab.theory.gaussian_pairs import Pair, gaussian_pair, homogeneous_pair
from d2lstab.theory.homogeneity import homogeneous_slopes
from d2lstab.theory.mean_field_length import NOISE, crossing, fixed_point, variances
from d2lstab.theory.variance import moments_at

__all__ = ["correlation_fixed_point", "correlation_map", "settled_gap", "settled_pair"]


def correlation_map(
    c: float, sw2: float, sb2: float, phi: Activation, kinks: Iterable[float] = ()
) -> float:
    """The next layer's correlation between two inputs whose variances have settled at q*.

        C(c) = (sw2 E[phi(x1) phi(x2)] + sb2) / q*,   x1, x2 ~ N(0, q*) of correlation c

    `c` lies in [-1, 1]; C(1) = 1. At q* = 0 it is the limit q -> 0. For homogeneous phi with
    sb2 = 0 the map is the same at every q (q = 1 is taken) and for every sw2 > 0. The error is
    below 1e-10.

    Raises:
        TypeError, ValueError: `c` is no number in [-1, 1], or as `fixed_point`.

    Source: Poole et al. (2016), equation 5; Cho and Saul (2009) for relu.

    >>> round(correlation_map(0.0, 2.0, 0.0, "relu") * math.pi, 12)
    1.0
    """
    c = number_between(c, "c", -1, 1, "pass a correlation")
    sw2, sb2 = variances(sw2, sb2, phi)
    pair, scale = settled_pair(sw2, sb2, phi, known_kinks(phi, kinks))
    return 1 - scale * pair.difference(1 - c)


def correlation_fixed_point(
    sw2: float, sb2: float, phi: Activation, kinks: Iterable[float] = ()
) -> float:
    """The correlation c* to which two different inputs are led.

        c* = C(c*)

    The map is convex on [0, 1] (its Taylor coefficients are squares), so c* is 1 where
    its slope there is at most 1, and otherwise the one crossing below 1, found by Brent's method
    in 1 - c*: the error is below 1e-10, near criticality relative to 1 - c*. Where every c is
    fixed (phi linear, or q* = 0) 1 is returned.

    Raises:
        TypeError, ValueError: as `fixed_point`.

    Source: Poole et al. (2016), section 3; Schoenholz et al. (2017).

    >>> correlation_fixed_point(1.3, 0.1, "tanh")  # the ordered phase: chi_1 < 1
    1.0
    """
    sw2, sb2 = variances(sw2, sb2, phi)
    return 1 - settled_gap(*settled_pair(sw2, sb2, phi, known_kinks(phi, kinks)))


def settled_pair(
    sw2: float, sb2: float, phi: Activation, kinks: tuple[float, ...]
) -> tuple[Pair, float]:
    """The pair at q* and the scale s with C(1 - gap) = 1 - s * difference(gap)."""
    if isinstance(phi, str):  # a name never changes its meaning
        return _remembered_pair(sw2, sb2, phi, known_kinks(phi, kinks))
    return _prepared_pair(sw2, sb2, phi, kinks)


def _prepared_pair(
    sw2: float, sb2: float, phi: Activation, kinks: tuple[float, ...]
) -> tuple[Pair, float]:
    slopes = homogeneous_slopes(phi)
    if slopes is not None and sb2 == 0:
        return homogeneous_pair(*slopes, 1.0), 2 / (slopes[0] ** 2 + slopes[1] ** 2)
    q = fixed_point(sw2, sb2, phi, kinks)
    if q > 0:
        return gaussian_pair(phi, q, kinks), sw2 / q
    # q* = 0: phi is its two slopes at 0 there, unless phi(0) or both slopes decide otherwise.
    above, below = value_and_slope(phi, np.array([1e-300, -1e-300]))[1]
    square = float(above**2 + below**2)
    if moments_at(phi, 0.0, kinks).second > 0 or square == 0:
        return homogeneous_pair(1.0, 1.0, 1.0), 0.0
    return homogeneous_pair(float(above), float(below), 1.0), 2 / square


# The points of a drawn map share one network.
_remembered_pair = lru_cache(maxsize=32)(_prepared_pair)


def settled_gap(pair: Pair, scale: float) -> float:
    """1 - c*: 0 where C'(1) <= 1, else where 1 - C(1 - gap) = gap."""

    def excess(log_gap: float) -> float:
        gap = math.exp(log_gap)
        return scale * pair.difference(gap) / gap - 1

    if not scale * pair.variance * pair.slopes(0.0) > 1 + 2 * NOISE:
        return 0.0
    if excess(0.0) > -100 * NOISE:  # C(0) = 0: phi is odd and there is no bias
        return 1.0
    ends = crossing(excess, 0.0, math.log(1e-13))
    return 0.0 if ends is None else math.exp(brentq(excess, *ends, xtol=1e-14))
