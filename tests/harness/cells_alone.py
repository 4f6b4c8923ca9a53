"""A rule of notebooks: a reader may run any cell again, alone, and get the same result.

So no name that a cell reads may be bound anew by a later cell; nor may one that is read
by a function of an earlier cell which it calls.
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
    functions: dict[str, set[str]] = {}  # as they stand when a cell is run
    for at, (i, reads, binds, defined) in enumerate(code):
        for name in sorted(_reached(reads, functions)):
            before = [j for j, _, bound, _ in code[:at] if name in bound]
            anew = [j for j, _, bound, _ in code[at:] if name in bound]
            if before and anew:
                yield (
                    f"cell {i} reads {name!r} of cell {before[-1]}, and cell {anew[0]} binds it "
                    f"anew: run alone, cell {i} would see another value. Rename one of them"
                )
        functions = {n: r for n, r in functions.items() if n not in binds} | defined


def _reached(reads: set[str], functions: dict[str, set[str]]) -> set[str]:
    """What is read, also by the functions that are read, and by those that they read."""
    found, waiting = set(reads), list(reads)
    while waiting:
        new = functions.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return found


def _names(source: str) -> tuple[set[str], set[str], dict[str, set[str]]]:
    """The names that a cell reads from cells before it, those that it binds, and by the name of
    each function that it defines what that one reads when it is called.

    `name |= ...` binds nothing new: done twice it gives the same.
    """
    try:
        tree = ast.parse(source)
    except SyntaxError:  # the rule `sources` tells
        return set(), set(), {}
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
    inside = set(_read_inside(code))
    functions = {n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    functions |= {target.id for n in tree.body if isinstance(n, ast.Assign)
                  and isinstance(n.value, ast.Lambda) for target in n.targets
                  if isinstance(target, ast.Name)}  # fmt: skip
    return reads | (inside - binds), binds - joined, dict.fromkeys(functions, inside)


def _read_inside(code: CodeType) -> Iterator[str]:
    """The global names that the functions of a cell read when they are called."""
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            for step in dis.get_instructions(inner):
                if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
                    yield step.argval
            yield from _read_inside(inner)
