"""tools/execute.py stores notebooks without what a run or a machine left in them."""

import importlib.util
from pathlib import Path

import nbformat
import pytest

TOOL = Path(__file__).parents[1] / "tools" / "execute.py"
SPEC = importlib.util.spec_from_file_location("execute", TOOL)
execute = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(execute)

v4 = nbformat.v4


def stored(path, *sources):
    nbformat.write(v4.new_notebook(cells=[v4.new_code_cell(source) for source in sources]), path)
    return path


def test_a_run_numbers_the_cells_and_keeps_what_is_compared(tmp_path):
    path = stored(tmp_path / "a.ipynb", "print(1)\nprint(2)", "import os; print(len(os.listdir()))")
    assert execute.main([str(path)]) == 0
    notebook = nbformat.read(path, as_version=4)
    assert [cell.execution_count for cell in notebook.cells] == [1, 2]
    # Run in the notebook's own folder, which holds the notebook alone.
    assert [cell.outputs[0].text for cell in notebook.cells] == ["1\n2\n", "1\n"]
    assert notebook.metadata == {
        "kernelspec": execute.KERNEL,
        "language_info": {"name": "python"},
    }


def test_a_notebook_that_raises_stays_as_it_was(tmp_path, capsys):
    path = stored(tmp_path / "a.ipynb", "1 / 0")
    before = path.read_bytes()
    assert execute.main([str(path)]) == 1
    assert path.read_bytes() == before
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_tidying_leaves_out_views_of_widgets_timings_and_split_streams():
    data = {execute.WIDGET_VIEW: {}, "image/png": "iVBORw0KGgo=", "text/plain": "Explorer(n)"}
    metadata = {"jupyter": {"outputs_hidden": True}, "execution": {"started": "now"}}
    outputs = [
        v4.new_output("stream", name="stdout", text="a"),
        v4.new_output("stream", name="stdout", text="b"),
        v4.new_output("stream", name="stderr", text="c"),
        v4.new_output("execute_result", data, execution_count=9),
    ]
    cell = v4.new_code_cell("f()", outputs=outputs, metadata=metadata, execution_count=1)
    notebook = v4.new_notebook(cells=[cell], metadata={"widgets": {"state": {}}})
    tidy = execute.tidy(notebook)
    (kept,) = tidy.cells
    assert kept.metadata == {"jupyter": {"outputs_hidden": True}}
    assert [o.get("text") for o in kept.outputs] == ["ab", "c", None]
    assert set(kept.outputs[2].data) == {"image/png", "text/plain"}
    assert kept.outputs[2].execution_count == 1
    assert set(tidy.metadata) == {"kernelspec", "language_info"}


def test_only_tidying_does_not_run(tmp_path):
    path = stored(tmp_path / "a.ipynb", "1 / 0")
    assert execute.main(["--tidy", str(path)]) == 0
    assert nbformat.read(path, as_version=4).cells[0].execution_count is None


def test_a_notebook_must_be_named():
    with pytest.raises(SystemExit):
        execute.main([])
