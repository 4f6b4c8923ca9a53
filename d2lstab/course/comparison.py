"""A prediction laid beside a measurement, with the tolerance between them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from d2lstab.arguments import positive_integer

__all__ = ["Comparison", "compare", "compare_order"]


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """One claim, held: what was predicted, what was measured, how far apart they may lie."""

    claim: str  # the sentence that is tested
    measured: object  # as it was handed in
    predicted: object  # as it was handed in; for an order, the bound
    tolerance: object  # absolute, in the unit of the measurement; for an order, the margin
    why: str  # where the tolerance comes from

    def _ipython_display_(self) -> None:
        """Nothing: the comparison has been printed, and a cell may end with it."""


def _plain(value: object) -> object:
    """Tensors and arrays as Python lists or numbers, so that all kinds compare alike."""
    if isinstance(value, Tensor):
        return value.detach().cpu().tolist()
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    return value


def _numbers(value: object, name: str) -> np.ndarray | None:
    """The value as a float64 array, or None where it is not made of numbers.

    Integers that float64 would round stay Python's.
    """
    plain = _plain(value)
    try:
        array = np.asarray(plain)
    except ValueError:
        return None
    if array.dtype.kind not in "iuf" or isinstance(plain, bool):
        return None
    if array.size == 0:
        raise ValueError(f"{name} must hold at least one number, got none: was the run empty?")
    large = array.dtype.kind in "iu" and not np.all((array >= -(2**53)) & (array <= 2**53))
    return array.astype(object if large else np.float64)


def _shown(value: object) -> str:
    numbers = _numbers(value, "value")
    if numbers is None:
        words = _plain(value)
        if isinstance(words, list) and len(words) > 3 and words.count(words[0]) == len(words):
            return f"{words[0]}, {len(words)} times"
        return str(words)
    flat = numbers.ravel()
    if flat.size <= 6:
        return ", ".join(_three_digits(x) for x in flat)
    return f"{flat.size} values from {_three_digits(flat.min())} to {_three_digits(flat.max())}"


def _three_digits(x: float) -> str:
    if math.isfinite(x) and x == int(x) and abs(x) < 1e6:
        return str(int(x))
    if 1e-3 <= abs(x) < 1e3:
        return f"{x:#.3g}".removesuffix(".")
    return f"{float(f'{x:.3g}'):,.0f}" if 1e3 <= abs(x) < 1e7 else f"{x:.3g}"


def _texts(claim: object, why: object) -> None:
    for name, text in (("claim", claim), ("why", why)):
        if not isinstance(text, str) or not text.strip():
            raise ValueError(
                f"{name} must be a sentence, got {text!r}: say what is claimed "
                "and where its tolerance comes from"
            )


def _non_negative(value: object, name: str) -> np.ndarray:
    numbers = _numbers(value, name)
    if numbers is None or not np.all((numbers >= 0) & (numbers < np.inf)):
        raise ValueError(
            f"{name} must be a finite number of at least 0, got {value!r}: "
            "derive it from round-off or from the spread of the measurement"
        )
    return numbers


def compare(
    claim: str,
    measured: object,
    predicted: object,
    tolerance: object,
    why: str,
    *,
    digits: int | None = None,
) -> Comparison:
    """Hold a measurement against its prediction and print the verdict.

    Holds where ``|measured - predicted| <= tolerance``, element by element for
    arrays; words, booleans and lists of them must be equal and need tolerance 0.
    An infinite prediction is met by the same infinity; NaN is within no tolerance.

    Args:
        claim: the sentence that is tested; it begins with the number of the ledger's
            entry ("E3: ...") where there is one.
        measured: a number, or an array, tensor or list of them; or a word or boolean.
        predicted: the same, of the same shape, or one number for all.
        tolerance: absolute, in the measurement's unit; 0 asks for equality.
        why: where the tolerance comes from.
        digits: print the measured value too, to so many significant digits. Leave it
            out unless the value lies far from a rounding edge on every machine.

    Raises:
        AssertionError: the claim does not hold; the message has both numbers.
        ValueError, TypeError: an empty or mismatched measurement, an impossible tolerance, or
            `digits` no positive integer.

    >>> held = compare("1.5 to the 100", 1.5**100, 4.0656e17, 1e13, "five digits are given")
    1.5 to the 100
        predicted 4.07e+17, measured within 1e+13 of it: holds
        tolerance: five digits are given
    """
    _texts(claim, why)
    if digits is not None:
        positive_integer(digits, "digits", "pass how many significant digits to print")
    allowed = _non_negative(tolerance, "tolerance")
    a, b = _numbers(measured, "measured"), _numbers(predicted, "predicted")
    if a is None or b is None:
        holds = type(_plain(measured)) is type(_plain(predicted)) and _plain(measured) == _plain(
            predicted
        )
        if np.any(allowed != 0):
            raise ValueError(
                f"tolerance must be 0 where words are compared, got {tolerance!r}: "
                "pass numbers, or ask for equality"
            )
    else:
        if b.shape not in (a.shape, ()):
            raise ValueError(
                f"predicted must have the shape of measured, {a.shape}, got {b.shape}: "
                "pass one prediction for each measurement, or one number for all"
            )
        if allowed.size > a.size:
            raise ValueError(
                f"tolerance must be one number for each of measured, got {allowed.size} for "
                f"{a.size}: pass equally many, or one number for all"
            )
        _check_shapes(a, allowed, "measured and tolerance")
        with np.errstate(invalid="ignore"):
            near = (allowed > 0) & (np.abs(a - b) <= allowed)
            holds = bool(np.all((a == b) | near))
    if not holds:
        raise AssertionError(
            f"{claim}: predicted {_plain(predicted)}, measured {_plain(measured)}, "
            f"tolerance {_plain(tolerance)} ({why}). Look for the reason: "
            "the prediction, the measurement or the tolerance is wrong"
        )
    value = "" if digits is None else f" {_rounded(measured, digits)},"
    within = "the same" if np.all(allowed == 0) else f"within {float(allowed.max()):.2g} of it"
    print(f"{claim}\n    predicted {_shown(predicted)}, measured{value} {within}: holds")
    print(f"    tolerance: {why}")
    return Comparison(claim, measured, predicted, tolerance, why)


def _rounded(measured: object, digits: int) -> str:
    numbers = _numbers(measured, "measured")
    if numbers is None:
        return str(_plain(measured))
    return ", ".join(f"{x:.{digits}g}" for x in numbers.ravel())


def _check_shapes(first: np.ndarray, second: np.ndarray, names: str) -> None:
    try:
        np.broadcast_shapes(first.shape, second.shape)
    except ValueError:
        raise ValueError(
            f"{names} must have one shape, got {first.shape} and {second.shape}: "
            "pass equally many, or one number for all"
        ) from None


def compare_order(
    claim: str, smaller: object, larger: object, margin: float, why: str
) -> Comparison:
    """Hold that one measurement lies below another by a margin, and print the verdict.

    Outcomes of training differ in their digits from machine to machine; their order,
    with a margin, does not. Holds where ``larger - smaller >= margin``, element by
    element. Neither value is printed: the figure shows them.

    Args:
        claim: the sentence that is tested.
        smaller, larger: numbers, arrays or lists; one of them may be a plain bound.
        margin: the least difference, in their unit, at least 0.
        why: where the margin comes from; with margin 0, why the order is expected.

    Raises:
        AssertionError: the order or the margin does not hold (NaN never does).
        ValueError: a value is not a number, the two have different shapes, or the margin is
            negative or more than one.

    >>> held = compare_order("depth hurts", 0.10, 0.91, 0.5, "chance is 0.1")
    depth hurts
        measured in this order, at least 0.5 apart: holds
        margin: chance is 0.1
    """
    _texts(claim, why)
    least = _non_negative(margin, "margin")
    if least.size != 1:
        raise ValueError(f"margin must be one number, got {margin!r}: hold each order by itself")
    least = least.reshape(())
    low, high = _numbers(smaller, "smaller"), _numbers(larger, "larger")
    if low is None or high is None:
        raise ValueError(
            f"smaller and larger must be numbers, got {smaller!r} and {larger!r}: "
            "pass the two measured values"
        )
    _check_shapes(low, high, "smaller and larger")
    with np.errstate(invalid="ignore"):
        holds = bool(np.all(high - low >= least))
    if not holds:
        raise AssertionError(
            f"{claim}: {_plain(smaller)} should lie below {_plain(larger)} "
            f"by at least {float(least):g} ({why}). Look for the reason"
        )
    apart, reason = ("", "why") if least == 0 else (f", at least {float(least):g} apart", "margin")
    print(f"{claim}\n    measured in this order{apart}: holds")
    print(f"    {reason}: {why}")
    return Comparison(claim, smaller, larger, margin, why)
