"""Quadratic surfaces: chosen curvatures, and linear regression with the squared error."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from d2lstab.arguments import (
    choice,
    finite_number,
    floating_tensor,
    positive_integer,
    positive_number,
    random_generator,
    sequence,
)
from d2lstab.specimens.surface import Surface

__all__ = [
    "VALLEY_INPUTS",
    "VALLEY_START",
    "VALLEY_TARGETS",
    "ill_conditioned",
    "least_squares",
    "quadratic",
    "regression_valley",
    "two_feature_regression",
    "two_features",
]

# Ten real points: combat power of ten monsters of a game before and after they evolve.
VALLEY_INPUTS = (338.0, 333.0, 328.0, 207.0, 226.0, 25.0, 179.0, 60.0, 208.0, 606.0)
VALLEY_TARGETS = (640.0, 633.0, 619.0, 393.0, 428.0, 27.0, 193.0, 66.0, 226.0, 1591.0)
VALLEY_START = (-120.0, -4.0)  # the (b, w) from which the lecture descends


def _bowl(name: str, hessian: Tensor, minima: Tensor) -> Surface:
    def value(points: Tensor) -> Tensor:
        return (points * (points @ hessian.to(points))).sum(dim=-1) / 2

    def gradient(points: Tensor) -> Tensor:
        return points @ hessian.to(points)

    def hessian_at(points: Tensor) -> Tensor:
        return hessian.to(points).expand(*points.shape, points.shape[-1])

    dimension = hessian.shape[0]
    return Surface(name, dimension, value, gradient, hessian_at, minima, constant_hessian=True)


def quadratic(curvatures: Sequence[float], angle: float = 0.0) -> Surface:
    """The quadratic of given curvatures around 0, turned by an angle.

        L(x) = x^T H x / 2,    H = R diag(curvatures) R^T

    Curvatures may be negative (a saddle) or zero. `angle`, in radians, turns the first two
    axes. 0 is listed as the minimum where no curvature is negative.

    Raises:
        ValueError: no curvature, or one that is not finite; an angle in one dimension.
        TypeError: an entry is not a number.

    >>> quadratic([1.0, 4.0]).value(torch.tensor([2.0, 1.0]))
    tensor(4.)
    """
    if isinstance(curvatures, str) or not isinstance(curvatures, Sequence):
        raise TypeError(
            f"curvatures must be a list of numbers, got {curvatures!r}: pass [1.0, 0.01], say"
        )
    values = [finite_number(c, f"curvatures[{i}]") for i, c in enumerate(curvatures)]
    finite_number(angle, "angle", "pass radians")
    if not values or (angle and len(values) < 2):
        raise ValueError(
            f"curvatures must be a list of {2 if angle else 1} or more, got {len(values)}: "
            "pass one for each dimension"
        )
    hessian = torch.diag(torch.tensor(values, dtype=torch.float64))
    if angle:
        turn = torch.eye(len(values), dtype=torch.float64)
        c, s = math.cos(angle), math.sin(angle)
        turn[:2, :2] = torch.tensor([[c, -s], [s, c]], dtype=torch.float64)
        hessian = turn @ hessian @ turn.T
        hessian = (hessian + hessian.T) / 2
    minima = torch.zeros(int(min(values) >= 0), len(values), dtype=torch.float64)
    return _bowl("a quadratic", hessian, minima)


def ill_conditioned(condition_number: float, dimension: int = 2, angle: float = 0.0) -> Surface:
    """The quadratic whose curvatures are spread evenly in the logarithm from 1 / kappa to 1.

    The largest curvature is 1, so that rates are in units of 1 / largest curvature.

    Raises:
        ValueError: `condition_number` below 1 or not finite, `dimension` below 2.

    >>> ill_conditioned(100).hessian(torch.zeros(2))
    tensor([[0.0100, 0.0000],
            [0.0000, 1.0000]])
    """
    kappa = finite_number(condition_number, "condition_number", "pass 1 or more")
    if not kappa >= 1:
        raise ValueError(f"condition_number must be at least 1, got {kappa}: pass 100, say")
    count = positive_integer(dimension, "dimension", minimum=2)
    return quadratic([kappa ** (i / (count - 1) - 1) for i in range(count)], angle)


def least_squares(inputs: Tensor, targets: Tensor, reduction: str = "mean") -> Surface:
    """The squared error of linear regression without bias, as a function of the weights.

        L(w) = mean_i (y_i - x_i . w)^2      (or the sum),      H = 2 mean_i x_i x_i^T

    `inputs` (N, d), `targets` (N,). The minimum listed is the one of least norm.

    Raises:
        TypeError: `inputs` or `targets` is no floating-point tensor.
        ValueError: shapes that do not match, values that are not finite.

    >>> line = least_squares(torch.tensor([[1.0], [2.0]]), torch.tensor([2.0, 4.0]))
    >>> line.minima, line.hessian(torch.zeros(1))
    (tensor([[2.]], dtype=torch.float64), tensor([[5.]]))
    """
    floating_tensor(inputs, "inputs", "pass shape (N, d)")
    floating_tensor(targets, "targets", "pass shape (N,)")
    if inputs.dim() != 2 or targets.shape != inputs.shape[:1]:
        raise ValueError(
            "inputs and targets must be of shape (N, d) and (N,), got "
            f"{tuple(inputs.shape)} and {tuple(targets.shape)}: pass one target for each row"
        )
    if not bool(inputs.isfinite().all() & targets.isfinite().all()):
        raise ValueError("inputs and targets must be finite, got NaN or infinity: clean them")
    x, y = inputs.detach().double().clone(), targets.detach().double().clone()
    share = 1 / len(x) if choice(reduction, "reduction", ("mean", "sum")) == "mean" else 1.0
    hessian = 2 * share * x.T @ x

    def residuals(points: Tensor) -> Tensor:
        return points @ x.to(points).T - y.to(points)

    def value(points: Tensor) -> Tensor:
        return share * residuals(points).square().sum(dim=-1)

    def gradient(points: Tensor) -> Tensor:
        return 2 * share * residuals(points) @ x.to(points)

    def hessian_at(points: Tensor) -> Tensor:
        return hessian.to(points).expand(*points.shape, points.shape[-1])

    minima = torch.linalg.lstsq(x, y[:, None], driver="gelsd").solution.T
    name = "a linear regression"
    return Surface(name, x.shape[1], value, gradient, hessian_at, minima, constant_hessian=True)


def regression_valley() -> Surface:
    """The long convex valley over (b, w): a line fitted to ten real points.

        L(b, w) = sum_i (y_i - b - w x_i)^2

    Minimum at (b, w) = (-188.43320, 2.66945); curvatures 5.573477 and 1.746830e6, condition
    number 313,418, so that gradient descent is stable up to a rate of 1.14493e-6 only.

    Source: Lee (2016), Machine Learning, demonstration of gradient descent.

    >>> [round(x, 3) for x in regression_valley().minima[0].tolist()]
    [-188.433, 2.669]
    """
    x = torch.tensor(VALLEY_INPUTS, dtype=torch.float64)
    y = torch.tensor(VALLEY_TARGETS, dtype=torch.float64)
    return least_squares(torch.stack([torch.ones_like(x), x], dim=1), y, reduction="sum")


def two_features(
    *, generator: torch.Generator, samples: int = 1000, scales: tuple[float, float] = (2.0, 200.0)
) -> Tensor:
    """Two independent features of different scale, uniform on [0, scale], shape (samples, 2).

    With scales 2 and 200 the condition number of E[x x^T] is 2.29e4 in expectation.

    Raises:
        ValueError, TypeError: `samples` or a scale is not positive; no generator.

    >>> two_features(generator=torch.Generator().manual_seed(0), samples=3).shape
    torch.Size([3, 2])
    """
    count = positive_integer(samples, "samples")
    widths = [positive_number(s, f"scales[{i}]") for i, s in enumerate(scales)]
    if len(widths) != 2:
        raise ValueError(f"scales must be two numbers, got {len(widths)}: pass (2.0, 200.0), say")
    random_generator(generator)
    unit = torch.rand(count, 2, generator=generator, dtype=torch.float64, device=generator.device)
    return unit * torch.tensor(widths, dtype=torch.float64, device=generator.device)


def two_feature_regression(inputs: Tensor, weights: tuple[float, float] = (1.0, 1.0)) -> Surface:
    """The mean squared error of a regression on two features, whose answer is `weights`.

    `inputs` (N, 2), raw, standardized or whitened; the targets are inputs @ weights without
    noise, so that the minimum is 0 at `weights`. H = 2 E[x x^T].

    Raises:
        TypeError, ValueError: as `least_squares`; `inputs` without exactly two columns.

    >>> bowl = two_feature_regression(torch.tensor([[1.0, 0.0], [0.0, 10.0]]))
    >>> bowl.hessian(torch.zeros(2))
    tensor([[  1.,   0.],
            [  0., 100.]])
    """
    floating_tensor(inputs, "inputs", "pass shape (N, 2)")
    if inputs.dim() != 2 or inputs.shape[1] != 2:
        raise ValueError(f"inputs must be of shape (N, 2), got {tuple(inputs.shape)}: two features")
    two = sequence(weights, "weights", "two numbers", "pass (1.0, 1.0), say")
    if len(two) != 2:
        raise ValueError(f"weights must be two numbers, got {len(two)}: pass (1.0, 1.0), say")
    answer = [finite_number(w, f"weights[{i}]") for i, w in enumerate(two)]
    return least_squares(inputs, inputs @ torch.tensor(answer, dtype=torch.float64).to(inputs))
