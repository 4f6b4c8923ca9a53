"""Integrals against the normal density by adaptive Gauss-Legendre panels.

Shared by `activations` (one variable) and `mean_field` (two variables).
"""

import math
from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import Tensor

from d2lstab.elementwise import Activation, activation

__all__ = ["HORIZON", "breakpoints", "integrate", "root_density", "smooth", "value_and_slope"]

HORIZON = 38.0  # the normal density at 38 standard deviations is 1e-314
_POINTS, _WEIGHTS = np.polynomial.legendre.leggauss(16)
_PANELS_AT_MOST = 20_000
_COMPARED = 50  # points at which a function's being element-wise is looked at
_SCALES = (1.0, 2.0, 4.0, 6.0, 9.0, 14.0, 22.0)  # the density's own, in standard deviations


def smooth(phi: Activation) -> Callable[[Tensor], Tensor]:
    """The function that `phi` names, without the jump of 2e-9 that F.softplus has at 20."""
    if isinstance(phi, str) and phi == "softplus":
        return lambda x: torch.logaddexp(x, torch.zeros_like(x))
    return activation(phi)


def root_density(z: np.ndarray) -> np.ndarray:
    """The square root of the standard normal density: squares of large values stay finite."""
    return np.exp(-z * z / 4) / (2 * math.pi) ** 0.25


def breakpoints(std: float, kinks: Iterable[float] = ()) -> np.ndarray:
    """Ends of panels in z that resolve the density, phi(std z) at unit scale, and the kinks."""
    grades = np.concatenate([_SCALES, 2.0 ** np.arange(-6, 20) / std])
    ends = np.concatenate([-grades, grades, np.array([*kinks, 0.0]) / std, [-HORIZON, HORIZON]])
    return np.unique(ends[np.abs(ends) <= HORIZON])


def integrate(
    integrand: Callable[[np.ndarray], np.ndarray],
    ends: np.ndarray,
    tolerance: float = 1e-13,
) -> np.ndarray:
    """The integrals of several functions over the panels between sorted `ends`.

    `integrand` maps points of shape (m,) to values of shape (k, m). Each panel is halved until
    its 16-point rule and its halves' rules agree to `tolerance` of the integral of |integrand|.

    Raises:
        ValueError: the values are not finite, or the panels do not come to agree.
    """
    left, right = ends[:-1], ends[1:]
    coarse, scale = _panels(integrand, left, right)
    scale = scale.sum(1, keepdims=True)
    total = np.zeros(len(coarse))
    while left.size:
        middle = (left + right) / 2
        halves = np.stack([left, middle]), np.stack([middle, right])
        fine, _ = _panels(integrand, halves[0].ravel(), halves[1].ravel())
        fine = fine.reshape(-1, 2, left.size)
        settled = (np.abs(fine.sum(1) - coarse) <= tolerance * scale).all(0)
        settled |= right - left <= 1e-14 * np.maximum(np.abs(left), np.abs(right))
        total += fine[:, :, settled].sum((1, 2))
        left, right = (end[:, ~settled].ravel() for end in halves)
        coarse = fine[:, :, ~settled].reshape(len(total), -1)
        if left.size > _PANELS_AT_MOST:
            raise ValueError(
                "phi must be piecewise smooth and computed in float64, got a function whose "
                "integral does not settle: check its precision, and that it is deterministic"
            )
    return total


def value_and_slope(phi: Activation, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """phi(x) and phi'(x) in float64 for an array of any shape.

    Raises:
        TypeError: phi is not element-wise, or torch cannot differentiate it. A single point
            shows neither.
    """
    function = smooth(phi)
    with torch.inference_mode(False), torch.enable_grad():
        x = np.ascontiguousarray(x, dtype=np.float64)
        points = torch.from_numpy(x).requires_grad_()
        value = _values(function, points)
        if not isinstance(phi, str):
            _check_elementwise(function, x, value)
        if value.requires_grad:
            slope = torch.autograd.grad(value.sum(), points, allow_unused=True)[0]
        elif bool((value == value.flatten()[0]).all()):
            slope = None
        else:
            raise TypeError(_NO_SLOPE)
    if slope is None:
        slope = torch.zeros_like(points)
    return value.detach().double().numpy(), slope.detach().numpy()


_NO_SLOPE = (
    "phi must be differentiable by torch, got a result without gradient: "
    "write phi with torch functions, without detach, numpy or no_grad"
)


def _values(function: Callable[[Tensor], Tensor], points: Tensor) -> Tensor:
    try:
        value = function(points.clone())  # a clone: phi may work in place
    except RuntimeError as error:
        if "numpy()" in str(error):  # torch's words for a tensor that is to be differentiated
            raise TypeError(_NO_SLOPE) from error
        raise
    if not isinstance(value, Tensor) or value.shape != points.shape:
        got = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise TypeError(
            f"phi must be element-wise, got {got} for a tensor of shape "
            f"{tuple(points.shape)}: return a tensor of the input's shape"
        )
    return value


def _check_elementwise(function: Callable[[Tensor], Tensor], x: np.ndarray, value: Tensor) -> None:
    """Of some of the points every third must keep its value when the others are moved."""
    every = slice(None, None, 1 + x.size // _COMPARED)
    some = x.ravel()[every].copy()
    some[1::3] += 1
    some[2::3] += 1
    with torch.no_grad():
        found = _values(function, torch.from_numpy(some)).double().numpy(force=True)[::3]
    expected = value.double().numpy(force=True).ravel()[every][::3]
    if np.array_equal(found, expected, equal_nan=True):
        return
    # Another path through the same kernel may round differently, where phi cancels too.
    loose = 1e-9 if value.dtype == torch.float64 else 1e-3
    scale = np.nan_to_num(np.abs(expected), posinf=0.0).max()
    if not np.allclose(found, expected, rtol=loose, atol=loose / 1000 * scale, equal_nan=True):
        raise TypeError(
            "phi must be element-wise, got values that change with the other entries of its "
            "tensor, or from call to call: leave softmax, means and random numbers out of it"
        )


def _panels(
    integrand: Callable[[np.ndarray], np.ndarray], left: np.ndarray, right: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The 16-point rule on each panel, for the integrand and for its absolute value: (k, p)."""
    half, middle = (right - left) / 2, (right + left) / 2
    points = middle[:, None] + half[:, None] * _POINTS
    with np.errstate(over="ignore", invalid="ignore"):
        values = integrand(points.ravel())
    if not np.isfinite(values).all():
        raise ValueError(
            "phi must have finite moments at this variance, got a value that is not finite: "
            "check phi at large |x|, or pass a smaller variance"
        )
    values = values.reshape(len(values), *points.shape)
    return values @ _WEIGHTS * half, np.abs(values) @ _WEIGHTS * half
