import math

import pytest
import torch
from scipy.special import polygamma, psi

from d2lstab.measure.random_products import log_norms, lyapunov_estimates


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


# ln |x_l| grows by ln std + ln(chi2_n) / 2 at every layer, independently: mean
# ln std + (ln 2 + psi(n/2)) / 2 and variance psi'(n/2) / 4, exact for every n.
def mean(n, std):
    return math.log(std) + (math.log(2) + psi(n / 2)) / 2


def variance(n):
    return polygamma(1, n / 2) / 4


@pytest.mark.parametrize(
    ("n", "depth", "trials", "std"),
    [(1, 20, 2000, 1.0), (4, 100, 500, 1.0), (2, 10_000, 20, 3.0), (50, 30, 40, 0.1)],
)
def test_growth_has_the_exact_mean_and_variance(n, depth, trials, std):
    growth = log_norms(n, depth, trials, std=std, generator=seeded())
    assert growth.shape == (trials, depth)
    assert growth.dtype == torch.float64
    # the increments of all trials and layers are independent: N = depth * trials of them
    steps = growth.diff(dim=1, prepend=torch.zeros(trials, 1, dtype=torch.float64))
    count = depth * trials
    bound = 4.5 * math.sqrt(variance(n) / count)  # 4.5 standard deviations
    assert abs(float(steps.mean()) - mean(n, std)) < bound
    # fourth cumulant of ln(chi2_n)/2 is psi'''(n/2)/16, hence the sd of the sample variance
    sd = math.sqrt((polygamma(3, n / 2) / 16 + 2 * variance(n) ** 2) / count)
    assert abs(float(steps.var()) - variance(n)) < 4.5 * sd


def test_it_is_the_norm_of_the_product_with_the_drawn_matrices():
    growth = log_norms(3, 4, 2, std=0.5, generator=seeded(7))
    generator = seeded(7)
    x = torch.full((2, 3, 1), 3**-0.5, dtype=torch.float64)
    for layer in range(4):
        x = 0.5 * torch.randn(2, 3, 3, generator=generator).double() @ x
        expected = torch.linalg.vector_norm(x, dim=(1, 2)).log()
        torch.testing.assert_close(growth[:, layer], expected, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("std", [1e-300, 1e300])
def test_extreme_scales_neither_overflow_nor_underflow(std):
    one = log_norms(3, 200, 5, std=1.0, generator=seeded())
    growth = log_norms(3, 200, 5, std=std, generator=seeded())
    layers = torch.arange(1, 201, dtype=torch.float64)
    torch.testing.assert_close(growth, one + layers * math.log(std), rtol=1e-12, atol=0)


@pytest.mark.parametrize("phi", ["relu", "leaky_relu"])
def test_rectified_layers_keep_half_the_second_moment(phi):
    # E |x_1|^2 / |x_0|^2 = n std^2 (1 + a^2) / 2 for slope a on the left; with std^2 = 1/n the
    # ratio is a mean of n squares phi(z)^2 of variance 3 (1 + a^4) / 2 - ((1 + a^2) / 2)^2.
    n, trials, a = 64, 2000, 0.0 if phi == "relu" else 0.01
    growth = log_norms(n, 1, trials, std=n**-0.5, generator=seeded(), phi=phi)
    half = (1 + a**2) / 2
    sd = math.sqrt((3 * (1 + a**4) / 2 - half**2) / (n * trials))
    assert abs(float(growth.mul(2).exp().mean()) - half) < 4.5 * sd


def test_a_network_that_falls_silent_stays_at_minus_infinity():
    # a ReLU layer of width 1 is silent with probability 1/2: 30 layers survive with 2**-30
    growth = log_norms(1, 30, 50, std=1.0, generator=seeded(), phi="relu")
    assert (growth[:, -1] == -math.inf).all()
    assert not growth.isnan().any()
    silent = growth.isinf()
    assert (silent[:, 1:] >= silent[:, :-1]).all()
    # 4.5 standard deviations of the share at the first layer
    assert abs(float(silent[:, 0].double().mean()) - 0.5) < 4.5 * math.sqrt(0.25 / 50)


def test_chunks_are_independent_and_cover_every_trial(monkeypatch):
    monkeypatch.setattr("d2lstab.measure.random_products._LARGEST_BLOCK", 40)
    growth = log_norms(3, 50, 11, std=1.0, generator=seeded())
    assert growth.shape == (11, 50)
    assert growth.is_contiguous()
    assert len(set(growth[:, 0].tolist())) == 11
    estimates = lyapunov_estimates(3, 50, 11, std=1.0, generator=seeded())
    assert estimates.exponents.isfinite().all()


# Newman (1986): exponent k is ln std + (ln 2 + psi((n - k + 1) / 2)) / 2, its variance per layer
# psi'((n - k + 1) / 2) / 4
@pytest.mark.parametrize(
    ("n", "depth", "trials", "std"), [(4, 200, 50, 1.0), (2, 10_000, 2, 0.01), (12, 20, 60, 2.0)]
)
def test_exponents_and_their_errors_are_newmans(n, depth, trials, std):
    estimates = lyapunov_estimates(n, depth, trials, std=std, generator=seeded())
    assert (estimates.trials, estimates.depth) == (trials, depth)
    for k in range(n):
        sd = math.sqrt(variance(n - k) / (depth * trials))
        assert abs(float(estimates.exponents[k]) - mean(n - k, std)) < 4.5 * sd
        # a variance from B blocks of 4 layers has relative sd sqrt((2 + excess / 4) / B) with
        # excess = psi''' / psi'^2, and its root half of that
        half = (n - k) / 2
        excess = polygamma(3, half) / polygamma(1, half) ** 2
        relative = math.sqrt((2 + excess / 4) / (depth * trials / 4)) / 2
        assert abs(float(estimates.standard_error[k]) / sd - 1) < 4.5 * relative


def test_the_sum_of_the_exponents_is_the_determinant():
    estimates = lyapunov_estimates(3, 5, 2, std=1.0, generator=seeded(3))
    generator = seeded(3)
    logs = [
        torch.linalg.slogdet(torch.randn(2, 3, 3, generator=generator).double())[1].mean()
        for _ in range(5)
    ]
    torch.testing.assert_close(estimates.exponents.sum(), torch.stack(logs).mean())


@pytest.mark.parametrize("n", [1, 5, 100])
def test_the_interval_between_two_qr_does_not_matter(n, monkeypatch):
    four = lyapunov_estimates(n, 10, 3, std=1.0, generator=seeded())
    monkeypatch.setattr("d2lstab.measure.random_products._LAYERS_PER_QR", 1)
    one = lyapunov_estimates(n, 10, 3, std=1.0, generator=seeded())
    torch.testing.assert_close(four.exponents, one.exponents, rtol=0, atol=1e-9)


def test_a_single_factor_has_no_standard_error():
    estimates = lyapunov_estimates(2, 1, 1, std=1.0, generator=seeded())
    assert estimates.standard_error.isnan().all()
    assert estimates.exponents.isfinite().all()


def test_the_global_generator_is_not_used():
    before = torch.get_rng_state()
    first = log_norms(2, 3, 4, std=1.0, generator=seeded())
    lyapunov_estimates(2, 3, 4, std=1.0, generator=seeded())
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, log_norms(2, 3, 4, std=1.0, generator=seeded()))


@pytest.mark.parametrize("function", [log_norms, lyapunov_estimates])
@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"n": 0}, ValueError),
        ({"n": 2.0}, TypeError),
        ({"n": True}, TypeError),
        ({"depth": -1}, ValueError),
        ({"depth": "3"}, TypeError),
        ({"trials": 0}, ValueError),
        ({"trials": None}, TypeError),
        ({"std": 0.0}, ValueError),
        ({"std": -1.0}, ValueError),
        ({"std": math.nan}, ValueError),
        ({"std": math.inf}, ValueError),
        ({"std": "1"}, TypeError),
        ({"generator": 0}, TypeError),
        ({"generator": None}, TypeError),
    ],
)
def test_bad_input_is_told_what_to_do(function, change, error):
    arguments = {"n": 2, "depth": 3, "trials": 4, "std": 1.0, "generator": seeded(), **change}
    with pytest.raises(error, match=r"must be .* got .*"):
        function(**arguments)


@pytest.mark.parametrize(("phi", "error"), [("tanh", ValueError), (torch.relu, TypeError)])
def test_only_homogeneous_activations(phi, error):
    with pytest.raises(error, match="phi must be one of"):
        log_norms(2, 3, 4, std=1.0, generator=seeded(), phi=phi)
