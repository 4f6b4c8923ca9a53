"""What the grader knows of a lesson: its exercises, and where the notebook checks them."""

import ast
import json
import re
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

from d2lstab.course.exercise import Exercise
from d2lstab.course.exercises import lesson_exercises

__all__ = ["Lesson", "checked", "known_lessons", "matching_lesson"]

LONGEST = 100_000  # characters; a longer cell is not parsed, which takes 500 times its size
_CHECK = re.compile(r"""\bcheck\(\s*(["'])(\d\d-[\w-]+)\1""")


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """A lesson as it was handed out."""

    number: str  # "01"
    exercises: tuple[Exercise, ...]  # those that the notebook checks, in its order
    attempts: dict[str, str]  # exercise id -> the expression handed to check, "folds"
    sources: frozenset[str]  # its cells, to recognize a copy


def checked(source: str) -> dict[str, str]:
    """Exercise ids that a cell hands to `check`, each with the expression handed in.

    The expression is empty where the cell is no plain Python (a magic, a typing error), or
    so long or so deeply nested that it cannot be read.

    >>> checked('check("00-folds", folds)')
    {'00-folds': 'folds'}
    """
    found = {match[2]: "" for match in _CHECK.finditer(source)}
    if not found or len(source) > LONGEST:
        return found
    try:
        return _called(ast.parse(source), found)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # of `unparse` too
        return found


def _called(tree: ast.Module, found: Container[str]) -> dict[str, str]:
    called: dict[str, str] = {}
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and len(node.args) >= 1):
            continue
        first = node.args[0]
        id = first.value if isinstance(first, ast.Constant) else None
        if isinstance(id, str) and id in found and _is_check(node.func):
            given = list(node.args[1:]) + [k.value for k in node.keywords if k.arg == "attempt"]
            called[id] = ast.unparse(given[0])[:1000] if given else ""
    return called


def _is_check(function: ast.expr) -> bool:
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name == "check"


def _lesson(path: Path) -> Lesson | None:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    sources = ["".join(cell["source"]) for cell in notebook["cells"]]
    code = [
        source
        for cell, source in zip(notebook["cells"], sources, strict=True)
        if cell["cell_type"] == "code"
    ]
    attempts = {id: expression for source in code for id, expression in checked(source).items()}
    if not attempts:
        return None
    number = path.name[:2]
    known = {exercise.id: exercise for exercise in lesson_exercises(number)}
    unknown = sorted(attempts.keys() - known.keys())
    if unknown:
        raise ValueError(
            f"{path.name} must check exercises of lesson {number}, got {', '.join(unknown)}: "
            "add their records, or correct the ids"
        )
    exercises = tuple(known[id] for id in attempts)
    kept = frozenset(s.strip() for s in sources if len(s.strip()) > 20)
    return Lesson(number, exercises, attempts, kept)


def known_lessons(folder: Path, number: str | None = None) -> tuple[Lesson, ...]:
    """The lessons whose notebooks (`NN_*.ipynb`) lie in a folder and check something.

    Args:
        folder: of the notebooks as they were handed out.
        number: only this lesson, "01" for example.

    Raises:
        ValueError: there is none.
    """
    if number is not None:
        number = number.zfill(2)
        if not re.fullmatch(r"\d\d", number):
            raise ValueError(f"the lesson must be a number such as 01, got {number!r}")
    paths = sorted(folder.glob(f"{number or '[0-9][0-9]'}_*.ipynb"))
    found = tuple(lesson for lesson in map(_lesson, paths) if lesson is not None)
    if not found:
        raise ValueError(
            f"the lessons must be notebooks {number or 'NN'}_name.ipynb with exercises, "
            f"got none in {folder}: "
            "name the folder of the notebooks that were handed out with --notebooks"
        )
    return found


def matching_lesson(cells: list[str], lessons: tuple[Lesson, ...]) -> Lesson | None:
    """The lesson of which a notebook is a copy: most cells in common, then most checks."""
    mine = {source.strip() for source in cells}
    ids = {id for source in cells for id in checked(source)}

    def likeness(lesson: Lesson) -> tuple[int, int]:
        return len(mine & lesson.sources), len(ids & lesson.attempts.keys())

    best = max(lessons, key=likeness)
    return best if any(likeness(best)) else None
