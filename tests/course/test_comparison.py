import math

import numpy as np
import pytest
import torch

from d2lstab.course import compare, compare_order


def test_a_prediction_that_holds_is_printed_without_the_measured_value(capsys):
    compare("the law", 0.5512, 0.55797, 0.0199, "three standard errors")
    out = capsys.readouterr().out
    assert out == (
        "the law\n    predicted 0.558, measured within 0.02 of it: holds\n"
        "    tolerance: three standard errors\n"
    )


def test_the_measured_value_is_printed_when_digits_are_asked_for(capsys):
    compare("the law", 0.5512, 0.55797, 0.0195, "three standard errors", digits=2)
    assert "measured 0.55, within" in capsys.readouterr().out


def test_a_failure_raises_with_both_numbers():
    with pytest.raises(AssertionError, match=r"the law: predicted 1\.0, measured 1\.5"):
        compare("the law", 1.5, 1.0, 0.4, "made up")


@pytest.mark.parametrize("measured", [math.nan, [0.0, math.nan], torch.tensor(math.nan)])
def test_nan_never_holds(measured):
    with pytest.raises(AssertionError):
        compare("nothing", measured, 0.0, 1e9, "wide open")
    with pytest.raises(AssertionError):
        compare("nothing", measured, math.nan, 0, "exact")
    with pytest.raises(AssertionError):
        compare_order("nothing", measured, 1.0, 0, "none")


def test_infinity_meets_only_its_own_sign():
    compare("inf", math.inf, math.inf, 0, "exact")
    with pytest.raises(AssertionError):
        compare("inf", math.inf, -math.inf, 1e300, "wide open")
    with pytest.raises(AssertionError):
        compare("inf", math.inf, 1.0, 1e300, "wide open")


def test_arrays_are_held_element_by_element_with_their_own_tolerances():
    compare("both", np.array([1.0, 2.0]), [1.1, 2.5], [0.11, 0.51], "each its own")
    with pytest.raises(AssertionError):
        compare("both", torch.tensor([1.0, 2.0]), [1.1, 2.5], [0.11, 0.49], "each its own")


def test_words_and_booleans_are_compared_for_equality(capsys):
    compare("kind", "saddle", "saddle", 0, "a word")
    compare("flags", [True, False], [True, False], 0, "exact")
    assert "predicted saddle, measured the same: holds" in capsys.readouterr().out
    for measured, predicted in (("saddle", "minimum"), (True, False), (True, 1), ("1", 1)):
        with pytest.raises(AssertionError):
            compare("kind", measured, predicted, 0, "a word")


def test_the_edge_of_the_tolerance_belongs_to_it():
    compare("edge", 1.5, 1.0, 0.5, "exact in binary")
    with pytest.raises(AssertionError):
        compare("edge", 1.5 + 1e-12, 1.0, 0.5, "exact in binary")


@pytest.mark.parametrize(
    ("measured", "predicted", "tolerance", "why"),
    [
        (1.0, 1.0, -1, "negative"),
        (1.0, 1.0, math.nan, "nan"),
        (1.0, 1.0, math.inf, "infinite"),
        (1.0, 1.0, "wide", "a word"),
        ([], [], 0, "empty"),
        ([1.0, 2.0], [1.0, 2.0, 3.0], 0, "shapes"),
        (1.0, 1.0, 0, ""),
        ("a", "a", 0.1, "words with room"),
    ],
)
def test_impossible_arguments_are_refused(measured, predicted, tolerance, why):
    with pytest.raises(ValueError, match="must"):
        compare("claim", measured, predicted, tolerance, why)


def test_an_order_holds_with_its_margin(capsys):
    compare_order("depth hurts", 0.1, 0.9, 0.5, "chance")
    assert "at least 0.5 apart: holds" in capsys.readouterr().out
    with pytest.raises(AssertionError, match="should lie below"):
        compare_order("depth hurts", 0.5, 0.9, 0.5, "chance")
    with pytest.raises(ValueError, match="must be numbers"):
        compare_order("depth hurts", "low", 0.9, 0.5, "chance")


def test_an_order_without_a_margin_says_why_it_is_expected(capsys):
    compare_order("chance is left behind", 0.2, 0.9, 0.0, "chance is 0.1")
    assert capsys.readouterr().out == (
        "chance is left behind\n    measured in this order: holds\n    why: chance is 0.1\n"
    )


def test_a_cell_that_ends_with_a_comparison_shows_it_once():
    held = compare("once", 1, 1, 0, "exact")
    assert held._ipython_display_() is None


def test_integers_beyond_float64_are_compared_as_integers(capsys):
    big = 2**60
    for measured, predicted in (
        (big + 1, big),
        (big + 1, float(big)),
        (torch.tensor([3, big + 1]), [3, big]),
        (np.array([2**64 - 1], dtype=np.uint64), [2**64 - 2]),
    ):
        with pytest.raises(AssertionError):
            compare("equal", measured, predicted, 0, "exact")
    compare("equal", big + 1, big + 1, 0, "exact", digits=3)
    assert "predicted 1.15e+18, measured 1.15e+18, the same: holds" in capsys.readouterr().out
    compare("close", [big + 1, 0], [big, 0], 1, "one apart")
    compare_order("above", big, big + 1, 1, "one apart")
    with pytest.raises(AssertionError):
        compare_order("above", big + 1, big, 0, "none")


def test_shapes_that_do_not_fit_are_told():
    words = r"measured and tolerance must have one shape, got \(3,\) and \(2,\)"
    with pytest.raises(ValueError, match=words):
        compare("all", [1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [0.1, 0.2], "two for three")
    with pytest.raises(ValueError, match="one number for each of measured, got 2 for 1"):
        compare("one", 1.0, 1.0, [0.1, 0.2], "two for one")
    words = r"smaller and larger must have one shape, got \(2,\) and \(3,\)"
    with pytest.raises(ValueError, match=words):
        compare_order("all", [1.0, 2.0], [1.0, 2.0, 3.0], 0, "two and three")
    with pytest.raises(ValueError, match="margin must be one number"):
        compare_order("all", [1.0, 2.0], [3.0, 4.0], [0.1, 0.2], "two margins")
    compare_order("all", 0.5, [1.0, 2.0], [0.1], "a bound")


@pytest.mark.parametrize(("digits", "error"), [("x", TypeError), (0, ValueError), (1.5, TypeError)])
def test_digits_are_a_positive_integer(digits, error):
    with pytest.raises(error, match="digits must be a positive integer"):
        compare("one", 1.0, 1.0, 0, "exact", digits=digits)
