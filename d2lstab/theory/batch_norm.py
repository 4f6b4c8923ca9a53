"""Batch normalization: its backward pass, its moving averages, and how gradients grow."""

import math

import numpy as np
import numpy.typing as npt

from d2lstab.arguments import (
    finite_number,
    natural_number,
    non_negative_number,
    number_between,
    positive_integer,
    positive_number,
)
from d2lstab.elementwise import ACTIVATIONS, Activation, activation
from d2lstab.theory.activations import moments

__all__ = [
    "gradient_growth",
    "half_life",
    "input_gradient",
    "jacobian",
    "running_estimate",
    "running_mean_variance",
]

Array = npt.NDArray[np.float64]


def gradient_growth(batch_size: float, phi: Activation) -> float:
    """The factor by which the squared gradient grows per layer toward the input.

        batch_size = math.inf:   E[phi'(z)^2] / Var[phi(z)],    z ~ N(0, 1)
        linear, finite B:        (B - 2) / (B - 3)

    for a wide plain network x -> W phi(batch_norm(x)), deep enough that the batch has
    reached its symmetric fixed point. ReLU gives pi / (pi - 1) = 1.467. It is never below 1
    (Poincare's inequality), and 1 only without an activation: batch normalization makes the
    gradients of a plain network explode. Corrections are of order 1 / width and, for the
    limit, 1 / B.

    Raises:
        ValueError: a finite batch with an activation (no closed form here); a linear batch
            below 4, whose mean is infinite.

    Source: Yang, Pennington, Rao, Sohl-Dickstein and Schoenholz (2019), A mean field theory
    of batch normalization.

    >>> gradient_growth(4, "linear"), gradient_growth(8, "linear")
    (2.0, 1.2)
    >>> round(gradient_growth(math.inf, "relu") * (math.pi - 1) / math.pi, 12)
    1.0
    """
    function = activation(phi)
    linear = function is ACTIVATIONS["linear"]
    if isinstance(batch_size, float) and batch_size == math.inf:
        if linear:
            return 1.0
        m = moments(phi)
        return m.derivative_second / (m.second - m.mean**2)
    count = positive_integer(batch_size, "batch_size", "pass an integer, or math.inf", minimum=4)
    if not linear:
        raise ValueError(
            f"batch_size must be math.inf for the activation {phi!r}, got {batch_size}: "
            'the finite batch has a closed form for "linear" only'
        )
    return (count - 2) / (count - 3)


def running_estimate(value: float, steps: int, momentum: float | None) -> float:
    """The moving average after a number of updates with the same value, from 0.

        value (1 - (1 - momentum)^steps)

    with torch's momentum: running = (1 - momentum) running + momentum * batch, 0.1 unless
    told, so that the past keeps 0.9. `momentum=None` is the cumulative average: `value`
    after the first update.

    Raises:
        ValueError: `momentum` outside [0, 1], `steps` negative, `value` not finite.

    Source: Ioffe and Szegedy (2015), section 3.1; the documentation of torch.nn.BatchNorm1d.

    >>> running_estimate(4.0, 2, 0.5)
    3.0
    """
    v, t = finite_number(value, "value"), natural_number(steps, "steps")
    if t == 0:
        return 0.0
    if momentum is None:
        return v
    m = number_between(momentum, "momentum", 0, 1, "torch's momentum is 0.1: the past keeps 0.9")
    return v if m == 1 else -v * math.expm1(t * math.log1p(-m))


def half_life(momentum: float) -> float:
    """The number of updates after which half of a moving average is new.

        ln 2 / -ln(1 - momentum)

    Raises:
        ValueError: `momentum` outside (0, 1).

    >>> half_life(0.5)
    1.0
    """
    m = number_between(momentum, "momentum", 0, 1, "torch's is 0.1", closed="neither")
    return -math.log(2) / math.log1p(-m)


def running_mean_variance(momentum: float, variance: float, batch_size: int) -> float:
    """The variance of the running mean around the true mean, after many updates.

        m / (2 - m) * variance / B

    for independent batches of B independent samples of the given variance.

    Raises:
        ValueError: `momentum` outside (0, 1], `variance` negative, `batch_size` not positive.

    >>> running_mean_variance(1.0, 8.0, 4)
    2.0
    """
    m = number_between(momentum, "momentum", 0, 1, "torch's is 0.1", closed="right")
    spread = non_negative_number(variance, "variance")
    return m / (2 - m) * spread / positive_integer(batch_size, "batch_size")


def _batch(normalized: npt.ArrayLike, name: str) -> Array:
    z = np.asarray(normalized, dtype=np.float64)
    if z.ndim == 0 or z.size == 0 or not bool(np.isfinite(z).all()):
        raise ValueError(
            f"{name} must be finite numbers with the batch first, got shape {z.shape}: "
            "pass the values of one unit, (B,), or of several, (B, n)"
        )
    return z


def _scale(std: npt.ArrayLike) -> Array:
    scale = np.asarray(std, dtype=np.float64)
    if not bool(((scale > 0) & np.isfinite(scale)).all()):
        raise ValueError(f"std must be positive, got {std!r}: pass sqrt(biased variance + eps)")
    return scale


def input_gradient(normalized: npt.ArrayLike, upstream: npt.ArrayLike, std: npt.ArrayLike) -> Array:
    """The gradient by the inputs of batch normalization, without gamma and beta.

        g = (u - mean(u) - z mean(u z)) / std

    for the outputs z = `normalized` = (x - mean) / std, the gradient u by them, and std =
    sqrt(biased variance + eps). Shapes (B,) or (B, n), the mean over the batch, `std` a
    number or of shape (n,). Exact, with eps too. The samples are coupled so that sum g = 0
    and, for eps = 0, sum g z = 0.

    Raises:
        ValueError: shapes that differ, values that are not finite, `std` not positive.

    Source: Ioffe and Szegedy (2015), section 3, in simplified form.

    >>> input_gradient([-1.0, 1.0], [5.0, 7.0], 2.0).tolist()  # a batch of 2 passes nothing
    [0.0, 0.0]
    """
    z, u = _batch(normalized, "normalized"), _batch(upstream, "upstream")
    if z.shape != u.shape:
        raise ValueError(
            f"upstream must have the shape {z.shape} of normalized, got {u.shape}: "
            "one gradient for each output"
        )
    gradient: Array = (u - u.mean(axis=0) - z * (u * z).mean(axis=0)) / _scale(std)
    return gradient


def jacobian(normalized: npt.ArrayLike, std: float) -> Array:
    """How the outputs of batch normalization move with its inputs, for one unit.

        d z_i / d x_j = (delta_ij - 1/B - z_i z_j / B) / std

    Shape (B, B), symmetric. It maps (1, ..., 1) to 0 and, for eps = 0, z to 0.

    Raises:
        ValueError: `normalized` is not of shape (B,), or not finite; `std` not positive.

    Source: Ioffe and Szegedy (2015), section 3.

    >>> jacobian([-1.0, 1.0], 2.0).tolist()
    [[0.0, 0.0], [0.0, 0.0]]
    """
    z = _batch(normalized, "normalized")
    if z.ndim != 1:
        raise ValueError(f"normalized must be of shape (B,), got {z.shape}: pass one unit")
    scale = positive_number(std, "std", "pass sqrt(variance + eps)")
    matrix: Array = (np.eye(len(z)) - 1 / len(z) - np.outer(z, z) / len(z)) / scale
    return matrix
