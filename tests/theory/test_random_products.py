"""Against mpmath, scipy's quadrature, published values and exact small cases."""

import math

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from d2lstab.theory.random_products import (
    fourth_moment_ratio,
    log_growth,
    lyapunov_spectrum,
    max_squared_singular_value,
)


def test_spectrum_of_four_by_four():
    # Newman's law at n = 4 in closed form: psi(2) = 1 - g, psi(3/2) = 2 - g - 2 ln 2,
    # psi(1) = -g and psi(1/2) = -g - 2 ln 2, with Euler's constant g.
    g, two = float(mpmath.euler), math.log(2)
    psi = np.array([1 - g, 2 - g - 2 * two, -g, -g - 2 * two])
    np.testing.assert_allclose(lyapunov_spectrum(4), (two + psi) / 2, rtol=1e-13)
    np.testing.assert_allclose(lyapunov_spectrum(4), [0.5580, 0.3648, 0.0580, -0.6352], atol=5e-5)


@given(st.integers(1, 300), st.floats(1e-3, 1e3))
@settings(deadline=None, derandomize=True, max_examples=30)
def test_spectrum_against_mpmath(n, std):
    spectrum = lyapunov_spectrum(n, std)
    assert spectrum.shape == (n,)
    assert (np.diff(spectrum) < 0).all()
    for k in {1, (n + 1) // 2, n}:
        with mpmath.workdps(30):
            exact = (
                mpmath.log(std) + (mpmath.log(2) + mpmath.digamma(mpmath.mpf(n - k + 1) / 2)) / 2
            )
        assert spectrum[k - 1] == pytest.approx(float(exact), rel=1e-12, abs=1e-13)


def test_sum_of_the_spectrum_is_the_growth_of_volume():
    # E ln|det G| of a standard Gaussian G is the sum of E ln chi_k over k = 1, ..., n.
    n = 7
    volume = sum(
        integrate.quad(lambda x, k=k: math.log(x) * stats.chi(k).pdf(x), 0, np.inf)[0]
        for k in range(1, n + 1)
    )
    assert lyapunov_spectrum(n).sum() == pytest.approx(volume, abs=1e-8)


@pytest.mark.parametrize(("n", "rate"), [(4, 0.55797), (100, 2.29757), (256, 2.77063)])
def test_top_exponent(n, rate):
    assert lyapunov_spectrum(n)[0] == pytest.approx(rate, abs=5e-6)
    assert log_growth(n, 1).mean == lyapunov_spectrum(n)[0]


def test_growth_of_a_hundred_four_by_four_matrices():
    growth = log_growth(4, 100)
    assert growth.mean / math.log(10) == pytest.approx(24.23, abs=5e-3)
    assert math.sqrt(growth.variance) / math.log(10) == pytest.approx(1.74, abs=5e-3)
    assert growth.variance / 100 == pytest.approx((math.pi**2 / 6 - 1) / 4, rel=1e-13)


@given(st.integers(1, 200), st.integers(0, 1000), st.floats(0.01, 100))
@settings(deadline=None, derandomize=True, max_examples=15)
def test_linear_growth_against_quadrature(n, depth, std):
    chi = stats.chi2(n)
    low, high = chi.ppf(1e-14), chi.isf(1e-16)
    mean = chi.expect(lambda x: 0.5 * np.log(x), lb=max(low, 1e-300), ub=high, epsabs=1e-12)
    square = chi.expect(lambda x: (0.5 * np.log(x)) ** 2, lb=max(low, 1e-300), ub=high)
    growth = log_growth(n, depth, std)
    assert growth.mean == pytest.approx(depth * (mean + math.log(std)), abs=2e-5 * (depth + 1))
    assert growth.variance == pytest.approx(depth * (square - mean**2), abs=2e-5 * (depth + 1))


@pytest.mark.parametrize("n", [1, 2, 3, 8])
def test_relu_growth_against_every_pattern_of_units(n):
    # Sum over all 2^n - 1 patterns of active units, with mpmath's digamma functions.
    values = []
    for pattern in range(1, 2**n):
        k = mpmath.mpf(pattern.bit_count()) / 2
        mean = (mpmath.log(2) + mpmath.digamma(k)) / 2 + mpmath.log(0.3)
        values.append((mean, mpmath.psi(1, k) / 4 + mean**2))
    mean, square = (mpmath.fsum(v[i] for v in values) / len(values) for i in (0, 1))
    growth = log_growth(n, 7, std=0.3, phi="relu")
    assert growth.mean == pytest.approx(float(7 * mean), rel=1e-12)
    assert growth.variance == pytest.approx(float(7 * (square - mean**2)), rel=1e-11)


@pytest.mark.parametrize(
    ("phi", "scale", "bias", "spread"), [("linear", 1, 1, 2), ("relu", 2, 2.5, 5)]
)
def test_large_width_limit(phi, scale, bias, spread):
    n, depth = 20_000, 30
    growth = log_growth(n, depth, math.sqrt(scale / n), phi)
    # The next order is 1/n smaller; 20/n leaves room for its coefficient.
    assert 2 * growth.mean == pytest.approx(-bias * depth / n, rel=20 / n)
    assert 4 * growth.variance == pytest.approx(spread * depth / n, rel=20 / n)


def test_growth_is_additive_in_depth():
    assert log_growth(5, 0).mean == log_growth(5, 0).variance == 0
    assert log_growth(5, 10_000).mean == pytest.approx(1e4 * log_growth(5, 1).mean, rel=1e-13)


def test_simulated_norms():
    # n = 6, depth 5, 20,000 products: the mean within 4 standard errors, the variance within
    # 4 of its own (kurtosis near 3, so sd of a variance is about sqrt(2 / trials)).
    n, depth, trials = 6, 5, 20_000
    generator = torch.Generator().manual_seed(0)
    for phi, apply in (("linear", lambda x: x), ("relu", torch.relu)):
        x = torch.zeros(trials, n, dtype=torch.float64)
        x[:, 0] = 1
        for _ in range(depth):
            weight = torch.randn(trials, n, n, generator=generator, dtype=torch.float64)
            x = apply(torch.einsum("bij,bj->bi", weight, x))
        logs = x.norm(dim=1).log()
        logs = logs[torch.isfinite(logs)]
        growth = log_growth(n, depth, phi=phi)
        alive = len(logs)
        assert abs(logs.mean() - growth.mean) < 4 * math.sqrt(growth.variance / alive)
        assert abs(logs.var() / growth.variance - 1) < 4 * math.sqrt(2.5 / alive)


def test_fourth_moment_laws():
    widths = [10, 20, 50]
    assert fourth_moment_ratio(widths) == pytest.approx(math.prod(1 + 5 / n for n in widths))
    assert fourth_moment_ratio(widths, "linear") == pytest.approx(
        math.prod(1 + 2 / n for n in widths)
    )
    assert fourth_moment_ratio([1]) == 6
    assert fourth_moment_ratio([1], "linear") == 3
    assert fourth_moment_ratio((4,), torch.abs) == pytest.approx(1 + 2 / 4)


@given(st.floats(-3, 3), st.floats(-3, 3), st.lists(st.integers(1, 500), min_size=1, max_size=6))
@settings(deadline=None, derandomize=True, max_examples=20)
def test_fourth_moments_of_any_homogeneous_function(above, below, widths):
    if max(abs(above), abs(below)) < 1e-3:
        above = 1.0

    def moment(power):
        half = integrate.quad(lambda z: z**power * stats.norm.pdf(z), 0, 12, epsabs=1e-13)[0]
        return half * (above**power + below**power)

    kurtosis = moment(4) / moment(2) ** 2
    ratio = fourth_moment_ratio(widths, lambda x: torch.where(x > 0, above * x, below * x))
    assert ratio == pytest.approx(math.prod(1 + (kurtosis - 1) / n for n in widths), rel=1e-9)


def test_simulated_fourth_moment():
    # 400,000 relu networks 3 -> 8 -> 12; the bound is 5 standard errors estimated from them.
    trials, widths = 400_000, [8, 12]
    generator = torch.Generator().manual_seed(1)
    norms = torch.ones(trials, dtype=torch.float64)
    for n in widths:
        z = torch.randn(trials, n, generator=generator, dtype=torch.float64)
        norms = norms * torch.relu(z).square().sum(1) * 2 / n
    fourth = norms.square()
    error = 5 * float(fourth.std()) / math.sqrt(trials)
    assert abs(float(fourth.mean()) - fourth_moment_ratio(widths)) < error


@pytest.mark.parametrize(
    "phi", ["tanh", "sigmoid", "softplus", "selu", lambda x: x + 1, lambda x: 0 * x]
)
def test_functions_without_a_product_law(phi):
    with pytest.raises(ValueError, match="positively homogeneous"):
        fourth_moment_ratio([10], phi)


@pytest.mark.parametrize("depth", [1, 2, 5, 40, 100, 101, 1000, 10**6])
def test_largest_singular_value_against_mpmath(depth):
    with mpmath.workdps(40):
        exact = mpmath.mpf(depth + 1) * (1 + mpmath.mpf(1) / depth) ** depth
    assert max_squared_singular_value(depth) == pytest.approx(float(exact), rel=1e-14)


def test_largest_singular_value_of_simulated_products():
    # One product at n = 400; the edge fluctuates by O(n^(-2/3)) = 2 %, and 4 of these are allowed.
    n, generator = 400, torch.Generator().manual_seed(2)
    product = torch.eye(n, dtype=torch.float64)
    for depth in range(1, 4):
        product = torch.randn(n, n, generator=generator, dtype=torch.float64) / n**0.5 @ product
        largest = float(torch.linalg.matrix_norm(product, 2)) ** 2
        assert largest / max_squared_singular_value(depth) == pytest.approx(1, abs=0.08)


@pytest.mark.parametrize("n", [0, -3])
def test_widths_that_are_refused(n):
    for call in (lambda: lyapunov_spectrum(n), lambda: log_growth(n, 1)):
        with pytest.raises(ValueError, match="n must be a positive integer, got"):
            call()
    with pytest.raises(ValueError, match=r"widths\[1\] must be a positive integer"):
        fourth_moment_ratio([3, n])
    with pytest.raises(ValueError, match="depth must be a positive integer"):
        max_squared_singular_value(n)


@pytest.mark.parametrize("n", [1.5, "4", True, None, math.nan])
def test_widths_of_a_wrong_type(n):
    for call in (
        lambda: lyapunov_spectrum(n),
        lambda: log_growth(n, 1),
        lambda: log_growth(4, n),
        lambda: fourth_moment_ratio([n]),
        lambda: max_squared_singular_value(n),
    ):
        with pytest.raises(TypeError, match="must be"):
            call()


@pytest.mark.parametrize("std", [0.0, -1.0, math.nan, math.inf])
def test_deviations_that_are_refused(std):
    with pytest.raises(ValueError, match="std must be a positive number"):
        lyapunov_spectrum(4, std)
    with pytest.raises(ValueError, match="std must be a positive number"):
        log_growth(4, 1, std)


def test_other_bad_input():
    with pytest.raises(ValueError, match="depth must be an integer of at least 0"):
        log_growth(4, -1)
    with pytest.raises(ValueError, match="phi must be one of linear, relu"):
        log_growth(4, 1, phi="tanh")
    with pytest.raises(ValueError, match="at least 1 positive integers"):
        fourth_moment_ratio([])
    for scalar in (10, torch.tensor(2)):
        with pytest.raises(TypeError, match="list of at least 1"):
            fourth_moment_ratio(scalar)
    for phi in (lambda x: x.sum(), lambda x: None):
        with pytest.raises(TypeError, match="phi must be element-wise"):
            fourth_moment_ratio([10], phi)
    with pytest.raises(ValueError, match="phi must be one of"):
        fourth_moment_ratio([10], "swish2")
    with pytest.raises(TypeError, match="phi must be a name"):
        fourth_moment_ratio([10], 3)
