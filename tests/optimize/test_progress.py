"""Progress: for a terminal that watches, and for nobody else."""

import io
import sys

import pytest

from d2lstab.optimize import progress as module
from d2lstab.optimize.progress import audience, progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_nobody_watches_under_pytest(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert audience() is None


@pytest.fixture
def outside(monkeypatch):
    """A way out of pytest, with the given stderr (pytest sets its own after a fixture's)."""
    monkeypatch.delenv("PYTEST_VERSION", raising=False)
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)

    def watched(stream):
        monkeypatch.setattr(sys, "stderr", stream)
        return stream

    return watched


def test_a_pipe_is_not_watched(outside):
    outside(Terminal())
    assert audience() == "terminal"
    outside(io.StringIO())
    assert audience() is None


def test_a_live_notebook_is_watched_and_a_plain_kernel_is_not(outside, monkeypatch):
    outside(io.StringIO())
    monkeypatch.setitem(sys.modules, "ipykernel", module)
    assert audience() is None
    monkeypatch.setenv("JPY_SESSION_NAME", "notebooks/06_batch_size.ipynb")
    assert audience() == "notebook"


def test_the_line_shows_the_update_and_is_wiped_out_at_the_end(outside, monkeypatch):
    terminal = outside(Terminal())
    monkeypatch.setattr(module, "PATIENCE", 0.0)
    monkeypatch.setattr(module, "PAUSE", 0.0)
    with progress(10) as show:
        show(3, 2.25)
    assert "update 3 of 10, loss 2.25" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\x1b[2K")


def test_a_short_run_shows_nothing(outside):
    terminal = outside(Terminal())
    with progress(10) as show:
        show(3, 2.25)
    assert terminal.getvalue() == ""
