"""Against closed forms, an exact simulation of the blocks' law, and networks taken apart."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from d2lstab.theory.activations import moments
from d2lstab.theory.residual import path_shares, residual_log_variance, residual_profile

scales = st.floats(0, 3)
depths = st.integers(0, 60)


@given(st.integers(1, 300), depths, scales, st.sampled_from([("linear", 1), ("relu", 2)]))
@settings(deadline=None, derandomize=True, max_examples=25)
def test_homogeneous_blocks_grow_geometrically_both_ways(width, depth, scale, case):
    phi, factor = case
    profile = residual_profile(width, depth, factor / width, phi, scale, 3.0)
    growth = (1 + scale**2) ** np.arange(depth + 1)
    np.testing.assert_allclose(profile.forward, 3.0 * growth, rtol=1e-11)
    np.testing.assert_allclose(profile.backward, growth[::-1], rtol=1e-11)


def test_one_over_sqrt_depth_tends_to_e_from_below():
    ends = [residual_profile(8, d, 0.25, "relu", d**-0.5).forward[-1] for d in (1, 10, 1000)]
    assert ends[0] < ends[1] < ends[2] < math.e
    assert ends[2] == pytest.approx(math.e, rel=1 / 1000)  # (1 + 1/L)^L = e (1 - 1/(2L) + ...)


def test_a_bounded_activation_makes_the_sum_grow_at_most_linearly():
    profile = residual_profile(50, 200, 1 / 50, "tanh", 1.0, 1.0)
    steps = np.diff(profile.forward)
    assert (np.diff(steps) > 0).all()
    assert (steps < 1).all()
    first = moments("tanh", 1.0)
    assert steps[0] == pytest.approx(first.second, rel=1e-12)
    ratios = profile.backward[:-1] / profile.backward[1:]
    assert ratios[0] == pytest.approx(1 + first.derivative_second, rel=1e-12)
    assert (np.diff(ratios) < 0).all()


def test_the_ends_of_the_range():
    still = residual_profile(4, 3, 0.5, "relu", 0.0, 2.0)
    assert still.forward.tolist() == [2.0] * 4
    assert still.backward.tolist() == [1.0] * 4
    assert residual_profile(4, 0, 0.5).backward.tolist() == [1.0]
    assert residual_profile(4, 2, 0.5, input_second_moment=0).forward.tolist() == [0, 0, 0]
    huge = residual_profile(4, 2000, 0.5)
    assert math.isinf(huge.forward[-1])
    assert math.isinf(huge.backward[0])
    assert not np.isnan(huge.forward).any()


@pytest.mark.parametrize(("depth", "scale"), [(12, 1.0), (40, 40**-0.5), (10, 2.0)])
def test_mean_and_variance_of_the_logarithm(depth, scale):
    # W r given r is N(0, 2/n |r|^2): blocks without their matrices, exact in law.
    width, trials = 400, 1500
    draw = torch.Generator().manual_seed(4)
    h = torch.randn(trials, width, generator=draw, dtype=torch.float64)
    start = h.square().sum(1)
    for _ in range(depth):
        noise = torch.randn(trials, width, generator=draw, dtype=torch.float64)
        h = h + scale * (2 / width) ** 0.5 * h.relu().norm(dim=1, keepdim=True) * noise
    logs = (h.square().sum(1) / start).log()
    law = residual_log_variance(width, depth, scale)
    # 4 standard errors of a variance, and its next order: (depth / width) of it
    assert float(logs.var()) == pytest.approx(law, rel=4 * math.sqrt(2 / trials) + depth / width)
    expected = math.log(residual_profile(width, depth, 2 / width, "relu", scale).forward[-1])
    off = 4 * math.sqrt(law / trials)
    assert -law / 2 - off <= float(logs.mean()) - expected <= off


def test_log_variance_in_closed_form():
    # two plain blocks of width 1: twice (1 + 3/4), and the memory between them at c = 1/sqrt(2)
    memory = 2 / math.pi * (math.pi / 2 + 1.5)
    assert residual_log_variance(1, 2) == pytest.approx(2 * (1.5 + 0.75) + memory / 2, rel=1e-12)
    assert residual_log_variance(100, 2) == pytest.approx(residual_log_variance(1, 2) / 100)
    assert residual_log_variance(7, 0) == residual_log_variance(7, 9, 0.0) == 0

    # a = 1/sqrt(L), L -> inf: the sum becomes an integral over depth
    def memory_at(u):
        c = math.exp(-u / 2)
        k = 2 / math.pi * ((1 + 2 * c**2) * math.asin(c) + 3 * c * math.sqrt(1 - c**2))
        return 2 * (1 - u) * k

    limit = 4 + integrate.quad(memory_at, 0, 1)[0]
    assert residual_log_variance(1, 20_000, 20_000**-0.5) == pytest.approx(limit, rel=4 / 20_000)
    # without the identity (a -> inf) a plain network: 2 + 3 per layer
    assert residual_log_variance(10, 6, 1e8) == pytest.approx(5 * 6 / 10, rel=1e-6)


@given(depths, st.floats(0.01, 3), st.floats(0.01, 4))
@settings(deadline=None, derandomize=True, max_examples=25)
def test_shares_are_binomial(depth, scale, factor):
    shares = path_shares(depth, scale, factor)
    square = scale**2 * factor
    expected = stats.binom.pmf(np.arange(depth + 1), depth, square / (1 + square))
    np.testing.assert_allclose(shares, expected, rtol=1e-9, atol=1e-300)
    assert shares.sum() == pytest.approx(1, rel=1e-12)


def test_without_branches_only_the_direct_path():
    assert path_shares(3, 0.0).tolist() == [1, 0, 0, 0]
    assert path_shares(0, 2.0).tolist() == [1]
    assert path_shares(4, 1e90).argmax() == 4


@pytest.mark.parametrize("function", [residual_profile, residual_log_variance, path_shares])
@pytest.mark.parametrize(
    ("scale", "error"),
    [(-1, ValueError), (math.nan, ValueError), (math.inf, ValueError), (1e101, ValueError),
     ("1", TypeError), (None, TypeError), (True, TypeError)],
)  # fmt: skip
def test_bad_scales(function, scale, error):
    arguments = {residual_profile: (4, 3, 0.5), residual_log_variance: (4, 3), path_shares: (3,)}
    with pytest.raises(error, match="branch_scale must be"):
        function(*arguments[function], branch_scale=scale)


@pytest.mark.parametrize(
    ("change", "error"),
    [({"width": 0}, ValueError), ({"width": 2.5}, TypeError), ({"width": True}, TypeError),
     ({"depth": -1}, ValueError), ({"depth": 1.0}, TypeError), ({"depth": "3"}, TypeError),
     ({"weight_variance": -1}, ValueError), ({"weight_variance": math.nan}, ValueError),
     ({"input_second_moment": -1}, ValueError), ({"input_second_moment": "1"}, TypeError),
     ({"phi": "rely"}, ValueError), ({"phi": 3}, TypeError), ({"kinks": 5}, TypeError)],
)  # fmt: skip
def test_bad_arguments(change, error):
    with pytest.raises(error, match=next(iter(change))):
        residual_profile(**({"width": 4, "depth": 3, "weight_variance": 0.5} | change))


@pytest.mark.parametrize("factor", [-1, math.nan, math.inf, 1e101])
def test_bad_branch_factor(factor):
    with pytest.raises(ValueError, match="branch_factor must be"):
        path_shares(3, 1.0, factor)
    for bad in (-1, 0.0, True):
        with pytest.raises((ValueError, TypeError), match="depth must be"):
            path_shares(bad)
