"""Every notebook is written as the course's notebooks are; and every rule can fail."""

import copy
import json
from pathlib import Path

import pytest
from authoring import CARD, EVERY, KERNEL, LESSON, SYLLABUS, WIDGET_VIEW, problems, words

SVG = "image/svg+xml"
NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


def test_every_notebook_is_one_of_the_syllabus():
    assert {path.stem for path in NOTEBOOKS} <= set(SYLLABUS)
    assert {"00_start_here", "01_exploding_and_vanishing_gradients"} <= {p.stem for p in NOTEBOOKS}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook(path):
    found = problems(json.loads(path.read_text(encoding="utf-8")), path)
    assert not found, "\n" + "\n".join(found)


# The rules themselves, on a lesson made here that keeps them all.


def markdown(source):
    return {"cell_type": "markdown", "id": "m", "metadata": {}, "source": source}


def code(source, *outputs, folded=False):
    metadata = {"jupyter": {"outputs_hidden": True}} if folded else {}
    return {
        "cell_type": "code",
        "execution_count": None,
        "id": "c",
        "metadata": metadata,
        "outputs": list(outputs),
        "source": source,
    }


def stream(text, name="stdout"):
    return {"output_type": "stream", "name": name, "text": text}


def result(text):
    data = {"text/plain": text}
    return {"output_type": "execute_result", "data": data, "metadata": {}, "execution_count": 1}


def picture(text="Figure: a line that rises from left to right"):
    metadata = {"image/png": {"alt": text.partition(": ")[2], "width": 720}}
    data = {"image/png": "iVBORw0KGgo=", "text/plain": text}
    return {"output_type": "display_data", "data": data, "metadata": metadata}


def numbered(cells):
    for count, cell in enumerate([c for c in cells if c["cell_type"] == "code"], 1):
        cell["execution_count"] = count
    return cells


def lesson():
    cells = [
        markdown("# 02 · A lesson\n\nIt takes 50 minutes."),
        markdown("## Two questions on lesson 01\n\nWhat? And [why](#A-part)?"),
        code("import math\n\nfrom d2lstab.course import start\n\ngenerator = start(2)"),
        markdown("## A part"),
        code('guess("02-a", ...)', stream("No guess yet\n")),
        code('compare("a", 1, 1, 0, "exact")', stream("a\n    holds: holds\n"), folded=True),
        *[code(f'compare("{i}", 1, 1, 0, "exact")', stream(": holds\n")) for i in range(7)],
        code("show(fig, 'a line')", picture()),
        code("Explorer(draw, knobs)", picture("Explorer(depth): a line that rises to depth")),
        markdown(f"**{CARD}**, measure it."),
        markdown("## Further"),
        *[code(f'check("02-{i}", f)', stream("02: not attempted yet\n")) for i in range(5)],
    ]
    metadata = {"kernelspec": dict(KERNEL), "language_info": {"name": "python"}}
    return {"cells": numbered(cells), "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


@pytest.fixture
def path(tmp_path):
    (tmp_path / "02_a_lesson.ipynb").touch()
    return tmp_path / "02_a_lesson.ipynb"


def test_a_good_lesson_breaks_no_rule(path):
    assert problems(lesson(), path) == []


def stray(notebook, *cells):
    notebook["cells"] += cells
    numbered(notebook["cells"])


def insert(notebook, cells):
    notebook["cells"][6:6] = cells
    numbered(notebook["cells"])


def count(notebook, number):
    notebook["cells"][2]["execution_count"] = number


BREAKS = {
    "executed, not at all": ("executed", lambda n: count(n, None)),
    "executed, out of order": ("executed", lambda n: count(n, 7)),
    "error": ("outputs", lambda n: stray(n, code("1 / 0", {"output_type": "error"}))),
    "stderr": ("outputs", lambda n: stray(n, code("f()", stream("careful", "stderr")))),
    "bare": ("outputs", lambda n: stray(n, code("1 / 3", result("0.3333")))),
    "raw float": ("outputs", lambda n: stray(n, code("f()", stream("0.30000000000000004\n")))),
    "raw tensor": ("outputs", lambda n: stray(n, code("f()", stream("tensor([0.3])\n")))),
    "svg": ("outputs", lambda n: n["cells"][13]["outputs"][0]["data"].update({SVG: "<"})),
    "widget": ("outputs", lambda n: n["cells"][14]["outputs"][0]["data"].update({WIDGET_VIEW: {}})),
    "no alt": ("alternative_text", lambda n: stray(n, code("f", picture("<Figure size 640x480>")))),
    "short alt": ("alternative_text", lambda n: stray(n, code("f", picture("Figure: a plot")))),
    "other alt": (
        "alternative_text",
        lambda n: n["cells"][13]["outputs"][0]["metadata"]["image/png"].update(alt="else"),
    ),
    "image without alt": ("alternative_text", lambda n: stray(n, markdown("![](#A-part)"))),
    "kernel": ("metadata", lambda n: n["metadata"]["kernelspec"].update(name="mine")),
    "version": ("metadata", lambda n: n["metadata"]["language_info"].update(version="3.11")),
    "ignored cell": ("metadata", lambda n: n["cells"][4]["metadata"].update(tags=["nbval-skip"])),
    "timing": ("metadata", lambda n: n["cells"][4]["metadata"].update(execution={"a": 1})),
    "long cell": ("sources", lambda n: stray(n, code("x = 1\n" * 26))),
    "long on average": ("sources", lambda n: stray(n, *[code("x = 1\n" * 20) for _ in range(20)])),
    "empty cell": ("sources", lambda n: stray(n, code(" "))),
    "star": ("sources", lambda n: stray(n, code("from d2lstab import *"))),
    "pip": ("sources", lambda n: stray(n, code("!pip install d2l"))),
    "magic": ("sources", lambda n: stray(n, code("%matplotlib inline"))),
    "sys.path": ("sources", lambda n: stray(n, code("sys.path.append('..')"))),
    "ignored output": ("sources", lambda n: stray(n, code("# NBVAL_IGNORE_OUTPUT\nf()"))),
    "global seed": ("sources", lambda n: stray(n, code("torch.manual_seed(0)"))),
    "path": ("sources", lambda n: stray(n, code("f()", stream("/home/ann/course\n")))),
    "address": ("sources", lambda n: stray(n, code("f()", stream("<object at 0x7f3a2b>\n")))),
    "two setups": ("setup", lambda n: stray(n, code("generator = start(3)"))),
    "no setup": ("setup", lambda n: n["cells"][2].update(source="import math")),
    "late import": ("setup", lambda n: stray(n, code("import numpy"))),
    "late from": ("setup", lambda n: stray(n, code("from scipy import stats"))),
    "bound anew": ("alone", lambda n: stray(n, code("a = 1"), code("f(a)"), code("a = 2"))),
    "inside": ("alone", lambda n: stray(n, code("a = 1"), code("g = lambda: a"), code("a = 2"))),
    "through a function": (
        "alone",
        lambda n: stray(
            n, code("a = 1"), code("def g(): return a"), code("b = g()"), code("a = 2")
        ),
    ),
    "through two": (
        "alone",
        lambda n: stray(
            n, code("a = 1\ndef g(): return a"), code("h = lambda: g()"), code("h()"), code("a = 2")
        ),
    ),
    "changed": ("alone", lambda n: stray(n, code("a = 1"), code("a += 1"))),
    "spoiled guess": ("guesses", lambda n: n["cells"][5]["metadata"].clear()),
    "folded for nothing": ("guesses", lambda n: stray(n, code("f()", folded=True))),
    "last guess": ("guesses", lambda n: stray(n, code('guess("02-z", ...)'))),
    "long text": ("prose", lambda n: stray(n, markdown("word " * 121))),
    "long exercise": ("prose", lambda n: stray(n, markdown("**Exercise** " + "word " * 241))),
    "dead link": ("links", lambda n: stray(n, markdown("[a](../nowhere.md)"))),
    "earlier lesson": ("links", lambda n: stray(n, markdown("[a](01_gone.ipynb)"))),
    "dead anchor": ("links", lambda n: stray(n, markdown("[a](#A-Part)"))),
    "title": ("head", lambda n: n["cells"][0].update(source="# A lesson\n\n50 minutes")),
    "duration": ("head", lambda n: n["cells"][0].update(source="# 02 A lesson")),
    "two titles": ("head", lambda n: stray(n, markdown("# Another"))),
    "seven comparisons": ("comparisons", lambda n: n["cells"][6].update(source="f()")),
    "no verdict": ("comparisons", lambda n: n["cells"][6].update(outputs=[])),
    "no explorer": ("interactive", lambda n: n["cells"][14]["outputs"].clear()),
    "four exercises": ("exercises", lambda n: n["cells"][-1].update(source="f()")),
    "twice": ("exercises", lambda n: stray(n, copy.deepcopy(n["cells"][-1]))),
    "solved": ("exercises", lambda n: n["cells"][-1].update(outputs=[stream("passed\n")])),
    "no further": ("parts", lambda n: n["cells"][16].update(source="## More")),
    "no card": ("parts", lambda n: n["cells"][15].update(source="That was all.")),
    "long core": ("parts", lambda n: insert(n, [markdown("w " * 100) for _ in range(30)])),
    "many cells": ("parts", lambda n: insert(n, [code("f()") for _ in range(30)])),
    "no questions": ("recall", lambda n: n["cells"][1].update(source="## [A](#A-part) part?")),
    "one question": ("recall", lambda n: n["cells"][1].update(source="## Questions [01](#A-part)")),
}  # fmt: skip


@pytest.mark.parametrize("name", BREAKS)
def test_each_rule_can_fail(name, path):
    rule, damage = BREAKS[name]
    notebook = lesson()
    damage(notebook)
    broken = {problem.partition(":")[0] for problem in problems(notebook, path)}
    assert broken == {rule}


def test_every_rule_is_seen_to_fail():
    assert {rule for rule, _ in BREAKS.values()} == {rule.__name__ for rule in EVERY + LESSON}


def test_a_lesson_of_the_syllabus_may_be_linked_to_before_it_is_written(path):
    notebook = lesson()
    stray(notebook, markdown("[next](07_momentum.ipynb)"))
    assert problems(notebook, path) == []


def test_00_is_no_lesson(tmp_path):
    path = tmp_path / "00_start_here.ipynb"
    path.touch()
    notebook = lesson()
    notebook["cells"] = numbered([markdown("# 00 Start\n\n10 minutes"), code("start(0)")])
    assert problems(notebook, path) == []


def test_cells_that_give_the_same_when_run_again_break_no_rule(path):
    notebook = lesson()
    stray(notebook, code("a = {}"), code("a |= {1: 2}"), code("b = 3\nf(b)"), code("b = 4"))
    stray(notebook, code("for k in range(3): f(k)"), code("for k in range(4): f(k)"))
    assert problems(notebook, path) == []


def test_words_are_what_a_reader_reads():
    source = "Two words, [a link](http://a.b/c d) and $x + y = z$.\n\n```\nno code\n```\n| a | b |"
    assert words(source) == 8
    assert words(source, tables=False) == 6
