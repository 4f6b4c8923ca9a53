"""Closed forms for erf and relu, iteration far from criticality, expansions near it."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from d2lstab.theory import mean_field_length
from d2lstab.theory.mean_field_length import fixed_point, length_map, length_slope, slope

NAMES = ["tanh", "sigmoid", "scaled_sigmoid", "softsign", "hardtanh", "elu", "gelu", "selu"]


def erf_map(q, sw2, sb2):
    return sw2 * 2 / math.pi * math.asin(2 * q / (1 + 2 * q)) + sb2


@given(st.floats(-6, 4), st.floats(0, 10), st.floats(0, 10))
@settings(deadline=None, derandomize=True, max_examples=20)
def test_length_map_of_erf(exponent, sw2, sb2):
    q = 10**exponent
    assert length_map(q, sw2, sb2, torch.erf) == pytest.approx(erf_map(q, sw2, sb2), rel=1e-10)


def test_length_map_at_zero():
    assert length_map(0.0, 2.0, 0.5, "sigmoid") == pytest.approx(1.0, rel=1e-14)
    assert length_map(0.0, 2.0, 0.0, "tanh") == 0
    assert length_map(3.0, 2.0, 0.5, "relu") == pytest.approx(3.5, rel=1e-12)


@given(st.floats(0, 5), st.floats(0.01, 3), st.sampled_from(["tanh", "sigmoid", "softsign"]))
@settings(deadline=None, derandomize=True, max_examples=15)
def test_fixed_point_is_where_iteration_ends(sw2, sb2, phi):
    q = 1.0
    for _ in range(60):
        q = length_map(q, sw2, sb2, phi)
    settled = length_map(q, sw2, sb2, phi)
    found = fixed_point(sw2, sb2, phi)
    # What iteration lacks after 60 layers: the last step over (1 - V').
    missing = abs(settled - q) / (1 - length_slope(sw2, sb2, phi))
    assert abs(found - settled) <= 2 * missing + 1e-11 * q


@given(st.floats(0, 1.8), st.floats(1e-3, 2), st.sampled_from(NAMES))
@settings(deadline=None, derandomize=True, max_examples=25)
def test_fixed_points_are_fixed(sw2, sb2, phi):
    q = fixed_point(sw2, sb2, phi)
    assert length_map(q, sw2, sb2, phi) == pytest.approx(q, rel=1e-11)


@pytest.mark.parametrize("above", [1e-2, 1e-4, 1e-6, 1e-9])
def test_tanh_just_above_criticality(above):
    # E tanh^2 = q - 2 q^2 + 17/3 q^3 - ...: with sw2 = 1 + e, q* = e/2 - e^2/2 + e^2 17/24 + ...
    q = fixed_point(1 + above, 0.0, "tanh")
    e = (1 + above) - 1
    assert q == pytest.approx(e / 2 + e**2 * (17 / 24 - 1 / 2), rel=5 * e**2 + 1e-15 / e)
    # chi_1 - 1 = 4 q^2 / 3 + ..., far below e
    assert slope(1 + above, 0.0, "tanh") - 1 == pytest.approx(e**2 / 3, rel=6 * e, abs=1e-15)


def test_tanh_at_and_below_criticality():
    for sw2 in (0.0, 0.3, 0.999999, 1.0):
        assert fixed_point(sw2, 0.0, "tanh") == 0
        assert slope(sw2, 0.0, "tanh") == pytest.approx(sw2, rel=1e-14)
    # q = q - 2 q^2 + sb2: the square root law
    assert fixed_point(1.0, 1e-12, "tanh") == pytest.approx(math.sqrt(0.5e-12), rel=1e-5)


def test_the_marginal_decay_of_tanh():
    q = 1.0
    for _ in range(100):
        q = length_map(q, 1.0, 0.0, "tanh")
    assert 200 * q == pytest.approx(1, abs=0.05)  # q_l = 1 / (2 l), with corrections ln(l) / l


def test_homogeneous_activations():
    assert fixed_point(2.0, 0.0, "relu") == 1
    assert fixed_point(1.0, 0.0, "linear") == 1
    assert fixed_point(1.9, 0.0, "relu") == 0
    assert fixed_point(1.0, 0.5, "relu") == pytest.approx(1.0)
    assert fixed_point(2 - 1e-9, 1.0, "relu") == pytest.approx(2e9, rel=1e-6)
    for sw2, sb2 in ((2.1, 0.0), (2.0, 0.1), (5.0, 1.0)):
        with pytest.raises(ValueError, match="grows without bound"):
            fixed_point(sw2, sb2, "relu")
        assert slope(sw2, sb2, "relu") == sw2 / 2
    assert slope(2.0, 0.0, lambda x: torch.relu(x)) == 1


def test_other_unbounded_growth():
    for phi, sw2, sb2 in (("softplus", 2.0, 0.1), ("gelu", 3.0, 0.0), ("selu", 2.0, 0.0)):
        with pytest.raises(ValueError, match="grows without bound"):
            fixed_point(sw2, sb2, phi)
    assert fixed_point(1.0, 0.0, "selu") == pytest.approx(1, rel=1e-12)
    assert fixed_point(1e6, 0.0, "hardtanh") == pytest.approx(1e6, rel=1e-3)


def test_tables_of_the_course():
    assert fixed_point(1.0, 0.0, "sigmoid") == pytest.approx(0.26469, abs=5e-6)
    assert slope(1.0, 0.0, "sigmoid") == pytest.approx(0.05572, abs=5e-6)
    assert fixed_point(25 / 9, 0.0, "tanh") == pytest.approx(1.17848, abs=5e-6)
    assert slope(25 / 9, 0.0, "tanh") == pytest.approx(1.20983, abs=5e-6)


@given(st.floats(0.1, 4), st.floats(0.01, 2))
@settings(deadline=None, derandomize=True, max_examples=15)
def test_slopes_of_erf(sw2, sb2):
    q = fixed_point(sw2, sb2, torch.erf)
    assert q == pytest.approx(erf_map(q, sw2, sb2), rel=1e-11)
    chi = sw2 * 4 / math.pi / math.sqrt(1 + 4 * q)
    assert slope(sw2, sb2, torch.erf) == pytest.approx(chi, rel=1e-10)
    derivative = sw2 * 4 / math.pi / ((1 + 2 * q) * math.sqrt(1 + 4 * q))
    assert length_slope(sw2, sb2, torch.erf) == pytest.approx(derivative, rel=1e-10)


@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf])
def test_variances_that_are_refused(bad):
    for function in (fixed_point, slope):
        with pytest.raises(ValueError, match="sw2 must be a number of at least 0"):
            function(bad, 0.0, "tanh")
        with pytest.raises(ValueError, match="sb2 must be a number of at least 0"):
            function(1.0, bad, "tanh")
    with pytest.raises(ValueError, match="q must be a number of at least 0"):
        length_map(bad, 1.0, 0.0, "tanh")


def test_other_bad_input():
    with pytest.raises(TypeError, match="sw2 must be"):
        fixed_point("1", 0.0, "tanh")
    with pytest.raises(TypeError, match="sb2 must be"):
        slope(1.0, True, "tanh")
    with pytest.raises(ValueError, match="phi must be one of"):
        fixed_point(1.0, 0.0, "swish2")
    with pytest.raises(TypeError, match="phi must be a name"):
        length_map(1.0, 1.0, 0.0, None)


def test_a_name_is_solved_once_and_a_function_each_time():
    solved = mean_field_length._remembered_fixed_point
    solved.cache_clear()
    first = fixed_point(2.5, 0.3, "tanh")
    assert fixed_point(2.5, 0.3, "tanh") == first == fixed_point(2.5, 0.3, torch.tanh)
    assert (solved.cache_info().misses, solved.cache_info().hits) == (1, 1)
    factor = 1.0
    before = fixed_point(2.0, 0.1, lambda x: factor * torch.tanh(x))
    factor = 1.5  # a function may change its meaning
    assert fixed_point(2.0, 0.1, lambda x: factor * torch.tanh(x)) > 1.5 * before


def test_kinks_are_part_of_what_is_remembered():
    plain = fixed_point(2.5, 0.3, "tanh")
    assert fixed_point(2.5, 0.3, "tanh", kinks=[0.5]) == pytest.approx(plain, rel=1e-10)
    with pytest.raises(TypeError, match="kinks"):
        fixed_point(2.5, 0.3, "tanh", kinks=3)
