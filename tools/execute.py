"""Run notebooks in fresh kernels and store them as the repository wants them.

    python tools/execute.py notebooks/01_*.ipynb

Cells are numbered 1..N. What differs from run to run or from machine to machine
is left out: timings, the language's version, widget models. An interactive figure
is stored as the PNG of its first state, because a stored view of a widget whose
model is gone shows as "Error displaying widget" in place of the picture. A cell
that raises stops the run, and the file stays as it was.
"""

import argparse
import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
CELL_METADATA = {"tags", "jupyter"}  # what an author writes; all else is a tool's


def execute(path: Path, timeout: float = 300.0) -> None:
    """Run one notebook in place, in its own folder."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    client = NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.resolve().parent)}},
        record_timing=False,
        store_widget_state=False,
    )
    client.execute(env=os.environ | {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")})
    nbformat.write(tidy(notebook), path)


def tidy(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook without what a run or a machine left in it, and stored one way."""
    notebook.metadata = nbformat.NotebookNode(kernelspec=KERNEL, language_info={"name": "python"})
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for cell in notebook.cells:
        cell.metadata = {k: v for k, v in cell.metadata.items() if k in CELL_METADATA}
        if cell.cell_type != "code":
            cell.pop("attachments", None)
            continue
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(WIDGET_VIEW, None)
            if "execution_count" in output:
                output.execution_count = cell.execution_count
        cell.outputs = _joined(cell.get("outputs", []))
    return notebook


def _joined(outputs: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """The outputs with neighboring pieces of one stream as one: how they split is chance."""
    joined: list[nbformat.NotebookNode] = []
    for output in outputs:
        last = joined[-1] if joined else {}
        if output.output_type == "stream" and last.get("name") == output.name:
            joined[-1].text += output.text
        else:
            joined.append(output)
    return joined


def main(arguments: list[str] | None = None) -> int:
    """Run the notebooks named on the command line; the number that failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="+", type=Path)
    parser.add_argument("--timeout", type=float, default=300.0, help="seconds for one cell")
    parser.add_argument("--tidy", action="store_true", help="do not run: only clean what is stored")
    options = parser.parse_args(arguments)
    failed = 0
    for path in options.notebooks:
        try:
            if options.tidy:
                nbformat.write(tidy(nbformat.read(path, as_version=4)), path)
            else:
                execute(path, options.timeout)
        except CellExecutionError as error:
            failed += 1
            print(f"{path}: not stored, a cell raised\n{error}", file=sys.stderr)
        else:
            print(f"{path}: {'tidied' if options.tidy else 'executed'}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
