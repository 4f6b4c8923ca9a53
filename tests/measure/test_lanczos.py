"""Eigenpairs of matrices manufactured with a known spectrum."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import diags
from torch import nn

from d2lstab.measure.curvature import HessianOperator, eigenpairs, hessian_matrix


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def uniform(n, seed=0):
    return torch.rand(n, generator=seeded(seed), dtype=torch.float64)


def with_spectrum(values, seed=0, dtype=torch.float64):
    """A dense symmetric matrix of these eigenvalues in random directions."""
    n = len(values)
    noise = torch.randn(n, n, generator=seeded(seed), dtype=torch.float64)
    q = torch.linalg.qr(noise)[0]
    a = (q * values) @ q.T
    return ((a + a.T) / 2).to(dtype)


def diagonal(*values):
    return torch.diag(torch.tensor(values, dtype=torch.float64))


ORDER = {"largest": lambda v: -v, "smallest": lambda v: v, "magnitude": lambda v: -v.abs()}


def assert_answers(matrix, spectrum, k, which, tolerance=1e-4):
    """Every promise of the result, and the k right values to what the residuals promise."""
    found = eigenpairs(matrix, k, tolerance, which)
    a = torch.as_tensor(matrix).double()
    values, vectors = found.values.double(), found.vectors.double()
    eps = torch.finfo(found.values.dtype).eps
    norm = float(spectrum.abs().max())
    wanted = spectrum[ORDER[which](spectrum).argsort(stable=True)][:k]
    keys = ORDER[which](values)
    assert bool((keys[1:] >= keys[:-1]).all())
    residuals = (a @ vectors - values * vectors).norm(dim=0)
    slack = 50 * eps * norm
    torch.testing.assert_close(found.residuals.double(), residuals, rtol=1e-2, atol=slack)
    bound = tolerance * values.abs().clamp(min=eps * norm)
    assert bool((found.converged | (residuals > bound - slack)).all())
    assert bool((~found.converged | (residuals <= bound + slack)).all())
    torch.testing.assert_close(vectors.T @ vectors, torch.eye(k).double(), rtol=0, atol=50 * eps)
    torch.testing.assert_close(
        ORDER[which](values), ORDER[which](wanted), rtol=tolerance, atol=slack
    )
    return found


@pytest.mark.parametrize("which", ORDER)
@pytest.mark.parametrize(
    "values",
    [(2, 2, 1), (3, 1, -5), (-1, -2, -3), (0, 0, 0), (1, 0, -1), (7,), (4, 4, 4, 4), (-2, 2)],
)
def test_small_spectra_are_found_whole(values, which):
    spectrum = torch.tensor(values, dtype=torch.float64)
    for k in range(1, len(values) + 1):
        assert_answers(torch.diag(spectrum), spectrum, k, which)


def test_the_three_questions_differ():
    matrix = diagonal(3, 1, -5)
    assert eigenpairs(matrix, 1).values.item() == pytest.approx(3)
    assert eigenpairs(matrix, 1, which="smallest").values.item() == pytest.approx(-5)
    assert eigenpairs(matrix, 1, which="magnitude").values.item() == pytest.approx(-5)


def spectra():
    semicircle = torch.linalg.eigvalsh(with_spectrum(uniform(200)) + torch.eye(200).double())
    decades = torch.logspace(0, -6, 200, dtype=torch.float64)
    twice, late = uniform(200), decades.clone()
    twice[:3], twice[3:5], twice[5:7] = 5, 3, -6
    late[-3:] = decades[5]
    outlier = 1e-3 * uniform(200)
    outlier[:4] = 1
    return {
        "multiple outliers": twice,
        "a multiple inside": late,
        "outliers over a small bulk": outlier,
        "all tenfold": torch.arange(1, 21).double().repeat(10),
        "all double": uniform(100).repeat(2),
        "no gap": semicircle,
        "two values": torch.tensor([1.0, 5.0]).double().repeat(100),
    }


@pytest.mark.parametrize("which", ORDER)
@pytest.mark.parametrize("name", spectra())
def test_multiple_eigenvalues(name, which):
    spectrum = spectra()[name]
    matrix = with_spectrum(spectrum)
    for k in (2, 7, 12):
        if which != "smallest" or name not in ("a multiple inside", "outliers over a small bulk"):
            assert bool(assert_answers(matrix, spectrum, k, which).converged[0])


def test_no_ghosts_in_single_precision():
    spectrum = uniform(500)
    spectrum[0] = 100
    matrix = with_spectrum(spectrum, dtype=torch.float32)
    for limit in (80, None):
        found = eigenpairs(matrix, 5, max_products=limit)
        assert found.values.dtype == torch.float32
        assert int((found.values > 50).sum()) == 1
        assert found.values[0].item() == pytest.approx(100, rel=1e-6)
        assert float(found.values[1]) <= 1 + 1e-4
        assert found.products <= (limit or 10**9)


@pytest.mark.parametrize(
    ("scale", "dtype"),
    [(1e-30, torch.float32), (1e30, torch.float32), (1e-200, torch.float64), (1e200, None)],
)
def test_scales(scale, dtype):
    spectrum = uniform(60)
    spectrum[:2] = -3
    matrix = with_spectrum(spectrum).mul(scale).to(dtype or torch.float64)
    found = eigenpairs(matrix, 3, which="magnitude")
    assert found.converged.all()
    expected = torch.tensor([-3.0, -3.0, float(spectrum.max())]).double()
    torch.testing.assert_close(found.values.double() / scale, expected, rtol=1e-4, atol=0)


def test_not_converged_says_so():
    matrix = with_spectrum(uniform(300))
    found = eigenpairs(matrix, 5, 1e-10, max_products=12)
    assert found.products == 12
    assert not found.converged.any()
    true = (matrix @ found.vectors - found.values * found.vectors).norm(dim=0)
    torch.testing.assert_close(found.residuals, true, rtol=1e-9, atol=1e-14)


def test_more_digits_than_there_are():
    found = eigenpairs(with_spectrum(uniform(300), dtype=torch.float32), 4, 1e-12)
    assert not found.converged.any()
    assert float(found.residuals.max()) < 1e-5
    assert found.products < 300


def test_what_round_off_could_decide_is_confirmed_by_products_or_not_claimed():
    """5e-15 is 22 eps: attainable for three entries, but stored images alone do not prove it."""
    found = eigenpairs(diagonal(3, 1, -5), 1, 5e-15)
    assert found.converged.all()
    assert found.products == 4
    found = eigenpairs(diagonal(3, 1, -5), 1, 5e-15, max_products=3)
    assert not found.converged.any()
    assert found.products == 3


def test_a_full_basis_is_restarted(monkeypatch):
    """Thick restart: room for 38 vectors of 400 makes the same answer."""
    monkeypatch.setattr("d2lstab.measure.lanczos._BASIS_BYTES", 1)
    spectrum = uniform(400)
    spectrum[:3] = 1.2
    for which in ORDER:
        found = assert_answers(with_spectrum(spectrum), spectrum, 3, which)
        assert found.converged.all()
        assert found.products > 38 or which != "smallest"


@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    values=st.lists(st.integers(-4, 4), min_size=1, max_size=12),
    seed=st.integers(0, 99),
    which=st.sampled_from(sorted(ORDER)),
    data=st.data(),
)
def test_any_small_spectrum(values, seed, which, data):
    k = data.draw(st.integers(1, len(values)))
    spectrum = torch.tensor(values, dtype=torch.float64)
    assert_answers(with_spectrum(spectrum, seed), spectrum, k, which)


def test_whatever_multiplies_a_vector():
    numbers = np.array([4.0, 1.0, -7.0, 2.0])
    for operator in (np.diag(numbers), diags(numbers), torch.diag(torch.tensor([4, 1, -7, 2]))):
        found = eigenpairs(operator, 2)
        torch.testing.assert_close(found.values, torch.tensor([4.0, 2.0]).double())


def test_the_hessian_of_a_network():
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)).double()
    with torch.no_grad():
        for i, p in enumerate(model.parameters()):
            p.copy_(torch.randn(p.shape, generator=seeded(i)))
    x = torch.randn(30, 4, generator=seeded(9), dtype=torch.float64)
    y = torch.arange(30) % 3
    spectrum = torch.linalg.eigvalsh(hessian_matrix(model, F.cross_entropy, x, y))
    operator = HessianOperator(model, F.cross_entropy, x, y)
    for which in ORDER:
        expected = spectrum[ORDER[which](spectrum).argsort()][:4]
        found = eigenpairs(operator, 4, which=which)
        torch.testing.assert_close(found.values, expected, rtol=1e-6, atol=0)


def test_inference_mode_changes_nothing():
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    x = torch.randn(9, 3, generator=seeded(9), dtype=torch.float64)
    operator = HessianOperator(model, F.cross_entropy, x, torch.arange(9) % 2)
    for k in (1, 3):
        expected = eigenpairs(operator, k)
        with torch.inference_mode():
            found = eigenpairs(operator, k)
            assert torch.equal(found.values, expected.values)
            assert torch.equal(found.vectors, expected.vectors)


def test_same_call_same_answer_and_global_state_untouched():
    matrix = with_spectrum(uniform(50))
    before = torch.random.get_rng_state()
    first, second = eigenpairs(matrix, 3), eigenpairs(matrix, 3)
    assert torch.equal(first.vectors, second.vectors)
    assert torch.equal(before, torch.random.get_rng_state())


GOOD = diagonal(3, 2, 1)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((GOOD, 0), ValueError, "k must be a positive integer"),
        ((GOOD, 4), ValueError, "k must be at most 3"),
        ((GOOD, 1.0), TypeError, "k must be"),
        ((GOOD, True), TypeError, "k must be"),
        ((GOOD, 1, 0.0), ValueError, "tolerance"),
        ((GOOD, 1, -1.0), ValueError, "tolerance"),
        ((GOOD, 1, float("nan")), ValueError, "tolerance"),
        ((GOOD, 1, 1e-4, "LA"), ValueError, "which must be one of"),
        ((GOOD, 1, 1e-4, None), TypeError, "which must be one of"),
        ((torch.ones(3, 2), 1), ValueError, "square"),
        ((torch.ones(3), 1), ValueError, "square"),
        ((torch.ones(0, 0), 1), ValueError, "square"),
        ((torch.tensor([[1.0, 2.0], [0.0, 1.0]]), 1), ValueError, "symmetric"),
        ((torch.tensor([[1.0, torch.nan], [torch.nan, 1.0]]), 1), ValueError, "finite"),
        ((GOOD.half(), 1), TypeError, "float16"),
        ((GOOD + 0j, 1), TypeError, "complex"),
        (("matrix", 1), TypeError, "operator must be"),
        (([[1.0]], 1), TypeError, "operator must be"),
    ],
)
def test_bad_input(arguments, error, words):
    with pytest.raises(error, match=words):
        eigenpairs(*arguments)


def test_bad_limit():
    with pytest.raises(ValueError, match="max_products"):
        eigenpairs(GOOD, 2, max_products=1)
