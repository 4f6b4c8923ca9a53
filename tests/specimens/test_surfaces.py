"""Every closed form against automatic differentiation, every listed minimum, Lee's numbers."""

import math

import pytest
import torch
from torch import Tensor

from d2lstab.specimens import surfaces as s

FACTORIES = {
    "product": s.two_weight_product,
    "well": s.tilted_double_well,
    "left well": lambda: s.tilted_double_well(-0.2),
    "hidden saddle": s.hidden_saddle,
    "inflection": s.flat_inflection,
    "cross-entropy": s.cross_entropy_surface,
    "cross-entropy, three classes": lambda: s.cross_entropy_surface(0.3),
    "mse": s.mse_surface,
    "mse, three classes": lambda: s.mse_surface(0.3),
    "valley": s.regression_valley,
    "quadratic": lambda: s.quadratic([3.0, -1.0, 0.5], angle=0.4),
    "ill-conditioned": lambda: s.ill_conditioned(100, 3, 0.7),
}


def f64(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("name", FACTORIES)
def test_gradient_and_hessian_equal_automatic_differentiation(name: str) -> None:
    surface = FACTORIES[name]()
    generator = torch.Generator().manual_seed(0)
    points = 2 * torch.randn(7, surface.dimension, dtype=torch.float64, generator=generator)
    for point in points:
        gradient = torch.autograd.functional.jacobian(surface, point)
        hessian = torch.autograd.functional.hessian(surface.value, point)
        torch.testing.assert_close(surface.gradient(point), gradient, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(surface.hessian(point), hessian, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", FACTORIES)
def test_batches_shapes_and_dtypes(name: str) -> None:
    surface = FACTORIES[name]()
    d = surface.dimension
    generator = torch.Generator().manual_seed(1)
    points = torch.randn(2, 3, d, generator=generator)
    for of, shape in ((surface.value, ()), (surface.gradient, (d,)), (surface.hessian, (d, d))):
        out = of(points)
        assert out.shape == (2, 3, *shape)
        assert out.dtype == torch.float32
        torch.testing.assert_close(out[1, 2], of(points[1, 2]))


@pytest.mark.parametrize("name", FACTORIES)
def test_listed_minima_are_minima(name: str) -> None:
    surface = FACTORIES[name]()
    assert surface.minima.shape == (len(surface.minima), surface.dimension)
    for minimum in surface.minima:
        curvature = torch.linalg.eigvalsh(surface.hessian(minimum))
        assert surface.gradient(minimum).abs().max() <= 1e-14 * max(1.0, float(curvature[-1]))
        assert curvature[0] >= -1e-15


@pytest.mark.parametrize("name", FACTORIES)
def test_constant_hessian_is_declared_exactly_for_quadratics(name: str) -> None:
    surface = FACTORIES[name]()
    a, b = (surface.hessian(torch.arange(1.0, surface.dimension + 1) * x) for x in (0.0, 0.7))
    assert torch.equal(a, b) == surface.constant_hessian


def test_bad_points() -> None:
    surface = s.two_weight_product()
    for call in (surface, surface.value, surface.gradient, surface.hessian):
        with pytest.raises(ValueError, match=r"shape \(\.\.\., 2\)"):
            call(torch.zeros(3))
        with pytest.raises(ValueError, match="shape"):
            call(torch.tensor(1.0))
        with pytest.raises(ValueError, match="non-empty"):
            call(torch.zeros(0, 2))
        with pytest.raises(TypeError, match="points must be"):
            call([0.0, 1.0])  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="points must be"):
            call(torch.zeros(2, dtype=torch.int64))


def test_two_weight_product_by_hand() -> None:
    surface = s.two_weight_product()
    assert surface.value(f64(0, 0)) == 1
    values, vectors = torch.linalg.eigh(surface.hessian(f64(0, 0)))
    torch.testing.assert_close(values, f64(-2, 2))
    assert vectors[:, 0].prod() > 0 > vectors[:, 1].prod()  # down along (1, 1), up along (1, -1)
    for w1 in (0.5, 1.0, 2.0, -3.0):  # the hyperbola of minima
        point = f64(w1, 1 / w1)
        expected = f64(0, 2 * (w1**2 + w1**-2))
        torch.testing.assert_close(
            torch.linalg.eigvalsh(surface.hessian(point)), expected, rtol=1e-12, atol=1e-12
        )


def test_valley_reproduces_the_lecture() -> None:
    surface = s.regression_valley()
    b, w = surface.minima[0].tolist()
    assert b == pytest.approx(-188.43320, abs=5e-6)
    assert w == pytest.approx(2.66945, abs=1e-5)
    low, high = torch.linalg.eigvalsh(surface.hessian(f64(0, 0))).tolist()
    assert low == pytest.approx(5.573477, abs=5e-7)
    assert high == pytest.approx(1.746830e6, rel=5e-7)
    assert high / low == pytest.approx(313418, abs=1)
    # 100,000 updates at 1e-7 from the lecture's start, in closed form
    hessian, start = surface.hessian(f64(0, 0)), f64(*s.VALLEY_START)
    values, vectors = torch.linalg.eigh(hessian)
    factor = (1 - 1e-7 * values) ** 100_000
    end = surface.minima[0] + vectors @ (factor * (vectors.T @ (start - surface.minima[0])))
    torch.testing.assert_close(end, f64(-123.6922, 2.48340), rtol=0, atol=5e-5)
    ten = sum((y - 1 - 2 * x) ** 2 for x, y in zip(s.VALLEY_INPUTS, s.VALLEY_TARGETS, strict=True))
    assert surface.value(f64(1, 2)).item() == pytest.approx(ten, rel=1e-14)


def test_double_well_minima_and_order() -> None:
    surface = s.tilted_double_well()
    assert surface.minima.flatten().tolist() == pytest.approx([-1.04668, 0.94565], abs=5e-6)
    for tilt in (-0.3, 0.0, 0.3):
        tilted = s.tilted_double_well(tilt)
        values = tilted.value(tilted.minima)
        assert values[0] <= values[1] + 1e-15
        assert tilted.minima.shape == (2, 1)
        assert tilted.minima.sign().sum() == 0
    for tilt in (0.39, -1, math.nan, 2 / 27**0.5):
        with pytest.raises(ValueError, match="tilt must be"):
            s.tilted_double_well(tilt)


def test_hidden_saddle_is_a_minimum_on_its_line() -> None:
    surface = s.hidden_saddle()
    line = torch.stack([torch.linspace(-1, 1, 5), torch.zeros(5)], dim=1)
    assert surface.value(line).argmin() == 2
    assert surface.hessian(f64(0, 0)).diagonal().tolist() == [1, -1]


def test_softmax_surfaces_at_the_lectures_corner() -> None:
    # independent closed forms in d = y2 - y1 = 20: p = 1 / (1 + e^20)
    p = 1 / (1 + math.exp(20))
    corner = f64(-10, 10)
    ce, mse = s.cross_entropy_surface(), s.mse_surface()
    assert ce.value(corner).item() == pytest.approx(20 + math.log1p(math.exp(-20)), rel=1e-14)
    assert mse.value(corner).item() == pytest.approx(2 * (1 - p) ** 2, rel=1e-14)
    slope_ce, slope_mse = ce.gradient(corner)[0].item(), mse.gradient(corner)[0].item()
    assert slope_ce == pytest.approx(p - 1, rel=1e-14)
    assert slope_mse == pytest.approx(-4 * p * (1 - p) ** 2, rel=1e-12, abs=0)
    assert slope_ce / slope_mse == pytest.approx(1.21e8, rel=5e-3)


def test_softmax_surfaces_keep_digits_where_the_answer_is_right() -> None:
    # at (10, -10), q = 1 - p = 1 / (1 + e^20); a naive 1 - p1 would keep 8 digits only
    q = 1 / (1 + math.exp(20))
    corner = f64(10, -10)
    ce, mse = s.cross_entropy_surface(), s.mse_surface()
    assert ce.value(corner).item() == pytest.approx(math.log1p(math.exp(-20)), rel=1e-13, abs=0)
    assert ce.gradient(corner).tolist() == pytest.approx([-q, q], rel=1e-13, abs=0)
    assert mse.value(corner).item() == pytest.approx(2 * q**2, rel=1e-13, abs=0)
    slope = 4 * (1 - q) * q**2
    assert mse.gradient(corner).tolist() == pytest.approx([-slope, slope], rel=1e-13, abs=0)


def test_quadratics() -> None:
    values = torch.linalg.eigvalsh(s.ill_conditioned(1000, 4, 0.3).hessian(torch.zeros(4).double()))
    torch.testing.assert_close(values, f64(1e-3, 1e-2, 1e-1, 1), rtol=1e-12, atol=0)
    turned = s.quadratic([2.0, 1.0], angle=math.pi / 2)
    torch.testing.assert_close(turned.hessian(f64(0, 0)), torch.diag(f64(1, 2)))
    tilted = s.quadratic([2.0, 1.0], angle=0.3)  # counterclockwise: axis 1 points to (cos, sin)
    assert tilted.value(f64(math.cos(0.3), math.sin(0.3))).item() == pytest.approx(1.0)
    assert len(s.quadratic([1.0, -1.0]).minima) == 0
    assert s.quadratic([2.0]).value(f64(3.0)) == 9
    for bad in ([], [math.nan], [math.inf]):
        with pytest.raises(ValueError, match="curvatures"):
            s.quadratic(bad)
    with pytest.raises(TypeError, match="curvatures"):
        s.quadratic("12")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="2 or more"):
        s.quadratic([1.0], angle=0.1)
    for kappa in (0.5, math.nan, math.inf, 0):
        with pytest.raises(ValueError, match="condition_number"):
            s.ill_conditioned(kappa)


def test_two_feature_regression() -> None:
    generator = torch.Generator().manual_seed(0)
    inputs = s.two_features(generator=generator, samples=500)
    assert inputs.shape == (500, 2)
    assert inputs.min() >= 0
    assert (inputs.max(dim=0).values <= f64(2, 200)).all()
    surface = s.two_feature_regression(inputs, weights=(2.0, -1.0))
    torch.testing.assert_close(surface.minima[0], f64(2, -1))
    torch.testing.assert_close(surface.value(f64(2, -1)), f64(0)[0], rtol=0, atol=1e-20)
    expected = 2 * inputs.T @ inputs / 500
    torch.testing.assert_close(surface.hessian(f64(0, 0)), expected)
    with pytest.raises(ValueError, match="two features"):
        s.two_feature_regression(torch.ones(4, 3))
    with pytest.raises(TypeError, match=r"weights must be two numbers, got 5\.0"):
        s.two_feature_regression(inputs, weights=5.0)
    with pytest.raises(ValueError, match="weights must be two numbers, got 3"):
        s.two_feature_regression(inputs, weights=(1.0, 2.0, 3.0))
    with pytest.raises(TypeError, match="generator"):
        s.two_features(generator=None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="scales"):
        s.two_features(generator=generator, scales=(1.0, 0.0))


def test_least_squares_refuses_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="one target"):
        s.least_squares(torch.ones(3, 2), torch.ones(2))
    with pytest.raises(ValueError, match="finite"):
        s.least_squares(torch.ones(1, 1), torch.tensor([math.nan]))
    with pytest.raises(ValueError, match="reduction"):
        s.least_squares(torch.ones(1, 1), torch.ones(1), reduction="none")
    # the surface keeps its own copy of the data
    inputs = torch.ones(2, 1)
    surface = s.least_squares(inputs, torch.ones(2))
    inputs.zero_()
    assert surface.value(torch.zeros(1)) == 1


def test_adam_fails_on_reddis_slopes_as_the_theorem_says() -> None:
    # beta1 = 0, beta2 = 1 / (1 + C^2), rate 0.5 / sqrt(t), projected on [-1, 1]
    large, x, v = 3.0, -1.0, 0.0
    beta2 = 1 / (1 + large**2)
    slopes = s.reddi_slopes(3000, large=large)
    assert slopes.mean() > 0  # so that -1 is the best point
    for t, g in enumerate(slopes.tolist(), start=1):
        v = beta2 * v + (1 - beta2) * g * g
        x = min(1.0, max(-1.0, x - 0.5 / math.sqrt(t) * g / math.sqrt(v)))
    assert x > 0.95
    assert s.reddi_slopes(102, 1010, 10, 101)[[0, 1, 100, 101]].tolist() == [1010, -10, -10, 1010]
    with pytest.raises(ValueError, match="large must be"):
        s.reddi_slopes(10, large=2.0)
    with pytest.raises(ValueError, match="steps"):
        s.reddi_slopes(0)
