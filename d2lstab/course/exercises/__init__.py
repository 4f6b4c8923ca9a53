"""The exercises, one file a lesson, imported when they are needed."""

import re
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from d2lstab.course.exercise import Exercise

__all__ = ["exercise", "exercise_ids", "lesson_exercises"]


@cache
def lesson_exercises(lesson: str) -> tuple[Exercise, ...]:
    """The exercises of a lesson, "01" for example, in the order of the notebook."""
    found: tuple[Exercise, ...] = import_module(f"{__name__}.lesson_{lesson}").EXERCISES
    return found


def exercise_ids() -> list[str]:
    """The ids of all exercises, lesson by lesson."""
    names = (re.fullmatch(r"lesson_(\d\d)", module.name) for module in iter_modules(__path__))
    lessons = sorted(name[1] for name in names if name)
    return [exercise.id for lesson in lessons for exercise in lesson_exercises(lesson)]


def exercise(id: str) -> Exercise:
    """The exercise of that id.

    Raises:
        ValueError: there is none; the message lists the ids of the lesson.
    """
    lesson = id.split("-")[0] if isinstance(id, str) else ""
    try:
        known = lesson_exercises(lesson)
    except ModuleNotFoundError:
        known = ()
    for candidate in known:
        if candidate.id == id:
            return candidate
    names = [candidate.id for candidate in known] or exercise_ids()
    raise ValueError(
        f"the exercise must be one of {', '.join(names)}, got {id!r}: "
        "copy the id from the exercise's own cell"
    )
