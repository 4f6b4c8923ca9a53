"""The critical line and the depth scales: closed forms for erf, finite differences, published."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from d2lstab.theory import mean_field
from d2lstab.theory.mean_field import (
    correlation_fixed_point,
    correlation_map,
    critical_weight_variance,
    depth_scales,
    fixed_point,
    length_map,
    slope,
)


def test_the_room_of_the_fixed_names():
    assert set(mean_field.__all__) - {"DepthScales"} == {
        "length_map", "fixed_point", "slope", "correlation_map", "correlation_fixed_point",
        "critical_weight_variance", "depth_scales",
    }  # fmt: skip


@given(st.floats(-8, 1.5))
@settings(deadline=None, derandomize=True, max_examples=15)
def test_critical_line_of_erf(exponent):
    sb2 = 10**exponent

    def excess(log_q):  # both conditions, sw2 = pi sqrt(1 + 4 q) / 4
        q = math.exp(log_q)
        return math.sqrt(1 + 4 * q) / 2 * math.asin(2 * q / (1 + 2 * q)) + sb2 - q

    q = math.exp(brentq(excess, math.log(sb2), 10, xtol=1e-14))
    wanted = math.pi / 4 * math.sqrt(1 + 4 * q)
    assert critical_weight_variance(sb2, torch.erf) == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize(
    "phi", ["sigmoid", "scaled_sigmoid", "tanh", "softsign", "hardtanh", "selu", "elu"]
)
@pytest.mark.parametrize("sb2", [1e-4, 0.05, 2.0])
def test_chi_is_one_on_the_critical_line(phi, sb2):
    sw2 = critical_weight_variance(sb2, phi)
    assert slope(sw2, sb2, phi) == pytest.approx(1, abs=1e-9)
    assert slope(0.98 * sw2, sb2, phi) < 1 < slope(1.02 * sw2, sb2, phi)


def test_limits_without_bias():
    for phi in ("linear", "tanh", "scaled_sigmoid", "softsign", "hardtanh", "elu"):
        assert critical_weight_variance(0, phi) == pytest.approx(1, rel=1e-9)
    assert critical_weight_variance(0, "relu") == 2
    assert critical_weight_variance(0, "leaky_relu") == pytest.approx(2 / 1.0001, rel=1e-12)
    assert critical_weight_variance(0, torch.erf) == pytest.approx(math.pi / 4, rel=1e-9)
    assert critical_weight_variance(0, "gelu") == pytest.approx(4, rel=1e-9)
    for phi in ("tanh", "gelu", "selu", "sigmoid"):  # continuous in sb2
        near = critical_weight_variance(1e-12, phi)
        assert near == pytest.approx(critical_weight_variance(0, phi), rel=3e-3)


def test_small_biases_follow_the_cube_root():
    # On the line q = (3 sb2 / 4)^(1/3) and sw2 = 1 + 2 q to lowest order.
    q = (0.75e-9) ** (1 / 3)
    assert critical_weight_variance(1e-9, "tanh") - 1 == pytest.approx(2 * q, rel=0.01)


def test_published_critical_point_of_tanh():
    # Schoenholz et al. (2017): sb2 = 0.05 has its critical point near sw2 = 1.76.
    assert critical_weight_variance(0.05, "tanh") == pytest.approx(1.76, abs=5e-3)


def test_no_critical_line():
    for sb2 in (0.0, 0.5):
        with pytest.raises(ValueError, match="critical line"):
            critical_weight_variance(sb2, "softplus")
    with pytest.raises(ValueError, match="critical line"):
        critical_weight_variance(0.5, torch.ones_like)


@given(st.floats(0.3, 4), st.floats(0.01, 1), st.sampled_from(["tanh", "sigmoid", "softsign"]))
@settings(deadline=None, derandomize=True, max_examples=12)
def test_depth_scales_against_finite_differences(sw2, sb2, phi):
    q, c = fixed_point(sw2, sb2, phi), correlation_fixed_point(sw2, sb2, phi)
    scales = depth_scales(sw2, sb2, phi)
    h = 1e-4 * q
    rise = (length_map(q + h, sw2, sb2, phi) - length_map(q - h, sw2, sb2, phi)) / (2 * h)
    assert math.exp(-1 / scales.length) == pytest.approx(rise, rel=1e-6)
    assert math.exp(-1 / scales.gradient) == pytest.approx(slope(sw2, sb2, phi), rel=1e-12)
    if c == 1:
        assert scales.correlation == scales.gradient
    elif c < 0.99:
        h = 1e-3 * (1 - c)
        maps = [correlation_map(c + k * h, sw2, sb2, phi) for k in (-1, 1)]
        wanted = (maps[1] - maps[0]) / (2 * h)
        assert math.exp(-1 / scales.correlation) == pytest.approx(wanted, rel=1e-4)


def test_signs_of_the_depth_scales():
    ordered, chaotic = depth_scales(1.0, 0.05, "tanh"), depth_scales(3.0, 0.05, "tanh")
    assert ordered.gradient > 0 > chaotic.gradient
    assert ordered.correlation > 0 < chaotic.correlation
    assert ordered.length > 0 < chaotic.length


def test_depth_scales_at_criticality():
    for sw2, phi in ((1.0, "tanh"), (2.0, "relu"), (1.0, "linear")):
        scales = depth_scales(sw2, 0.0, phi)
        assert scales.length == scales.correlation == scales.gradient == math.inf
    near = depth_scales(critical_weight_variance(0.05, "tanh") * (1 + 1e-6), 0.05, "tanh")
    assert near.gradient < -1e5
    assert near.correlation > 1e5


def test_depth_scales_of_relu_and_of_no_weights():
    half = depth_scales(1.0, 0.5, "relu")
    for scale in (half.length, half.correlation, half.gradient):
        assert scale == pytest.approx(1 / math.log(2), rel=1e-14)
    assert depth_scales(4.0, 0.0, "relu").gradient == pytest.approx(-1 / math.log(2))
    assert depth_scales(0.0, 0.3, "tanh").gradient == 0


def test_bad_input():
    for bad in (-1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="sb2 must be a number of at least 0"):
            critical_weight_variance(bad, "tanh")
        with pytest.raises(ValueError, match="sw2 must be a number of at least 0"):
            depth_scales(bad, 0.1, "tanh")
    with pytest.raises(TypeError, match="sb2 must be"):
        critical_weight_variance("0", "tanh")
    with pytest.raises(ValueError, match="phi must be one of"):
        depth_scales(1.0, 0.1, "swish2")
    with pytest.raises(TypeError, match="phi must be a name"):
        critical_weight_variance(0.0, 3)


@pytest.mark.parametrize("phi", [lambda x: x.sum(), lambda x: None], ids=["sum", "nothing"])
def test_a_phi_that_is_not_element_wise_is_told_everywhere(phi):
    for question in (
        lambda: mean_field.length_map(1.0, 1.0, 0.1, phi),
        lambda: mean_field.fixed_point(1.0, 0.1, phi),
        lambda: mean_field.slope(1.0, 0.1, phi),
        lambda: mean_field.correlation_map(0.5, 1.0, 0.1, phi),
        lambda: mean_field.correlation_fixed_point(1.0, 0.1, phi),
        lambda: mean_field.critical_weight_variance(0.1, phi),
        lambda: mean_field.depth_scales(1.0, 0.1, phi),
    ):
        with pytest.raises(TypeError, match="phi must be element-wise"):
            question()


@pytest.mark.parametrize("kinks", [5, torch.tensor(2)], ids=["number", "tensor"])
@pytest.mark.parametrize("phi", ["tanh", torch.tanh], ids=["name", "function"])
def test_kinks_that_are_no_sequence_are_told_everywhere(phi, kinks):
    for question in (
        lambda: mean_field.length_map(1.0, 1.0, 0.1, phi, kinks),
        lambda: mean_field.fixed_point(1.0, 0.1, phi, kinks),
        lambda: mean_field.slope(1.0, 0.1, phi, kinks),
        lambda: mean_field.correlation_map(0.5, 1.0, 0.1, phi, kinks),
        lambda: mean_field.correlation_fixed_point(1.0, 0.1, phi, kinks),
        lambda: mean_field.critical_weight_variance(0.1, phi, kinks),
        lambda: mean_field.depth_scales(1.0, 0.1, phi, kinks),
    ):
        with pytest.raises(TypeError, match="kinks must be a sequence"):
            question()
