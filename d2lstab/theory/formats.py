"""What a floating-point format can hold, and when a repeated product leaves it."""

import math
from dataclasses import dataclass

import torch

from d2lstab.arguments import floating_dtype, positive_number

__all__ = ["FloatFormat", "float_format", "loss_scales", "overflow_step", "underflow_step"]

# Bits of the significand, the hidden one included (IEEE 754-2019; Micikevicius et al. 2022 for
# float8). torch.finfo reports no precision, and its eps is wrong for float8_e5m2fnuz.
_PRECISION = {
    torch.float16: 11,
    torch.bfloat16: 8,
    torch.float32: 24,
    torch.float64: 53,
    torch.float8_e4m3fn: 4,
    torch.float8_e5m2: 3,
    torch.float8_e4m3fnuz: 4,
    torch.float8_e5m2fnuz: 3,
}
_STEPS_AT_MOST = 10_000_000  # some seconds of work; more is refused rather than waited for


@dataclass(frozen=True, slots=True, eq=False)
class FloatFormat:
    """The four numbers that say what a floating-point format holds."""

    largest: float  # largest finite value
    smallest_normal: float  # smallest positive value with the full precision
    smallest_subnormal: float  # smallest positive value at all
    epsilon: float  # distance from 1 to the next larger value


def float_format(dtype: torch.dtype) -> FloatFormat:
    """The range and the precision of a floating-point dtype.

    With p bits of significand and smallest exponent e: epsilon = 2^(1-p), the smallest normal
    value is 2^e, the smallest subnormal one 2^e epsilon.

    Valid for float16, bfloat16, float32, float64 and the float8 formats with a sign and a
    significand; all four numbers are exact.

    Raises:
        TypeError: `dtype` is not a torch.dtype.
        ValueError: it is not one of these floating-point dtypes.

    Source: IEEE 754-2019, table 3.5; Micikevicius et al. (2022), table 1, for float8.

    >>> float_format(torch.float16).largest
    65504.0
    >>> float_format(torch.float16).smallest_subnormal == 2**-24
    True
    """
    info = torch.finfo(_with_significand(dtype))
    epsilon = 2.0 ** (1 - _PRECISION[dtype])
    smallest = float(info.smallest_normal)
    return FloatFormat(float(info.max), smallest, smallest * epsilon, epsilon)


def overflow_step(factor: float, dtype: torch.dtype) -> int | None:
    """The step at which v <- factor * v, started at 1, first leaves the finite values.

    Each product is rounded to `dtype` (to nearest, ties to even) before the next one, so the
    answer can differ from ceil(ln largest / ln factor). As when torch multiplies a tensor by a
    Python number, `factor` itself stays in float32 (float64 for float64), not in `dtype`.

    `factor` is positive and dimensionless. None where the iteration never overflows: factor <= 1,
    or so close to 1 that the product rounds back to 1. The count is exact. Some float8
    formats have no infinity: there it is the step whose rounded product exceeds the largest
    value, which torch turns into NaN, or clips to that value for float8_e4m3fn.

    Raises:
        TypeError: `factor` is no real number or `dtype` no torch.dtype.
        ValueError: `factor` is not positive and finite, `dtype` is not a format of
            `float_format`, or more than 10 million steps would be needed.

    Source: IEEE 754-2019, section 4.3.1 (rounding to nearest).

    >>> overflow_step(2.0, torch.float16)  # 2^15 = 32768 still fits, 2^16 does not
    16
    """
    factor = _factor(factor, dtype)
    if factor <= 1 or _product(factor, 1.0, dtype) == 1:
        return None
    largest = float_format(dtype).largest
    if math.log(largest) / math.log(factor) > _STEPS_AT_MOST:
        raise ValueError(
            f"factor must be far enough from 1 to overflow within {_STEPS_AT_MOST} steps, "
            f"got {factor!r}: estimate the step as ln(largest) / ln(factor)"
        )
    value, step = 1.0, 0
    while value <= largest:
        value, step = _product(factor, value, dtype), step + 1
    return step


def underflow_step(factor: float, dtype: torch.dtype) -> int | None:
    """The step at which v <- factor * v, started at 1, first is exactly 0; None where it never is.

    Rounded at each step as in `overflow_step`. A factor above 1/2 never reaches 0: a few units of
    the smallest subnormal value (one unit at the latest) round back to themselves, and the
    iteration sticks there. Exactly 1/2 does reach it, because the tie rounds to even.

    `factor` is positive and dimensionless; the count is exact.

    Raises:
        TypeError: `factor` is no real number or `dtype` no torch.dtype.
        ValueError: `factor` is not positive and finite, or `dtype` is not a format of
            `float_format`.

    Source: IEEE 754-2019, section 4.3.1 (rounding to nearest).

    >>> underflow_step(0.5, torch.float16)  # 2^-24 is the last value, 2^-25 the tie that gives 0
    25
    >>> underflow_step(0.8, torch.float16) is None
    True
    """
    factor = _factor(factor, dtype)
    last = float_format(dtype).smallest_subnormal
    if _product(factor, last, dtype) >= last:  # rounding is monotone: no product falls below it
        return None
    value, step = 1.0, 0
    while value > 0:
        value, step = _product(factor, value, dtype), step + 1
    return step


def loss_scales(smallest: float, largest: float, dtype: torch.dtype) -> list[int]:
    """The exponents k for which 2^k * [smallest, largest] lies in a format's normal range.

    smallest_normal <= 2^k smallest and 2^k largest <= the format's largest value.

    `smallest` and `largest` bound the magnitudes of the gradients (any unit). The result is an
    increasing list, empty where the interval is too wide for the format; it is exact.

    Raises:
        TypeError: a bound is no real number or `dtype` no torch.dtype.
        ValueError: the bounds are not positive and in order, or `dtype` is not a format of
            `float_format`.

    Source: Micikevicius et al. (2018), section 3.2 (loss scaling).

    >>> loss_scales(1e-6, 1e3, torch.float16)  # 2^6 1e-6 = 6.4e-5 > 6.1e-5, 2^6 1e3 = 64000 < 65504
    [6]
    """
    smallest = positive_number(smallest, "smallest", "pass the smallest gradient's magnitude")
    largest = positive_number(largest, "largest", "pass the largest gradient's magnitude")
    if smallest > largest:
        raise ValueError(
            f"largest must be at least smallest = {smallest:g}, got {largest:g}: exchange the two"
        )
    held = float_format(dtype)
    lowest = math.frexp(held.smallest_normal)[1] - math.frexp(smallest)[1]
    (limit, limit_exponent), (top, top_exponent) = math.frexp(held.largest), math.frexp(largest)
    highest = limit_exponent - top_exponent - (top > limit)
    return list(range(lowest, highest + 1))


def _with_significand(dtype: torch.dtype) -> torch.dtype:
    if floating_dtype(dtype) not in _PRECISION:
        known = ", ".join(str(known).removeprefix("torch.") for known in _PRECISION)
        raise ValueError(
            f"dtype must be one of {known}, got {dtype}: "
            "only these have a sign, subnormal numbers and one value an element"
        )
    return dtype


def _factor(factor: float, dtype: torch.dtype) -> float:
    advice = "pass the number that each step multiplies by, such as 1.5"
    number = positive_number(factor, "factor", advice)
    if _with_significand(dtype) is not torch.float64:
        number = _nearest(number, torch.float32)
    return number


def _product(factor: float, value: float, dtype: torch.dtype) -> float:
    """factor * value as torch computes it: in float32 for the narrow formats, then rounded."""
    product = factor * value  # exact in float64 but for float64 itself: at most 24 + 24 bits
    if dtype is torch.float64:
        return product
    return _nearest(_nearest(product, torch.float32), dtype)


def _nearest(number: float, dtype: torch.dtype) -> float:
    """The nearest multiple of the format's spacing at `number`, ties to even, without upper end."""
    precision = _PRECISION[dtype]
    smallest_exponent = math.frexp(torch.finfo(dtype).smallest_normal)[1]
    exponent = max(math.frexp(number)[1], smallest_exponent) - precision
    return math.ldexp(round(math.ldexp(number, -exponent)), exponent)
