"""Activations as the theory sees them: Gaussian moments, gains and Taylor polynomials."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from d2lstab.arguments import choice, finite_number, natural_number, positive_number, sequence
from d2lstab.elementwise import ACTIVATIONS, Activation, activation
from d2lstab.theory.gaussian_integrals import (
    breakpoints,
    integrate,
    root_density,
    smooth,
    value_and_slope,
)
from d2lstab.theory.power_series import SERIES

__all__ = [
    "ACTIVATIONS",
    "KINKS",
    "Moments",
    "gain",
    "known_kinks",
    "moments",
    "taylor_coefficients",
    "taylor_polynomial",
]

# Where a derivative jumps, and the order of the lowest derivative that does.
KINKS: dict[str, dict[float, int]] = {
    "relu": {0.0: 1},
    "leaky_relu": {0.0: 1},
    "elu": {0.0: 2},
    "selu": {0.0: 1},
    "softsign": {0.0: 2},
    "hardtanh": {-1.0: 1, 1.0: 1},
}


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Expectations over x ~ N(0, variance)."""

    mean: float  # E phi(x)
    second: float  # E phi(x)^2
    derivative_second: float  # E phi'(x)^2, the derivative taken almost everywhere


def known_kinks(phi: Activation, kinks: Iterable[float] = ()) -> tuple[float, ...]:
    """The points where phi is not smooth: the caller's, and a named activation's own.

    Raises:
        TypeError, ValueError: `kinks` is not a sequence of finite numbers.

    >>> known_kinks("hardtanh")
    (-1.0, 1.0)
    """
    known = sequence(kinks, "kinks", "a sequence of numbers", "pass (0.0,)")
    named = KINKS.get(phi, {}) if isinstance(phi, str) else {}
    advice = "pass the x where phi or phi' jumps"
    return tuple(sorted({*named, *(finite_number(kink, "kinks", advice) for kink in known)}))


def moments(phi: Activation, variance: float = 1.0, kinks: Iterable[float] = ()) -> Moments:
    """The Gaussian moments of an activation.

        E phi(x), E phi(x)^2, E phi'(x)^2,   x ~ N(0, variance)

    `phi` is a name or an element-wise function of a float64 tensor, differentiated by torch;
    `kinks` are the x where a function is not smooth (a named activation's are known): the
    integral is split there. `variance` is that of the pre-activation.

    The relative error is below 1e-10 for variances from 1e-6 to 1e6 (that of the mean relative
    to E|phi|). A kink that is not named costs time, not accuracy.

    Raises:
        TypeError: phi is neither a name nor a differentiable element-wise function.
        ValueError: phi's name is unknown, the variance not positive, a kink not finite, or phi's
            moments not finite.

    Source: Glorot and Bengio (2010), He et al. (2015) and Poole et al. (2016) use these moments;
    the integration is adaptive Gauss-Legendre quadrature.

    >>> round(moments("relu", variance=4.0).second, 12)  # half of the variance
    2.0
    """
    activation(phi)
    variance = positive_number(variance, "variance", "pass the pre-activation's variance")
    std = math.sqrt(variance)

    def integrand(z: np.ndarray) -> np.ndarray:
        value, slope = value_and_slope(phi, std * z)
        root = root_density(z)
        return np.stack([value * root * root, (value * root) ** 2, (slope * root) ** 2])

    mean, second, slope = integrate(integrand, breakpoints(std, known_kinks(phi, kinks)))
    return Moments(mean=float(mean), second=float(second), derivative_second=float(slope))


def gain(phi: Activation, direction: str = "forward", kinks: Iterable[float] = ()) -> float:
    """The factor on Xavier's standard deviation that keeps the variance at 1.

        forward: 1 / sqrt(E phi(z)^2),   backward: 1 / sqrt(E phi'(z)^2),   z ~ N(0, 1)

    `direction` says whether the signal or its gradient is kept. Dimensionless; the relative
    error is below 1e-10. The gain fits a pre-activation of variance 1; at another variance only
    linear, relu and leaky_relu keep it.

    `torch.nn.init.calculate_gain` agrees for linear, relu (sqrt 2) and leaky_relu. It differs
    for tanh (5/3, an empirical value, where the forward gain is 1.593 and the backward one
    1.467), for SELU (3/4, chosen for stable training, where both are near 1 because SELU was
    made so) and for sigmoid (1, where the forward gain is 1.846 and the backward one 4.723).

    Raises:
        TypeError, ValueError: as `moments`; `direction` is unknown; the moment is 0.

    Source: He et al. (2015), equations 10 and 14, for relu; Klambauer et al. (2017) for SELU.

    >>> round(gain("relu") ** 2, 12)
    2.0
    """
    direction = choice(direction, "direction", ("forward", "backward"), "name what is kept")
    found = moments(phi, kinks=kinks)
    kept = found.second if direction == "forward" else found.derivative_second
    if not kept > 0:
        raise ValueError(
            f"phi must not vanish everywhere, got a {direction} moment of {kept:g}: "
            "no gain keeps the variance of a signal that phi removes"
        )
    return 1 / math.sqrt(kept)


def taylor_coefficients(phi: Activation, order: int, at: float = 0.0) -> np.ndarray:
    """The Taylor coefficients of an activation at a point where it is smooth enough.

        c_k = phi^(k)(at) / k!,   k = 0, ..., order

    `order` is the degree, `at` the point of expansion. The result has shape (order + 1,). Named
    activations follow exact recurrences; a function is differentiated by torch `order` times
    (the cost grows steeply with the order) and its derivatives on both sides are compared. The
    error is below 1e-12 up to order 9.

    Automatic differentiation returns a quiet 0 where a derivative exists on one side only. So a
    kink is refused at every order, and a one-sided derivative where it is needed: at 0 relu,
    leaky_relu and selu always, elu and softsign from order 2 on; hardtanh at -1 and 1.

    Raises:
        TypeError: `order` is no integer, `at` no number, phi neither a name nor differentiable.
        ValueError: `order` is negative, `at` not finite, phi's name unknown, or a derivative that
            is needed does not exist at `at`.

    Source: Taylor's theorem; Griewank and Walther (2008), chapter 13, for the recurrences.

    >>> taylor_coefficients("tanh", 3)[1::2].tolist() == [1.0, -1 / 3]
    True
    """
    activation(phi)
    order = natural_number(order, "order", "pass the degree of the polynomial")
    at = finite_number(at, "at", "pass the point of expansion")
    if not isinstance(phi, str):
        return _function_coefficients(phi, order, at)
    first_jump = KINKS.get(phi, {}).get(at, math.inf)
    if first_jump <= max(order, 1):
        _refuse(phi, at, int(first_jump))
    return SERIES[phi](at, order)


def taylor_polynomial(
    coefficients: Iterable[float], x: float | np.ndarray | Tensor, at: float = 0.0
) -> float | np.ndarray | Tensor:
    """The polynomial with the given Taylor coefficients.

        sum over k of c_k (x - at)^k

    `coefficients` has c_0 first; `x` is a number, an array or a tensor, and so is the result.
    The error is a few units of round-off of the largest term (Horner's rule).

    Raises:
        TypeError, ValueError: `coefficients` is empty or not of finite numbers, or `at` not finite.

    Source: Horner's rule.

    >>> taylor_polynomial([0.0, 1.0, 0.5], 3.0, at=1.0)  # 2 + 2^2 / 2
    4.0
    """
    known = sequence(coefficients, "coefficients", "a sequence of numbers", "c_0 first")
    terms = [finite_number(c, "coefficients", "pass finite numbers") for c in known]
    if not terms:
        raise ValueError("coefficients must be at least one number, got none: pass c_0 first")
    at = finite_number(at, "at", "pass the point of expansion")
    if not isinstance(x, Tensor | np.ndarray | float | int | np.number | list | tuple):
        raise TypeError(f"x must be a number, an array or a tensor, got {x!r}: pass the points")
    points = x if isinstance(x, Tensor) else np.asarray(x, dtype=np.float64)
    value = 0 * points
    for term in reversed(terms):
        value = value * (points - at) + term
    return float(value) if np.ndim(x) == 0 and not isinstance(x, Tensor | np.ndarray) else value


def _refuse(phi: Activation, at: float, derivative: int) -> None:
    name = phi if isinstance(phi, str) else getattr(phi, "__name__", type(phi).__name__)
    raise ValueError(
        f"at must be a point where the derivatives of {name} exist, got {at:g}: derivative "
        f"{derivative} differs on its two sides there, and automatic differentiation would "
        "return a wrong number without a word; expand at another point"
    )


def _derivatives(phi: Activation, order: int, points: Tensor) -> np.ndarray:
    """phi and its first `order` derivatives at each point: shape (order + 1, points)."""
    with torch.inference_mode(False), torch.enable_grad():
        x = points.clone().requires_grad_()
        rows = [smooth(phi)(x.clone())]
        while len(rows) <= order and rows[-1].requires_grad:
            rows.extend(
                torch.autograd.grad(rows[-1].sum(), x, create_graph=True, materialize_grads=True)
            )
    found = np.zeros((order + 1, len(points)))
    for row, values in zip(found, rows, strict=False):
        row[:] = values.detach().numpy(force=True)
    return found


def _function_coefficients(phi: Activation, order: int, at: float) -> np.ndarray:
    """By automatic differentiation, refusing where a derivative jumps at `at`."""
    # Refuses what is not element-wise or differentiable, which a single point cannot tell.
    value_and_slope(phi, at + np.array([0.0, *np.linspace(-1, 1, 24)]))
    step = 1e-7 * max(1.0, abs(at))
    offsets = [0.0, -step, -2 * step, step, 2 * step, -0.3, 0.3, -1.0, 1.0]
    found = _derivatives(phi, max(order, 1), at + torch.tensor(offsets, dtype=torch.float64))
    typical = np.nan_to_num(np.abs(found), posinf=0.0).max()  # of phi and its derivatives nearby
    found = found[:, :5]
    if not np.isfinite(found).all():
        _refuse(phi, at, int(np.argmax(~np.isfinite(found).all(1))))
    # Extrapolated to `at` from either side; what is left for a smooth phi is O(step^2).
    sides = np.stack([2 * found[:, 1] - found[:, 2], 2 * found[:, 3] - found[:, 4]])
    allowed = 1e-5 * np.abs(found).max(1) + 1e-11 * typical
    jumps = (np.abs(sides - found[:, 0]) > allowed).any(0)
    if jumps.any():
        _refuse(phi, at, int(np.argmax(jumps)))
    factorials = np.array([math.factorial(k) for k in range(len(found))], dtype=np.float64)
    return (found[:, 0] / factorials)[: order + 1]
