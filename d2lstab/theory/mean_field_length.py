"""Mean-field theory of the pre-activation's variance: its map, fixed point and gradient factor."""

import math
from collections.abc import Callable, Iterable
from functools import lru_cache

import numpy as np
from scipy.optimize import brentq

from d2lstab.arguments import non_negative_number
from d2lstab.elementwise import Activation, activation
from d2lstab.theory.activations import known_kinks
from d2lstab.theory.gaussian_integrals import breakpoints, integrate, root_density, value_and_slope
from d2lstab.theory.homogeneity import homogeneous_slopes
from d2lstab.theory.variance import moments_at

__all__ = [
    "NOISE",
    "crossing",
    "fixed_point",
    "homogeneous_rate",
    "length_map",
    "length_slope",
    "slope",
    "variances",
]

NOISE = 1e-14  # relative; below it a map's distance from the diagonal is round-off


def length_map(
    q: float, sw2: float, sb2: float, phi: Activation, kinks: Iterable[float] = ()
) -> float:
    """The next layer's pre-activation variance.

        V(q) = sw2 E[phi(sqrt(q) z)^2] + sb2,   z ~ N(0, 1)

    All variances are of at least 0. Exact for infinite width, to a relative 1e-10.

    Raises:
        TypeError, ValueError: a variance is negative or not finite, or as `moments`.

    Source: Poole et al. (2016), equation 3.

    >>> round(length_map(3.0, 2.0, 0.5, "relu"), 12)
    3.5
    """
    q = non_negative_number(q, "q", "pass the pre-activation's variance")
    sw2, sb2 = variances(sw2, sb2, phi)
    return sw2 * moments_at(phi, q, known_kinks(phi, kinks)).second + sb2


def fixed_point(sw2: float, sb2: float, phi: Activation, kinks: Iterable[float] = ()) -> float:
    """The variance q* to which the length map leads, started at 1.

        q* = V(q*)

    Found by bracketing and Brent's method, not by iteration, so that it is right near
    criticality too: to a relative 1e-10 where the map crosses the diagonal at an angle. A
    distance from the diagonal below 1e-14 of q counts as 0. For homogeneous phi with sb2 = 0 and
    V(q) = q every q is fixed, and 1 is returned.

    Raises:
        TypeError, ValueError: a variance is negative or not finite, or as `moments`.
        ValueError: the variance grows without bound (relu with sw2 > 2, for example).

    Source: Poole et al. (2016), section 3.

    >>> fixed_point(1.5, 0.5, "relu")  # q = 1.5 q / 2 + 0.5
    2.0
    """
    sw2, sb2 = variances(sw2, sb2, phi)
    rate = homogeneous_rate(sw2, phi)
    if rate is not None:
        return _homogeneous_fixed_point(rate, sw2, sb2, phi)
    if isinstance(phi, str):  # a name never changes its meaning
        return _remembered_fixed_point(sw2, sb2, phi, known_kinks(phi, kinks))
    return _solved_fixed_point(sw2, sb2, phi, known_kinks(phi, kinks))


def slope(sw2: float, sb2: float, phi: Activation, kinks: Iterable[float] = ()) -> float:
    """chi_1: the factor of the squared gradient per layer at q*.

        chi_1 = sw2 E[phi'(sqrt(q*) z)^2]

    It is also the slope of the correlation map at c = 1: below 1 nearby inputs merge and
    gradients vanish, above 1 nearby inputs part and gradients explode. At q* = 0 it is the limit
    q -> 0; for homogeneous phi it does not depend on q and needs no fixed point.

    Raises:
        TypeError, ValueError: as `fixed_point`.

    Source: Poole et al. (2016), equation 8; Schoenholz et al. (2017).

    >>> round(slope(2.0, 0.0, "relu"), 12)
    1.0
    """
    sw2, sb2 = variances(sw2, sb2, phi)
    rate = homogeneous_rate(sw2, phi)
    if rate is not None:
        return rate
    kinks = known_kinks(phi, kinks)
    return sw2 * moments_at(phi, fixed_point(sw2, sb2, phi, kinks), kinks).derivative_second


def length_slope(sw2: float, sb2: float, phi: Activation, kinks: Iterable[float] = ()) -> float:
    """V'(q*) = sw2 E[z phi(x) phi'(x)] / sqrt(q*) with x = sqrt(q*) z.

    >>> round(length_slope(1.0, 0.5, "relu"), 12)
    0.5
    """
    rate = homogeneous_rate(sw2, phi)
    if rate is not None:
        return rate
    kinks = known_kinks(phi, kinks)
    q = fixed_point(sw2, sb2, phi, kinks)
    if q == 0:
        return sw2 * moments_at(phi, 0.0, kinks).derivative_second
    std = math.sqrt(q)

    def integrand(z: np.ndarray) -> np.ndarray:
        value, derivative = value_and_slope(phi, std * z)
        return (z * value * derivative * root_density(z) ** 2)[None]

    return sw2 * float(integrate(integrand, breakpoints(std, known_kinks(phi, kinks)))[0]) / std


def variances(sw2: float, sb2: float, phi: Activation) -> tuple[float, float]:
    """Both variances as floats, checked, and phi checked with them."""
    activation(phi)
    return (
        non_negative_number(sw2, "sw2", "pass fan_in times the variance of a weight"),
        non_negative_number(sb2, "sb2", "pass the variance of a bias"),
    )


def homogeneous_rate(sw2: float, phi: Activation) -> float | None:
    """sw2 E phi(z)^2 = sw2 E phi'(z)^2 of a homogeneous phi, the same at every variance."""
    slopes = homogeneous_slopes(phi)
    return None if slopes is None else sw2 * (slopes[0] ** 2 + slopes[1] ** 2) / 2


def crossing(
    excess: Callable[[float], float], start: float, end: float
) -> tuple[float, float] | None:
    """Two logarithms around the first change of sign of `excess`, in steps of ln 2; None if none.

    Values within round-off of 0 count as neither sign.
    """
    sign = math.copysign(1.0, excess(start))
    step, here = math.copysign(math.log(2), end - start), start
    while (here < end) if step > 0 else (here > end):
        there = here + step
        value = excess(there)
        if sign * value < -NOISE:
            return (start, there)
        if sign * value > NOISE:
            start = there
        here = there
    return None


def _solved_fixed_point(sw2: float, sb2: float, phi: Activation, kinks: tuple[float, ...]) -> float:
    def excess(log_q: float) -> float:
        q = math.exp(log_q)
        return (sw2 * moments_at(phi, q, kinks).second + sb2) / q - 1

    start = excess(0.0)
    if abs(start) <= NOISE:
        return 1.0
    if start < 0:  # V >= sb2, so a crossing below 1 lies above sb2
        ends = crossing(excess, 0.0, math.log(sb2) - 1 if sb2 else math.log(1e-30))
        return 0.0 if ends is None else math.exp(brentq(excess, *ends, xtol=1e-14))
    ends = crossing(excess, 0.0, math.log(1e30))
    if ends is None:
        raise ValueError(_unbounded(sw2, sb2, phi))
    return math.exp(brentq(excess, *ends, xtol=1e-14))


# Several questions about one network, and all points of a drawn map, share its fixed point.
_remembered_fixed_point = lru_cache(maxsize=128)(_solved_fixed_point)


def _homogeneous_fixed_point(rate: float, sw2: float, sb2: float, phi: Activation) -> float:
    if abs(rate - 1) <= NOISE and sb2 == 0:
        return 1.0
    if not rate < 1 - NOISE:
        raise ValueError(_unbounded(sw2, sb2, phi))
    return sb2 / (1 - rate)


def _unbounded(sw2: float, sb2: float, phi: Activation) -> str:
    return (
        f"sw2 must be small enough for the variance to settle, got {sw2:g} with sb2 = {sb2:g} and "
        f"{phi!r}, where it grows without bound: lower sw2"
    )
