"""Running one notebook in the sandbox and bounding whatever it does."""

import os
import selectors
import signal
import subprocess
import tempfile
import threading
import time
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass, field
from typing import IO

from d2lstab.course.grading.limits import ControlGroup, Limits, memory_of_tree, one_core
from d2lstab.course.grading.sandbox import bare_command, sandbox_command, sandbox_user
from d2lstab.course.grading.system_calls import filter_descriptor
from d2lstab.course.grading.wire import pack, sealed

__all__ = ["NotStartedError", "Place", "Run", "StoppedError", "run_notebook", "sandbox_problem"]

STARTUP = 120.0  # seconds until the runner is ready; importing torch on a busy machine is slow
LINES = 10_000  # messages of one run
_LOOK = 0.2  # seconds between two looks at clock and memory
_STEP = b'{"cell": '  # how `pack` begins the message that a cell has begun


class StoppedError(Exception):
    """Whoever grades has interrupted the run."""


class NotStartedError(RuntimeError):
    """The runner did not come up: no fault of the submission, whose code had not begun."""


@dataclass(slots=True, eq=False)
class Run:
    """What came out of the sandbox, unjudged."""

    lines: list[bytes] = field(default_factory=list)  # as the runner sent them
    seconds: float = 0.0  # wall time, the start of Python included
    problem: str = ""  # why it ended early; empty where it reached the end


class _Watch:
    """Reads the runner's lines, up to a size, and watches its clock and memory."""

    def __init__(
        self, process: subprocess.Popen[bytes], limits: Limits, count_memory: bool
    ) -> None:
        assert process.stdout is not None
        self.count_memory = count_memory  # unless a control group does
        self.process, self.limits, self.run = process, limits, Run()
        self.ready_at: float | None = None  # when the student's code could begin
        self._descriptor = process.stdout.fileno()
        os.set_blocking(self._descriptor, False)
        self._rest, self._size = bytearray(), 0
        self._began = time.monotonic()

    def until_the_end(self, stop: threading.Event | None) -> None:
        """Until the runner says that it has ended, or dies, or exceeds a limit; or `stop`."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._descriptor, selectors.EVENT_READ)
            next_look = 0.0
            while not (self.run.problem or self._ended()):
                if stop is not None and stop.is_set():
                    raise StoppedError
                open_ = self._take() if selector.select(_LOOK) else True
                if not open_ or self.process.poll() is not None:
                    self._take()
                    if not (self.run.problem or self._ended()):
                        self.run.problem = self._death()
                elif time.monotonic() > next_look:
                    self._look()
                    next_look = time.monotonic() + _LOOK

    def _ended(self) -> bool:
        return self.run.lines[-1:] == [b'{"end": true}']

    def _take(self) -> bool:
        """Take what is there, for as long as one look; False at the end of the stream."""
        limit, until = self.limits.output * 2**20, time.monotonic() + _LOOK
        while not self.run.problem and time.monotonic() < until:
            try:
                data = os.read(self._descriptor, 2**16)
            except BlockingIOError:
                return True
            if not data:
                return False
            self._size += len(data)
            lines: list[bytes] = []
            self._rest += data
            if b"\n" in data:
                *lines, rest = bytes(self._rest).split(b"\n")
                self._rest = bytearray(rest)
            self.run.lines += lines
            if lines and self.ready_at is None:
                self.ready_at = time.monotonic()
            if self._size > limit or len(self.run.lines) > LINES:
                self.run.problem = f"too much output: more than {self.limits.output} MB of results"
        return True

    def _look(self) -> None:
        now, limits = time.monotonic(), self.limits
        if self.ready_at is None:
            if now - self._began > STARTUP:
                self.run.problem = f"not started within {STARTUP:g} s"
        elif now - self.ready_at > limits.seconds:
            self.run.problem = f"timed out after {limits.seconds:g} s{self.place()}"
        elif self.count_memory and memory_of_tree(self.process.pid) > limits.memory * 1.1:
            self.run.problem = self.memory_problem()

    def memory_problem(self) -> str:
        """The sentence for a run that needed too much."""
        return f"too much memory: more than {self.limits.memory} MB{self.place()}"

    def _death(self) -> str:
        try:
            code = self.process.wait(1)
        except subprocess.TimeoutExpired:  # it has closed its results, and goes on
            return f"kernel closed its results{self.place()}"
        number = -code if code < 0 else code - 128  # bubblewrap ends as a shell does
        names = {s.value: s.name for s in signal.Signals}
        return f"kernel died ({names.get(number, f'exit status {code}')}){self.place()}"

    def place(self) -> str:
        """The cell in which it was last, as it said."""
        cells = [line[len(_STEP) : -1] for line in self.run.lines if line.startswith(_STEP)]
        return f" in code cell {int(cells[-1])}" if cells and cells[-1][:6].isdigit() else ""


def _popen(
    limits: Limits, slot: int, group: ControlGroup | None, scratch: str | None, question: IO[bytes]
) -> subprocess.Popen[bytes]:
    call_filter = filter_descriptor() if scratch is None else None
    try:
        if scratch is None:
            command = sandbox_command(limits, slot, group, call_filter)
        else:
            command = bare_command(scratch)
        with one_core(slot) if scratch is None else nullcontext():
            return subprocess.Popen(
                command.words,
                stdin=question,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=scratch,
                env=command.environment,
                pass_fds=() if call_filter is None else (call_filter,),
                start_new_session=True,
            )
    finally:
        if call_filter is not None:
            os.close(call_filter)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the process and its session; in the sandbox the kernel ends all the others."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Where notebooks are run."""

    slot: int = 0  # the worker's number; workers share no user and no control group
    safe: bool = True  # in the sandbox; else with the rights and the files of this process
    stop: threading.Event | None = None  # set it to end the run


def _watched(
    request: bytes, limits: Limits, place: Place, group: ControlGroup | None, scratch: str
) -> _Watch:
    folder = None if place.safe else scratch
    with sealed(request) as question:
        process = _popen(limits, place.slot, group, folder, question)
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdout, process.stderr:
        try:
            watch = _Watch(process, limits, group is None)
            watch.until_the_end(place.stop)
        finally:
            _kill(process)
        if watch.ready_at is None:
            os.set_blocking(process.stderr.fileno(), False)  # a child may hold its other end
            said = (process.stderr.read(2000) or b"").decode("utf-8", "replace").strip()
            raise NotStartedError(f"{watch.run.problem}: {said}")
    return watch


def run_notebook(request: dict[str, object], limits: Limits, place: Place) -> Run:
    """Have the runner execute a notebook.

    Args:
        request: the cells and the exercises' inputs.
        limits: what it may use.
        place: in which sandbox, if any.

    Raises:
        NotStartedError: the sandbox or Python did not start; the message says why.
        StoppedError: `place.stop` was set.
    """
    began = time.monotonic()
    user = sandbox_user(place.slot) if place.safe else 0
    told = {**request, "limits": asdict(limits), "count_processes": place.safe, "user": user}
    name = f"d2lstab-grading-{os.getpid()}-{place.slot}"
    group = ControlGroup.create(name, limits) if place.safe else None
    with tempfile.TemporaryDirectory(prefix="d2lstab-", ignore_cleanup_errors=True) as scratch:
        try:
            watch = _watched(pack(told), limits, place, group, scratch)
            if group is not None and group.killed_for_memory():
                watch.run.problem = watch.memory_problem()
        finally:
            if group is not None:
                group.remove()
    watch.run.seconds = time.monotonic() - began
    return watch.run


def sandbox_problem(limits: Limits) -> str:
    """Why the sandbox cannot be used on this machine, found out by a trial; empty if it can."""
    try:
        run = run_notebook({"cells": [], "exercises": {}}, limits, Place())
    except (OSError, NotStartedError) as error:
        return str(error)
    return run.problem
