"""The notebooks in a real JupyterLab, as a student sees them.

One lesson unless D2LSTAB_BROWSER=all asks for every notebook, or names some
("02_*"). Screenshots are kept in artifacts/. The notebooks are copies.
"""

import json
import os
import shutil
from pathlib import Path

import nbformat
import pytest
from jupyterlab_session import Lab, why_not

from d2lstab.widgets import Explorer

ROOT = Path(__file__).parents[1]
ARTIFACTS = ROOT / "artifacts"
VIEW = "application/vnd.jupyter.widget-view+json"
LONGEST_RUN = 300.0  # seconds for all cells of a notebook, with two cores for everybody
CHOSEN = os.environ.get("D2LSTAB_BROWSER", "01_*")
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*" if CHOSEN == "all" else CHOSEN))

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser") / "notebooks"
    shutil.copytree(ROOT / "notebooks", folder, ignore=shutil.ignore_patterns(".*"))
    with Lab(folder) as running:
        yield running


def expectations(path):
    """How many pictures and folded outputs a stored notebook shows, and how many explorers."""
    cells = [c for c in json.loads(path.read_text(encoding="utf-8"))["cells"] if "outputs" in c]
    folded = [c for c in cells if c["metadata"].get("jupyter", {}).get("outputs_hidden")]
    shown = [c for c in cells if c not in folded]
    pictures, behind = (
        [o for c in some for o in c["outputs"] if "image/png" in o.get("data", {})]
        for some in (shown, folded)
    )
    texts = ["".join(o["data"]["text/plain"]) for o in [*pictures, *behind]]
    explorers = sum(text.startswith("Explorer(") for text in texts)
    hidden = sum(bool(c["outputs"]) for c in folded)
    return len(pictures), len(pictures) + len(behind), hidden, explorers


def look_at(lab, name):
    """Open a stored notebook, run it, turn its knobs."""
    stored, run, folded, explorers = expectations(lab.folder / name)
    assert explorers >= 1
    lab.trust(name)  # an author's own notebook: its richest outputs are shown
    with lab.open(name) as page:
        assert page.pictures(stored) == stored
        page.wait_for_kernel()
        assert page.pictures(stored) == stored
        assert "Error displaying widget" not in page.text()
        assert page.folded_outputs() == folded
        page.screenshot(ARTIFACTS / f"{Path(name).stem}_stored.png")
        page.run_all(LONGEST_RUN)
        assert page.errors() == []
        assert page.pictures(run) == run
        assert page.folded_outputs() == 0
        found = page.explorers()
        assert len(found) == explorers
        for i, explorer in enumerate(found):
            knobs = [
                (explorer.turn, explorer.sliders.nth(k)) for k in range(explorer.sliders.count())
            ]
            knobs += [
                (explorer.choose, explorer.menus.nth(k)) for k in range(explorer.menus.count())
            ]
            assert 1 <= len(knobs) <= 3
            unmoved = [k for k, knob in enumerate(knobs) if not explorer.changed_by(*knob)]
            assert unmoved == [], f"knobs {unmoved} of explorer {i} leave the picture as it is"
            explorer.image.scroll_into_view_if_needed()
            page.screenshot(ARTIFACTS / f"{Path(name).stem}_explorer_{i}.png")
        assert page.errors() == []


@pytest.mark.skipif(not NOTEBOOKS, reason=f"no browser test: there is no notebook {CHOSEN}")
@pytest.mark.parametrize("name", [path.name for path in NOTEBOOKS])
def test_notebook_in_the_browser(lab, name):
    look_at(lab, name)


def test_a_link_of_the_ledger_leads_to_its_cell(lab):
    lab.trust("00_start_here.ipynb")
    with lab.open("00_start_here.ipynb", "lab") as page:
        for _ in range(2):  # with all cells in the page, the first click only opens the notebook
            page.follow("a[href*='cell-id=E6']")
            page.page.wait_for_url("**/01_exploding_and_vanishing_gradients.ipynb")
            page.page.wait_for_timeout(5000)
            seen = page.cells_in_view()
            page.show_tab("00_start_here")
        assert any("E6: the top layers move" in text for text in seen)


SCRATCH = [
    "from d2lstab.widgets import Explorer",
    "def draw(ax, depth=3, scale=1.0, phi='relu'):\n"
    "    ax.plot([scale * k for k in range(depth)])\n"
    "    ax.set_title(phi if depth < 9 else 1 / 0)",
    "knobs = {'depth': (1, 9), 'scale': [1.0, 2.0], 'phi': ['relu', 'tanh']}\n"
    "Explorer(draw, knobs, alt='A line.')",
    "print('seen only when it is run')",
]


@pytest.fixture
def scratch(lab):
    """A small notebook, stored as tools/execute.py stores one."""
    space = {}
    exec(SCRATCH[0] + "\n" + SCRATCH[1], space)
    explorer = Explorer(space["draw"], {"depth": (1, 9)}, alt="A line.")
    data, metadata = explorer._repr_mimebundle_()
    data.pop(VIEW)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(s) for s in SCRATCH])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3 (ipykernel)"}
    *_, figure, last = notebook.cells
    figure.outputs = [nbformat.v4.new_output("execute_result", data, metadata=metadata)]
    last.outputs = [nbformat.v4.new_output("stream", text="seen only when it is run\n")]
    last.metadata["jupyter"] = {"outputs_hidden": True}
    nbformat.write(notebook, lab.folder / "scratch.ipynb")
    gone = {"version_major": 2, "version_minor": 0, "model_id": "of a kernel that is gone"}
    figure.outputs[0].data[VIEW] = gone
    nbformat.write(notebook, lab.folder / "kept.ipynb")
    return "scratch.ipynb"


def test_an_explorer_is_a_picture_when_stored_and_has_knobs_when_run(lab, scratch):
    look_at(lab, scratch)


def test_a_stored_view_of_a_widget_would_hide_the_picture(lab, scratch):
    """Why tools/execute.py leaves the view out; if this fails, it need not any more."""
    lab.trust("kept.ipynb")  # one that is not trusted shows the picture
    with lab.open("kept.ipynb") as page:
        page.wait_for_kernel()
        page.page.wait_for_selector("text=Error displaying widget")


def test_an_error_of_a_drawing_is_a_sentence_and_the_kernel_lives_on(lab, scratch):
    with lab.open(scratch) as page:
        page.run_all()
        (explorer,) = page.explorers()
        explorer.sliders.first.focus()
        explorer.sliders.first.press("End")
        page.page.wait_for_selector("text=ZeroDivisionError")
        assert page.errors() == []
        assert explorer.changed_by(explorer.turn, explorer.sliders.first)
        page.page.wait_for_selector("text=ZeroDivisionError", state="detached")
