"""Exhaustive over the formats, against torch's own arithmetic and exact fractions."""

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from d2lstab.theory.formats import float_format, loss_scales, overflow_step, underflow_step

STANDARD = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
FLOAT8 = [
    torch.float8_e4m3fn,
    torch.float8_e5m2,
    torch.float8_e4m3fnuz,
    torch.float8_e5m2fnuz,
]


def torch_steps(factor, dtype, steps):
    """1, factor, factor^2, ... as torch rounds them; float8 has no product, so in float32."""
    value = torch.ones((), dtype=dtype)
    for _ in range(steps):
        wide = value if dtype in STANDARD else value.float()
        product = wide * factor
        value = product.to(dtype)
        # torch saturates this one format, or not, by its version: 464 is midway to 480 = NaN.
        saturated = dtype is torch.float8_e4m3fn and product > 464
        yield math.inf if saturated else float(value)


def torch_overflow(factor, dtype, steps=40_000):
    before = 1.0
    for step, value in enumerate(torch_steps(factor, dtype, steps), 1):
        if not math.isfinite(value):
            return step
        if value == before:
            return None
        before = value
    raise AssertionError("the reference needs more steps")


def torch_underflow(factor, dtype, steps=40_000):
    before = 1.0
    for step, value in enumerate(torch_steps(factor, dtype, steps), 1):
        if value == 0:
            return step
        if value == before:
            return None
        before = value
    raise AssertionError("the reference needs more steps")


@pytest.mark.parametrize("dtype", STANDARD)
def test_standard_formats_are_those_of_torch_finfo(dtype):
    info, held = torch.finfo(dtype), float_format(dtype)
    assert (held.largest, held.smallest_normal, held.epsilon) == (info.max, info.tiny, info.eps)
    tiny = torch.tensor(held.smallest_subnormal, dtype=dtype)
    assert tiny > 0
    assert tiny / 2 == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, *FLOAT8])
def test_every_value_of_the_small_formats(dtype):
    bits = 8 * torch.empty((), dtype=dtype).element_size()
    codes = torch.arange(2 ** (bits - 1)).to(torch.uint8 if bits == 8 else torch.int16)
    values = codes.view(dtype).double()
    values = values[torch.isfinite(values) & (values > 0)].sort().values
    held = float_format(dtype)
    assert values.max() == held.largest
    assert values.min() == held.smallest_subnormal
    assert values[values > 1].min() - 1 == held.epsilon
    # Below 2 * smallest_normal the spacing is the subnormal one, above it twice that.
    wider = values[:-1][values.diff() > held.smallest_subnormal]
    assert wider.min() == 2 * held.smallest_normal


def test_the_numbers_of_float16():
    held = float_format(torch.float16)
    assert held.largest == 65504
    assert held.smallest_normal == 2**-14
    assert held.smallest_subnormal == 2**-24
    assert held.epsilon == 2**-10


@pytest.mark.parametrize(
    ("factor", "steps"), [(1.5, (28, 220, 219, 1751)), (2.0, (16, 128, 128, 1024))]
)
def test_overflow_steps(factor, steps):
    found = tuple(overflow_step(factor, dtype) for dtype in STANDARD)
    assert found == steps


def test_underflow_steps():
    assert [underflow_step(0.5, dtype) for dtype in STANDARD] == [25, 134, 150, 1075]
    assert underflow_step(0.25, torch.float16) == 13
    assert [underflow_step(0.8, dtype) for dtype in STANDARD] == [None] * 4
    assert [underflow_step(0.51, dtype) for dtype in STANDARD] == [None] * 4


@pytest.mark.parametrize("dtype", STANDARD + FLOAT8)
@pytest.mark.parametrize("factor", [1.1, 1.3, 1.05, 1.4142, 1.7, 3.0, 10.0, 300.0, 1e30])
def test_overflow_against_torch(factor, dtype):
    assert overflow_step(factor, dtype) == torch_overflow(factor, dtype)


@pytest.mark.parametrize("dtype", STANDARD + FLOAT8)
@pytest.mark.parametrize("factor", [0.9, 0.8, 0.6, 0.5, 0.4999, 0.3, 0.1, 0.01, 1e-30])
def test_underflow_against_torch(factor, dtype):
    assert underflow_step(factor, dtype) == torch_underflow(factor, dtype)


@given(st.floats(1.02, 4.0), st.sampled_from([torch.float16, torch.bfloat16, *FLOAT8]))
@settings(deadline=None, derandomize=True, max_examples=60)
def test_overflow_against_torch_at_random_factors(factor, dtype):
    assert overflow_step(factor, dtype) == torch_overflow(factor, dtype)


@given(st.floats(0.02, 0.7), st.sampled_from(STANDARD + FLOAT8))
@settings(deadline=None, derandomize=True, max_examples=60)
def test_underflow_against_torch_at_random_factors(factor, dtype):
    assert underflow_step(factor, dtype) == torch_underflow(factor, dtype)


@pytest.mark.parametrize("dtype", STANDARD)
def test_iterations_that_never_leave(dtype):
    epsilon = float_format(dtype).epsilon
    for factor in (0.3, 0.999, 1.0, 1 + epsilon / 2):
        assert overflow_step(factor, dtype) is None
    for factor in (1.0, 1.5, 1e30, 1 - epsilon / 8):
        assert underflow_step(factor, dtype) is None


def test_a_factor_just_above_one_overflows_after_all():
    assert overflow_step(1 + 2**-10, torch.float16) == torch_overflow(1 + 2**-10, torch.float16)
    with pytest.raises(ValueError, match="far enough from 1"):
        overflow_step(1 + 2**-40, torch.float64)


def test_loss_scales_of_the_notes_range():
    assert loss_scales(1e-6, 1e3, torch.float16) == [6]
    assert loss_scales(1e-7, 1e3, torch.float16) == []
    assert loss_scales(2**-14, 65504, torch.float16) == [0]
    assert loss_scales(2**-14, 65505, torch.float16) == []
    assert 0 in loss_scales(1e-6, 1e3, torch.bfloat16)


positive = st.floats(1e-30, 1e30)


@given(positive, positive, st.sampled_from([torch.float16, torch.bfloat16, torch.float32]))
@settings(deadline=None, derandomize=True, max_examples=100)
def test_loss_scales_against_fractions(one, other, dtype):
    low, high = sorted((one, other))
    held = float_format(dtype)
    bottom, top = Fraction(held.smallest_normal), Fraction(held.largest)

    def fits(k):
        return (
            Fraction(2) ** k * Fraction(low) >= bottom and Fraction(2) ** k * Fraction(high) <= top
        )

    assert loss_scales(low, high, dtype) == [k for k in range(-260, 261) if fits(k)]


@pytest.mark.parametrize("factor", [0.0, -1.5, math.nan, math.inf])
@pytest.mark.parametrize("step", [overflow_step, underflow_step])
def test_factors_that_are_refused(step, factor):
    with pytest.raises(ValueError, match="factor must be a positive number, got"):
        step(factor, torch.float16)


@pytest.mark.parametrize("factor", ["1.5", None, True, 1j])
@pytest.mark.parametrize("step", [overflow_step, underflow_step])
def test_factors_of_a_wrong_type(step, factor):
    with pytest.raises(TypeError, match="factor must be a positive number, got"):
        step(factor, torch.float16)


def test_dtypes_that_are_refused():
    for dtype in (torch.int32, torch.complex64, torch.bool, torch.float8_e8m0fnu):
        for call in (
            lambda dtype=dtype: float_format(dtype),
            lambda dtype=dtype: overflow_step(2.0, dtype),
            lambda dtype=dtype: underflow_step(0.5, dtype),
            lambda dtype=dtype: loss_scales(1.0, 2.0, dtype),
        ):
            with pytest.raises(ValueError, match="dtype must be"):
                call()
    for wrong in ("float16", None, float):
        with pytest.raises(TypeError, match="dtype must be"):
            float_format(wrong)


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (-1.0, 1.0), (math.nan, 1.0), (1.0, math.inf)])
def test_bounds_that_are_refused(bounds):
    with pytest.raises(ValueError, match="must be a positive number"):
        loss_scales(*bounds, torch.float16)


def test_bounds_out_of_order():
    with pytest.raises(ValueError, match="largest must be at least smallest"):
        loss_scales(2.0, 1.0, torch.float16)
    with pytest.raises(TypeError, match="largest must be a positive number"):
        loss_scales(1.0, "big", torch.float16)
