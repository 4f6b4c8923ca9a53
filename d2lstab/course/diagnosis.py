"""From what an attempt returned to a verdict that names the mistake.

Running and judging are apart: `outcomes` maps inputs to outputs and can happen
anywhere; `diagnose` sees only those outputs, so a grader can trust its verdict.
"""

import copy
import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from d2lstab.course.exercise import Exercise

__all__ = ["Failure", "Verdict", "diagnose", "outcomes", "plain"]


@dataclass(frozen=True, slots=True)
class Failure:
    """An attempt that raised instead of returning."""

    kind: str  # the exception's class
    message: str  # its first line


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """What a check found out about an attempt."""

    id: str  # the exercise
    kind: str  # "right", "not attempted", "known mistake", "wrong" or "error"
    text: str  # the sentence for the student

    @property
    def right(self) -> bool:
        """Whether the attempt is right."""
        return self.kind == "right"

    def _ipython_display_(self) -> None:
        """Nothing: the sentence has been printed, and a cell may end with it."""


def plain(value: object) -> object:
    """Arrays, scalars of numpy and tuples as tensors, numbers and lists: one form for each."""
    if isinstance(value, Tensor):
        value = value.detach().cpu()
        return value.item() if value.dim() == 0 else value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return plain(torch.as_tensor(value)) if value.dtype.kind in "biuf" else value.tolist()
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def outcomes(attempt: Callable[..., object], inputs: Sequence[tuple[object, ...]]) -> list[object]:
    """What the attempt returns for each input, each called on its own copy; or a `Failure`."""
    results: list[object] = []
    for arguments in inputs:
        try:
            result = attempt(*copy.deepcopy(arguments))
        except Exception as error:
            results.append(_failure(type(error).__name__, error))
            continue
        try:
            results.append(plain(result))
        except NotImplementedError as error:  # a tensor without numbers is no sign of a stub
            results.append(_failure("TypeError", error))
        except Exception as error:
            results.append(_failure(type(error).__name__, error))
    return results


def _failure(kind: str, error: Exception) -> Failure:
    first = (str(error).splitlines() or [""])[0]
    return Failure(kind, first[:200])


def _close(wanted: float, got: float, tolerance: float) -> bool:
    if math.isnan(wanted) or math.isnan(got):
        return math.isnan(wanted) and math.isnan(got)
    if math.isinf(wanted):  # its relative tolerance would be infinite and allow any number
        return wanted == got
    return wanted == got or abs(wanted - got) <= tolerance * max(1.0, abs(wanted))


def _same(wanted: object, got: object, tolerance: float) -> bool:
    if isinstance(wanted, Failure) or isinstance(got, Failure):
        return type(wanted) is type(got) and wanted.kind == got.kind  # type: ignore[attr-defined]
    if isinstance(wanted, bool) or isinstance(got, bool):
        return isinstance(wanted, bool) and isinstance(got, bool) and wanted == got
    if isinstance(wanted, numbers.Real) and isinstance(got, numbers.Real):
        return _close(float(wanted), float(got), tolerance)
    if isinstance(wanted, Tensor) and isinstance(got, Tensor):
        if wanted.shape != got.shape:
            return False
        pairs = zip(wanted.double().flatten(), got.double().flatten(), strict=True)
        return all(_close(float(a), float(b), tolerance) for a, b in pairs)
    if isinstance(wanted, list) and isinstance(got, list):
        return len(wanted) == len(got) and all(
            _same(a, b, tolerance) for a, b in zip(wanted, got, strict=True)
        )
    if isinstance(wanted, dict) and isinstance(got, dict):
        return wanted.keys() == got.keys() and all(
            _same(wanted[key], got[key], tolerance) for key in wanted
        )
    return type(wanted) is type(got) and wanted == got


def _sort_of(value: object) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    if isinstance(value, bool):
        return "True or False"
    if isinstance(value, numbers.Real):
        return "a number"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, str):
        return "a word"
    return {type(None): "None", dict: "a dictionary"}.get(type(value), type(value).__name__)


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Tensor):
        if value.numel() > 12:
            return _sort_of(value)
        return str([_rounded(x) for x in value.tolist()])
    text = str(_rounded(value))
    return text if len(text) <= 120 else text[:117] + "..."


def _rounded(value: object) -> object:
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, Tensor):
        return _rounded(value.tolist()) if value.numel() <= 12 else _sort_of(value)
    return [_rounded(item) for item in value] if isinstance(value, list) else value


def diagnose(exercise: Exercise, got: Sequence[object]) -> Verdict:
    """Judge what an attempt returned for the exercise's inputs.

    Args:
        exercise: its reference and mistakes are run here, on their own copies.
        got: one outcome for each input, as `outcomes` returns them.

    Returns:
        The verdict: right; not attempted (nothing but None or NotImplementedError);
        a mistake known by name; an error; or the first input that differs, with
        what was wanted and what came.

    Raises:
        ValueError: there are not as many outcomes as inputs.
    """
    if len(got) != len(exercise.inputs):
        raise ValueError(
            f"got must hold one outcome for each of {len(exercise.inputs)} inputs, "
            f"got {len(got)}: run the attempt on exercise.inputs"
        )

    def verdict(kind: str, text: str) -> Verdict:
        return Verdict(exercise.id, kind, f"{exercise.id}: {text}")

    def empty(x: object) -> bool:
        return x is None or (isinstance(x, Failure) and x.kind == "NotImplementedError")

    if all(empty(x) for x in got):
        return verdict("not attempted", "not attempted yet")
    wanted = outcomes(exercise.reference, exercise.inputs)
    agree = [_same(w, g, exercise.tolerance) for w, g in zip(wanted, got, strict=True)]
    if all(agree):
        return verdict("right", "right")
    for mistake in exercise.mistakes:
        wrong = outcomes(mistake.function, exercise.inputs)
        if all(_same(w, g, exercise.tolerance) for w, g in zip(wrong, got, strict=True)):
            return verdict("known mistake", f"not yet. {mistake.sentence}")
    first = agree.index(False)
    return verdict(*_first_difference(exercise.inputs[first], wanted[first], got[first]))


def _first_difference(
    arguments: tuple[object, ...], wanted: object, got: object
) -> tuple[str, str]:
    given = "(" + ", ".join(_shown(plain(x)) for x in arguments) + ")"
    if isinstance(got, Failure):
        said = f"{got.kind}: {got.message}" if got.message else got.kind
        return "error", f"not yet. For the input {given} it raised {said}"
    if got is None:
        return "wrong", f"not yet. For the input {given} it returned nothing: is a return missing?"
    if _sort_of(wanted) != _sort_of(got):
        text = f"wanted {_sort_of(wanted)}, got {_sort_of(got)}"
    else:
        text = f"wanted {_shown(wanted)}, got {_shown(got)}"
    return "wrong", f"not yet. For the input {given} {text}"
