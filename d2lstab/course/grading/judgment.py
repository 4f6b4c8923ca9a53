"""From what the sandbox sent to verdicts and points; here the references live."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from d2lstab.course.diagnosis import Verdict, diagnose
from d2lstab.course.exercise import Exercise
from d2lstab.course.grading.lessons import Lesson, checked
from d2lstab.course.grading.submissions import Submission
from d2lstab.course.grading.supervision import Run
from d2lstab.course.grading.wire import MalformedError, decode, encode, unpack

__all__ = ["Question", "Report", "judge"]

_RANK = ("right", "known mistake", "wrong", "error", "not attempted", "not run")
_ATTEMPTS = 10  # messages about one exercise that are looked at
_LIBRARY = " (this is the library's own function)"


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """The verdicts on one submission."""

    verdicts: dict[str, Verdict]  # exercise id -> the best verdict; "not run" is one more kind
    points: int  # of the exercises that are right
    raised: tuple[str, ...]  # "3 NameError: ..." for each cell that raised
    malformed: int  # messages that were none


class Question:
    """What is asked of one submission: its cells run, its functions mapped over the inputs.

    The inputs come in an order of their own for each submission.
    """

    def __init__(self, submission: Submission, lesson: Lesson) -> None:
        self.lesson = lesson
        self.cells = submission.cells
        self.orders = {e.id: _shuffled(len(e.inputs)) for e in lesson.exercises}
        checks = [self._checks(source) for source in submission.cells]
        self.deleted = tuple(id for id in self.orders if not any(id in found for found in checks))
        self._found = checks

    def _checks(self, source: str) -> dict[str, list[str]]:
        """For each exercise that a cell checks: what it hands in, and what it should."""
        known = self.lesson.attempts
        pairs = {id: [e, known[id]] for id, e in checked(source).items() if id in known}
        return {id: [e for e in dict.fromkeys(both) if e] for id, both in pairs.items()}

    def request(self) -> dict[str, object]:
        """The question as plain data, without a trace of the answers."""
        cells = [
            {"source": source, "checks": found}
            for source, found in zip(self.cells, self._found, strict=True)
        ]
        exercises = {
            e.id: {
                "expression": self.lesson.attempts[e.id],
                "inputs": [encode(e.inputs[i]) for i in self.orders[e.id]],
            }
            for e in self.lesson.exercises
        }
        return {"cells": cells, "exercises": exercises}


def _shuffled(count: int) -> list[int]:
    order = list(range(count))
    random.SystemRandom().shuffle(order)
    return order


def _in_order(results: object, order: Sequence[int]) -> list[object]:
    if not isinstance(results, list) or len(results) != len(order):
        raise MalformedError("one outcome for each input is wanted")
    outcomes: list[object] = [None] * len(order)
    for place, result in zip(order, results, strict=True):
        outcomes[place] = decode(result)
    return outcomes


def _verdict(exercise: Exercise, message: dict[str, object], order: Sequence[int]) -> Verdict:
    id = exercise.id
    if "outcomes" in message:
        outcomes = _in_order(message["outcomes"], order)
        try:
            found = diagnose(exercise, outcomes)
        except Exception as error:  # an outcome that nobody thought of must not stop the grading
            return Verdict(id, "error", f"could not be judged: {type(error).__name__}: {error}")
        said = _LIBRARY if found.right and message.get("library") is True else ""
        return Verdict(id, found.kind, found.text.removeprefix(f"{id}: ") + said)
    if "no function" in message:
        kind = str(message["no function"])[:60]
        return Verdict(id, "wrong", f"not a function was handed in, but {kind}")
    if "missing" in message:
        reason = str(message["missing"])[:300]
        if message.get("raised") is True:
            return Verdict(id, "error", f"no function: its cell raised {reason}")
        return Verdict(id, "not attempted", f"no function: {reason}")
    return Verdict(id, "not attempted", "not attempted yet")


def judge(question: Question, run: Run) -> Report:
    """Judge every exercise by the outputs of the student's functions, and by nothing else."""
    exercises = {e.id: e for e in question.lesson.exercises}
    best = {id: Verdict(id, "not run", run.problem or "not run") for id in exercises}
    seen = dict.fromkeys(exercises, 0)
    raised: list[str] = []
    malformed = 0
    for line in run.lines:
        try:
            message = unpack(line)
            id = message.get("attempt")
            if isinstance(id, str) and id in exercises and seen[id] < _ATTEMPTS:
                seen[id] += 1
                found = _verdict(exercises[id], message, question.orders[id])
                if _RANK.index(found.kind) < _RANK.index(best[id].kind):
                    best[id] = found
            elif "raised" in message and len(raised) < len(question.cells):
                raised.append(f"{message['raised']} {message.get('error')}"[:200])
        except MalformedError:
            malformed += 1
    points = sum(exercises[id].points for id, verdict in best.items() if verdict.right)
    return Report(best, points, tuple(raised), malformed)
