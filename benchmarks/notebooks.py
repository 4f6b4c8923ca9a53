"""Wall time, CPU time and peak memory of each notebook under strict nbval.

Run: python benchmarks/notebooks.py [notebooks/01_*.ipynb ...]
One notebook after another, one thread each; the memory is that of the kernel and
the test process together, sampled every 50 ms, shared pages counted once (PSS).
Budgets: 45 s and 700 MB for one notebook, 24 s on average.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]


def processes(root: psutil.Process) -> list[psutil.Process]:
    """The process and all that it started."""
    try:
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def memory(process: psutil.Process) -> int:
    """Bytes of the process, each shared page divided by its users where the system tells."""
    try:
        full = process.memory_full_info()
        return int(getattr(full, "pss", full.rss))
    except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        return 0


def measured(notebook: Path) -> tuple[bool, float, float, float]:
    """Whether it passed, wall seconds, CPU seconds and peak megabytes of one notebook."""
    command = [sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env", str(notebook)]
    before, start = os.times(), time.perf_counter()
    run = subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    peak, root = 0, psutil.Process(run.pid)
    while run.poll() is None:
        peak = max(peak, sum(memory(process) for process in processes(root)))
        time.sleep(0.05)
    wall, after = time.perf_counter() - start, os.times()
    cpu = sum(after[2:4]) - sum(before[2:4])  # of finished children, and of theirs
    return run.returncode == 0, wall, cpu, peak / 1e6


def main() -> None:
    """Print one line for each notebook, and the sums."""
    parser = argparse.ArgumentParser(description="Time and memory of notebooks under nbval.")
    parser.add_argument("notebooks", nargs="*", type=Path)
    chosen = parser.parse_args().notebooks or sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
    results = []
    print(f"{'notebook':48} {'wall s':>7} {'CPU s':>7} {'peak MB':>8}  passed")
    for notebook in chosen:
        passed, wall, cpu, peak = measured(notebook.resolve())
        results.append((wall, cpu, peak))
        mark = "yes" if passed else "NO"
        print(f"{notebook.name:48} {wall:7.1f} {cpu:7.1f} {peak:8.0f}  {mark}", flush=True)
    if results:
        walls, cpus, peaks = zip(*results, strict=True)
        print(f"{'sum, and largest peak':48} {sum(walls):7.1f} {sum(cpus):7.1f} {max(peaks):8.0f}")


if __name__ == "__main__":
    main()
