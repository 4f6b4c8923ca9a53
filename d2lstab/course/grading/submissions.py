"""Finding what was handed in, and reading it without believing it."""

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Submission", "Unusable", "find_submissions", "other_files", "read_submission"]

LARGEST = 20 * 2**20  # bytes; a lesson with its figures has about one million
_PYTHON = {"python", "python3", "ipython", "ipython3"}


@dataclass(frozen=True, slots=True, eq=False)
class Submission:
    """One file that was handed in; the cells are empty where a problem is named."""

    student: str  # the folder it lies in, or its own name
    file: str  # path below the folder of submissions, with slashes
    digest: str  # SHA-256 of its content, 16 digits; with `file` it names the row
    cells: tuple[str, ...]  # sources of the code cells, in order
    markdown: tuple[str, ...]  # sources of all other cells
    problem: str  # why it cannot be run; empty where it can


class Unusable(ValueError):
    """A file that cannot be run, with the reason."""


_OF_TOOLS = {".ipynb_checkpoints", ".DS_Store"}  # left out without a word


def _notebooks(folder: Path) -> Iterator[tuple[Path, bool]]:
    """Each file with whether it is a notebook; folders that are not entered count as files."""
    for root, folders, names in os.walk(folder):
        entered = [f for f in folders if not (f.startswith(".") or Path(root, f).is_symlink())]
        for name in sorted({*names, *folders} - {*entered} - _OF_TOOLS):
            is_notebook = name in names and name.casefold().endswith(".ipynb")
            yield Path(root, name), is_notebook and not name.startswith(".")
        folders[:] = sorted(entered)


def find_submissions(folder: Path) -> list[Path]:
    """Every notebook below a folder, sorted; hidden folders are left out, links not followed."""
    return [path for path, is_notebook in _notebooks(folder) if is_notebook]


def other_files(folder: Path) -> list[Path]:
    """What lies there and is no notebook: files, links to folders, hidden files and folders."""
    return [path for path, is_notebook in _notebooks(folder) if not is_notebook]


def _content(path: Path) -> bytes:
    if not stat.S_ISREG(path.lstat().st_mode):
        raise Unusable("not a notebook: it is a link or no plain file")
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > LARGEST:
            raise Unusable(f"too large: {size / 2**20:.0f} MB, at most {LARGEST // 2**20} are read")
        return file.read(LARGEST + 1)


def _source(cell: object) -> str:
    source = cell.get("source", "") if isinstance(cell, dict) else None
    lines = source if isinstance(source, list) else [source]
    texts = [line for line in lines if isinstance(line, str)]
    if len(texts) != len(lines):
        raise Unusable("not a notebook: a cell has no text")
    return "".join(texts).encode("utf-8", "replace").decode("utf-8")


def _parsed(content: bytes) -> tuple[list[str], list[str]]:
    try:
        notebook = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise Unusable(f"not a notebook: {type(error).__name__}") from error
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list):
        raise Unusable("not a notebook: it has no list of cells (format 4 is read)")
    language = _language(notebook.get("metadata"))
    if language.casefold() not in _PYTHON:
        raise Unusable(f"wrong kernel: {language[:40]}, wanted Python")
    code: list[str] = []
    rest: list[str] = []
    for cell in cells:
        is_code = isinstance(cell, dict) and cell.get("cell_type") == "code"
        (code if is_code else rest).append(_source(cell))
    return code, rest


def _language(metadata: object) -> str:
    for section, key in (("kernelspec", "language"), ("language_info", "name")):
        part = metadata.get(section) if isinstance(metadata, dict) else None
        told = part.get(key) if isinstance(part, dict) else None
        if isinstance(told, str) and told:
            return told
    return "python"


def read_submission(path: Path, folder: Path) -> Submission:
    """One submission; what is wrong with the file is noted, never raised."""
    below = path.relative_to(folder)
    student = below.parts[0] if len(below.parts) > 1 else below.stem
    code: list[str] = []
    rest: list[str] = []
    problem = digest = ""
    try:
        content = _content(path)
        digest = hashlib.sha256(content).hexdigest()[:16]
        code, rest = _parsed(content)
    except Unusable as error:
        problem = str(error)
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    name = below.as_posix().encode("utf-8", "backslashreplace").decode("utf-8")
    student = student.encode("utf-8", "backslashreplace").decode("utf-8")
    unread = f"unread-{_size(path)}"
    return Submission(student, name, digest or unread, tuple(code), tuple(rest), problem)


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0
