"""Against closed forms, the tables of Glorot and He, and wide random networks."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate

from d2lstab.theory.activations import moments
from d2lstab.theory.variance import (
    backward_factor,
    forward_factor,
    he_variance,
    moments_at,
    variance_profile,
    xavier_bound,
    xavier_variance,
)


def test_glorot_and_he():
    assert xavier_variance(300, 100) == 0.005
    assert xavier_bound(300, 100) == pytest.approx(math.sqrt(6 / 400), rel=1e-15)
    assert xavier_bound(300, 100) ** 2 / 3 == pytest.approx(xavier_variance(300, 100), rel=1e-15)
    assert he_variance(50) == 0.04
    generator = torch.Generator().manual_seed(0)
    weight = torch.empty(100, 300)
    torch.nn.init.xavier_uniform_(weight, generator=generator)
    # 30,000 uniform weights: relative sd of a variance sqrt(0.8 / 30000) = 0.5 %; 4 sd.
    assert float(weight.var()) == pytest.approx(xavier_variance(300, 100), rel=0.02)
    assert float(weight.abs().max()) <= xavier_bound(300, 100) * (1 + 1e-6)


@pytest.mark.parametrize(
    ("phi", "weight_variance", "variance", "forward", "backward"),
    [
        ("linear", 1e-4, 1.0, 0.0256, 0.0256),
        ("linear", 1e-2, 1.0, 2.56, 2.56),
        ("relu", 1e-4, 1.0, 0.0128, 0.0128),
        ("relu", 1 / 256, 7.0, 0.5, 0.5),
        ("relu", 2 / 256, 0.01, 1.0, 1.0),
        ("relu", 1 / 768, 1.0, 1 / 6, 1 / 6),
        ("sigmoid", 1 / 256, 0.26469, 1.0, 0.05572),
        ("tanh", 25 / 9 / 256, 1.17848, 1.0, 1.20983),
        ("selu", 1 / 256, 1.0, 1.0, 1.07158),
    ],
)
def test_factors_at_width_256(phi, weight_variance, variance, forward, backward):
    # Five printed digits of each, and the fixed points q* themselves are rounded.
    assert forward_factor(256, weight_variance, phi, variance) == pytest.approx(forward, rel=3e-5)
    assert backward_factor(256, weight_variance, phi, variance) == pytest.approx(backward, rel=1e-4)


def test_rectangular_layers_under_xavier():
    for inputs, outputs, forward, backward in ((64, 256, 0.4, 1.6), (256, 64, 1.6, 0.4)):
        v = xavier_variance(inputs, outputs)
        assert forward_factor(inputs, v) == pytest.approx(forward)
        assert backward_factor(outputs, v) == pytest.approx(backward)


@given(st.integers(1, 2000), st.floats(1e-6, 10), st.floats(1e-6, 1e6))
@settings(deadline=None, derandomize=True, max_examples=25)
def test_factors_against_scipy(fan, weight_variance, variance):
    std = math.sqrt(variance)

    def mean_of(f):  # in x on both sides of 0, cut where the density or sech^2 is gone
        total = 0.0
        ends = [0, *(t for t in (1, 20) if t < 12 * std), *(std, 3 * std, 12 * std)]
        ends = sorted(set(ends))
        for low, high in itertools.pairwise(ends):
            total += integrate.quad(
                lambda x: 2 * f(x) * math.exp(-x * x / 2 / variance), low, high, epsabs=0
            )[0]
        return total / std / math.sqrt(2 * math.pi)

    second = mean_of(lambda x: math.tanh(x) ** 2)
    slope = mean_of(lambda x: (1 - math.tanh(x) ** 2) ** 2)
    forward = forward_factor(fan, weight_variance, "tanh", variance)
    assert forward == pytest.approx(fan * weight_variance * second / variance, rel=1e-9)
    backward = backward_factor(fan, weight_variance, "tanh", variance)
    assert backward == pytest.approx(fan * weight_variance * slope, rel=1e-9)


def test_linear_profile_telescopes():
    widths = [5, 8, 3, 7, 2]
    weights = [0.1, 0.2, 0.3, 0.4]
    profile = variance_profile(widths, weights, "linear", 3.0)
    forward = 3.0 * np.cumprod(np.array(widths[:-1]) * weights)
    backward = np.cumprod([1, *(n * v for n, v in zip(widths[:1:-1], weights[:0:-1], strict=True))])
    np.testing.assert_allclose(profile.forward, forward, rtol=1e-13)
    np.testing.assert_allclose(profile.backward, backward[::-1], rtol=1e-13)


@given(
    st.lists(st.integers(1, 300), min_size=2, max_size=6),
    st.floats(0, 3),
    st.floats(0, 2),
    st.floats(0, 10),
    st.sampled_from(["relu", "tanh", "selu", "sigmoid"]),
)
@settings(deadline=None, derandomize=True, max_examples=25)
def test_profile_is_the_product_of_its_factors(widths, scale, bias, second, phi):
    layers = len(widths) - 1
    weights = [scale / n for n in widths[:-1]]
    profile = variance_profile(widths, weights, phi, second, bias_variance=bias)
    assert profile.forward.shape == profile.backward.shape == (layers,)
    assert profile.forward[0] == pytest.approx(scale * second + bias)
    assert profile.backward[-1] == 1
    for layer in range(layers - 1):
        q = profile.forward[layer]
        if not q > 1e-12:
            continue
        grown = forward_factor(widths[layer + 1], weights[layer + 1], phi, q) * q + bias
        assert profile.forward[layer + 1] == pytest.approx(grown, rel=1e-12)
        back = backward_factor(widths[layer + 2], weights[layer + 1], phi, q)
        wanted = back * profile.backward[layer + 1]
        assert profile.backward[layer] == pytest.approx(wanted, rel=1e-12)


def test_relu_profile_in_closed_form():
    profile = variance_profile([64] + [256] * 30, 2 / 256, "relu", 0.5)
    np.testing.assert_allclose(profile.forward, 64 * 2 / 256 * 0.5, rtol=1e-11)
    np.testing.assert_allclose(profile.backward, 1, rtol=1e-11)


def test_wide_networks_with_biases_and_uncentered_inputs():
    # Widths 40, 2000, 1000, 1500 with relu and biases, one input, 40 networks. The variance of a
    # layer scatters by about sqrt(5 L / n) = 12 % in one network; 4 sd of the mean of 40 are 8 %.
    widths, weights, bias = [40, 500, 300, 400], [1 / 40, 3 / 500, 2 / 300], 0.3
    generator = torch.Generator().manual_seed(3)
    x = torch.rand(40, generator=generator, dtype=torch.float64) + 1
    profile = variance_profile(
        widths, weights, "relu", float(x.square().mean()), bias_variance=bias
    )
    forward, backward = np.zeros(3), np.zeros(3)
    for _ in range(40):
        seen, h = [], x
        for inputs, outputs, variance in zip(widths, widths[1:], weights, strict=False):
            w = torch.randn(outputs, inputs, generator=generator, dtype=torch.float64)
            b = torch.randn(outputs, generator=generator, dtype=torch.float64)
            seen.append((math.sqrt(variance) * w @ h + math.sqrt(bias) * b).requires_grad_())
            h = torch.relu(seen[-1])
        probe = torch.randn(widths[-1], generator=generator, dtype=torch.float64)
        grads = torch.autograd.grad(seen[-1] @ probe, seen)
        forward += [float(z.detach().square().mean()) / 40 for z in seen]
        backward += [float(g.square().mean()) / 40 for g in grads]
    np.testing.assert_allclose(forward, profile.forward, rtol=0.08)
    np.testing.assert_allclose(backward / backward[-1], profile.backward, rtol=0.08)


def test_profiles_that_leave_the_range_of_float64():
    vanishing = variance_profile([64] + [256] * 300, 1e-4, "relu", 1.0)
    assert vanishing.forward[-1] == vanishing.backward[0] == 0
    growing = variance_profile([64] + [256] * 900, 0.1, "relu", 1.0)
    assert growing.forward[-1] == growing.backward[0] == math.inf
    silent = variance_profile([4, 4, 4, 4], 0.0, "sigmoid", 1.0, bias_variance=[0, 1, 0])
    assert silent.forward.tolist() == [0, 1, 0]
    assert silent.backward.tolist() == [0, 0, 1]


def test_moments_at_the_ends():
    assert moments_at("softplus", 0.0).second == pytest.approx(math.log(2) ** 2, rel=1e-14)
    assert moments_at("selu", 0.0).derivative_second == pytest.approx(2.0974429285, rel=1e-9)
    assert moments_at("tanh", math.inf).second == pytest.approx(1)
    assert moments_at("relu", 1e300).second == pytest.approx(5e299)
    assert moments_at("tanh", 2.0).second == moments("tanh", 2.0).second


@pytest.mark.parametrize("bad", [0, -4])
def test_widths_that_are_refused(bad):
    for call in (
        lambda: forward_factor(bad, 0.1),
        lambda: backward_factor(bad, 0.1),
        lambda: xavier_variance(bad, 3),
        lambda: xavier_variance(3, bad),
        lambda: xavier_bound(3, bad),
        lambda: he_variance(bad),
    ):
        with pytest.raises(ValueError, match=r"fan_(in|out) must be a positive integer"):
            call()
    with pytest.raises(ValueError, match=r"widths\[1\] must be"):
        variance_profile([3, bad, 2], 0.1, "relu", 1.0)


@pytest.mark.parametrize("bad", [2.5, "3", True, None])
def test_widths_of_a_wrong_type(bad):
    for call in (
        lambda: forward_factor(bad, 0.1),
        lambda: backward_factor(bad, 0.1),
        lambda: xavier_variance(bad, 3),
        lambda: he_variance(bad),
        lambda: variance_profile([3, bad], 0.1, "relu", 1.0),
    ):
        with pytest.raises(TypeError, match="must be"):
            call()


@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf])
def test_variances_that_are_refused(bad):
    for call in (
        lambda: forward_factor(3, bad),
        lambda: backward_factor(3, bad),
        lambda: variance_profile([3, 3], bad, "relu", 1.0),
        lambda: variance_profile([3, 3], [bad], "relu", 1.0),
        lambda: variance_profile([3, 3], 1.0, "relu", bad),
        lambda: variance_profile([3, 3], 1.0, "relu", 1.0, bias_variance=bad),
    ):
        with pytest.raises(ValueError, match="must be a number of at least 0"):
            call()
    with pytest.raises(ValueError, match="variance must be a positive number"):
        forward_factor(3, 0.1, "relu", bad)


def test_other_bad_input():
    with pytest.raises(ValueError, match="weight_variance must have 2 entries, got 1"):
        variance_profile([3, 3, 3], [1.0], "relu", 1.0)
    with pytest.raises(ValueError, match="at least 2 positive integers"):
        variance_profile([3], 1.0, "relu", 1.0)
    with pytest.raises(TypeError, match="weight_variance must be"):
        variance_profile([3, 3], "0.1", "relu", 1.0)
    with pytest.raises(ValueError, match="phi must be one of"):
        variance_profile([3, 3], 0.1, "swish2", 1.0)
    with pytest.raises(TypeError, match="widths must be a list"):
        variance_profile(torch.tensor(2), 0.1, "relu", 1.0)
    for kinks in (5, torch.tensor(2)):
        with pytest.raises(TypeError, match="kinks must be a sequence"):
            variance_profile([3, 3], 0.1, "relu", 1.0, kinks=kinks)
