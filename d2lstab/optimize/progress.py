"""A line of progress for somebody who is watching, and nothing for anybody else."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["audience", "progress"]

PATIENCE = 1.0  # seconds before the line appears
PAUSE = 0.2  # seconds between two states of the line


def audience() -> str | None:
    """Who is watching: "terminal", "notebook", or None.

    A kernel that a Jupyter server started for a notebook carries
    `JPY_SESSION_NAME`; kernels of nbval and nbconvert do not. Whatever runs
    under pytest (`PYTEST_VERSION`, which its kernels inherit) is not watched.
    """
    if "PYTEST_VERSION" in os.environ:
        return None
    if "JPY_SESSION_NAME" in os.environ and "ipykernel" in sys.modules:
        return "notebook"
    return "terminal" if sys.stderr is not None and sys.stderr.isatty() else None


def _terminal_line() -> Callable[[str], None]:
    def write(text: str) -> None:
        sys.stderr.write(f"\r\x1b[2K{text}")
        sys.stderr.flush()

    return write


def _notebook_line() -> Callable[[str], None]:
    from IPython.display import display

    handle = display({"text/plain": ""}, raw=True, display_id=True)

    def write(text: str) -> None:
        handle.update({"text/plain": text}, raw=True)

    return write


@contextmanager
def progress(total: int | None) -> Iterator[Callable[[int, float], None]]:
    """A function of the update and its loss that shows both while somebody watches.

    The line appears after one second and is gone when the block is left.

    >>> with progress(10) as show:
    ...     show(1, 2.3)
    """
    watching = audience()
    if watching is None:
        yield lambda update, loss: None
        return
    line: Callable[[str], None] | None = None
    due = time.monotonic() + PATIENCE

    def show(update: int, loss: float) -> None:
        nonlocal line, due
        now = time.monotonic()
        if now < due:
            return
        due = now + PAUSE
        if line is None:
            line = _terminal_line() if watching == "terminal" else _notebook_line()
        of = "" if total is None else f" of {total}"
        line(f"update {update}{of}, loss {loss:.4g}")

    try:
        yield show
    finally:
        if line is not None:
            line("")
