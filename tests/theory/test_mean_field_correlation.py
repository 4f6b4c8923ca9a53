"""Closed forms for erf and relu, a bivariate normal for hardtanh, invariants."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from d2lstab.theory import mean_field_correlation
from d2lstab.theory.activations import moments
from d2lstab.theory.mean_field_correlation import correlation_fixed_point, correlation_map
from d2lstab.theory.mean_field_length import fixed_point, slope


@given(st.floats(-1, 1), st.floats(0.1, 4), st.floats(0.01, 2))
@settings(deadline=None, derandomize=True, max_examples=15)
def test_map_of_erf(c, sw2, sb2):
    q = fixed_point(sw2, sb2, torch.erf)
    wanted = (sw2 * 2 / math.pi * math.asin(2 * q * c / (1 + 2 * q)) + sb2) / q
    assert correlation_map(c, sw2, sb2, torch.erf) == pytest.approx(wanted, abs=1e-10)


@pytest.mark.parametrize("sw2", [0.3, 2.0, 9.0])
def test_map_of_relu_without_bias(sw2):
    for c in (-1.0, -0.4, 0.0, 0.6, 1.0):
        theta = math.acos(c)
        wanted = (math.sin(theta) + (math.pi - theta) * c) / math.pi
        assert correlation_map(c, sw2, 0.0, "relu") == pytest.approx(wanted, abs=1e-14)
        assert correlation_map(c, sw2, 0.0, "linear") == pytest.approx(c, abs=1e-14)


def test_map_of_relu_with_bias():
    q, c = fixed_point(1.2, 0.3, "relu"), 0.25
    theta = math.acos(c)
    kernel = q * (math.sin(theta) + (math.pi - theta) * c) / (2 * math.pi)
    assert correlation_map(c, 1.2, 0.3, "relu") == pytest.approx((1.2 * kernel + 0.3) / q)


def test_map_of_hardtanh_against_the_bivariate_normal():
    # Price's theorem: d/dc E phi(x1) phi(x2) = q P(|x1| < 1, |x2| < 1).
    sw2, sb2, c = 2.0, 0.2, 0.7
    q = fixed_point(sw2, sb2, "hardtanh")
    edge = 1 / math.sqrt(q)

    def inside(r):
        def density(z):
            spread = math.sqrt(1 - r * r)
            reach = stats.norm.cdf((edge - r * z) / spread) - stats.norm.cdf(
                (-edge - r * z) / spread
            )
            return stats.norm.pdf(z) * reach

        return integrate.quad(density, -edge, edge, epsabs=1e-11)[0]

    rise = integrate.quad(inside, 0, c, epsabs=1e-10)[0]
    wanted = (sw2 * q * rise + sb2) / q  # E phi = 0
    assert correlation_map(c, sw2, sb2, "hardtanh") == pytest.approx(wanted, abs=1e-8)


@given(
    st.floats(0.2, 1.9), st.floats(0.01, 1), st.sampled_from(["tanh", "selu", "softplus", "elu"])
)
@settings(deadline=None, derandomize=True, max_examples=12)
def test_ends_of_the_map(sw2, sb2, phi):
    q = fixed_point(sw2, sb2, phi)
    assert correlation_map(1.0, sw2, sb2, phi) == 1
    wanted = (sw2 * moments(phi, q).mean ** 2 + sb2) / q
    assert correlation_map(0.0, sw2, sb2, phi) == pytest.approx(wanted, abs=1e-10)
    near = 1e-7
    rise = (1 - correlation_map(1 - near, sw2, sb2, phi)) / near
    assert rise == pytest.approx(slope(sw2, sb2, phi), rel=1e-3)


@given(st.floats(0.2, 5), st.floats(0.001, 1), st.sampled_from(["tanh", "sigmoid", "erf"]))
@settings(deadline=None, derandomize=True, max_examples=15)
def test_fixed_points_are_fixed(sw2, sb2, phi):
    phi = torch.erf if phi == "erf" else phi
    c = correlation_fixed_point(sw2, sb2, phi)
    assert 0 <= c <= 1
    assert correlation_map(c, sw2, sb2, phi) == pytest.approx(c, abs=1e-11)
    assert (c < 1) == (slope(sw2, sb2, phi) > 1)


def test_fixed_point_is_where_iteration_ends():
    # 100 layers leave 1e-4; Aitken's extrapolation leaves about its square.
    c = [0.5]
    for _ in range(100):
        c.append(correlation_map(c[-1], 3.0, 0.3, "tanh"))
    last, before = c[-1] - c[-2], c[-2] - c[-3]
    limit = c[-1] + last**2 / (before - last)
    assert correlation_fixed_point(3.0, 0.3, "tanh") == pytest.approx(limit, abs=1e-7)
    assert abs(last) < 1e-5


@pytest.mark.parametrize("above", [1e-2, 1e-5, 1e-8])
def test_erf_just_above_criticality(above):
    # With r = 2 q / (1 + 2 q): 1 - C(1 - gap) = chi gap - k gap^2 + ...: gap = (chi - 1) / k,
    # with k = (sw2 / q) (2 / pi) r^3 / (2 (1 - r^2)^(3/2)) from the second derivative of arcsin.
    q = 1.0
    sw2 = (1 + above) * math.pi / 4 * math.sqrt(5)
    r = 2 / 3
    sb2 = q - sw2 * 2 / math.pi * math.asin(r)
    bend = sw2 / q * 2 / math.pi * r**3 / (2 * (1 - r * r) ** 1.5)
    gap = 1 - correlation_fixed_point(sw2, sb2, torch.erf)
    assert gap == pytest.approx(above / bend, rel=4 * above + 1e-6)


def test_odd_activations_without_bias_decorrelate():
    for sw2 in (1 + 1e-6, 1.5, 25.0):
        assert correlation_fixed_point(sw2, 0.0, "tanh") == 0
    assert correlation_fixed_point(1.0, 0.0, "tanh") == 1
    assert correlation_fixed_point(0.4, 0.0, "tanh") == 1


def test_maps_at_vanishing_variance():
    for c in (-1.0, -0.3, 0.0, 0.8, 1.0):
        assert correlation_map(c, 0.5, 0.0, "tanh") == pytest.approx(c, abs=1e-14)
        assert correlation_map(c, 0.0, 0.3, "sigmoid") == 1
        assert correlation_map(c, 0.0, 0.0, "sigmoid") == 1
    theta = math.pi / 2  # selu near 0 is its two slopes
    a, b = 1.0507009873554805, 1.7580993408473766
    wanted = (
        ((a * a + b * b) * math.sin(theta) - 2 * a * b * math.sin(theta))
        / math.pi
        / (a * a + b * b)
    )
    assert correlation_map(0.0, 0.4, 0.0, "selu") == pytest.approx(wanted, rel=1e-12)


def test_relu():
    assert correlation_fixed_point(2.0, 0.0, "relu") == 1
    assert correlation_fixed_point(1.0, 0.5, "relu") == 1
    with pytest.raises(ValueError, match="grows without bound"):
        correlation_fixed_point(2.0, 0.5, "relu")


@pytest.mark.parametrize("c", [-1.1, 1.0001, math.nan])
def test_correlations_that_are_refused(c):
    with pytest.raises(ValueError, match=r"c must be a number in \[-1, 1\]"):
        correlation_map(c, 1.0, 0.1, "tanh")


def test_other_bad_input():
    with pytest.raises(TypeError, match="c must be"):
        correlation_map("0", 1.0, 0.1, "tanh")
    with pytest.raises(ValueError, match="sw2 must be"):
        correlation_map(0.0, -1.0, 0.1, "tanh")
    with pytest.raises(ValueError, match="sb2 must be"):
        correlation_fixed_point(1.0, np.nan, "tanh")
    with pytest.raises(ValueError, match="phi must be one of"):
        correlation_fixed_point(1.0, 0.1, "swish2")


def test_the_points_of_one_map_share_its_network():
    prepared = mean_field_correlation._remembered_pair
    prepared.cache_clear()
    named = [correlation_map(c, 1.9, 0.2, "softsign") for c in (0.1, 0.5, 0.9)]
    assert (prepared.cache_info().misses, prepared.cache_info().hits) == (1, 2)
    softsign = torch.nn.functional.softsign
    written_out = [correlation_map(c, 1.9, 0.2, softsign, kinks=(0.0,)) for c in (0.1, 0.5, 0.9)]
    assert named == pytest.approx(written_out, rel=1e-10)
    assert prepared.cache_info().misses == 1
