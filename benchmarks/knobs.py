"""How long a picture takes to be drawn again when a knob is moved.

Run: python benchmarks/knobs.py [notebooks/01_*.ipynb ...]
Runs each notebook in this process, then moves every knob of every interactive figure to both
ends of its range and to the middle; CPU time of one redraw on one thread, median and largest.
Budget: 150 ms a redraw.
"""

import argparse
import contextlib
import io
import json
import os
import statistics
import time
from pathlib import Path

import torch
from IPython.core.interactiveshell import InteractiveShell

from d2lstab.widgets import Explorer

ROOT = Path(__file__).parents[1]


def explorers(notebook: Path) -> list[Explorer]:
    """The interactive figures of a notebook, its cells run in order."""
    shell, found = InteractiveShell.instance(), []
    shell.reset(new_session=False)
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] != "code":
            continue
        with contextlib.redirect_stdout(io.StringIO()):
            outcome = shell.run_cell("".join(cell["source"]), store_history=False)
        outcome.raise_error()
        if isinstance(outcome.result, Explorer):
            found.append(outcome.result)
    return found


def places(knob) -> list:
    """Both ends of a knob's range and its middle; all options of a short list."""
    if hasattr(knob, "options"):
        options = list(knob.options)
        return [options[0], options[-1], options[len(options) // 2]]
    middle = knob.min + round((knob.max - knob.min) / 2 / knob.step) * knob.step
    return [knob.min, knob.max, middle]


def redraws(explorer: Explorer) -> list[float]:
    """CPU milliseconds of each redraw, one knob moved at a time and put back."""
    times = []
    for knob in explorer.knobs.values():
        start = knob.value
        for value in [*places(knob), start]:
            if knob.value == value:
                continue
            begin = time.process_time()
            knob.value = value
            times.append(1e3 * (time.process_time() - begin))
    return times


def main() -> None:
    """Print one line for each interactive figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="*", type=Path)
    chosen = parser.parse_args().notebooks or sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
    os.environ["PYTEST_VERSION"] = "none"  # no guess and no progress is written
    print(f"{'notebook':42} {'figure':48} {'median ms':>9} {'largest':>8}")
    for notebook in (path.resolve() for path in chosen):
        with contextlib.chdir(notebook.parent):
            found = explorers(notebook)
            torch.set_num_threads(1)
            for explorer in found:
                times = redraws(explorer)
                print(
                    f"{notebook.stem:42} {explorer!r:48} "
                    f"{statistics.median(times):9.0f} {max(times):8.0f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
