"""The table of grades: a row is on the disk before the next is begun, and none twice."""

import csv
import fcntl
import io
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

__all__ = ["GradeTable", "columns", "one_line"]

_FIRST = ("student", "file", "lesson", "points", "of", "problem", "seconds", "cells that raised")
_LAST = ("sha256",)
_NAMES = {"student", "file"}  # by which rows are told apart
_FORMULA = "=+\\-@|%＝＋－＠"  # with which a formula begins, as letters of a pattern
_BEGINNING = re.compile(rf"(^|[;,\t]\s*)(?=[{_FORMULA}])")  # of a cell, whatever separates cells
LONGEST = 1000  # characters of one cell


def columns(exercise_ids: Iterable[str]) -> list[str]:
    """The table's columns: two for each exercise, the verdict and the diagnosis."""
    pairs = [name for id in exercise_ids for name in (id, f"{id} diagnosis")]
    return [*_FIRST, *pairs, *_LAST]


def one_line(value: object) -> str:
    """Text without line breaks and without what steers a terminal; other names stay other names.

    >>> one_line("a\\x1b]0;b\\n")
    'a\\\\x1b]0;b\\\\n'
    """
    text = str(value)[:LONGEST].encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _cell(value: object, exact: bool) -> object:
    return value if isinstance(value, int | float) else _text(value, exact)


def _text(value: object, exact: bool = True) -> str:
    """One line, as text that no spreadsheet takes for a formula; unless `exact`, tidied."""
    text = one_line(value if exact else " ".join(str(value).split()))
    return _BEGINNING.sub(r"\1'", text)


def _line(values: Iterable[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue()


class GradeTable:
    """A CSV file that grows by one row at a time.

    Raises:
        ValueError: the file exists and is no table of grades, or another run writes it.
    """

    def __init__(self, path: Path, exercise_ids: Iterable[str], current: Mapping[str, str]) -> None:
        """Take over what an earlier run has written.

        Args:
            path: the file.
            exercise_ids: exercises that get columns, besides those that have some already.
            current: file -> digest of all submissions there are now. A row of a file whose
                content has changed is dropped: it will be graded again.
        """
        self.path = path
        self._lock_path = path.with_name(f".{path.name}.lock")
        self._lock = self._locked()
        try:
            rows, names = self._earlier()
            known = [name for name in names if f"{name} diagnosis" in names]
            ours = columns(dict.fromkeys([*exercise_ids, *known]))
            theirs = [name for name in names if name not in ours]  # remarks of whoever grades
            self._columns = [*ours, *theirs]
            now = {_text(file): digest for file, digest in current.items()}
            kept = [row for row in rows if now.get(row["file"], row["sha256"]) == row["sha256"]]
            self._done = {(row["file"], row["sha256"]) for row in kept}
            self._rewrite(kept)
        except (ValueError, OSError):
            self.close()
            raise

    def __contains__(self, key: tuple[str, str]) -> bool:
        """Whether the file with this digest has its row."""
        file, digest = key
        return (_text(file), digest) in self._done

    def _locked(self) -> int:
        lock = os.open(self._lock_path, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            same = os.fstat(lock).st_ino == self._lock_path.stat().st_ino
        except OSError:
            same = False
        if not same:  # held by another run, or removed by one that has just ended
            os.close(lock)
            raise ValueError(
                f"{self.path} is being written by another run: wait for it, or choose another file"
            )
        return lock

    def _earlier(self) -> tuple[list[dict[str, str]], list[str]]:
        if not self.path.exists() or self.path.stat().st_size == 0:
            return [], []
        text = self.path.read_text(encoding="utf-8-sig")
        whole = text[: text.rfind("\n") + 1]  # a row that was cut off in the middle goes
        reader = csv.DictReader(io.StringIO(whole))
        names = list(reader.fieldnames or [])
        if not {*_FIRST, *_LAST} <= set(names):
            raise ValueError(
                f"{self.path} must be a table of grades or not exist, got another file: "
                "choose another --output"
            )
        return [row for row in reader if None not in row.values() and None not in row], names

    def _rewrite(self, rows: Iterable[Mapping[str, str]]) -> None:
        fresh = self.path.with_name(f".{self.path.name}.new")
        with open(fresh, "w", encoding="utf-8", newline="") as file:
            file.write(_line(self._columns))
            file.writelines(_line(row.get(name, "") for name in self._columns) for row in rows)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.path)

    def append(self, row: Mapping[str, object]) -> None:
        """Write one row; when this returns it is on the disk."""
        with open(self.path, "a", encoding="utf-8", newline="") as file:
            cells = [_cell(row.get(name, ""), name in _NAMES) for name in self._columns]
            file.write(_line(cells))
            file.flush()
            os.fsync(file.fileno())
        self._done.add((_text(row["file"]), str(row["sha256"])))

    def close(self) -> None:
        """Let another run write the file."""
        self._lock_path.unlink(missing_ok=True)
        os.close(self._lock)
