"""What kind of point is it? A verdict from the gradient and the Hessian's eigenvalues."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from d2lstab.arguments import non_negative_number, positive_integer

__all__ = ["CriticalPoint", "classify", "goe_all_positive"]


@dataclass(frozen=True, slots=True, eq=False)
class CriticalPoint:
    """The verdict on a point and what it rests on."""

    kind: str  # "minimum", "maximum", "saddle", "degenerate" or "not_critical"
    negative: int  # eigenvalues below -threshold
    zero: int  # eigenvalues within the threshold of 0: their sign means nothing
    positive: int  # eigenvalues above the threshold
    minimum_ratio: float  # positive / all eigenvalues, zeros counted in the denominator
    minimum_ratio_without_zeros: float  # positive / (positive + negative); NaN where all are 0
    gradient_norm: float  # as it was given, loss per unit of a parameter
    gradient_tolerance: float  # a gradient above this is not small
    threshold: float  # |eigenvalue| up to which it counts as 0, in the eigenvalues' unit


def _spectrum(eigenvalues: object) -> npt.NDArray[np.float64]:
    if isinstance(eigenvalues, Tensor):
        eigenvalues = (
            eigenvalues.detach().cpu().double().numpy()
            if not (eigenvalues.is_complex())
            else eigenvalues.detach().cpu().numpy()
        )
    if isinstance(eigenvalues, str | bytes) or not isinstance(eigenvalues, Sequence | np.ndarray):
        raise TypeError(
            f"eigenvalues must be a list, array or tensor of numbers, got {eigenvalues!r}: "
            "pass all eigenvalues of the Hessian"
        )
    values = np.asarray(eigenvalues)
    if values.ndim != 1 or values.size == 0:
        raise ValueError(
            f"eigenvalues must be a non-empty list, got shape {values.shape}: "
            "pass all eigenvalues of the Hessian in one dimension"
        )
    if values.dtype.kind not in "iuf":
        raise TypeError(
            f"eigenvalues must be real numbers, got {values.dtype}: "
            "a Hessian is symmetric, take torch.linalg.eigvalsh"
        )
    if not bool(np.isfinite(values).all()):
        raise ValueError("eigenvalues must be finite, got NaN or infinity: the run has diverged")
    return values.astype(np.float64)


def _kind(negative: int, zero: int, positive: int) -> str:
    if negative and positive:
        return "saddle"
    if zero:
        return "degenerate"
    return "minimum" if positive else "maximum"


def classify(
    eigenvalues: Sequence[float] | npt.NDArray[np.float64] | Tensor,
    gradient_norm: float,
    *,
    gradient_tolerance: float = 1e-4,
    zero_tolerance: float = 1e-6,
    zero_floor: float = 1e-12,
) -> CriticalPoint:
    """The kind of a point, from all eigenvalues of its Hessian and the norm of its gradient.

        threshold = max(zero_tolerance * max |lambda|, zero_floor)

    An eigenvalue within the threshold of 0 is counted as zero. "not_critical" where
    gradient_norm > gradient_tolerance, whatever the curvature; "saddle" where both signs
    occur beyond the threshold; "degenerate" where zeros decide, so that the second-order
    test is silent (a valley of minima, a flat plateau); "minimum" or "maximum" where all
    have one sign. The counts are given for a point that is not critical too.

    The defaults only take out round-off of a Hessian in float64 (relative 1e-6, absolute
    1e-12). The eigenvalues of a trained network call for a coarser `zero_tolerance`, about
    1e-3; with both zero tolerances 0 every sign counts. `gradient_tolerance` is absolute, in
    the loss's unit per unit of a parameter.

    Raises:
        ValueError: no eigenvalue, one that is NaN or infinite, a gradient norm or a
            tolerance that is negative, NaN or infinite.
        TypeError: complex eigenvalues, or something that is no list of numbers.

    Source: Nocedal and Wright (2006), theorems 2.3 and 2.4.

    >>> classify([-2.0, 2.0], 0.0).kind, classify([0.0, 4.0], 0.0).kind
    ('saddle', 'degenerate')
    """
    values = _spectrum(eigenvalues)
    norm = non_negative_number(gradient_norm, "gradient_norm", "pass the norm of the gradient")
    small = non_negative_number(gradient_tolerance, "gradient_tolerance")
    relative = non_negative_number(zero_tolerance, "zero_tolerance")
    floor = non_negative_number(zero_floor, "zero_floor")
    threshold = max(relative * float(np.abs(values).max()), floor)
    negative, positive = int((values < -threshold).sum()), int((values > threshold).sum())
    zero = len(values) - negative - positive
    return CriticalPoint(
        kind=_kind(negative, zero, positive) if norm <= small else "not_critical",
        negative=negative,
        zero=zero,
        positive=positive,
        minimum_ratio=positive / len(values),
        minimum_ratio_without_zeros=(
            positive / (positive + negative) if positive + negative else math.nan
        ),
        gradient_norm=norm,
        gradient_tolerance=small,
        threshold=threshold,
    )


def goe_all_positive(n: int) -> float:
    """The probability that all eigenvalues of a random symmetric n x n matrix are positive.

        n = 1: 1/2,    n = 2: (2 - sqrt 2) / 4,    n = 3: (pi - 2 sqrt 2) / (4 pi)

    for the Gaussian orthogonal ensemble (off-diagonal variance 1, diagonal variance 2).
    Exact; for large n it falls like exp(-n^2 ln 3 / 4). Hessians of networks are not of this
    ensemble.

    Raises:
        ValueError: `n` is below 1 or above 3, where no closed form is given here.

    Source: Dean and Majumdar (2006), large deviations of extreme eigenvalues, for large n.

    >>> goe_all_positive(1)
    0.5
    """
    if positive_integer(n, "n", "pass the size of the matrix, 1 to 3") > 3:
        raise ValueError(f"n must be 1, 2 or 3, got {n}: simulate larger matrices")
    root = math.sqrt(2)
    return (0.5, (2 - root) / 4, (math.pi - 2 * root) / (4 * math.pi))[n - 1]
