"""Mean-field theory of wide random networks: length, correlation, gradient, and their depths.

Weights have variance sw2 / fan_in and biases variance sb2. Each function also takes `kinks`, the
points where a phi that is given as a function is not smooth (see `activations.moments`).
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from scipy.optimize import brentq

from d2lstab.elementwise import Activation
from d2lstab.theory.activations import known_kinks
from d2lstab.theory.mean_field_correlation import (
    correlation_fixed_point,
    correlation_map,
    settled_gap,
    settled_pair,
)
from d2lstab.theory.mean_field_length import (
    NOISE,
    crossing,
    fixed_point,
    homogeneous_rate,
    length_map,
    length_slope,
    slope,
    variances,
)
from d2lstab.theory.variance import moments_at

__all__ = [
    "DepthScales",
    "correlation_fixed_point",
    "correlation_map",
    "critical_weight_variance",
    "depth_scales",
    "fixed_point",
    "length_map",
    "slope",
]


@dataclass(frozen=True, slots=True, eq=False)
class DepthScales:
    """Layers over which a perturbation changes e-fold: decays if positive, grows if negative."""

    length: float  # of the variance around q*
    correlation: float  # of two inputs' correlation around c*
    gradient: float  # of the squared gradient: positive vanishing, negative exploding


def critical_weight_variance(sb2: float, phi: Activation, kinks: Iterable[float] = ()) -> float:
    """The weight variance at the edge of chaos, where chi_1 = 1 at the fixed point.

        sw2 E[phi'(sqrt(q) z)^2] = 1   and   q = sw2 E[phi(sqrt(q) z)^2] + sb2

    Solved for q with sw2 eliminated: the first q, from below, that meets both. At sb2 = 0 it is
    the limit of small sb2, for phi(0) = 0 as a rule q = 0 and sw2 = 1 / phi'(0)^2 (tanh 1). For
    homogeneous phi chi_1 does not depend on q (relu 2, at every sb2). Relative error 1e-9 for
    sb2 = 0 or sb2 > 1e-15. For gelu, silu and mish at small sb2 this q is an unstable fixed point
    of the length map: chi_1 = 1 there, but `fixed_point` leads away from it.

    Raises:
        TypeError, ValueError: `sb2` is negative or not finite, or as `moments`.
        ValueError: no variance meets both conditions (softplus, for example).

    Source: Poole et al. (2016), section 3; Schoenholz et al. (2017), figure 1; Hayou et al. (2019).

    >>> round(critical_weight_variance(0.0, "relu"), 12)
    2.0
    """
    _, sb2 = variances(1.0, sb2, phi)
    kinks = known_kinks(phi, kinks)
    rate = homogeneous_rate(1.0, phi)
    if rate is not None:
        return 1 / rate
    origin = moments_at(phi, 0.0, kinks)

    def excess(log_q: float) -> float:
        q = math.exp(log_q)
        found = moments_at(phi, q, kinks)
        if found.derivative_second == 0:
            return math.inf
        return (found.second / found.derivative_second + sb2) / q - 1

    at_rest = origin.second == sb2 == 0
    start = math.log(1e-4 if at_rest else max(sb2, 1e-30))
    if at_rest and origin.derivative_second > 0 and excess(start) <= NOISE:
        return 1 / origin.derivative_second
    ends = crossing(excess, start, math.log(1e30))
    if ends is None:
        raise ValueError(
            f"phi must have a critical line at sb2 = {sb2:g}, got {phi!r}, for which no sw2 has "
            "chi_1 = 1 at a finite fixed point: choose another activation or bias variance"
        )
    q = math.exp(brentq(excess, *ends, xtol=1e-14))
    return 1 / moments_at(phi, q, kinks).derivative_second


def depth_scales(
    sw2: float, sb2: float, phi: Activation, kinks: Iterable[float] = ()
) -> DepthScales:
    """How many layers a signal, a correlation and a gradient last.

        length: -1 / ln V'(q*),   correlation: -1 / ln(sw2 E[phi'(x1) phi'(x2)] at c*),
        gradient: -1 / ln chi_1

    Each is the number of layers per factor e, in layers: inf at criticality, 0 where the map is
    flat, and negative where the distance grows (gradients explode where `gradient` is negative).
    The correlation's slope is that of the correlation map (chi_1 where c* = 1).

    Raises:
        TypeError, ValueError: as `fixed_point`.

    Source: Schoenholz et al. (2017), equations 7, 9 and 15.

    >>> round(math.exp(-1 / depth_scales(1.0, 0.5, "relu").gradient), 12)  # chi_1 = 1/2
    0.5
    """
    sw2, sb2 = variances(sw2, sb2, phi)
    kinks = known_kinks(phi, kinks)
    chi = slope(sw2, sb2, phi, kinks)
    pair, scale = settled_pair(sw2, sb2, phi, kinks)
    gap = settled_gap(pair, scale)
    return DepthScales(
        length=_layers(length_slope(sw2, sb2, phi, kinks)),
        correlation=_layers(chi if gap == 0 else sw2 * pair.slopes(gap)),
        gradient=_layers(chi),
    )


def _layers(rate: float) -> float:
    """-1 / ln rate, inf within round-off of 1."""
    rate = abs(rate)
    if rate == 0:
        return 0.0
    return math.inf if abs(rate - 1) <= NOISE else -1 / math.log(rate)
