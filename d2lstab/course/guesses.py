"""The reader's own expectation, written down before a surprising run."""

import math
import numbers

from d2lstab.course.progress_file import record

__all__ = ["answer", "guess"]

_guesses: dict[str, float | str] = {}


def guess(id: str, value: object) -> None:
    """Write down what you expect; the next cell answers it.

    Args:
        id: the guess's name, "01-products" for example.
        value: a number or a word; ``...`` means that nothing is guessed yet.

    Raises:
        TypeError: the value is neither a number, a word nor ``...``; NaN is no guess.

    >>> guess("00-demo", ...)
    No guess yet: write yours in place of the three dots and run this cell, then the next.
    """
    if value is ... or value is None:
        _guesses.pop(id, None)
        print(
            "No guess yet: write yours in place of the three dots and run this cell, then the next."
        )
        return
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if isinstance(value, str) and value.strip():
        _guesses[id] = value.strip()
    elif number and not math.isnan(float(value)):  # type: ignore[arg-type]
        _guesses[id] = float(value)  # type: ignore[arg-type]
    else:
        raise TypeError(f"a guess must be a number or a word, got {value!r}: write what you expect")
    record("guesses", id, "made")
    print(f"Guess noted: {_shown(_guesses[id])}. The next cell answers it.")


def answer(id: str, truth: float | str, *, digits: int = 2) -> None:
    """Set what was found beside the reader's guess.

    Args:
        id: the name that was given to `guess`.
        truth: the number or word that the measurement gave.
        digits: significant digits to print; the value must lie far from their edge.

    >>> answer("00-demo", 24.2)
    Answer: 24 (no guess was made)
    """
    shown = _rounded(float(truth), digits) if isinstance(truth, numbers.Real) else truth
    mine = _guesses.get(id)
    if mine is None:
        print(f"Answer: {shown} (no guess was made)")
    elif isinstance(mine, str) or isinstance(truth, str):
        same = str(mine).casefold() == str(truth).casefold()
        print(f"Answer: {shown}. Your guess: {_shown(mine)}" + (", the same" if same else ""))
    else:
        print(f"Answer: {shown}. Your guess: {_shown(mine)}{_distance(mine, float(truth))}")


def _rounded(x: float, digits: int) -> str:
    short = f"{x:.{digits}g}"
    return f"{float(short):,.0f}" if 1e3 <= abs(x) < 1e7 else short


def _shown(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _distance(mine: float, truth: float) -> str:
    if math.isinf(mine) or math.isinf(truth):
        return ", the same" if mine == truth else ""
    if mine > 0 and truth > 0:
        factor = max(mine / truth, truth / mine)
        return ", very close" if factor < 1.1 else f", a factor of {factor:.2g} away"
    return f", {abs(mine - truth):.2g} away"
