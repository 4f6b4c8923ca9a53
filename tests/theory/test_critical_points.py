"""Verdicts by hand, and random matrices against the exact probabilities."""

import math

import numpy as np
import pytest
import torch

from d2lstab.theory.critical_points import classify, goe_all_positive


@pytest.mark.parametrize(
    ("eigenvalues", "kind", "counts"),
    [
        ([1.0, 2.0], "minimum", (0, 0, 2)),
        ([-1.0, -2.0], "maximum", (2, 0, 0)),
        ([-2.0, 2.0], "saddle", (1, 0, 1)),
        ([0.0, 4.0], "degenerate", (0, 1, 1)),  # the hyperbola of the two-weight product
        ([0.0, -4.0], "degenerate", (1, 1, 0)),
        ([-1.0, 0.0, 1.0], "saddle", (1, 1, 1)),
        ([0.0, 0.0], "degenerate", (0, 2, 0)),
        ([1.0, -1e-9], "degenerate", (0, 1, 1)),  # the sign of round-off decides nothing
        ([1.0, 1e-9], "degenerate", (0, 1, 1)),
        ([1e-15, -1e-15], "degenerate", (0, 2, 0)),
        ([5.573477, 1.746830e6], "minimum", (0, 0, 2)),  # ill-conditioned, still a minimum
        ([3], "minimum", (0, 0, 1)),
    ],
)
def test_verdicts(eigenvalues: list, kind: str, counts: tuple) -> None:
    for form in (eigenvalues, np.array(eigenvalues), torch.tensor(eigenvalues)):
        point = classify(form, 0.0)
        assert point.kind == kind
        assert (point.negative, point.zero, point.positive) == counts


def test_a_large_gradient_is_not_critical_and_still_counted() -> None:
    point = classify([1.0, 2.0, -1.0, 0.0], 0.5)
    assert point.kind == "not_critical"
    assert (point.negative, point.zero, point.positive) == (1, 1, 2)
    assert point.gradient_norm == 0.5
    assert classify([1.0], 0.5, gradient_tolerance=0.5).kind == "minimum"
    assert classify([1.0], 0.5, gradient_tolerance=0.4999).kind == "not_critical"


def test_minimum_ratio_with_and_without_zeros() -> None:
    point = classify([1.0, 2.0, -1.0, 0.0, 0.0], 0.0)
    assert point.minimum_ratio == 2 / 5
    assert point.minimum_ratio_without_zeros == 2 / 3
    assert math.isnan(classify([0.0], 0.0).minimum_ratio_without_zeros)
    assert classify([0.0], 0.0).minimum_ratio == 0


def test_the_threshold_decides_on_a_networks_spectrum() -> None:
    spectrum = [8.0, 1.0] + [1e-5, -3e-5] * 10  # the shape of a trained network's
    fine, coarse = classify(spectrum, 0.0), classify(spectrum, 0.0, zero_tolerance=1e-3)
    assert (fine.kind, fine.minimum_ratio) == ("saddle", 12 / 22)
    assert (coarse.kind, coarse.zero, coarse.minimum_ratio_without_zeros) == ("degenerate", 20, 1)
    assert coarse.threshold == pytest.approx(8e-3)
    exact = classify([1.0, -1e-300], 0.0, zero_tolerance=0, zero_floor=0)
    assert exact.kind == "saddle"
    assert exact.threshold == 0
    zeros = classify([0.0, 1.0], 0.0, zero_tolerance=0, zero_floor=0)
    assert (zeros.negative, zeros.zero, zeros.positive) == (0, 1, 1)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e8])
def test_counts_do_not_depend_on_the_unit_of_the_loss(scale: float) -> None:
    spectrum = np.array([3.0, 1e-5, -1e-5, -1e-7, 0.0])
    point = classify(spectrum * scale, 0.0)
    assert (point.negative, point.zero, point.positive) == (1, 2, 2)


@pytest.mark.parametrize(
    ("eigenvalues", "error"),
    [
        ([], ValueError),
        ([math.nan, 1.0], ValueError),
        ([math.inf], ValueError),
        ([[1.0, 2.0]], ValueError),
        (np.float64(1.0), TypeError),
        (torch.tensor(1.0), ValueError),
        ([1 + 1j], TypeError),
        (torch.tensor([1 + 1j]), TypeError),
        (["1.0"], TypeError),
        ([True], TypeError),
        ("12", TypeError),
        (None, TypeError),
        (3.0, TypeError),
    ],
)
def test_bad_eigenvalues(eigenvalues: object, error: type) -> None:
    with pytest.raises(error, match="eigenvalues must be"):
        classify(eigenvalues, 0.0)  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [math.nan, -1.0, math.inf])
def test_bad_norms_and_tolerances(bad: float) -> None:
    with pytest.raises(ValueError, match="gradient_norm must be"):
        classify([1.0], bad)
    for name in ("gradient_tolerance", "zero_tolerance", "zero_floor"):
        with pytest.raises(ValueError, match=f"{name} must be"):
            classify([1.0], 0.0, **{name: bad})
    with pytest.raises(TypeError, match="gradient_norm must be"):
        classify([1.0], None)  # type: ignore[arg-type]


def test_input_is_not_changed_and_may_require_a_gradient() -> None:
    values = torch.tensor([1.0, 2.0], requires_grad=True)
    assert classify(values, torch.tensor(0.0)).kind == "minimum"  # type: ignore[arg-type]
    assert values.requires_grad


def test_goe_probabilities_by_simulation() -> None:
    # 200,000 matrices: the standard deviation is sqrt(p (1 - p) / 200,000); bound 4 of them
    rng = np.random.default_rng(0)
    trials = 200_000
    for n in (1, 2, 3):
        a = rng.standard_normal((trials, n, n))
        share = (np.linalg.eigvalsh((a + a.transpose(0, 2, 1)) / 2)[:, 0] > 0).mean()
        p = goe_all_positive(n)
        assert share == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / trials))
    assert goe_all_positive(2) == pytest.approx(0.146447, abs=5e-7)
    assert goe_all_positive(3) == pytest.approx(0.024921, abs=5e-7)


def test_bad_goe() -> None:
    for n in (0, -1, 4):
        with pytest.raises(ValueError, match="n must be"):
            goe_all_positive(n)
    for n in (2.0, True, "2"):
        with pytest.raises(TypeError, match="n must be"):
            goe_all_positive(n)  # type: ignore[arg-type]
