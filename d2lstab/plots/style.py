"""How every figure of the course looks, and how it is shown with its alternative text."""

import base64
import io
from typing import Any

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imsave
from matplotlib.lines import Line2D

__all__ = [
    "COLORS",
    "MARKERS",
    "STYLE",
    "apply",
    "draw_theory",
    "figure",
    "render",
    "show",
]

# Okabe and Ito (2008), without the yellow that is too pale for a line: safe for
# color-blind readers. Black is kept for theory.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
_LINES = ("-", "--", "-.", (0, (1, 1.2)), (0, (5, 1, 1, 1, 1, 1)), (0, (7, 2)))
MARKERS = ("o", "s", "^", "D", "v", "P")  # in the order of the colors
WIDTH, HEIGHT = 7.2, 3.6  # inches, one inch being 100 pixels of the page
DOTS, PAGE_DOTS = 144, 100  # pixels per inch: of the PNG, and of the page it is shown on

STYLE: Any = {
    "figure.figsize": (WIDTH, HEIGHT),
    "figure.dpi": PAGE_DOTS,
    "figure.facecolor": "white",
    "savefig.dpi": DOTS,
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same on every machine
    "font.size": 10.0,
    "axes.titlesize": 11.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 10.0,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.xmargin": 0.02,
    "axes.prop_cycle": cycler(color=COLORS) + cycler(linestyle=_LINES),
    "axes.formatter.useoffset": False,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.8,
    "legend.fontsize": 9.0,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 4.5,
    "xtick.labelsize": 9.0,
    "ytick.labelsize": 9.0,
}


def apply() -> None:
    """Give every figure made from now on the look of the course (`course.start` calls this)."""
    mpl.rcParams.update(STYLE)


def figure(
    rows: int = 1, cols: int = 1, size: tuple[float, float] | None = None, **options: Any
) -> tuple[Figure, Any]:
    """A figure of fixed size and its axes: one `Axes`, or an array of them.

    Without `size` (width, height in inches of 100 pixels) the width is that of a
    notebook's page and each row is as high as a single figure, or a little less.
    `options` go to `Figure.subplots` (`sharex`, `sharey`, `width_ratios`). The
    figure is not known to pyplot: it is garbage when the last name for it goes.

    >>> fig, (left, right) = figure(1, 2)
    >>> fig.get_size_inches().tolist()
    [7.2, 3.6]
    """
    if size is None:
        size = (WIDTH, HEIGHT if rows == 1 else 0.8 * HEIGHT * rows)
    with mpl.rc_context(STYLE):
        fig = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(fig)
        return fig, fig.subplots(rows, cols, **options)


def render(fig: Figure) -> bytes:
    """The figure as a PNG of its fixed size; equal figures give equal bytes on one machine.

    These are the bytes that `fig.savefig` would write, for one pass of drawing
    where that takes two: a knob is followed by its picture a fifth sooner.
    """
    buffer, before, dots = io.BytesIO(), fig.canvas, fig.dpi
    unsigned: Any = {"Software": None}  # no version of matplotlib in the bytes
    try:
        with mpl.rc_context(STYLE):
            canvas = FigureCanvasAgg(fig)
            fig.dpi = DOTS
            canvas.draw()
            pixels = np.asarray(canvas.buffer_rgba())
            imsave(buffer, pixels, format="png", dpi=DOTS, metadata=unsigned)
    finally:
        fig.set_canvas(before)
        fig.dpi = dots
    return buffer.getvalue()


def page_width(fig: Figure) -> int:
    """The width in pixels at which the figure is shown on a page."""
    return round(fig.get_size_inches()[0] * PAGE_DOTS)


def show(fig: Figure, alt: str) -> None:
    """Show a figure as a PNG with its alternative text, which says what there is to see.

    The text is stored as the output's plain text, where readers without pictures
    and nbval find it, and as `alt` in the metadata, where nbconvert does.

    Raises:
        ValueError: `alt` is empty.
        TypeError: `fig` is not a figure or `alt` not a string.
    """
    if not isinstance(fig, Figure):
        raise TypeError(
            f"fig must be a matplotlib Figure, got {type(fig).__name__}: "
            "pass the first result of figure()"
        )
    data, metadata = bundle(render(fig), page_width(fig), alternative_text(alt), "Figure")
    from IPython.display import display

    display(data, metadata=metadata, raw=True)


def alternative_text(alt: object) -> str:
    """The text, on one line, where there is one."""
    if not isinstance(alt, str):
        raise TypeError(
            f"alt must be a string, got {type(alt).__name__}: say in a sentence what can be seen"
        )
    if not alt.strip():
        raise ValueError(
            f"alt must be a non-empty string, got {alt!r}: say in a sentence what can be seen"
        )
    return " ".join(alt.split())


def bundle(
    png: bytes, width: int, alt: str, prefix: str
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """What a notebook stores of a picture: its data and their metadata by MIME type."""
    data = {
        "image/png": base64.b64encode(png).decode("ascii"),
        "text/plain": f"{prefix}: {alt}" if alt else prefix,
    }
    return data, {"image/png": {"alt": alt or prefix, "width": width}}


def draw_theory(ax: Axes, x: Any, y: Any, label: str = "theory", **options: Any) -> Line2D:
    """Draw a prediction: a thin black line that lies under the measurements."""
    drawn: dict[str, Any] = {
        "color": "black",
        "linestyle": "-",
        "linewidth": 1.2,
        "zorder": 1.8,
    } | options
    (line,) = ax.plot(x, y, label=label, **drawn)
    return line
