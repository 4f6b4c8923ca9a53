import math
from itertools import pairwise

import pytest

from d2lstab.plots import marks as module
from d2lstab.plots.marks import label_ends, mark_nonfinite
from d2lstab.plots.style import COLORS, figure


def texts(ax):
    return {text.get_text(): text for text in ax.texts}


def test_labels_stand_at_the_ends_in_order_and_apart():
    _, ax = figure()
    for k in range(5):
        ax.plot([0, 1], [0, 1 + k / 1000], label=f"{k}")
    label_ends(ax)
    heights = [texts(ax)[f"{k}"].xy[1] for k in range(5)]
    assert all(above - below > 0.04 for below, above in pairwise(heights))
    assert heights[0] >= 0
    assert heights[-1] <= 1
    assert texts(ax)["0"].get_color() == COLORS[0]
    assert ax.get_legend() is None


def test_labels_with_room_stay_where_their_lines_end():
    _, ax = figure()
    ax.set_yscale("log")
    for y in (1e-8, 1.0, 1e8):
        ax.plot([0, 1], [1.0, y], label=f"{y:g}")
    ax.plot([0, 1], [1, 1], label="_unseen")
    label_ends(ax)
    assert set(texts(ax)) == {"1e-08", "1", "1e+08"}
    assert texts(ax)["1"].xy == pytest.approx((1, 0.5))


def test_a_label_stands_at_the_last_point_that_can_be_seen():
    _, ax = figure()
    ax.plot([0, 1, 2, 3], [0, 5, math.nan, math.inf], label="a")
    ax.plot([0, 1, 2, 3], [math.nan] * 4, label="b")
    ax.set_xlim(0, 3)
    label_ends(ax)
    assert set(texts(ax)) == {"a"}
    assert texts(ax)["a"].xy[0] == 1


def test_six_lines_get_a_legend():
    _, ax = figure()
    for k in range(6):
        ax.plot([0, 1], [0, k], label=f"{k}")
    label_ends(ax)
    assert not ax.texts
    assert len(ax.get_legend().get_texts()) == 6


@pytest.mark.parametrize("gap", [0.05, 0.2])
def test_heights_are_moved_as_little_as_possible(gap):
    assert module._apart([0.1, 0.9], gap) == pytest.approx([0.1, 0.9])
    assert module._apart([0.5, 0.5], gap) == pytest.approx([0.5 - gap / 2, 0.5 + gap / 2])
    assert module._apart([1.0, 1.0], gap) == pytest.approx([1 - gap, 1])
    assert module._apart([0.0, 0.0], gap) == pytest.approx([0, gap])


def marks(ax):
    return {line.get_label(): (line.get_xdata().tolist(), line.get_ydata()[0])
            for line in ax.get_lines()}  # fmt: skip


def test_nan_and_infinities_are_marked_at_the_edges():
    _, ax = figure()
    mark_nonfinite(ax, [1, 2, 3, 4, 5], [0.0, math.nan, math.inf, -math.inf, math.nan])
    found = marks(ax)
    assert found == {"_NaN": ([2, 5], 0.97), "_inf": ([3], 0.97), "_\N{MINUS SIGN}inf": ([4], 0.03)}
    assert set(texts(ax)) == {"NaN", "inf", "\N{MINUS SIGN}inf"}


def test_on_a_log_axis_zero_is_marked_too():
    _, ax = figure()
    ax.set_yscale("log")
    mark_nonfinite(ax, [1, 2], [0.0, 1.0])
    assert marks(ax) == {"_0": ([1], 0.03)}
    mark_nonfinite(ax, [1, 2], [-1.0, 1.0], "green")
    assert marks(ax)["_0 or less"] == ([1], 0.14)


def test_curves_have_rows_of_their_own_and_a_lost_one_is_named():
    _, ax = figure()
    mark_nonfinite(ax, [1, 2], [math.nan, math.inf], COLORS[0], "lost")
    mark_nonfinite(ax, [1, 2], [1.0, math.nan], COLORS[1], "partly")
    assert set(texts(ax)) == {"lost NaN", "lost inf", "NaN"}
    levels = {(line.get_color(), line.get_ydata()[0]) for line in ax.get_lines()}
    assert levels == {(COLORS[0], 0.97), (COLORS[1], 0.86)}


def test_finite_points_need_no_mark():
    _, ax = figure()
    mark_nonfinite(ax, [1, 2], [0.0, -1.0])
    assert not ax.get_lines()
