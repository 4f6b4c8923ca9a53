import json

import pytest

from d2lstab.course import check, guess, progress, progress_file
from d2lstab.course.exercises import exercise, exercise_ids

LESSONS = len({id[:2] for id in exercise_ids()})


@pytest.fixture
def live(monkeypatch, tmp_path):
    monkeypatch.setenv("D2LSTAB_PROGRESS", str(tmp_path / "deep" / "progress.json"))
    monkeypatch.setattr(progress_file, "_validated", lambda: False)
    return tmp_path / "deep" / "progress.json"


def test_nothing_is_written_while_notebooks_are_validated(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("D2LSTAB_PROGRESS", str(tmp_path / "progress.json"))
    guess("01-products", 3)
    check("01-critical-std", exercise("01-critical-std").reference)
    progress()
    assert not list(tmp_path.iterdir())
    assert "not recorded" in capsys.readouterr().out


def test_guesses_and_exercises_are_counted_by_lesson(live, capsys):
    guess("01-products", 3)
    task = exercise("01-critical-std")
    check(task.id, lambda n: 0.0)
    check("01-contraction", exercise("01-contraction").reference)
    capsys.readouterr()
    progress()
    out = capsys.readouterr().out
    lesson = out[out.index("01  ") : out.index("02  ")].splitlines()
    assert lesson[0].startswith("01  1 of ")
    assert lesson[1:] == [
        "    right: contraction",
        "    not yet right: critical-std",
        "    guesses made: products",
    ]
    assert out.count("\n") == LESSONS + 3


def test_what_was_right_stays_right(live, capsys):
    task = exercise("01-critical-std")
    check(task.id, task.reference)
    check(task.id, lambda n: 0.0)
    assert json.loads(live.read_text())["exercises"][task.id] == "right"


def test_starting_over_forgets_everything(live, capsys):
    guess("01-products", 3)
    progress(start_over=True)
    assert not live.exists()
    out = capsys.readouterr().out.splitlines()
    assert len([line for line in out if " 0 of " in line]) == LESSONS
    assert "guesses made" not in str(out[1:])


@pytest.mark.parametrize("content", ["", "no json", "[]", '{"exercises": 3}', "\x00"])
def test_a_spoiled_file_is_taken_as_empty(live, content):
    live.parent.mkdir()
    live.write_text(content)
    guess("01-products", 3)
    assert json.loads(live.read_text())["guesses"] == {"01-products": "made"}


def test_a_folder_that_cannot_be_written_does_not_stop_the_lesson(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("D2LSTAB_PROGRESS", str(tmp_path / "file" / "progress.json"))
    monkeypatch.setattr(progress_file, "_validated", lambda: False)
    guess("01-products", 3)
