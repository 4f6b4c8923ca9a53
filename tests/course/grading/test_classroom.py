import csv

import pytest
from handed_in import IDS, cells, write, write_lesson

from d2lstab.course import grade
from d2lstab.course.diagnosis import outcomes
from d2lstab.course.exercises import exercise
from d2lstab.course.grading import classroom as room
from d2lstab.course.grading.judgment import Question, judge
from d2lstab.course.grading.lessons import known_lessons
from d2lstab.course.grading.limits import Limits
from d2lstab.course.grading.submissions import find_submissions, other_files, read_submission
from d2lstab.course.grading.supervision import NotStartedError, Run
from d2lstab.course.grading.wire import decode, encode, pack


def answer(request, function_of):
    """What an honest runner says for these functions."""
    lines = [pack({"ready": True})]
    for id, asked in request["exercises"].items():
        inputs = [decode(packed) for packed in asked["inputs"]]
        results = [encode(x) for x in outcomes(function_of(id), inputs)]
        lines.append(pack({"attempt": id, "outcomes": results, "library": id == IDS[1]}))
    return Run([line.strip() for line in lines], 1.25)


@pytest.fixture
def school(tmp_path):
    for name in ("ann", "bob", "cy"):
        write(tmp_path / "in" / name / "lesson.ipynb", cells())
    lessons = known_lessons(write_lesson(tmp_path / "lessons"))
    return room.Classroom(tmp_path / "in", lessons, Limits())


def rows(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_outputs_are_judged_in_whatever_order_the_inputs_were_sent(school):
    path = find_submissions(school.folder)[0]
    orders = set()
    for _ in range(20):
        question = Question(read_submission(path, school.folder), school.lessons[0])
        orders.add(tuple(question.orders[IDS[2]]))
        report = judge(question, answer(question.request(), lambda id: exercise(id).reference))
        assert report.points == 3
    assert len(orders) > 1  # 6! orders: the chance that twenty agree is 720**-19
    assert report.verdicts[IDS[1]].text == "right (this is the library's own function)"


def test_a_request_carries_no_reference(school):
    path = write(school.folder / "untouched.ipynb", cells(answers={}))
    question = Question(read_submission(path, school.folder), school.lessons[0])
    text = pack(question.request()).decode()
    for task in school.lessons[0].exercises:
        assert task.solution.strip().splitlines()[-1] not in text
        assert all(mistake.sentence not in text for mistake in task.mistakes)


@pytest.mark.parametrize(
    "message",
    [
        {"attempt": IDS[0], "outcomes": [1.0]},
        {"attempt": IDS[0], "outcomes": "right"},
        {"attempt": IDS[0], "verdict": "right", "points": 9},
        {"attempt": "07-unknown", "outcomes": []},
        {"attempt": [IDS[0]]},
        {"points": 9},
        {"attempt": IDS[0], "missing": {"x": 1}},
        {"attempt": IDS[0], "no function": 3},
    ],
)
def test_claims_gain_nothing(school, message):
    question = Question(
        read_submission(find_submissions(school.folder)[0], school.folder), school.lessons[0]
    )
    report = judge(question, Run([pack(message).strip()]))
    assert report.points == 0
    assert not any(verdict.right for verdict in report.verdicts.values())


def test_an_interrupted_run_goes_on_without_losing_or_repeating(school, tmp_path, monkeypatch):
    ran = []

    def run(request, limits, place):
        ran.append(place.slot)
        if len(ran) == 3:
            raise KeyboardInterrupt
        return answer(request, lambda id: exercise(id).reference)

    monkeypatch.setattr(room, "run_notebook", run)
    paths, output = find_submissions(school.folder), tmp_path / "g.csv"
    with pytest.raises(KeyboardInterrupt):
        room.grade_all(school, paths, output, workers=1)
    assert {row["student"] for row in rows(output)} == {"ann", "bob"}
    assert room.grade_all(school, paths, output, workers=1) == 0
    assert len(ran) == 4
    assert sorted(row["student"] for row in rows(output)) == ["ann", "bob", "cy"]
    assert {row["seconds"] for row in rows(output)} == {"1.2"}
    assert room.grade_all(school, paths, output, workers=2) == 0
    assert len(ran) == 4


def test_a_sandbox_that_does_not_start_is_no_grade(school, tmp_path, monkeypatch, capsys):
    def run(request, limits, place):
        raise NotStartedError("no room")

    monkeypatch.setattr(room, "run_notebook", run)
    paths = find_submissions(school.folder)
    assert room.grade_all(school, paths, tmp_path / "g.csv", workers=2) == 1
    assert rows(tmp_path / "g.csv") == []
    assert "not graded: no room" in capsys.readouterr().err


def test_a_submission_that_breaks_the_grader_has_its_row(school, tmp_path, monkeypatch):
    def run(request, limits, place):
        if "hostile" in str(request):
            raise RecursionError("too deep")
        return answer(request, lambda id: exercise(id).reference)

    monkeypatch.setattr(room, "run_notebook", run)
    write(school.folder / "dan" / "lesson.ipynb", cells(first="'hostile'"))
    assert room.grade_all(school, find_submissions(school.folder), tmp_path / "g.csv", 2) == 0
    found = {row["student"]: row for row in rows(tmp_path / "g.csv")}
    assert found["dan"]["problem"] == "could not be graded: RecursionError: too deep"
    assert {found[name]["points"] for name in ("ann", "bob", "cy")} == {"3"}


def test_hidden_folders_and_other_files_are_left_out(tmp_path):
    write(tmp_path / ".ipynb_checkpoints" / "a.ipynb", cells())
    write(tmp_path / "A B.IPYNB", cells())
    write(tmp_path / ".hidden" / "b.ipynb", cells())
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "linked").symlink_to(tmp_path / ".hidden")
    assert [p.name for p in find_submissions(tmp_path)] == ["A B.IPYNB"]
    assert [p.name for p in other_files(tmp_path)] == [".hidden", "linked", "notes.txt"]


def command(tmp_path, *more):
    lessons = write_lesson(tmp_path / "lessons")
    words = [str(tmp_path / "in"), "--output", str(tmp_path / "g.csv"), "--notebooks", str(lessons)]
    return grade.main([*words, *more])


def test_without_a_sandbox_the_command_asks(school, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(grade, "sandbox_problem", lambda limits: "bwrap is not installed")
    assert command(tmp_path) == 2
    said = capsys.readouterr().err
    assert "bwrap is not installed" in said
    assert "--unsafe-without-sandbox" in said
    assert not (tmp_path / "g.csv").exists()


def test_without_a_sandbox_it_runs_when_told(school, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(grade, "sandbox_problem", lambda limits: "bwrap is not installed")
    for name in ("bob", "cy"):
        (tmp_path / "in" / name / "lesson.ipynb").unlink()
    assert command(tmp_path, "--unsafe-without-sandbox", "--lesson", "01") == 0
    assert "with your rights" in capsys.readouterr().err
    (row,) = rows(tmp_path / "g.csv")
    assert row["points"] == "3"


def test_wrong_command_lines_say_what_is_wanted(tmp_path, capsys, monkeypatch):
    assert command(tmp_path) == 2
    assert "must be a folder" in capsys.readouterr().err
    (tmp_path / "in").mkdir()
    assert command(tmp_path) == 2
    assert "no notebook" in capsys.readouterr().err
    write(tmp_path / "in" / "a.ipynb", cells())
    assert command(tmp_path, "--lesson", "07") == 2
    assert "07_name.ipynb" in capsys.readouterr().err
    for number in ("0", "1.5"):
        with pytest.raises(SystemExit):
            command(tmp_path, "--workers", number)
        assert f"must be a positive integer, got '{number}'" in capsys.readouterr().err
    assert command(tmp_path, "--memory", "100") == 2
    assert "--memory must be at least 512" in capsys.readouterr().err
    for place in (tmp_path, tmp_path / "none" / "g.csv"):
        assert command(tmp_path, "--output", str(place)) == 2
        assert "--output must be a file in a folder that exists" in capsys.readouterr().err
