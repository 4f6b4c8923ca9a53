"""The untrusted side: execute a notebook, map inputs to outputs, say what happened.

`python -m d2lstab.course.grading.runner` reads one request from its standard input
and writes lines of JSON to its standard output. Everything here runs in the process of
the student's code, which may change it: nothing that it says is believed to be more
than an output of the student's functions.
"""

import os
import signal
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from d2lstab.course.diagnosis import Failure, outcomes
from d2lstab.course.grading.limits import Limits, restrict_this_process
from d2lstab.course.grading.wire import decode, encode, pack, unpack

__all__ = ["main"]


class TookTooLong(BaseException):
    """Raised in the student's code when its time is over."""


_LATE = encode(Failure("TookTooLong", "the function did not come to an end"))


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    def ring(*_: object) -> None:
        raise TookTooLong(f"no end after {seconds:g} s")

    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _first_line(error: BaseException) -> str:
    try:
        return (str(error).splitlines() or [""])[0][:200]
    except Exception:
        return ""


def _shell() -> InteractiveShell:
    config = Config()
    config.HistoryManager.enabled = False
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    shell = InteractiveShell.instance(config=config, user_module=module)
    # Tracebacks are for readers; formatting those of deep recursions takes long.
    for name in ("showtraceback", "showsyntaxerror"):
        setattr(shell, name, lambda *_, **__: None)
    for name, value in (
        ("_tee", lambda channel: nullcontext()),  # or IPython 9 keeps all that is printed
        ("ask_exit", sys.exit),  # what `exit` calls
    ):
        setattr(shell, name, value)
    return shell


class Session:
    """One notebook in execution."""

    def __init__(self, request: dict[str, Any], limits: Limits, answers: int) -> None:
        self.cells: list[dict[str, Any]] = request["cells"]
        self.exercises: dict[str, dict[str, Any]] = request["exercises"]
        self.limits = limits
        self.answers = answers  # the file descriptor for results
        self.shell = _shell()
        self.written: dict[str, object] = {}  # by exercise, what the notebook itself defined

    def say(self, message: dict[str, object]) -> None:
        """Write one line, whole."""
        data = pack(message)
        while data:
            data = data[os.write(self.answers, data) :]

    def run(self) -> None:
        """Every cell in order, as nbval does: what raises is noted and the rest goes on."""
        for number, cell in enumerate(self.cells, start=1):
            self.say({"cell": number})
            error = self._execute(cell["source"])
            if error:
                self.say({"raised": number, "error": error})
            self._remember()
            for id, expressions in cell["checks"].items():
                self._attempt(id, expressions, error)
        for id in self.exercises:
            if not any(id in cell["checks"] for cell in self.cells):
                self._attempt_without_check(id)
        self.say({"end": True})

    def _execute(self, source: str) -> str:
        try:
            with _alarm(self.limits.cell_seconds):
                result = self.shell.run_cell(source, store_history=False)
            error = result.error_before_exec or result.error_in_exec
        except BaseException as raised:
            error = raised
        if "matplotlib.pyplot" in sys.modules:
            with suppress(Exception):
                sys.modules["matplotlib.pyplot"].close("all")
        return f"{type(error).__name__}: {_first_line(error)}" if error is not None else ""

    def _remember(self) -> None:
        """Keep what the notebook itself defines, before a later cell reuses the name."""
        for id, exercise in self.exercises.items():
            value = self.shell.user_ns.get(exercise["expression"])
            if getattr(value, "__module__", None) == "__main__":
                self.written[id] = value

    def _attempt(self, id: str, expressions: list[str], cell_error: str) -> None:
        for expression in expressions:
            try:
                with _alarm(self.limits.call_seconds):
                    attempt = eval(expression, self.shell.user_ns)
            except BaseException as error:
                reason = cell_error or f"{type(error).__name__}: {_first_line(error)}"
                self.say({"attempt": id, "missing": reason[:300], "raised": bool(cell_error)})
            else:
                self._map(id, attempt)

    def _attempt_without_check(self, id: str) -> None:
        if id in self.written:
            self._map(id, self.written[id])
        else:
            self.say({"attempt": id, "missing": "the cells of this exercise are gone"})

    def _map(self, id: str, attempt: object) -> None:
        if attempt is None or attempt is ...:
            self.say({"attempt": id, "empty": True})
        elif not callable(attempt):
            self.say({"attempt": id, "no function": type(attempt).__name__[:60]})
        else:
            library = str(getattr(attempt, "__module__", "")).startswith("d2lstab.")
            inputs = [decode(packed) for packed in self.exercises[id]["inputs"]]
            results: list[object] = []
            for arguments in inputs:
                # Whoever needs too long once is not asked again.
                late = next((r for r in results if r == _LATE), None)
                results.append(late or self._outcome(attempt, arguments))
            self.say({"attempt": id, "outcomes": results, "library": library})

    def _outcome(self, attempt: Callable[..., object], arguments: Any) -> object:
        try:
            with _alarm(self.limits.call_seconds):
                (outcome,) = outcomes(attempt, [arguments])
                return encode(outcome)
        except TookTooLong:
            return _LATE
        except BaseException as error:
            return encode(Failure(type(error).__name__, _first_line(error)))


def _become(user: int) -> None:
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def main() -> None:
    """Serve one request and end, whatever threads the notebook has left running."""
    request: dict[str, Any] = unpack(sys.stdin.buffer.read())
    answers = os.dup(1)
    limits = Limits(**request["limits"])
    restrict_this_process(limits, bool(request["count_processes"]))
    if request["user"]:
        _become(int(request["user"]))
    session = Session(request, limits, answers)
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    session.say({"ready": True})
    session.run()
    os._exit(0)


if __name__ == "__main__":
    main()
