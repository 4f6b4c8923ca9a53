"""A rule of notebooks: a reader may run any cell again, alone, and get the same result.

So no name that a cell reads may be bound anew by a later cell.
"""

import ast
import dis
from collections.abc import Iterator
from pathlib import Path
from types import CodeType

from notebook_text import Notebook, cells, text


def alone(notebook: Notebook, path: Path) -> Iterator[str]:
    """No cell reads a name of an earlier cell that it or a later one binds anew."""
    code = [(i, *_names(text(cell["source"]))) for i, cell in cells(notebook, "code")]
    for at, (i, reads, _) in enumerate(code):
        for name in sorted(reads):
            before = [j for j, _, binds in code[:at] if name in binds]
            anew = [j for j, _, binds in code[at:] if name in binds]
            if before and anew:
                yield (
                    f"cell {i} reads {name!r} of cell {before[-1]}, and cell {anew[0]} binds it "
                    f"anew: run alone, cell {i} would see another value. Rename one of them"
                )


def _names(source: str) -> tuple[set[str], set[str]]:
    """The names that a cell reads from cells before it, and those that it binds.

    `name |= ...` binds nothing new: done twice it gives the same.
    """
    try:
        tree = ast.parse(source)
    except SyntaxError:  # the rule `sources` tells
        return set(), set()
    joined = {n.target.id for n in ast.walk(tree) if isinstance(n, ast.AugAssign)
              and isinstance(n.op, ast.BitOr) and isinstance(n.target, ast.Name)}  # fmt: skip
    code = compile(tree, "cell", "exec")
    reads: set[str] = set()
    binds: set[str] = set()
    for step in dis.get_instructions(code):
        if step.opname == "STORE_NAME":
            binds.add(step.argval)
        elif step.opname == "LOAD_NAME" and step.argval not in binds:
            reads.add(step.argval)
    reads |= set(_read_inside(code)) - binds
    return reads, binds - joined


def _read_inside(code: CodeType) -> Iterator[str]:
    """The global names that the functions of a cell read when they are called."""
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            for step in dis.get_instructions(inner):
                if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
                    yield step.argval
            yield from _read_inside(inner)
