import base64
import io
import struct

import matplotlib as mpl
import pytest

from d2lstab.plots import style
from d2lstab.plots.style import COLORS, STYLE, figure, render, show


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


def two_panels():
    fig, (left, right) = figure(1, 2)
    left.semilogy([1, 1e9], label="a")
    left.legend()
    right.set_title("a title that is wide enough to move the axes")
    return fig


def test_rendering_writes_what_savefig_writes_and_leaves_the_figure_as_it_was():
    fig, twin, buffer = two_panels(), two_panels(), io.BytesIO()
    canvas = fig.canvas
    png = render(fig)
    assert fig.canvas is canvas
    assert fig.dpi == 100
    with mpl.rc_context(STYLE):
        twin.savefig(buffer, format="png", dpi=144, metadata={"Software": None})
    assert png == buffer.getvalue()


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
