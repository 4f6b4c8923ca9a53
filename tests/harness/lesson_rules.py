"""How a lesson is built: what 01 and the later notebooks hold besides the rules for all."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from notebook_text import Notebook, called, cells, core, headings, printed, text, words

MOST_CORE_WORDS, MOST_CORE_CELLS = 3000, 35
LEAST_COMPARISONS, LEAST_EXERCISES = 8, 5
CARD = "If you see this in your model"


def comparisons(notebook: Notebook, path: Path) -> Iterator[str]:
    """At least eight predictions are laid beside their measurements, and hold."""
    code = [cell for _, cell in cells(notebook, "code")]
    count = sum(len(called(cell, "compare", "compare_order")) for cell in code)
    if count < LEAST_COMPARISONS:
        yield f"there must be {LEAST_COMPARISONS} comparisons or more, got {count}"
    for i, cell in cells(notebook, "code"):
        if called(cell, "compare", "compare_order") and ": holds" not in printed(cell):
            defined = isinstance(ast.parse(text(cell["source"])).body[-1], ast.FunctionDef)
            if not defined:
                yield f"cell {i} compares, but its output does not say that it holds"


def interactive(notebook: Notebook, path: Path) -> Iterator[str]:
    """At least one figure has knobs, and its first state is stored as a picture."""
    stored = [
        text(output["data"].get("text/plain", "")).startswith("Explorer(")
        for _, cell in cells(notebook, "code")
        for output in cell["outputs"]
        if "image/png" in output.get("data", {})
    ]
    if not any(stored):
        yield "there must be an Explorer with a stored picture, got none"


def exercises(notebook: Notebook, path: Path) -> Iterator[str]:
    """At least five exercises, of different names, stored as not attempted."""
    names = []
    for i, cell in cells(notebook, "code"):
        for call in called(cell, "check"):
            names.append(ast.unparse(call.args[0]) if call.args else "")
            if "not attempted yet" not in printed(cell):
                yield f"cell {i} stores an exercise that is not 'not attempted yet'"
    if len(set(names)) < LEAST_EXERCISES or len(set(names)) < len(names):
        yield f"there must be {LEAST_EXERCISES} different exercises or more, got {sorted(names)}"


def parts(notebook: Notebook, path: Path) -> Iterator[str]:
    """A core of bounded length that ends with a card, then Further."""
    marks = [heading for heading in headings(notebook) if re.match(r"## Further", heading)]
    if len(marks) != 1:
        yield f"there must be one heading '## Further', got {len(marks)}"
        return
    inside = core(notebook)
    markdown = [text(c["source"]) for c in inside if c["cell_type"] == "markdown"]
    count, code = sum(map(words, markdown)), sum(c["cell_type"] == "code" for c in inside)
    if count > MOST_CORE_WORDS:
        yield f"the core has {count} words, more than {MOST_CORE_WORDS}"
    if code > MOST_CORE_CELLS:
        yield f"the core has {code} code cells, more than {MOST_CORE_CELLS}"
    if not any(CARD in source for source in markdown[-2:]):
        yield f"the core must end with a card that says {CARD!r}"


def recall(notebook: Notebook, path: Path) -> Iterator[str]:
    """From 02 on, the core opens with two questions on the lesson before."""
    before = int(path.name[:2]) - 1
    opening = [text(c["source"]) for c in notebook["cells"][:6] if c["cell_type"] == "markdown"]
    asked = [s for s in opening if re.search(r"^## .*questions", s, re.M | re.I)]
    if before >= 1 and not any(s.count("?") >= 2 and f"{before:02d}" in s for s in asked):
        yield f"one of the first cells must ask two questions on lesson {before:02d}"
