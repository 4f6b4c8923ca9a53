"""The toy surfaces of the course; quadratics and softmax losses live in their own files."""

import torch
from torch import Tensor

from d2lstab.arguments import finite_number, number_between, positive_integer, positive_number
from d2lstab.specimens.quadratic_surfaces import (
    VALLEY_INPUTS,
    VALLEY_START,
    VALLEY_TARGETS,
    ill_conditioned,
    least_squares,
    quadratic,
    regression_valley,
    two_feature_regression,
    two_features,
)
from d2lstab.specimens.softmax_surfaces import cross_entropy_surface, mse_surface
from d2lstab.specimens.surface import Surface, matrix

__all__ = [
    "VALLEY_INPUTS",
    "VALLEY_START",
    "VALLEY_TARGETS",
    "Surface",
    "cross_entropy_surface",
    "flat_inflection",
    "hidden_saddle",
    "ill_conditioned",
    "least_squares",
    "mse_surface",
    "quadratic",
    "reddi_slopes",
    "regression_valley",
    "tilted_double_well",
    "two_feature_regression",
    "two_features",
    "two_weight_product",
]


def two_weight_product() -> Surface:
    """The smallest deep network: y = w1 w2 x, fitted to the single point x = 1, y = 1.

        L = (1 - w1 w2)^2,    grad = -2 (1 - w1 w2) (w2, w1)
        H = [[2 w2^2, 4 w1 w2 - 2], [4 w1 w2 - 2, 2 w1^2]]

    A saddle at 0 with eigenvalues -2 along (1, 1) and +2 along (1, -1). The minima are the
    whole hyperbola w1 w2 = 1, with eigenvalues 0 and 2 (w1^2 + w2^2); `minima` lists its two
    flattest points.

    >>> two_weight_product().hessian(torch.zeros(2))
    tensor([[ 0., -2.],
            [-2.,  0.]])
    """

    def value(points: Tensor) -> Tensor:
        return (1 - points.prod(dim=-1)).square()

    def gradient(points: Tensor) -> Tensor:
        return -2 * (1 - points.prod(dim=-1, keepdim=True)) * points.flip(-1)

    def hessian(points: Tensor) -> Tensor:
        w1, w2 = points.unbind(dim=-1)
        mixed = 4 * w1 * w2 - 2
        return matrix([[2 * w2.square(), mixed], [mixed, 2 * w1.square()]])

    minima = torch.tensor([[1.0, 1.0], [-1.0, -1.0]], dtype=torch.float64)
    return Surface("the two-weight product", 2, value, gradient, hessian, minima)


def tilted_double_well(tilt: float = 0.1) -> Surface:
    """Two valleys of unequal depth with a hill between them, in one dimension.

        L(x) = (x^2 - 1)^2 / 4 + tilt x,    L' = x^3 - x + tilt,    L'' = 3 x^2 - 1

    `minima` lists both, the deeper one first (for a tilt of 0.1: -1.04668 and 0.94565).

    Raises:
        ValueError: |tilt| is not below 2 / sqrt(27) = 0.385, where one valley disappears.

    >>> tilted_double_well().gradient(torch.tensor([0.0]))
    tensor([0.1000])
    """
    steepest = 2 / 27**0.5
    t = number_between(
        tilt, "tilt", -steepest, steepest, "a steeper tilt has one valley", closed="neither"
    )

    def value(points: Tensor) -> Tensor:
        x = points[..., 0]
        return (x.square() - 1).square() / 4 + t * x

    def gradient(points: Tensor) -> Tensor:
        return points**3 - points + t

    def hessian(points: Tensor) -> Tensor:
        return (3 * points.square() - 1).unsqueeze(-1)

    # The three real roots of x^3 - x + t by Vieta's cosines; k = 1 is the hill between them.
    angle = torch.acos(torch.tensor(-t / steepest, dtype=torch.float64)) / 3
    k = torch.tensor([0.0, 2.0], dtype=torch.float64)
    minima = 2 / 3**0.5 * torch.cos(angle - 2 * torch.pi * k / 3)[:, None]
    minima = minima[value(minima).argsort(stable=True)]
    return Surface("the tilted double well", 1, value, gradient, hessian, minima)


def hidden_saddle() -> Surface:
    """A minimum in one dimension that is a saddle once a second parameter exists.

        L(x, y) = x^2 / 2 + (y^2 - 1)^2 / 4,    H = diag(1, 3 y^2 - 1)

    Along y = 0 the point x = 0 is a minimum; in the plane it is a saddle with eigenvalues 1
    and -1, and the minima lie at (0, 1) and (0, -1).

    >>> hidden_saddle().hessian(torch.zeros(2))
    tensor([[ 1.,  0.],
            [ 0., -1.]])
    """

    def value(points: Tensor) -> Tensor:
        x, y = points.unbind(dim=-1)
        return x.square() / 2 + (y.square() - 1).square() / 4

    def gradient(points: Tensor) -> Tensor:
        x, y = points.unbind(dim=-1)
        return torch.stack([x, y**3 - y], dim=-1)

    def hessian(points: Tensor) -> Tensor:
        x, y = points.unbind(dim=-1)
        zero = torch.zeros_like(x)
        return matrix([[zero + 1, zero], [zero, 3 * y.square() - 1]])

    minima = torch.tensor([[0.0, 1.0], [0.0, -1.0]], dtype=torch.float64)
    return Surface("the hidden saddle", 2, value, gradient, hessian, minima)


def flat_inflection() -> Surface:
    """A flat point that is no minimum, on the way down to one, in one dimension.

        L(x) = x^4 / 4 - x^3 / 3,    L' = x^2 (x - 1),    L'' = 3 x^2 - 2 x

    At 0 slope and curvature vanish. Coming from x = -e, gradient descent needs about
    1 / (rate e) steps to halve the distance and never passes 0; momentum carries it over.

    >>> flat_inflection().gradient(torch.tensor([[-1.0], [1.0], [2.0]])).flatten()
    tensor([-2.,  0.,  4.])
    """

    def value(points: Tensor) -> Tensor:
        x = points[..., 0]
        return x**4 / 4 - x**3 / 3

    def gradient(points: Tensor) -> Tensor:
        return points.square() * (points - 1)

    def hessian(points: Tensor) -> Tensor:
        return (3 * points.square() - 2 * points).unsqueeze(-1)

    minima = torch.ones(1, 1, dtype=torch.float64)
    return Surface("the flat inflection", 1, value, gradient, hessian, minima)


def reddi_slopes(steps: int, large: float = 3.0, small: float = 1.0, period: int = 3) -> Tensor:
    """The slopes of a sequence of linear losses on [-1, 1] on which Adam fails.

        f_t(x) = large x  for t = 1, 1 + period, 1 + 2 period, ...,    -small x  otherwise

    Shape (steps,), float64. The mean slope (large - (period - 1) small) / period is positive,
    so that x = -1 is the best point, while Adam's division by the root mean square shrinks
    the rare large slope: with beta1 = 0, beta2 = 1 / (1 + large^2), small = 1 and period = 3
    it ends at +1. The source's experiment has large = 1010, small = 10, period = 101.

    Raises:
        ValueError: the mean slope is not positive, or an argument is not.

    Source: Reddi, Kale and Kumar (2018), Theorem 1 and section 5.

    >>> reddi_slopes(4)
    tensor([ 3., -1., -1.,  3.], dtype=torch.float64)
    """
    count = positive_integer(steps, "steps")
    positive_number(large, "large")
    positive_number(small, "small")
    positive_integer(period, "period", minimum=2)
    if not large > (period - 1) * small:
        raise ValueError(
            f"large must be above (period - 1) * small = {(period - 1) * small}, got {large}: "
            "otherwise x = +1 is the best point and Adam is right"
        )
    slopes = torch.full((count,), -finite_number(small, "small"), dtype=torch.float64)
    slopes[::period] = large
    return slopes
