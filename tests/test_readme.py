"""What the README shows runs as it stands, and what it points to is there."""

import re
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from authoring import SYLLABUS

ROOT = Path(__file__).parents[1]
PAGES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/README.md"]
PAGES += [path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")]


def test_the_example_prints_one_line_for_each_layer(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(0)
        exec(code, {})
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    names = [f"{block}.{layer}" for block in range(10) for layer in range(2)]
    assert [row[0] for row in rows] == [*names, "10"]
    # What the text below the example says: each block loses about 1 / 51.
    backward = [float(row[2]) for row in rows[::2]]
    assert all(20 * a < b for a, b in pairwise(backward))


@pytest.mark.parametrize("page", PAGES)
def test_every_relative_link_leads_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?://|#)([^)#\s]+)", text):
        planned = target.endswith(".ipynb") and Path(target).stem in SYLLABUS
        assert planned or ((ROOT / page).parent / target).exists(), target
