"""The side that watches: its clock goes on whatever the other side does."""

import os
import subprocess
import sys
from itertools import count

import pytest

from d2lstab.course.grading import supervision
from d2lstab.course.grading.limits import Limits


@pytest.fixture
def watch():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1, stdout=-1)
    with process.stdin, process.stdout:
        yield supervision._Watch(process, Limits(output=1), False)
        process.kill()
        process.wait()


def test_a_stream_that_never_pauses_is_left_after_one_look(watch, monkeypatch):
    reads, clock = count(), count()
    monkeypatch.setattr(os, "read", lambda *_: next(reads) >= 0 and b"x")
    monkeypatch.setattr(supervision.time, "monotonic", lambda: 0.01 * next(clock))
    assert watch._take()
    assert not watch.run.problem
    assert next(reads) <= supervision._LOOK / 0.01 + 1


def test_what_comes_in_pieces_is_put_together(watch, monkeypatch):
    pieces = iter([b'{"cell"', b": 1}\n{", b'"end": ', b"true}\n", b"rest", b""])
    monkeypatch.setattr(os, "read", lambda *_: next(pieces))
    assert not watch._take()  # the end of the stream
    assert watch.run.lines == [b'{"cell": 1}', b'{"end": true}']
    assert watch._ended()


def test_a_runner_that_closes_its_results_and_goes_on_is_told():
    code = "import os, time; os.close(1); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=-1, start_new_session=True)
    with process.stdout:
        try:
            watch = supervision._Watch(process, Limits(), False)
            watch.until_the_end(None)
        finally:
            supervision._kill(process)
    assert watch.run.problem == "kernel closed its results"
