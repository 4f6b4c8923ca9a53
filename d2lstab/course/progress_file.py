"""Which guesses and exercises are done: a small file in the reader's home folder."""

import json
import os
from pathlib import Path

__all__ = ["progress", "record"]


def _path() -> Path:
    told = os.environ.get("D2LSTAB_PROGRESS")
    return Path(told) if told else Path.home() / ".d2lstab" / "progress.json"


def _validated() -> bool:
    """Whether a test runs this kernel (nbval): then nothing is read and nothing written."""
    return "PYTEST_VERSION" in os.environ or "PYTEST_CURRENT_TEST" in os.environ


def _read() -> dict[str, dict[str, str]]:
    try:
        stored = json.loads(_path().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        stored = {}
    stored = stored if isinstance(stored, dict) else {}
    return {
        kind: {str(k): str(v) for k, v in stored.get(kind, {}).items()}
        if isinstance(stored.get(kind), dict)
        else {}
        for kind in ("guesses", "exercises")
    }


def record(kind: str, name: str, state: str) -> None:
    """Note that a guess or an exercise has reached a state; silent where it cannot be written.

    Args:
        kind: "guesses" or "exercises".
        name: its id.
        state: "made" for a guess; "right" or "tried" for an exercise. What was right
            stays right.
    """
    if _validated():
        return
    stored = _read()
    if stored[kind].get(name) == "right":
        return
    stored[kind][name] = state
    path = _path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(f".{os.getpid()}.tmp")
        fresh.write_text(json.dumps(stored, indent=1, sort_keys=True), encoding="utf-8")
        fresh.replace(path)
    except OSError:
        return


def progress(*, start_over: bool = False) -> None:
    """Print which exercises and guesses are done, lesson by lesson.

    The record is ``.d2lstab/progress.json`` in the home folder (environment variable
    ``D2LSTAB_PROGRESS`` names another file); nothing is written while nbval runs.

    Args:
        start_over: forget everything first.
    """
    from d2lstab.course.exercises import exercise_ids

    if _validated():
        print("Progress is not recorded while the notebooks are validated.")
        return
    if start_over:
        _path().unlink(missing_ok=True)
    stored = _read()
    for lesson in sorted({name[:2] for name in exercise_ids()}):
        ids = [name for name in exercise_ids() if name.startswith(f"{lesson}-")]
        states = [(name.removeprefix(f"{lesson}-"), stored["exercises"].get(name)) for name in ids]
        guesses = [n.removeprefix(f"{lesson}-") for n in stored["guesses"] if n[:2] == lesson]
        done = {
            "right": [name for name, state in states if state == "right"],
            "not yet right": [name for name, state in states if state == "tried"],
            "guesses made": sorted(guesses),
        }
        print(f"{lesson}  {len(done['right'])} of {len(ids)} exercises right")
        for what, names in done.items():
            if names:
                print(f"    {what}: {', '.join(names)}")
