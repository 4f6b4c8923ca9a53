"""Searches on losses whose critical points are known in closed form."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from d2lstab.measure.curvature import HessianOperator, eigenpairs
from d2lstab.optimize.critical_points import damped_newton, descend_gradient_norm

ONE = torch.ones(1, 1, dtype=torch.float64)


class Point(nn.Module):
    """A model that is its parameters: the loss is any function of them."""

    def __init__(self, *start):
        super().__init__()
        self.at = nn.Parameter(torch.tensor(start, dtype=torch.float64))

    def forward(self, _):
        return self.at


def product(w, _):
    """(1 - w1 w2)^2: a saddle at the origin, minima on the hyperbola w1 w2 = 1."""
    return (1 - w[0] * w[1]) ** 2


def monkey(w, _):
    """w1^3 - 3 w1 w2^2: its only critical point is degenerate, H = 0 there."""
    return w[0] ** 3 - 3 * w[0] * w[1] ** 2


SEARCHES = [descend_gradient_norm, damped_newton]


@pytest.mark.parametrize("search", SEARCHES)
def test_the_saddle_and_the_minima_of_two_weights(search):
    near_saddle = search(Point(0.1, -0.2), product, ONE, ONE, tolerance=1e-9)
    assert near_saddle.converged
    assert near_saddle.model.at.detach().abs().max().item() < 1e-9
    assert near_saddle.losses[-1].item() == pytest.approx(1)
    assert near_saddle.losses[-1] > near_saddle.losses[0] - 0.05
    near_minimum = search(Point(1.4, 0.9), product, ONE, ONE, tolerance=1e-9)
    assert near_minimum.converged
    assert near_minimum.model.at.detach().prod().item() == pytest.approx(1, abs=1e-8)


@pytest.mark.parametrize("search", SEARCHES)
def test_notes_are_consistent_and_the_norm_never_grows(search):
    result = search(Point(0.4, 0.3), product, ONE, ONE, steps=30)
    assert len(result.losses) == len(result.gradient_norms) <= 31
    assert bool((result.gradient_norms.diff() < 0).all())
    at = HessianOperator(result.model, product, ONE, ONE)
    assert result.losses[-1].item() == pytest.approx(at.loss, rel=1e-12)
    assert result.gradient_norms[-1].item() == pytest.approx(at.gradient.norm().item(), abs=1e-15)


def test_newton_squares_the_error():
    result = damped_newton(Point(0.1, -0.2), product, ONE, ONE, tolerance=1e-14)
    norms = result.gradient_norms
    assert norms[-1] <= 1e-14
    assert len(norms) < 12


@pytest.mark.parametrize("curvature", [0.1, 2.0, -50.0])
def test_one_damped_step(curvature):
    """L = c w^2 / 2 from w = 1: delta = -c c / (c^2 + mu^2) with mu = damping |c|."""
    result = damped_newton(
        Point(1.0), lambda w, _: curvature * (w**2).sum() / 2, ONE, ONE, steps=1, damping=0.5
    )
    assert result.model.at.item() == pytest.approx(1 - 1 / 1.25)


def test_newton_goes_up_to_a_maximum():
    result = damped_newton(Point(0.3), lambda w, _: torch.cos(w).sum(), ONE, ONE)
    assert result.converged
    assert result.losses[-1].item() == pytest.approx(1)


@pytest.mark.parametrize("search", SEARCHES)
def test_a_degenerate_point(search):
    """Quadratic gradient: Newton halves the distance, and everything else is slower."""
    result = search(Point(0.5, 0.4), monkey, ONE, ONE, steps=60, tolerance=1e-4)
    assert result.gradient_norms[-1] < 1e-2 * result.gradient_norms[0]


@pytest.mark.parametrize("search", SEARCHES)
def test_a_gradient_flat_point_is_not_critical(search):
    """L = w^3 / 3 + w: |g| = w^2 + 1 is least at 0, where it is 1 and H g = 0."""
    result = search(Point(0.5), lambda w, _: (w**3 / 3 + w).sum(), ONE, ONE, steps=200)
    assert not result.converged
    assert result.gradient_norms[-1].item() == pytest.approx(1, abs=1e-4)
    assert result.model.at.abs().item() < 0.02


def test_already_there():
    for search in SEARCHES:
        result = search(Point(0.0, 0.0), product, ONE, ONE)
        assert result.converged
        assert len(result.losses) == 1
        assert result.flatness == 0.0


def network():
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    g = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn(p.shape, generator=g, dtype=torch.float64) / 8)
    x = torch.randn(20, 3, generator=g, dtype=torch.float64)
    y = torch.randn(20, 2, generator=g, dtype=torch.float64)
    return model, x, y


def test_newton_with_products_alone_finds_one_too(monkeypatch):
    model, x, y = network()
    whole = damped_newton(model, F.mse_loss, x, y)
    monkeypatch.setattr("d2lstab.optimize.critical_points._FULL", 0)
    products = damped_newton(model, F.mse_loss, x, y, tolerance=1e-7)
    assert whole.converged
    assert products.converged


def test_the_model_and_the_random_state_are_left_alone():
    model, x, y = network()
    model[0].weight.grad = torch.ones(4, 3, dtype=torch.float64)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    random = torch.random.get_rng_state()
    for search in SEARCHES:
        result = search(model, F.mse_loss, x, y, steps=3)
        assert result.model is not model
        assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert torch.equal(random, torch.random.get_rng_state())
    assert model[0].weight.grad is not None


def test_a_step_into_overflow_is_not_made():
    """exp(w^2) overflows from w = 26.7 on; near 0 it is as good as its Taylor polynomial."""
    result = damped_newton(Point(5.0), lambda w, _: torch.exp(w**2).sum(), ONE, ONE, damping=1e-12)
    assert result.converged
    assert math.isfinite(result.losses[-1].item())


def test_batches():
    model, x, y = network()
    pairs = [(x[:7], y[:7]), (x[7:], y[7:])]
    one = damped_newton(model, F.mse_loss, x, y)
    other = damped_newton(model, F.mse_loss, iter(pairs))
    assert other.losses[-1].item() == pytest.approx(one.losses[-1].item(), rel=1e-9)


def test_saddles_found_have_negative_curvature():
    result = damped_newton(Point(0.1, -0.2), product, ONE, ONE)
    operator = HessianOperator(result.model, product, ONE, ONE)
    assert eigenpairs(operator, 2).values.tolist() == pytest.approx([2, -2])


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize(
    ("keywords", "error"),
    [
        ({"steps": 0}, ValueError),
        ({"steps": 2.5}, TypeError),
        ({"tolerance": 0.0}, ValueError),
        ({"tolerance": float("nan")}, ValueError),
        ({"loss_fn": lambda w, _: w * 2}, ValueError),
        ({"model": "model"}, TypeError),
        ({"model": Point(float("nan"), 1.0)}, ValueError),
    ],
)
def test_bad_input(search, keywords, error):
    good = {"model": Point(1.0, 2.0), "loss_fn": product, "inputs": ONE, "targets": ONE}
    with pytest.raises(error):
        search(**(good | keywords))


def test_bad_damping():
    for damping in (0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="damping"):
            damped_newton(Point(1.0, 2.0), product, ONE, ONE, damping=damping)
