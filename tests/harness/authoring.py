"""How a notebook of this course is written: rules that each return what breaks them.

    problems(notebook, path)  ->  ["rule: cell 3 ...", ...]

`EVERY` holds for all notebooks, `LESSON` in addition for 01 and later ones.
"""

import ast
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from cells_alone import alone
from lesson_rules import CARD, comparisons, exercises, interactive, parts, recall
from notebook_text import Notebook, called, cells, headings, text, walked, words

Rule = Callable[[Notebook, Path], Iterator[str]]

MOST_LINES, MOST_LINES_ON_AVERAGE = 25, 9
MOST_WORDS_IN_A_CELL, LEAST_ALT = 120, 20
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
SHOWN = {"image/png", "text/markdown"}  # pictures with knobs, and the ledger
# Predictions are exact or rounded by `compare`; all else is the notebook's own.
RAW = re.compile(r"^(?!    predicted ).*?(\d\.\d{7,}|\btensor\(|\barray\()", re.M)
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
MACHINE = re.compile(
    r"/(home|root|tmp|Users|var|private)/\w|[A-Z]:\\\\?\w|site-packages|0x[0-9a-f]{6,}"
)
FORBIDDEN = re.compile(
    r"^\s*[!%]|import \*|sys\.path|NBVAL_|PYTEST_VALIDATE|manual_seed|clear_output|\bd2l\.plot\b",
    re.M,
)

# The course: which notebooks there are to be. A name that is not here is a slip.
SYLLABUS = (
    "00_start_here",
    "01_exploding_and_vanishing_gradients",
    "02_xavier_initialization",
    "03_taylor_expanded_activations",
    "04_products_into_sums",
    "05_hessian_and_saddle_points",
    "06_batch_size",
    "07_momentum",
    "08_adaptive_learning_rates",
    "09_schedules_and_warmup",
    "10_losses_for_classification",
    "11_batch_normalization",
)


def executed(notebook: Notebook, path: Path) -> Iterator[str]:
    """Stored as run from a fresh kernel: every code cell numbered 1..N in order."""
    counts = [cell["execution_count"] for _, cell in cells(notebook, "code")]
    if counts != list(range(1, len(counts) + 1)):
        yield f"cells must be numbered 1 to {len(counts)}, got {counts}: run tools/execute.py"


def outputs(notebook: Notebook, path: Path) -> Iterator[str]:
    """No error, no standard error, no raw number, no SVG, no stored view of a widget."""
    for i, cell in cells(notebook, "code"):
        for output in cell["outputs"]:
            if output["output_type"] == "execute_result" and not SHOWN & output["data"].keys():
                yield f"cell {i} ends with a bare expression: print a verdict, or assign it"
            if found := RAW.search(text(output.get("text", ""))):
                yield f"cell {i} prints a raw number, {found[1]!r}: it differs between machines"
            if output["output_type"] == "error":
                yield f"cell {i} stores an error: {output.get('ename')}"
            if output.get("name") == "stderr":
                yield f"cell {i} stores standard error: {text(output['text'])[:80]!r}"
            for kind in ("image/svg+xml", "application/javascript", WIDGET_VIEW):
                if kind in output.get("data", {}):
                    yield f"cell {i} stores {kind}: run tools/execute.py, draw with show()"


def alternative_text(notebook: Notebook, path: Path) -> Iterator[str]:
    """Each picture carries its alternative text, as plain text and in the metadata."""
    for i, cell in cells(notebook, "code"):
        for output in cell["outputs"]:
            if "image/png" not in output.get("data", {}):
                continue
            plain = text(output["data"].get("text/plain", ""))
            alt = re.fullmatch(r"(?:Figure|Explorer\([\w, ]*\)): (.+)", plain, re.S)
            if not alt or len(alt[1]) < LEAST_ALT:
                yield f"cell {i} stores a picture without a sentence that describes it: {plain!r}"
            elif output["metadata"].get("image/png", {}).get("alt") != alt[1]:
                yield f"cell {i}: the picture's metadata have another alternative text"
    for i, cell in cells(notebook, "markdown"):
        if re.search(r"!\[\s*\]\(", text(cell["source"])):
            yield f"cell {i} shows an image without alternative text"


def metadata(notebook: Notebook, path: Path) -> Iterator[str]:
    """One kernel, nothing of the author's machine, nothing that nbval would skip."""
    if notebook["metadata"] != {"kernelspec": KERNEL, "language_info": {"name": "python"}}:
        yield f"metadata must name the kernel alone, got {notebook['metadata']}"
    for i, cell in enumerate(notebook["cells"], 1):
        extra = {k: v for k, v in cell["metadata"].items() if k != "jupyter" or not v}
        folded = set(cell["metadata"].get("jupyter", {})) - {"outputs_hidden", "source_hidden"}
        if extra or folded:
            yield f"cell {i} has metadata {cell['metadata']}: only jupyter.outputs_hidden is used"
        if "attachments" in cell:
            yield f"cell {i} has attachments"


def sources(notebook: Notebook, path: Path) -> Iterator[str]:
    """Cells are short, and hold nothing that works on one machine or in one order only."""
    code = cells(notebook, "code")
    lengths = [len(text(cell["source"]).strip().splitlines()) for _, cell in code]
    for (i, cell), length in zip(code, lengths, strict=True):
        if not walked(cell)[1:]:
            yield f"cell {i} is empty, or no Python"
        if length > MOST_LINES:
            yield f"cell {i} has {length} lines, more than {MOST_LINES}"
        if found := FORBIDDEN.search(text(cell["source"])):
            yield f"cell {i} holds {found[0].strip()!r}"
    if code and sum(lengths) / len(code) > MOST_LINES_ON_AVERAGE:
        mean = sum(lengths) / len(code)
        yield f"cells have {mean:.1f} lines on average, more than {MOST_LINES_ON_AVERAGE}"
    for i, cell in enumerate(notebook["cells"], 1):
        stored = [text(o.get("text", o.get("data", {}).get("text/plain", ""))) for o in
                  cell.get("outputs", [])]  # fmt: skip
        if found := MACHINE.search("\n".join([text(cell["source"]), *stored])):
            yield f"cell {i} names a machine's path or address: {found[0]!r}"


def setup(notebook: Notebook, path: Path) -> Iterator[str]:
    """One setup cell, the first: it imports and starts; later cells import only what is ours."""
    code = cells(notebook, "code")
    starts = [i for i, cell in code if called(cell, "start")]
    if starts != [i for i, _ in code[:1]]:
        yield f"start(...) must be called in the first code cell alone, got cells {starts}"
    for i, cell in code[1:]:
        nodes = walked(cell)
        names = [a.name for n in nodes if isinstance(n, ast.Import) for a in n.names]
        names += [str(n.module) for n in nodes if isinstance(n, ast.ImportFrom)]
        if foreign := [name for name in names if name.split(".")[0] != "d2lstab"]:
            yield f"cell {i} imports {', '.join(foreign)}: import in the setup cell"


def guesses(notebook: Notebook, path: Path) -> Iterator[str]:
    """The cell that answers a guess is folded, so that it does not spoil it; no other is."""
    code = cells(notebook, "code")
    after = {code[k + 1][0] for k, (_, cell) in enumerate(code[:-1]) if called(cell, "guess")}
    if code and called(code[-1][1], "guess"):
        yield "the last cell makes a guess that nothing answers"
    for i, cell in code:
        folded = cell["metadata"].get("jupyter", {}).get("outputs_hidden") is True
        if i in after and not folded:
            yield f"cell {i} answers a guess: fold it with jupyter.outputs_hidden = true"
        if folded and i not in after:
            yield f"cell {i} is folded, but there is no guess in the code cell before it"


def prose(notebook: Notebook, path: Path) -> Iterator[str]:
    """Text comes in short pieces; tables, cards, answers and exercises may be longer."""
    for i, cell in cells(notebook, "markdown"):
        source = text(cell["source"])
        longer = re.search(r"\*\*Exercise|^#+ .*Exercise|<details>", source, re.M) or CARD in source
        count, most = words(source, tables=False), MOST_WORDS_IN_A_CELL * (2 if longer else 1)
        if count > most:
            yield f"cell {i} has {count} words, more than {most}: {source[:40]!r}"


def links(notebook: Notebook, path: Path) -> Iterator[str]:
    """Links within the course lead somewhere, also to a heading."""
    for i, cell in cells(notebook, "markdown"):
        for target in re.findall(r"\]\(([^)\s]+)\)", text(cell["source"])):
            if re.match(r"[a-z]+:", target):
                continue
            name, _, anchor = target.partition("#")
            file = path.parent / name if name else path
            if not file.exists():
                if not _still_to_come(file):
                    yield f"cell {i} links to {target}, which is not there"
            elif anchor and file.suffix == ".ipynb":
                other = notebook if file == path else _read(file)
                if anchor not in {_anchor(heading) for heading in headings(other)}:
                    yield f"cell {i} links to {target}, but there is no such heading"


def _still_to_come(file: Path) -> bool:
    """A lesson of the syllabus that has not been written yet may be linked to already."""
    return file.suffix == ".ipynb" and file.stem in SYLLABUS


def _anchor(heading: str) -> str:
    """A heading's anchor in JupyterLab."""
    plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading.lstrip("#").strip())
    return re.sub(r"[*`]", "", plain).replace(" ", "-")


def _read(file: Path) -> Notebook:
    return dict(json.loads(file.read_text(encoding="utf-8")))


def head(notebook: Notebook, path: Path) -> Iterator[str]:
    """The first cell is the title with the notebook's number, and says how long it takes."""
    first = notebook["cells"][0]
    lines = text(first["source"]).splitlines() or [""]
    if first["cell_type"] != "markdown" or not lines[0].startswith(f"# {path.name[:2]} "):
        yield f"the first cell must begin with '# {path.name[:2]} ', got {lines[0]!r}"
    opening = "\n".join(text(c["source"]) for c in notebook["cells"][:3])
    if not re.search(r"\bminutes\b", opening):
        yield "the head must say how many minutes the notebook takes"
    if sum(heading.startswith("# ") for heading in headings(notebook)) != 1:
        yield "there must be one heading of the first level, the title"


EVERY: tuple[Rule, ...] = (
    executed, outputs, alternative_text, metadata, sources, setup, alone, guesses, prose, links,
    head,
)  # fmt: skip
LESSON: tuple[Rule, ...] = (comparisons, interactive, exercises, parts, recall)


def problems(notebook: Notebook, path: Path) -> list[str]:
    """Everything in a notebook that breaks a rule, each with the rule's name."""
    rules = EVERY if path.name.startswith("00") else EVERY + LESSON
    return [f"{rule.__name__}: {found}" for rule in rules for found in rule(notebook, path)]
