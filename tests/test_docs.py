"""What the documentation shows runs as it stands."""

import json
import re
from pathlib import Path

import pytest
import torch

DOCS = Path(__file__).parents[1] / "docs"


def test_every_block_of_the_library_page_runs_in_order(capsys):
    pytest.importorskip("d2l")
    text = (DOCS / "library.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert len(blocks) == 6
    names: dict[str, object] = {}
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(0)
        for block in blocks:
            exec(block, names)
    out = capsys.readouterr().out
    assert "stable below a rate of about" in out
    assert "True" in out
    assert re.search(r"beyond about \d+ samples", out)
    assert "layers, loss 2." in out
    assert len(re.findall(r"rate below [\d.e+]+, noise scale \d+", out)) == 2


def test_the_glossary_is_in_alphabetical_order_and_each_row_is_whole():
    rows = (DOCS / "glossary.md").read_text(encoding="utf-8").splitlines()
    rows = [row for row in rows if row.startswith("| ") and "](../notebooks/" in row]
    assert len(rows) >= 50
    names = [row.split("|")[1].strip().casefold() for row in rows]
    assert names == sorted(names)
    for row in rows:
        english, chinese, sentence, link = (cell.strip() for cell in row.split("|")[1:-1])
        assert english
        assert sentence
        assert re.search(r"[一-鿿]|softmax|Adam", chinese), english
        assert re.fullmatch(r"\[\d\d\]\(\.\./notebooks/\d\d_\w+\.ipynb\)", link), english


def test_each_term_of_the_glossary_stands_in_the_lesson_it_names():
    missing = []
    for row in (DOCS / "glossary.md").read_text(encoding="utf-8").splitlines():
        found = re.match(r"\| (.+?) \| .* \| \[\d\d\]\((.+?)\) \|$", row)
        if found:
            cells = json.loads((DOCS / found[2]).read_text(encoding="utf-8"))["cells"]
            text = " ".join("".join(cell["source"]) for cell in cells).casefold()
            terms = re.sub(r"\(.*?\)", "", found[1]).split(",")
            if not any(term.strip().casefold() in text for term in terms):
                missing.append((found[1], found[2]))
    assert missing == []
