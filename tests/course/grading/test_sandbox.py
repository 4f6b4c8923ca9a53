import errno
import os
import platform
import struct
import subprocess
import sys
from itertools import pairwise

import pytest

from d2lstab.course.grading import sandbox, stand_in
from d2lstab.course.grading.limits import Limits, memory_of_tree, one_core
from d2lstab.course.grading.supervision import NotStartedError, Place, run_notebook, sandbox_problem
from d2lstab.course.grading.system_calls import filter_program
from d2lstab.course.grading.wire import sealed

LINUX = pytest.mark.skipif(platform.system() != "Linux", reason="bubblewrap runs on Linux alone")


def decision(program, arch, number, argument=0):
    """What the filter answers, by a small interpreter of its instructions."""
    data = struct.pack("IIQQ", number, arch, 0, argument)
    steps = list(struct.iter_unpack("HBBI", program))
    at = value = 0
    while True:
        code, yes, no, k = steps[at]
        at += 1
        if code == 0x20:
            (value,) = struct.unpack_from("I", data, k)
        elif code == 0x06:
            return k
        else:
            holds = {0x15: value == k, 0x35: value >= k, 0x45: bool(value & k)}[code]
            at += yes if holds else no


ALLOW, X86, ARM = 0x7FFF0000, 0xC000003E, 0xC00000B7


@pytest.mark.parametrize(
    ("machine", "arch", "number", "argument", "answer"),
    [
        ("x86_64", X86, 0, 0, ALLOW),  # read
        ("x86_64", X86, 165, 0, 0x50000 | errno.EPERM),  # mount
        ("x86_64", X86, 435, 0, 0x50000 | errno.ENOSYS),  # clone3
        ("x86_64", X86, 56, 0x01200011, ALLOW),  # fork
        ("x86_64", X86, 56, 0x10000011, 0x50000 | errno.EPERM),  # a new user namespace
        ("x86_64", X86, 0x40000000, 0, 0x50000 | errno.EPERM),
        ("x86_64", 0x40000003, 0, 0, 0x50000 | errno.EPERM),  # the 32-bit door
        *(("x86_64", X86, 41, family, ALLOW) for family in (1, 2, 10, 16)),
        *(("x86_64", X86, 41, family, 0x50000 | errno.EPERM) for family in (0, 17, 38, 40)),
        ("x86_64", X86, 203, 0, 0x50000 | errno.EPERM),  # another core
        ("aarch64", ARM, 198, 2, ALLOW),
        ("aarch64", ARM, 198, 40, 0x50000 | errno.EPERM),  # sockets of the virtual machine
        ("aarch64", ARM, 63, 0, ALLOW),  # read
        ("aarch64", ARM, 40, 0, 0x50000 | errno.EPERM),  # mount
        ("aarch64", ARM, 220, 0x01200011, ALLOW),
        ("aarch64", ARM, 220, 0x10000011, 0x50000 | errno.EPERM),
    ],
)
def test_the_filter_of_system_calls(machine, arch, number, argument, answer):
    assert decision(filter_program(machine), arch, number, argument) == answer


def test_an_unknown_processor_has_no_filter():
    assert filter_program("riscv64") == b""


def test_nothing_is_shown_of_the_home_or_of_the_exercises():
    try:
        words = sandbox.sandbox_command(Limits(), 0).words
    except FileNotFoundError as error:
        pytest.skip(str(error))
    shown = {a for flag, a in pairwise(words) if flag.endswith("bind")}
    assert not shown & {"/", "/home", os.path.expanduser("~"), "/etc", "/tmp", "/var"}
    hidden = [b for a, b in pairwise(words) if a == "--tmpfs"]
    assert hidden[:2] == ["/tmp", "/dev/shm"]  # before all binds: what is shown may lie in /tmp
    assert words.index("/dev/shm") < words.index("--ro-bind")
    assert hidden[2].endswith("course/exercises")


@LINUX
def test_it_works_in_a_user_namespace_too(monkeypatch):
    if sandbox_problem(Limits()):
        pytest.skip("no sandbox here")
    monkeypatch.setattr(sandbox.os, "geteuid", lambda: 1000)
    words = sandbox.sandbox_command(Limits(), 0).words
    assert "--disable-userns" in words
    request = {
        "cells": [{"source": "import os\ndef f(x):\n    return [os.getuid(), x]", "checks": {}}],
        "exercises": {"x": {"expression": "f", "inputs": [{"tuple": [1.5]}]}},
    }
    try:
        run = run_notebook(request, Limits(), Place())
    except NotStartedError as error:
        pytest.skip(f"no user namespaces here: {error}")
    assert any(b'"outcomes": [[65534, 1.5]]' in line for line in run.lines), run.lines


def test_the_stand_in_has_nothing_to_tell(capsys, monkeypatch):
    from d2lstab.course import checking

    monkeypatch.setattr(checking, "exercise", stand_in.exercise)
    verdict = checking.check("01-contraction", lambda c, lr: 0.0)
    assert not verdict.right
    assert stand_in.exercise_ids() == []


@LINUX
def test_what_is_started_on_one_core_stays_there():
    before = os.sched_getaffinity(0)
    look = "import os; print(len(os.sched_getaffinity(0)))"
    with one_core(0), subprocess.Popen([sys.executable, "-c", look], stdout=-1) as process:
        assert process.stdout.read().strip() == b"1"
    assert os.sched_getaffinity(0) == before


@LINUX
def test_a_request_cannot_be_written_to_by_whoever_reads_it():
    with sealed(b"question") as file:
        assert file.read() == b"question"
        with open(f"/proc/self/fd/{file.fileno()}", "r+b", buffering=0) as again:
            with pytest.raises(PermissionError):
                again.write(b"x")
            with pytest.raises(PermissionError):
                again.truncate(2**20)


@LINUX
def test_memory_is_counted():
    mine = memory_of_tree(os.getpid())
    assert 20 < mine < 20_000
