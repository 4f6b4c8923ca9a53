import base64
import math
import struct
from itertools import pairwise

import matplotlib as mpl
import pytest

from d2lstab.plots import style
from d2lstab.plots.style import COLORS, figure, label_ends, mark_nonfinite, render, show


def texts(ax):
    return {text.get_text(): text for text in ax.texts}


def test_apply_sets_the_style_and_figures_have_it_without():
    with mpl.rc_context():
        mpl.rcdefaults()
        fig, ax = figure()
        assert ax.plot([1, 2])[0].get_color() == COLORS[0]
        style.apply()
        assert mpl.rcParams["axes.grid"] is True
        assert fig.get_size_inches().tolist() == [7.2, 3.6]


def test_lines_differ_in_color_and_in_dashes():
    _, ax = figure()
    lines = [ax.plot([1, 2])[0] for _ in COLORS]
    assert len({line.get_color() for line in lines}) == 6
    assert len({str(line._unscaled_dash_pattern) for line in lines}) == 6


def contrast_with_white(color):
    levels = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
              for c in mpl.colors.to_rgb(color)]  # fmt: skip
    return 1.05 / (0.05 + sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), levels, strict=True)))


def test_no_color_is_too_pale_for_a_line():
    assert min(map(contrast_with_white, COLORS)) > 2


def rendered():
    fig, ax = figure(size=(5, 2))
    ax.plot([1, 2])
    return render(fig)


def test_a_rendered_figure_has_its_size_and_is_the_same_each_time():
    png = rendered()
    assert struct.unpack(">II", png[16:24]) == (720, 288)
    assert png == rendered()
    assert b"Matplotlib" not in png


@pytest.mark.parametrize(("rows", "cols", "shape"), [(1, 2, (2,)), (2, 1, (2,)), (2, 2, (2, 2))])
def test_several_axes_are_an_array(rows, cols, shape):
    fig, axes = figure(rows, cols)
    assert axes.shape == shape
    assert fig.get_size_inches()[0] == 7.2


def test_show_displays_a_png_with_its_alternative_text(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, **more: shown.append((data, more)))
    show(figure()[0], "A line\n  that rises.")
    ((data, more),) = shown
    assert base64.b64decode(data["image/png"]) == render(figure()[0])
    assert data["text/plain"] == "Figure: A line that rises."
    assert more["metadata"] == {"image/png": {"alt": "A line that rises.", "width": 720}}
    assert more["raw"] is True


@pytest.mark.parametrize(
    ("alt", "error"), [("", ValueError), (" ", ValueError), (None, TypeError), (3, TypeError)]
)
def test_a_figure_without_alternative_text_is_not_shown(alt, error):
    with pytest.raises(error, match=r"alt must be a .*string, got"):
        show(figure()[0], alt)


def test_what_is_no_figure_is_not_shown():
    with pytest.raises(TypeError, match="fig must be a matplotlib Figure, got tuple"):
        show(figure(), "A line.")


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
    assert style._apart([0.1, 0.9], gap) == pytest.approx([0.1, 0.9])
    assert style._apart([0.5, 0.5], gap) == pytest.approx([0.5 - gap / 2, 0.5 + gap / 2])
    assert style._apart([1.0, 1.0], gap) == pytest.approx([1 - gap, 1])
    assert style._apart([0.0, 0.0], gap) == pytest.approx([0, gap])


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
