import math

import numpy as np
import pytest

from d2lstab.plots import draw_phase_plane, figure
from d2lstab.plots.style import render

LINE = ([1.0, 1.5, 2.0], [0.0, 0.05, 0.3])


def test_one_line_divides_the_plane_and_carries_its_dots():
    fig, ax = figure()
    draw_phase_plane(ax, {"tanh": LINE}, measured={"tanh": ([1.6], [0.1])}, point=(2.0, 0.1))
    line, dots, ring = ax.get_lines()
    assert line.get_xdata().tolist() == LINE[0]
    assert line.get_color() == "black"
    assert dots.get_linestyle() == "None"
    assert (dots.get_xdata()[0], dots.get_ydata()[0]) == (1.6, 0.1)
    assert (ring.get_xdata()[0], ring.get_ydata()[0]) == (2.0, 0.1)
    words = " ".join(text.get_text() for text in ax.texts)
    assert "vanish" in words
    assert "explode" in words
    assert len(ax.collections) == 1  # the shaded side
    assert ax.get_legend().get_texts()[0].get_text() == "tanh, measured"
    assert render(fig)


def test_the_shaded_side_is_that_of_large_weights():
    _, ax = figure()
    draw_phase_plane(ax, {"tanh": LINE})
    corners = ax.collections[0].get_paths()[0].vertices
    assert ax.texts[0].get_text() == "tanh"
    at_top = corners[np.isclose(corners[:, 1], 0.3)][:, 0]
    assert at_top.min() == pytest.approx(2.0)
    assert at_top.max() >= ax.get_xlim()[1]


def test_several_lines_are_named_and_nothing_is_shaded():
    _, ax = figure()
    draw_phase_plane(ax, {"tanh": LINE, "relu": ([2.0, 2.0], [0.0, 0.3])})
    assert [text.get_text() for text in ax.texts] == ["tanh", "relu"]
    assert len({line.get_linestyle() for line in ax.get_lines()}) == 2
    assert len(ax.collections) == 0
    assert ax.get_legend() is None


@pytest.mark.parametrize(
    ("lines", "measured"),
    [
        ({}, None),
        ({"tanh": ([], [])}, None),
        ({"tanh": ([1.0, 2.0], [0.0])}, None),
        ({"tanh": ([1.0, math.nan], [0.0, 1.0])}, None),
        ({"tanh": LINE}, {"tanh": ([1.0], [math.inf])}),
    ],
)
def test_lines_that_cannot_be_drawn_are_refused(lines, measured):
    _, ax = figure()
    with pytest.raises(ValueError, match="line"):
        draw_phase_plane(ax, lines, measured=measured)
