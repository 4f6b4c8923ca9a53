import numpy as np
import pytest
import torch

from d2lstab.course import check
from d2lstab.course.diagnosis import diagnose, outcomes
from d2lstab.course.exercise import Exercise, Mistake

DOUBLE = Exercise(
    id="99-double",
    title="Twice the number",
    inputs=((1.0,), (3.0,)),
    reference=lambda x: 2 * x,
    mistakes=(Mistake(lambda x: x + 1, "This adds one."),),
    hints=("a", "b"),
    solution="def double(x): return 2 * x",
)
MATRIX = Exercise(
    id="99-matrix",
    title="The transpose",
    inputs=((torch.tensor([[1.0, 2.0]]),),),
    reference=lambda x: x.T,
    mistakes=(Mistake(lambda x: x, "Nothing was turned."),),
    hints=("a", "b"),
    solution="",
)


def verdict(attempt, task=DOUBLE):
    return diagnose(task, outcomes(attempt, task.inputs))


def test_right_in_every_number_type():
    for convert in (float, np.float64, torch.tensor, np.array):
        assert verdict(lambda x, convert=convert: convert(2 * x)).right


def test_the_first_failing_input_is_shown_with_wanted_and_got():
    # right for 1.0, wrong for 3.0
    text = verdict(lambda x: x * x + 1).text
    assert text == "99-double: not yet. For the input (3) wanted 6, got 10"


def test_a_known_mistake_is_named_only_if_it_agrees_everywhere():
    assert verdict(lambda x: x + 1).text == "99-double: not yet. This adds one."
    assert verdict(lambda x: x + 1 if x < 2 else 0.0).kind == "wrong"


def test_an_exception_gets_a_sentence():
    found = verdict(lambda x: x / 0)
    assert found.kind == "error"
    assert "it raised ZeroDivisionError: " in found.text


def test_a_tensor_without_numbers_is_no_stub():
    found = verdict(lambda x: torch.zeros(2, device="meta"))
    assert found.kind == "error"


def test_a_missing_return_on_some_input_is_named():
    assert "is a return missing?" in verdict(lambda x: 2 * x if x < 2 else None).text


@pytest.mark.parametrize(
    ("attempt", "got"),
    [
        (lambda x: [2 * x], "a list of 1"),
        (lambda x: "six", "a word"),
        (lambda x: torch.zeros(2, 3), "a tensor of shape (2, 3)"),
        (lambda x: True, "True or False"),
        (lambda x: {}, "a dictionary"),
        (lambda x: object(), "object"),
    ],
)
def test_a_wrong_type_gets_a_sentence(attempt, got):
    assert verdict(attempt).text.endswith(f"wanted a number, got {got}")


def test_a_wrong_shape_gets_a_sentence():
    text = verdict(lambda x: x.flatten(), MATRIX).text
    assert "wanted a tensor of shape (2, 1), got a tensor of shape (2,)" in text
    assert verdict(lambda x: x, MATRIX).kind == "known mistake"


def test_nan_where_a_number_is_wanted_is_wrong():
    assert verdict(lambda x: float("nan")).kind == "wrong"


def test_a_number_where_infinity_is_wanted_is_wrong():
    limits = Exercise(
        id="99-limits",
        title="Minus and plus infinity",
        inputs=((1.0,),),
        reference=lambda x: [-float("inf"), float("inf")],
        mistakes=(Mistake(lambda x: [0.0, float("inf")], "One end is finite."),),
        hints=("a", "b"),
        solution="",
    )
    assert verdict(limits.reference, limits).right
    assert verdict(lambda x: [-float("inf"), 3.0], limits).kind == "wrong"
    assert verdict(lambda x: [0.0, 3.0], limits).kind == "wrong"


def test_something_that_is_no_function_gets_a_sentence(capsys):
    assert check("01-critical-std", 0.5).kind == "wrong"
    assert "Hand in the function itself, got float" in capsys.readouterr().out


def test_an_unknown_exercise_lists_those_of_the_lesson():
    with pytest.raises(ValueError, match="01-critical-std"):
        check("01-nothing", None)


def test_one_outcome_for_each_input_is_required():
    with pytest.raises(ValueError, match="one outcome for each of 2 inputs"):
        diagnose(DOUBLE, [2.0])
