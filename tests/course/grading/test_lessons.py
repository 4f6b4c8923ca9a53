import pytest
from handed_in import IDS, cells, write, write_lesson

from d2lstab.course.grade import NOTEBOOKS
from d2lstab.course.grading.lessons import checked, known_lessons, matching_lesson


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('check("00-folds", folds)', {"00-folds": "folds"}),
        ("x = course.check('00-folds', attempt=f)", {"00-folds": "f"}),
        ('check("00-folds", lambda a, b: a)', {"00-folds": "lambda a, b: a"}),
        ('check("00-folds")', {"00-folds": ""}),
        ('%time\ncheck("00-folds", folds)', {"00-folds": ""}),
        ("print('nothing')", {}),
        ('# check("00-folds", folds)', {}),
        ("check(id, folds)", {}),
    ],
)
def test_calls_of_check_are_found_in_the_source(source, found):
    assert checked(source) == found


def test_a_lesson_is_read_from_its_notebook(tmp_path):
    (lesson,) = known_lessons(write_lesson(tmp_path))
    assert lesson.number == "01"
    assert [e.id for e in lesson.exercises] == IDS
    assert lesson.attempts["01-log-sum-exp"] == "log_sum_exp"


@pytest.mark.parametrize(
    "expression",
    ["-" * 900 + "folds", "0x" + "f" * 5000, "x" + ".a" * 900, "+".join("1" * 900), "(" * 500],
    ids=["minus", "integer", "attributes", "sum", "open"],
)
def test_what_cannot_be_read_is_judged_by_the_original_function(expression):
    source = f'check("00-folds", {expression})'
    assert checked(source).keys() == {"00-folds"}


def test_a_long_cell_is_not_parsed():
    source = f'x = [{"-1," * 40_000}]\ncheck("00-folds", folds)'
    assert checked(source) == {"00-folds": ""}


def test_a_copy_is_recognized_by_its_cells(tmp_path):
    write(tmp_path / "00_other.ipynb", ['check("00-folds", folds)', "import math  # of another"])
    lessons = known_lessons(write_lesson(tmp_path))
    assert matching_lesson(cells(), lessons).number == "01"
    assert matching_lesson(['check("00-folds", mine)'], lessons).number == "00"
    assert matching_lesson(["print(1)"], lessons) is None


def test_a_folder_without_lessons_is_refused(tmp_path):
    with pytest.raises(ValueError, match="got none in"):
        known_lessons(tmp_path)
    with pytest.raises(ValueError, match=r"07_name\.ipynb"):
        known_lessons(write_lesson(tmp_path), "07")
    with pytest.raises(ValueError, match="a number such as 01, got 'one'"):
        known_lessons(write_lesson(tmp_path), "one")
    (lesson,) = known_lessons(write_lesson(tmp_path), "1")
    assert lesson.number == "01"


def test_an_unknown_exercise_is_refused(tmp_path):
    write(tmp_path / "01_tiny.ipynb", ['check("01-nowhere", f)'])
    with pytest.raises(ValueError, match="01-nowhere"):
        known_lessons(tmp_path)


def test_the_lessons_of_the_course_are_known():
    lessons = known_lessons(NOTEBOOKS)
    assert all(lesson.attempts.keys() == {e.id for e in lesson.exercises} for lesson in lessons)
    assert all(name.isidentifier() for lesson in lessons for name in lesson.attempts.values())
