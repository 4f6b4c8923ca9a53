"""Walks over a surface: what is drawn, and what is refused."""

import numpy as np
import pytest
import torch

from d2lstab.plots import draw_paths, figure

SPAN = ((-2.0, 2.0), (-1.0, 1.0))
NAMES = {"title": "t", "xlabel": "b", "ylabel": "w"}


def bowl(points):
    return points.square().sum(-1)


def test_paths_contours_starts_and_minima_are_drawn():
    _, ax = figure()
    path = torch.tensor([[1.0, 0.5], [0.5, 0.2], [0.0, 0.0]])
    draw_paths(ax, bowl, {"full": path, "B = 1": path / 2}, minima=[[0.0, 0.0]], span=SPAN, **NAMES)
    named = [line for line in ax.get_lines() if not line.get_label().startswith("_")]
    assert [line.get_label() for line in named] == ["full", "B = 1"]
    np.testing.assert_allclose(named[0].get_xydata(), path)
    assert len({line.get_color() for line in named}) == 2
    crosses = [line for line in ax.get_lines() if line.get_marker() == "x"]
    assert [tuple(c.get_xydata()[0]) for c in crosses] == [(1.0, 0.5), (0.5, 0.25)]
    assert sum(line.get_marker() == "*" for line in ax.get_lines()) == 1
    assert len(ax.collections) == 1
    assert (ax.get_xlim(), ax.get_ylim()) == SPAN
    titles = {ax.get_title(place) for place in ("left", "center")}
    assert (ax.get_xlabel(), ax.get_ylabel(), titles) == ("b", "w", {"t", ""})


def test_contours_stand_at_equal_steps_of_the_root():
    _, ax = figure()
    draw_paths(ax, bowl, {}, span=((-2.0, 2.0), (-2.0, 2.0)), levels=3, **NAMES)
    radii = np.sqrt(ax.collections[0].levels)
    np.testing.assert_allclose(radii / radii[0], [1, 2, 3])
    assert ax.get_legend() is None


def test_contours_stand_at_the_heights_that_are_asked_for():
    _, ax = figure()
    draw_paths(ax, bowl, {}, span=SPAN, levels=[0.5, 1.0, 3.0], **NAMES)
    assert list(ax.collections[0].levels) == [0.5, 1.0, 3.0]


def test_nonfinite_points_and_flat_surfaces_do_no_harm():
    _, ax = figure()
    path = [[0.0, 0.0], [np.inf, 1.0], [np.nan, np.nan]]
    draw_paths(ax, lambda p: 0 * p[..., 0], {"gone": path}, span=SPAN, **NAMES)
    drawn = ax.get_lines()[0].get_xydata()
    assert np.isnan(drawn[1, 0])
    assert drawn[0, 0] == 0


@pytest.mark.parametrize("path", [[], [1.0, 2.0], [[1.0, 2.0, 3.0]], [[[1.0, 2.0]]]])
def test_a_path_of_another_shape_is_refused(path):
    _, ax = figure()
    with pytest.raises(ValueError, match=r"'p' must be of shape \(steps, 2\)"):
        draw_paths(ax, bowl, {"p": path}, span=SPAN, **NAMES)


@pytest.mark.parametrize("span", [((1.0, 1.0), (0.0, 1.0)), ((0.0, 1.0), (2.0, 1.0))])
def test_an_empty_span_is_refused(span):
    _, ax = figure()
    with pytest.raises(ValueError, match="span must be"):
        draw_paths(ax, bowl, {}, span=span, **NAMES)


@pytest.mark.parametrize("height", [lambda p: p[..., 0] / 0, lambda p: p])
def test_a_height_that_is_not_finite_is_refused(height):
    _, ax = figure()
    with pytest.raises(ValueError, match="height must be finite"):
        draw_paths(ax, height, {}, span=SPAN, **NAMES)
