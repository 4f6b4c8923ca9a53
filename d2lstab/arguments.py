"""The checks behind our error sentences: what was required, what came, what to do.

Each check takes the value, its name and one piece of advice, and returns the
value in its plain Python type. A wrong type raises `TypeError`, a wrong value
`ValueError`; NaN and infinity never pass. A leaf: it imports nothing of ours.
"""

import math
import numbers
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor


def _sentence(name: str, required: str, got: object, advice: str) -> str:
    try:
        shown = repr(got)
    except ValueError:  # an integer of more digits than Python prints
        shown = f"{type(got).__name__} of too many digits to show"
    if len(shown) > 80:
        shown = f"{type(got).__name__} {shown[:60]}..."
    return f"{name} must be {required}, got {shown}" + (f": {advice}" if advice else "")


def _integer(value: object, name: str, required: str, advice: str) -> int:
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(_sentence(name, required, value, advice))
    return int(value)


def positive_integer(value: object, name: str, advice: str = "", minimum: int = 1) -> int:
    """An integer of at least `minimum` (1 unless told).

    >>> positive_integer(0, "fan_in", "pass the number of inputs of the layer")
    Traceback (most recent call last):
        ...
    ValueError: fan_in must be a positive integer, got 0: pass the number of inputs of the layer
    """
    required = "a positive integer" if minimum == 1 else f"an integer of at least {minimum}"
    number = _integer(value, name, required, advice)
    if number < minimum:
        raise ValueError(_sentence(name, required, value, advice))
    return number


def natural_number(value: object, name: str, advice: str = "") -> int:
    """An integer of at least 0."""
    required = "an integer of at least 0"
    number = _integer(value, name, required, advice)
    if number < 0:
        raise ValueError(_sentence(name, required, value, advice))
    return number


def _real(value: object, name: str, required: str, advice: str) -> float:
    if isinstance(value, Tensor) and value.numel() == 1 and not value.is_complex():
        return float(value)
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(_sentence(name, required, value, advice))
    try:
        return float(value)
    except OverflowError:  # an integer beyond float64, refused by who refuses infinity
        return -math.inf if value < 0 else math.inf


def finite_number(value: object, name: str, advice: str = "") -> float:
    """A real number that is neither NaN nor infinite."""
    number = _real(value, name, "a finite number", advice)
    if not math.isfinite(number):
        raise ValueError(_sentence(name, "a finite number", value, advice))
    return number


def positive_number(value: object, name: str, advice: str = "") -> float:
    """A finite number above 0."""
    number = _real(value, name, "a positive number", advice)
    if not 0 < number < math.inf:
        raise ValueError(_sentence(name, "a positive number", value, advice))
    return number


def non_negative_number(value: object, name: str, advice: str = "") -> float:
    """A finite number of at least 0."""
    number = _real(value, name, "a number of at least 0", advice)
    if not 0 <= number < math.inf:
        raise ValueError(_sentence(name, "a number of at least 0", value, advice))
    return number


def number_between(
    value: object, name: str, low: float, high: float, advice: str = "", *, closed: str = "both"
) -> float:
    """A number between `low` and `high`; `closed` is both, left, right or neither end.

    >>> number_between(1.0, "beta", 0, 1, "pass a decay rate such as 0.9", closed="left")
    Traceback (most recent call last):
        ...
    ValueError: beta must be a number in [0, 1), got 1.0: pass a decay rate such as 0.9
    """
    left = "[" if closed in ("both", "left") else "("
    right = "]" if closed in ("both", "right") else ")"
    required = f"a number in {left}{low:g}, {high:g}{right}"
    number = _real(value, name, required, advice)
    above = number >= low if left == "[" else number > low
    below = number <= high if right == "]" else number < high
    if not (above and below):
        raise ValueError(_sentence(name, required, value, advice))
    return number


def choice(value: object, name: str, options: Iterable[str], advice: str = "") -> str:
    """One of a few strings."""
    known = list(options)
    if not isinstance(value, str):
        raise TypeError(_sentence(name, f"one of {', '.join(known)}", value, advice))
    if value not in known:
        raise ValueError(_sentence(name, f"one of {', '.join(known)}", value, advice))
    return value


def sequence(value: object, name: str, required: str, advice: str = "") -> list[Any]:
    """The entries of a list, an array or the like; a string or a tensor without axes has none.

    >>> sequence(torch.tensor(2), "kinks", "a sequence of numbers", "pass (0.0,)")
    Traceback (most recent call last):
        ...
    TypeError: kinks must be a sequence of numbers, got tensor(2): pass (0.0,)
    """
    single = isinstance(value, str | bytes) or getattr(value, "ndim", 1) == 0
    if single or not isinstance(value, Iterable):
        raise TypeError(_sentence(name, required, value, advice))
    return list(value)


def widths(value: object, name: str = "widths", minimum: int = 2, advice: str = "") -> list[int]:
    """A sequence of at least `minimum` positive integers: the widths of a network's layers."""
    required = f"a list of at least {minimum} positive integers"
    entries = sequence(value, name, required, advice)
    sizes = [positive_integer(n, f"{name}[{i}]", advice) for i, n in enumerate(entries)]
    if len(sizes) < minimum:
        raise ValueError(_sentence(name, required, value, advice))
    return sizes


def floating_dtype(value: object, name: str = "dtype") -> torch.dtype:
    """A real floating-point dtype of torch."""
    required, advice = "a floating-point torch.dtype", "pass torch.float32, for example"
    if not isinstance(value, torch.dtype):
        raise TypeError(_sentence(name, required, value, advice))
    if not value.is_floating_point:
        raise ValueError(_sentence(name, required, value, advice))
    return value


def random_generator(value: object, name: str = "generator") -> torch.Generator:
    """A `torch.Generator`: randomness is an argument everywhere in this package."""
    if not isinstance(value, torch.Generator):
        raise TypeError(
            _sentence(name, "a torch.Generator", value, "pass torch.Generator().manual_seed(0)")
        )
    return value


def floating_tensor(value: object, name: str, advice: str = "") -> Tensor:
    """A non-empty tensor of a real floating-point dtype; NaN is left to the caller."""
    required = "a non-empty floating-point tensor"
    if not isinstance(value, Tensor):
        raise TypeError(_sentence(name, required, value, advice))
    if not value.is_floating_point():
        raise TypeError(_sentence(name, required, value.dtype, advice))
    if value.numel() == 0:
        raise ValueError(
            _sentence(name, required, f"a tensor of shape {tuple(value.shape)}", advice)
        )
    return value
