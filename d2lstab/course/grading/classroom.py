"""Grading many submissions: workers, rows as they come, and a progress bar."""

import queue
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from d2lstab.course.grading.judgment import Question, Report, judge
from d2lstab.course.grading.lessons import Lesson, matching_lesson
from d2lstab.course.grading.limits import Limits
from d2lstab.course.grading.submissions import Submission, read_submission
from d2lstab.course.grading.supervision import (
    NotStartedError,
    Place,
    Run,
    StoppedError,
    run_notebook,
)
from d2lstab.course.grading.table import GradeTable, one_line

__all__ = ["Classroom", "grade_all", "grade_one"]


@dataclass(frozen=True, slots=True, eq=False)
class Classroom:
    """What all submissions of one run have in common."""

    folder: Path  # of the submissions
    lessons: tuple[Lesson, ...]  # those that a submission may be a copy of
    limits: Limits  # for each submission
    safe: bool = True  # in the sandbox

    def lesson_of(self, submission: Submission) -> Lesson | None:
        """The lesson that a submission answers; the only one, where there is one."""
        if len(self.lessons) == 1 or submission.problem:
            return self.lessons[0] if len(self.lessons) == 1 else None
        return matching_lesson([*submission.cells, *submission.markdown], self.lessons)


def grade_one(
    classroom: Classroom, path: Path, slot: int = 0, stop: threading.Event | None = None
) -> dict[str, object]:
    """The row of one submission.

    Raises:
        NotStartedError: the sandbox did not start.
        StoppedError: `stop` was set.
    """
    submission = read_submission(path, classroom.folder)
    lesson = classroom.lesson_of(submission)
    row: dict[str, object] = {
        "student": submission.student,
        "file": submission.file,
        "sha256": submission.digest,
        "problem": submission.problem,
        "points": 0,
        "seconds": 0.0,
    }
    if lesson is None:
        return row | {"problem": submission.problem or "not recognized: which lesson is it?"}
    row |= {"lesson": lesson.number, "of": sum(e.points for e in lesson.exercises)}
    if submission.problem:
        return row | {e.id: "not run" for e in lesson.exercises}
    question = Question(submission, lesson)
    place = Place(slot, classroom.safe, stop)
    run = run_notebook(question.request(), classroom.limits, place)
    return row | _result(question, run, judge(question, run))


def _result(question: Question, run: Run, report: Report) -> dict[str, object]:
    problems = [run.problem] if run.problem else []
    if question.deleted:
        problems.append(f"cells deleted: no check of {', '.join(question.deleted)}")
    if report.malformed:
        problems.append(f"{report.malformed} malformed results")
    row: dict[str, object] = {
        "points": report.points,
        "seconds": round(run.seconds, 1),
        "problem": "; ".join(problems),
        "cells that raised": "; ".join(report.raised),
    }
    for id, verdict in report.verdicts.items():
        row |= {id: verdict.kind, f"{id} diagnosis": verdict.text}
    return row


def _graded(
    classroom: Classroom, path: Path, slot: int, stop: threading.Event
) -> dict[str, object]:
    """The row, whatever happens: one submission must not end the grading of all others."""
    try:
        return grade_one(classroom, path, slot, stop)
    except (StoppedError, NotStartedError):
        raise
    except Exception as error:
        submission = read_submission(path, classroom.folder)
        return {
            "student": submission.student,
            "file": submission.file,
            "sha256": submission.digest,
            "problem": f"could not be graded: {type(error).__name__}: {error}",
            "points": 0,
        }


def grade_all(classroom: Classroom, paths: Sequence[Path], output: Path, workers: int) -> int:
    """Grade what has no row yet; 0 if every submission has one now, else 1."""
    digests, ids = _survey(classroom, paths)
    table = GradeTable(output, ids, dict(digests.values()))
    waiting = [path for path in paths if digests[path] not in table]
    bar = _Progress(len(paths), len(paths) - len(waiting))
    stop = threading.Event()
    slots: queue.SimpleQueue[int] = queue.SimpleQueue()
    for slot in range(workers):
        slots.put(slot)

    def work(path: Path) -> dict[str, object]:
        slot = slots.get()
        try:
            if stop.is_set():
                raise StoppedError
            return _graded(classroom, path, slot, stop)
        finally:
            slots.put(slot)

    failed = 0
    with ThreadPoolExecutor(workers) as pool:
        futures = {pool.submit(work, path): path for path in waiting}
        try:
            for future in as_completed(futures):
                try:
                    table.append(future.result())
                except NotStartedError as error:
                    failed += 1
                    bar.say(one_line(f"{futures[future].name}: not graded: {error}"))
                bar.advance()
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)
            table.close()
            bar.close()
    done = len(waiting) - failed
    print(f"{len(paths) - failed} of {len(paths)} graded, {done} of them now", file=sys.stderr)
    return 1 if failed else 0


def _survey(
    classroom: Classroom, paths: Sequence[Path]
) -> tuple[dict[Path, tuple[str, str]], list[str]]:
    """Each submission's file and digest, and the exercises that need columns."""
    digests: dict[Path, tuple[str, str]] = {}
    present = set()
    for path in paths:
        submission = read_submission(path, classroom.folder)
        digests[path] = (submission.file, submission.digest)
        with suppress(Exception):  # `grade_one` tells in its row
            lesson = classroom.lesson_of(submission)
            present.add(lesson.number if lesson else "")
    ids = [
        e.id for lesson in classroom.lessons if lesson.number in present for e in lesson.exercises
    ]
    return digests, ids


class _Progress:
    """A bar on standard error, where that is a terminal."""

    def __init__(self, total: int, done: int) -> None:
        self.total, self.done = total, done
        self.shown = sys.stderr.isatty()
        self._draw()

    def _draw(self, end: str = "") -> None:
        if self.shown:
            filled = round(30 * self.done / max(1, self.total))
            bar = "#" * filled + "." * (30 - filled)
            print(f"\r[{bar}] {self.done} of {self.total}", end=end, file=sys.stderr, flush=True)

    def advance(self) -> None:
        """One more is done."""
        self.done += 1
        self._draw()

    def say(self, text: str) -> None:
        """A line above the bar."""
        print(("\r\033[K" if self.shown else "") + text, file=sys.stderr)
        self._draw()

    def close(self) -> None:
        """Leave the bar as it is."""
        self._draw(end="\n")
