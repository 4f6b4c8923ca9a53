"""Descent on a quadratic: contraction, stability and noise of the momentum methods.

With a = lr * curvature, a step in the direction of one eigenvector is x' = M (x, x_before):

    gradient_descent  x' = x - a x
    heavy_ball        x' = x + beta (x - x_before) - a x                 (Polyak)
    nesterov          x' = y - a y,   y = x + beta (x - x_before)
    ema               x' = x - lr m,  m = beta m_before + (1 - beta) curvature x

The last is the first moment of Adam: heavy ball at a rate of (1 - beta) lr.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from d2lstab.arguments import (
    choice,
    finite_number,
    non_negative_number,
    number_between,
    positive_integer,
    positive_number,
)

__all__ = [
    "METHODS",
    "BestRate",
    "best",
    "companion_matrix",
    "contraction",
    "stability_limit",
    "stationary_variance",
]

METHODS = ("gradient_descent", "heavy_ball", "nesterov", "ema")


@dataclass(frozen=True, slots=True, eq=False)
class BestRate:
    """A method's best setting on a quadratic whose largest curvature is 1."""

    lr: float  # in units of 1 / largest curvature
    momentum: float  # beta; 0 for gradient descent
    rate: float  # factor by which the error shrinks per step in the end, dimensionless


def _method(method: str) -> str:
    return choice(method, "method", METHODS)


def _beta(momentum: float) -> float:
    return number_between(momentum, "momentum", 0, 1, "pass 0.9, say", closed="left")


def companion_matrix(
    method: str, lr: float, curvature: float, momentum: float = 0.0
) -> npt.NDArray[np.float64]:
    """The 2 x 2 matrix that maps (x, x before) to (x', x) along one eigenvector.

        heavy_ball [[1 + b - a, -b], [1, 0]],    nesterov [[(1 + b)(1 - a), -b (1 - a)], [1, 0]]

    with a = lr * curvature and b = momentum; gradient descent is heavy ball with b = 0
    whatever `momentum` says, ema is heavy ball with (1 - b) a.

    Raises:
        ValueError: unknown `method`, `lr` not positive, `curvature` not finite, `momentum`
            outside [0, 1).

    >>> companion_matrix("heavy_ball", 0.5, 1.0, momentum=0.5).tolist()
    [[1.0, -0.5], [1.0, 0.0]]
    """
    _method(method)
    a = positive_number(lr, "lr", "pass a learning rate") * finite_number(curvature, "curvature")
    b = _beta(momentum)
    if method == "gradient_descent":
        b = 0.0
    if method == "nesterov":
        top = [(1 + b) * (1 - a), -b * (1 - a)]
    else:
        top = [1 + b - (a * (1 - b) if method == "ema" else a), -b]
    return np.array([top, [1.0, 0.0]])


def contraction(method: str, lr: float, curvature: float, momentum: float = 0.0) -> float:
    """The factor by which the error shrinks per step in the end, along one eigenvector.

        rho(M) = max |z|,    z^2 - (tr M) z + det M = 0

    with M the `companion_matrix`: the spectral radius. Below 1 the method converges, above 1
    it diverges. `curvature` may be negative (how fast a saddle is left). Gradient descent has
    no momentum and ignores it. Where the two roots coincide, as at the best setting, the
    error falls like t * rho^t, more slowly than rho^t over any finite window; there the
    radius has the slope of a square root, and a discriminant within round-off of 0 is taken
    as 0. Exact otherwise to round-off.

    Raises:
        ValueError, TypeError: as `companion_matrix`.

    Source: Polyak (1964); Nesterov (1983); O'Donoghue and Candes (2015).

    >>> contraction("gradient_descent", lr=0.5, curvature=1.0)
    0.5
    >>> contraction("heavy_ball", lr=1.0, curvature=1.0, momentum=0.25)
    0.5
    """
    matrix = companion_matrix(method, lr, curvature, momentum)
    trace, determinant = float(matrix[0, 0]), float(-matrix[0, 1])
    if trace == 0:
        return math.sqrt(abs(determinant))
    share = 1 - 4 * (determinant / trace) / trace  # discriminant / trace^2: cannot overflow
    if share < 0:
        return math.sqrt(determinant)
    if share <= 8 * np.finfo(np.float64).eps:
        return abs(trace) / 2
    return abs(trace) * (1 + math.sqrt(share)) / 2


def stability_limit(method: str, momentum: float = 0.0) -> float:
    """The largest stable lr * curvature.

        gradient_descent 2,    heavy_ball 2 (1 + b),    nesterov 2 (1 + b) / (1 + 2 b),
        ema 2 (1 + b) / (1 - b)

    where an eigenvalue of the companion matrix passes -1. Dimensionless; at the limit itself
    the error neither shrinks nor grows. Gradient descent ignores `momentum`.

    Raises:
        ValueError: unknown `method`, `momentum` outside [0, 1).

    >>> stability_limit("gradient_descent"), stability_limit("heavy_ball", momentum=0.5)
    (2.0, 3.0)
    """
    _method(method)
    b = _beta(momentum)
    limits = {
        "gradient_descent": 2.0,
        "heavy_ball": 2 * (1 + b),
        "nesterov": 2 * (1 + b) / (1 + 2 * b),
        "ema": 2 * (1 + b) / (1 - b),
    }
    return limits[method]


def best(method: str, condition_number: float) -> BestRate:
    """The rate and momentum that shrink the error fastest for curvatures in [1 / kappa, 1].

        gradient_descent  lr = 2 / (1 + 1/k),           rate = (k - 1) / (k + 1)
        heavy_ball        lr = (2 / (1 + 1/sqrt k))^2,  rate = (sqrt k - 1) / (sqrt k + 1),
                          momentum = rate^2
        nesterov          lr = 1,                       rate = 1 - 1 / sqrt k,
                          momentum = (sqrt k - 1) / (sqrt k + 1)
        ema               heavy ball's, with lr / (1 - momentum)

    Nesterov's is the standard choice at lr 1, not the optimum over all rates. `rate` is the
    largest `contraction` over the curvatures, taken at 1 / kappa.

    Raises:
        ValueError: `condition_number` below 1 or not finite, unknown `method`.

    Source: Polyak (1964); Nesterov (2004), section 2.2; Lessard, Recht and Packard (2016).

    >>> best("gradient_descent", 3.0).rate, best("heavy_ball", 9.0).rate
    (0.5, 0.5)
    """
    _method(method)
    kappa = finite_number(condition_number, "condition_number", "pass 1 or more")
    if not kappa >= 1:
        raise ValueError(
            f"condition_number must be at least 1, got {condition_number}: "
            "divide the largest curvature by the smallest, not the other way round"
        )
    root = math.sqrt(kappa)
    slow = (root - 1) / (root + 1)
    if method == "gradient_descent":
        return BestRate(lr=2 * kappa / (kappa + 1), momentum=0.0, rate=(kappa - 1) / (kappa + 1))
    if method == "nesterov":
        return BestRate(lr=1.0, momentum=slow, rate=(root - 1) / root)
    lr, momentum = (2 * root / (root + 1)) ** 2, slow * slow
    return BestRate(lr / (1 - momentum) if method == "ema" else lr, momentum, slow)


def stationary_variance(
    lr: float, curvature: float, momentum: float, noise_variance: float, batch_size: int
) -> float:
    """The variance around the minimum at which noisy descent (heavy ball) settles.

        Var x = lr (1 + b) / (curvature (1 - b) (2 (1 + b) - lr curvature)) * s^2 / B

    for the gradient curvature * x + noise, the noise independent from step to step, of
    variance s^2 = `noise_variance` for one sample and s^2 / B for a batch. Exact for any
    distribution of the noise.

    Raises:
        ValueError: lr * curvature is at or above the stability limit 2 (1 + b), where no
            stationary variance exists; `lr`, `curvature` or `batch_size` not positive,
            `momentum` outside [0, 1), `noise_variance` negative.

    Source: the variance of an autoregression of order 2, Box and Jenkins (1970), section 3.2;
    Mandt, Hoffman and Blei (2017) for the limit of small rates.

    >>> stationary_variance(lr=1.0, curvature=1.0, momentum=0.0, noise_variance=2.0, batch_size=4)
    0.5
    """
    eta, curve = positive_number(lr, "lr"), positive_number(curvature, "curvature")
    b, count = _beta(momentum), positive_integer(batch_size, "batch_size")
    noise = non_negative_number(noise_variance, "noise_variance", "pass a variance")
    limit = stability_limit("heavy_ball", b)
    if not eta * curve < limit:
        raise ValueError(
            f"lr * curvature must be below the stability limit {limit:g}, got {eta * curve:g}: "
            "at or above it the variance grows without bound"
        )
    return eta * (1 + b) / (curve * (1 - b) * (limit - eta * curve)) * noise / count
