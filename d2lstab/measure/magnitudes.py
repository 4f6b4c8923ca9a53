"""How large the entries of a tensor are: mean square, quantiles, what a format cannot hold."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

__all__ = ["SAMPLE", "Magnitudes", "as_array", "magnitudes", "rounding_limits"]

SAMPLE = 2**12  # quantiles stand on at least so many entries; below twice as many, on all


@dataclass(frozen=True, slots=True, eq=False)
class Magnitudes:
    """The distribution of the absolute values of a tensor's entries."""

    second_moment: float  # mean square, in float64; NaN for an empty tensor
    quantiles: tuple[float, ...]  # of the absolute values; NaN where an entry is NaN
    overflow: float  # share of the entries that round to infinity in the format
    underflow: float  # share of the entries that are not 0 but round to 0 in the format
    non_finite: float  # share of the entries that are NaN or infinite as they stand
    zero: float  # share of the entries that are exactly 0


def rounding_limits(dtype: torch.dtype) -> tuple[float, float]:
    """The magnitudes where a format gives up: to 0 at or below the first, to inf from the second.

    Both are ties of round-to-nearest-even: half the smallest subnormal, and the largest
    number plus half its spacing.

    >>> rounding_limits(torch.float16) == (2.0**-25, 65520.0)
    True
    """
    info = torch.finfo(dtype)
    spacing = math.ldexp(info.eps, math.frexp(info.max)[1] - 1)
    # the product underflows to 0 for float64, as it should: nothing in float64 rounds to 0
    return info.smallest_normal * info.eps / 2, info.max + spacing / 2


def magnitudes(sizes: Tensor, levels: Sequence[float], limits: tuple[float, float]) -> Magnitudes:
    """The distribution of `sizes`, which are absolute values.

    Every entry counts, except that the quantiles of 2 * `SAMPLE` entries or more are those
    of an evenly spaced sample of m >= `SAMPLE`: the rank of a level p is then off by
    sqrt(p (1 - p) / m) or so, at most 0.8 %. Quantiles are interpolated linearly between
    order statistics, as `torch.quantile` does.

    >>> magnitudes(torch.tensor([2.0, 0.0]), [0.5, 1.0], (0.0, 1.5)).quantiles
    (1.0, 2.0)
    """
    array = as_array(sizes)
    count = array.size
    if count == 0:
        nan = math.nan
        return Magnitudes(nan, (nan,) * len(levels), nan, nan, nan, nan)
    low, high = limits
    # a comparison with the largest entry saves two passes; NaN fails it
    largest = float(array.max())
    overflow = non_finite = 0.0
    if not largest < min(high, math.inf):
        with np.errstate(over="ignore"):
            overflow = _count(array >= array.dtype.type(high)) / count
        non_finite = (count - _count(np.isfinite(array))) / count
    small = _count(array <= low)
    zeros = _count(array == 0) if small else 0
    wide = array.astype(np.float64, copy=False)
    with np.errstate(over="ignore", invalid="ignore"):  # an infinite mean square is data
        # not np.dot: it starts the threads of BLAS, whatever the number of torch's
        second_moment = float(np.add.reduce(np.square(wide))) / count
    return Magnitudes(
        second_moment,
        _quantiles(array, levels),
        overflow,
        (small - zeros) / count,
        non_finite,
        zeros / count,
    )


def _count(flags: np.ndarray) -> int:
    return int(np.count_nonzero(flags))


def as_array(tensor: Tensor) -> np.ndarray:
    """The entries as a flat numpy array, of float32 or float64: numpy has no bfloat16.

    >>> as_array(torch.ones(2, 1, dtype=torch.bfloat16)).dtype
    dtype('float32')
    """
    if tensor.dtype not in (torch.float32, torch.float64):
        tensor = tensor.float()
    array: np.ndarray = tensor.detach().cpu().numpy().reshape(-1)
    return array


def _quantiles(array: np.ndarray, levels: Sequence[float]) -> tuple[float, ...]:
    if not levels:
        return ()
    # numpy's sort is vectorized: several times cheaper than torch's, or than its own partition
    ordered = np.sort(array[:: _stride(array.size)])
    if math.isnan(ordered[-1]):
        return (math.nan,) * len(levels)
    return tuple(_quantile(ordered, level) for level in levels)


def _stride(count: int) -> int:
    # coprime to the number of entries, so that it meets every column of every shape
    stride = max(1, count // SAMPLE)
    while math.gcd(stride, count) > 1:
        stride -= 1
    return stride


def _quantile(ordered: np.ndarray, level: float) -> float:
    position = level * (ordered.size - 1)
    below = math.floor(position)
    low, high = float(ordered[below]), float(ordered[min(below + 1, ordered.size - 1)])
    # equal neighbors first: inf - inf would be NaN
    return low if low == high or position == below else low + (position - below) * (high - low)
