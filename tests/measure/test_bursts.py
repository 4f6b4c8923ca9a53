"""Starts of bursts against a plain loop, and on sequences made by hand."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from d2lstab.measure.bursts import burst_starts


def by_loop(values, threshold, quiet):
    starts, silent = [], 0
    for t, value in enumerate(values):
        loud = abs(value) > threshold
        if loud and silent >= quiet:
            starts.append(t)
        silent = 0 if loud else silent + 1
    return starts


@settings(deadline=None, derandomize=True, max_examples=200)
@given(st.lists(st.sampled_from([0.0, 1.0, -1.0, 2.0, -3.0]), max_size=40), st.integers(1, 6))
def test_equals_the_plain_loop(values, quiet):
    found = burst_starts(torch.tensor(values, dtype=torch.float64), 1.0, quiet)
    assert found == by_loop(values, 1.0, quiet)


def test_a_swing_through_zero_is_one_burst_and_a_loud_beginning_none():
    swing = torch.tensor([9.0, 0.0, 0.0, 0.0, 2.0, 0.0, -2.0, 0.0, 2.0])
    assert burst_starts(swing, 1.0, 3) == [4]
    assert burst_starts(swing, 1.0, 1) == [4, 6, 8]
    assert burst_starts(swing, 1.0, 4) == []


def test_the_threshold_itself_is_quiet_and_infinity_is_loud():
    assert burst_starts(torch.tensor([0.0, 1.0, 1.0]), 1.0, 1) == []
    assert burst_starts(torch.tensor([0.0, -math.inf]), 1.0, 1) == [1]
    assert burst_starts(torch.zeros(0), 1.0, 1) == []


@pytest.mark.parametrize("deviations", [[1.0, 2.0], None, torch.tensor([True])])
def test_what_is_no_tensor_of_numbers_is_refused(deviations):
    with pytest.raises(TypeError, match="deviations must be a tensor"):
        burst_starts(deviations)


@pytest.mark.parametrize(
    "deviations", [torch.zeros(2, 2), torch.tensor(1.0), torch.tensor([math.nan])]
)
def test_a_wrong_shape_and_nan_are_refused(deviations):
    with pytest.raises(ValueError, match="without NaN"):
        burst_starts(deviations)


@pytest.mark.parametrize(
    "options", [{"threshold": 0}, {"threshold": math.nan}, {"quiet": 0}, {"quiet": -1}]
)
def test_a_threshold_or_time_that_is_not_positive_is_refused(options):
    with pytest.raises(ValueError, match="must be"):
        burst_starts(torch.zeros(3), **options)
    with pytest.raises(TypeError, match="must be"):
        burst_starts(torch.zeros(3), **dict.fromkeys(options, "3"))
