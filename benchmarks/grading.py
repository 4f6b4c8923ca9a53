"""A classroom of submissions graded, beside the notebook's own run time.

Run: python benchmarks/grading.py [--lesson 10] [--copies 100] [--workers 2]
Every second copy has the exercises solved, the others are as handed out. The plain sum is the
wall time of `nbclient` for one copy, times the copies, over the workers: what the machine would
need if grading cost nothing. Both are timed in one run; several plain runs, the median.
"""

import argparse
import csv
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from d2lstab.course import grade
from d2lstab.course.exercises import exercise
from d2lstab.course.grading.lessons import checked

ROOT = Path(__file__).parents[1]


def solved(notebook: dict) -> dict:
    """A copy in which each exercise's cell begins with its worked solution."""
    copy = json.loads(json.dumps(notebook))
    for cell in copy["cells"]:
        source = "".join(cell["source"])
        for id in checked(source) if cell["cell_type"] == "code" else ():
            check = source[source.index("check(") :]
            cell["source"] = f"{exercise(id).solution.strip()}\n\n\n{check}"
    return copy


def plain_seconds(path: Path, repeats: int) -> float:
    """Wall seconds of one execution, the start of the kernel included; the median."""
    times = []
    for _ in range(repeats):
        notebook = nbformat.read(path, as_version=4)
        begin = time.perf_counter()
        NotebookClient(notebook, timeout=600, kernel_name="python3").execute(cwd=str(path.parent))
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def main() -> None:
    """Print one line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lesson", default="10")
    parser.add_argument("--copies", type=int, default=8)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    (path,) = (ROOT / "notebooks").glob(f"{options.lesson}_*.ipynb")
    notebook = json.loads(path.read_text(encoding="utf-8"))
    plain = plain_seconds(path, 3)
    with tempfile.TemporaryDirectory() as folder:
        handed_in, table = Path(folder, "handed in"), Path(folder, "grades.csv")
        handed_in.mkdir()
        for k in range(options.copies):
            text = json.dumps(solved(notebook) if k % 2 else notebook)
            (handed_in / f"student_{k:03}.ipynb").write_text(text, encoding="utf-8")
        begin = time.perf_counter()
        status = grade.main(
            [str(handed_in), "--output", str(table), "--workers", str(options.workers)]
        )
        wall = time.perf_counter() - begin
        if status:
            sys.exit(f"grading ended with {status}")
        with open(table, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    full = sum(row["points"] == row["of"] for row in rows)
    ideal = plain * options.copies / options.workers
    print(
        f"lesson {options.lesson}: {len(rows)} copies in {wall:.0f} s with {options.workers} "
        f"workers, {full} with all points; one run by itself {plain:.1f} s, "
        f"plain sum {ideal:.0f} s, ratio {wall / ideal:.2f}"
    )


if __name__ == "__main__":
    main()
