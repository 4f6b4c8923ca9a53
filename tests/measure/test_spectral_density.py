"""Densities against matrices of known spectrum, within the stated standard deviations."""

import math

import pytest
import torch
from torch import nn

from d2lstab.measure.curvature import HessianOperator, spectral_density


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def clusters(n, dtype=torch.float64):
    values = torch.cat([torch.ones(n // 2), torch.full((n // 2,), 5.0)]).to(dtype)
    noise = torch.randn(n, n, generator=seeded(1), dtype=torch.float64)
    q = torch.linalg.qr(noise)[0].to(dtype)
    a = (q * values) @ q.T
    return (a + a.T) / 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_two_clusters(dtype):
    """n = 200, 10 probes: the mass has sd 1 / sqrt(2 * 202 * 10) = 0.0157; bound 4 sd."""
    found = spectral_density(clusters(200, dtype), generator=seeded())
    assert found.mass_error == pytest.approx(1 / math.sqrt(2 * 202 * 10))
    assert found.weights.sum().item() == pytest.approx(1, abs=1e-12)
    assert bool((found.weights >= 0).all())
    assert found.nodes.dtype == dtype
    assert bool((found.nodes[1:] >= found.nodes[:-1]).all())
    for center in (1, 5):
        mass = float(found.weights[(found.nodes - center).abs() < 1e-3].sum())
        assert abs(mass - 0.5) < 4 * found.mass_error


def test_the_error_is_what_is_stated():
    """400 single probes of n = 20: sd of the mass at 5 against 1 / sqrt(44), to 5 of its sd.

    The estimated sd of 400 nearly normal values has relative sd 1 / sqrt(800) = 0.035.
    """
    masses, matrix, random = [], clusters(20), seeded()
    for _ in range(400):
        found = spectral_density(matrix, generator=random, probes=1)
        masses.append(float(found.weights[found.nodes > 3].sum()))
    spread = torch.tensor(masses).std().item()
    assert spread / found.mass_error == pytest.approx(1, abs=5 * 0.0354)


def test_moments_are_exact_in_the_mean():
    """tr H^p / n for p <= 2 steps - 1, from all n unit-sphere averages: within 5 sd."""
    values = torch.linspace(-1, 2, 100, dtype=torch.float64)
    found = spectral_density(torch.diag(values), generator=seeded(), probes=200, steps=3)
    for power in range(6):
        estimate = float((found.weights * found.nodes**power).sum())
        f = values**power
        sd = math.sqrt(2 * float(f.var(unbiased=False)) / (102 * 200))
        assert abs(estimate - float(f.mean())) <= 5 * sd + 1e-12


def test_products_are_counted_and_chains_end_early():
    found = spectral_density(clusters(50), generator=seeded(), probes=3, steps=20)
    assert found.products == 6
    assert len(found.nodes) == 6
    zero = spectral_density(torch.zeros(4, 4), generator=seeded(), probes=2)
    assert zero.nodes.tolist() == [0.0, 0.0]
    assert zero.weights.tolist() == [0.5, 0.5]


def test_inference_mode_changes_nothing():
    data = torch.randn(9, 3, generator=seeded(2)), torch.randn(9, 2, generator=seeded(3))
    operator = HessianOperator(nn.Linear(3, 2), nn.functional.mse_loss, *data)
    expected = spectral_density(operator, generator=seeded(), probes=3)
    with torch.inference_mode():
        found = spectral_density(operator, generator=seeded(), probes=3)
        assert torch.equal(found.nodes, expected.nodes)
        assert torch.equal(found.weights, expected.weights)


@pytest.mark.parametrize(
    ("keywords", "error", "words"),
    [
        ({"generator": None}, TypeError, "generator"),
        ({"generator": 3}, TypeError, "generator"),
        ({"generator": seeded(), "probes": 0}, ValueError, "probes"),
        ({"generator": seeded(), "probes": 2.0}, TypeError, "probes"),
        ({"generator": seeded(), "steps": 0}, ValueError, "steps"),
        ({"generator": seeded(), "steps": True}, TypeError, "steps"),
    ],
)
def test_bad_input(keywords, error, words):
    with pytest.raises(error, match=words):
        spectral_density(torch.eye(3), **keywords)


def test_a_matrix_that_is_none():
    with pytest.raises(ValueError, match="symmetric"):
        spectral_density(torch.tensor([[0.0, 1.0], [0.0, 0.0]]), generator=seeded())


def test_generator_is_required():
    with pytest.raises(TypeError, match="generator"):
        spectral_density(torch.eye(3))
