import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from d2lstab.measure.magnitudes import SAMPLE, as_array, magnitudes, rounding_limits

LEVELS = (0.0, 0.05, 0.5, 0.9, 1.0)
ALL = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_limits_are_where_a_cast_gives_up(dtype):
    low, high = rounding_limits(dtype)
    x = torch.tensor(
        [low, math.nextafter(low, 1), math.nextafter(high, 0), high], dtype=torch.float64
    )
    cast = x.to(torch.float32).to(dtype) if dtype == torch.bfloat16 else x.to(dtype)
    assert cast[0] == 0
    assert cast[3] == math.inf
    # one step of float32 inside the limits
    ends = torch.tensor([low, high], dtype=torch.float32)
    inside = torch.nextafter(ends, torch.ones(2)).to(dtype)
    assert inside[0] > 0
    assert inside[1] < math.inf


@pytest.mark.parametrize("values", ALL)
@pytest.mark.parametrize("dtype", ALL)
def test_every_pair_of_formats_counts_without_a_warning(values, dtype):
    info = torch.finfo(values)
    sizes = torch.tensor([0.0, info.smallest_normal, 1.0, info.max, math.inf], dtype=values)
    found = magnitudes(sizes, LEVELS, rounding_limits(dtype))
    rounded = sizes.double().to(dtype) if dtype != torch.bfloat16 else sizes.float().to(dtype)
    assert found.overflow == float(rounded.isinf().double().mean())
    assert found.underflow == float(((rounded == 0) & (sizes != 0)).double().mean())
    assert (found.non_finite, found.zero) == (0.2, 0.2)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.floats(0, 1e100), min_size=1, max_size=40))
def test_quantiles_and_mean_square_are_those_of_torch(values):
    x = torch.tensor(values, dtype=torch.float64)
    found = magnitudes(x, LEVELS, rounding_limits(torch.float16))
    expected = torch.quantile(x, torch.tensor(LEVELS, dtype=torch.float64)).tolist()
    assert found.quantiles == pytest.approx(expected, rel=1e-12)
    assert found.second_moment == pytest.approx(float(x.square().mean()), rel=1e-12)


def test_a_sample_meets_every_column_and_exact_ends_where_it_is_said():
    stripes = torch.tensor([0.0, 1.0]).repeat(2 * SAMPLE)
    found = magnitudes(stripes, (0.25, 0.75), (0.0, math.inf))
    assert found.quantiles == (0.0, 1.0)
    assert found.second_moment == 0.5
    exact = torch.arange(2 * SAMPLE - 1, dtype=torch.float64)
    assert magnitudes(exact, (0.5,), (0.0, 1e9)).quantiles == (SAMPLE - 1,)


def test_nan_and_nothing():
    found = magnitudes(torch.tensor([1.0, math.nan]), LEVELS, rounding_limits(torch.float16))
    assert all(math.isnan(q) for q in found.quantiles)
    assert (found.overflow, found.non_finite) == (0.0, 0.5)
    empty = magnitudes(torch.empty(0), LEVELS, rounding_limits(torch.float16))
    assert math.isnan(empty.second_moment)
    assert len(empty.quantiles) == 5


def test_arrays_are_flat_and_of_a_format_that_numpy_knows():
    assert as_array(torch.ones(2, 3, dtype=torch.float64).T).shape == (6,)
    assert as_array(torch.ones(2, dtype=torch.bfloat16)).dtype == "float32"
