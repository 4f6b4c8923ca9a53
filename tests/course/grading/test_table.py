import csv
import io

import pytest

from d2lstab.course.grading.table import GradeTable, columns

ROW = {"student": "ann", "file": "ann.ipynb", "sha256": "a1", "points": 2, "01-a": "right"}


def rows(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_row_is_there_as_soon_as_it_is_written(tmp_path):
    table = GradeTable(tmp_path / "g.csv", ["01-a"], {"ann.ipynb": "a1"})
    table.append(ROW)
    assert rows(tmp_path / "g.csv")[0]["01-a"] == "right"
    assert ("ann.ipynb", "a1") in table
    table.close()
    assert [p.name for p in tmp_path.iterdir()] == ["g.csv"]


def test_an_interrupted_row_goes_and_whole_ones_stay(tmp_path):
    path = tmp_path / "g.csv"
    table = GradeTable(path, ["01-a"], {})
    table.append(ROW)
    table.append(ROW | {"file": "bob.ipynb"})
    table.close()
    path.write_bytes(path.read_bytes()[:-8])
    table = GradeTable(path, ["01-a"], {"ann.ipynb": "a1", "bob.ipynb": "a1"})
    assert ("ann.ipynb", "a1") in table
    assert ("bob.ipynb", "a1") not in table
    table.append(ROW | {"file": "bob.ipynb"})
    table.close()
    assert [row["file"] for row in rows(path)] == ["ann.ipynb", "bob.ipynb"]


def test_a_file_that_has_changed_is_graded_again(tmp_path):
    table = GradeTable(tmp_path / "g.csv", ["01-a"], {})
    table.append(ROW)
    table.close()
    table = GradeTable(tmp_path / "g.csv", ["01-a"], {"ann.ipynb": "b2"})
    assert ("ann.ipynb", "b2") not in table
    table.close()
    assert rows(tmp_path / "g.csv") == []


def test_another_lesson_adds_columns_and_loses_none(tmp_path):
    table = GradeTable(tmp_path / "g.csv", ["01-a"], {})
    table.append(ROW)
    table.close()
    table = GradeTable(tmp_path / "g.csv", ["02-b"], {})
    table.close()
    (row,) = rows(tmp_path / "g.csv")
    assert list(row) == columns(["02-b", "01-a"])
    assert row["01-a"] == "right"


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "\n=1", "|x", "%x", "＝1"]
)
def test_no_text_is_a_formula_or_a_second_line(tmp_path, text):
    table = GradeTable(tmp_path / "g.csv", [], {})
    table.append({"student": text, "file": f"{text}.ipynb", "sha256": "a", "points": -1})
    assert (f"{text}.ipynb", "a") in table
    table.close()
    again = GradeTable(tmp_path / "g.csv", [], {f"{text}.ipynb": "a"})
    assert (f"{text}.ipynb", "a") in again
    again.close()
    (row,) = rows(tmp_path / "g.csv")
    assert row["student"].startswith(("'", "\\"))
    assert row["points"] == "-1"
    assert len((tmp_path / "g.csv").read_text().splitlines()) == 2


def test_no_formula_begins_behind_another_separator(tmp_path):
    table = GradeTable(tmp_path / "g.csv", [], {})
    told = 'ValueError: a;=HYPERLINK("http://evil";"click"), =1\n=2'
    table.append(ROW | {"problem": told})
    table.close()
    (row,) = rows(tmp_path / "g.csv")
    assert row["problem"] == """ValueError: a;'=HYPERLINK("http://evil";"click"), '=1 =2"""


def test_names_that_differ_stay_apart_and_steer_no_terminal(tmp_path):
    names = ["a.ipynb", " a.ipynb", "a\x1b]0;b.ipynb", "lat\udce9in.ipynb", "lat\udce8in.ipynb"]
    table = GradeTable(tmp_path / "g.csv", [], {})
    for name in names:
        table.append(ROW | {"file": name})
    table.close()
    stored = [row["file"] for row in rows(tmp_path / "g.csv")]
    assert len(set(stored)) == len(names)
    assert all(text.isprintable() for text in stored)
    again = GradeTable(tmp_path / "g.csv", [], dict.fromkeys(names, ROW["sha256"]))
    assert all((name, ROW["sha256"]) in again for name in names)
    again.close()


def test_a_column_of_whoever_grades_is_kept(tmp_path):
    table = GradeTable(tmp_path / "g.csv", ["01-a"], {})
    table.append(ROW)
    table.close()
    (row,) = rows(tmp_path / "g.csv")
    text = io.StringIO()
    writer = csv.DictWriter(text, [*row, "remark"])
    writer.writeheader()
    writer.writerow(row | {"remark": "ask her"})
    (tmp_path / "g.csv").write_text(text.getvalue())
    again = GradeTable(tmp_path / "g.csv", ["02-b"], {})
    again.append(ROW | {"file": "new.ipynb"})
    again.close()
    kept, new = rows(tmp_path / "g.csv")
    assert (kept["remark"], new["remark"]) == ("ask her", "")
    assert kept["01-a"] == "right"


def test_another_file_is_not_overwritten(tmp_path):
    (tmp_path / "g.csv").write_text("name,mark\nann,1\n")
    with pytest.raises(ValueError, match="must be a table of grades"):
        GradeTable(tmp_path / "g.csv", [], {})
    assert (tmp_path / "g.csv").read_text() == "name,mark\nann,1\n"


def test_two_runs_do_not_share_a_table(tmp_path):
    table = GradeTable(tmp_path / "g.csv", [], {})
    with pytest.raises(ValueError, match="another run"):
        GradeTable(tmp_path / "g.csv", [], {})
    table.close()
    GradeTable(tmp_path / "g.csv", [], {}).close()
