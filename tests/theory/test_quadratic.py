"""Rates against the algorithms run as they are written, noise against the Lyapunov equation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import solve_discrete_lyapunov

from d2lstab.theory.quadratic import (
    METHODS,
    best,
    companion_matrix,
    contraction,
    stability_limit,
    stationary_variance,
)


def step(method: str, x: float, v: float, lr: float, curvature: float, beta: float) -> list[float]:
    """One update of the parameter and the buffer, as optimizers write it."""
    if method == "gradient_descent":
        return [x - lr * curvature * x, 0.0]
    if method == "heavy_ball":
        v = beta * v + curvature * x
        return [x - lr * v, v]
    if method == "nesterov":  # v is the last displacement; the gradient is taken ahead
        ahead = x + beta * v
        new = ahead - lr * curvature * ahead
        return [new, new - x]
    v = beta * v + (1 - beta) * curvature * x
    return [x - lr * v, v]


def measured_radius(method: str, lr: float, curvature: float, beta: float) -> float:
    columns = [step(method, *start, lr, curvature, beta) for start in ((1.0, 0.0), (0.0, 1.0))]
    return float(np.abs(np.linalg.eigvals(np.array(columns).T)).max())


@given(
    st.sampled_from(METHODS),
    st.floats(0.01, 3),
    st.floats(-3, 3),
    st.floats(0, 0.99),
)
@settings(deadline=None, derandomize=True, max_examples=300)
def test_contraction_is_the_radius_of_the_algorithm(
    method: str, lr: float, curvature: float, beta: float
) -> None:
    # eigenvalues of a nearly defective matrix are known to sqrt(round-off) only: 1e-7
    expected = measured_radius(method, lr, curvature, beta)
    assert contraction(method, lr, curvature, beta) == pytest.approx(expected, abs=1e-7, rel=1e-7)
    if method != "gradient_descent":
        matrix = companion_matrix(method, lr, curvature, beta)
        radius = float(np.abs(np.linalg.eigvals(matrix)).max())
        assert radius == pytest.approx(expected, abs=1e-7, rel=1e-7)


@pytest.mark.parametrize("beta", [0.0, 0.3, 0.9, 0.99])
@pytest.mark.parametrize("method", METHODS)
def test_radius_is_one_at_the_stability_limit(method: str, beta: float) -> None:
    limit = stability_limit(method, beta)
    for curvature in (0.1, 1.0, 40.0):
        lr = limit / curvature
        assert contraction(method, lr, curvature, beta) == pytest.approx(1, abs=1e-12)
        assert contraction(method, lr * (1 - 1e-6), curvature, beta) < 1
        assert contraction(method, lr * (1 + 1e-6), curvature, beta) > 1


@pytest.mark.parametrize("method", METHODS)
def test_everything_below_the_limit_is_stable(method: str) -> None:
    for beta in (0.0, 0.5, 0.9):
        limit = stability_limit(method, beta)
        for share in np.linspace(0.001, 0.999, 200):
            assert contraction(method, float(share) * limit, 1.0, beta) < 1


def test_limits_at_momentum_point_nine() -> None:
    limits = [stability_limit(m, 0.9) for m in METHODS]
    assert limits == pytest.approx([2, 3.8, 3.8 / 2.8, 38], rel=1e-12)


@pytest.mark.parametrize("kappa", [1.0, 1.5, 10.0, 100.0, 1e3, 1e6])
@pytest.mark.parametrize("method", METHODS)
def test_best_is_reached_and_not_exceeded_anywhere(method: str, kappa: float) -> None:
    b = best(method, kappa)
    assert contraction(method, b.lr, 1 / kappa, b.momentum) == pytest.approx(b.rate, abs=1e-7)
    curvatures = np.geomspace(1 / kappa, 1, 101)
    worst = max(contraction(method, b.lr, float(c), b.momentum) for c in curvatures)
    assert worst == pytest.approx(b.rate, abs=1e-7)


@pytest.mark.parametrize("kappa", [2.0, 10.0, 1000.0])
@pytest.mark.parametrize("method", ["gradient_descent", "heavy_ball", "ema"])
def test_no_neighbor_is_better(method: str, kappa: float) -> None:
    b = best(method, kappa)

    def worst(lr: float, momentum: float) -> float:
        return max(contraction(method, lr, c, momentum) for c in (1 / kappa, 1.0))

    for lr in (0.99, 1.01):
        assert worst(b.lr * lr, b.momentum) > b.rate
    if method != "gradient_descent":
        for momentum in (0.97, 1.01):
            assert worst(b.lr, b.momentum * momentum) > b.rate


def test_textbook_rates() -> None:
    for kappa, rate in ((10, 0.5194938), (100, 0.8181818), (1000, 0.9386933)):
        b = best("heavy_ball", kappa)
        assert b.rate == pytest.approx(rate, abs=1e-6)
        assert b.lr == pytest.approx((2 / (1 + kappa**-0.5)) ** 2, rel=1e-14)
    assert best("nesterov", 100).rate == pytest.approx(0.9, rel=1e-14)
    assert best("nesterov", 100).lr == 1
    assert best("nesterov", 100).momentum == pytest.approx(9 / 11, rel=1e-14)
    assert best("gradient_descent", 9).lr == pytest.approx(1.8, rel=1e-14)


def test_radius_at_the_double_root_keeps_its_digits() -> None:
    # a round-off of 1e-16 in the discriminant would show as 1e-8 in the radius
    for kappa in range(2, 200):
        for method in ("heavy_ball", "ema", "nesterov"):
            b = best(method, kappa)
            radius = contraction(method, b.lr, 1 / kappa, b.momentum)
            assert radius == pytest.approx(b.rate, abs=2e-15)


def test_huge_rates_do_not_overflow() -> None:
    assert contraction("heavy_ball", 1e200, 1.0, 0.9) == pytest.approx(1e200)
    assert contraction("nesterov", 1.0, 1.0, 0.9) == 0
    assert contraction("heavy_ball", 1.5, 1.0, 0.5) == pytest.approx(math.sqrt(0.5))  # trace 0


@given(st.floats(0.01, 0.99), st.floats(0.05, 20), st.floats(0, 0.95), st.integers(1, 64))
@settings(deadline=None, derandomize=True, max_examples=100)
def test_stationary_variance_solves_the_lyapunov_equation(
    share: float, curvature: float, beta: float, batch: int
) -> None:
    lr = share * stability_limit("heavy_ball", beta) / curvature
    matrix = companion_matrix("heavy_ball", lr, curvature, beta)
    noise = np.diag([lr**2 * 1.7 / batch, 0.0])
    expected = solve_discrete_lyapunov(matrix, noise)[0, 0]
    assert stationary_variance(lr, curvature, beta, 1.7, batch) == pytest.approx(expected, rel=1e-6)


def test_stationary_variance_by_hand() -> None:
    assert stationary_variance(0.1, 1.0, 0.0, 1.0, 1) == pytest.approx(0.1 / 1.9, rel=1e-14)
    assert stationary_variance(0.5, 1.0, 0.0, 1.0, 1) == pytest.approx(1 / 3, rel=1e-14)
    assert stationary_variance(0.1, 1.0, 0.9, 1.0, 1) == pytest.approx(0.5135, abs=5e-5)
    assert stationary_variance(0.1, 1.0, 0.0, 0.0, 1) == 0


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ((2.0, 1.0, 0.0, 1.0, 1), "stability limit"),
        ((3.9, 1.0, 0.9, 1.0, 1), "stability limit"),
        ((0.0, 1.0, 0.0, 1.0, 1), "lr"),
        ((0.1, -1.0, 0.0, 1.0, 1), "curvature"),
        ((0.1, 0.0, 0.0, 1.0, 1), "curvature"),
        ((0.1, 1.0, 1.0, 1.0, 1), "momentum"),
        ((0.1, 1.0, -0.1, 1.0, 1), "momentum"),
        ((0.1, 1.0, 0.0, -1.0, 1), "noise_variance"),
        ((0.1, 1.0, 0.0, 1.0, 0), "batch_size"),
        ((math.nan, 1.0, 0.0, 1.0, 1), "lr"),
        ((0.1, 1.0, math.nan, 1.0, 1), "momentum"),
        ((0.1, 1.0, 0.0, math.nan, 1), "noise_variance"),
    ],
)
def test_bad_stationary_variance(arguments: tuple, name: str) -> None:
    with pytest.raises(ValueError, match=name):
        stationary_variance(*arguments)


@pytest.mark.parametrize("bad", [math.nan, math.inf, 1.0, -0.5])
def test_bad_momentum(bad: float) -> None:
    for method in METHODS:
        with pytest.raises(ValueError, match="momentum must be"):
            stability_limit(method, bad)
        with pytest.raises(ValueError, match="momentum must be"):
            contraction(method, 0.1, 1.0, bad)


def test_bad_arguments() -> None:
    for call in (
        lambda m: contraction(m, 0.1, 1.0),
        stability_limit,
        lambda m: best(m, 2.0),
    ):
        with pytest.raises(ValueError, match="method must be one of"):
            call("adam")
        with pytest.raises(TypeError, match="method must be one of"):
            call(None)
    for lr in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="lr must be"):
            contraction("heavy_ball", lr, 1.0)
    with pytest.raises(TypeError, match="lr must be"):
        contraction("heavy_ball", "0.1", 1.0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="curvature must be"):
        contraction("heavy_ball", 0.1, math.nan)
    for kappa in (0.99, 0, -1, math.nan, math.inf):
        with pytest.raises(ValueError, match="condition_number must be"):
            best("heavy_ball", kappa)
