"""What an exercise is: inputs, a reference, and the mistakes that we know by name."""

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Exercise", "Mistake"]


@dataclass(frozen=True, slots=True, eq=False)
class Mistake:
    """A plausible wrong function, and what to tell whoever wrote one that behaves like it."""

    function: Callable[..., object]  # takes the exercise's inputs
    sentence: str  # what went wrong and why, without the answer


@dataclass(frozen=True, slots=True, eq=False)
class Exercise:
    """One exercise as data: a check compares behavior, never source text."""

    id: str  # "01-jacobian-product": the lesson's number, then words
    title: str  # what is asked, in one line
    inputs: tuple[tuple[object, ...], ...]  # argument lists of plain data: numbers, words, tensors
    reference: Callable[..., object]  # plain data to plain data
    mistakes: tuple[Mistake, ...]  # each differs from the reference on some input
    hints: tuple[str, str]  # the direction, then the decisive step
    solution: str  # Python source that passes, with its reason in a comment
    tolerance: float = 1e-6  # relative to the wanted value, and absolute below 1
    points: int = 1  # for grading
