import math

import numpy as np
import pytest

from d2lstab.plots import draw_bowl, draw_distributions, figure

HIST = {"title": "it is wide", "xlabel": "value", "span": (-2.0, 2.0)}


def test_a_bowl_is_drawn_to_scale_around_its_minimum_with_the_path():
    _, ax = figure()
    path = [[3.0, 1.0], [2.0, 1.0], [1.0, 1.0]]
    draw_bowl(ax, [[1.0, 0.0], [0.0, 1.0]], path, minimum=(1.0, 1.0), title="round")
    descent = ax.get_lines()[0]
    assert descent.get_xdata().tolist() == [3.0, 2.0, 1.0]
    assert ax.get_box_aspect() == 1
    assert np.ptp(ax.get_xlim()) == pytest.approx(np.ptp(ax.get_ylim()))
    assert np.mean(ax.get_xlim()) == pytest.approx(1.0)
    rings = ax.collections[0].get_paths()
    radii = [np.hypot(*(ring.vertices - 1.0).T) for ring in rings if len(ring.vertices)]
    inner = radii[0]
    assert inner.std() < 0.01 * inner.mean()  # a circle


@pytest.mark.parametrize(
    ("hessian", "path"),
    [
        ([[1.0, 0.0], [0.0, -1.0]], [[1.0, 1.0]]),
        ([[1.0, 0.0], [0.0, math.nan]], [[1.0, 1.0]]),
        ([1.0, 2.0], [[1.0, 1.0]]),
        ([[1.0, 0.0], [0.0, 1.0]], [1.0, 1.0]),
        ([[1.0, 0.0], [0.0, 1.0]], np.zeros((0, 2))),
    ],
)
def test_what_is_no_bowl_or_no_path_is_refused(hessian, path):
    _, ax = figure()
    with pytest.raises(ValueError, match="must be"):
        draw_bowl(ax, hessian, path, title="no")


def test_shares_of_a_distribution_add_up_to_one_and_ends_are_counted():
    _, ax = figure()
    draw_distributions(ax, {"a": [-9.0, 0.1, 0.2, 9.0], "b": np.zeros(100)}, bins=4, **HIST)
    a, ticks, b = ax.get_lines()
    assert a.get_ydata()[:-1].tolist() == [0.25, 0.0, 0.5, 0.25]
    assert len(ticks.get_xdata()) == 4
    assert b.get_ydata()[:-1].sum() == 1.0
    assert ax.get_legend() is not None


@pytest.mark.parametrize("samples", [{}, {"a": []}, {"a": [1.0, math.nan]}])
def test_empty_and_non_finite_samples_are_refused(samples):
    _, ax = figure()
    with pytest.raises(ValueError, match="must hold"):
        draw_distributions(ax, samples, **HIST)


def test_an_empty_span_is_refused():
    _, ax = figure()
    with pytest.raises(ValueError, match="span must be"):
        draw_distributions(ax, {"a": [1.0]}, title="t", xlabel="x", span=(1.0, 1.0))
