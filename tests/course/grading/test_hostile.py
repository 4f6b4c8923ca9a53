"""Hostile submissions, graded in one run beside honest ones: each ends in its own row.

All are copies of a tiny lesson. Where bubblewrap does not work the file is skipped.
"""

import csv
import os
import platform
import socket
import threading
from functools import cache
from pathlib import Path

import pytest
from handed_in import IDS, RIGHT, cells, exercise_cell, write, write_lesson

from d2lstab.course.grading.classroom import Classroom, grade_all
from d2lstab.course.grading.lessons import known_lessons
from d2lstab.course.grading.limits import Limits
from d2lstab.course.grading.sandbox import PACKAGE
from d2lstab.course.grading.submissions import find_submissions
from d2lstab.course.grading.supervision import sandbox_problem

LIMITS = Limits(seconds=10, memory=1000, processes=48, output=4, scratch=64)
STD, CONTRACTION, LSE = IDS

LOOP = "while True:\n    pass"
STUBBORN = """
import signal, time
signal.signal(signal.SIGALRM, signal.SIG_IGN)
while True:
    try:
        time.sleep(1)
    except BaseException:
        pass
"""
FORK_BOMB = """
import os
while True:
    try:
        os.fork()
    except OSError:
        pass
"""
MEMORY_HOG = "hog = []\nwhile True:\n    hog.append(bytearray(20_000_000))"
MANY_HOGS = """
import os, time
for _ in range(20):
    if os.fork() == 0:
        hog = bytearray(b"x") * 200_000_000
        time.sleep(60)
time.sleep(60)
"""
FILE_HOG = """
try:
    for i in range(100):
        with open(f"/dev/shm/{i}", "wb") as f:
            f.write(bytes(20_000_000))
except OSError as error:
    full = error
import os
for i in range(100):
    if os.path.exists(f"/dev/shm/{i}"):
        os.remove(f"/dev/shm/{i}")
raise full
"""
ASK = "name = input()"
PRINTER = 'for _ in range(1000):\n    print("x" * 1_000_000)'
# Finds the pipe of the results among the open files and writes into it.
PIPE = """
import os, stat
pipes = [int(fd) for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")]
pipes = [fd for fd in pipes if stat.S_ISFIFO(os.fstat(fd).st_mode)]
def send(data):
    for fd in pipes:
        os.write(fd, data)
"""
FLOOD = PIPE + "for _ in range(1000):\n    send(b'x' * 1_000_000)"
MANY_LINES = PIPE + "for _ in range(1000):\n    send(b'{}\\n' * 20_000)"
# Bytes without a pause and without a line break, from processes that no alarm interrupts.
TRICKLE = (
    PIPE
    + """
import signal, time
signal.signal(signal.SIGALRM, signal.SIG_IGN)
send(b'x' * 3_000_000)
for _ in range(16):
    if os.fork() == 0:
        while True:
            send(b'x')
            time.sleep(0.0005)
while True:
    time.sleep(1)
"""
)
# Processes that compute, in sessions of their own.
BUSY = """
import os, time
for _ in range(20):
    if os.fork() == 0:
        os.setsid()
        while True:
            pass
time.sleep(600)
"""
# The files with which the sandbox itself was started.
DOORS = """
import os
opened = []
for fd in range(3):
    try:
        door = os.open(f"/proc/1/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK)
        opened.append(os.write(door, b"x" * 10**6))
    except OSError:
        pass
assert not opened, opened
"""
MALFORMED = (
    PIPE
    + """
send(b"\\xff\\xfe{[\\n" + b"[" * 100_000 + b"\\n" + b"9" * 10_000 + b"\\n" + b"[]\\n")
for outcomes in (b'7', b'[1]', b'[{"tensor": ["float64", [1000000000], []]}]', b'[[[[' * 99,
                 b'[{"opaque": 3}, {"dict": [[[], 1]]}, {"float": "one"}, NaN, Infinity]',
                 b'[{"tensor": ["float64", [-1, -1], [1]]}, 1, 1, 1, 1]', b'null', b'{}'):
    send(b'{"attempt": "01-critical-std", "outcomes": ' + outcomes + b'}\\n')
send(b'{"raised": {"a": []}, "error": 3}\\n{"cell": "x"}\\n{"attempt": []}\\n')
"""
)
FORGER = (
    PIPE
    + """
import sys
import d2lstab.course, d2lstab.course.diagnosis as diagnosis
check = compare = lambda *a, **k: print("right")
d2lstab.course.check = check
diagnosis._same = lambda *a: True
diagnosis.diagnose = lambda e, got: diagnosis.Verdict(e.id, "right", "right")
for id in ("01-critical-std", "01-contraction", "01-log-sum-exp"):
    for claim in ('"verdict": "right"', '"outcomes": "right", "right": true', '"points": 9',
                  '"empty": true, "kind": "right"'):
        send(('{"attempt": "%s", %s}\\n' % (id, claim)).encode())
send(b'{"points": 99, "right": true, "verdicts": {"01-contraction": "right"}}\\n')
print("01-critical-std: right")
"""
)
THIEF = """
from d2lstab.course.exercises import exercise
def contraction(curvatures, lr):
    return exercise("01-contraction").reference(curvatures, lr)
def critical_std(n):
    import gc, d2lstab, os
    folder = os.path.dirname(d2lstab.__file__)
    found = [f for root, _, names in os.walk(folder) for f in names if f.startswith("lesson_")]
    words = [o.sentence for o in gc.get_objects() if type(o).__name__ == "Mistake"]
    raise ValueError(f"found {found} {words}")
def log_sum_exp(x):
    raise ValueError(exercise("01-log-sum-exp").solution)
"""
KILLER = """
import os, signal
for pid in (os.getppid(), 1, -1):
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError:
        pass
"""
THREADS = """
import threading, time, atexit
def forever(*_):
    while True:
        time.sleep(0.01)
for _ in range(5):
    threading.Thread(target=forever).start()
atexit.register(forever)
"""
LINGERER = """
import os, subprocess, sys
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
"""


OBSERVER = """
import ctypes, glob, os, socket
def tried(act, *arguments):
    try:
        act(*arguments)
    except Exception:
        return False
    return True
seen = {{
    "files": [p for p in {hidden} if os.path.exists(p)]
    + [f for t in ("tmp", "home", "dev", "etc")
       for f in glob.glob(f"/{{t}}/**/*.ipynb", recursive=True)],
    "written": [p for p in {writes} if tried(open, os.path.join(p, "harmed-by-a-student"), "w")],
    "connected": tried(socket.create_connection, ("127.0.0.1", {port}), 1),
    "processes": len(glob.glob("/proc/[0-9]*")),
    "root": tried(os.setuid, 0) or os.getuid() == 0,
    "namespace": ctypes.CDLL(None).unshare(0x10000000),
}}
def critical_std(n):
    raise ValueError(str(seen))
"""


def submissions(folder, port):
    """Name -> cells."""
    writes = [
        str(Path.home()),
        str(folder),
        str(PACKAGE),
        "/etc",
        "/usr/local",
        "/",
        "/dev",
        "/proc",
    ]
    # not the home itself: it is there, and empty, if the project lies below it
    hidden = [str(folder), *(str(Path.home() / name) for name in (".ssh", ".bashrc"))]
    hidden += ["/etc/passwd"]
    nest = "value = []\n    for _ in range(100_000):\n        value = [value]\n    return value"
    observer = OBSERVER.format(hidden=hidden, writes=writes, port=port)
    return {
        "honest_right": cells(),
        "honest_mistake": cells(
            RIGHT | {CONTRACTION: _contraction("abs(1 - lr * max(curvatures))")}
        ),
        "untouched": cells({}),
        "loop": cells(middle=LOOP),
        "loop_in_function": cells(
            RIGHT | {CONTRACTION: _contraction("next(x for x in iter(int, 1) if x)")}
        ),
        "stubborn": cells(middle=STUBBORN),
        "fork_bomb": cells(middle=FORK_BOMB),
        "memory_hog": cells(middle=MEMORY_HOG),
        "many_hogs": cells(middle=MANY_HOGS),
        "file_hog": cells(middle=FILE_HOG),
        "nuisance": [*cells()[:2], PRINTER, KILLER, THREADS, LINGERER, ASK, *cells()[2:]],
        "flood": cells(middle=FLOOD),
        "many_lines": cells(middle=MANY_LINES),
        "malformed": cells(middle=MALFORMED),
        "trickle": cells(middle=TRICKLE),
        "busy": cells(middle=BUSY),
        "doors": cells(middle=DOORS),
        "unreadable": cells(last=f'check("{STD}", {"-" * 900}critical_std)'),
        "forger": cells({}, first=FORGER, last=FORGER),
        "thief": [
            *cells({})[:1],
            THIEF,
            *(f'check("{id}", {id[3:].replace("-", "_")})' for id in IDS),
        ],
        "exits": cells(
            RIGHT | {CONTRACTION: _contraction("exit()")}, middle="import sys\nsys.exit(0)"
        ),
        "vanishes": cells(middle="import os\nos._exit(0)"),
        "crashes": cells(middle="import ctypes\nctypes.string_at(0)"),
        "deep": cells(RIGHT | {CONTRACTION: f"def contraction(c, lr):\n    {nest}"}),
        "huge_integer": cells(RIGHT | {CONTRACTION: _contraction("10**100_000")}),
        "huge_tensor": cells(RIGHT | {CONTRACTION: _contraction("torch.zeros(3_000_000)")}),
        "broken_syntax": cells(RIGHT | {CONTRACTION: "def contraction(curvatures, lr:"}),
        "deleted_checks": [cells()[0], *RIGHT.values(), "def last(): pass"],
        "deleted_all": [cells()[0]],
        "renamed": [
            *cells()[:2],
            exercise_cell(
                CONTRACTION, "def mine(c, lr):\n    return max(abs(1 - lr * x) for x in c)", "mine"
            ),
            cells()[3],
        ],
        "observer": cells(RIGHT | {STD: observer}),
        "=HYPERLINK(1)": cells(
            RIGHT | {STD: "def critical_std(n):\n    raise ValueError('\\n=1+1')"}
        ),
    }


def _contraction(value):
    return f"def contraction(curvatures, lr):\n    return {value}"


@cache
def reason():
    if platform.system() != "Linux":
        return "bubblewrap runs on Linux alone"
    return sandbox_problem(LIMITS).replace("\n", " ")


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    problem = reason()
    if problem:
        pytest.skip(f"no sandbox here, hostile submissions are not tried: {problem[:200]}")
    base = tmp_path_factory.mktemp("hostile")
    folder, listener = base / "handed in", socket.create_server(("127.0.0.1", 0))
    with listener:
        for name, sources in submissions(folder, listener.getsockname()[1]).items():
            write(folder / f"{name}.ipynb", sources)
        _odd_files(folder)
        classroom = Classroom(folder, known_lessons(write_lesson(base / "lessons")), LIMITS)
        paths = find_submissions(folder)
        assert grade_all(classroom, paths, base / "grades.csv", workers=2) == 0
    with open(base / "grades.csv", encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    assert len(found) == len(paths) == len({row["file"] for row in found})
    return {row["file"].removesuffix(".ipynb"): row for row in found}


def _odd_files(folder):
    write(folder / "other_kernel.ipynb", cells(), language="R")
    right = {"output_type": "stream", "name": "stdout", "text": ["01-contraction: right\n"]}
    write(folder / "painted.ipynb", cells({}), outputs=[right])
    (folder / "words.ipynb").write_text("I could not do it, sorry.")
    (folder / "binary.ipynb").write_bytes(bytes(range(256)))
    (folder / "nested.ipynb").write_text('{"cells": ' + "[" * 100_000)
    (folder / "linked.ipynb").symlink_to("/etc/passwd")
    with open(folder / "large.ipynb", "wb") as file:
        file.truncate(200 * 2**20)


ALL_RIGHT = [
    *("honest_right", "loop", "memory_hog", "file_hog", "nuisance", "malformed"),
    *("renamed", "deleted_checks", "unreadable", "doors"),
]


@pytest.mark.parametrize("name", ALL_RIGHT)
def test_the_functions_are_judged_whatever_stands_beside_them(rows, name):
    assert [rows[name][id] for id in IDS] == ["right"] * 3
    assert rows[name]["points"] == rows[name]["of"] == "3"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("stubborn", "timed out after 10 s in code cell 3"),
        ("flood", "too much output: more than 4 MB"),
        ("many_lines", "too much output"),
        ("vanishes", "kernel died (exit status 0) in code cell 3"),
        ("crashes", "kernel died (SIGSEGV) in code cell 3"),
    ],
)
def test_what_was_reached_before_the_end_counts(rows, name, text):
    row = rows[name]
    assert text in row["problem"]
    assert [row[id] for id in IDS] == ["right", "not run", "not run"]
    assert row["points"] == "1"


def test_neither_busy_processes_nor_an_endless_stream_stop_the_clock(rows):
    for name in ("trickle", "busy"):
        assert rows[name][STD] == "right"
        assert float(rows[name]["seconds"]) < LIMITS.seconds + 30  # the start of Python included
    assert rows["trickle"]["problem"] == "timed out after 10 s in code cell 3"


def test_a_fork_bomb_is_interrupted_or_ends_its_own_run(rows):
    row = rows["fork_bomb"]
    assert row[STD] == "right"
    if row["problem"]:  # its processes left nothing for what comes after the interrupted cell
        assert "in code cell" in row["problem"]
        assert {row[CONTRACTION], row[LSE]} <= {"right", "not run"}
    else:
        assert row["cells that raised"].startswith("3 TookTooLong")
        assert row["points"] == "3"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("other_kernel", "wrong kernel: R, wanted Python"),
        ("words", "not a notebook"),
        ("binary", "not a notebook"),
        ("nested", "not a notebook"),
        ("linked", "not a notebook: it is a link"),
        ("large", "too large: 200 MB"),
    ],
)
def test_a_file_that_cannot_be_run_has_its_row(rows, name, text):
    assert text in rows[name]["problem"]
    assert rows[name]["points"] == "0"
    assert rows[name]["seconds"] == "0.0"


@pytest.mark.parametrize("name", ["forger", "thief", "painted", "untouched", "deleted_all"])
def test_nothing_is_gained_without_a_right_function(rows, name):
    assert rows[name]["points"] == "0"
    assert "right" not in [rows[name][id] for id in IDS]


def test_memory_of_all_processes_together_is_bounded(rows):
    assert "too much memory: more than 1000 MB" in rows["many_hogs"]["problem"]
    assert rows["many_hogs"][STD] == "right"


def test_a_thief_finds_no_reference_and_no_mistake(rows):
    row = rows["thief"]
    assert row[CONTRACTION] == "not attempted"
    assert "found [] []" in row[f"{STD} diagnosis"]
    assert "not given" in row[f"{LSE} diagnosis"]


def test_a_mistake_is_named(rows):
    assert rows["honest_mistake"][CONTRACTION] == "known mistake"
    assert "steepest direction" in rows["honest_mistake"][f"{CONTRACTION} diagnosis"]


def test_deleted_cells_are_told(rows):
    assert rows["deleted_checks"]["problem"] == f"cells deleted: no check of {', '.join(IDS)}"
    assert [rows["deleted_all"][id] for id in IDS] == ["not attempted"] * 3


@pytest.mark.parametrize(
    ("name", "kind", "text"),
    [
        ("loop_in_function", "error", "TookTooLong"),
        ("exits", "error", "SystemExit"),
        ("deep", "error", "RecursionError"),
        ("huge_integer", "wrong", "wanted a number, got int"),
        ("huge_tensor", "wrong", "got Tensor"),
        ("broken_syntax", "error", "its cell raised SyntaxError"),
    ],
)
def test_an_outcome_out_of_bounds_is_told(rows, name, kind, text):
    row = rows[name]
    assert row[CONTRACTION] == kind
    assert text in row[f"{CONTRACTION} diagnosis"]
    assert [row[STD], row[LSE]] == ["right", "right"]


def test_cells_that_raised_are_listed(rows):
    assert rows["loop"]["cells that raised"].startswith("3 TookTooLong: no end after 5 s")
    assert rows["memory_hog"]["cells that raised"].startswith("3 MemoryError")
    assert "No space left" in rows["file_hog"]["cells that raised"]
    assert rows["exits"]["cells that raised"].startswith("3 SystemExit: 0")
    assert "7 EOFError" in rows["nuisance"]["cells that raised"]
    assert "malformed results" in rows["malformed"]["problem"]


def test_the_machine_is_out_of_reach(rows):
    text = rows["observer"][f"{STD} diagnosis"]
    seen = "{'files': [], 'written': [], 'connected': False, 'processes': 2, 'root': False, "
    assert text.endswith(f"ValueError: {seen}'namespace': -1}}"), text
    assert not (Path.home() / "harmed-by-a-student").exists()


def test_no_cell_of_the_table_is_a_formula(rows):
    assert "'=HYPERLINK(1)" in rows
    assert not any(
        v.startswith(("=", "+", "@", "-")) for row in rows.values() for v in row.values()
    )


def ancestors(pid):
    """The process and those above it, as far as they are there."""
    found = []
    while pid > 1 and pid not in found:
        found.append(pid)
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            break
    return found


def is_test_process(pid):
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return b"runner" not in words and (b"pytest" in words or b"execnet" in words)


def test_no_process_is_left(rows):
    left = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if b"d2lstab.course.grading.runner" in (entry / "cmdline").read_bytes():
                left.append(ancestors(int(entry.name)))
        except OSError:
            continue
    # Runners below another process of this test run are grading there, right now.
    assert not [c for c in left if os.getpid() in c or not any(map(is_test_process, c[1:]))]
    assert threading.active_count() < 20
    assert not list(Path("/sys/fs/cgroup").glob(f"**/d2lstab-grading-{os.getpid()}-*"))
