"""The Binder links of README.md and the notebooks come from one line of pyproject.toml."""

import importlib.util
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SPEC = importlib.util.spec_from_file_location("links", ROOT / "tools" / "links.py")
links = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(links)

HOME = "https://github.com/ann/course"
FORK = "https://github.com/ben/my-course"


def test_the_stored_links_are_those_of_the_setting():
    assert sorted(path.name for path in links.outdated(ROOT)) == []


def test_every_notebook_stands_in_the_readme():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for notebook in (ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"):
        row = f"README.md has no row: add | {notebook.name[:2]} | title | question | |, make links"
        assert (f"](notebooks/{notebook.name})" in readme) is True, row
        assert (f"labpath=notebooks%2F{notebook.name})" in readme) is True, row


@pytest.mark.parametrize(
    ("source", "spec"),
    [
        (HOME, "gh/ann/course"),
        (HOME + ".git", "gh/ann/course"),
        ("https://gitlab.com/a/b/c", "gl/a%2Fb%2Fc"),
        ("https://codeberg.org/ann/course", "git/https%3A%2F%2Fcodeberg.org%2Fann%2Fcourse"),
    ],
)
def test_binder_opens_the_notebook_in_jupyterlab(source, spec):
    address = links.binder(source, "01_x.ipynb")
    assert address == f"https://mybinder.org/v2/{spec}/HEAD?labpath=notebooks%2F01_x.ipynb"


@pytest.mark.parametrize("source", ["", "github.com/ann/course", "https://github.com/ann"])
def test_a_source_that_is_no_repository_is_refused(source):
    with pytest.raises(ValueError, match=r"Source must be .* pyproject\.toml"):
        links.binder(source, "01_x.ipynb")


def notebook(title):
    cells = [
        {"cell_type": "markdown", "id": "a", "metadata": {}, "source": title},
        {
            "cell_type": "code",
            "execution_count": 1,
            "id": "b",
            "metadata": {},
            "outputs": [],
            "source": ["x = 'é'  # [![Open in Binder](https://mybinder.org/badge_logo.svg)](no)"],
        },
    ]
    document = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def head(text):
    return "".join(json.loads(text)["cells"][0]["source"]).split("\n")


def test_a_missing_badge_is_inserted_after_the_title():
    text = links.linked_notebook(notebook(["# A title\n", "\n", "Words."]), HOME, "01_x.ipynb")
    assert head(text) == ["# A title", "", links.badge(HOME, "01_x.ipynb"), "", "Words."]
    assert json.loads(text)["cells"][1] == json.loads(notebook(""))["cells"][1]
    assert links.linked_notebook(text, HOME, "01_x.ipynb") == text


def test_a_fork_changes_the_badge_and_not_another_byte():
    first = links.linked_notebook(notebook("# A title"), HOME, "01_x.ipynb")
    odd = first.replace(' "metadata": {},\n "nbformat"', ' "metadata":   {},\n "nbformat"')
    assert odd != first
    fork = links.linked_notebook(odd, FORK, "01_x.ipynb")
    assert head(fork)[2] == links.badge(FORK, "01_x.ipynb")
    assert fork == odd.replace("gh/ann/course", "gh/ben/my-course")


def test_two_badges_or_no_words_are_refused():
    line = links.badge(HOME, "01_x.ipynb")
    with pytest.raises(ValueError, match="one badge"):
        links.linked_notebook(notebook(f"# T\n{line}\n{line}"), HOME, "01_x.ipynb")
    with pytest.raises(ValueError, match="Markdown cell"):
        links.linked_notebook('{"cells": []}', HOME, "01_x.ipynb")


README = f"""# Course
{links.badge(HOME, "00_start_here.ipynb")}

| # | lesson | question | |
|---|---|---|---|
| 00 | Start | What? | planned |
| 01 | [First](notebooks/01_old.ipynb) | Why? | [open in Binder](https://example.org) |
| 02 | [Second](notebooks/02_gone.ipynb) | How? | [open in Binder](https://example.org) |

    git clone https://github.com/ann/course
"""


def test_the_readme_names_what_is_there_and_what_is_planned():
    text = links.linked_readme(README, FORK, ["00_start.ipynb", "01_first.ipynb"])
    start, first = (links.binder(FORK, name) for name in ("00_start.ipynb", "01_first.ipynb"))
    assert f"| 00 | [Start](notebooks/00_start.ipynb) | What? | [open in Binder]({start}) |" in text
    assert f"| 01 | [First](notebooks/01_first.ipynb) | Why? | [open in Binder]({first}) |" in text
    assert "| 02 | Second | How? | planned |" in text
    assert f"    git clone {FORK}\n" in text
    assert links.badge(FORK, "00_start_here.ipynb") in text
    assert "ann/course" not in text
    assert links.linked_readme(text, FORK, ["00_start.ipynb", "01_first.ipynb"]) == text
