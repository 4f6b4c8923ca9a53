"""What `import d2lstab` costs on top of `import torch`, and each room on top of both.

Run: python benchmarks/import_cost.py
Wall time of the import alone in fresh processes, taken in turn; medians and quartiles.
Budget: 5 % of `import torch` for the package itself.
"""

import importlib.util
import statistics
import subprocess
import sys

REPEATS = 11
FILES = [
    "d2lstab.theory.random_products",
    "d2lstab.specimens.networks",
    "d2lstab.measure.signals",
    "d2lstab.optimize.training",
    "d2lstab.plots",
    "d2lstab.widgets",
    "d2lstab.course",
    "d2lstab.integrations.d2l",
]
TIMED = """
import time
{before}
start = time.perf_counter()
{timed}
print(time.perf_counter() - start)
"""


def seconds(timed: str, before: str = "") -> float:
    """The time that the statement `timed` takes in a fresh process, after `before`."""
    code = TIMED.format(timed=timed, before=before)
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(run.stdout)


def main() -> None:
    """Print one line for torch, one for the package, one for each room."""
    present = [name for name in FILES if importlib.util.find_spec(name)]
    cases = [("import torch", "")]
    cases += [(f"import {name}", "import torch") for name in ["d2lstab", *present]]
    seconds("import torch")  # fills the file cache
    times: dict[str, list[float]] = {timed: [] for timed, _ in cases}
    for _ in range(REPEATS):
        for timed, before in cases:
            times[timed].append(seconds(timed, before))
    torch_time = statistics.median(times["import torch"])
    print(f"{'statement':44} {'median ms':>10} {'quartiles':>16} {'of torch':>9}")
    for timed, runs in times.items():
        low, median, high = (1e3 * q for q in statistics.quantiles(runs, n=4))
        share = median / 1e3 / torch_time
        print(f"{timed:44} {median:10.1f} {low:7.1f} {high:8.1f} {share:9.1%}")


if __name__ == "__main__":
    main()
