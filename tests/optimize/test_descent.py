"""Descent: the iteration is the rule's, the fast way is the plain way, divergence is data."""

import math

import pytest
import torch

from d2lstab.optimize import rules
from d2lstab.optimize.descent import descend
from d2lstab.optimize.schedules import inverse_sqrt
from d2lstab.specimens.surfaces import (
    VALLEY_START,
    quadratic,
    regression_valley,
    tilted_double_well,
    two_weight_product,
)


class Plain:
    """A surface without any mark by which it could be treated specially."""

    def __init__(self, surface):
        self.value, self.gradient = surface.value, surface.gradient


RULES = {
    "sgd": rules.sgd(0.3),
    "momentum": rules.momentum(0.1),
    "lees momentum": rules.momentum(0.1, rate_in_buffer=True),
    "nesterov": rules.nesterov(0.1),
    "adagrad": rules.adagrad(0.5),
    "mean_rms": rules.mean_rms(inverse_sqrt(0.1)),
    "rmsprop": rules.rmsprop(0.01, momentum=0.5, centered=True, eps=1e-3),
    "adam": rules.adam(0.05),
    "amsgrad": rules.amsgrad(0.05),
    "adamw": rules.adamw(0.05),
    "radam": rules.radam(0.05),
}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())
def test_arrays_and_tensors_go_the_same_way(rule):
    bowl = quadratic([1.0, 0.1], angle=0.5)
    for start in ([3.0, -2.0], [[1.0, 2.0], [-1.0, 0.5]]):
        fast = descend(bowl, start, rule, 200)
        plain = descend(Plain(bowl), start, rule, 200)
        automatic = descend(bowl.value, start, rule, 200)
        for other in (plain, automatic):
            # 200 steps of a stable iteration: round-off does not grow
            torch.testing.assert_close(fast.points, other.points, rtol=1e-12, atol=1e-12)
            torch.testing.assert_close(fast.losses, other.losses, rtol=1e-11, atol=1e-12)
            torch.testing.assert_close(
                fast.gradient_norms, other.gradient_norms, rtol=1e-11, atol=1e-12
            )


def test_the_iteration_is_the_rules_own():
    surface, rule = two_weight_product(), rules.momentum(0.05)
    x = torch.tensor([0.5, 1.5], dtype=torch.float64)
    trajectory = descend(surface, x, rule, 30)
    assert trajectory.points.shape == (31, 2)
    state = rule.init(x)
    for t in range(31):
        assert torch.equal(trajectory.points[t], x)
        assert trajectory.losses[t] == surface.value(x)
        norm = surface.gradient(x).norm().item()
        assert trajectory.gradient_norms[t].item() == pytest.approx(norm, rel=1e-15)
        update, state = rule.update(surface.gradient(x), state, x)
        x = x + update
    assert trajectory.diverged_at is None


def test_the_valley_equals_its_closed_form_at_every_step():
    valley = regression_valley()
    steps, rate = 100_000, 1e-7
    trajectory = descend(valley, VALLEY_START, rules.sgd(rate), steps)
    values, vectors = torch.linalg.eigh(valley.hessian(torch.zeros(2, dtype=torch.float64)))
    start = torch.tensor(VALLEY_START, dtype=torch.float64)
    t = torch.arange(steps + 1, dtype=torch.float64)[:, None]
    modes = (1 - rate * values) ** t * (vectors.T @ (start - valley.minima[0]))
    exact = valley.minima[0] + modes @ vectors.T
    torch.testing.assert_close(trajectory.points, exact, rtol=0, atol=1e-6)
    assert trajectory.points[-1].tolist() == pytest.approx([-123.6922, 2.48340], abs=5e-5)
    few = descend(Plain(valley), VALLEY_START, rules.sgd(rate), 500)
    torch.testing.assert_close(few.points, trajectory.points[:501], rtol=1e-13, atol=0)


def burst_starts(points, valley):
    """The b at which |w - w*(b)| exceeds 0.1 after 60 updates without that."""
    hessian = valley.hessian(torch.zeros(2, dtype=torch.float64))
    best_w = valley.minima[0, 1] - hessian[0, 1] / hessian[1, 1] * (
        points[:, 0] - valley.minima[0, 0]
    )
    loud = ((points[:, 1] - best_w).abs() > 0.1).tolist()
    starts, quiet = [], 0
    for t, now in enumerate(loud):
        if now and quiet >= 60:
            starts.append(points[t, 0].item())
        quiet = 0 if now else quiet + 1
    return starts


def test_mean_rms_bursts_and_adagrad_does_not():
    valley = regression_valley()
    path = descend(valley, VALLEY_START, rules.mean_rms(1.0), 30_000)
    found = burst_starts(path.points, valley)
    # The bursts grow out of round-off: starts one unit in the last place apart, or another
    # order of summation, scatter their onsets with a standard deviation of 0.2.
    assert found[:4] == pytest.approx([-167, -181, -186, -188], abs=0.3)
    calm = descend(valley, VALLEY_START, rules.mean_rms(inverse_sqrt(1.0)), 30_000)
    assert burst_starts(calm.points, valley) == []


def test_divergence_is_the_last_point_kept():
    valley = regression_valley()
    trajectory = descend(valley, VALLEY_START, rules.sgd(1e-2), 100_000)
    # Each update multiplies the steep direction by 1 - 17468 = -10^4.2422; its height, first
    # 3.7e7 = 10^7.56, grows by 10^8.4844 and leaves float64 (10^308.25) at update 36:
    # (308.25 - 7.56) / 8.4844 = 35.4.
    assert trajectory.diverged_at == 36
    for part in (trajectory.points, trajectory.losses, trajectory.gradient_norms):
        assert len(part) == 37
    assert trajectory.losses[:36].isfinite().all()
    assert trajectory.losses[36] == math.inf
    plain = descend(Plain(valley), VALLEY_START, rules.sgd(1e-2), 100)
    assert plain.diverged_at == trajectory.diverged_at


def test_of_many_starts_the_others_go_on():
    # x <- x - 0.1 * 4 x^3: from 1 it converges, from 3 and 4 the cube runs away.
    starts = [[1.0], [3.0], [4.0]]
    both = descend(lambda x: (x**4).sum(-1), starts, rules.sgd(0.1), 50)
    alone = [descend(lambda x: (x**4).sum(-1), s, rules.sgd(0.1), 50) for s in starts]
    assert both.points.shape == (51, 3, 1)
    assert both.losses.shape == both.gradient_norms.shape == (51, 3)
    assert torch.equal(both.points[:, 0], alone[0].points)
    assert alone[0].diverged_at is None
    assert both.diverged_at == min(alone[1].diverged_at, alone[2].diverged_at)
    runaways = descend(lambda x: (x**4).sum(-1), starts[1:], rules.sgd(0.1), 50)
    assert len(runaways.points) == max(len(a.points) for a in alone[1:])


@pytest.mark.parametrize(
    ("keep", "end"), [(0.0, 0.94565), (0.9, -1.04668), (0.97, 0.94565), (0.99, -1.04668)]
)
def test_the_ball_and_the_hill(keep, end):
    trajectory = descend(tilted_double_well(), 2.0, rules.momentum(0.01, keep), 8000)
    assert trajectory.points[-1].item() == pytest.approx(end, abs=1e-5)


def test_dtype_follows_and_the_start_is_not_changed():
    start = torch.ones(2, dtype=torch.float32)
    for surface in (quadratic([1.0, 2.0]), lambda x: (x**2).sum(-1)):
        trajectory = descend(surface, start, rules.adam(0.1), 5)
        assert trajectory.points.dtype == trajectory.losses.dtype == torch.float32
        assert start.tolist() == [1, 1]
        trajectory.points.zero_()
        assert start.tolist() == [1, 1]
    assert descend(quadratic([1.0]), 3, rules.sgd(0.1), 0).points.tolist() == [[3.0]]
    scalar = descend(lambda x: x**2, 1.0, rules.sgd(0.25), 2)
    assert scalar.points.tolist() == [1.0, 0.5, 0.25]


@pytest.mark.parametrize("steps", [1023, 1024, 1025, 2048])
def test_no_step_is_lost_between_chunks(steps):
    points = descend(quadratic([1.0]), [1.0], rules.sgd(0.001), steps).points[:, 0]
    t = torch.arange(steps + 1, dtype=torch.float64)
    torch.testing.assert_close(points, 0.999**t, rtol=1e-12, atol=0)


BOWL = quadratic([1.0, 2.0])


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"steps": -1}, ValueError),
        ({"steps": 1.5}, TypeError),
        ({"steps": True}, TypeError),
        ({"start": [math.nan, 1.0]}, ValueError),
        ({"start": [math.inf, 1.0]}, ValueError),
        ({"start": [1.0]}, ValueError),
        ({"start": "here"}, TypeError),
        ({"start": None}, ValueError),
        ({"start": torch.tensor([1, 2])}, TypeError),
        ({"start": torch.zeros(0, 2)}, ValueError),
        ({"rule": 0.1}, TypeError),
        ({"rule": rules.sgd}, TypeError),
        ({"surface": 3.0}, TypeError),
        ({"surface": lambda x: 1.0}, ValueError),
        ({"surface": lambda x: torch.zeros(5)}, ValueError),
        ({"surface": lambda x: torch.zeros(())}, ValueError),
    ],
)
def test_bad_arguments(changes, error):
    known = {"surface": BOWL, "start": [1.0, 1.0], "rule": rules.sgd(0.1), "steps": 3} | changes
    with pytest.raises(error, match="must"):
        descend(**known)
