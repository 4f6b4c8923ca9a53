"""Batches: how many updates an epoch has, and how noisy a batch's gradient is."""

import math
from dataclasses import dataclass

from d2lstab.arguments import non_negative_number, positive_integer, positive_number

__all__ = [
    "NoiseEstimate",
    "mean_gradient_variance",
    "simple_noise_scale",
    "two_batch_estimate",
    "updates_per_epoch",
]


@dataclass(frozen=True, slots=True, eq=False)
class NoiseEstimate:
    """Unbiased estimates from the gradients of two batch sizes; either may be negative."""

    trace: float  # of the covariance of one sample's gradient, in gradient units squared
    squared_norm: float  # of the true gradient, in gradient units squared


def updates_per_epoch(population: int, batch_size: int, drop_last: bool = False) -> int:
    """How many batches it takes to see every sample once.

        ceil(N / B), or floor(N / B) where the incomplete last batch is dropped

    Raises:
        ValueError, TypeError: `population` or `batch_size` is no positive integer,
            `drop_last` is no bool.

    >>> updates_per_epoch(60000, 1000), updates_per_epoch(10, 4), updates_per_epoch(10, 4, True)
    (60, 3, 2)
    """
    count = positive_integer(population, "population", "pass the number of samples")
    size = positive_integer(batch_size, "batch_size", "pass the number of samples in a batch")
    if not isinstance(drop_last, bool):
        raise TypeError(f"drop_last must be True or False, got {drop_last!r}: pass a bool")
    return count // size if drop_last else -(-count // size)


def mean_gradient_variance(trace: float, batch_size: int, population: float) -> float:
    """The expected squared distance of a batch's mean gradient from the full gradient.

        E |g_B - g|^2 = tr(Sigma) / B * (N - B) / (N - 1)

    for batches drawn without replacement; Sigma is the covariance of one sample's gradient
    over the population, divided by N. Exact; 0 for the full batch. `population=math.inf`
    gives tr(Sigma) / B, which also holds for drawing with replacement.

    Raises:
        ValueError: `trace` negative, `batch_size` above `population`, or either no positive
            integer.

    Source: Cochran (1977), Sampling Techniques, theorem 2.2.

    >>> mean_gradient_variance(12.0, 2, 4)
    4.0
    """
    total = non_negative_number(trace, "trace", "pass the trace of a covariance")
    size = positive_integer(batch_size, "batch_size")
    if isinstance(population, float) and population == math.inf:
        return total / size
    count = positive_integer(population, "population", "pass the number of samples, or math.inf")
    if size > count:
        raise ValueError(
            f"batch_size must be at most the population of {count}, got {size}: "
            "a batch without replacement cannot be larger"
        )
    return 0.0 if size == count else total / size * (count - size) / (count - 1)


def simple_noise_scale(trace: float, squared_norm: float) -> float:
    """The batch size at which a batch gradient's noise equals the gradient itself.

        B_simple = tr(Sigma) / |g|^2

    In samples. Well below it, twice the batch saves almost half the updates; well above, it
    saves almost none.

    Raises:
        ValueError: `trace` negative or `squared_norm` not positive (at a critical point the
            scale is not defined).

    Source: McCandlish, Kaplan, Amodei et al. (2018), section 2.2.

    >>> simple_noise_scale(18.0, 0.5)
    36.0
    """
    total = non_negative_number(trace, "trace", "pass the trace of a covariance")
    return total / positive_number(squared_norm, "squared_norm", "pass |g|^2, above 0")


def two_batch_estimate(
    small: int, small_norm2: float, large: int, large_norm2: float
) -> NoiseEstimate:
    """Gradient and noise from the squared gradient norms at two batch sizes.

        |g|^2     = (B |g_B|^2 - b |g_b|^2) / (B - b)
        tr(Sigma) = (|g_b|^2 - |g_B|^2) / (1/b - 1/B)

    for batch sizes b = `small` < B = `large`. Both are unbiased for independent samples, since
    E |g_B|^2 = |g|^2 + tr(Sigma) / B; their ratio is not. For batches drawn without
    replacement from N samples they estimate N / (N - 1) tr(Sigma) and |g|^2 - tr(Sigma) /
    (N - 1). A single estimate may be negative: average many before dividing.

    Raises:
        ValueError: `small` is not below `large`, a norm is negative or not finite.

    Source: McCandlish, Kaplan, Amodei et al. (2018), appendix A.1.

    >>> estimate = two_batch_estimate(1, 5.0, 2, 3.0)  # |g|^2 = 1 and tr(Sigma) = 4
    >>> estimate.trace, estimate.squared_norm
    (4.0, 1.0)
    """
    b = positive_integer(small, "small", "pass the smaller batch size")
    size = positive_integer(large, "large", "pass the larger batch size")
    if not b < size:
        raise ValueError(f"small must be below large = {size}, got {b}: two sizes that differ")
    low = non_negative_number(small_norm2, "small_norm2", "pass a squared norm")
    high = non_negative_number(large_norm2, "large_norm2", "pass a squared norm")
    return NoiseEstimate(
        trace=(low - high) * b * size / (size - b),
        squared_norm=(size * high - b * low) / (size - b),
    )
