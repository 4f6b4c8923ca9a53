"""The sandbox: bubblewrap without network, without our files, without rights.

A submission sees the system's programs, this Python and the package without its
exercises, all read-only, and an empty scratch folder in memory. Nothing else of the
machine exists there: no home, no other submission, no process but its own.
"""

import os
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from d2lstab.course.grading.limits import ControlGroup, Limits

__all__ = ["RUNNER", "Command", "bare_command", "sandbox_command", "sandbox_user"]

PACKAGE = Path(__file__).parents[2]
RUNNER = "d2lstab.course.grading.runner"
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64")
_SETTINGS = (
    *("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives"),
    *("/etc/fonts", "/etc/localtime"),
)
_END = ("--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/tmp")  # all else is fixed
_NOBODY = "65534"
_FIRST_USER = 64001  # Debian and Fedora give this range to nobody


@dataclass(frozen=True, slots=True, eq=False)
class Command:
    """What to start, and how."""

    words: list[str]
    environment: dict[str, str]


def sandbox_user(slot: int) -> int:
    """Whom the runner becomes where the grader is root: somebody without rights, another one
    for each worker, so that limits on processes bind. 0 where nothing is to be changed."""
    return _FIRST_USER + slot if os.geteuid() == 0 else 0


def _environment(scratch: str) -> dict[str, str]:
    return {
        "PATH": f"{sys.prefix}/bin:/usr/local/bin:/usr/bin:/bin",
        "HOME": scratch,
        "TMPDIR": scratch,
        "USER": "student",
        "LOGNAME": "student",
        "LANG": "C.UTF-8",
        "MPLBACKEND": "Agg",
        "PYTHONPATH": str(PACKAGE.parent),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "IPYTHONDIR": f"{scratch}/.ipython",
        "D2LSTAB_PROGRESS": f"{scratch}/.progress.json",
        "D2LSTAB_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
    }


def _visible() -> list[str]:
    """Folders of this Python and its packages outside of the system's own."""
    folders = {sys.prefix, sys.base_prefix, sys.exec_prefix, str(PACKAGE)}
    folders |= {path for path in sys.path if path.endswith("-packages") and os.path.isdir(path)}
    folders |= {os.path.realpath(folder) for folder in folders}
    return sorted(folders - {"/usr"})  # a folder comes before what lies in it


def _files() -> list[str]:
    words: list[str] = []
    for path in _SYSTEM:
        if os.path.islink(path):
            words += ["--symlink", os.readlink(path), path]
        elif os.path.isdir(path):
            words += ["--ro-bind", path, path]
    shown = (*_SETTINGS, *_visible())
    parents = {str(parent) for path in shown for parent in Path(path).parents} - {"/"}
    for path in sorted(parents):  # bubblewrap would make them for root alone
        words += ["--perms", "0755", "--dir", path]
    for path in shown:
        words += ["--ro-bind-try", path, path]
    stand_in = f"{PACKAGE}/course/grading/stand_in.py"
    for exercises in _exercises():
        words += ["--tmpfs", exercises, "--ro-bind", stand_in, f"{exercises}/__init__.py"]
        words += ["--remount-ro", exercises]
    return words


def _exercises() -> list[str]:
    """Every path under which the folder of the exercises would be visible."""
    real = os.path.realpath(f"{PACKAGE}/course/exercises")
    paths = set()
    for folder in ("/usr", *_visible()):
        below = os.path.relpath(real, os.path.realpath(folder))
        if not below.startswith(".."):
            paths.add(os.path.join(folder, below))
    return sorted(paths)


def _spaces(scratch: int) -> list[str]:
    """Fresh /proc, /dev and scratch folders. They come first: what is shown may lie in /tmp."""
    words = ["--proc", "/proc", "--dev", "/dev"]
    for path in ("/tmp", "/dev/shm"):
        words += ["--perms", "1777", "--size", str(scratch * 2**20), "--tmpfs", path]
    return words


def sandbox_command(
    limits: Limits, slot: int, group: ControlGroup | None = None, call_filter: int | None = None
) -> Command:
    """The runner in bubblewrap. As root it starts with the two rights that it needs to become
    somebody else; else it starts in a user namespace of its own, as nobody."""
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        raise FileNotFoundError("bwrap is not installed (Debian, Ubuntu, Fedora: bubblewrap)")
    user = sandbox_user(slot)
    words = [bwrap, "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"]
    words += ["--unshare-cgroup-try", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    if user:
        words += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    else:
        words += ["--unshare-user", "--disable-userns", "--uid", _NOBODY, "--gid", _NOBODY]
    if call_filter is not None:
        words += ["--seccomp", str(call_filter)]
    words += [*_spaces(limits.scratch), *_files(), *_END, "--clearenv"]
    environment = _environment("/tmp")
    for name, value in environment.items():
        words += ["--setenv", name, value]
    return Command([*_entering(group), *words, "--", sys.executable, "-m", RUNNER], environment)


def _entering(group: ControlGroup | None) -> list[str]:
    if group is None:
        return []
    # The shell enters the group, then becomes bubblewrap.
    entering = " && ".join(f"echo $$ > {shlex.quote(path)}" for path in group.entrances)
    return ["/bin/sh", "-c", f'{entering} && exec "$@"', "sh"]


def bare_command(scratch: str) -> Command:
    """The runner without a sandbox: with the rights and the files of whoever grades."""
    return Command([sys.executable, "-m", RUNNER], _environment(scratch))
