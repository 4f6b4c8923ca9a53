"""Counting batches; the noise law against all batches there are; unbiasedness exactly."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from d2lstab.theory.batches import (
    mean_gradient_variance,
    simple_noise_scale,
    two_batch_estimate,
    updates_per_epoch,
)


def test_updates_equal_the_length_of_torchs_loader() -> None:
    for n, b, drop in itertools.product(range(1, 9), range(1, 11), (False, True)):
        loader = DataLoader(torch.arange(n), batch_size=b, drop_last=drop)
        assert updates_per_epoch(n, b, drop) == len(loader)


def test_variance_over_all_batches_without_replacement() -> None:
    gradients = np.random.default_rng(0).standard_normal((7, 3))
    mean = gradients.mean(axis=0)
    trace = ((gradients - mean) ** 2).sum() / 7
    for b in range(1, 8):
        batches = itertools.combinations(range(7), b)
        distances = [((gradients[list(i)].mean(axis=0) - mean) ** 2).sum() for i in batches]
        expected = np.mean(distances)
        assert mean_gradient_variance(trace, b, 7) == pytest.approx(expected, rel=1e-12, abs=1e-28)


def test_variance_with_replacement_and_of_one_sample() -> None:
    assert mean_gradient_variance(6.0, 3, math.inf) == 2
    assert mean_gradient_variance(0.0, 1, 1) == 0
    assert mean_gradient_variance(6.0, 1, 10) == 6


def test_two_batch_estimate_is_unbiased_for_independent_samples() -> None:
    # all ordered pairs and triples drawn with replacement from 4 values: expectations exactly
    gradients = np.array([[1.0, 0.0], [2.0, 1.0], [-1.0, 3.0], [0.5, -1.0]])
    mean = gradients.mean(axis=0)
    trace = ((gradients - mean) ** 2).sum() / 4

    def expected_norm2(b: int) -> float:
        draws = itertools.product(range(4), repeat=b)
        return float(np.mean([(gradients[list(i)].mean(axis=0) ** 2).sum() for i in draws]))

    estimate = two_batch_estimate(2, expected_norm2(2), 5, expected_norm2(5))
    assert estimate.trace == pytest.approx(trace, rel=1e-12)
    assert estimate.squared_norm == pytest.approx((mean**2).sum(), rel=1e-12)


def test_two_batch_estimate_without_replacement() -> None:
    trace, norm2, n = 5.0, 2.0, 20

    def expected_norm2(b: int) -> float:
        return norm2 + mean_gradient_variance(trace, b, n)

    estimate = two_batch_estimate(3, expected_norm2(3), 11, expected_norm2(11))
    assert estimate.trace == pytest.approx(trace * n / (n - 1), rel=1e-12)
    assert estimate.squared_norm == pytest.approx(norm2 - trace / (n - 1), rel=1e-12)


def test_a_single_estimate_may_be_negative() -> None:
    assert two_batch_estimate(1, 1.0, 2, 3.0).trace == -4
    assert two_batch_estimate(1, 9.0, 2, 3.0).squared_norm == -3


def test_simple_noise_scale() -> None:
    assert simple_noise_scale(18.09, 0.3753) == pytest.approx(48.2, abs=0.05)
    assert simple_noise_scale(0.0, 1.0) == 0


@pytest.mark.parametrize("bad", [0, -1, math.nan])
def test_bad_values(bad: float) -> None:
    with pytest.raises(ValueError, match="squared_norm must be"):
        simple_noise_scale(1.0, bad)
    with pytest.raises((ValueError, TypeError), match="batch_size must be"):
        mean_gradient_variance(1.0, bad, 10)  # type: ignore[arg-type]
    with pytest.raises((ValueError, TypeError), match="population must be"):
        mean_gradient_variance(1.0, 1, bad)
    with pytest.raises((ValueError, TypeError), match="population must be"):
        updates_per_epoch(bad, 1)  # type: ignore[arg-type]


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="trace must be"):
        mean_gradient_variance(-1.0, 1, 10)
    with pytest.raises(ValueError, match="trace must be"):
        simple_noise_scale(math.nan, 1.0)
    with pytest.raises(ValueError, match="at most the population"):
        mean_gradient_variance(1.0, 11, 10)
    with pytest.raises(TypeError, match="drop_last must be"):
        updates_per_epoch(10, 3, 1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="batch_size must be"):
        updates_per_epoch(10, 2.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="batch_size must be"):
        updates_per_epoch(10, True)
    for small, large in ((2, 2), (3, 2)):
        with pytest.raises(ValueError, match="small must be below"):
            two_batch_estimate(small, 1.0, large, 1.0)
    with pytest.raises(ValueError, match="small_norm2 must be"):
        two_batch_estimate(1, -1.0, 2, 1.0)
    with pytest.raises(ValueError, match="large_norm2 must be"):
        two_batch_estimate(1, 1.0, 2, math.nan)
