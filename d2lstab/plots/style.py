"""How every figure of the course looks, and how it is shown with its alternative text."""

import base64
import io
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

__all__ = [
    "COLORS",
    "MARKERS",
    "STYLE",
    "apply",
    "draw_theory",
    "figure",
    "label_ends",
    "mark_nonfinite",
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
    """The figure as a PNG of its fixed size, the same bytes each time on one machine."""
    buffer = io.BytesIO()
    with mpl.rc_context(STYLE):
        fig.savefig(buffer, format="png", dpi=DOTS, metadata={"Software": None})
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


def label_ends(ax: Axes, at_most: int = 5) -> None:
    """Write each line's label beside its last finite point; a legend where they are too many.

    Call it when everything is drawn and the limits are set: labels that would
    overlap are moved apart, in the order of their lines' ends.
    """
    lines = [line for line in ax.get_lines() if not str(line.get_label()).startswith("_")]
    ends = [(line, *_last_finite(ax, line)) for line in lines]
    ends = [end for end in ends if end[1] is not None]
    if not ends:
        return
    if len(ends) > at_most:
        ax.legend()
        return
    ends.sort(key=lambda end: end[2])
    height = ax.get_window_extent().height
    size = float(STYLE["legend.fontsize"])
    gap = 1.25 * size * STYLE["figure.dpi"] / 72 / height
    for (line, x, _), y in zip(ends, _apart([end[2] for end in ends], gap), strict=True):
        ax.annotate(
            str(line.get_label()),
            xy=(x, y),
            xycoords=("data", "axes fraction"),
            xytext=(6, 0),
            textcoords="offset points",
            color=line.get_color(),
            fontsize=size,
            va="center",
            annotation_clip=False,
        )


def _last_finite(ax: Axes, line: Line2D) -> tuple[float | None, float]:
    """The end of a line: its x in data, its y as a fraction of the axes' height."""
    x, y = (np.asarray(values, dtype=float) for values in line.get_data())
    seen = np.isfinite(x) & np.isfinite(y)
    if ax.get_yscale() == "log":
        seen &= y > 0
    if not seen.any():
        return None, 0.0
    last = np.flatnonzero(seen)[-1]
    pixel = line.get_transform().transform((x[last], y[last]))
    return float(x[last]), float(np.clip(ax.transAxes.inverted().transform(pixel)[1], 0.0, 1.0))


def _apart(heights: Sequence[float], gap: float) -> list[float]:
    """Sorted heights moved so that neighbors are `gap` apart, the whole kept where it was."""
    moved: list[float] = []
    for height in heights:
        moved.append(max(height, moved[-1] + gap) if moved else height)
    shift = (sum(moved) - sum(heights)) / len(moved)
    return [height - min(shift, max(moved[0], 0.0)) for height in moved]


def mark_nonfinite(ax: Axes, x: Any, y: Any, color: str = "#a00000") -> None:
    """Mark what a curve cannot show, so that it is never a silent gap.

    NaN is a cross and infinity a triangle at the upper edge, each named once;
    minus infinity, and on a log axis 0, is a triangle at the lower edge.
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    low = y <= 0 if ax.get_yscale() == "log" else np.isneginf(y)
    name = "0" if ax.get_yscale() == "log" else "\N{MINUS SIGN}inf"
    for mask, marker, level, label in (
        (np.isnan(y), "x", 0.97, "NaN"),
        (np.isposinf(y), "^", 0.97, "inf"),
        (low, "v", 0.03, name),
    ):
        if not mask.any():
            continue
        ax.plot(
            x[mask],
            np.full(int(mask.sum()), level),
            linestyle="none",
            marker=marker,
            markersize=6,
            color=color,
            transform=ax.get_xaxis_transform(),
            label=f"_{label}",
            clip_on=False,
        )
        ax.annotate(
            label,
            xy=(x[mask][0], level),
            xycoords=("data", "axes fraction"),
            xytext=(0, -14 if level > 0.5 else 8),
            textcoords="offset points",
            ha="center",
            color=color,
            fontsize=float(STYLE["legend.fontsize"]),
        )
