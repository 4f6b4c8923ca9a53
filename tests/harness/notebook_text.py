"""What a notebook says: its cells, calls, words and headings."""

import ast
import re
from typing import Any

Cell = dict[str, Any]
Notebook = dict[str, Any]


def text(lines: Any) -> str:
    """A notebook's text: one string, or a list of lines."""
    return lines if isinstance(lines, str) else "".join(lines)


def cells(notebook: Notebook, kind: str) -> list[tuple[int, Cell]]:
    """The cells of one kind with their place in the notebook, counted from 1."""
    found = [(i, cell) for i, cell in enumerate(notebook["cells"], 1)]
    return [(i, cell) for i, cell in found if cell["cell_type"] == kind]


def walked(cell: Cell) -> list[ast.AST]:
    """The syntax of a code cell; nothing where it is no Python (`sources` says so)."""
    try:
        return list(ast.walk(ast.parse(text(cell["source"]))))
    except SyntaxError:
        return []


def called(cell: Cell, *names: str) -> list[ast.Call]:
    """The calls of the functions of these names."""
    found = [node for node in walked(cell) if isinstance(node, ast.Call)]
    return [call for call in found if isinstance(call.func, ast.Name) and call.func.id in names]


def printed(cell: Cell) -> str:
    """What a cell's stored output says."""
    streams = [text(o["text"]) for o in cell["outputs"] if o["output_type"] == "stream"]
    return "".join(streams)


def words(markdown: str, tables: bool = True) -> int:
    """The number of words a reader reads: no addresses, no code blocks, no formulas' parts."""
    markdown = re.sub(r"```.*?```|\$\$.*?\$\$|<[^>]*>", " ", markdown, flags=re.S)
    markdown = re.sub(r"\]\([^)]*\)", " ", re.sub(r"\$[^$\n]*\$", "x", markdown))
    if not tables:
        markdown = re.sub(r"^\s*\|.*$", " ", markdown, flags=re.M)
    return sum(bool(re.search(r"\w", word)) for word in markdown.split())


def headings(notebook: Notebook) -> list[str]:
    """All headings, with their marks."""
    lines: list[str] = []
    for _, cell in cells(notebook, "markdown"):
        lines += re.findall(r"^#{1,6} .+$", text(cell["source"]), re.M)
    return lines


def core(notebook: Notebook) -> list[Cell]:
    """The cells before the heading `## Further`."""
    for i, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] == "markdown" and re.search(
            r"^## Further", text(cell["source"]), re.M
        ):
            return list(notebook["cells"][:i])
    return list(notebook["cells"])
