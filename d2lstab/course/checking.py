"""The check of an exercise, and its hints."""

import os

from d2lstab.course.diagnosis import Verdict, diagnose, outcomes
from d2lstab.course.exercise import Exercise
from d2lstab.course.exercises import exercise
from d2lstab.course.progress_file import record

__all__ = ["check", "hint"]

_hints_given: dict[str, int] = {}


def _judge(task: Exercise, attempt: object) -> Verdict:
    if attempt is None or attempt is ...:
        return Verdict(task.id, "not attempted", f"{task.id}: not attempted yet")
    if not callable(attempt):
        return Verdict(
            task.id,
            "wrong",
            f"{task.id}: not yet. Hand in the function itself, got {type(attempt).__name__}: "
            f'check("{task.id}", your_function), without calling it',
        )
    verdict = diagnose(task, outcomes(attempt, task.inputs))
    if verdict.right and str(getattr(attempt, "__module__", "")).startswith("d2lstab."):
        return Verdict(task.id, "right", f"{verdict.text} (this is the library's own function)")
    return verdict


def check(exercise_id: str, attempt: object) -> Verdict:
    """Run an attempt on the exercise's inputs and say what it found.

    Args:
        exercise_id: the id in the exercise's cell.
        attempt: the function that was written; ``None`` or ``...`` while there is none.

    Returns:
        The verdict, whose sentence has been printed.

    Raises:
        AssertionError: with ``D2LSTAB_GRADE=1`` in the environment, for everything
            that is not right.
        ValueError: there is no such exercise.
    """
    task = exercise(exercise_id)
    verdict = _judge(task, attempt)
    if verdict.kind != "not attempted":
        record("exercises", task.id, "right" if verdict.right else "tried")
    if os.environ.get("D2LSTAB_GRADE") == "1" and not verdict.right:
        raise AssertionError(verdict.text)
    print(verdict.text)
    return verdict


def hint(exercise_id: str) -> None:
    """Print the next of two hints, then the worked solution.

    Raises:
        ValueError: there is no such exercise.
    """
    task = exercise(exercise_id)
    step = _hints_given.get(task.id, 0)
    _hints_given[task.id] = min(step + 1, 2)
    if step < 2:
        print(f"Hint {step + 1} of 2: {task.hints[step]}")
    else:
        print(f"Solution:\n{task.solution.strip()}")
