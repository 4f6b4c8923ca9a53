"""How much one submission may use, and how that is enforced."""

import contextlib
import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ControlGroup", "Limits", "memory_of_tree", "one_core", "restrict_this_process"]

_GROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one submission may use."""

    seconds: float = 300.0  # wall time of all its cells and functions together
    memory: int = 2048  # MB, all its processes together
    processes: int = 64  # threads count
    output: int = 16  # MB of results
    scratch: int = 256  # MB of files, which count as memory too

    @property
    def cell_seconds(self) -> float:
        """After this long a cell is interrupted, and the next one runs."""
        return self.seconds / 2

    @property
    def call_seconds(self) -> float:
        """After this long one call of a student's function is interrupted."""
        return min(20.0, self.seconds / 4)


def restrict_this_process(limits: Limits, count_processes: bool) -> None:
    """Set hard limits on this process and its children; for the sandbox's first process."""
    size = limits.memory * 2**20
    wanted = {
        resource.RLIMIT_DATA: size,
        resource.RLIMIT_FSIZE: limits.scratch * 2**20,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: 256,
    }
    if count_processes:
        wanted[resource.RLIMIT_NPROC] = limits.processes
    for kind, value in wanted.items():
        _, hard = resource.getrlimit(kind)
        lowest = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (lowest, lowest))
    with contextlib.suppress(OSError):  # the first to go where the whole machine runs short
        Path("/proc/self/oom_score_adj").write_text("1000")


@contextmanager
def one_core(slot: int) -> Iterator[None]:
    """What this thread starts meanwhile runs on one core, with all its children.

    So a submission full of busy processes takes no time from its neighbor, which has
    another one. Does nothing where the system does not know of it.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    cores = sorted(before)
    os.sched_setaffinity(0, {cores[slot % len(cores)]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def memory_of_tree(pid: int) -> int:
    """Memory in MB of a process and all its descendants, what they share counted once.

    0 where there is no /proc.
    """
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(entry.name))
    total, waiting = 0, [pid]
    while waiting:
        current = waiting.pop()
        total += _proportional(current)
        waiting += children.get(current, [])
    return total // 1024


def _proportional(pid: int) -> int:
    """Memory in kB, each shared page divided among those who share it."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0


def _own_groups() -> dict[str, str]:
    """Controller -> the group in which this process is; the empty name is version 2."""
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    rows = [line.split(":", 2) for line in lines]
    return {name: path.lstrip("/") for _, names, path in rows for name in names.split(",")}


def _sweep(folder: Path) -> None:
    """Remove what a grader that was killed has left beside a group NAME-PID-SLOT."""
    kind = folder.name.rsplit("-", 2)[0]
    for old in folder.parent.glob(f"{kind}-*-*"):
        if not Path("/proc", old.name.split("-")[-2]).exists():
            with contextlib.suppress(OSError):
                old.rmdir()


class ControlGroup:
    """A Linux control group that bounds memory and processes, where one can be made.

    It counts what limits on single processes do not see: shared memory, files kept in
    memory, and many processes together.
    """

    def __init__(self, folders: dict[str, Path]) -> None:
        self._folders = folders  # "memory" and "pids" -> a folder; the same one in version 2

    @classmethod
    def create(cls, name: str, limits: Limits) -> "ControlGroup | None":
        """A fresh group with these limits; None where this user may not make one."""
        memory, processes = str(limits.memory * 2**20), str(limits.processes)
        try:
            own = _own_groups()
            if (_GROUPS / "cgroup.controllers").exists():
                parents = [_GROUPS, (_GROUPS / own.get("", "")).parent]
                layouts = [{"memory": p / name, "pids": p / name} for p in parents]
                values = {"memory.max": memory, "memory.swap.max": "0", "pids.max": processes}
            else:
                kinds = ("memory", "pids")
                layouts = [{k: _GROUPS / k / own.get(k, "") / name for k in kinds}]
                values = {"memory.limit_in_bytes": memory, "pids.max": processes}
        except OSError:
            return None
        for folders in layouts:
            for folder in folders.values():
                _sweep(folder)
            group = cls(folders)
            if group._made(values):
                return group
            group.remove()
        return None

    def _made(self, values: dict[str, str]) -> bool:
        try:
            for folder in self._folders.values():
                folder.mkdir(exist_ok=True)
            for file, value in values.items():
                path = self._folders[file.partition(".")[0]] / file
                if file != "memory.swap.max" or path.exists():
                    path.write_text(value)
            return all(os.access(path, os.W_OK) for path in self.entrances)
        except OSError:
            return False

    @property
    def entrances(self) -> list[str]:
        """Files into which a process writes its id to enter."""
        return sorted({str(folder / "cgroup.procs") for folder in self._folders.values()})

    def killed_for_memory(self) -> bool:
        """Whether the kernel has ended a process of the group because memory ran out."""
        for name in ("memory.oom_control", "memory.events"):
            with contextlib.suppress(OSError):
                for line in (self._folders["memory"] / name).read_text().splitlines():
                    if line.startswith("oom_kill ") and int(line.split()[1]) > 0:
                        return True
        return False

    def remove(self) -> None:
        """Remove the group once its last process has gone."""
        for folder in set(self._folders.values()):
            for _ in range(50):
                try:
                    folder.rmdir()
                except FileNotFoundError:
                    break
                except OSError:
                    time.sleep(0.02)
                else:
                    break
