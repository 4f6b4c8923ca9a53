"""Quantiles by layer put the right numbers on the axes."""

import math

import matplotlib as mpl
import numpy as np
import pytest

from d2lstab.plots import draw_quantiles, figure
from d2lstab.plots.style import STYLE, render

ROWS = [[1e-9, 1e-6, 1e-3], [1e-8, 1e-5, 1e-2], [1e-7, 1e-4, 1e-1]]


@pytest.fixture
def ax():
    with mpl.rc_context(STYLE):
        fig, axes = figure()
        yield axes
    render(fig)  # any warning is an error here


def test_line_band_span_and_limit(ax):
    draw_quantiles(ax, {"plain": ROWS}, span=(1e-6, 1e3), limits={"float16": 6e-8}, title="found")
    lines = {str(line.get_label()): line for line in ax.get_lines()}
    assert lines["plain"].get_xydata().tolist() == [[1, 1e-6], [2, 1e-5], [3, 1e-4]]
    (band,) = [c for c in ax.collections if c.get_alpha() == 0.16]
    corners = band.get_paths()[0].vertices[:, 1]
    assert (corners.min(), corners.max()) == (1e-9, 1e-1)
    assert any(set(line.get_ydata()) == {6e-8} for line in ax.get_lines())
    assert "float16" in [text.get_text() for text in ax.texts]
    assert (ax.get_yscale(), ax.get_title(loc="left")) == ("log", "found")
    assert ax.get_xlabel()
    assert ax.get_ylabel()


def test_five_levels_make_two_bands(ax):
    draw_quantiles(ax, {"a": np.logspace(-4, 0, 5)[None] * np.ones((4, 1))}, title="t")
    assert len([c for c in ax.collections if c.get_alpha() == 0.16]) == 2


def test_what_cannot_be_shown_is_marked(ax):
    rows = [[0, 0, 1], [0, 1, math.inf], [math.nan] * 3, [1, math.inf, math.inf], [1, 2, 3]]
    draw_quantiles(ax, {"a": rows}, title="t")
    labels = {str(line.get_label()) for line in ax.get_lines()}
    assert {"_0", "_NaN", "_inf"} <= labels


@pytest.mark.parametrize("rows", [[], [1.0, 2.0, 3.0], [[1.0, 2.0]], [[]]])
def test_tables_of_a_wrong_shape(ax, rows):
    with pytest.raises(ValueError, match="shape"):
        draw_quantiles(ax, {"a": rows}, title="t")
    with pytest.raises(ValueError, match="at least one"):
        draw_quantiles(ax, {}, title="t")
