"""Adam's and RAdam's factors against torch's steps, the variance against mpmath."""

import math

import mpmath as mp
import pytest
import torch

from d2lstab.theory.adaptive import (
    adam_bias_correction,
    inverse_rms_variance,
    radam_length,
    radam_rectification,
)


def test_bias_correction_is_the_sum_of_the_weights() -> None:
    for beta in (0.0, 0.5, 0.9, 0.999):
        for t in (1, 2, 7, 100):
            weights = math.fsum((1 - beta) * beta ** (t - i) for i in range(1, t + 1))
            assert adam_bias_correction(beta, t) == pytest.approx(weights, rel=1e-12)
    assert adam_bias_correction(1 - 2**-50, 1) == 2**-50  # a naive 1 - beta^t agrees at t = 1
    with mp.workdps(60):
        exact = float(1 - mp.mpf(1 - 1e-12) ** 3)
    assert adam_bias_correction(1 - 1e-12, 3) == pytest.approx(exact, rel=1e-14, abs=0)


def test_length_is_the_mean_age_of_the_samples() -> None:
    # twice the weighted mean of 1..t, minus 1: an average over n samples has 2 (n+1)/2 - 1 = n
    for beta in (0.5, 0.9, 0.999):
        for t in (1, 2, 5, 50, 400):
            weights = [beta ** (i - 1) for i in range(1, t + 1)]
            mean = math.fsum(i * w for i, w in enumerate(weights, 1)) / math.fsum(weights)
            assert radam_length(t, beta) == pytest.approx(2 * mean - 1, rel=1e-10)


def test_published_lengths_and_rectifications() -> None:
    lengths = {1: 1.0, 4: 3.9975, 5: 4.9960, 6: 5.9942}
    for t, rho in lengths.items():
        assert radam_length(t, 0.999) == pytest.approx(rho, abs=6e-5)
    table = {5: 0.01731, 6: 0.02582, 10: 0.04900, 100: 0.21534, 1000: 0.64533, 10000: 0.99977}
    for t, r in table.items():
        assert radam_rectification(t, 0.999) == pytest.approx(r, abs=6e-6)
    for t in (1, 2, 3, 4):
        assert radam_rectification(t, 0.999) is None


def test_small_beta2_is_never_rectified() -> None:
    # rho_inf = 2 / (1 - beta2) - 1 <= 4 up to beta2 = 0.6
    for beta2 in (0.0, 0.3, 0.6):
        assert all(radam_rectification(t, beta2) is None for t in (1, 10, 1000))
    assert radam_rectification(1000, 0.7) == pytest.approx(1, abs=1e-12)


def test_rectification_in_torchs_steps() -> None:
    # constant gradient g: m and v, corrected, are g and g^2, so a step is lr * r_t
    parameter = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.RAdam([parameter], lr=0.01, eps=1e-16)
    for t in range(1, 12):
        before = parameter.item()
        parameter.grad = torch.tensor([3.7], dtype=torch.float64)
        optimizer.step()
        moved = before - parameter.item()
        if t <= 5:  # torch waits for rho_t > 5, the paper for 4
            assert moved == pytest.approx(0.037, rel=1e-9)
        else:
            r = radam_rectification(t, 0.999)
            assert r is not None
            assert moved == pytest.approx(0.01 * r, rel=1e-9)


@pytest.mark.parametrize("t", [3, 4, 5, 10, 20, 38, 39, 40, 41, 60, 100, 1001, 10**6, 10**9])
def test_inverse_rms_variance_against_mpmath(t: int) -> None:
    with mp.workdps(60):
        ratio = mp.exp(mp.loggamma(mp.mpf(t - 1) / 2) - mp.loggamma(mp.mpf(t) / 2))
        exact = float(mp.mpf(t) / (t - 2) - mp.mpf(t) / 2 * ratio**2)
    assert inverse_rms_variance(t) == pytest.approx(exact, rel=1e-12, abs=0)


def test_inverse_rms_variance_published_and_infinite() -> None:
    table = {3: 1.0901, 4: 0.4292, 5: 0.25196, 10: 0.075546, 20: 0.030424, 100: 0.0051928}
    for t, variance in table.items():
        assert inverse_rms_variance(t) == pytest.approx(variance, rel=2e-4)
    assert inverse_rms_variance(1) == inverse_rms_variance(2) == math.inf


def test_inverse_rms_variance_by_integration() -> None:
    # the chi-square density, integrated: no Gamma function of the formula under test
    for t in (5, 8):
        with mp.workdps(20):

            def moment(k: int, t: int = t) -> mp.mpf:
                def density(s: mp.mpf) -> mp.mpf:
                    return s ** (mp.mpf(t) / 2 - 1) * mp.exp(-s / 2)

                top = mp.quad(
                    lambda s: (s / t) ** (-mp.mpf(k) / 2) * density(s), [0, 1, 10, mp.inf]
                )
                return top / mp.quad(density, [0, 1, 10, mp.inf])

            exact = float(moment(2) - moment(1) ** 2)
        assert inverse_rms_variance(t) == pytest.approx(exact, rel=1e-7)


@pytest.mark.parametrize("beta", [1.0, -0.1, math.nan, math.inf, 2])
def test_bad_decay_rates(beta: float) -> None:
    with pytest.raises(ValueError, match="beta must be"):
        adam_bias_correction(beta, 1)
    with pytest.raises(ValueError, match="beta2 must be"):
        radam_length(1, beta)
    with pytest.raises(ValueError, match="beta2 must be"):
        radam_rectification(1, beta)


@pytest.mark.parametrize(("step", "error"), [(0, ValueError), (-1, ValueError), (1.0, TypeError)])
def test_bad_steps(step: int, error: type) -> None:
    for call in (lambda: adam_bias_correction(0.9, step), lambda: radam_length(step, 0.9)):
        with pytest.raises(error, match="step must be"):
            call()
    with pytest.raises(error, match="step must be"):
        radam_rectification(step, 0.9)
    with pytest.raises(error, match="samples must be"):
        inverse_rms_variance(step)
