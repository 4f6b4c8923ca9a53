import itertools
import math

import numpy as np
import pytest

from d2lstab.plots import draw_curves, figure

TEXTS = {"title": "it falls", "xlabel": "layer", "ylabel": "norm (1)"}


def lines(ax):
    return {line.get_label(): line for line in ax.get_lines()}


def test_measurements_and_predictions_stand_on_the_axes_as_they_were_given():
    _, ax = figure()
    draw_curves(
        ax,
        {"a": ([1, 2, 3], [3.0, 2.0, 1.0]), "b": ([1, 2], [1.0, 4.0])},
        predicted={"law": ([1, 3], [3.0, 1.0])},
        log="y",
        **TEXTS,
    )
    drawn = lines(ax)
    assert drawn["a"].get_ydata().tolist() == [3.0, 2.0, 1.0]
    assert drawn["b"].get_xdata().tolist() == [1, 2]
    assert drawn["law"].get_color() in ("black", "k", "#000000"), drawn["law"].get_color()
    assert (ax.get_xscale(), ax.get_yscale()) == ("linear", "log")
    assert (ax.get_title(loc="left") or ax.get_title(), ax.get_xlabel(), ax.get_ylabel()) == tuple(
        TEXTS.values()
    )
    assert drawn["a"].get_linestyle() != drawn["b"].get_linestyle()


@pytest.mark.parametrize("last", [3, 10, 100, 2000, 30_000])
def test_whole_numbers_are_labeled_without_overlap_also_in_half_a_figure(last):
    fig, axes = figure(1, 2)
    draw_curves(axes[0], {"a": ([0, last // 2, last], [3.0, 2.0, 1.0])}, **TEXTS)
    fig.canvas.draw()
    ticks = [t for t in axes[0].get_xticks() if 0 <= t <= last]
    assert len(ticks) >= 3
    assert all(t == round(t) for t in ticks)
    boxes = [
        t.get_window_extent() for t in axes[0].get_xticklabels() if 0 <= t.get_position()[0] <= last
    ]
    assert all(a.x1 + 4 < b.x0 for a, b in itertools.pairwise(boxes))


def test_nan_and_infinity_are_marked():
    _, ax = figure()
    draw_curves(ax, {"a": ([1, 2, 3], [1.0, math.nan, math.inf])}, **TEXTS)
    assert {"_NaN", "_inf"} <= set(lines(ax))


def test_six_curves_get_a_legend_and_five_do_not():
    for count, legend in ((5, False), (6, True)):
        _, ax = figure()
        draw_curves(ax, {str(i): ([0, 1], [i, i + 1]) for i in range(count)}, **TEXTS)
        assert (ax.get_legend() is not None) == legend


@pytest.mark.parametrize(
    ("measured", "options"),
    [
        ({}, {}),
        ({"a": ([1, 2], [1])}, {}),
        ({"a": ([], [])}, {}),
        ({"a": ([1], [1])}, {"log": "z"}),
    ],
)
def test_bad_curves_are_refused(measured, options):
    _, ax = figure()
    with pytest.raises(ValueError, match="must"):
        draw_curves(ax, measured, **TEXTS, **options)


def test_tensors_of_any_shape_are_taken():
    import torch

    _, ax = figure()
    draw_curves(ax, {"a": (torch.arange(3), torch.ones(3, 1))}, **TEXTS)
    assert np.allclose(lines(ax)["a"].get_ydata(), 1)


def test_points_that_are_not_joined_leave_the_prediction_visible():
    _, ax = figure()
    draw_curves(ax, {"a": ([1, 2], [1.0, 2.0])}, joined=False, markers=False, **TEXTS)
    line = lines(ax)["a"]
    assert (line.get_linestyle(), line.get_marker()) == ("None", "o")


def test_whole_numbers_get_whole_ticks():
    _, ax = figure()
    draw_curves(ax, {"a": ([1, 2, 3], [1.0, 2.0, 3.0])}, **TEXTS)
    assert all(tick == round(tick) for tick in ax.get_xticks())
