"""Eigenvectors at a point and spectra with a threshold, as they are drawn."""

import math

import numpy as np
import pytest

from d2lstab.plots import figure
from d2lstab.plots.curvature import draw_eigenvectors, draw_spectrum


def test_eigenvectors_of_the_two_weight_product_lie_on_the_diagonals():
    ax = figure()[1]
    draw_eigenvectors(ax, [0.0, 0.0], [[0.0, -2.0], [-2.0, 0.0]], length=1.0)
    down, up, point = ax.get_lines()
    assert down.get_linestyle() == "--"
    assert up.get_linestyle() == "-"
    x, y = np.asarray(down.get_data())
    np.testing.assert_allclose(x, y, atol=1e-12)  # (1, 1) has the eigenvalue -2
    assert math.isclose(math.hypot(x[1] - x[0], y[1] - y[0]), 2.0)
    x, y = np.asarray(up.get_data())
    np.testing.assert_allclose(x, -y, atol=1e-12)
    assert point.get_xdata()[0] == 0.0


def test_a_curvature_of_zero_is_gray():
    ax = figure()[1]
    draw_eigenvectors(ax, [0.0, 0.0], [[0.0, 0.0], [0.0, 4.0]])
    assert [line.get_color() for line in ax.get_lines()][:2] == ["0.5", "#0072B2"]


@pytest.mark.parametrize(
    ("point", "matrix"),
    [([0.0], [[1.0]]), ([0.0, 0.0], [1.0, 2.0]), ([math.nan, 0.0], np.eye(2)),
     ([0.0, 0.0], [[math.inf, 0.0], [0.0, 1.0]])],
)  # fmt: skip
def test_bad_points_are_refused(point, matrix):
    ax = figure()[1]
    with pytest.raises(ValueError, match="must be"):
        draw_eigenvectors(ax, point, matrix)


def test_a_spectrum_is_sorted_by_magnitude_with_signs_apart():
    ax = figure()[1]
    draw_spectrum(ax, [1.0, -4.0, 0.0, 2.0], threshold=0.3, title="t")
    positive, negative, zero, threshold = ax.get_lines()
    assert positive.get_xdata().tolist() == [2, 3]
    assert positive.get_ydata().tolist() == [0.5, 0.25]
    assert negative.get_xdata().tolist() == [1]
    assert negative.get_ydata().tolist() == [1.0]
    assert zero.get_xdata().tolist() == [4]
    assert zero.get_ydata().tolist() == [1e-18]
    assert list(threshold.get_ydata()) == [0.3, 0.3]
    assert ax.get_yscale() == "log"
    assert ax.get_title() + ax.get_title(loc="left") == "t"


@pytest.mark.parametrize("bad", [[], [math.nan, 1.0], [0.0, 0.0], [math.inf]])
def test_spectra_that_cannot_be_drawn_are_refused(bad):
    ax = figure()[1]
    with pytest.raises(ValueError, match="eigenvalues must be"):
        draw_spectrum(ax, bad, threshold=1e-3, title="t")


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan])
def test_a_threshold_is_positive(bad):
    ax = figure()[1]
    with pytest.raises(ValueError, match="threshold must be"):
        draw_spectrum(ax, [1.0], threshold=bad, title="t")
