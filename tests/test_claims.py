"""The ledger: every claim is met by a comparison that runs in the notebook it names."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from d2lstab.course import claims
from d2lstab.course.ledger import VERDICTS

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

# The errata that each lesson has to meet. E43 was withdrawn.
ERRATA = {
    "01": [1, 2, 3, 4, 6, 7, 40, 44, 45],
    "02": [8, 9, 10, 13, 46],
    "03": [11, 12, 14, 15, 16, 41],
    "04": [17],
    "05": [18, 19, 20, 21],
    "06": [22, 23, 24, 37],
    "08": [5, 25, 26, 27, 28, 29, 30, 31],
    "09": [32],
    "10": [33, 34, 42, 47],
    "11": [35, 36, 38, 39],
}


def cells(path):
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def printed(cell):
    return "".join(
        "".join(output["text"])
        for output in cell.get("outputs", [])
        if output["output_type"] == "stream"
    )


def problem(claim, notebooks):
    """What is wrong with an entry, or None."""
    found = [path for path in notebooks if path.stem == claim.notebook]
    if not found:
        return "its notebook does not exist"
    for id in (claim.cell, *claim.also):
        named = [cell for cell in cells(found[0]) if cell["id"] == id]
        if len(named) != 1:
            return f"the notebook has {len(named)} cells with the id {id}"
        if id != claim.cell and not re.search(r": holds$", printed(named[0]), re.MULTILINE):
            return f"its further cell {id} stores no comparison that holds"
    cell = next(cell for cell in cells(found[0]) if cell["id"] == claim.cell)
    source = "".join(cell["source"])
    if claim.verdict == "editorial":
        return None if cell["cell_type"] == "markdown" and claim.id in source else "not quoted"
    if cell["cell_type"] != "code" or "compare" not in source:
        return "its cell compares nothing"
    out = printed(cell)
    if not re.search(r": holds$", out, re.MULTILINE):
        return "no comparison of its cell is stored as holding"
    if claim.id.startswith("E") and not re.search(rf"^{claim.id}: ", out, re.MULTILINE):
        return f"no comparison of its cell begins with {claim.id}:"
    return None


@pytest.mark.parametrize("id", list(claims))
def test_every_entry_is_met_by_a_comparison_that_runs(id):
    assert problem(claims[id], NOTEBOOKS) is None


def test_every_lesson_that_stands_meets_all_its_errata():
    lessons = {path.stem[:2] for path in NOTEBOOKS}
    wanted = {f"E{n}" for lesson, numbers in ERRATA.items() if lesson in lessons for n in numbers}
    assert wanted - set(claims) == set()


def test_the_errata_are_forty_six():
    numbers = sorted(n for numbers in ERRATA.values() for n in numbers)
    assert numbers == [n for n in range(1, 48) if n != 43]


def test_no_comparison_names_an_erratum_that_the_ledger_lacks():
    text = "\n".join(printed(cell) for path in NOTEBOOKS for cell in cells(path))
    assert set(re.findall(r"^(E\d+): ", text, re.MULTILINE)) <= set(claims)


def test_entries_are_complete_sentences_with_a_known_verdict():
    for claim in claims.values():
        assert claim.verdict in VERDICTS
        for text in (claim.source, claim.claim, claim.finding, claim.number):
            assert text.strip(), claim.id
            assert "|" not in text, claim.id
        assert (claim.verdict == "holds") == claim.id.startswith("H"), claim.id


def test_the_readme_shows_todays_table():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert (claims.table() in readme) is True, "README.md is out of date: run make claims"


def test_a_missing_cell_and_a_silent_cell_are_noticed(tmp_path):
    claim = claims["E1"]
    assert problem(claim, []) == "its notebook does not exist"
    path = tmp_path / f"{claim.notebook}.ipynb"
    for source, out, kind in (
        ("x = 1", "", "its cell compares nothing"),
        ("compare(...)", "E1: that\n    holds not\n", "no comparison of its cell is stored"),
        ("compare(...)", "that\n    the same: holds\n", "no comparison of its cell begins"),
    ):
        stream = {"output_type": "stream", "name": "stdout", "text": [out]}
        cell = {"id": "E1", "cell_type": "code", "source": [source], "outputs": [stream]}
        path.write_text(json.dumps({"cells": [cell]}))
        assert problem(claim, [path]).startswith(kind)
    good = {**cell, "outputs": [{**stream, "text": ["E1: that\n    the same: holds\n"]}]}
    path.write_text(json.dumps({"cells": [good, {**good, "id": "E1b", "outputs": []}]}))
    assert problem(claim, [path]) is None
    silent = replace(claim, also=("E1b",))
    assert problem(silent, [path]) == "its further cell E1b stores no comparison that holds"
    assert problem(replace(claim, also=("E1c",)), [path]).endswith("with the id E1c")
    path.write_text(json.dumps({"cells": []}))
    assert problem(claim, [path]) == "the notebook has 0 cells with the id E1"
