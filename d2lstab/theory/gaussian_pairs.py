"""Expectations over two correlated Gaussian pre-activations, precise near correlation 1.

With x1, x2 ~ N(0, q) of correlation c = 1 - gap, a `Pair` gives

    difference(gap) = E[(phi(x1) - phi(x2))^2] / 2 = E phi^2 - E phi(x1) phi(x2)
    slopes(gap)     = E[phi'(x1) phi'(x2)],

the first without cancellation where the gap is small. Three ways to the same numbers: a closed
form for homogeneous phi, a Hermite series where it converges, and quadrature elsewhere.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from d2lstab.elementwise import Activation
from d2lstab.theory.activations import known_kinks, moments
from d2lstab.theory.gaussian_integrals import integrate, root_density, value_and_slope
from d2lstab.theory.homogeneity import homogeneous_slopes

__all__ = ["Pair", "gaussian_pair", "homogeneous_pair"]

_TERMS = 400  # of the Hermite series
_CUT = 14.0  # standard deviations; the density there is 1e-43
_POINTS, _WEIGHTS = np.polynomial.legendre.leggauss(16)
_GRADES = np.array([0.0, 0.5, 1.0, 2.0, 4.0, 6.0, 9.0, _CUT])


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Two functions of gap = 1 - correlation, from 0 to 2."""

    difference: Callable[[float], float]  # E[(phi(x1) - phi(x2))^2] / 2
    slopes: Callable[[float], float]  # E[phi'(x1) phi'(x2)]
    variance: float  # q


def gaussian_pair(phi: Activation, q: float, kinks: tuple[float, ...] = ()) -> Pair:
    """The pair expectations of phi at variance q, by the fastest way that is exact.

    The relative error is below 1e-9. Raises what `moments` raises.

    Source: Cho and Saul (2009), equation 3, for relu; Mehler's formula for the Hermite series.

    >>> pair = gaussian_pair("relu", 1.0)
    >>> round(math.pi * pair.difference(1.0), 12) == round((math.pi - 1) / 2, 12)
    True
    """
    homogeneous = homogeneous_slopes(phi)
    if homogeneous is not None:
        return homogeneous_pair(*homogeneous, q)
    return _hermite(phi, q, kinks) or _quadrature(phi, q, known_kinks(phi, kinks))


def homogeneous_pair(above: float, below: float, q: float) -> Pair:
    """phi = above * relu(x) - below * relu(-x); theta is the angle between x1 and x2."""
    square, cross = above**2 + below**2, 2 * above * below

    def angle(gap: float) -> float:
        return 2 * math.asin(min(math.sqrt(gap / 2), 1.0))

    def difference(gap: float) -> float:
        theta = angle(gap)
        sine = math.sin(theta)
        same = gap * (math.pi - theta) + (theta - sine)
        opposite = sine - theta + gap * theta
        return q * (square * same + cross * opposite) / (2 * math.pi)

    def slopes(gap: float) -> float:
        theta = angle(gap)
        return (square * (math.pi - theta) + cross * theta) / (2 * math.pi)

    return Pair(difference, slopes, q)


def _hermite(phi: Activation, q: float, kinks: tuple[float, ...]) -> Pair | None:
    """E phi(x1) phi(x2) = sum a_k^2 c^k, where Parseval's two sums are met; None elsewhere."""
    ends = np.arange(-38.0, 38.5, 0.5)
    z = ((ends[1:] + ends[:-1])[:, None] / 2 + _POINTS / 4).ravel()
    root = root_density(z)
    weighted = (
        value_and_slope(phi, math.sqrt(q) * z)[0] * root * np.tile(_WEIGHTS / 4, len(ends) - 1)
    )
    before, now = np.zeros_like(z), root
    squares = np.zeros(_TERMS)
    for k in range(_TERMS):
        squares[k] = (weighted @ now) ** 2
        before, now = now, (z * now - math.sqrt(k) * before) / math.sqrt(k + 1)
    degrees = np.arange(_TERMS)
    exact = moments(phi, q, kinks)
    found = squares.sum(), (degrees * squares).sum()
    for value, wanted in zip(found, (exact.second, q * exact.derivative_second), strict=True):
        if not abs(value - wanted) <= 1e-11 * wanted:
            return None

    def difference(gap: float) -> float:
        if gap >= 1:
            return float(squares @ (1 - (1 - gap) ** degrees))
        return float(squares @ -np.expm1(degrees * math.log1p(-gap)))

    def slopes(gap: float) -> float:
        return float((degrees[1:] * squares[1:]) @ (1 - gap) ** degrees[:-1]) / q

    return Pair(difference, slopes, q)


def _quadrature(phi: Activation, q: float, kinks: tuple[float, ...]) -> Pair:
    """x1, x2 = y + t, y - t with independent y ~ N(0, q(1+c)/2) and t ~ N(0, q(1-c)/2)."""
    centers = np.array(sorted({0.0, *kinks}))

    def expectation(gap: float) -> np.ndarray:
        spread = max(math.sqrt(q * gap / 2), 1e-150)
        common = max(math.sqrt(q * max(1 - gap / 2, 0.0)), 1e-150)

        def integrand(w: np.ndarray) -> np.ndarray:
            y, weights = _inner_rule(spread * w, common, centers)
            t = spread * w[:, None]
            first, first_slope = value_and_slope(phi, y + t)
            second, second_slope = value_and_slope(phi, y - t)
            inner = np.stack([(first - second) ** 2, 2 * first_slope * second_slope])
            return (inner * weights).sum(2) * root_density(w) ** 2

        scales = np.concatenate([2.0 ** np.arange(-3, 20), np.abs(centers)]) / spread
        ends = np.unique(np.concatenate([_GRADES, scales[scales < _CUT]]))
        return integrate(integrand, ends, tolerance=1e-11)

    exact = moments(phi, q, kinks)
    y, weights = _inner_rule(np.zeros(1), math.sqrt(q), centers)
    if not abs((value_and_slope(phi, y)[0] ** 2 * weights).sum() - exact.second) <= 1e-10 * (
        exact.second
    ):
        raise ValueError(
            f"phi must vary at a scale near 1, got {phi!r}, whose correlations are not resolved: "
            "name its kinks, or rescale it together with the weights"
        )
    return Pair(
        lambda gap: float(expectation(gap)[0]) if gap > 0 else 0.0,
        lambda gap: float(expectation(gap)[1]) if gap > 0 else exact.derivative_second,
        q,
    )


def _inner_rule(t: np.ndarray, std: float, centers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points y and weights (density included) for each t: panels end where y + t or y - t does.

    The panels grow geometrically away from the points where phi varies.
    """
    steps = 2.0 ** np.arange(-2, max(0, math.ceil(math.log2(_CUT * std))) + 1)
    grades = np.concatenate([-steps, [0.0], steps])
    near = (centers[:, None] + grades).ravel()
    moved = np.concatenate([near - t[:, None], near + t[:, None]], axis=1)
    fixed = np.broadcast_to(np.concatenate([-_GRADES, _GRADES]) * std, (len(t), 2 * len(_GRADES)))
    ends = np.sort(np.clip(np.concatenate([moved, fixed], axis=1), -_CUT * std, _CUT * std), axis=1)
    half, middle = np.diff(ends, axis=1) / 2, (ends[:, 1:] + ends[:, :-1]) / 2
    y = middle[..., None] + half[..., None] * _POINTS
    density = root_density(y / std) ** 2 / std
    return y.reshape(len(t), -1), (density * half[..., None] * _WEIGHTS).reshape(len(t), -1)
