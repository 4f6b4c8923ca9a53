"""Every exercise of every lesson: the tests that come for free with a record."""

import math

import pytest
import torch

from d2lstab.course import check, hint
from d2lstab.course.checking import _hints_given
from d2lstab.course.diagnosis import diagnose, outcomes
from d2lstab.course.exercises import exercise, exercise_ids

IDS = exercise_ids()
MISTAKES = [(id, k) for id in IDS for k in range(len(exercise(id).mistakes))]


def stub(*arguments): ...


def unwritten(*arguments):
    raise NotImplementedError


def test_ids_are_unique_and_carry_their_lesson():
    assert len(set(IDS)) == len(IDS)
    assert all(id[:2].isdigit() and id[2] == "-" for id in IDS)


@pytest.mark.parametrize("id", IDS)
def test_the_reference_passes(id, capsys):
    assert check(id, exercise(id).reference).right
    assert capsys.readouterr().out.startswith(f"{id}: right")


@pytest.mark.parametrize(("id", "k"), MISTAKES)
def test_every_named_mistake_is_diagnosed_as_itself(id, k):
    task = exercise(id)
    mistake = task.mistakes[k]
    verdict = diagnose(task, outcomes(mistake.function, task.inputs))
    advice = f"mistake {k} of {id} is {verdict.kind}: add an input that tells it from the reference"
    assert verdict.kind == "known mistake", advice
    assert verdict.text == f"{id}: not yet. {mistake.sentence}"


@pytest.mark.parametrize("id", IDS)
@pytest.mark.parametrize("attempt", [None, ..., stub, unwritten])
def test_every_stub_says_not_attempted_yet(id, attempt, capsys):
    assert not check(id, attempt).right
    assert capsys.readouterr().out == f"{id}: not attempted yet\n"


@pytest.mark.parametrize("id", IDS)
def test_the_worked_solution_passes(id, capsys):
    task = exercise(id)
    names = {"torch": torch, "math": math}
    lesson = f"d2lstab.course.exercises.lesson_{id[:2]}"
    exec(f"from {lesson} import *", names)
    exec(SOLUTION_IMPORTS, names)
    before = set(names)
    exec(task.solution, names)
    functions = [names[n] for n in names if n not in before and callable(names[n])]
    assert check(id, functions[-1]).right


# What the lessons import before their exercises.
SOLUTION_IMPORTS = """
import numpy as np
from d2lstab.theory.random_products import log_growth
"""


@pytest.mark.parametrize("id", IDS)
def test_two_hints_and_then_the_solution(id, capsys):
    _hints_given.pop(id, None)
    task = exercise(id)
    for _ in range(4):
        hint(id)
    out = capsys.readouterr().out
    assert out.index(task.hints[0]) < out.index(task.hints[1])
    assert out.count(task.solution.strip()) == 2
    assert len(task.hints) == 2
    assert all(task.hints)


@pytest.mark.parametrize("id", IDS)
def test_inputs_stay_as_they_are_when_an_attempt_spoils_its_copy(id):
    task = exercise(id)

    def spoil(*arguments):
        for argument in arguments:
            if isinstance(argument, torch.Tensor):
                argument.zero_()
            if isinstance(argument, list):
                argument.clear()
        return 0

    check(id, spoil)
    assert check(id, task.reference).right


@pytest.mark.parametrize("id", IDS)
def test_under_grading_everything_that_is_not_right_raises(id, monkeypatch):
    monkeypatch.setenv("D2LSTAB_GRADE", "1")
    task = exercise(id)
    assert check(id, task.reference).right
    for attempt in (None, stub, task.mistakes[0].function, lambda *a: "nonsense"):
        with pytest.raises(AssertionError, match=id):
            check(id, attempt)


@pytest.mark.parametrize("id", IDS)
def test_each_has_a_title_and_at_least_two_named_mistakes(id):
    task = exercise(id)
    assert task.title
    assert len(task.mistakes) >= 2
    assert all(m.sentence.endswith(".") or m.sentence.endswith("?") for m in task.mistakes)
    assert task.points >= 1
