"""Minimization by L-BFGS: quadratics in closed form, and the model left as it came."""

import math
import subprocess
import sys

import pytest
import torch
from torch import nn

from d2lstab.optimize import minimization
from d2lstab.optimize.minimization import minimize

MSE = nn.functional.mse_loss


@pytest.fixture
def regression():
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(30, 4, generator=draw, dtype=torch.float64)
    y = torch.randn(30, 1, generator=draw, dtype=torch.float64)
    model = nn.Linear(4, 1, bias=False, dtype=torch.float64)
    return model, x, y


@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_ridge_regression_is_solved(regression, decay):
    model, x, y = regression
    found = minimize(model, MSE, x, y, weight_decay=decay)
    hessian = 2 / 30 * x.T @ x + decay * torch.eye(4, dtype=torch.float64)
    exact = torch.linalg.solve(hessian, 2 / 30 * x.T @ y)
    value = float(MSE(x @ exact, y) + decay / 2 * exact.square().sum())
    assert math.isclose(found.loss, value, rel_tol=1e-12)
    # A line search that compares losses cannot tell points whose losses differ by round-off:
    # curvature * error^2 / 2 is then some units in the last place of the loss.
    error = float((found.model.weight.detach() - exact.T).norm())
    flattest = float(torch.linalg.eigvalsh(hessian)[0])
    assert error <= math.sqrt(2 * 20 * torch.finfo(torch.float64).eps * value / flattest)
    # and in a strongly convex bowl the gradient bounds the distance to the minimum
    assert error <= found.gradient_norm / flattest * (1 + 1e-6) + 1e-14
    steepest = float(torch.linalg.eigvalsh(hessian)[-1])
    assert found.gradient_norm <= steepest * error * (1 + 1e-6) + 1e-14


def test_one_step_reports_the_gradient_where_it_ended(regression):
    model, x, y = regression
    found = minimize(model, MSE, x, y, weight_decay=0.3, steps=1)
    w = found.model.weight.detach()
    g = 2 / 30 * (x @ w.T - y).T @ x + 0.3 * w
    assert math.isclose(found.gradient_norm, float(g.norm()), rel_tol=1e-12)
    assert found.gradient_norm > 1e-3


def test_the_model_stays_as_it_came(regression):
    model, x, y = regression
    model.weight.grad = torch.ones_like(model.weight)
    before = model.weight.detach().clone()
    with torch.no_grad():
        found = minimize(model.eval(), MSE, x, y)
    assert torch.equal(model.weight, before)
    assert torch.equal(model.weight.grad, torch.ones_like(before))
    assert found.model.weight.grad is None
    assert not found.model.training


def test_what_does_not_require_a_gradient_stays(regression):
    _, x, y = regression
    model = nn.Linear(4, 1, dtype=torch.float64)
    model.bias.requires_grad_(False)
    found = minimize(model, MSE, x, y, weight_decay=1.0)
    assert torch.equal(found.model.bias, model.bias)
    with pytest.raises(ValueError, match="model must have parameters"):
        minimize(model.requires_grad_(False), MSE, x, y)


@pytest.mark.parametrize("bad", [0, -1])
def test_steps_are_positive(regression, bad):
    with pytest.raises(ValueError, match="steps must be"):
        minimize(*_problem(regression), steps=bad)


@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf])
def test_weight_decay_is_not_negative(regression, bad):
    with pytest.raises(ValueError, match="weight_decay must be"):
        minimize(*_problem(regression), weight_decay=bad)


@pytest.mark.parametrize(("name", "bad"), [("steps", True), ("weight_decay", "1")])
def test_wrong_kinds_are_refused(regression, name, bad):
    with pytest.raises(TypeError, match=f"{name} must be"):
        minimize(*_problem(regression), **{name: bad})
    with pytest.raises(TypeError, match="model must be"):
        minimize(torch.relu, *_problem(regression)[1:])


def _problem(regression):
    model, x, y = regression
    return model, MSE, x, y


def two_loops(g, steps, changes):
    """-H g by the two-loop recursion, algorithm 7.4 of Nocedal and Wright."""
    q, weights = g.clone(), []
    for s, y in zip(reversed(steps), reversed(changes), strict=True):
        weights.append(s @ q / (s @ y))
        q -= weights[-1] * y
    r = q * (steps[-1] @ changes[-1]) / changes[-1].square().sum()
    for s, y, a in zip(steps, changes, reversed(weights), strict=True):
        r += s * (a - y @ r / (s @ y))
    return -r


@pytest.mark.parametrize("pairs", [1, 2, 7, minimization._MEMORY + 3])
def test_the_compact_form_is_the_two_loop_recursion(pairs):
    draw = torch.Generator().manual_seed(1)
    root = torch.randn(9, 9, generator=draw, dtype=torch.float64)
    steps = list(torch.randn(pairs, 9, generator=draw, dtype=torch.float64))
    changes = [root.T @ (root @ s) + s for s in steps]  # those of a convex quadratic
    g = torch.randn(9, generator=draw, dtype=torch.float64)
    memory = minimization._Pairs(g)
    assert torch.equal(memory.descent(g), -g / g.norm())
    for s, y in zip(steps, changes, strict=True):
        memory.add(s, y)
    memory.add(g, -g)  # a pair of negative curvature is not kept
    kept = slice(-minimization._MEMORY, None)
    wanted = two_loops(g, steps[kept], changes[kept])
    torch.testing.assert_close(memory.descent(g), wanted, rtol=1e-8, atol=1e-10)


def test_a_curved_valley_is_followed_to_its_end():
    valley = nn.Linear(2, 1, bias=False, dtype=torch.float64)  # Rosenbrock's, from (-1.2, 1)
    with torch.no_grad():
        valley.weight.copy_(torch.tensor([[-1.2, 1.0]]))
    unit = torch.eye(2, dtype=torch.float64)

    def rosenbrock(out, _):
        a, b = out.flatten()
        return (1 - a) ** 2 + 100 * (b - a**2) ** 2

    found = minimize(valley, rosenbrock, unit, None)
    torch.testing.assert_close(found.model.weight.detach(), torch.ones(1, 2).double())
    assert found.loss < 1e-20


def test_nothing_is_moved_where_the_gradient_is_zero(regression):
    _, x, _ = regression
    model = nn.Linear(4, 1, bias=False, dtype=torch.float64)
    found = minimize(model, MSE, x, model(x).detach())
    assert torch.equal(found.model.weight, model.weight)
    assert (found.loss, found.gradient_norm) == (0.0, 0.0)


def test_it_runs_without_torch_s_compiler():
    script = (
        "import sys, torch; from torch import nn; "
        "from d2lstab.optimize.minimization import minimize; "
        "one = torch.ones(1, 1); minimize(nn.Linear(1, 1), nn.functional.mse_loss, one, one); "
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
