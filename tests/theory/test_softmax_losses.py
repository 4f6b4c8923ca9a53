"""Slopes against mpmath and autograd, escape times against quadrature and descent itself."""

import math

import mpmath as mp
import pytest
import torch

from d2lstab.theory.softmax_losses import cross_entropy_slope, escape_steps, mse_slope

SLOPES = {"cross_entropy": cross_entropy_slope, "mse": mse_slope}
GAPS = [-700.0, -300.0, -40.0, -20.0, -1.0, -1e-9, 0.0, 1e-9, 0.7, 10.6, 20.0, 40.0, 300.0, 700.0]


def exact_slope(loss: str, gap: float) -> mp.mpf:
    right = 1 / (1 + mp.exp(gap))
    wrong = 1 / (1 + mp.exp(-mp.mpf(gap)))
    return -wrong if loss == "cross_entropy" else -4 * right * wrong**2


@pytest.mark.parametrize("gap", GAPS)
@pytest.mark.parametrize("loss", SLOPES)
def test_slopes_keep_their_digits_everywhere(loss: str, gap: float) -> None:
    with mp.workdps(50):
        exact = float(exact_slope(loss, gap))
    assert SLOPES[loss](gap) == pytest.approx(exact, rel=2e-15, abs=1e-307)


@pytest.mark.parametrize("gap", [-3.0, 0.0, 2.0, 8.0])
def test_slopes_are_derivatives_by_the_right_logit(gap: float) -> None:
    logits = torch.tensor([[0.3, 0.3 + gap]], dtype=torch.float64, requires_grad=True)
    target = torch.tensor([0])
    ce = torch.nn.functional.cross_entropy(logits, target)
    one_hot = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    mse = (logits.softmax(dim=1) - one_hot).square().sum()
    for loss, value in (("cross_entropy", ce), ("mse", mse)):
        (gradient,) = torch.autograd.grad(value, logits)
        assert SLOPES[loss](gap) == pytest.approx(gradient[0, 0].item(), rel=1e-10, abs=0)
        assert gradient.sum().abs() < 1e-15  # the wrong logit moves as far the other way


def test_numbers_of_the_lecture() -> None:
    assert mse_slope(20.0) == pytest.approx(-8.2446e-9, rel=1e-5, abs=0)
    assert cross_entropy_slope(20.0) == pytest.approx(-0.99999999794, abs=1e-11)
    assert cross_entropy_slope(20.0) / mse_slope(20.0) == pytest.approx(1.21e8, rel=5e-3)
    assert mse_slope(math.log(2)) == pytest.approx(-16 / 27, rel=1e-14)
    assert all(mse_slope(d / 100) >= -16 / 27 - 1e-16 for d in range(-500, 500))
    assert cross_entropy_slope(1e6) == -1
    assert cross_entropy_slope(-1e6) == mse_slope(1e6) == mse_slope(-1e6) == 0


@pytest.mark.parametrize("gap", [1e-6, 0.5, 3.0, 10.0])
@pytest.mark.parametrize("loss", SLOPES)
def test_escape_time_is_the_integral(loss: str, gap: float) -> None:
    with mp.workdps(30):
        time = mp.quad(lambda d: -1 / (2 * exact_slope(loss, d)), mp.linspace(0, gap, 6))
    assert escape_steps(loss, gap, 0.1) == pytest.approx(float(time) / 0.1, rel=1e-13, abs=0)


@pytest.mark.parametrize(
    ("loss", "gap", "lr"),
    [
        ("cross_entropy", 20.0, 0.05),
        ("cross_entropy", 20.0, 1.0),
        ("cross_entropy", 0.5, 0.01),
        ("mse", 6.0, 0.05),
        ("mse", 8.0, 1.0),
    ],
)
def test_descent_takes_that_many_steps(loss: str, gap: float, lr: float) -> None:
    # the error of Euler's method in time is about 1/2 ln(slope at the end / at the start)
    # steps, and counting whole steps adds up to one
    right, wrong, steps = -gap / 2, gap / 2, 0
    while wrong - right > 0:
        slope = SLOPES[loss](wrong - right)
        right, wrong, steps = right - lr * slope, wrong + lr * slope, steps + 1
    change = abs(math.log(SLOPES[loss](0.0) / SLOPES[loss](gap)))
    assert steps == pytest.approx(escape_steps(loss, gap, lr), abs=1 + change)


def test_limits_of_escape() -> None:
    assert escape_steps("cross_entropy", 1e4, 0.1) == pytest.approx(1e4 / 0.2, rel=2e-4)
    assert escape_steps("mse", 20.0, 1.0) == pytest.approx(math.exp(20) / 8, rel=1e-6)
    assert escape_steps("mse", 1e4, 0.1) == math.inf
    assert escape_steps("mse", 700.0, 0.1) == pytest.approx(math.exp(700) / 0.8)
    for loss in SLOPES:
        assert escape_steps(loss, 0.0, 0.1) == 0
        assert escape_steps(loss, -5.0, 0.1) == 0


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_bad_gaps(bad: float) -> None:
    for call in (cross_entropy_slope, mse_slope, lambda d: escape_steps("mse", d, 0.1)):
        with pytest.raises(ValueError, match="gap must be"):
            call(bad)
        with pytest.raises(TypeError, match="gap must be"):
            call("20")  # type: ignore[arg-type]


def test_bad_escape() -> None:
    with pytest.raises(ValueError, match="loss must be one of"):
        escape_steps("hinge", 1.0, 0.1)
    with pytest.raises(TypeError, match="loss must be one of"):
        escape_steps(None, 1.0, 0.1)  # type: ignore[arg-type]
    for lr in (0.0, -0.1, math.nan, math.inf):
        with pytest.raises(ValueError, match="lr must be"):
            escape_steps("mse", 1.0, lr)
